// SPDX-License-Identifier: MIT
//
// The functions of process.c that need libc's own version behind them, found by the dynamic linker: so
// they are in the shared library only. A static program that uses them calls ph_export before.
#undef _FORTIFY_SOURCE
#include "core/handle.h"
#include "pipe/pipe.h"
#include "posix/process.h"

#include <dlfcn.h>
#include <errno.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PUBLIC __attribute__((visibility("default")))

// Looked up at each call: they are rare, and a cached pointer is one more thing to keep right.
#define NEXT(function) ((__typeof__(&(function)))dlsym(RTLD_NEXT, #function))

PUBLIC int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                       const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	phi_pipe_leaving(actions != NULL);
	return NEXT(posix_spawn)(pid, path, actions, attr, argv, envp);
}

PUBLIC int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	phi_pipe_leaving(actions != NULL);
	return NEXT(posix_spawnp)(pid, file, actions, attr, argv, envp);
}

PUBLIC int system(const char *command)
{
	phi_pipe_leaving(false);
	return NEXT(system)(command);
}

PUBLIC FILE *popen(const char *command, const char *mode)
{
	phi_pipe_leaving(false);
	return NEXT(popen)(command, mode);
}

PUBLIC int execvp(const char *file, char *const argv[])
{
	phi_process_leaving();
	return phi_process_stayed(NEXT(execvp)(file, argv));
}

PUBLIC int execvpe(const char *file, char *const argv[], char *const envp[])
{
	phi_process_leaving();
	return phi_process_stayed(NEXT(execvpe)(file, argv, envp));
}

static int count(const char *first, va_list list)
{
	int n = first != NULL;
	while (n > 0 && va_arg(list, char *) != NULL)
		n++;
	return n;
}

static void fill(char **argv, int n, const char *first, va_list list)
{
	argv[0] = (char *)first;
	for (int i = 1; i <= n; i++)
		argv[i] = va_arg(list, char *);
}

// The arguments of an execl as an array, and the environment that may follow them.
#define COLLECT(first)                                              \
	va_list list;                                                   \
	va_start(list, first);                                          \
	int n = count(first, list);                                     \
	va_end(list);                                                   \
	char **argv = __builtin_alloca(((size_t)n + 1) * sizeof *argv); \
	va_start(list, first);                                          \
	fill(argv, n, first, list)

PUBLIC int execl(const char *path, const char *first, ...)
{
	COLLECT(first);
	va_end(list);
	return execv(path, argv);
}

PUBLIC int execlp(const char *file, const char *first, ...)
{
	COLLECT(first);
	va_end(list);
	return execvp(file, argv);
}

PUBLIC int execle(const char *path, const char *first, ...)
{
	COLLECT(first);
	char **envp = va_arg(list, char **);
	va_end(list);
	return execve(path, argv, envp);
}

// The stream reads and writes the descriptor by itself, from now on.
PUBLIC FILE *fdopen(int fd, const char *mode)
{
	struct pipe_end *e = phi_pipe_find(fd);
	if (e != NULL) {
		phi_description_raise(e->p->family, FAMILY_EXPORTED);
		phi_pipe_ring_known(e->p);
		phi_pipe_leave_ring(e->p, fd, PIPE_EXPORTED, false);
	}
	return NEXT(fdopen)(fd, mode);
}

// SPDX-License-Identifier: MIT
//
// The library's own close, dup2, dup3, close_range, closefrom and exec: each tells the pipes what is about
// to happen to their descriptors, and goes on as libc's (shared/next.c has the rest of them). They are
// here because what a process promises a pipe (docs/pipe.md, "The lease") must end before another
// program has the descriptor, and a number that is closed and used again must not lead to the old pipe.
#undef _FORTIFY_SOURCE
#include "posix/process.h"
#include "core/handle.h"
#include "pipe/pipe.h"
#include "posix/syscall.h"
#include "signal/fork.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

// Weak, for the reason told in poll.c.
#define PUBLIC __attribute__((weak, visibility("default")))

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

int32_t phi_process_hooks; // referred to by the facade, so that a static program gets this file

__attribute__((destructor)) static void at_exit(void)
{
	phi_signal_exit();
	phi_pipe_exit();
}

// A child of fork usually ends so; one of vfork always does, and has nothing to let go.
PUBLIC void _exit(int status)
{
	phi_record_exit();
	phi_signal_exit();
	phi_pipe_exit();
	for (;;)
		syscall(SYS_exit_group, status);
}

PUBLIC void _Exit(int status)
{
	_exit(status);
}

// ---- descriptors ----

#ifndef PHI_TSAN // which must see every close, or takes a number used again for a race
PUBLIC int close(int fd)
{
	phi_pipe_release(fd);
	return PHI_CLOSE(fd);
}
#endif

// A copy of a known pipe's end is known as well, so that its leaving with an exec is.
static int copied(int fd, int to)
{
	if (to >= 0 && phi_pipe_find(fd) != NULL) {
		int saved = errno;
		phi_pipe_adopt(to, NULL, false);
		errno = saved;
	}
	return to;
}

PUBLIC int dup(int fd)
{
	return copied(fd, (int)syscall(SYS_dup, fd));
}

PUBLIC int dup3(int fd, int to, int flags)
{
	if (fd != to && (flags & ~O_CLOEXEC) == 0 && fcntl(fd, F_GETFD) >= 0)
		phi_pipe_release(to);
	return copied(fd, (int)syscall(SYS_dup3, fd, to, flags));
}

PUBLIC int dup2(int fd, int to)
{
	if (fd == to)
		return fcntl(fd, F_GETFD) < 0 ? -1 : to;
	return dup3(fd, to, 0);
}

#ifndef __GLIBC__ // musl does not declare them
int close_range(unsigned first, unsigned last, int flags);
void closefrom(int first);
#endif

static void release_range(unsigned first, unsigned last)
{
	unsigned most = PHI_FD_BLOCKS * PHI_FD_BLOCK;
	if (load_relaxed_u32(&phi_handle_count) == 0)
		return;
	for (unsigned fd = first; fd <= last && fd < most; fd++) {
		if (phi_fd_table[fd / PHI_FD_BLOCK] == 0)
			fd |= PHI_FD_BLOCK - 1; // nothing known of the whole block
		else
			phi_pipe_release((int)fd);
	}
}

PUBLIC int close_range(unsigned first, unsigned last, int flags)
{
	if (flags == 0 && first <= last)
		release_range(first, last);
	return (int)syscall(SYS_close_range, first, last, flags);
}

PUBLIC void closefrom(int first)
{
	if (first < 0)
		first = 0;
	if (close_range((unsigned)first, ~0U, 0) == 0)
		return;
	long most = sysconf(_SC_OPEN_MAX);
	for (int fd = first; fd < most; fd++)
		close(fd);
}

// ---- another program ----

void phi_process_leaving(void)
{
	phi_signal_leaving();
	phi_pipe_leaving(false);
}

int phi_process_stayed(int r)
{
	int saved = errno;
	phi_signal_stayed();
	errno = saved;
	return r;
}

PUBLIC int execve(const char *path, char *const argv[], char *const envp[])
{
	phi_process_leaving();
	return phi_process_stayed((int)syscall(SYS_execve, path, argv, envp));
}

PUBLIC int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

PUBLIC int fexecve(int fd, char *const argv[], char *const envp[])
{
	phi_process_leaving();
	long r = syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH);
	if (r < 0 && errno == ENOSYS) {
		char path[32];
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		r = syscall(SYS_execve, path, argv, envp);
	}
	return phi_process_stayed((int)r);
}

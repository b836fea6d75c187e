// SPDX-License-Identifier: MIT
//
// POSTHASTE_LOG=FILE: a line for each call, when it returns. The file is opened for each line and written with one
// write(2) at its end, so that the lines of many threads and processes do not mix; nothing is kept that a
// program could close, inherit or interrupt. A program that has changed its root or its user writes nothing if it
// may not.
#include "preload.h"

#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#define LINE 1024

uint32_t phi_tracing;
static char path[PATH_MAX];

// By raw calls, which are no cancellation points and not ours.
static void put(const char *line, size_t length)
{
	long fd = syscall(SYS_openat, AT_FDCWD, path,
	                  O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
	if (fd < 0)
		return;
	long written = syscall(SYS_write, fd, line, length);
	(void)written; // there is nobody to tell
	syscall(SYS_close, fd);
}

// What was printed of it; a line that is too long loses its end.
static size_t printed(int n, size_t room)
{
	return n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

static size_t put_head(char line[LINE])
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	int n = snprintf(line, LINE, "%lld.%06ld %d/%d ", (long long)now.tv_sec, now.tv_nsec / 1000,
	                 (int)getpid(), (int)syscall(SYS_gettid));
	return printed(n, LINE);
}

static size_t put_result(char *to, size_t room, int64_t result, int error)
{
	const char *name = result == -1 ? strerrorname_np(error) : NULL;
	int n = name == NULL ? snprintf(to, room, " = %lld", (long long)result)
	                     : snprintf(to, room, " = -1 %s", name);
	return printed(n, room);
}

// A name may hold anything, but a call is one line.
static void keep_to_a_line(char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			text[i] = '?';
}

int64_t phi_trace(int64_t result, const char *call, ...)
{
	int saved = errno;
	char line[LINE];
	va_list args;
	size_t n = put_head(line);
	va_start(args, call);
	n += printed(vsnprintf(line + n, LINE - 64 - n, call, args), LINE - 64 - n);
	va_end(args);
	n += put_result(line + n, LINE - 1 - n, result, saved);
	keep_to_a_line(line, n);
	line[n++] = '\n';
	put(line, n);
	errno = saved;
	return result;
}

// A relative name is one of the directory that the program was started in.
__attribute__((constructor)) static void at_start(void)
{
	const char *wanted = getenv("POSTHASTE_LOG");
	char here[PATH_MAX];
	if (wanted == NULL || *wanted == '\0')
		return;
	if (*wanted == '/')
		*here = '\0';
	else if (getcwd(here, sizeof here) == NULL)
		return;
	int n = snprintf(path, sizeof path, "%s%s%s", here, *here == '\0' ? "" : "/", wanted);
	if (n > 0 && (size_t)n < sizeof path)
		store_relaxed_u32(&phi_tracing, 1);
}

// SPDX-License-Identifier: MIT
//
// The library's own descriptors. They are closed past the close that it provides to programs, which thinks of pipes, and
// without a cancellation point; and those that stay are out of the way of the numbers that a program counts on: who
// closes his standard input opens it again as 0.
#ifndef PHI_BASE_DESCRIPTOR_H
#define PHI_BASE_DESCRIPTOR_H

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define PHI_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PHI_TSAN 1
#endif
#endif

static inline void phi_close(int fd)
{
#ifdef PHI_TSAN // which must see every close
	close(fd);
#else
	syscall(SYS_close, fd);
#endif
}

#define PHI_LOWEST_NUMBER 200

// A copy, close-on-exec; -1 with errno.
static inline int phi_copy_aside(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, PHI_LOWEST_NUMBER);
	return high >= 0 ? high : fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1); // RLIMIT_NOFILE
}

// The same description under a number that is out of the way, or, where there is none, under the one that it has. Keeps errno.
static inline int phi_move_aside(int fd)
{
	int saved = errno;
	int high =
		fd >= 0 && fd < PHI_LOWEST_NUMBER ? fcntl(fd, F_DUPFD_CLOEXEC, PHI_LOWEST_NUMBER) : -1;
	if (high >= 0)
		phi_close(fd);
	errno = saved;
	return high >= 0 ? high : fd;
}

#endif

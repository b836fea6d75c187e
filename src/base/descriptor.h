// SPDX-License-Identifier: MIT
//
// Closing the library's own descriptors: past the close that it provides to programs, which thinks of
// pipes, and no cancellation point.
#ifndef PHI_BASE_DESCRIPTOR_H
#define PHI_BASE_DESCRIPTOR_H

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

#endif

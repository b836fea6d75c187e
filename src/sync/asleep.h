// SPDX-License-Identifier: MIT
//
// System calls that may sleep, as the rooms and the facade make them: a handler that is due (sync/due.h) ends the sleep
// with -EINTR, also if its signal comes in the instant before it. What can be done without sleeping is done
// all the same.
//
// Until a program has installed such a handler these are the C library's calls. All are cancellation points, and all
// return -errno.
#ifndef PHI_SYNC_ASLEEP_H
#define PHI_SYNC_ASLEEP_H

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/select.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

ssize_t phi_kernel_read(int fd, void *buf, size_t bytes);
ssize_t phi_kernel_readv(int fd, const struct iovec *iov, int count);
ssize_t phi_kernel_write(int fd, const void *buf, size_t bytes);
ssize_t phi_kernel_writev(int fd, const struct iovec *iov, int count);

// The descriptor. A FIFO without its other end is what makes an open sleep.
int phi_kernel_openat(int dir, const char *path, int flags, mode_t mode);

// F_SETLKW and F_OFD_SETLKW.
int phi_kernel_lock(int fd, int command, struct flock *lock);

// `left` is written to, as the kernel does it.
int phi_kernel_poll(struct pollfd *fds, nfds_t n, struct timespec *left, const sigset_t *mask);
int phi_kernel_select(int n, fd_set *set[3], struct timespec *left, const sigset_t *mask);

// With a kernel's mask: the signal, -EAGAIN, -EINTR.
int phi_kernel_take(uint64_t signals, siginfo_t *info, const struct timespec *left);
int phi_kernel_suspend(uint64_t mask);

#endif

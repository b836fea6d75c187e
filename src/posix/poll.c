// SPDX-License-Identifier: MIT
//
// The library's own poll, ppoll, select, pselect and epoll_ctl: each tells the objects behind our
// descriptors that somebody is about to poll them, and enters the kernel. They are here because a
// kernel object that shows a queue's state costs a system call whenever that state changes, and only
// somebody who polls is to cost that; the kernel leaves no trace of a poll that could be read without
// a call. Where the program binds these names to somebody else (dlopen, sanitizers), every descriptor
// is made ready for polling when it is opened.
#undef _FORTIFY_SOURCE
#include "posix/poll.h"

#include "core/handle.h"
#include "posix/syscall.h"
#include "signal/port.h"
#include "sync/asleep.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

// Weak, because a static libc may keep epoll_ctl in one object with functions that the program needs:
// then that one wins, and we see below that it did.
#define PUBLIC __attribute__((weak, visibility("default")))

// What this program takes for these two, in volatile pointers: the compiler must not conclude that
// they are ours.
static int (*volatile bound_poll)(struct pollfd *, nfds_t, int) = poll;
static int (*volatile bound_epoll_ctl)(int, int, int, struct epoll_event *) = epoll_ctl;

#ifdef __clang__
#define LIKE(function)
#else // the attributes of glibc's declaration, or gcc complains
#define LIKE(function) __attribute__((copy(function)))
#endif

extern __typeof__(poll) phi_poll __attribute__((alias("poll"), visibility("hidden")));
extern __typeof__(epoll_ctl) phi_epoll_ctl __attribute__((alias("epoll_ctl"), visibility("hidden")))
LIKE(epoll_ctl);

static int announce(int fd)
{
	struct phi_handle *h = phi_handle_any(fd);
	if (h != NULL)
		return h->ops->polled(h);
	// Should it turn out to be a pipe later, it stays with the kernel.
	if (phi_handle_unknown(fd))
		phi_handle_mark_foreign(fd);
	return 0;
}

static __thread bool reached;

// Whether the program's polls come here, directly or through somebody who calls us in turn.
static bool polls_come_here(void)
{
	static uint32_t answer; // 1 no, 2 yes; racy and idempotent
	if (load_relaxed_u32(&answer) == 0) {
		reached = false;
		bool poll_comes = bound_poll == phi_poll || (bound_poll(NULL, 0, 0) == 0 && reached);
		reached = false;
		int saved = errno;
		bool epoll_comes = bound_epoll_ctl == phi_epoll_ctl ||
		                   (bound_epoll_ctl(-1, EPOLL_CTL_DEL, -1, NULL) != 0 && reached);
		errno = saved;
		store_relaxed_u32(&answer, poll_comes && epoll_comes ? 2 : 1);
	}
	return load_relaxed_u32(&answer) == 2;
}

int phi_polls_expected(int fd)
{
	return polls_come_here() ? 0 : announce(fd);
}

// SA_RESTART does not restart these.
static int ended(int r)
{
	phi_safepoint_ask(0);
	if (r >= 0)
		return r;
	errno = -r;
	return -1;
}

static void announce_poll(const struct pollfd *fds, nfds_t n)
{
	reached = true;
	for (nfds_t i = 0; i < n; i++)
		if (fds[i].fd >= 0)
			announce(fds[i].fd);
}

// The kernel unblocks signals for the time of the call.
static void unblocking(const sigset_t *mask)
{
	if (mask != NULL)
		phi_signal_unblocking(~phi_mask_of(mask));
}

// Who does not wait needs no kernel object, if all that he looks at is ours: how many are ready, or -1. Where
// that is not so, nothing has been written that the kernel would not overwrite.
static int glance(struct pollfd *fds, nfds_t n)
{
	int ready = 0;
	int looked = 0;
	for (nfds_t i = 0; i < n; i++) {
		fds[i].revents = 0;
		if (fds[i].fd < 0)
			continue;
		struct phi_handle *h = phi_handle_any(fds[i].fd);
		int is = h == NULL || h->ops->glance == NULL ? -1 : h->ops->glance(h);
		if (is < 0)
			return -1;
		looked++;
		fds[i].revents = (short)(fds[i].events & ((is & POLLIN ? POLLIN | POLLRDNORM : 0) |
		                                          (is & POLLOUT ? POLLOUT | POLLWRNORM : 0)));
		ready += fds[i].revents != 0;
	}
	return looked > 0 ? ready : -1;
}

// A poll that does not wait, answered here: how many are ready, or -1.
static int poll_without_kernel(struct pollfd *fds, nfds_t n)
{
	if (load_relaxed_u32(&phi_handle_count) == 0)
		return -1;
	pthread_testcancel();
	int saved = errno;
	int ready = glance(fds, n);
	errno = saved;
	return ready;
}

PUBLIC int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	announce_poll(fds, n);
	unblocking(mask);
	struct timespec left; // the kernel writes the rest back
	if (timeout != NULL)
		left = *timeout;
	return ended(phi_kernel_poll(fds, n, timeout == NULL ? NULL : &left, mask));
}

PUBLIC int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	int ready = timeout_ms == 0 ? poll_without_kernel(fds, n) : -1;
	if (ready >= 0) {
		phi_safepoint_ask(0);
		return ready;
	}
	announce_poll(fds, n);
	struct timespec left = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
	return ended(phi_kernel_poll(fds, n, timeout_ms < 0 ? NULL : &left, NULL));
}

static void announce_set(int n, const fd_set *set)
{
	for (int fd = 0; set != NULL && fd < n && fd < FD_SETSIZE; fd++)
		if (FD_ISSET(fd, set))
			announce(fd);
}

static int do_select(int n, fd_set *in, fd_set *out, fd_set *except, struct timespec *left,
                     const sigset_t *mask)
{
	fd_set *set[3] = {in, out, except};
	announce_set(n, in);
	announce_set(n, out);
	return ended(phi_kernel_select(n, set, left, mask));
}

PUBLIC int pselect(int n, fd_set *in, fd_set *out, fd_set *except, const struct timespec *timeout,
                   const sigset_t *mask)
{
	struct timespec left;
	unblocking(mask);
	if (timeout != NULL)
		left = *timeout;
	return do_select(n, in, out, except, timeout == NULL ? NULL : &left, mask);
}

PUBLIC int select(int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout)
{
	struct timespec left = {0, 0};
	if (timeout != NULL) {
		if (timeout->tv_sec < 0 || timeout->tv_usec < 0) {
			errno = EINVAL;
			return -1;
		}
		left.tv_sec = timeout->tv_sec + timeout->tv_usec / 1000000;
		left.tv_nsec = timeout->tv_usec % 1000000 * 1000;
	}
	int r = do_select(n, in, out, except, timeout == NULL ? NULL : &left, NULL);
	if (timeout != NULL) { // Linux tells what is left
		timeout->tv_sec = left.tv_sec;
		timeout->tv_usec = left.tv_nsec / 1000;
	}
	return r;
}

PUBLIC int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	reached = true;
	if (op != EPOLL_CTL_DEL && fd >= 0)
		announce(fd);
	return (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
}

// What a program compiled with _FORTIFY_SOURCE calls instead.
int __poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t bytes);
int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask,
                size_t bytes);

PUBLIC int __poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t bytes)
{
	if (bytes / sizeof *fds < n)
		abort();
	return poll(fds, n, timeout_ms);
}

PUBLIC int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
                       const sigset_t *mask, size_t bytes)
{
	if (bytes / sizeof *fds < n)
		abort();
	return ppoll(fds, n, timeout, mask);
}

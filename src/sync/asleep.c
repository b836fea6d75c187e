// SPDX-License-Identifier: MIT
//
// Each call is made by phi_call_unless (base/call.h) with the word that says that a handler is due. Where it is, the
// call would have to be refused; but the handler is for the end of this call, which may not need to sleep at all: so
// it is tried once more in a way that does not, and only what would have slept is -EINTR.
#include "sync/asleep.h"

#include "base/atomic.h"
#include "base/call.h"
#include "base/descriptor.h"
#include "sync/due.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif
#define KERNEL_SIGSET_BYTES 8

static bool due_is_used(void)
{
#ifdef PHI_TSAN // which calls handlers when it sees fit
	return false;
#else
	return load_relaxed_u32(&phi_due_ever) != 0;
#endif
}

static long call(const struct phi_call *c, bool *refused)
{
	int type;
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	long r = phi_call_unless(&phi_due, c, refused);
	pthread_setcanceltype(type, NULL);
	return r;
}

// Of a call that nothing is due for: the same, without the look.
static long call_anyway(const struct phi_call *c)
{
	const long *a = c->arg;
	int type;
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	long r = syscall(c->number, a[0], a[1], a[2], a[3], a[4], a[5]);
	int e = errno;
	pthread_setcanceltype(type, NULL);
	return r < 0 ? -e : r;
}

static const struct timespec at_once = {0, 0};

// ---- bytes ----

static bool is_ready(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	struct timespec none = at_once;
	return syscall(SYS_ppoll, &p, 1, &none, NULL, KERNEL_SIGSET_BYTES) > 0;
}

// A FIFO has no transfers that do not wait but through a description that is so.
static long move_through_own(const struct phi_call *c, bool writing)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/self/fd/%d", (int)c->arg[0]);
	int own = (int)syscall(SYS_openat, AT_FDCWD, path,
	                       (writing ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_CLOEXEC);
	if (own < 0)
		return -ENOSYS;
	long r = syscall(c->number, own, c->arg[1], c->arg[2]);
	int e = errno;
	phi_close(own);
	return r < 0 ? -e : r;
}

static bool never_sleeps(int fd, struct stat *st)
{
	int flags = fcntl(fd, F_GETFL);
	return flags < 0 || (flags & O_NONBLOCK) || fstat(fd, st) != 0 || S_ISREG(st->st_mode) ||
	       S_ISDIR(st->st_mode) || S_ISBLK(st->st_mode);
}

static long move_without_sleep(const struct phi_call *c, bool writing)
{
	struct stat st;
	int fd = (int)c->arg[0];
	if (never_sleeps(fd, &st))
		return call_anyway(c);
	long r = syscall(writing ? SYS_pwritev2 : SYS_preadv2, fd, c->arg[1], c->arg[2], -1L, -1L,
	                 RWF_NOWAIT);
	r = r < 0 ? -errno : r;
	if ((r == -EOPNOTSUPP || r == -EINVAL || r == -ENOSYS) && S_ISFIFO(st.st_mode))
		r = move_through_own(c, writing);
	if (r == -EOPNOTSUPP || r == -EINVAL || r == -ENOSYS)
		r = is_ready(fd, writing ? POLLOUT : POLLIN) ? call_anyway(c) : -EINTR;
	return r == -EAGAIN ? -EINTR : r;
}

static ssize_t move(int fd, const struct iovec *iov, int count, bool writing)
{
	bool refused;
	const struct phi_call c = {writing ? SYS_writev : SYS_readv, {fd, (long)iov, count}};
	long r = call(&c, &refused);
	return refused ? move_without_sleep(&c, writing) : r;
}

static ssize_t result(ssize_t r)
{
	return r < 0 ? -errno : r;
}

ssize_t phi_kernel_readv(int fd, const struct iovec *iov, int count)
{
	return due_is_used() ? move(fd, iov, count, false) : result(readv(fd, iov, count));
}

ssize_t phi_kernel_read(int fd, void *buf, size_t bytes)
{
	struct iovec iov = {buf, bytes <= SSIZE_MAX ? bytes : SSIZE_MAX};
	return due_is_used() ? move(fd, &iov, 1, false) : result(read(fd, buf, bytes));
}

ssize_t phi_kernel_writev(int fd, const struct iovec *iov, int count)
{
	return due_is_used() ? move(fd, iov, count, true) : result(writev(fd, iov, count));
}

ssize_t phi_kernel_write(int fd, const void *buf, size_t bytes)
{
	struct iovec iov = {(void *)buf, bytes <= SSIZE_MAX ? bytes : SSIZE_MAX};
	return due_is_used() ? move(fd, &iov, 1, true) : result(write(fd, buf, bytes));
}

// ---- opening ----

static bool leads_to_fifo(int dir, const char *path)
{
	struct stat st;
	return fstatat(dir, path, &st, 0) == 0 && S_ISFIFO(st.st_mode);
}

// Of a FIFO the end for writing tells whether there is a reader; that for reading does not tell of writers.
static int open_without_sleep(const struct phi_call *c)
{
	int dir = (int)c->arg[0];
	const char *path = (const char *)c->arg[1];
	int flags = (int)c->arg[2];
	if ((flags & O_NONBLOCK) || (flags & O_ACCMODE) == O_RDWR || !leads_to_fifo(dir, path))
		return (int)call_anyway(c);
	if ((flags & O_ACCMODE) != O_WRONLY)
		return -EINTR;
	int fd = (int)syscall(SYS_openat, dir, path, (long)(flags | O_NONBLOCK), c->arg[3]);
	if (fd < 0)
		return errno == ENXIO ? -EINTR : -errno;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	return fd;
}

int phi_kernel_openat(int dir, const char *path, int flags, mode_t mode)
{
	bool refused;
	const struct phi_call c = {SYS_openat, {dir, (long)path, flags, (long)mode}};
	if (!due_is_used())
		return (int)result(openat(dir, path, flags, mode));
	long r = call(&c, &refused);
	return refused ? open_without_sleep(&c) : (int)r;
}

// ---- locks ----

int phi_kernel_lock(int fd, int command, struct flock *lock)
{
	bool refused;
	const struct phi_call c = {SYS_fcntl, {fd, command, (long)lock}};
	if (!due_is_used())
		return (int)result(fcntl(fd, command, lock));
	long r = call(&c, &refused);
	if (!refused)
		return (int)r;
	r = result(fcntl(fd, command == F_SETLKW ? F_SETLK : F_OFD_SETLK, lock));
	return r == -EAGAIN || r == -EACCES ? -EINTR : (int)r;
}

// ---- readiness, signals ----

static bool is_now(const struct timespec *left)
{
	return left != NULL && left->tv_sec == 0 && left->tv_nsec == 0;
}

// A call that was refused, with no time in place of what was left. `nothing` is its answer when that is over.
static long look_at_once(struct phi_call c, int timeout_at, const struct timespec *left,
                         long nothing)
{
	struct timespec none = at_once;
	c.arg[timeout_at] = (long)&none;
	long r = call_anyway(&c);
	return r == nothing && !is_now(left) ? -EINTR : r;
}

int phi_kernel_poll(struct pollfd *fds, nfds_t n, struct timespec *left, const sigset_t *mask)
{
	bool refused = false;
	const struct phi_call c = {SYS_ppoll,
	                           {(long)fds, (long)n, (long)left, (long)mask, KERNEL_SIGSET_BYTES}};
	long r = due_is_used() ? call(&c, &refused) : call_anyway(&c);
	return (int)(refused ? look_at_once(c, 2, left, 0) : r);
}

// The sets stay as they were if it is -EINTR.
static long select_at_once(const struct phi_call *c, const struct timespec *left)
{
	fd_set before[3];
	if (c->arg[0] > FD_SETSIZE)
		return -EINTR;
	size_t bytes = c->arg[0] < 0 ? 0 : ((size_t)c->arg[0] + 63) / 64 * 8;
	for (int i = 0; i < 3; i++)
		if (c->arg[1 + i] != 0)
			memcpy(&before[i], (void *)c->arg[1 + i], bytes);
	long r = look_at_once(*c, 4, left, 0);
	for (int i = 0; r == -EINTR && i < 3; i++)
		if (c->arg[1 + i] != 0)
			memcpy((void *)c->arg[1 + i], &before[i], bytes);
	return r;
}

int phi_kernel_select(int n, fd_set *set[3], struct timespec *left, const sigset_t *mask)
{
	const struct {
		const sigset_t *mask;
		size_t bytes;
	} arg = {mask, KERNEL_SIGSET_BYTES};
	bool refused = false;
	const struct phi_call c = {
		SYS_pselect6, {n, (long)set[0], (long)set[1], (long)set[2], (long)left, (long)&arg}};
	long r = due_is_used() ? call(&c, &refused) : call_anyway(&c);
	return (int)(refused ? select_at_once(&c, left) : r);
}

int phi_kernel_take(uint64_t signals, siginfo_t *info, const struct timespec *left)
{
	bool refused = false;
	const struct phi_call c = {SYS_rt_sigtimedwait,
	                           {(long)&signals, (long)info, (long)left, KERNEL_SIGSET_BYTES}};
	long r = due_is_used() ? call(&c, &refused) : call_anyway(&c);
	return (int)(refused ? look_at_once(c, 2, left, -EAGAIN) : r);
}

int phi_kernel_suspend(uint64_t mask)
{
	bool refused = false;
	const struct phi_call c = {SYS_rt_sigsuspend, {(long)&mask, KERNEL_SIGSET_BYTES}};
	return (int)(due_is_used() ? call(&c, &refused) : call_anyway(&c));
}

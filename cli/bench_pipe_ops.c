// SPDX-License-Identifier: MIT
//
// The two contestants of the room pipe: the library's pipes and the kernel's. Both are anonymous and
// come to the workers by fork, each of which closes the end that it has no use for.
//
// A message that a pipe gives in pieces is read until it is whole. A stranger, who does not use the
// library, makes bare system calls: the library does not see that there is one.
#define _GNU_SOURCE
#include "bench_load.h"

#include <posthaste/pipe.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define USUAL_SIZE 65536

// The calls of a process.
struct calls {
	int (*pipe2)(int fds[2], int flags);
	int (*control)(int fd, int command, ...);
	int (*close)(int fd);
	ssize_t (*read)(int fd, void *buf, size_t bytes);
	ssize_t (*write)(int fd, const void *buf, size_t bytes);
};

// The library provides close itself.
static int close_unseen(int fd)
{
	return (int)syscall(SYS_close, fd);
}

static const struct calls OURS = {ph_pipe2, ph_fcntl, ph_close, ph_read, ph_write};
static const struct calls KERNELS = {pipe2, fcntl, close, read, write};

// A pair of which one side is a stranger, by enum bench_stranger: a process at one end only makes only
// the calls of that end.
static const struct calls TO_STRANGER = {ph_pipe2, ph_fcntl, ph_close, read, ph_write};
static const struct calls FROM_STRANGER = {ph_pipe2, ph_fcntl, ph_close, ph_read, write};
static const struct calls STRANGERS = {pipe2, fcntl, close_unseen, read, write};

static void close_both(const struct calls *calls, struct bench_end *end)
{
	for (int i = 0; i < 2; i++) {
		if (end->fds[i] >= 0)
			calls->close(end->fds[i]);
		end->fds[i] = -1;
	}
}

static int create(const struct calls *calls, struct bench_end *end)
{
	if (calls->pipe2(end->fds, O_CLOEXEC) != 0)
		return -1;
	if (end->pipe_size != USUAL_SIZE)
		calls->control(end->fds[1], F_SETPIPE_SZ, (int)end->pipe_size);
	const int size = calls->control(end->fds[1], F_GETPIPE_SZ);
	if (size <= 0) {
		close_both(calls, end);
		return -1;
	}
	end->pipe_size = (size_t)size;
	return 0;
}

static int attach(const struct calls *calls, struct bench_end *end)
{
	int status = 0;
	end->state = (void *)calls;
	end->fd = end->fds[0];
	if (end->role == BENCH_BOTH)
		return 0;
	if (end->role == BENCH_POLLER)
		status = calls->control(end->fds[0], F_SETFL, O_RDONLY | O_NONBLOCK);
	const int unused = end->role == BENCH_SENDER ? 0 : 1;
	if (calls->close(end->fds[unused]) != 0)
		status = -1;
	end->fds[unused] = -1;
	return status;
}

static int send_all(struct bench_end *end, const void *data, size_t len, unsigned prio)
{
	const struct calls *calls = end->state;
	(void)prio;
	const ssize_t done = calls->write(end->fds[1], data, len);
	if (done >= 0 && (size_t)done != len)
		errno = EIO; // a blocking write that no signal disturbs is whole
	return done == (ssize_t)len ? 0 : -1;
}

static ssize_t receive_all(struct bench_end *end, void *data, size_t room, unsigned *prio)
{
	const struct calls *calls = end->state;
	size_t len = 0;
	(void)prio;
	while (len < room) {
		const ssize_t got = calls->read(end->fds[0], (char *)data + len, room - len);
		if (got == 0)
			errno = EPIPE;
		if (got <= 0)
			return -1;
		len += (size_t)got;
	}
	return (ssize_t)len;
}

static ssize_t receive_some(struct bench_end *end, void *data, size_t room)
{
	const struct calls *calls = end->state;
	const ssize_t got = calls->read(end->fds[0], data, room);
	if (got == 0)
		errno = EPIPE;
	if (got > 0)
		return got;
	return got < 0 && errno == EAGAIN ? 0 : -1;
}

static int our_create(struct bench_end *end)
{
	if (create(&OURS, end) != 0)
		return -1;
	if (end->c->kernels && ph_export(end->fds[0]) != 0) {
		close_both(&OURS, end);
		return -1;
	}
	return 0;
}

static void our_destroy(struct bench_end *end)
{
	close_both(&OURS, end);
}

static int our_attach(struct bench_end *end)
{
	const bool sends = end->role == BENCH_SENDER, receives = end->role == BENCH_RECEIVER;
	switch (end->c->stranger) {
	case BENCH_FOREIGN_RECEIVER: return attach(receives ? &STRANGERS : &TO_STRANGER, end);
	case BENCH_FOREIGN_SENDER: return attach(sends ? &STRANGERS : &FROM_STRANGER, end);
	case BENCH_NOBODY: break;
	}
	return attach(&OURS, end);
}

// In place only what is whole by promise: up to PIPE_BUF, in one piece since the ring's size is a
// multiple of it.
static void *our_reserve(struct bench_end *end)
{
	struct iovec iov[2];
	int count = 0;
	const ssize_t room = ph_pipe_reserve(end->fds[1], end->size, iov, &count);
	if (room < 0)
		return NULL;
	errno = EMSGSIZE;
	return count == 1 && iov[0].iov_len == end->size ? iov[0].iov_base : NULL;
}

static int our_commit(struct bench_end *end, size_t len, unsigned prio)
{
	(void)prio;
	return ph_pipe_commit(end->fds[1], len) == (ssize_t)len ? 0 : -1;
}

static const void *our_borrow(struct bench_end *end, size_t *len)
{
	struct iovec iov[2];
	int count = 0;
	const ssize_t there = ph_pipe_peek(end->fds[0], iov, &count);
	if (there < 0)
		return NULL;
	errno = EMSGSIZE;
	*len = end->size;
	return count > 0 && iov[0].iov_len >= end->size ? iov[0].iov_base : NULL;
}

static int our_release(struct bench_end *end)
{
	return ph_pipe_consume(end->fds[0], end->size);
}

const struct bench_ops bench_pipe_posthaste = {
	.name = "posthaste",
	.create = our_create,
	.destroy = our_destroy,
	.attach = our_attach,
	.send = send_all,
	.receive = receive_all,
	.receive_some = receive_some,
	.reserve = our_reserve,
	.commit = our_commit,
	.borrow = our_borrow,
	.release = our_release,
};

static int kernel_create(struct bench_end *end)
{
	return create(&KERNELS, end);
}

static void kernel_destroy(struct bench_end *end)
{
	close_both(&KERNELS, end);
}

static int kernel_attach(struct bench_end *end)
{
	return attach(&KERNELS, end);
}

const struct bench_ops bench_pipe_kernel = {
	.name = "kernel",
	.create = kernel_create,
	.destroy = kernel_destroy,
	.attach = kernel_attach,
	.send = send_all,
	.receive = receive_all,
	.receive_some = receive_some,
};

// SPDX-License-Identifier: MIT
//
// UNIX socket pairs, as what programs take instead of a pipe. Built twice: PEER_NAME with
// PEER_SOCKET, SOCK_STREAM or SOCK_SEQPACKET.
//
// The send buffer is asked to be as large as the pipe. Longer messages than a quarter of it go in
// pieces: a packet must fit, and with that share both sides keep copying.
#define _GNU_SOURCE
#include "peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool can(const struct bench_case *c)
{
	return c->kind != BENCH_EVENTS && c->kind != BENCH_IDLE && !c->zero_copy && !c->kernels &&
	       c->stranger == BENCH_NOBODY;
}

// The kernel doubles what it is asked for, as its own records count against it.
static int create(struct bench_end *end)
{
	int size = (int)end->pipe_size;
	socklen_t len = sizeof(size);
	if (socketpair(AF_UNIX, PEER_SOCKET | SOCK_CLOEXEC, 0, end->fds) != 0)
		return -1;
	if (setsockopt(end->fds[1], SOL_SOCKET, SO_SNDBUFFORCE, &size, len) != 0)
		setsockopt(end->fds[1], SOL_SOCKET, SO_SNDBUF, &size, len);
	if (getsockopt(end->fds[1], SOL_SOCKET, SO_SNDBUF, &size, &len) != 0)
		return -1;
	end->pipe_size = (size_t)size / 2;
	return 0;
}

static void destroy(struct bench_end *end)
{
	close(end->fds[0]);
	close(end->fds[1]);
}

static int attach(struct bench_end *end)
{
	if (end->role == BENCH_SENDER || end->role == BENCH_RECEIVER)
		close(end->fds[end->role == BENCH_SENDER ? 0 : 1]);
	return 0;
}

static int send_message(struct bench_end *end, const void *data, size_t len, unsigned prio)
{
	const size_t most = end->pipe_size / 4;
	(void)prio;
	for (size_t at = 0; at < len;) {
		const size_t piece = len - at < most ? len - at : most;
		const ssize_t done = send(end->fds[1], (const char *)data + at, piece, MSG_NOSIGNAL);
		if (done <= 0)
			return -1;
		at += (size_t)done;
	}
	return 0;
}

static ssize_t receive_message(struct bench_end *end, void *data, size_t room, unsigned *prio)
{
	size_t len = 0;
	(void)prio;
	while (len < room) {
		const ssize_t got = recv(end->fds[0], (char *)data + len, room - len, 0);
		if (got == 0)
			errno = EPIPE;
		if (got <= 0)
			return -1;
		len += (size_t)got;
	}
	return (ssize_t)len;
}

static const struct bench_ops SOCKET = {
	.name = PEER_NAME,
	.create = create,
	.destroy = destroy,
	.attach = attach,
	.send = send_message,
	.receive = receive_message,
	.can = can,
};

int main(int argc, char **argv)
{
	return peer_main(argc, argv, "pipe", bench_pipe_cases, &SOCKET);
}

// SPDX-License-Identifier: MIT
//
// The kernel's pipe without the writer's copy: vmsplice(2) lends the writer's pages to the pipe, and
// the reader copies out of them.
//
// A lent page must not be written to before the reader has it. Nothing tells when that is, but the
// pipe's size bounds it: what was lent before the last pipe_size bytes has left the pipe. So the
// messages go round in a pool whose other slots hold at least pipe_size bytes.
#define _GNU_SOURCE
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define USUAL_SIZE 65536
#define PAGE 4096

struct pool {
	char *slots;
	size_t n, at;
};

static bool can(const struct bench_case *c)
{
	return c->kind == BENCH_STREAM && c->size % PAGE == 0 && c->size >= USUAL_SIZE &&
	       !c->zero_copy && !c->kernels && c->stranger == BENCH_NOBODY;
}

static int create(struct bench_end *end)
{
	if (pipe2(end->fds, O_CLOEXEC) != 0)
		return -1;
	if (end->pipe_size != USUAL_SIZE)
		fcntl(end->fds[1], F_SETPIPE_SZ, (int)end->pipe_size);
	end->pipe_size = (size_t)fcntl(end->fds[1], F_GETPIPE_SZ);
	return 0;
}

static void destroy(struct bench_end *end)
{
	close(end->fds[0]);
	close(end->fds[1]);
}

static int attach(struct bench_end *end)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	end->state = pool;
	if (!pool)
		return -1;
	close(end->fds[end->role == BENCH_SENDER ? 0 : 1]);
	pool->n = (end->pipe_size + end->size - 1) / end->size + 1;
	pool->slots =
		mmap(NULL, pool->n * end->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pool->slots == MAP_FAILED)
		return -1;
	memset(pool->slots, 'x', pool->n * end->size);
	return 0;
}

static void *reserve(struct bench_end *end)
{
	struct pool *pool = end->state;
	return pool->slots + pool->at * end->size;
}

static int commit(struct bench_end *end, size_t len, unsigned prio)
{
	struct pool *pool = end->state;
	struct iovec left = {reserve(end), len};
	(void)prio;
	while (left.iov_len > 0) {
		const ssize_t done = vmsplice(end->fds[1], &left, 1, 0);
		if (done <= 0)
			return -1;
		left.iov_base = (char *)left.iov_base + done;
		left.iov_len -= (size_t)done;
	}
	pool->at = (pool->at + 1) % pool->n;
	return 0;
}

static ssize_t receive(struct bench_end *end, void *data, size_t room, unsigned *prio)
{
	size_t len = 0;
	(void)prio;
	while (len < room) {
		const ssize_t got = read(end->fds[0], (char *)data + len, room - len);
		if (got == 0)
			errno = EPIPE;
		if (got <= 0)
			return -1;
		len += (size_t)got;
	}
	return (ssize_t)len;
}

static const struct bench_ops VMSPLICE = {
	.name = "vmsplice",
	.create = create,
	.destroy = destroy,
	.attach = attach,
	.receive = receive,
	.reserve = reserve,
	.commit = commit,
	.one_to_one = true,
	.can = can,
};

int main(int argc, char **argv)
{
	return peer_main(argc, argv, "pipe", bench_pipe_cases, &VMSPLICE);
}

// SPDX-License-Identifier: MIT
//
// The physical limit for a byte stream: one writer copies into memory that fork shares, one reader
// copies out of it, and both poll. It has no sleeping, no recovery, no second writer and no end of
// file; what a real pipe costs more than this is the price of all that.
//
// The memory is mapped twice in a row, so that a copy never splits. Long messages go in pieces, so
// that the two copies overlap.
#define _GNU_SOURCE
#include "peer.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LINE 64
#ifndef PIECE
#define PIECE 16384
#endif

struct cursors {
	_Alignas(LINE) _Atomic uint64_t put;
	_Alignas(LINE) _Atomic uint64_t got;
};

struct stream {
	struct cursors *shared;
	char *bytes; // size of them, and the same once more
	size_t size;
	// A process's private view: its own cursor, and the other's as last read.
	_Alignas(LINE) uint64_t put, got_seen;
	_Alignas(LINE) uint64_t got, put_seen;
};

static bool can(const struct bench_case *c)
{
	// On one CPU polling is no limit of anything.
	return c->kind != BENCH_EVENTS && c->layout != BENCH_ONE_CPU && !c->zero_copy && !c->kernels &&
	       c->stranger == BENCH_NOBODY;
}

static char *map_twice(size_t size)
{
	const int fd = memfd_create("bench", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
		return NULL;
	char *at = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; at != MAP_FAILED && i < 2; i++) {
		if (mmap(at + (size_t)i * size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		         0) == MAP_FAILED)
			at = MAP_FAILED;
	}
	close(fd);
	return at == MAP_FAILED ? NULL : at;
}

static int create(struct bench_end *end)
{
	struct stream *s = aligned_alloc(LINE, sizeof(*s));
	if (!s)
		return -1;
	memset(s, 0, sizeof(*s));
	s->size = end->pipe_size;
	s->bytes = map_twice(s->size);
	s->shared =
		mmap(NULL, sizeof(*s->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!s->bytes || s->shared == MAP_FAILED) {
		errno = ENOMEM;
		return -1;
	}
	end->state = s;
	return 0;
}

static void destroy(struct bench_end *end)
{
	struct stream *s = end->state;
	munmap(s->bytes, 2 * s->size);
	munmap(s->shared, sizeof(*s->shared));
	free(s);
}

// A page that this process has not touched yet would be a fault later.
static int attach(struct bench_end *end)
{
	const struct stream *s = end->state;
	volatile char touch;
	for (size_t at = 0; at < 2 * s->size; at += 4096)
		touch = s->bytes[at];
	(void)touch;
	return 0;
}

static inline void pause_cpu(unsigned round)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
	if (round % 1024 == 1023)
		sched_yield(); // the other side may need this very CPU
}

// Wait until what lies between a cursor and the other's leaves `least`; how much there is.
static size_t room(struct stream *s, size_t least)
{
	for (unsigned i = 0; s->size - (s->put - s->got_seen) < least; i++) {
		s->got_seen = atomic_load_explicit(&s->shared->got, memory_order_acquire);
		if (s->size - (s->put - s->got_seen) < least)
			pause_cpu(i);
	}
	return s->size - (s->put - s->got_seen);
}

static size_t there(struct stream *s, size_t least)
{
	for (unsigned i = 0; s->put_seen - s->got < least; i++) {
		s->put_seen = atomic_load_explicit(&s->shared->put, memory_order_acquire);
		if (s->put_seen - s->got < least)
			pause_cpu(i);
	}
	return s->put_seen - s->got;
}

static int send_message(struct bench_end *end, const void *data, size_t len, unsigned prio)
{
	struct stream *s = end->state;
	(void)prio;
	for (size_t at = 0; at < len;) {
		const size_t piece = len - at < PIECE ? len - at : PIECE;
		room(s, piece);
		memcpy(s->bytes + s->put % s->size, (const char *)data + at, piece);
		s->put += piece;
		atomic_store_explicit(&s->shared->put, s->put, memory_order_release);
		at += piece;
	}
	return 0;
}

static ssize_t receive_message(struct bench_end *end, void *data, size_t size, unsigned *prio)
{
	struct stream *s = end->state;
	(void)prio;
	for (size_t at = 0; at < size;) {
		const size_t piece = size - at < PIECE ? size - at : PIECE;
		there(s, piece);
		memcpy((char *)data + at, s->bytes + s->got % s->size, piece);
		s->got += piece;
		atomic_store_explicit(&s->shared->got, s->got, memory_order_release);
		at += piece;
	}
	return (ssize_t)size;
}

static const struct bench_ops LIMIT = {
	.name = "limit",
	.create = create,
	.destroy = destroy,
	.attach = attach,
	.send = send_message,
	.receive = receive_message,
	.one_to_one = true,
	.can = can,
};

int main(int argc, char **argv)
{
	return peer_main(argc, argv, "pipe", bench_pipe_cases, &LIMIT);
}

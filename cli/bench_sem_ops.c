// SPDX-License-Identifier: MIT
//
// The two contestants of the room sem: the library's semaphores and the C library's.
//
// They differ in nothing but the prefix of their calls, so CONTESTANT writes the functions of both. An
// unnamed private semaphore lives in the worker, a shared one in memory that the leader maps before it
// forks, and a named one is opened by each worker for itself.
#define _GNU_SOURCE
#include "bench_load.h"

#include <posthaste/semaphore.h>

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/mman.h>

#define SHARED_BYTES 4096

static int shared_memory(struct bench_end *end)
{
	end->state =
		mmap(NULL, SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return end->state == MAP_FAILED ? -1 : 0;
}

static int private_memory(struct bench_end *end)
{
	end->state = aligned_alloc(64, 64);
	return end->state ? 0 : -1;
}

// The flags of a new named semaphore, and what the C library's has none of.
static int posthaste_flags(const struct bench_end *end)
{
	return O_CREAT | O_EXCL | (end->c->holders ? PH_SEM_HOLDERS : 0);
}

static int libc_flags(const struct bench_end *end)
{
	(void)end;
	return O_CREAT | O_EXCL;
}

// NOLINTBEGIN(bugprone-macro-parentheses): they are prefixes of names
#define CONTESTANT(side, call)                                                      \
	static int side##_create(struct bench_end *end)                                 \
	{                                                                               \
		const unsigned units = (unsigned)end->c->depth;                             \
		if (end->c->scope == BENCH_PRIVATE)                                         \
			return 0;                                                               \
		if (end->c->scope == BENCH_SHARED)                                          \
			return shared_memory(end) == 0 ? call##init(end->state, 1, units) : -1; \
		end->state = call##open(end->name, side##_flags(end), 0600, units);         \
		return end->state == SEM_FAILED ? -1 : 0;                                   \
	}                                                                               \
                                                                                    \
	static void side##_destroy(struct bench_end *end)                               \
	{                                                                               \
		if (end->c->scope == BENCH_SHARED) {                                        \
			call##destroy(end->state);                                              \
			munmap(end->state, SHARED_BYTES);                                       \
		} else if (end->c->scope == BENCH_NAMED) {                                  \
			call##close(end->state);                                                \
			call##unlink(end->name);                                                \
		}                                                                           \
	}                                                                               \
                                                                                    \
	static int side##_attach(struct bench_end *end)                                 \
	{                                                                               \
		if (end->c->scope == BENCH_PRIVATE)                                         \
			return private_memory(end) == 0 ? call##init(end->state, 0, 1) : -1;    \
		if (end->c->scope == BENCH_NAMED)                                           \
			end->state = call##open(end->name, 0);                                  \
		return end->state == SEM_FAILED ? -1 : 0;                                   \
	}                                                                               \
                                                                                    \
	static int side##_post(struct bench_end *end)                                   \
	{                                                                               \
		return call##post(end->state);                                              \
	}                                                                               \
                                                                                    \
	static int side##_wait(struct bench_end *end)                                   \
	{                                                                               \
		return call##wait(end->state);                                              \
	}                                                                               \
                                                                                    \
	static int side##_pairs(struct bench_end *end, uint64_t n)                      \
	{                                                                               \
		sem_t *sem = end->state;                                                    \
		int failed = 0;                                                             \
		for (uint64_t i = 0; i < n; i++) {                                          \
			failed |= call##wait(sem);                                              \
			failed |= call##post(sem);                                              \
		}                                                                           \
		return failed;                                                              \
	}                                                                               \
                                                                                    \
	static long side##_units(struct bench_end *end)                                 \
	{                                                                               \
		int units = 0;                                                              \
		return call##getvalue(end->state, &units) == 0 ? units : -1;                \
	}                                                                               \
                                                                                    \
	const struct bench_ops bench_sem_##side = {                                     \
		.name = SIDE_NAME_##side,                                                   \
		.create = side##_create,                                                    \
		.destroy = side##_destroy,                                                  \
		.attach = side##_attach,                                                    \
		.post = side##_post,                                                        \
		.wait = side##_wait,                                                        \
		.pairs = side##_pairs,                                                      \
		.units = side##_units,                                                      \
	}
// NOLINTEND(bugprone-macro-parentheses)

#define SIDE_NAME_posthaste "posthaste"
#ifdef __GLIBC__
#define SIDE_NAME_libc "glibc"
#else
#define SIDE_NAME_libc "libc"
#endif

CONTESTANT(posthaste, ph_sem_);
CONTESTANT(libc, sem_);

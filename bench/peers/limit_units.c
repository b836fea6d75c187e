// SPDX-License-Identifier: MIT
//
// What two CPUs can do: a semaphore that is a number in shared memory, polled. No sleeping, no
// recovery, nobody who wakes anybody. Where the other side may need the very CPU, it is given away now
// and then.
#define _GNU_SOURCE
#include "peer.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define BYTES 4096

static int create(struct bench_end *end)
{
	_Atomic uint32_t *units =
		mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	end->state = (void *)units;
	if (units == MAP_FAILED)
		return -1;
	atomic_store(units, (uint32_t)end->c->depth);
	return 0;
}

static void destroy(struct bench_end *end)
{
	munmap(end->state, BYTES);
}

static int attach(struct bench_end *end)
{
	(void)end; // inherited
	return 0;
}

static inline void pause_cpu(unsigned round)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
	if (round % 1024 == 1023)
		sched_yield();
}

static inline void give(_Atomic uint32_t *units)
{
	atomic_fetch_add_explicit(units, 1, memory_order_release);
}

static inline void take(_Atomic uint32_t *units)
{
	for (unsigned i = 0;; i++) {
		uint32_t n = atomic_load_explicit(units, memory_order_relaxed);
		if (n > 0 && atomic_compare_exchange_weak_explicit(units, &n, n - 1, memory_order_acquire,
		                                                   memory_order_relaxed))
			return;
		if (n == 0)
			pause_cpu(i);
	}
}

static int post(struct bench_end *end)
{
	give(end->state);
	return 0;
}

static int await(struct bench_end *end)
{
	take(end->state);
	return 0;
}

static int pairs(struct bench_end *end, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		take(end->state);
		give(end->state);
	}
	return 0;
}

static long units(struct bench_end *end)
{
	return atomic_load((_Atomic uint32_t *)end->state);
}

// Where it would burn a CPU that others need it says nothing.
static bool can(const struct bench_case *c)
{
	return c->kind == BENCH_SAME || (c->layout == BENCH_SPLIT && !c->holders);
}

static const struct bench_ops LIMIT = {
	.name = "limit",
	.create = create,
	.destroy = destroy,
	.attach = attach,
	.post = post,
	.wait = await,
	.pairs = pairs,
	.units = units,
	.can = can,
};

int main(int argc, char **argv)
{
	return peer_main(argc, argv, "sem", bench_sem_cases, &LIMIT);
}

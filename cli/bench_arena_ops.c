// SPDX-License-Identifier: MIT
//
// The contestants for blocks in shared memory: the library's arena, which all processes of a case share,
// and malloc, of which each process has its own: with several processes that is the most one could hope
// for.
#define _GNU_SOURCE
#include "bench_load.h"

#include <posthaste/shm.h>

#include <stdint.h>
#include <stdlib.h>

#define ARENA_BYTES ((size_t)64 << 20)

static int our_create(struct bench_end *end)
{
	void *memory = ph_shm_map(end->name, ARENA_BYTES, PH_SHM_CREATE | PH_SHM_EXCL, 0600, 0);
	if (!memory || ph_arena_make(memory, ARENA_BYTES) != 0)
		return -1;
	return ph_shm_unmap(memory);
}

static void our_destroy(struct bench_end *end)
{
	ph_shm_unlink(end->name);
}

static int our_attach(struct bench_end *end)
{
	void *memory = ph_shm_map(end->name, 0, 0, 0, 0);
	end->state = memory ? ph_arena_attach(memory, ARENA_BYTES) : NULL;
	return end->state ? 0 : -1;
}

static uint64_t our_allocate(struct bench_end *end, size_t bytes)
{
	return ph_arena_alloc(end->state, bytes);
}

static int our_deallocate(struct bench_end *end, uint64_t block)
{
	return ph_arena_free(end->state, block);
}

static void *our_address(struct bench_end *end, uint64_t block)
{
	return ph_arena_at(end->state, block);
}

const struct bench_ops bench_arena_posthaste = {
	.name = "posthaste",
	.create = our_create,
	.destroy = our_destroy,
	.attach = our_attach,
	.allocate = our_allocate,
	.deallocate = our_deallocate,
	.address = our_address,
};

// ---- malloc ----

static int malloc_create(struct bench_end *end)
{
	(void)end;
	return 0;
}

static void malloc_destroy(struct bench_end *end)
{
	(void)end;
}

static uint64_t malloc_allocate(struct bench_end *end, size_t bytes)
{
	(void)end;
	return (uintptr_t)malloc(bytes);
}

static int malloc_deallocate(struct bench_end *end, uint64_t block)
{
	(void)end;
	free((void *)(uintptr_t)block);
	return 0;
}

static void *malloc_address(struct bench_end *end, uint64_t block)
{
	(void)end;
	return (void *)(uintptr_t)block;
}

const struct bench_ops bench_arena_malloc = {
	.name = "malloc",
	.create = malloc_create,
	.destroy = malloc_destroy,
	.attach = malloc_create,
	.allocate = malloc_allocate,
	.deallocate = malloc_deallocate,
	.address = malloc_address,
};

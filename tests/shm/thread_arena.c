// SPDX-License-Identifier: MIT
//
// Threads of one process in an arena: their own slabs, each other's blocks, more of them than there are records,
// coming and going.
#include "arena.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 4, BOARD = 64, STEPS = 20000, CROWD = 40 };

static struct ph_arena *arena;
static uint64_t board[BOARD];
static pthread_barrier_t everybody;

static unsigned next_random(unsigned *state)
{
	*state = *state * 1103515245 + 12345;
	return *state >> 8;
}

// What stands on the board is filled with what its first bytes say.
static void free_filled(uint64_t offset)
{
	if (offset == 0)
		return;
	CHECK(is_filled(arena, offset, *(unsigned char *)ph_arena_at(arena, offset)));
	CHECK_OK(ph_arena_free(arena, offset));
}

static void *exchange_blocks(void *arg)
{
	unsigned state = (unsigned)(uintptr_t)arg;

	for (int i = 0; i < STEPS; i++) {
		const unsigned r = next_random(&state);
		const size_t bytes = r % 64 == 0 ? 9000 + r % 9000 : 1 + r % 700;
		const uint64_t offset = alloc_filled(arena, bytes, (unsigned char)r);
		CHECK(offset != 0);
		free_filled(
			__atomic_exchange_n(&board[next_random(&state) % BOARD], offset, __ATOMIC_ACQ_REL));
	}
	return NULL;
}

static void run_threads(int n, void *(*fn)(void *))
{
	pthread_t threads[CROWD];

	for (int i = 0; i < n; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, fn, (void *)(uintptr_t)(i + 1)), 0);
	for (int i = 0; i < n; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

TEST(arena_threads_free_each_others_blocks)
{
	arena = new_arena(8 << 20);
	run_threads(THREADS, exchange_blocks);
	for (int i = 0; i < BOARD; i++)
		free_filled(board[i]);
	CHECK_EQ(report_of(arena).used_blocks, 0);
	ph_arena_detach(arena);
}

// An arena of 64 KiB has fewer records: some of these have none of their own.
static void *be_one_of_many(void *arg)
{
	uint64_t held[8];
	char name[32];

	snprintf(name, sizeof(name), "thread %d", (int)(uintptr_t)arg);
	pthread_barrier_wait(&everybody);
	for (int round = 0; round < 40; round++) {
		for (int i = 0; i < 8; i++)
			CHECK((held[i] = alloc_filled(arena, 40, (unsigned char)(uintptr_t)arg)) != 0);
		CHECK_OK(ph_arena_bind(arena, name, held[0]));
		CHECK_EQ(ph_arena_find(arena, name), held[0]);
		CHECK_EQ(ph_arena_unbind(arena, name), held[0]);
		for (int i = 0; i < 8; i++) {
			CHECK(is_filled(arena, held[i], (unsigned char)(uintptr_t)arg));
			CHECK_OK(ph_arena_free(arena, held[i]));
		}
	}
	pthread_barrier_wait(&everybody);
	return NULL;
}

TEST(arena_serves_more_threads_than_it_has_records)
{
	arena = new_arena(PH_ARENA_MIN);
	pthread_barrier_init(&everybody, NULL, CROWD);
	run_threads(CROWD, be_one_of_many);
	CHECK_EQ(report_of(arena).used_blocks, 0);
	ph_arena_detach(arena);
}

static void *come_and_go(void *arg)
{
	CHECK(ph_arena_alloc(arena, 100) != 0);
	return arg;
}

TEST(arena_takes_back_the_places_of_threads_that_end)
{
	arena = new_arena(PH_ARENA_MIN);
	// A hundred blocks fit only if each thread goes on in the slab that the last one left.
	for (int i = 0; i < 100; i++)
		run_threads(1, come_and_go);
	const struct ph_arena_report r = report_of(arena);
	CHECK_EQ(r.used_blocks, 100);
	CHECK(r.largest_bytes >= 10 * 4096);
	ph_arena_detach(arena);
}

static void *attach_and_detach(void *at)
{
	for (int i = 0; i < 300; i++) {
		struct ph_arena *own = attach_to(at, PH_ARENA_MIN);
		const uint64_t offset = ph_arena_alloc(own, 50);
		CHECK(offset != 0);
		CHECK_OK(ph_arena_free(own, offset));
		CHECK(ph_arena_find(arena, "shared") != 0);
		ph_arena_detach(own);
	}
	return NULL;
}

TEST(arena_is_attached_and_detached_by_many_threads)
{
	pthread_t threads[THREADS];
	void *at = shared_memory(PH_ARENA_MIN);

	CHECK_OK(ph_arena_make(at, PH_ARENA_MIN));
	arena = attach_to(at, PH_ARENA_MIN);
	CHECK_OK(ph_arena_bind(arena, "shared", 4096));
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, attach_and_detach, at), 0);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(report_of(arena).used_blocks, 1);
	ph_arena_detach(arena);
}

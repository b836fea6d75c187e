// SPDX-License-Identifier: MIT
//
// tests/shm/arena.h - an arena in memory that the test and its children share.
#ifndef TESTS_SHM_ARENA_H
#define TESTS_SHM_ARENA_H

#include <posthaste/shm.h>

#include <runner.h>

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

static inline void *shared_memory(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(at != MAP_FAILED);
	return at;
}

static inline struct ph_arena *attach_to(void *at, size_t bytes)
{
	struct ph_arena *arena = ph_arena_attach(at, bytes);
	CHECK(arena != NULL);
	return arena;
}

static inline struct ph_arena *new_arena(size_t bytes)
{
	void *at = shared_memory(bytes);
	CHECK_OK(ph_arena_make(at, bytes));
	return attach_to(at, bytes);
}

static inline struct ph_arena_report report_of(struct ph_arena *arena)
{
	struct ph_arena_report r;
	CHECK_OK(ph_arena_check(arena, &r));
	return r;
}

// Allocate; the block is what was asked for, and is filled with `mark`.
static inline uint64_t alloc_filled(struct ph_arena *arena, size_t bytes, unsigned char mark)
{
	uint64_t offset = ph_arena_alloc(arena, bytes);
	if (offset == 0)
		return 0;
	CHECK(offset % 16 == 0);
	CHECK(bytes < 4096 || offset % 4096 == 0);
	CHECK(ph_arena_usable(arena, offset) >= bytes);
	memset(ph_arena_at(arena, offset), mark, ph_arena_usable(arena, offset));
	return offset;
}

static inline bool is_filled(struct ph_arena *arena, uint64_t offset, unsigned char mark)
{
	const unsigned char *at = ph_arena_at(arena, offset);
	size_t bytes = ph_arena_usable(arena, offset);
	for (size_t i = 0; i < bytes; i++)
		if (at[i] != mark)
			return false;
	return bytes > 0;
}

#endif

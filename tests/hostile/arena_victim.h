// SPDX-License-Identifier: MIT
//
// tests/hostile/arena_victim.h - an arena between two stretches of addresses that nobody may touch, and a process
// that goes on using it whatever stands in it: each of its calls ends, with success or an error that
// posthaste/shm.h names, and what it is given lies in the arena.
#ifndef TESTS_HOSTILE_ARENA_VICTIM_H
#define TESTS_HOSTILE_ARENA_VICTIM_H

#include <posthaste/shm.h>

#include <stddef.h>
#include <stdint.h>

enum { FIELD_ARENA_BYTES = 65536, HELD = 32 };

struct arena_victim {
	uint8_t *at;
	size_t bytes;
	struct ph_arena *arena;
	uint64_t held[HELD];
	uint64_t random;
	unsigned long calls, refused;
};

// Shared memory with fences around it.
uint8_t *fenced_memory(size_t bytes);

void arena_victim_begin(struct arena_victim *v, uint8_t *at, size_t bytes, uint64_t seed);
void arena_victim_end(struct arena_victim *v);

// One call, chosen at random; one of each kind.
void arena_victim_do_something(struct arena_victim *v);
void arena_victim_do_everything(struct arena_victim *v);

// Some blocks of all kinds and some names, so that there is something to spoil.
void arena_victim_settle(struct arena_victim *v);

#endif

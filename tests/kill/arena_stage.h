// SPDX-License-Identifier: MIT
//
// tests/kill/arena_stage.h - a small arena, what the survivor has in it, and the oracle.
//
// The survivor knows each of its blocks and has filled it. After the victim's death, ph_arena_check must leave
// just those, and at most one that the victim was given at the end of its call; no byte of them may have changed;
// all that is free must be there to be allocated, and none of it twice.
#ifndef KILL_ARENA_STAGE_H
#define KILL_ARENA_STAGE_H

#include "sweep.h"

#include <posthaste/shm.h>

#include <stdint.h>

enum { STAGE_BYTES = 65536, SMALL = 64, BLOCKS_MAX = 1400 };

extern struct ph_arena *arena;
extern uint64_t *slot; // a word in the arena, in a block of the survivor's: for ph_arena_alloc_to
extern uint64_t mine[BLOCKS_MAX]; // the survivor's blocks, 0 = freed
extern unsigned count;

// A fresh arena with `slot`, and one bound name, "survivor".
void stage_make(void);
uint64_t stage_alloc(size_t bytes);
void stage_free(unsigned i);
// Allocate blocks of so many bytes until there is no more.
void stage_exhaust(size_t bytes);
// A process that allocated so much dies before the call returns: while its record names the block.
void stage_dead_in_alloc(size_t bytes);
// A process that dies holding the slab of its blocks of so many bytes.
void stage_dead_holder(size_t bytes);

// All records are taken, by the living: the victim gets none of its own.
void stage_take_records(void);

// The victim has a seat, and a slab for SMALL blocks.
void stage_sit(void);

// Check. The result: how many blocks there are beside the survivor's own and `known` others. That many blocks
// must have been found and reclaimed, or KILL_EITHER.
unsigned stage_check(unsigned known, int reclaimed);
// Afterwards: fill the arena to the brim, empty it, and find it as it was made, but for `left` blocks.
void stage_end(unsigned left);

#endif

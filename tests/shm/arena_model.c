// SPDX-License-Identifier: MIT
//
// Random calls beside a model. Each process knows its blocks; a map with a byte for every 16 of the arena, which
// all share, says whose they are: nobody is ever given what another has, and every byte stays as it was written.
#include "arena.h"

#include <stdio.h>
#include <stdlib.h>

enum { PROCESSES = 4, HELD = 400, STEPS = 30000 };

struct play {
	void *at;
	size_t bytes;
	size_t most;        // of a block
	unsigned char *map; // 0 = free, else the process
	uint64_t *hand;     // blocks on their way from one process to another
	int me;
	uint64_t random;
};

struct block {
	uint64_t offset;
	size_t bytes; // as asked for
	unsigned char mark;
};

static uint64_t chance(struct play *p, uint64_t n)
{
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return p->random % n;
}

static void mark_map(struct play *p, uint64_t offset, size_t bytes, int from, int to)
{
	for (size_t i = 0; i < bytes; i += 16) {
		unsigned char expect = (unsigned char)from;
		CHECK(__atomic_compare_exchange_n(&p->map[(offset + i) / 16], &expect, (unsigned char)to,
		                                  false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	}
}

static void take(struct play *p, struct ph_arena *a, struct block *b)
{
	b->bytes = 1 + (chance(p, 8) == 0 ? chance(p, p->most) : chance(p, 300));
	b->mark = (unsigned char)chance(p, 256);
	b->offset = ph_arena_alloc(a, b->bytes);
	if (b->offset == 0) {
		CHECK_EQ(errno, ENOMEM);
		return;
	}
	const size_t usable = ph_arena_usable(a, b->offset);
	CHECK(usable >= b->bytes && b->offset + usable <= p->bytes);
	CHECK(b->offset % (b->bytes < 4096 ? 16 : 4096) == 0);
	mark_map(p, b->offset, usable, 0, p->me);
	memset(ph_arena_at(a, b->offset), b->mark, usable);
}

static void check_bytes(struct ph_arena *a, const struct block *b)
{
	CHECK(ph_arena_usable(a, b->offset) >= b->bytes);
	CHECK(is_filled(a, b->offset, b->mark));
}

static void give_back(struct play *p, struct ph_arena *a, struct block *b)
{
	check_bytes(a, b);
	mark_map(p, b->offset, ph_arena_usable(a, b->offset), p->me, 0);
	CHECK_OK(ph_arena_free(a, b->offset));
	b->offset = 0;
}

// A larger or smaller block with the same beginning.
static void move(struct play *p, struct ph_arena *a, struct block *b)
{
	struct block to;

	take(p, a, &to);
	if (to.offset == 0)
		return;
	check_bytes(a, b);
	give_back(p, a, b);
	*b = to;
}

// Another process frees it: whatever is taken from the hand is known to be of any process.
static void hand_on(struct play *p, struct ph_arena *a, struct block *b)
{
	uint64_t *place = &p->hand[chance(p, 16)];
	const size_t usable = ph_arena_usable(a, b->offset);

	check_bytes(a, b);
	mark_map(p, b->offset, usable, p->me, 255);
	const uint64_t other = __atomic_exchange_n(place, b->offset, __ATOMIC_ACQ_REL);
	b->offset = 0;
	if (other != 0) {
		mark_map(p, other, ph_arena_usable(a, other), 255, 0);
		CHECK_OK(ph_arena_free(a, other));
	}
}

static void play(void *arg)
{
	struct play p = *(struct play *)arg;
	struct ph_arena *a = attach_to(p.at, p.bytes);
	struct block *held = calloc(HELD, sizeof(*held));

	for (int i = 0; i < STEPS; i++) {
		struct block *b = &held[chance(&p, HELD)];
		const uint64_t what = chance(&p, 100);
		if (b->offset == 0)
			take(&p, a, b);
		else if (what < 20)
			hand_on(&p, a, b);
		else if (what < 30)
			move(&p, a, b);
		else if (what < 32)
			check_bytes(a, b);
		else
			give_back(&p, a, b);
		if (what == 99 && i % 16 == 0)
			CHECK_OK(ph_arena_check(a, NULL));
	}
	for (int i = 0; i < HELD; i++)
		if (held[i].offset != 0)
			give_back(&p, a, &held[i]);
	free(held);
	ph_arena_detach(a);
}

static void expect_empty(struct play *p, struct ph_arena *a, const struct ph_arena_report *fresh)
{
	for (int i = 0; i < 16; i++)
		if (p->hand[i] != 0)
			CHECK_OK(ph_arena_free(a, p->hand[i]));
	const struct ph_arena_report r = report_of(a);
	CHECK_EQ(r.used_blocks, 0);
	CHECK_EQ(r.used_bytes, 0);
	CHECK_EQ(r.reclaimed_blocks, 0);
	CHECK_EQ(r.free_bytes, fresh->free_bytes);
	CHECK_EQ(r.largest_bytes, fresh->largest_bytes);
}

static void play_together(int processes, size_t bytes, size_t most)
{
	struct play p = {.at = shared_memory(bytes), .bytes = bytes, .most = most};
	pid_t pids[PROCESSES];

	p.map = shared_memory(bytes / 16);
	p.hand = shared_memory(4096);
	CHECK_OK(ph_arena_make(p.at, bytes));
	struct ph_arena *a = attach_to(p.at, bytes);
	const struct ph_arena_report fresh = report_of(a);
	for (p.me = 1; p.me <= processes; p.me++) {
		p.random = (uint64_t)getpid() * 7919 + (uint64_t)p.me * 104729;
		pids[p.me - 1] = test_fork(play, &p);
	}
	for (int i = 0; i < processes; i++)
		test_join(pids[i]);
	expect_empty(&p, a, &fresh);
	ph_arena_detach(a);
}

TEST(arena_gives_no_byte_twice_to_one_process)
{
	play_together(1, 4 << 20, 40000);
}

TEST(arena_gives_no_byte_twice_to_four_processes)
{
	play_together(PROCESSES, 16 << 20, 40000);
}

TEST(arena_gives_no_byte_twice_when_memory_is_short)
{
	play_together(PROCESSES, 256 << 10, 9000);
}

TEST(arena_gives_no_byte_twice_in_the_smallest_arena)
{
	play_together(PROCESSES, PH_ARENA_MIN, 5000);
}

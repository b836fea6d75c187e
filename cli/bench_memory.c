// SPDX-License-Identifier: MIT
//
// What the workers of each workload do with shared memory, and with blocks allocated in it. See
// bench_load.h.
//
// New memory must be zeros: every page is touched by adding to its first byte, which is a write at once
// and tells what was there. Of each block the first and the last eight bytes bear its number, and are
// looked at before it is freed: a block that two have, or that is too short, shows.
#define _GNU_SOURCE
#include "bench_work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096
#define MAX_LIVE 4096

static void touch(struct bench_team *team, char *at, size_t bytes)
{
	unsigned before = 0;
	for (size_t i = 0; i < bytes; i += PAGE)
		before |= (unsigned char)__atomic_fetch_add(at + i, 1, __ATOMIC_RELAXED);
	if (before != 0)
		bench_fail(team, "new memory is not zeros");
}

// Of the bytes mapped at `at` those in huge pages, as a share. What the kernel tells of the mapping.
static double huge_share(const void *at, size_t bytes)
{
	char line[512];
	double huge_kib = 0;
	bool here = false;
	FILE *maps = fopen("/proc/self/smaps", "re");
	while (maps && fgets(line, sizeof(line), maps)) {
		unsigned long from, to;
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = from < (uintptr_t)at + bytes && to > (uintptr_t)at;
		else if (here && strncmp(line, "ShmemPmdMapped:", 15) == 0)
			huge_kib += strtod(line + 15, NULL);
	}
	if (maps)
		fclose(maps);
	return huge_kib * 1024 / (double)bytes;
}

// From nothing to nothing. *huge, if wanted, is looked at while it lives.
static void live_once(struct bench_team *team, const struct bench_ops *ops, struct bench_end *end,
                      double *huge)
{
	char *at = ops->make(end);
	if (!at)
		bench_fail_errno(team, "create");
	touch(team, at, end->size);
	if (huge)
		*huge = huge_share(at, end->size);
	if (ops->unmap(end, at) != 0 || ops->remove(end) != 0)
		bench_fail_errno(team, "remove");
}

void bench_life_worker(struct bench_team *team, void *arg)
{
	struct bench_load *load = arg;
	struct bench_worker *me = &team->worker[team->index];
	struct bench_end *end = &load->end[0];
	if (load->ops->attach(end) != 0)
		bench_fail_errno(team, "open");
	bench_start(team);
	for (uint64_t i = 0; i < load->count; i++)
		live_once(team, load->ops, end, NULL);
	bench_stop(team);
	me->ops = load->count;
	if (load->c->huge)
		live_once(team, load->ops, end, &me->huge);
}

void bench_visit_worker(struct bench_team *team, void *arg)
{
	struct bench_load *load = arg;
	struct bench_end *end = &load->end[0];
	if (load->ops->attach(end) != 0)
		bench_fail_errno(team, "open");
	bench_start(team);
	for (uint64_t i = 0; i < load->count; i++) {
		volatile char *at = load->ops->map(end);
		if (!at)
			bench_fail_errno(team, "open");
		at[end->size - 1] = (char)i;
		if (load->ops->unmap(end, (void *)at) != 0)
			bench_fail_errno(team, "unmap");
	}
	bench_stop(team);
	team->worker[team->index].ops = load->count;
}

// ---- blocks ----

struct block {
	uint64_t number; // the contestant's
	size_t bytes;
	uint64_t mark;
};

struct blocks {
	struct bench_team *team;
	const struct bench_ops *ops;
	struct bench_end *end;
	const struct bench_case *c;
	uint64_t random, serial;
	struct block live[MAX_LIVE];
};

static uint64_t next_random(struct blocks *b)
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return b->random;
}

// As many sizes between 16 and 32 bytes as between 2 and 4 KiB.
static size_t next_size(struct blocks *b)
{
	if (b->c->smallest == 0)
		return b->end->size;
	const uint64_t r = next_random(b);
	const size_t doublings =
		(size_t)(__builtin_ctzll(b->end->size) - __builtin_ctzll(b->c->smallest));
	const size_t from = b->c->smallest << ((r >> 8) % doublings);
	return from + 1 + (r >> 16) % from;
}

static void obtain(struct blocks *b, struct block *block)
{
	block->bytes = next_size(b);
	block->mark = ++b->serial << 8 | (uint64_t)b->team->index;
	block->number = b->ops->allocate(b->end, block->bytes);
	if (block->number == 0)
		bench_fail_errno(b->team, "allocate");
	char *at = b->ops->address(b->end, block->number);
	memcpy(at, &block->mark, sizeof(block->mark));
	memcpy(at + block->bytes - sizeof(block->mark), &block->mark, sizeof(block->mark));
}

static void dispose(struct blocks *b, struct block *block)
{
	uint64_t first, last;
	const char *at = b->ops->address(b->end, block->number);
	memcpy(&first, at, sizeof(first));
	memcpy(&last, at + block->bytes - sizeof(last), sizeof(last));
	if (first != block->mark || last != block->mark)
		bench_fail(b->team, "a block was given to two");
	if (b->ops->deallocate(b->end, block->number) != 0)
		bench_fail_errno(b->team, "free");
}

void bench_blocks_worker(struct bench_team *team, void *arg)
{
	struct bench_load *load = arg;
	struct blocks *b = calloc(1, sizeof(*b));
	const unsigned live = load->c->live;
	if (!b || live > MAX_LIVE)
		bench_fail(team, "memory");
	b->team = team;
	b->ops = load->ops;
	b->end = &load->end[0];
	b->c = load->c;
	b->random = UINT64_C(0x9e3779b97f4a7c15) * (team->index + 1);
	if (load->ops->attach(b->end) != 0)
		bench_fail_errno(team, "open");
	for (unsigned i = 0; i < live; i++)
		obtain(b, &b->live[i]);
	bench_start(team);
	for (uint64_t i = 0; i < load->count; i++) {
		struct block *block = &b->live[live > 1 ? next_random(b) % live : 0];
		dispose(b, block);
		obtain(b, block);
	}
	bench_stop(team);
	team->worker[team->index].ops = load->count;
	for (unsigned i = 0; i < live; i++)
		dispose(b, &b->live[i]);
	free(b);
}

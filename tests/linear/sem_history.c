// SPDX-License-Identifier: MIT
//
// tests/linear/sem_history.c - the search for a sequential order; see sem_history.h for what it means.
//
// The units depend only on which operations have been placed, not on their order. So a state of the search is
// that set, and one that led nowhere need not be tried again.
#include "sem_history.h"

#include <stdio.h>
#include <stdlib.h>

enum { STATES_MAX = 1 << 18, TABLE_SIZE = STATES_MAX * 2 };

struct search {
	const struct sem_history *h;
	uint64_t *seen; // sets of placed operations; 0 = a free entry
	uint32_t *used; // which entries, to clear them afterwards
	unsigned states;
};

static uint64_t hash(uint64_t x)
{
	x ^= x >> 31;
	x *= UINT64_C(0x9e3779b97f4a7c15);
	return x ^ x >> 29;
}

// True if the set is new. A full table calls nothing new: the search then ends undecided.
static bool remember(struct search *s, uint64_t placed)
{
	if (s->states == STATES_MAX)
		return false;
	for (uint64_t i = hash(placed);; i++) {
		uint64_t *entry = &s->seen[i % TABLE_SIZE];
		if (*entry == placed)
			return false;
		if (*entry == 0) {
			*entry = placed;
			s->used[s->states++] = (uint32_t)(i % TABLE_SIZE);
			return true;
		}
	}
}

// Would the counter have answered so? Then *value is what it leaves.
static bool apply(const struct sem_history *h, const struct sem_op *op, int64_t *value)
{
	switch (op->kind) {
	case OP_POST: *value += op->units; return *value <= h->most;
	case OP_TAKE: *value -= op->units; return *value >= 0;
	case OP_VALUE: return *value == op->units;
	case OP_POST_FULL: return *value + op->units > h->most;
	case OP_TAKE_EMPTY: return *value < op->units;
	}
	return false;
}

// Whoever was called after this moment cannot be next: another, not placed yet, had returned.
static int64_t horizon(const struct sem_history *h, uint64_t placed)
{
	int64_t t = INT64_MAX;
	for (unsigned i = 0; i < h->n; i++)
		if (!(placed >> i & 1) && h->ops[i].returned_ns < t)
			t = h->ops[i].returned_ns;
	return t;
}

static bool explore(struct search *s, uint64_t placed, int64_t value)
{
	const struct sem_history *h = s->h;
	const int64_t limit = horizon(h, placed);
	if (limit == INT64_MAX)
		return true;
	for (unsigned i = 0; i < h->n; i++) {
		const uint64_t with = placed | UINT64_C(1) << i;
		int64_t left = value;
		if (with == placed || h->ops[i].called_ns > limit)
			continue;
		if (apply(h, &h->ops[i], &left) && remember(s, with) && explore(s, with, left))
			return true;
	}
	return false;
}

enum sem_verdict sem_history_check(const struct sem_history *h)
{
	static struct search s;
	if (!s.seen) {
		s.seen = calloc(TABLE_SIZE, sizeof(*s.seen));
		s.used = calloc(STATES_MAX, sizeof(*s.used));
	}
	if (!s.seen || !s.used || h->n > SEM_HISTORY_MAX)
		return SEM_UNDECIDED;
	s.h = h;
	const bool found = explore(&s, 0, h->begin);
	const bool full = s.states == STATES_MAX;
	while (s.states > 0)
		s.seen[s.used[--s.states]] = 0;
	if (found)
		return SEM_LINEARIZABLE;
	return full ? SEM_UNDECIDED : SEM_NOT_LINEARIZABLE;
}

static int by_call(const void *a, const void *b)
{
	const struct sem_op *x = a;
	const struct sem_op *y = b;
	return x->called_ns < y->called_ns ? -1 : x->called_ns > y->called_ns;
}

void sem_history_print(const struct sem_history *h)
{
	static const char *const names[] = {"post", "take", "value", "post: full", "take: empty"};
	struct sem_history sorted = *h;
	qsort(sorted.ops, sorted.n, sizeof(sorted.ops[0]), by_call);
	fprintf(stderr, "begins with %lld of %lld; called, returned (ns), actor, operation, units\n",
	        (long long)h->begin, (long long)h->most);
	for (unsigned i = 0; i < sorted.n; i++) {
		const struct sem_op *op = &sorted.ops[i];
		fprintf(stderr, "%10lld %10lld  %d  %-12s %lld\n",
		        (long long)(op->called_ns - sorted.ops[0].called_ns),
		        (long long)(op->returned_ns - sorted.ops[0].called_ns), op->actor, names[op->kind],
		        (long long)op->units);
	}
}

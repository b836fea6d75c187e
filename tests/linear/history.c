// SPDX-License-Identifier: MIT
//
// tests/linear/history.c - the search for a sequential order; see history.h for what it means.
//
// A state of the search is the set of operations already placed and the queue that they leave. The set
// alone is not enough: two messages of one priority may have come in either order. States that led
// nowhere are remembered, which makes the search quick where plain backtracking would be hopeless.
#include "history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATES_MAX = 1 << 18, TABLE_SIZE = STATES_MAX * 2 };

// The queue: indices of send operations, next to be received first.
struct queue {
	uint8_t n;
	uint8_t sends[15]; // DEPTH_MAX are used; no padding, so that memcmp compares
};

_Static_assert(DEPTH_MAX < 15, "insert writes one further");

struct state {
	uint64_t placed; // never 0 in the table: 0 marks a free entry
	struct queue queue;
};

struct search {
	const struct history *h;
	struct state *seen;
	uint32_t *used; // which entries of the table, to clear them afterwards
	unsigned states;
};

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= UINT64_C(0x9e3779b97f4a7c15);
	return x ^ x >> 29;
}

static uint64_t hash(const struct state *s)
{
	uint64_t words[2];
	memcpy(words, &s->queue, sizeof(words));
	return mix(mix(mix(s->placed) ^ words[0]) ^ words[1]);
}

// True if the state is new. A full table calls nothing new: the search then ends undecided.
static bool remember(struct search *s, const struct state *state)
{
	if (s->states == STATES_MAX)
		return false;
	for (uint64_t i = hash(state);; i++) {
		struct state *entry = &s->seen[i % TABLE_SIZE];
		if (entry->placed == 0) {
			*entry = *state;
			s->used[s->states++] = (uint32_t)(i % TABLE_SIZE);
			return true;
		}
		if (memcmp(entry, state, sizeof(*state)) == 0)
			return false;
	}
}

static unsigned borrowed(const struct history *h, uint64_t placed)
{
	unsigned n = 0;
	for (unsigned i = 0; i < h->n; i++) {
		if (!(placed >> i & 1))
			continue;
		n += h->ops[i].kind == OP_BORROW;
		n -= h->ops[i].kind == OP_RELEASE;
	}
	return n;
}

static void insert(const struct history *h, struct queue *q, unsigned send)
{
	unsigned at = q->n;
	while (at > 0 && h->ops[q->sends[at - 1]].prio < h->ops[send].prio)
		at--;
	memmove(&q->sends[at + 1], &q->sends[at], q->n - at);
	q->sends[at] = (uint8_t)send;
	q->n++;
}

static bool first_is(const struct history *h, const struct queue *q, const struct op *op)
{
	if (q->n == 0)
		return false;
	const struct op *send = &h->ops[q->sends[0]];
	return send->value == op->value && send->prio == op->prio;
}

static void remove_first(struct queue *q)
{
	q->n--;
	memmove(&q->sends[0], &q->sends[1], q->n);
	q->sends[q->n] = 0;
}

// Receives that have taken effect, but may not have given the room back when `op` looked for it.
static unsigned receiving(const struct history *h, uint64_t placed, const struct op *op)
{
	unsigned n = 0;
	for (unsigned i = 0; !h->strict && i < h->n; i++)
		n += (placed >> i & 1) && h->ops[i].kind == OP_RECEIVE &&
		     h->ops[i].returned_ns >= op->called_ns;
	return n;
}

// Do operation i next; false if the queue would not have answered so.
static bool apply(const struct history *h, struct state *s, unsigned i)
{
	const struct op *op = &h->ops[i];
	const unsigned used = s->queue.n + borrowed(h, s->placed);
	bool fits = false;
	switch (op->kind) {
	case OP_SEND: fits = used < h->depth; break;
	case OP_SEND_FULL: fits = used + receiving(h, s->placed, op) >= h->depth; break;
	case OP_RECEIVE_EMPTY: fits = s->queue.n == 0; break;
	case OP_RELEASE: fits = used > s->queue.n; break;
	case OP_RECEIVE:
	case OP_PEEK:
	case OP_BORROW: fits = first_is(h, &s->queue, op); break;
	}
	if (!fits)
		return false;
	if (op->kind == OP_SEND)
		insert(h, &s->queue, i);
	else if (op->kind == OP_RECEIVE || op->kind == OP_BORROW)
		remove_first(&s->queue);
	s->placed |= UINT64_C(1) << i;
	return true;
}

// Whoever was called after this moment cannot be next: another, not placed yet, had returned.
static int64_t horizon(const struct history *h, uint64_t placed)
{
	int64_t t = INT64_MAX;
	for (unsigned i = 0; i < h->n; i++)
		if (!(placed >> i & 1) && h->ops[i].returned_ns < t)
			t = h->ops[i].returned_ns;
	return t;
}

static bool explore(struct search *s, const struct state *state)
{
	const struct history *h = s->h;
	const int64_t limit = horizon(h, state->placed);
	if (limit == INT64_MAX)
		return true;
	for (unsigned i = 0; i < h->n; i++) {
		if (state->placed >> i & 1 || h->ops[i].called_ns > limit)
			continue;
		struct state next = *state;
		if (apply(h, &next, i) && remember(s, &next) && explore(s, &next))
			return true;
	}
	return false;
}

enum verdict history_check(const struct history *h)
{
	static struct search s;
	const struct state start = {0};
	if (!s.seen) {
		s.seen = calloc(TABLE_SIZE, sizeof(*s.seen));
		s.used = calloc(STATES_MAX, sizeof(*s.used));
	}
	if (!s.seen || !s.used || h->n > HISTORY_MAX || h->depth > DEPTH_MAX)
		return UNDECIDED;
	s.h = h;
	const bool found = explore(&s, &start);
	const bool full = s.states == STATES_MAX;
	while (s.states > 0)
		s.seen[s.used[--s.states]].placed = 0;
	if (found)
		return LINEARIZABLE;
	return full ? UNDECIDED : NOT_LINEARIZABLE;
}

static int by_call(const void *a, const void *b)
{
	const struct op *x = a;
	const struct op *y = b;
	return x->called_ns < y->called_ns ? -1 : x->called_ns > y->called_ns;
}

void history_print(const struct history *h)
{
	static const char *const names[] = {
		"send", "receive", "peek", "borrow", "release", "send: full", "receive: empty",
	};
	struct history sorted = *h;
	qsort(sorted.ops, sorted.n, sizeof(sorted.ops[0]), by_call);
	fprintf(stderr, "depth %u; called, returned (ns), actor, operation, value, priority\n",
	        h->depth);
	for (unsigned i = 0; i < sorted.n; i++) {
		const struct op *op = &sorted.ops[i];
		fprintf(stderr, "%10lld %10lld  %d  %-15s %4u %u\n",
		        (long long)(op->called_ns - sorted.ops[0].called_ns),
		        (long long)(op->returned_ns - sorted.ops[0].called_ns), op->actor, names[op->kind],
		        op->value, op->prio);
	}
}

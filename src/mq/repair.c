// SPDX-License-Identifier: MIT
//
// From the truth to the caches. The rule (docs/mq.md): a slot holds a queued message if and only if it
// is outside the free window, 0 < seq <= tail, and no living borrower's record names this very seq.
// Nothing here depends on where the dead stopped, so a repairer may die and the next start over.
#include "mq/queue.h"

#include <stdlib.h>

enum mark { CANDIDATE, FREE, BORROWED };

struct found {
	uint64_t seq;
	uint32_t slot;
	uint32_t prio;
};

int phi_mq_poison(struct mq_queue *q)
{
	store_relaxed_u32(&q->c->stamp, 0);
	phi_mq_wake_all(q);
	return -EBADMSG;
}

bool phi_mq_borrow_valid(const struct mq_queue *q, const struct mq_borrow *b, uint64_t tail)
{
	uint32_t slot = load_relaxed_u32(&b->slot);
	uint64_t seq = load_relaxed_u64(&b->seq);
	return load_relaxed_u32(&b->owner) != 0 && slot < q->g.slots && seq != 0 && seq <= tail &&
	       load_relaxed_u64(&phi_mq_slot(q, slot)->seq) == seq;
}

// The links of the index serve as marks meanwhile: it is made anew anyway.
static void mark_free(struct mq_queue *q, uint64_t tail, uint64_t free_tail)
{
	for (uint64_t i = 0; i < q->g.slots; i++)
		store_relaxed_u32(&q->next[i], CANDIDATE);
	for (uint64_t pos = tail; pos != free_tail; pos++) {
		uint32_t slot = load_relaxed_u32(phi_mq_ring_at(q, pos));
		if (slot < q->g.slots)
			store_relaxed_u32(&q->next[slot], FREE);
	}
}

static uint32_t mark_borrowed(struct mq_queue *q, uint64_t tail)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < MQ_BORROWS; i++) {
		struct mq_borrow *b = &q->c->borrow[i];
		uint32_t slot = load_relaxed_u32(&b->slot);
		bool valid = phi_mq_borrow_valid(q, b, tail);
		if (valid && slot < q->g.slots && load_relaxed_u32(&q->next[slot]) == CANDIDATE) {
			store_relaxed_u32(&q->next[slot], BORROWED);
			n++;
		}
	}
	return n;
}

static uint64_t collect(struct mq_queue *q, uint64_t tail, struct found *found, uint64_t most)
{
	uint64_t n = 0;
	for (uint32_t slot = 0; slot < q->g.slots; slot++) {
		if (load_relaxed_u32(&q->next[slot]) != CANDIDATE)
			continue;
		uint64_t seq = load_relaxed_u64(&phi_mq_slot(q, slot)->seq);
		if (seq == 0 || seq > tail)
			continue;
		if (n == most)
			return most + 1;
		unsigned prio = phi_mq_priority(load_relaxed_u64(&phi_mq_slot(q, slot)->prio_len));
		found[n++] = (struct found){seq, slot, prio};
	}
	return n;
}

static int by_seq(const void *a, const void *b)
{
	const struct found *x = a;
	const struct found *y = b;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static bool index_all(struct mq_queue *q, const struct found *found, uint64_t n)
{
	phi_mq_index_clear(q);
	for (uint64_t i = 0; i < n; i++)
		if (found[i].prio >= MQ_PRIORITIES || !phi_mq_index_append(q, found[i].slot, found[i].prio))
			return false;
	return true;
}

int phi_mq_rebuild(struct mq_queue *q)
{
	struct mq_control *c = q->c;
	uint64_t tail = load_acquire_u64(&c->tail); // TAIL
	uint64_t free_tail = load_relaxed_u64(&c->free_tail);
	if (!phi_mq_window_fits(q, tail, free_tail))
		return phi_mq_poison(q);
	mark_free(q, tail, free_tail);
	uint32_t borrowed = mark_borrowed(q, tail);
	uint64_t most = q->g.maxmsg - (free_tail - tail);
	struct found *found = malloc((most + 1) * sizeof *found);
	if (found == NULL)
		return -ENOMEM;
	uint64_t n = collect(q, tail, found, most);
	bool sound = n + borrowed == most;
	if (sound) {
		qsort(found, n, sizeof *found, by_seq);
		sound = index_all(q, found, n);
	}
	free(found);
	if (!sound)
		return phi_mq_poison(q);
	c->borrowed = borrowed;
	c->recv.guarded64 = tail; // head
	c->recv.guarded64b = tail;
	return 0;
}

int phi_mq_settle_swap(struct mq_queue *q)
{
	struct mq_swap *s = &q->c->swap;
	if (load_relaxed_u32(&s->active) == 0)
		return 0;
	uint64_t pos = load_relaxed_u64(&s->pos);
	uint32_t cell = load_relaxed_u32(&s->cell);
	uint32_t given = load_relaxed_u32(&s->given);
	uint32_t taken = load_relaxed_u32(&s->taken);
	if (cell >= q->g.spares || given >= q->g.slots || taken >= q->g.slots)
		return phi_mq_poison(q);
	if (load_relaxed_u64(&q->c->tail) > pos) {
		store_relaxed_u32(&q->c->spare[cell].slot, taken);
	} else {
		store_relaxed_u64(&phi_mq_slot(q, given)->seq, 0);
		store_relaxed_u32(phi_mq_ring_at(q, pos), taken);
		store_relaxed_u32(&q->c->spare[cell].slot, given);
	}
	compiler_barrier();
	store_relaxed_u32(&s->active, 0);
	return 0;
}

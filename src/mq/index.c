// SPDX-License-Identifier: MIT
//
// The receivers' index, a cache of the truth: for each priority a FIFO list of slots. A list is
// circular and known by its last slot, so one word a priority does. Guard: R.
#include "mq/queue.h"

#define WORD_BITS 64

static uint32_t block_number(const struct mq_queue *q, unsigned top)
{
	return load_relaxed_u16(&q->c->block_of[top]);
}

static bool bit(const uint64_t *words, unsigned n)
{
	return (words[n / WORD_BITS] >> (n % WORD_BITS) & 1) != 0;
}

static void set_bit(uint64_t *words, unsigned n)
{
	words[n / WORD_BITS] |= UINT64_C(1) << (n % WORD_BITS);
}

static void clear_bit(uint64_t *words, unsigned n)
{
	words[n / WORD_BITS] &= ~(UINT64_C(1) << (n % WORD_BITS));
}

// The highest set bit, or -1.
static int highest(const uint64_t *words, int count)
{
	for (int i = count - 1; i >= 0; i--) {
		uint64_t w = load_relaxed_u64(&words[i]);
		if (w != 0)
			return i * WORD_BITS + 63 - __builtin_clzll(w);
	}
	return -1;
}

void phi_mq_index_clear(struct mq_queue *q)
{
	struct mq_control *c = q->c;
	for (unsigned i = 0; i < MQ_BLOCKS_MAX / WORD_BITS; i++) {
		c->top[i] = 0;
		c->block_free[i] = 0;
	}
	for (unsigned i = 0; i < q->g.blocks; i++)
		set_bit(c->block_free, i);
	c->recv.guarded32 = 0;
}

static struct mq_block *find_block(const struct mq_queue *q, unsigned top)
{
	if (!bit(q->c->top, top))
		return NULL;
	uint32_t n = block_number(q, top);
	return n < q->g.blocks ? &q->blocks[n] : NULL;
}

static struct mq_block *make_block(struct mq_queue *q, unsigned top)
{
	struct mq_control *c = q->c;
	int n = highest(c->block_free, MQ_BLOCKS_MAX / WORD_BITS);
	if (n < 0 || (uint64_t)n >= q->g.blocks)
		return NULL;
	clear_bit(c->block_free, (unsigned)n);
	store_relaxed_u16(&c->block_of[top], (uint16_t)n);
	q->blocks[n].used[0] = q->blocks[n].used[1] = 0;
	set_bit(c->top, top);
	return &q->blocks[n];
}

static void count(struct mq_queue *q, int by)
{
	store_relaxed_u32(&q->c->recv.guarded32, q->c->recv.guarded32 + (uint32_t)by);
}

bool phi_mq_index_append(struct mq_queue *q, uint32_t slot, unsigned prio)
{
	unsigned top = prio / MQ_BLOCK_PRIORITIES;
	unsigned low = prio % MQ_BLOCK_PRIORITIES;
	struct mq_block *b = bit(q->c->top, top) ? find_block(q, top) : make_block(q, top);
	if (b == NULL)
		return false;
	uint32_t first = slot;
	if (bit(b->used, low)) {
		uint32_t last = load_relaxed_u32(&b->last[low]);
		if (last >= q->g.slots)
			return false;
		first = load_relaxed_u32(&q->next[last]);
		store_relaxed_u32(&q->next[last], slot);
	}
	store_relaxed_u32(&q->next[slot], first);
	store_relaxed_u32(&b->last[low], slot);
	set_bit(b->used, low);
	count(q, 1);
	return true;
}

// Put a message back where its sequence number belongs. It is among the oldest as a rule.
bool phi_mq_index_insert(struct mq_queue *q, uint32_t slot, unsigned prio, uint64_t seq)
{
	unsigned low = prio % MQ_BLOCK_PRIORITIES;
	if (!bit(q->c->top, prio / MQ_BLOCK_PRIORITIES))
		return phi_mq_index_append(q, slot, prio);
	struct mq_block *b = find_block(q, prio / MQ_BLOCK_PRIORITIES);
	if (b == NULL)
		return false;
	if (!bit(b->used, low))
		return phi_mq_index_append(q, slot, prio);
	uint32_t last = load_relaxed_u32(&b->last[low]);
	uint32_t before = last;
	for (uint64_t i = 0; i <= q->g.slots; i++) {
		if (before >= q->g.slots)
			return false;
		uint32_t n = load_relaxed_u32(&q->next[before]);
		if (n >= q->g.slots)
			return false;
		if (load_relaxed_u64(&phi_mq_slot(q, n)->seq) > seq) {
			store_relaxed_u32(&q->next[slot], n);
			store_relaxed_u32(&q->next[before], slot);
			count(q, 1);
			return true;
		}
		before = n;
		if (before == last)
			break;
	}
	return phi_mq_index_append(q, slot, prio);
}

bool phi_mq_index_first(const struct mq_queue *q, uint32_t *slot, unsigned *prio)
{
	int top = highest(q->c->top, MQ_BLOCKS_MAX / WORD_BITS);
	struct mq_block *b = top < 0 ? NULL : find_block(q, (unsigned)top);
	int low = b == NULL ? -1 : highest(b->used, MQ_BLOCK_PRIORITIES / WORD_BITS);
	if (low < 0)
		return false;
	uint32_t last = load_relaxed_u32(&b->last[low]);
	if (last >= q->g.slots)
		return false;
	uint32_t first = load_relaxed_u32(&q->next[last]);
	*slot = first;
	*prio = (unsigned)top * MQ_BLOCK_PRIORITIES + (unsigned)low;
	return first < q->g.slots;
}

bool phi_mq_index_drop_first(struct mq_queue *q, uint32_t slot, unsigned prio)
{
	unsigned top = prio / MQ_BLOCK_PRIORITIES;
	unsigned low = prio % MQ_BLOCK_PRIORITIES;
	struct mq_block *b = find_block(q, top);
	uint32_t last = b == NULL ? MQ_NONE : load_relaxed_u32(&b->last[low]);
	if (b == NULL || last >= q->g.slots)
		return false;
	if (last != slot) {
		store_relaxed_u32(&q->next[last], load_relaxed_u32(&q->next[slot]));
	} else {
		clear_bit(b->used, low);
		if ((b->used[0] | b->used[1]) == 0) {
			uint32_t n = block_number(q, top);
			clear_bit(q->c->top, top);
			if (n < q->g.blocks)
				set_bit(q->c->block_free, n);
		}
	}
	count(q, -1);
	return true;
}

// SPDX-License-Identifier: MIT
//
// Receiving: find the oldest message of the highest priority, copy it out, give its slot back, commit
// by one store. See docs/mq.md, "The record of truth" and "The index".
#include "mq/queue.h"

#include <string.h>

#define FETCH_AHEAD 4

// Messages sent since the last look go into the index.
static bool index_new(struct mq_queue *q, uint64_t head, uint64_t tail)
{
	for (uint64_t pos = head; pos != tail; pos++) {
		uint32_t slot = load_relaxed_u32(phi_mq_ring_at(q, pos));
		phi_mq_fetch(q, load_relaxed_u32(phi_mq_ring_at(q, pos + FETCH_AHEAD)));
		if (slot >= q->g.slots)
			return false;
		const struct mq_slot *s = phi_mq_slot(q, slot);
		unsigned prio = phi_mq_priority(load_relaxed_u64(&s->prio_len));
		if (load_relaxed_u64(&s->seq) != pos + 1 || prio >= MQ_PRIORITIES ||
		    !phi_mq_index_append(q, slot, prio))
			return false;
	}
	q->c->recv.guarded64 = tail;
	return true;
}

static bool read_head(struct mq_queue *q, struct mq_pick *p, uint64_t tail)
{
	const struct mq_slot *s = phi_mq_slot(q, p->slot);
	uint64_t prio_len = load_relaxed_u64(&s->prio_len);
	p->seq = load_relaxed_u64(&s->seq);
	p->len = phi_mq_length(prio_len);
	unsigned prio = phi_mq_priority(prio_len);
	bool fits = p->seq - 1 < tail && p->len <= q->g.msgsize && prio < MQ_PRIORITIES;
	if (!p->direct)
		fits = fits && prio == p->prio;
	p->prio = prio;
	return fits;
}

// The message at head, if no other can have a higher priority: then it is the one. Those between head
// and `known` are bounded by the mark, and so is whatever was sent since (MARK): as long as that holds,
// the senders' line needs no look, and they can run ahead.
static int pick_direct(struct mq_queue *q, struct mq_pick *p, uint64_t head, uint64_t known)
{
	p->direct = true;
	p->slot = load_relaxed_u32(phi_mq_ring_at(q, head));
	if (p->slot >= q->g.slots || !read_head(q, p, known) || p->seq != head + 1)
		return -EBADMSG;
	return p->prio >= load_relaxed_u32(&q->c->mark);
}

// 1 found, 0 none, -EBADMSG the caches and the truth disagree.
static int pick_once(struct mq_queue *q, struct mq_pick *p)
{
	struct mq_control *c = q->c;
	uint64_t head = load_relaxed_u64(&c->recv.guarded64);
	uint64_t known = load_relaxed_u64(&c->recv.guarded64b);
	uint32_t indexed = load_relaxed_u32(&c->recv.guarded32);
	if (indexed == 0 && known - head - 1 < q->g.maxmsg) {
		int r = pick_direct(q, p, head, known);
		if (r != 0)
			return r;
	}
	uint64_t tail = load_acquire_u64(&c->tail); // TAIL
	uint64_t fresh = tail - head;
	if (fresh > q->g.maxmsg || fresh + indexed > q->g.maxmsg)
		return -EBADMSG;
	if (fresh + indexed == 0)
		return 0;
	store_relaxed_u64(&c->recv.guarded64b, tail);
	if (indexed == 0) {
		int r = pick_direct(q, p, head, tail);
		if (r < 0 || r > 0 || fresh == 1)
			return r < 0 ? r : 1;
	}
	p->direct = false;
	if (fresh != 0 && !index_new(q, head, tail))
		return -EBADMSG;
	if (!phi_mq_index_first(q, &p->slot, &p->prio))
		return -EBADMSG;
	phi_mq_fetch(q, load_relaxed_u32(&q->next[p->slot])); // the next one, as a rule
	return read_head(q, p, tail) ? 1 : -EBADMSG;
}

static int pick(struct mq_queue *q, struct mq_pick *p)
{
	int r = pick_once(q, p);
	if (__builtin_expect(r >= 0, 1))
		return r;
	r = phi_mq_rebuild(q);
	if (r == 0)
		r = pick_once(q, p);
	return r == -EBADMSG ? phi_mq_poison(q) : r;
}

bool phi_mq_pick_remove(struct mq_queue *q, const struct mq_pick *p)
{
	if (!p->direct)
		return phi_mq_index_drop_first(q, p->slot, p->prio);
	struct mq_control *c = q->c;
	store_relaxed_u64(&c->recv.guarded64, load_relaxed_u64(&c->recv.guarded64) + 1);
	return true;
}

static void leave_traces(struct mq_op *op)
{
	struct mq_control *c = op->q->c;
	store_relaxed_u32(&c->rx_cpu, phi_cpu());
	store_relaxed_i32(&c->rx_pid, op->hold.self->pid);
	phi_mq_stamp(&op->q->rx_stamp, &c->rx_time);
}

int phi_mq_commit_receive(struct mq_op *op, uint32_t slot, struct mq_owed *owed)
{
	struct mq_queue *q = op->q;
	struct mq_control *c = q->c;
	uint64_t free_tail = load_relaxed_u64(&c->free_tail);
	leave_traces(op);
	store_relaxed_u32(phi_mq_ring_at(q, free_tail), slot);
	owed->any = (load_relaxed_u32(&c->tx_asleep) | load_relaxed_u32(&c->polled)) != 0;
	if (__builtin_expect(owed->any, 0))
		return phi_mq_commit_free_tail_slow(op, free_tail + 1, owed);
	store_release_u64(&c->free_tail, free_tail + 1); // FREE_TAIL: the commit
	return 0;
}

int64_t phi_mq_try_pick(struct mq_op *op, struct mq_pick *p)
{
	int r = phi_mq_lock_recv(op);
	if (r < 0)
		return r;
	r = pick(op->q, p);
	if (r > 0)
		return r;
	op->seen = load_relaxed_u64(&op->q->c->recv.guarded64);
	phi_mq_unlock(op);
	return r == 0 ? -EAGAIN : r;
}

struct receiving {
	void *buf;
	unsigned *prio;
};

__attribute__((flatten)) static int64_t try_receive(struct mq_op *op, void *arg)
{
	const struct receiving *m = arg;
	struct mq_pick p;
	int64_t r = phi_mq_try_pick(op, &p);
	if (r < 0)
		return r;
	memcpy(m->buf, phi_mq_payload(phi_mq_slot(op->q, p.slot)), p.len);
	// The commit first: if it is refused, the index must still have the message.
	struct mq_owed owed;
	r = phi_mq_commit_receive(op, p.slot, &owed);
	if (r == 0 && !phi_mq_pick_remove(op->q, &p))
		r = phi_mq_poison(op->q);
	phi_mq_unlock(op);
	if (r < 0)
		return r;
	if (__builtin_expect(owed.any, 0))
		phi_mq_pay_senders(op, &owed);
	if (m->prio != NULL)
		*m->prio = p.prio;
	return (int64_t)p.len;
}

int64_t phi_mq_receive(struct mq_op *op, void *buf, unsigned *prio)
{
	struct receiving m = {buf, prio};
	phi_mq_look_after_loans(op);
	int64_t r = try_receive(op, &m);
	if (r == -EAGAIN && !op->nonblock)
		r = phi_mq_block(op, MQ_RECEIVER, try_receive, &m);
	return r;
}

int64_t phi_mq_peek(struct mq_op *op, void *buf, unsigned *prio)
{
	struct mq_pick p = {0};
	phi_mq_look_after_loans(op);
	int64_t r = phi_mq_try_pick(op, &p);
	if (r < 0)
		return r;
	memcpy(buf, phi_mq_payload(phi_mq_slot(op->q, p.slot)), p.len);
	phi_mq_unlock(op);
	if (prio != NULL)
		*prio = p.prio;
	return (int64_t)p.len;
}

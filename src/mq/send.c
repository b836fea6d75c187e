// SPDX-License-Identifier: MIT
//
// Sending: fill the slot that ring[tail] names, commit by one store. See docs/mq.md, "The record of
// truth". Whoever sleeps, polls or registered is served by wake.c.
#include "mq/queue.h"

#include <errno.h>
#include <string.h>

#define FETCH_AHEAD 2

// The free cursor as last seen saves the receivers' line.
static int look_for_room(struct mq_op *op, uint64_t tail)
{
	struct mq_control *c = op->q->c;
	uint64_t free_tail = load_relaxed_u64(&c->send.guarded64);
	if (__builtin_expect(free_tail - tail - 1 < op->q->g.maxmsg, 1))
		return 0;
	bool receiving = load_acquire_u32(&c->recv.word) != 0;
	free_tail = load_acquire_u64(&c->free_tail); // FREE_TAIL
	c->send.guarded64 = free_tail;
	op->seen = free_tail;
	if (!phi_mq_window_fits(op->q, tail, free_tail))
		return phi_mq_poison(op->q);
	if (free_tail - tail == op->q->g.maxmsg)
		store_relaxed_u32(&c->mark, 0); // empty: nothing to be bounded
	if (free_tail != tail)
		return 0;
	return op->nonblock && receiving ? -EINPROGRESS : -EAGAIN;
}

int phi_mq_find_room(struct mq_op *op, uint64_t *pos, uint32_t *slot)
{
	*pos = load_relaxed_u64(&op->q->c->tail);
	int r = look_for_room(op, *pos);
	if (r < 0)
		return r;
	*slot = load_relaxed_u32(phi_mq_ring_at(op->q, *pos));
	if (load_relaxed_u64(&op->q->c->send.guarded64) - *pos > FETCH_AHEAD)
		phi_mq_fetch(op->q, load_relaxed_u32(phi_mq_ring_at(op->q, *pos + FETCH_AHEAD)));
	return *slot < op->q->g.slots ? 0 : phi_mq_poison(op->q);
}

static void leave_traces(struct mq_op *op)
{
	struct mq_control *c = op->q->c;
	store_relaxed_u32(&c->tx_cpu, phi_cpu());
	store_relaxed_i32(&c->tx_pid, op->hold.self->pid);
	phi_mq_stamp(&op->q->tx_stamp, &c->tx_time);
}

int phi_mq_commit_send(struct mq_op *op, uint64_t pos, unsigned prio, struct mq_owed *owed)
{
	struct mq_control *c = op->q->c;
	if (__builtin_expect(prio > load_relaxed_u32(&c->mark), 0))
		store_relaxed_u32(&c->mark, prio); // MARK: before the commit
	leave_traces(op);
	uint32_t anybody = load_relaxed_u32(&c->rx_asleep) | load_relaxed_u32(&c->watched) |
	                   load_relaxed_u32(&c->polled);
	owed->any = anybody != 0;
	if (__builtin_expect(owed->any, 0))
		return phi_mq_commit_tail_slow(op, pos + 1, owed);
	store_release_u64(&c->tail, pos + 1); // TAIL: the commit
	return 0;
}

// Refused, while somebody was receiving: he may have chosen his message before the last one was sent, and
// give its slot back after. "Full" is the truth at no moment then; wait for him and look again.
int64_t phi_mq_send_after_receive(struct mq_op *op, mq_attempt *attempt, void *arg)
{
	int64_t r;
	do {
		r = phi_mq_lock_recv(op);
		if (r < 0)
			return r;
		phi_mq_unlock(op);
		r = attempt(op, arg);
	} while (r == -EINPROGRESS);
	return r;
}

struct sending {
	const void *msg;
	size_t len;
	unsigned prio;
};

__attribute__((flatten)) static int64_t try_send(struct mq_op *op, void *arg)
{
	const struct sending *m = arg;
	struct mq_owed owed;
	uint64_t pos;
	uint32_t n;
	int r = phi_mq_lock_send(op);
	if (r < 0)
		return r;
	r = phi_mq_find_room(op, &pos, &n);
	if (r < 0) {
		phi_mq_unlock(op);
		return r;
	}
	struct mq_slot *s = phi_mq_slot(op->q, n);
	memcpy(phi_mq_payload(s), m->msg, m->len);
	store_relaxed_u64(&s->prio_len, phi_mq_pack(m->prio, m->len));
	store_relaxed_u64(&s->seq, pos + 1);
	r = phi_mq_commit_send(op, pos, m->prio, &owed);
	phi_mq_unlock(op);
	if (__builtin_expect(owed.any, 0) && r == 0)
		phi_mq_pay_receivers(op, &owed);
	return r;
}

int phi_mq_send(struct mq_op *op, const void *msg, size_t len, unsigned prio)
{
	struct sending m = {msg, len, prio};
	int64_t r = try_send(op, &m);
	if (__builtin_expect(r == -EINPROGRESS, 0))
		r = phi_mq_send_after_receive(op, try_send, &m);
	if (r == -EAGAIN && !op->nonblock)
		r = phi_mq_block(op, MQ_SENDER, try_send, &m);
	return (int)r;
}

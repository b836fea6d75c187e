// SPDX-License-Identifier: MIT
//
// Taking the two locks when it is not plain: held by somebody, left by somebody dead, on duty, in
// one-lock mode, or of a damaged queue. Every path that repairs wakes all sleepers: the dead may have
// owed it.
#include "mq/queue.h"

static int take(struct mq_op *op, struct phi_lock *lock)
{
	// Plain blocking calls wait as long as they would for a message; the others give up in time.
	bool patient = !op->nonblock && op->abstime == NULL;
	int64_t patience = patient ? -1 : MQ_PATIENCE_NS;
	op->held = lock;
	if (op->duty)
		return phi_lock_take_on_duty(&op->hold, lock, &op->q->c->deathword, patience);
	return phi_lock_take(&op->hold, lock, patience);
}

// The dead sender may have committed a message and not said whether it came to the empty queue.
static void judge_the_last(struct mq_control *c)
{
	uint32_t tail = (uint32_t)load_relaxed_u64(&c->tail);
	if (load_relaxed_u32(&c->watched) != 0 && c->judged != tail)
		c->arrivals++;
	c->judged = tail;
}

static int repair(struct mq_op *op)
{
	struct mq_queue *q = op->q;
	bool send = op->held == &q->c->send;
	bool one_lock = send && load_acquire_u32(&q->c->polled) != 0; // ONE_LOCK
	int r = send ? phi_mq_settle_swap(q) : 0;
	if (r == 0 && (!send || one_lock))
		r = phi_mq_rebuild(q);
	if (r == 0 && one_lock)
		phi_mq_tokens_resync(q);
	if (send)
		judge_the_last(q->c);
	if (r == 0 && send)
		q->c->send.guarded64 = load_relaxed_u64(&q->c->tail); // looks full: reread free_tail
	phi_mq_wake_all(q);
	return r;
}

// After the lock word: what the holder must know before it goes on.
static int settle(struct mq_op *op, int r)
{
	if (r != 0 && r != -EOWNERDEAD) {
		op->held = NULL;
		return r;
	}
	if (!phi_mq_intact(op->q))
		r = -EBADMSG;
	else if (r == -EOWNERDEAD)
		r = repair(op);
	if (r < 0)
		phi_mq_unlock(op);
	return r;
}

int phi_mq_lock_send_slow(struct mq_op *op)
{
	return settle(op, take(op, &op->q->c->send));
}

int phi_mq_lock_recv_slow(struct mq_op *op)
{
	struct mq_control *c = op->q->c;
	for (;;) {
		bool one_lock = load_acquire_u32(&c->polled) != 0; // ONE_LOCK
		int r = take(op, one_lock ? &c->send : &c->recv);
		bool taken = r == 0 || r == -EOWNERDEAD;
		if (!taken || one_lock || load_acquire_u32(&c->polled) == 0) // ONE_LOCK
			return settle(op, r);
		phi_mq_unlock(op);
	}
}

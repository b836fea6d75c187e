// SPDX-License-Identifier: MIT
//
// Registering for notification: one registration by POSIX's rules, and any number of subscriptions.
#include "mq/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#define HANDED_NS \
	100000 // how often, and how many times, to look whether a thread has taken its event
#define HANDED_ROUNDS 10000

static int valid_event(const struct sigevent *ev, bool none_too)
{
	switch (ev->sigev_notify) {
	case SIGEV_NONE: return none_too ? 0 : -EINVAL;
	case SIGEV_SIGNAL: return ev->sigev_signo >= 0 && ev->sigev_signo <= MQ_SIGNALS ? 0 : -EINVAL;
	case SIGEV_THREAD: return ev->sigev_notify_function != NULL ? 0 : -EINVAL;
	default: return -EINVAL;
	}
}

static void fill_record(struct mq_op *op, const struct sigevent *ev)
{
	struct mq_notice *n = &op->q->c->notice;
	store_relaxed_i32(&n->pid, op->hold.self->pid);
	store_relaxed_u32(&n->how, (uint32_t)ev->sigev_notify);
	store_relaxed_i32(&n->signo, ev->sigev_signo);
	store_relaxed_u64(&n->value, (uintptr_t)ev->sigev_value.sival_ptr);
	store_relaxed_i32(&n->from_pid, 0);
}

// Under N. The watch's thread, if there is one, waits for this lock before it looks.
static int arm(struct mq_op *op, uint32_t holder, const struct sigevent *ev, struct mq_watch *w)
{
	struct mq_queue *q = op->q;
	uint32_t word = load_relaxed_u32(&q->c->notice.state);
	bool idle = MQ_NOTICE_STATE(word) == MQ_NOTICE_IDLE;
	if (!idle && phi_mq_holder_lives(q, MQ_NOTICE_HOLDER(word)))
		return -EBUSY;
	phi_mq_notice_set(q, MQ_NOTICE_SAME(word, MQ_NOTICE_IDLE));
	fill_record(op, ev);
	uint32_t armed = MQ_NOTICE_NEXT(word, holder, MQ_NOTICE_ARMED);
	int r = 0;
	if (w != NULL) {
		w->notice = armed;
		r = phi_mq_watch_start(op, w);
	}
	if (r == 0)
		phi_mq_notice_set(q, armed);
	return r;
}

// A registration that has fired is free, although its thread may not have run yet: wait for that.
static int arm_when_free(struct mq_op *op, uint32_t holder, const struct sigevent *ev,
                         struct mq_watch *w)
{
	struct mq_notice *n = &op->q->c->notice;
	for (int i = 0;; i++) {
		int r = phi_mq_notice_lock(op);
		if (r < 0)
			return r;
		uint32_t word = load_relaxed_u32(&n->state);
		bool busy = MQ_NOTICE_STATE(word) == MQ_NOTICE_HANDED && i < HANDED_ROUNDS;
		if (!busy)
			r = arm(op, holder, ev, w);
		phi_mq_notice_unlock(op);
		if (!busy)
			return r;
		phi_futex_wait(&n->state, word, HANDED_NS);
	}
}

static int register_changing(struct mq_op *op, uint32_t holder, const struct sigevent *ev)
{
	struct mq_watch *w = NULL;
	phi_mq_watch_end(op->q, -1);
	if (ev->sigev_notify != SIGEV_NONE) {
		w = phi_mq_watch_new(op, ev, true);
		if (w == NULL)
			return -ENOMEM;
	}
	int r = arm_when_free(op, holder, ev, w);
	if (r < 0) {
		free(w);
		return r;
	}
	struct mq_sight unused;
	phi_mq_watch_announce(op, &unused); // a sender may have found nobody and taken the sign down
	return 0;
}

static int register_once(struct mq_op *op, const struct sigevent *ev)
{
	int h = phi_mq_holder(op->q);
	if (h < 0)
		return h;
	pthread_mutex_lock(&op->q->change);
	int r = register_changing(op, (uint32_t)h, ev);
	pthread_mutex_unlock(&op->q->change);
	return r;
}

void phi_mq_notice_drop(struct mq_op *op, uint32_t holder)
{
	if (phi_mq_notice_lock(op) < 0)
		return;
	uint32_t w = load_relaxed_u32(&op->q->c->notice.state);
	if (MQ_NOTICE_HOLDER(w) == holder)
		phi_mq_notice_set(op->q, MQ_NOTICE_SAME(w, MQ_NOTICE_IDLE));
	phi_mq_notice_unlock(op);
}

// Take back this process's registration, whichever of its descriptors made it (as Linux does).
static int unregister(struct mq_op *op)
{
	struct mq_control *c = op->q->c;
	uint32_t w = load_acquire_u32(&c->notice.state); // NOTICE
	bool mine = load_relaxed_i32(&c->notice.pid) == op->hold.self->pid &&
	            phi_mq_holder_lives(op->q, MQ_NOTICE_HOLDER(w));
	if (mine) {
		phi_mq_notice_drop(op, MQ_NOTICE_HOLDER(w));
		phi_ring(&c->note_event, INT_MAX);
	}
	return 0;
}

int phi_mq_notify(struct mq_op *op, const struct sigevent *ev)
{
	if (!phi_mq_intact(op->q))
		return -EBADMSG;
	if (ev == NULL)
		return unregister(op);
	int r = valid_event(ev, true);
	return r < 0 ? r : register_once(op, ev);
}

int phi_mq_subscribe(struct mq_op *op, const struct sigevent *ev)
{
	struct mq_queue *q = op->q;
	int r = !phi_mq_intact(q) ? -EBADMSG : valid_event(ev, false);
	if (r < 0)
		return r;
	pthread_mutex_lock(&q->change);
	phi_mq_watch_end(q, -1);
	struct mq_watch *w = phi_mq_watch_new(op, ev, false);
	r = w == NULL ? -ENOMEM : phi_mq_watch_start(op, w);
	if (r < 0)
		free(w);
	if (r == 0)
		r = q->next_watch++;
	pthread_mutex_unlock(&q->change);
	return r;
}

int phi_mq_unsubscribe(struct mq_op *op, int subscription)
{
	struct mq_queue *q = op->q;
	pthread_mutex_lock(&q->change);
	int n = subscription < 0 ? 0 : phi_mq_watch_end(q, subscription);
	pthread_mutex_unlock(&q->change);
	return n > 0 ? 0 : -EINVAL;
}

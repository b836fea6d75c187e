// SPDX-License-Identifier: MIT
//
// The threads that watch a queue for this process: one for its registration, one for each subscription.
// They sleep on note_event and the deathword. A registration's thread delivers what a sender hands over,
// and what a sender owed that died between its commit and the firing.
#include "mq/watch.h"

#include "base/guard.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WATCH_STACK_BYTES (256 << 10)
#define WATCH_UNDECIDED_NS 10000000 // how often to look at a sender that may be delivering

struct call {
	void (*function)(union sigval);
	union sigval value;
	sigset_t mask;
};

static void *run_call(void *arg)
{
	struct call c = *(struct call *)arg;
	free(arg);
	pthread_sigmask(SIG_SETMASK, &c.mask, NULL);
	c.function(c.value);
	return NULL;
}

static void call_in_thread(const struct mq_watch *w)
{
	struct call *c = malloc(sizeof *c);
	pthread_t t;
	if (c == NULL)
		return;
	int detached = 0;
	if (w->event.sigev_notify_attributes != NULL)
		pthread_attr_getdetachstate(w->event.sigev_notify_attributes, &detached);
	detached = detached == PTHREAD_CREATE_DETACHED;
	*c = (struct call){w->event.sigev_notify_function, w->event.sigev_value, w->mask};
	if (pthread_create(&t, w->event.sigev_notify_attributes, run_call, c) != 0) {
		free(c);
		return;
	}
	if (!detached) // else it may be gone by now
		pthread_detach(t);
}

static void deliver(const struct mq_watch *w, struct mq_sender from)
{
	if (w->event.sigev_notify == SIGEV_THREAD) {
		call_in_thread(w);
	} else {
		siginfo_t info = phi_mq_notice_info(w->event.sigev_signo, from,
		                                    (uintptr_t)w->event.sigev_value.sival_ptr);
		syscall(SYS_rt_sigqueueinfo, getpid(), info.si_signo, &info);
	}
}

// From here on senders ring. Under S, so that whoever commits later sees it, and bumps the event after
// we have read it.
void phi_mq_watch_announce(struct mq_op *op, struct mq_sight *s)
{
	struct mq_control *c = op->q->c;
	if (phi_mq_lock_send(op) < 0)
		return;
	uint32_t n = add_acq_rel_u32(&c->generation, 1);
	s->was_off = exchange_acq_rel_u32(&c->watched, n != 0 ? n : 1) == 0;
	s->event = load_relaxed_u32(&c->note_event);
	s->arrivals = load_relaxed_u32(&c->arrivals);
	s->tail = load_relaxed_u64(&c->tail);
	c->judged = (uint32_t)s->tail;
	phi_mq_unlock(op);
}

static void look_at_subscription(struct mq_watch *w, const struct mq_sight *s)
{
	struct mq_control *c = w->q->c;
	bool rung = s->arrivals != w->seen.arrivals;
	bool missed = s->was_off && s->tail != w->seen.tail && phi_mq_count(w->q) > 0;
	w->seen = *s;
	if (rung || missed)
		deliver(w, (struct mq_sender){load_relaxed_i32(&c->tx_pid), getuid()});
}

// Whether a sender died owing a notification; and whether a living one may be about to deliver.
static bool sender_died(struct mq_watch *w)
{
	bool died = false;
	w->undecided = false;
	for (int i = 0; i < MQ_DUES; i++) {
		uint32_t *due = &w->q->c->due[i];
		uint32_t tid = load_acquire_u32(due); // DUE
		if (tid != 0 && phi_tid_dead(tid))
			died |= cas_acq_rel_u32(due, tid, 0);
		else if (tid != 0)
			w->undecided = true;
	}
	return died;
}

static bool owed(struct mq_watch *w, enum mq_notice_state state)
{
	if (state == MQ_NOTICE_HANDED)
		return true;
	return state == MQ_NOTICE_ARMED && sender_died(w) && phi_mq_count(w->q) > 0 &&
	       load_acquire_u64(&w->q->c->tail) != w->seen.tail; // TAIL
}

// Whether the registration is over; if it is ours to deliver, do.
static bool look_at_registration(struct mq_watch *w, struct mq_op *op)
{
	struct mq_notice *n = &w->q->c->notice;
	if (phi_mq_notice_lock(op) < 0)
		return false;
	uint32_t word = load_relaxed_u32(&n->state);
	enum mq_notice_state state = MQ_NOTICE_STATE(word);
	struct mq_sender from = {load_relaxed_i32(&n->from_pid), load_relaxed_u32(&n->from_uid)};
	bool same = MQ_NOTICE_SAME(word, 0) == MQ_NOTICE_SAME(w->notice, 0);
	bool take = same && owed(w, state);
	if (take)
		phi_mq_notice_set(w->q, MQ_NOTICE_SAME(word, MQ_NOTICE_IDLE));
	phi_mq_notice_unlock(op);
	if (take)
		deliver(w, from);
	return take || !same || state == MQ_NOTICE_IDLE;
}

static void nothing_to_pass_on(void *unused)
{
	(void)unused;
}

static int sleep_watching(struct mq_watch *w, struct mq_op *op, uint32_t event)
{
	struct mq_control *c = w->q->c;
	const struct phi_deadline none = {.clock = -1};
	struct phi_sleep sleep = {
		.event = &c->note_event,
		.seen = event,
		.deathword = &c->deathword,
		.deadline = &none,
		.look_again_ns = w->undecided ? WATCH_UNDECIDED_NS : 0,
		.cancelled = nothing_to_pass_on,
	};
	phi_duty(&op->hold, &c->deathword);
	return phi_sleep(&sleep);
}

static void *watch_main(void *arg)
{
	struct mq_watch *w = arg;
	struct mq_op op;
	phi_mq_begin(&op, w->q);
	op.nonblock = false;
	op.abstime = NULL;
	op.duty = true;
	struct mq_sight now = w->seen;
	while (!load_acquire_u32(&w->stop) && phi_mq_intact(w->q)) { // WATCH_STOP
		phi_mq_watch_announce(&op, &now);
		if (!w->once)
			look_at_subscription(w, &now);
		else if (look_at_registration(w, &op))
			break;
		if (sleep_watching(w, &op, now.event) == PHI_WOKEN_BY_DEATH)
			phi_mq_wake_all(w->q);
	}
	phi_mq_end(&op, 0);
	store_release_u32(&w->done, 1); // WATCH_DONE
	return NULL;
}

static int start_thread(struct mq_watch *w)
{
	pthread_attr_t attr;
	sigset_t all;
	phi_guard_blockable(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WATCH_STACK_BYTES);
	pthread_sigmask(SIG_SETMASK, &all, &w->mask);
	int e = pthread_create(&w->thread, &attr, watch_main, w);
	pthread_sigmask(SIG_SETMASK, &w->mask, NULL);
	pthread_attr_destroy(&attr);
	return e == 0 ? 0 : -ENOMEM;
}

struct mq_watch *phi_mq_watch_new(struct mq_op *op, const struct sigevent *ev, bool once)
{
	struct mq_watch *w = calloc(1, sizeof *w);
	struct mq_queue *q = op->q;
	if (w == NULL)
		return NULL;
	w->q = q;
	phi_mq_watch_announce(op, &w->seen); // what comes after this is news
	w->event = *ev;
	w->once = once;
	w->number = once ? -1 : q->next_watch;
	return w;
}

static void end_watch(struct mq_watch *w)
{
	store_release_u32(&w->stop, 1); // WATCH_STOP
	phi_ring(&w->q->c->note_event, INT_MAX);
	pthread_join(w->thread, NULL);
	free(w);
}

// Take those out of the list that `number` names (-1: whose thread is done) and end them: how many.
int phi_mq_watch_end(struct mq_queue *q, int number)
{
	int n = 0;
	for (struct mq_watch **p = &q->watches; *p != NULL;) {
		struct mq_watch *w = *p;
		bool chosen = number >= 0 ? w->number == number : load_acquire_u32(&w->done) != 0;
		if (!chosen) {
			p = &w->next;
			continue;
		}
		*p = w->next;
		end_watch(w);
		n++;
	}
	return n;
}

int phi_mq_watch_start(struct mq_op *op, struct mq_watch *w)
{
	struct mq_queue *q = op->q;
	int r = start_thread(w);
	if (r < 0)
		return r;
	w->next = q->watches;
	q->watches = w;
	return 0;
}

void phi_mq_watches_end(struct mq_op *op)
{
	struct mq_queue *q = op->q;
	if (q->holder >= 0)
		phi_mq_notice_drop(op, (uint32_t)q->holder);
	while (q->watches != NULL) {
		struct mq_watch *first = q->watches;
		q->watches = first->next;
		end_watch(first);
	}
}

// In a forked child: the threads are not there.
void phi_mq_watches_forget(struct mq_queue *q)
{
	while (q->watches != NULL) {
		struct mq_watch *first = q->watches;
		q->watches = first->next;
		free(first);
	}
}

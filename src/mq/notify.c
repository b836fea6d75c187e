// SPDX-License-Identifier: MIT
//
// Notification: one registration by POSIX's rules, and any number of subscribers. The states of the
// registration are drawn in layout.h. A registrant or subscriber has a thread of the library's that
// sleeps on note_event and the deathword; a sender delivers a signal itself where it may, so that, as
// with the kernel's queues, it is pending when the send returns.
#include "mq/queue.h"

#include "core/life.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SI_MESGQ
#define SI_MESGQ (-3)
#endif

#define WATCH_STACK_BYTES (256 << 10)
#define WATCH_FIRED_NS 10000000 // how often to look whether a sender that is delivering lives
#define SETTLE_NS 100000
#define SETTLE_ROUNDS 1000
#define SIGNALS 64

struct mq_watch {
	struct mq_queue *q;
	struct sigevent event;
	sigset_t mask; // of the thread that registered, for SIGEV_THREAD
	bool once;     // the registration; else a subscription
	uint32_t notice; // the registration's state word, when armed
	int number;
	uint32_t stop, done;
	uint32_t seen_event;
	uint64_t seen_tail;
	pthread_t thread;
	struct mq_watch *next;
};

struct sender {
	int32_t pid;
	uint32_t uid;
};

static siginfo_t make_info(int signo, struct sender from, uint64_t value)
{
	siginfo_t info;
	memset(&info, 0, sizeof info);
	info.si_signo = signo;
	info.si_code = SI_MESGQ;
	info.si_pid = from.pid;
	info.si_uid = from.uid;
	info.si_value.sival_ptr = (void *)(uintptr_t)value;
	return info;
}

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
	*c = (struct call){ w->event.sigev_notify_function, w->event.sigev_value, w->mask };
	if (pthread_create(&t, w->event.sigev_notify_attributes, run_call, c) != 0) {
		free(c);
		return;
	}
	pthread_detach(t); // an error where the attributes say detached already
}

static void deliver(const struct mq_watch *w, struct sender from)
{
	if (w->event.sigev_notify == SIGEV_THREAD) {
		call_in_thread(w);
	} else {
		siginfo_t info = make_info(w->event.sigev_signo, from,
					   (uintptr_t)w->event.sigev_value.sival_ptr);
		syscall(SYS_rt_sigqueueinfo, getpid(), info.si_signo, &info);
	}
}

// Sender's side.

// Queue the registrant's signal in its process. The pid is only used once the kernel has said, with
// the pidfd in hand, that the registrant still lives. False: it is the registrant's to do.
static bool signal_registrant(struct mq_queue *q, uint32_t holder, const struct mq_notice *n,
			      struct sender from)
{
	siginfo_t info = make_info(load_relaxed_i32(&n->signo), from, load_relaxed_u64(&n->value));
	if (info.si_signo < 0 || info.si_signo > SIGNALS)
		return true;
	int fd = (int)syscall(SYS_pidfd_open, load_relaxed_i32(&n->pid), 0);
	if (fd < 0)
		return errno == ESRCH;
	bool done = true;
	if (phi_mq_holder_lives(q, holder))
		done = syscall(SYS_pidfd_send_signal, fd, info.si_signo, &info, 0) == 0 || errno == ESRCH;
	syscall(SYS_close, fd); // not close(): that is a cancellation point
	return done;
}

static void fire(struct mq_op *op, uint32_t armed)
{
	struct mq_notice *n = &op->q->c->notice;
	uint32_t how = load_relaxed_u32(&n->how);
	if (how == SIGEV_NONE) {
		cas_acq_rel_u32(&n->state, armed, MQ_NOTICE_SAME(armed, MQ_NOTICE_IDLE));
		return;
	}
	uint32_t fired = MQ_NOTICE_SAME(armed, MQ_NOTICE_FIRED);
	if (!cas_acq_rel_u32(&n->state, armed, fired))
		return;
	struct sender me = { op->hold.self->pid, getuid() };
	store_relaxed_i32(&n->from_pid, me.pid);
	store_relaxed_u32(&n->from_uid, me.uid);
	store_relaxed_u32(&n->from_tid, op->hold.self->tid);
	bool done = how == SIGEV_SIGNAL &&
		    signal_registrant(op->q, MQ_NOTICE_HOLDER(armed), n, me);
	cas_acq_rel_u32(&n->state, fired,
			MQ_NOTICE_SAME(armed, done ? MQ_NOTICE_IDLE : MQ_NOTICE_HANDED));
}

void phi_mq_arrived(struct mq_op *op, uint32_t watched, bool blocked)
{
	struct mq_control *c = op->q->c;
	uint32_t state = load_acquire_u32(&c->notice.state); // NOTICE
	if (MQ_NOTICE_STATE(state) == MQ_NOTICE_ARMED && !blocked)
		fire(op, state);
	int woken = phi_ring(&c->note_event, INT_MAX);
	if (woken == 0 && MQ_NOTICE_STATE(load_relaxed_u32(&c->notice.state)) == MQ_NOTICE_IDLE)
		cas_acq_rel_u32(&c->watched, watched, 0);
}

// Receiver's side: the watching thread.

// From here on senders ring. Under S, so that whoever commits later sees it. What was there before?
static uint32_t announce_watch(struct mq_op *op)
{
	struct mq_control *c = op->q->c;
	if (phi_mq_lock_send(op) < 0)
		return 1;
	uint32_t n = add_acq_rel_u32(&c->generation, 1);
	uint32_t before = exchange_acq_rel_u32(&c->watched, n != 0 ? n : 1);
	phi_mq_unlock(op);
	return before;
}

static bool look_at_subscription(struct mq_watch *w, bool was_off)
{
	struct mq_control *c = w->q->c;
	uint32_t event = load_acquire_u32(&c->note_event); // NOTE_EVENT
	uint64_t tail = load_acquire_u64(&c->tail);        // TAIL
	bool rung = event != w->seen_event && tail != w->seen_tail;
	bool missed = was_off && tail != w->seen_tail && phi_mq_count(w->q) > 0;
	w->seen_event = event;
	w->seen_tail = tail;
	if (rung || missed)
		deliver(w, (struct sender){ load_relaxed_i32(&c->tx_pid), getuid() });
	return false;
}

// Deliver if the registration can be taken from the state `from`.
static bool take_registration(struct mq_watch *w, uint32_t from)
{
	struct mq_notice *n = &w->q->c->notice;
	struct sender s = { load_relaxed_i32(&n->from_pid), load_relaxed_u32(&n->from_uid) };
	if (cas_acq_rel_u32(&n->state, from, MQ_NOTICE_SAME(from, MQ_NOTICE_IDLE)))
		deliver(w, s);
	return true;
}

// Whether the registration is over.
static bool look_at_registration(struct mq_watch *w, bool by_death)
{
	struct mq_control *c = w->q->c;
	uint32_t state = load_acquire_u32(&c->notice.state); // NOTICE
	if (MQ_NOTICE_SAME(state, 0) != MQ_NOTICE_SAME(w->notice, 0))
		return true;
	switch (MQ_NOTICE_STATE(state)) {
	case MQ_NOTICE_SETUP:
		return false;
	case MQ_NOTICE_ARMED: {
		// Only a sender that died between its commit and the firing leaves this.
		bool arrived = load_acquire_u64(&c->tail) != w->seen_tail && phi_mq_count(w->q) > 0;
		return by_death && arrived && take_registration(w, state);
	}
	case MQ_NOTICE_FIRED:
		return phi_tid_dead(load_relaxed_u32(&c->notice.from_tid)) &&
		       take_registration(w, state);
	case MQ_NOTICE_HANDED:
		return take_registration(w, state);
	default:
		return true;
	}
}

static void nothing_to_pass_on(void *unused)
{
	(void)unused;
}

static int sleep_watching(struct mq_watch *w, struct mq_op *op, uint32_t event)
{
	struct mq_control *c = w->q->c;
	const struct phi_deadline none = { .clock = -1 };
	enum mq_notice_state state = MQ_NOTICE_STATE(load_relaxed_u32(&c->notice.state));
	struct phi_sleep sleep = {
		.event = &c->note_event,
		.seen = event,
		.deathword = &c->deathword,
		.deadline = &none,
		.look_again_ns = w->once && state == MQ_NOTICE_FIRED ? WATCH_FIRED_NS : 0,
		.cancelled = nothing_to_pass_on,
	};
	phi_duty(&op->hold, &c->deathword);
	return phi_sleep(&sleep);
}

static void *watch_main(void *arg)
{
	struct mq_watch *w = arg;
	struct mq_control *c = w->q->c;
	struct mq_op op;
	phi_mq_begin(&op, w->q);
	op.nonblock = false;
	op.abstime = NULL;
	op.duty = true;
	bool by_death = false;
	while (!load_acquire_u32(&w->stop) && phi_mq_intact(w->q)) { // WATCH_STOP
		uint32_t event = load_acquire_u32(&c->note_event);    // NOTE_EVENT
		bool was_off = announce_watch(&op) == 0;
		bool over = w->once ? look_at_registration(w, by_death)
				    : look_at_subscription(w, was_off);
		if (over)
			break;
		by_death = sleep_watching(w, &op, event) == PHI_WOKEN_BY_DEATH;
		if (by_death)
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
	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WATCH_STACK_BYTES);
	pthread_sigmask(SIG_SETMASK, &all, &w->mask);
	int e = pthread_create(&w->thread, &attr, watch_main, w);
	pthread_sigmask(SIG_SETMASK, &w->mask, NULL);
	pthread_attr_destroy(&attr);
	return e == 0 ? 0 : -ENOMEM;
}

static struct mq_watch *new_watch(struct mq_queue *q, const struct sigevent *ev, bool once)
{
	struct mq_watch *w = calloc(1, sizeof *w);
	if (w == NULL)
		return NULL;
	w->q = q;
	w->event = *ev;
	w->once = once;
	w->number = once ? -1 : q->next_watch;
	w->seen_event = load_acquire_u32(&q->c->note_event); // NOTE_EVENT
	w->seen_tail = load_acquire_u64(&q->c->tail);        // TAIL
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
static int end_some(struct mq_queue *q, int number)
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

static int valid_event(const struct sigevent *ev, bool none_too)
{
	switch (ev->sigev_notify) {
	case SIGEV_NONE:
		return none_too ? 0 : -EINVAL;
	case SIGEV_SIGNAL:
		return ev->sigev_signo >= 0 && ev->sigev_signo <= SIGNALS ? 0 : -EINVAL;
	case SIGEV_THREAD:
		return ev->sigev_notify_function != NULL ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

static int add_watch(struct mq_op *op, struct mq_watch *w)
{
	struct mq_queue *q = op->q;
	int r = start_thread(w);
	if (r < 0) {
		free(w);
		return r;
	}
	w->next = q->watches;
	q->watches = w;
	return 0;
}

// Registering.

// A sender that is delivering ends the registration a moment after its signal has arrived: who
// registers again in between must not be told EBUSY for good. The state after that moment.
static uint32_t settled_state(struct mq_notice *n)
{
	for (int i = 0;; i++) {
		uint32_t w = load_acquire_u32(&n->state); // NOTICE
		if (MQ_NOTICE_STATE(w) != MQ_NOTICE_FIRED || i == SETTLE_ROUNDS)
			return w;
		phi_futex_wait(&n->state, w, SETTLE_NS);
	}
}

// Claim the record: its state word in SETUP, or -EBUSY.
static int64_t claim(struct mq_queue *q, uint32_t holder)
{
	struct mq_notice *n = &q->c->notice;
	for (;;) {
		uint32_t w = settled_state(n);
		bool idle = MQ_NOTICE_STATE(w) == MQ_NOTICE_IDLE;
		if (!idle && phi_mq_holder_lives(q, MQ_NOTICE_HOLDER(w)))
			return -EBUSY;
		uint32_t mine = MQ_NOTICE_NEXT(w, holder, MQ_NOTICE_SETUP);
		if (cas_acq_rel_u32(&n->state, w, mine))
			return mine;
	}
}

static int fill_record(struct mq_op *op, uint32_t setup, const struct sigevent *ev)
{
	struct mq_notice *n = &op->q->c->notice;
	store_relaxed_i32(&n->pid, op->hold.self->pid);
	store_relaxed_u32(&n->how, (uint32_t)ev->sigev_notify);
	store_relaxed_i32(&n->signo, ev->sigev_signo);
	store_relaxed_u64(&n->value, (uintptr_t)ev->sigev_value.sival_ptr);
	if (ev->sigev_notify == SIGEV_NONE)
		return 0;
	struct mq_watch *w = new_watch(op->q, ev, true);
	if (w == NULL)
		return -ENOMEM;
	w->notice = setup;
	return add_watch(op, w);
}

static int register_once(struct mq_op *op, const struct sigevent *ev)
{
	struct mq_queue *q = op->q;
	int h = phi_mq_holder(q);
	if (h < 0)
		return h;
	pthread_mutex_lock(&q->change);
	end_some(q, -1);
	int64_t setup = claim(q, (uint32_t)h);
	int r = setup < 0 ? (int)setup : fill_record(op, (uint32_t)setup, ev);
	if (setup >= 0)
		store_release_u32(&q->c->notice.state,
				  MQ_NOTICE_SAME((uint32_t)setup, r < 0 ? MQ_NOTICE_IDLE : MQ_NOTICE_ARMED));
	if (r == 0)
		announce_watch(op);
	pthread_mutex_unlock(&q->change);
	return r;
}

// Take back this process's registration, whichever of its descriptors made it (as Linux does).
static int unregister(struct mq_op *op)
{
	struct mq_control *c = op->q->c;
	uint32_t w = load_acquire_u32(&c->notice.state); // NOTICE
	bool mine = load_relaxed_i32(&c->notice.pid) == op->hold.self->pid &&
		    phi_mq_holder_lives(op->q, MQ_NOTICE_HOLDER(w));
	if (MQ_NOTICE_STATE(w) == MQ_NOTICE_ARMED && mine &&
	    cas_acq_rel_u32(&c->notice.state, w, MQ_NOTICE_SAME(w, MQ_NOTICE_IDLE)))
		phi_ring(&c->note_event, INT_MAX);
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
	end_some(q, -1);
	struct mq_watch *w = new_watch(q, ev, false);
	r = w == NULL ? -ENOMEM : add_watch(op, w);
	if (r == 0) {
		announce_watch(op);
		r = q->next_watch++;
	}
	pthread_mutex_unlock(&q->change);
	return r;
}

int phi_mq_unsubscribe(struct mq_op *op, int subscription)
{
	struct mq_queue *q = op->q;
	pthread_mutex_lock(&q->change);
	int n = subscription < 0 ? 0 : end_some(q, subscription);
	pthread_mutex_unlock(&q->change);
	return n > 0 ? 0 : -EINVAL;
}

void phi_mq_notice_drop(struct mq_queue *q, uint32_t holder)
{
	struct mq_notice *n = &q->c->notice;
	uint32_t w = load_acquire_u32(&n->state); // NOTICE
	if (MQ_NOTICE_HOLDER(w) == holder)
		cas_acq_rel_u32(&n->state, w, MQ_NOTICE_SAME(w, MQ_NOTICE_IDLE));
}

void phi_mq_watches_end(struct mq_queue *q)
{
	if (q->holder >= 0)
		phi_mq_notice_drop(q, (uint32_t)q->holder);
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

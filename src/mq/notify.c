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
#include <sys/stat.h>
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
#define WATCH_UNDECIDED_NS 10000000 // how often to look at a sender that may be delivering
#define HANDED_NS \
	100000 // how often, and how many times, to look whether a thread has taken its event
#define HANDED_ROUNDS 10000
#define SIGNALS 64

// What a watching thread saw, all of it at one moment.
struct sight {
	uint32_t event, arrivals;
	uint64_t tail;
	bool was_off; // senders did not ring until now
};

struct mq_watch {
	struct mq_queue *q;
	struct sigevent event;
	sigset_t mask;   // of the thread that registered, for SIGEV_THREAD
	bool once;       // the registration; else a subscription
	uint32_t notice; // the registration's state word, when armed
	int number;
	uint32_t stop, done;
	bool undecided; // a living sender may be about to deliver
	struct sight seen;
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

static void deliver(const struct mq_watch *w, struct sender from)
{
	if (w->event.sigev_notify == SIGEV_THREAD) {
		call_in_thread(w);
	} else {
		siginfo_t info =
			make_info(w->event.sigev_signo, from, (uintptr_t)w->event.sigev_value.sival_ptr);
		syscall(SYS_rt_sigqueueinfo, getpid(), info.si_signo, &info);
	}
}

// Sender's side.

// Whether only this very user may write to the queue. Else somebody may have forged the registration, and
// made us signal whom he could not: then the registrant's thread does it, from its own memory.
static bool trusts_writers(const struct mq_queue *q)
{
	struct stat st;
	return fstat(q->region.fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 022) == 0;
}

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

// The notice lock is taken on duty: who dies inside leaves a registration for which its thread, woken
// through the deathword, looks itself. 0 or -errno.
static int lock_notice(struct mq_op *op)
{
	struct mq_control *c = op->q->c;
	int r = phi_lock_take_on_duty(&op->hold, &c->notice_lock, &c->deathword, MQ_PATIENCE_NS);
	return r == -EOWNERDEAD ? 0 : r; // each state is complete in one store
}

static void unlock_notice(struct mq_op *op)
{
	phi_lock_drop(&op->hold, &op->q->c->notice_lock);
}

static void set_state(struct mq_queue *q, uint32_t word)
{
	store_release_u32(&q->c->notice.state, word); // NOTICE
}

// Under N.
static enum mq_notice_state fired(struct mq_op *op, uint32_t armed)
{
	struct mq_notice *n = &op->q->c->notice;
	uint32_t how = load_relaxed_u32(&n->how);
	struct sender me = {op->hold.self->pid, getuid()};
	if (how == SIGEV_NONE)
		return MQ_NOTICE_IDLE;
	if (how == SIGEV_SIGNAL && trusts_writers(op->q) &&
	    signal_registrant(op->q, MQ_NOTICE_HOLDER(armed), n, me))
		return MQ_NOTICE_IDLE;
	store_relaxed_i32(&n->from_pid, me.pid);
	store_relaxed_u32(&n->from_uid, me.uid);
	return MQ_NOTICE_HANDED;
}

static void fire(struct mq_op *op)
{
	if (lock_notice(op) < 0)
		return;
	uint32_t w = load_relaxed_u32(&op->q->c->notice.state);
	if (MQ_NOTICE_STATE(w) == MQ_NOTICE_ARMED)
		set_state(op->q, MQ_NOTICE_SAME(w, fired(op, w)));
	unlock_notice(op);
}

void phi_mq_arrived(struct mq_op *op, uint32_t watched, bool blocked)
{
	struct mq_control *c = op->q->c;
	uint32_t state = load_acquire_u32(&c->notice.state); // NOTICE
	if (MQ_NOTICE_STATE(state) == MQ_NOTICE_ARMED && !blocked)
		fire(op);
	int woken = phi_wake(&c->note_event, INT_MAX);
	if (woken == 0 && MQ_NOTICE_STATE(load_relaxed_u32(&c->notice.state)) == MQ_NOTICE_IDLE)
		cas_acq_rel_u32(&c->watched, watched, 0);
}

// Receiver's side: the watching thread.

// From here on senders ring. Under S, so that whoever commits later sees it, and bumps the event after
// we have read it.
static void announce_watch(struct mq_op *op, struct sight *s)
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

static void look_at_subscription(struct mq_watch *w, const struct sight *s)
{
	struct mq_control *c = w->q->c;
	bool rung = s->arrivals != w->seen.arrivals;
	bool missed = s->was_off && s->tail != w->seen.tail && phi_mq_count(w->q) > 0;
	w->seen = *s;
	if (rung || missed)
		deliver(w, (struct sender){load_relaxed_i32(&c->tx_pid), getuid()});
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
	if (lock_notice(op) < 0)
		return false;
	uint32_t word = load_relaxed_u32(&n->state);
	enum mq_notice_state state = MQ_NOTICE_STATE(word);
	struct sender from = {load_relaxed_i32(&n->from_pid), load_relaxed_u32(&n->from_uid)};
	bool same = MQ_NOTICE_SAME(word, 0) == MQ_NOTICE_SAME(w->notice, 0);
	bool take = same && owed(w, state);
	if (take)
		set_state(w->q, MQ_NOTICE_SAME(word, MQ_NOTICE_IDLE));
	unlock_notice(op);
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
	struct sight now = w->seen;
	while (!load_acquire_u32(&w->stop) && phi_mq_intact(w->q)) { // WATCH_STOP
		announce_watch(&op, &now);
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
	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WATCH_STACK_BYTES);
	pthread_sigmask(SIG_SETMASK, &all, &w->mask);
	int e = pthread_create(&w->thread, &attr, watch_main, w);
	pthread_sigmask(SIG_SETMASK, &w->mask, NULL);
	pthread_attr_destroy(&attr);
	return e == 0 ? 0 : -ENOMEM;
}

static struct mq_watch *new_watch(struct mq_op *op, const struct sigevent *ev, bool once)
{
	struct mq_watch *w = calloc(1, sizeof *w);
	struct mq_queue *q = op->q;
	if (w == NULL)
		return NULL;
	w->q = q;
	announce_watch(op, &w->seen); // what comes after this is news
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
	case SIGEV_NONE: return none_too ? 0 : -EINVAL;
	case SIGEV_SIGNAL: return ev->sigev_signo >= 0 && ev->sigev_signo <= SIGNALS ? 0 : -EINVAL;
	case SIGEV_THREAD: return ev->sigev_notify_function != NULL ? 0 : -EINVAL;
	default: return -EINVAL;
	}
}

static int add_watch(struct mq_op *op, struct mq_watch *w)
{
	struct mq_queue *q = op->q;
	int r = start_thread(w);
	if (r < 0)
		return r;
	w->next = q->watches;
	q->watches = w;
	return 0;
}

// Registering.

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
	set_state(q, MQ_NOTICE_SAME(word, MQ_NOTICE_IDLE));
	fill_record(op, ev);
	uint32_t armed = MQ_NOTICE_NEXT(word, holder, MQ_NOTICE_ARMED);
	int r = 0;
	if (w != NULL) {
		w->notice = armed;
		r = add_watch(op, w);
	}
	if (r == 0)
		set_state(q, armed);
	return r;
}

// A registration that has fired is free, although its thread may not have run yet: wait for that.
static int arm_when_free(struct mq_op *op, uint32_t holder, const struct sigevent *ev,
                         struct mq_watch *w)
{
	struct mq_notice *n = &op->q->c->notice;
	for (int i = 0;; i++) {
		int r = lock_notice(op);
		if (r < 0)
			return r;
		uint32_t word = load_relaxed_u32(&n->state);
		bool busy = MQ_NOTICE_STATE(word) == MQ_NOTICE_HANDED && i < HANDED_ROUNDS;
		if (!busy)
			r = arm(op, holder, ev, w);
		unlock_notice(op);
		if (!busy)
			return r;
		phi_futex_wait(&n->state, word, HANDED_NS);
	}
}

static int register_changing(struct mq_op *op, uint32_t holder, const struct sigevent *ev)
{
	struct mq_watch *w = NULL;
	end_some(op->q, -1);
	if (ev->sigev_notify != SIGEV_NONE) {
		w = new_watch(op, ev, true);
		if (w == NULL)
			return -ENOMEM;
	}
	int r = arm_when_free(op, holder, ev, w);
	if (r < 0) {
		free(w);
		return r;
	}
	struct sight unused;
	announce_watch(op, &unused); // a sender may have found nobody and taken the sign down
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
	if (lock_notice(op) < 0)
		return;
	uint32_t w = load_relaxed_u32(&op->q->c->notice.state);
	if (MQ_NOTICE_HOLDER(w) == holder)
		set_state(op->q, MQ_NOTICE_SAME(w, MQ_NOTICE_IDLE));
	unlock_notice(op);
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
	end_some(q, -1);
	struct mq_watch *w = new_watch(op, ev, false);
	r = w == NULL ? -ENOMEM : add_watch(op, w);
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
	int n = subscription < 0 ? 0 : end_some(q, subscription);
	pthread_mutex_unlock(&q->change);
	return n > 0 ? 0 : -EINVAL;
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

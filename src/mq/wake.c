// SPDX-License-Identifier: MIT
//
// Sleepers, and what a committer owes them: docs/mq.md, "Going to sleep, and waking". The flag of one
// side's sleepers is set under the other side's lock; whoever owes a wake-up is on duty while he does.
#include "mq/queue.h"

#include "core/record.h"

#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

// How long a receiver waits for a sender's notification before it sleeps.
#define MQ_DUE_NS 20000000

// One side's view of the wait words.
struct side {
	uint32_t *asleep, *event;
	const uint64_t *cursor; // the other side's, which moves when waiting is over
	const uint32_t *peer_cpu, *stop;
	struct phi_spin *spin;
};

static struct side side_of(struct mq_queue *q, enum mq_side which)
{
	struct mq_control *c = q->c;
	if (which == MQ_RECEIVER) // `watched`: who registers must see who is blocked, so do not spin
		return (struct side){&c->rx_asleep, &c->rx_event, &c->tail,
		                     &c->tx_cpu,    &c->watched,  &q->rx_spin};
	return (struct side){&c->tx_asleep, &c->tx_event, &c->free_tail, &c->rx_cpu, NULL, &q->tx_spin};
}

// Odd, and another one each time.
static uint32_t new_number(struct mq_queue *q)
{
	return add_acq_rel_u32(&q->c->generation, 1) << 1 | 1;
}

static uint32_t on_the_way_now(void)
{
	return (uint32_t)(phi_now_coarse_ns() / 1000000);
}

// Under R, before the commit: take it upon ourselves to wake a sender. The word to take back if nobody
// sleeps, 0 if nobody has to be woken.
static uint32_t claim_sender(struct mq_queue *q)
{
	struct mq_control *c = q->c;
	uint32_t asleep = load_relaxed_u32(&c->tx_asleep);
	if (asleep == 0)
		return 0;
	uint32_t now = on_the_way_now();
	if (!(asleep & 1) && now - load_relaxed_u32(&c->tx_since) <= MQ_ON_THE_WAY_MS)
		return 0;
	uint32_t claim = (new_number(q) ^ 1) | 1U << 31; // even, not 0, and never used before
	store_relaxed_u32(&c->tx_since, now);
	return cas_acq_rel_u32(&c->tx_asleep, asleep, claim) ? claim : 0;
}

// After the bump: wake one of those who announced themselves up to `seen`: whether one was asleep. If
// none was, the flag goes, unless somebody announced himself in between.
static bool wake_one(uint32_t *asleep, uint32_t *event, uint32_t seen)
{
	if (phi_wake(event, 1) > 0)
		return true;
	cas_acq_rel_u32(asleep, seen, 0);
	return false;
}

void phi_mq_wake_all(struct mq_queue *q)
{
	struct mq_control *c = q->c;
	phi_ring(&c->rx_event, INT_MAX);
	phi_ring(&c->tx_event, INT_MAX);
	phi_ring(&c->note_event, INT_MAX);
}

static bool polled(const struct mq_queue *q)
{
	return load_relaxed_u32(&q->c->polled) != 0;
}

// A sender that may owe a notification says so before it commits: if it dies, the registrant's thread
// finds it here. All places taken by living senders: the deathword will have to do.
static uint32_t *note_due(struct mq_op *op)
{
	for (int i = 0; i < MQ_DUES; i++) {
		uint32_t *due = &op->q->c->due[i];
		uint32_t tid = load_relaxed_u32(due);
		if ((tid == 0 || phi_tid_dead(tid)) && cas_acq_rel_u32(due, tid, op->hold.self->tid))
			return due;
	}
	return NULL;
}

int phi_mq_commit_tail_slow(struct mq_op *op, uint64_t tail, struct mq_owed *owed)
{
	struct mq_queue *q = op->q;
	struct mq_control *c = q->c;
	owed->asleep = load_relaxed_u32(&c->rx_asleep);
	owed->watched = load_relaxed_u32(&c->watched);
	int r = polled(q) ? phi_mq_tokens_open(q) : 0;
	if (r < 0)
		return r;
	phi_lock_to_duty(&op->hold, op->held, &c->deathword);
	store_relaxed_u32(&q->tx_stamp.skip, 0);
	if (polled(q) && load_relaxed_u32(&c->tokens) == 0)
		phi_mq_tokens_set(q, 1); // "readable" before it is true
	owed->due = NULL;
	if (owed->asleep != 0)
		phi_bump(&c->rx_event);
	if (owed->watched != 0) {
		owed->due = note_due(op);
		phi_bump(&c->note_event);
	}
	store_release_u64(&c->tail, tail); // TAIL: the commit
	// Whether the queue was empty is judged after the commit: a receiver that drains it either sees
	// this message, or has freed the others before we look (pairs with the locks he went through).
	fence_seq_cst();
	uint64_t free_tail = load_acquire_u64(&c->free_tail); // FREE_TAIL
	owed->was_empty = free_tail - tail + load_relaxed_u32(&c->borrowed) + 1 >= q->g.maxmsg;
	if (owed->watched != 0) {
		c->arrivals += owed->was_empty;
		c->judged = (uint32_t)tail;
	}
	if (polled(q) && free_tail == tail)
		phi_mq_tokens_set(q, phi_mq_tokens_for(q, tail, free_tail)); // "not writable" after
	return 0;
}

void phi_mq_pay_receivers(struct mq_op *op, const struct mq_owed *owed)
{
	struct mq_control *c = op->q->c;
	bool woke = owed->asleep != 0 && wake_one(&c->rx_asleep, &c->rx_event, owed->asleep);
	if (owed->watched == 0)
		return;
	if (owed->was_empty)
		phi_mq_arrived(op, owed->watched, woke);
	if (owed->due != NULL)
		store_release_u32(owed->due, 0);
}

int phi_mq_commit_free_tail_slow(struct mq_op *op, uint64_t free_tail, struct mq_owed *owed)
{
	struct mq_queue *q = op->q;
	struct mq_control *c = q->c;
	owed->asleep = 0;
	bool tokens = op->held == &c->send;
	int r = tokens ? phi_mq_tokens_open(q) : 0;
	if (r < 0)
		return r;
	phi_lock_to_duty(&op->hold, op->held, &c->deathword);
	store_relaxed_u32(&q->rx_stamp.skip, 0);
	if (tokens && load_relaxed_u32(&c->tokens) == 2)
		phi_mq_tokens_set(q, 1); // "writable" before it is true
	owed->asleep = claim_sender(q);
	if (owed->asleep != 0)
		phi_bump(&c->tx_event);
	store_release_u64(&c->free_tail, free_tail); // FREE_TAIL: the commit
	if (tokens)
		phi_mq_tokens_set(q, phi_mq_tokens_for(q, load_relaxed_u64(&c->tail), free_tail));
	return 0;
}

void phi_mq_pay_senders(struct mq_op *op, const struct mq_owed *owed)
{
	struct mq_control *c = op->q->c;
	if (owed->asleep != 0)
		wake_one(&c->tx_asleep, &c->tx_event, owed->asleep);
}

static void refresh_tokens(struct mq_op *op)
{
	struct mq_control *c = op->q->c;
	if (op->held != &c->send || !polled(op->q) || phi_mq_tokens_open(op->q) < 0)
		return;
	phi_mq_tokens_set(op->q, phi_mq_tokens_for(op->q, load_relaxed_u64(&c->tail),
	                                           load_relaxed_u64(&c->free_tail)));
}

// Wake one of a side's sleepers, if there may be any.
static void ring(uint32_t *asleep, uint32_t *event)
{
	uint32_t seen = load_acquire_u32(asleep); // ASLEEP
	if (seen == 0)
		return;
	phi_bump(event);
	wake_one(asleep, event, seen);
}

// If receivers sleep, one of them has to look after the borrowers from now on.
static void ring_sentinel(struct mq_queue *q)
{
	ring(&q->c->rx_asleep, &q->c->rx_event);
}

// Under R: whether there is room. If there is none, the next receive has to ring again.
static bool room_left(struct mq_queue *q)
{
	struct mq_control *c = q->c;
	if (load_relaxed_u64(&c->free_tail) != load_acquire_u64(&c->tail)) // TAIL
		return true;
	uint32_t asleep = load_relaxed_u32(&c->tx_asleep);
	if (asleep != 0 && !(asleep & 1))
		cas_acq_rel_u32(&c->tx_asleep, asleep, new_number(q));
	return false;
}

static void hand_on_room(struct mq_op *op)
{
	if (load_relaxed_u32(&op->q->c->tx_asleep) == 0 || phi_mq_lock_recv(op) < 0)
		return;
	bool room = room_left(op->q);
	phi_mq_unlock(op);
	if (room)
		ring(&op->q->c->tx_asleep, &op->q->c->tx_event);
}

// Who was woken may have been woken for two reasons and told of one: the kernel names one word only. So
// whoever slept, whatever he found, sees to it that nobody sleeps beside what he leaves behind.
static void hand_on(struct mq_op *op)
{
	struct mq_control *c = op->q->c;
	if (phi_mq_count(op->q) > 0)
		ring(&c->rx_asleep, &c->rx_event);
	hand_on_room(op);
}

void phi_mq_left_unlock(struct mq_op *op)
{
	bool first = op->q->c->borrowed == 1;
	phi_lock_to_duty(&op->hold, op->held, &op->q->c->deathword);
	refresh_tokens(op);
	phi_mq_unlock(op);
	if (first)
		ring_sentinel(op->q);
}

void phi_mq_came_back_unlock(struct mq_op *op)
{
	refresh_tokens(op);
	phi_mq_unlock(op);
	phi_wake(&op->q->c->rx_event, 1);
}

void phi_mq_comes_back(struct mq_op *op)
{
	phi_lock_to_duty(&op->hold, op->held, &op->q->c->deathword);
	phi_bump(&op->q->c->rx_event);
}

// Before sleeping: 1 look again, 0 go on, -ETIMEDOUT, -EINVAL.
static int rest(struct mq_op *op, enum mq_side which)
{
	struct side s = side_of(op->q, which);
	if (load_relaxed_u32(&op->q->c->loans) != 0 && phi_mq_reap(op) > 0)
		return 1;
	int r = phi_deadline_check(&op->deadline);
	if (r < 0)
		return r;
	return phi_spin_while(s.spin, s.cursor, op->seen, s.peer_cpu, s.stop);
}

// Whether the sender who is noted there still has to notify somebody, as far as we wait for that.
static bool is_due(const uint32_t *due, uint32_t me, int64_t *until)
{
	uint32_t tid = load_acquire_u32(due); // DUE
	if (tid == 0 || tid == me || phi_tid_dead(tid))
		return false;
	int64_t now = phi_now_ns();
	if (*until == 0)
		*until = now + MQ_DUE_NS;
	return now < *until;
}

// A notification is sent after the commit. The receiver may have taken the message by then, and wait for the next:
// the signal would interrupt a wait that begins after the message was taken, as the kernel's never does. So
// wait for the sender first, and take the signal, if it is for this thread, on the way out of a system call.
static void await_notifications(struct mq_op *op)
{
	const struct timespec pause = {0, 50000};
	int64_t until = 0;
	for (int i = 0; i < MQ_DUES; i++)
		while (is_due(&op->q->c->due[i], op->hold.self->tid, &until))
			syscall(SYS_nanosleep, &pause, NULL); // no cancellation point
	if (until != 0)
		syscall(SYS_getpid);
}

static int announce(struct mq_op *op, enum mq_side which)
{
	struct side s = side_of(op->q, which);
	if (which == MQ_RECEIVER)
		await_notifications(op);
	int r = which == MQ_RECEIVER ? phi_mq_lock_send(op) : phi_mq_lock_recv(op);
	if (r < 0)
		return r;
	// The event first: who sees the number and finds nobody asleep takes it back, having bumped.
	op->event = load_acquire_u32(s.event);
	store_release_u32(s.asleep, new_number(op->q)); // ASLEEP
	phi_mq_unlock(op);
	op->duty = true;
	phi_duty(&op->hold, &op->q->c->deathword);
	return 0;
}

#define MQ_QUESTIONS 2

struct sleeper {
	struct mq_op *op;
	uint32_t *event;
	struct mq_sleeper *entry;
};

// The place of a dead sleeper: asking costs system calls, so few are asked.
static bool is_vacant(uint32_t tid, uint32_t me, int *questions)
{
	if (tid == 0 || tid == me)
		return true;
	return *questions > 0 && --*questions >= 0 && phi_tid_dead(tid);
}

static struct mq_sleeper *find_place(struct mq_op *op, int questions)
{
	uint32_t me = op->hold.self->tid;
	for (uint32_t i = 0; i < MQ_SLEEPERS; i++) {
		struct mq_sleeper *e = &op->q->c->sleeper[(me + i) % MQ_SLEEPERS];
		uint32_t tid = load_relaxed_u32(&e->tid);
		if (is_vacant(tid, me, &questions) && cas_acq_rel_u32(&e->tid, tid, me))
			return e;
	}
	return NULL;
}

// An entry to be seen by, or NULL: then we sleep unseen. A call that looks around every few milliseconds is still
// one wait.
static struct mq_sleeper *sign_in(struct mq_op *op, enum mq_side which)
{
	if (op->since_ns == 0)
		op->since_ns = (uint64_t)phi_now_ns();
	struct mq_sleeper *e = find_place(op, 0);
	if (e == NULL)
		e = find_place(op, MQ_QUESTIONS);
	if (e != NULL) {
		store_relaxed_u32(&e->side, which);
		store_relaxed_u64(&e->since_ns, op->since_ns);
	}
	return e;
}

static void sign_out(struct mq_op *op, struct mq_sleeper *entry)
{
	if (entry != NULL)
		cas_acq_rel_u32(&entry->tid, op->hold.self->tid, 0);
}

// Cancelled asleep, or between the wake-up and the message: somebody else shall have it.
#if defined(__x86_64__) && !defined(__GLIBC__) // musl calls it with a misaligned stack
__attribute__((force_align_arg_pointer))
#endif
static void
pass_on(void *arg)
{
	struct sleeper *s = arg;
	sign_out(s->op, s->entry);
	phi_ring(s->event, 1);
	hand_on(s->op);
	phi_leave(&s->op->hold);
	phi_mq_leave_inside(s->op->q);
}

// A sentinel looks after loans; a receiver beside a sender who is on his way, whether he got stuck.
static int64_t look_again_ns(const struct mq_op *op, enum mq_side which)
{
	if (op->sentinel)
		return MQ_LOANS_NS;
	bool senders = which == MQ_RECEIVER && load_relaxed_u32(&op->q->c->tx_asleep) != 0;
	return senders ? MQ_ON_THE_WAY_MS * 1000000 : 0;
}

static int sleep_on(struct mq_op *op, enum mq_side which)
{
	struct side s = side_of(op->q, which);
	struct mq_control *c = op->q->c;
	if (load_relaxed_u32(&c->deathword) != 0)
		return phi_mq_poison(op->q); // who sleeps on it must be woken by nothing else
	struct sleeper me = {op, s.event, sign_in(op, which)};
	op->sentinel = which == MQ_RECEIVER && load_relaxed_u32(&c->loans) != 0;
	struct phi_sleep sleep = {
		.event = s.event,
		.seen = op->event,
		.deathword = &c->deathword,
		.deadline = &op->deadline,
		.look_again_ns = look_again_ns(op, which),
		.cancelled = pass_on,
		.arg = &me,
	};
	phi_duty(&op->hold, &c->deathword);
	struct phi_nap nap = phi_record_asleep(
		which == MQ_RECEIVER ? RECORD_mq_receive : RECORD_mq_send, op->q->region.inode, true);
	int r = phi_sleep(&sleep);
	phi_record_awake(&nap);
	sign_out(op, me.entry);
	if (r == PHI_WOKEN_BY_DEATH)
		phi_mq_wake_all(op->q);
	return r > 0 ? 0 : r;
}

// The announcement, a last look, sleep, and another look - also when the time is up.
static int64_t announce_and_sleep(struct mq_op *op, enum mq_side which, mq_attempt *attempt,
                                  void *arg)
{
	int64_t r = announce(op, which);
	if (r < 0)
		return r;
	r = attempt(op, arg);
	if (r != -EAGAIN)
		return r;
	int slept = sleep_on(op, which);
	if (slept != -EINTR && slept != -EBADMSG)
		r = attempt(op, arg);
	hand_on(op);
	return r == -EAGAIN && slept < 0 ? slept : r;
}

static int64_t look_and_sleep(struct mq_op *op, enum mq_side which, mq_attempt *attempt, void *arg)
{
	for (;;) {
		int64_t r = rest(op, which);
		if (r < 0)
			return r;
		r = r > 0 ? attempt(op, arg) : announce_and_sleep(op, which, attempt, arg);
		if (r != -EAGAIN)
			return r;
	}
}

int64_t phi_mq_block(struct mq_op *op, enum mq_side which, mq_attempt *attempt, void *arg)
{
	op->deadline = phi_deadline(op->clock, op->abstime);
	op->since_ns = 0;
	if (!op->inside) // somebody may close the descriptor meanwhile
		add_acq_rel_u32(&op->q->inside, 1);
	op->inside = true;
	store_relaxed_u32(&op->q->rx_stamp.skip, 0);
	store_relaxed_u32(&op->q->tx_stamp.skip, 0);
	int64_t r = look_and_sleep(op, which, attempt, arg);
	// A sentinel leaves: the loans need another.
	if (op->sentinel && load_relaxed_u32(&op->q->c->loans) != 0)
		ring_sentinel(op->q);
	return r;
}

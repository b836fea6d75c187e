// SPDX-License-Identifier: MIT
//
// The private side of an open queue, and what the files of this room share. Read docs/mq.md first,
// then layout.h, this, send.c and receive.c; repair.c shows that the truth is small.
#ifndef PHI_MQ_QUEUE_H
#define PHI_MQ_QUEUE_H

#include "base/clock.h"
#include "core/handle.h"
#include "core/region.h"
#include "mq/layout.h"
#include "sync/lock.h"
#include "sync/spin.h"
#include "sync/wait.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MQ_PREFIX "mq."

// The bits of O_RDONLY, O_WRONLY and O_RDWR (O_ACCMODE has more of them in musl).
#define MQ_ACCESS 3

// How long a call that must not block waits for a lock whose holder lives (stopped inside, or hostile).
#define MQ_PATIENCE_NS 1000000000
// How often a sleeper looks after borrowers while `loans` says there are some.
#define MQ_LOANS_NS 20000000

// Sizes, in private memory from attach on.
struct mq_geometry {
	uint64_t maxmsg, msgsize;
	uint64_t slots, slot_bytes, ring_size, spares, blocks;
	uint64_t ring_at, next_at, blocks_at, slots_at, bytes;
};

struct mq_watch;

// When to look at the clock for the time of the last operation, which is for display only: always,
// but in a burst (no tick of the coarse clock between two looks) only every MQ_STAMP_EVERY times.
#define MQ_STAMP_EVERY 8

struct mq_stamp {
	uint32_t skip;
	uint64_t last_ns;
};

static inline void phi_mq_stamp(struct mq_stamp *s, uint64_t *time)
{
	uint32_t skip = load_relaxed_u32(&s->skip);
	if (skip > 0) {
		store_relaxed_u32(&s->skip, skip - 1);
		return;
	}
	uint64_t now = (uint64_t)phi_now_coarse_ns();
	store_relaxed_u32(&s->skip, now == load_relaxed_u64(&s->last_ns) ? MQ_STAMP_EVERY - 1 : 0);
	store_relaxed_u64(&s->last_ns, now);
	store_relaxed_u64(time, now);
}

struct mq_queue {
	struct phi_handle handle;
	struct mq_control *c;
	uint32_t *ring;
	uint32_t *next;
	struct mq_block *blocks;
	uint8_t *slots;
	struct mq_geometry g;
	bool can_send, can_receive;
	struct phi_spin rx_spin, tx_spin;
	struct mq_stamp rx_stamp, tx_stamp;
	struct phi_region region;
	pthread_mutex_t change; // guards what follows: rare operations of this process
	int holder;             // our number as a holder, -1 = none
	bool shares_open;       // a child that could not reopen the file: the parent's description
	bool fifo_is_public;    // the fifo lies over handle.fd, the file moved to region.fd
	uint32_t fifo;          // descriptor of the token fifo + 1, 0 = not open
	struct mq_watch *watches;
	int next_watch;
	uint32_t inside;  // A: calls of this process that have waited here, MQ_CLOSED when it is closed
	uint64_t read_at; // A: for who reads the descriptor of an unmodified program
};

// The last of the calls inside takes the queue apart.
#define MQ_CLOSED 0x80000000u

// One call in progress.
struct mq_op {
	struct phi_hold hold;
	struct mq_queue *q;
	struct phi_lock *held;
	bool duty;                      // announced as a sleeper: its death must pass the wake-up on
	bool sentinel;                  // slept looking after loans
	bool inside;                    // counted in mq_queue.inside
	uint32_t event;                 // the event word before the last look
	uint64_t seen;                  // the other side's cursor at the last look
	bool nonblock;                  // must not wait for anything
	clockid_t clock;                // of abstime
	const struct timespec *abstime; // NULL = no deadline
	struct phi_deadline deadline;   // both of them, once the call blocks
	uint64_t since_ns;              // when it first went to sleep; 0 = has not yet
};

// geometry.c: 0; -EINVAL not positive; -ENOMEM too large to address.
int phi_mq_geometry(struct mq_geometry *g, uint64_t maxmsg, uint64_t msgsize);
void phi_mq_geometry_words(const struct mq_geometry *g, uint64_t words[8]);

// The truth contradicts itself, or a part of the file is gone: -EBADMSG, now and for everybody.
int phi_mq_poison(struct mq_queue *q);

// An operation begins, ends.
static inline void phi_mq_begin(struct mq_op *op, struct mq_queue *q)
{
	phi_enter(&op->hold);
	op->q = q;
	op->held = NULL;
	op->duty = false;
	op->sentinel = false;
	op->inside = false;
}

// open.c: one of the calls inside ends.
void phi_mq_leave_inside(struct mq_queue *q);

static inline bool phi_mq_is_damaged(const struct mq_queue *q)
{
	return __builtin_expect(load_relaxed_u32(&q->region.damaged) != 0, 0);
}

static inline int phi_mq_end(struct mq_op *op, int r)
{
	phi_leave(&op->hold);
	if (__builtin_expect(load_relaxed_u32(&op->q->region.damaged), 0))
		r = phi_mq_poison(op->q);
	if (__builtin_expect(op->inside, 0))
		phi_mq_leave_inside(op->q);
	return r;
}

static inline struct mq_slot *phi_mq_slot(const struct mq_queue *q, uint32_t n)
{
	return (struct mq_slot *)(q->slots + (uint64_t)n * q->g.slot_bytes);
}

static inline uint8_t *phi_mq_payload(struct mq_slot *s)
{
	return (uint8_t *)(s + 1);
}

static inline uint32_t *phi_mq_ring_at(const struct mq_queue *q, uint64_t pos)
{
	return &q->ring[pos & (q->g.ring_size - 1)];
}

// Deep queues outgrow the caches: fetch the head and the first bytes of a slot that is soon needed.
static inline void phi_mq_fetch(const struct mq_queue *q, uint32_t slot)
{
	if (slot < q->g.slots) {
		const uint8_t *s = (const uint8_t *)phi_mq_slot(q, slot);
		__builtin_prefetch(s, 1);
		__builtin_prefetch(s + MQ_LINE, 1);
	}
}

#define MQ_LENGTH_BITS 48

static inline uint64_t phi_mq_pack(unsigned prio, uint64_t len)
{
	return (uint64_t)prio << MQ_LENGTH_BITS | len;
}

static inline uint64_t phi_mq_length(uint64_t prio_len)
{
	return prio_len & ((UINT64_C(1) << MQ_LENGTH_BITS) - 1);
}

static inline unsigned phi_mq_priority(uint64_t prio_len)
{
	return (unsigned)(prio_len >> MQ_LENGTH_BITS);
}

// Whether the cursors can be true: 0 <= free_tail - tail <= depth.
static inline bool phi_mq_window_fits(const struct mq_queue *q, uint64_t tail, uint64_t free_tail)
{
	return free_tail - tail <= q->g.maxmsg;
}

static inline bool phi_mq_intact(const struct mq_queue *q)
{
	return load_relaxed_u32(&q->c->stamp) == MQ_STAMP;
}

// locks.c: the two locks, repaired if need be. 0, -EAGAIN, -EDEADLK, -EBADMSG, -ENOMEM.
int phi_mq_lock_send_slow(struct mq_op *op);
int phi_mq_lock_recv_slow(struct mq_op *op);

static inline bool phi_mq_lock_fast(struct mq_op *op, struct phi_lock *lock)
{
	if (__builtin_expect(op->duty, 0))
		return false;
	phi_set_pending(op->hold.self, &lock->word);
	if (__builtin_expect(!cas_acquire_u32(&lock->word, 0, op->hold.self->tid), 0)) // LOCK_ACQ
		return false;
	op->held = lock;
	return true;
}

static inline void phi_mq_unlock(struct mq_op *op)
{
	struct phi_lock *l = op->held;
	op->held = NULL;
	phi_lock_drop(&op->hold, l);
}

static inline int phi_mq_lock_send(struct mq_op *op)
{
	if (__builtin_expect(!phi_mq_lock_fast(op, &op->q->c->send), 0))
		return phi_mq_lock_send_slow(op);
	if (__builtin_expect(phi_mq_intact(op->q), 1))
		return 0;
	phi_mq_unlock(op);
	return -EBADMSG;
}

// In one-lock mode S stands for R, and whoever has got R looks again: the switch is made under R.
static inline int phi_mq_lock_recv(struct mq_op *op)
{
	struct mq_control *c = op->q->c;
	if (__builtin_expect(load_relaxed_u32(&c->polled) != 0 || !phi_mq_lock_fast(op, &c->recv), 0))
		return phi_mq_lock_recv_slow(op);
	if (__builtin_expect(load_acquire_u32(&c->polled) == 0 && phi_mq_intact(op->q), 1)) // ONE_LOCK
		return 0;
	phi_mq_unlock(op);
	return phi_mq_lock_recv_slow(op);
}

// repair.c. Under R: index and counts from the truth; -EBADMSG if that contradicts itself, and then
// the queue is marked damaged for all.
int phi_mq_rebuild(struct mq_queue *q);
// Under S, after a death: finish or undo a swap.
int phi_mq_settle_swap(struct mq_queue *q);

// index.c, under R. All of them bound what they follow; false or -EBADMSG on a contradiction.
void phi_mq_index_clear(struct mq_queue *q);
bool phi_mq_index_append(struct mq_queue *q, uint32_t slot, unsigned prio);
bool phi_mq_index_insert(struct mq_queue *q, uint32_t slot, unsigned prio, uint64_t seq);
bool phi_mq_index_first(const struct mq_queue *q, uint32_t *slot, unsigned *prio);
bool phi_mq_index_drop_first(struct mq_queue *q, uint32_t slot, unsigned prio);

// wake.c.
// What a committer owes to sleepers and registrants, once he has let go of the lock.
struct mq_owed {
	uint32_t asleep, watched;
	bool any, was_empty;
	uint32_t *due; // where it is noted that a notification may be owed, or NULL
};
// Commit one of the cursors, under its lock, with whatever sleepers, pollers and registrants are owed.
// 0, or -errno (the poll tokens cannot be kept) and nothing is committed.
int phi_mq_commit_tail_slow(struct mq_op *op, uint64_t tail, struct mq_owed *owed);
int phi_mq_commit_free_tail_slow(struct mq_op *op, uint64_t free_tail, struct mq_owed *owed);
void phi_mq_pay_receivers(struct mq_op *op, const struct mq_owed *owed);
void phi_mq_pay_senders(struct mq_op *op, const struct mq_owed *owed);
// A message left the receivable ones, or came back, without a commit of a cursor (loans); unlocks.
void phi_mq_left_unlock(struct mq_op *op);
void phi_mq_comes_back(struct mq_op *op); // under R, before it is true
void phi_mq_came_back_unlock(struct mq_op *op);

// Try until it is something else than -EAGAIN, the deadline or a signal: resting between the looks as
// the policy says. Called after a first try gave -EAGAIN. A cancellation point.
enum mq_side { MQ_RECEIVER, MQ_SENDER };
typedef int64_t mq_attempt(struct mq_op *op, void *arg);
int64_t phi_mq_block(struct mq_op *op, enum mq_side side, mq_attempt *attempt, void *arg);

// Wake everybody who sleeps on the queue for whatever reason.
void phi_mq_wake_all(struct mq_queue *q);

// send.c, receive.c
int phi_mq_send(struct mq_op *op, const void *msg, size_t len, unsigned prio);
int64_t phi_mq_receive(struct mq_op *op, void *buf, unsigned *prio);
int64_t phi_mq_peek(struct mq_op *op, void *buf, unsigned *prio);
// Under S: room, its position, the free slot there; -EAGAIN full; -EINPROGRESS full, but somebody is
// receiving (only if the call must not block); -EBADMSG.
int phi_mq_find_room(struct mq_op *op, uint64_t *pos, uint32_t *slot);
// Commit the position. Then: unlock, and if (owed.any) pay.
int64_t phi_mq_send_after_receive(struct mq_op *op, mq_attempt *attempt, void *arg);
int phi_mq_commit_send(struct mq_op *op, uint64_t pos, unsigned prio, struct mq_owed *owed);
// The best message, not yet taken.
struct mq_pick {
	uint32_t slot;
	bool direct; // from the ring, the index is empty
	unsigned prio;
	uint64_t len, seq;
};
// Lock, and 1 found (locked), -EAGAIN none (unlocked), -errno (unlocked).
int64_t phi_mq_try_pick(struct mq_op *op, struct mq_pick *p);
bool phi_mq_pick_remove(struct mq_queue *q, const struct mq_pick *p);
// Give the slot back and commit. Then: unlock, and if (owed.any) pay.
int phi_mq_commit_receive(struct mq_op *op, uint32_t slot, struct mq_owed *owed);

// loan.c
struct ph_mq_loan;
int phi_mq_reserve(struct mq_op *op, struct ph_mq_loan *loan);
int phi_mq_commit(struct mq_op *op, struct ph_mq_loan *loan, size_t len, unsigned prio);
int phi_mq_borrow(struct mq_op *op, struct ph_mq_loan *loan);
int phi_mq_release(struct mq_op *op, struct ph_mq_loan *loan);
int phi_mq_cancel(struct mq_op *op, struct ph_mq_loan *loan);
// Take back what dead borrowers held: how many, or -errno. No lock held.
int phi_mq_reap(struct mq_op *op);
int phi_mq_drop_loans(struct mq_op *op);
// Before a look at the messages: what dead borrowers had is among them.
static inline void phi_mq_look_after_loans(struct mq_op *op)
{
	if (__builtin_expect(load_relaxed_u32(&op->q->c->loans) != 0, 0))
		phi_mq_reap(op);
}
// Our number as a holder, claimed at the first need; -errno.
int phi_mq_holder(struct mq_queue *q);
bool phi_mq_holder_lives(struct mq_queue *q, uint32_t holder);
// Borrow records that stand for a message outside the free window; under R.
bool phi_mq_borrow_valid(const struct mq_queue *q, const struct mq_borrow *b, uint64_t tail);

// tokens.c: the fifo behind poll. Under S in one-lock mode.
int phi_mq_tokens_open(struct mq_queue *q);
void phi_mq_tokens_set(struct mq_queue *q, uint32_t want);
void phi_mq_tokens_resync(struct mq_queue *q);
uint32_t phi_mq_tokens_for(const struct mq_queue *q, uint64_t tail, uint64_t free_tail);
int phi_mq_tokens_polled(struct phi_handle *h);
// The same facts for a poll that does not wait, and leaves the queue as it is.
int phi_mq_glance(struct phi_handle *h);
void phi_mq_tokens_unpublish(struct mq_queue *q);
void phi_mq_tokens_close(struct mq_queue *q);
// Whether this process ever opened one.
extern uint32_t phi_mq_has_fifos;
// Remove the fifos that nobody has open.
void phi_mq_tokens_sweep(int dir);

// notify.c
int phi_mq_notify(struct mq_op *op, const struct sigevent *ev);
int phi_mq_subscribe(struct mq_op *op, const struct sigevent *ev);
int phi_mq_unsubscribe(struct mq_op *op, int subscription);
// A message arrived at the empty queue. `blocked`: a sleeping receiver was rung for it. No lock held.
void phi_mq_arrived(struct mq_op *op, uint32_t watched, bool blocked);
// The registration, if it is this holder's, is over.
void phi_mq_notice_drop(struct mq_op *op, uint32_t holder);
void phi_mq_watches_end(struct mq_op *op);
void phi_mq_watches_forget(struct mq_queue *q);

// open.c
struct mq_sizes {
	uint64_t maxmsg, msgsize;
};
int phi_mq_open(const char *name, int oflag, unsigned mode, const struct mq_sizes *sizes,
                struct mq_queue **out);
int phi_mq_close(int fd);
int phi_mq_unlink(const char *name);
// Map an existing queue; with `observe` read-only, for a look from outside.
int phi_mq_attach(struct mq_queue *q, int dir, const char *file, const char *name, bool observe);
// Derive the pointers from the geometry.
void phi_mq_point(struct mq_queue *q);

// Messages a receive could take now, as far as can be seen without a lock.
uint64_t phi_mq_count(const struct mq_queue *q);

// info.c
struct ph_mq_info;
int phi_mq_info(const char *name, struct ph_mq_info *info);

// content.c: what Linux's mqueue file system tells of a queue.
struct mq_content {
	uint64_t bytes;    // of the messages that a receive could take
	int notify, signo; // how the registrant wants to be told, 0 if nobody is registered
	int32_t notify_pid;
	bool damaged;
};
int phi_mq_content(const char *name, struct mq_content *content);

#endif

// SPDX-License-Identifier: MIT
//
// The plain case of sending and receiving, each in one piece: the lock is free, there is room or a
// message, nobody sleeps, polls or watches, and no priority is out of order. It does what send.c and
// receive.c do, in the same order, and leaves everything else to them: where the case is not plain it
// has changed nothing that matters. Inline into the calls: at 34 ns for both, passing arguments shows.
#ifndef PHI_MQ_PLAIN_H
#define PHI_MQ_PLAIN_H

#include "mq/queue.h"

#include <string.h>

static inline void phi_mq_plain_unlock(struct phi_self *self, uintptr_t outer,
                                       struct phi_lock *lock)
{
	if (__builtin_expect(!cas_release_u32(&lock->word, self->tid, 0), 0)) { // LOCK_REL
		struct phi_hold h = {.self = self, .outer = outer};
		phi_unlock_slow(&h, lock);
	}
}

// Every word that must be 0 for the case to be plain, in one.
static inline uint32_t phi_mq_plain_odds(const struct mq_control *c, const uint32_t *asleep)
{
	return load_relaxed_u32(asleep) | load_relaxed_u32(&c->polled) |
	       (load_relaxed_u32(&c->stamp) ^ MQ_STAMP);
}

// Under S: the free slot at `tail`, or MQ_NONE.
static inline uint32_t phi_mq_plain_room(struct mq_queue *q, uint64_t tail, unsigned prio)
{
	struct mq_control *c = q->c;
	uint64_t free_tail = load_relaxed_u64(&c->send.guarded64);
	if (__builtin_expect(free_tail == tail, 0)) {
		free_tail = load_acquire_u64(&c->free_tail); // FREE_TAIL
		store_relaxed_u64(&c->send.guarded64, free_tail);
		if (free_tail - tail == q->g.maxmsg)
			store_relaxed_u32(&c->mark, prio); // empty: nothing else to be bounded
	}
	uint32_t odds = phi_mq_plain_odds(c, &c->rx_asleep) | load_relaxed_u32(&c->watched);
	uint32_t n = load_relaxed_u32(phi_mq_ring_at(q, tail));
	bool plain = odds == 0 && free_tail - tail - 1 < q->g.maxmsg && n < q->g.slots &&
	             prio <= load_relaxed_u32(&c->mark);
	return plain ? n : MQ_NONE;
}

// Under S.
static inline bool phi_mq_plain_put(struct mq_queue *q, struct phi_self *self, const void *msg,
                                    size_t len, unsigned prio)
{
	struct mq_control *c = q->c;
	uint64_t tail = load_relaxed_u64(&c->tail);
	uint32_t n = phi_mq_plain_room(q, tail, prio);
	if (__builtin_expect(n == MQ_NONE, 0))
		return false;
	struct mq_slot *s = phi_mq_slot(q, n);
	memcpy(phi_mq_payload(s), msg, len);
	store_relaxed_u64(&s->prio_len, phi_mq_pack(prio, len));
	store_relaxed_u64(&s->seq, tail + 1);
	store_relaxed_u32(&c->tx_cpu, phi_cpu());
	store_relaxed_i32(&c->tx_pid, self->pid);
	phi_mq_stamp(&q->tx_stamp, &c->tx_time);
	store_release_u64(&c->tail, tail + 1); // TAIL: the commit
	return true;
}

// Whether the message was sent. If not, phi_mq_send has to.
static inline bool phi_mq_send_plain(struct mq_queue *q, const void *msg, size_t len, unsigned prio)
{
	struct phi_self *self = phi_self();
	struct phi_lock *lock = &q->c->send;
	bool sent = false;
	if (prio > load_relaxed_u32(&q->c->mark))
		return false; // in vain: not worth the lock
	uintptr_t outer = phi_set_pending(self, &lock->word);
	if (__builtin_expect(cas_acquire_u32(&lock->word, 0, self->tid), 1)) { // LOCK_ACQ
		sent = phi_mq_plain_put(q, self, msg, len, prio);
		phi_mq_plain_unlock(self, outer, lock);
	}
	phi_restore_pending(self, outer);
	return sent;
}

// Under R: the slot of the message at `head` if none can come before it, or MQ_NONE.
static inline uint32_t phi_mq_plain_head(struct mq_queue *q, uint64_t head)
{
	struct mq_control *c = q->c;
	uint64_t known = load_relaxed_u64(&c->recv.guarded64b);
	if (known == head) {
		known = load_acquire_u64(&c->tail); // TAIL
		store_relaxed_u64(&c->recv.guarded64b, known);
	}
	uint32_t odds = phi_mq_plain_odds(c, &c->tx_asleep) | load_relaxed_u32(&c->recv.guarded32);
	uint32_t n = load_relaxed_u32(phi_mq_ring_at(q, head));
	return odds == 0 && known - head - 1 < q->g.maxmsg && n < q->g.slots ? n : MQ_NONE;
}

// Under R: the length, or -1.
static inline int64_t phi_mq_plain_take(struct mq_queue *q, struct phi_self *self, void *buf,
                                        unsigned *prio)
{
	struct mq_control *c = q->c;
	uint64_t head = load_relaxed_u64(&c->recv.guarded64);
	uint32_t n = phi_mq_plain_head(q, head);
	if (__builtin_expect(n == MQ_NONE, 0))
		return -1;
	struct mq_slot *s = phi_mq_slot(q, n);
	uint64_t prio_len = load_relaxed_u64(&s->prio_len);
	uint64_t len = phi_mq_length(prio_len);
	unsigned p = phi_mq_priority(prio_len);
	if (__builtin_expect(load_relaxed_u64(&s->seq) != head + 1 || len > q->g.msgsize ||
	                         p >= MQ_PRIORITIES || p < load_relaxed_u32(&c->mark),
	                     0)) // MARK
		return -1;
	memcpy(buf, phi_mq_payload(s), len);
	uint64_t free_tail = load_relaxed_u64(&c->free_tail);
	store_relaxed_u32(phi_mq_ring_at(q, free_tail), n);
	store_relaxed_u32(&c->rx_cpu, phi_cpu());
	store_relaxed_i32(&c->rx_pid, self->pid);
	phi_mq_stamp(&q->rx_stamp, &c->rx_time);
	store_release_u64(&c->free_tail, free_tail + 1); // FREE_TAIL: the commit
	store_relaxed_u64(&c->recv.guarded64, head + 1);
	if (prio != NULL)
		*prio = p;
	return (int64_t)len;
}

// The length of the message received, or -1: phi_mq_receive has to try.
static inline int64_t phi_mq_receive_plain(struct mq_queue *q, void *buf, unsigned *prio)
{
	struct mq_control *c = q->c;
	if ((load_relaxed_u32(&c->polled) | load_relaxed_u32(&c->loans) |
	     load_relaxed_u32(&c->recv.guarded32)) != 0)
		return -1; // in vain: not worth the lock
	struct phi_self *self = phi_self();
	int64_t r = -1;
	uintptr_t outer = phi_set_pending(self, &c->recv.word);
	if (__builtin_expect(cas_acquire_u32(&c->recv.word, 0, self->tid), 1)) { // LOCK_ACQ
		r = phi_mq_plain_take(q, self, buf, prio);
		phi_mq_plain_unlock(self, outer, &c->recv);
	}
	phi_restore_pending(self, outer);
	return r;
}

#endif

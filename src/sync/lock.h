// SPDX-License-Identifier: MIT
//
// The recoverable lock: 4 bytes in shared memory, no pointer in it, released by the kernel when its
// holder dies. The states of the word are drawn in sync/layout.h; why the order of steps is what it
// is, in docs/mq.md ("The locks"); tests/model/lock.pml checks it.
//
// A thread's `pending` (base/self.h) names the lock from before it tries until after it has let go, so:
//
//   it dies               the kernel finds in the word     and
//   before the CAS        0, or WAITERS                    wakes one waiter (ours may have been used up)
//                         another's TID                    does nothing
//   holding               its TID                          sets OWNER_DIED, wakes one waiter
//   after the unlock      0, or WAITERS                    wakes one waiter: the wake-up we still owed
//
// Pairs: LOCK_ACQ/LOCK_REL order everything the lock guards.
#ifndef PHI_SYNC_LOCK_H
#define PHI_SYNC_LOCK_H

#include "base/self.h"
#include "sync/layout.h"

#include <errno.h>
#include <stdbool.h>

// What one operation holds: made by phi_enter, ended by phi_leave.
struct phi_hold {
	struct phi_self *self;
	uintptr_t outer;      // pending as found: a handler may interrupt a sleeping call of its thread
	uintptr_t outer_list; // the robust list's first entry while a lock is enlisted
	bool enlisted;
};

static inline void phi_enter(struct phi_hold *h)
{
	h->self = phi_self();
	h->outer = h->self->robust->pending;
	h->enlisted = false;
}

static inline void phi_leave(struct phi_hold *h)
{
	phi_restore_pending(h->self, h->outer);
}

int phi_lock_slow(struct phi_hold *h, struct phi_lock *lock, int64_t patience_ns);
void phi_unlock_slow(struct phi_hold *h, struct phi_lock *lock);

// Take the lock: 0; -EOWNERDEAD: taken, and its last holder died inside: repair what it guards;
// -EDEADLK: this thread holds it already (a signal handler that interrupted the holder);
// -EAGAIN: a living thread has not let go for patience_ns (< 0: for ever).
static inline int phi_lock_take(struct phi_hold *h, struct phi_lock *lock, int64_t patience_ns)
{
	phi_set_pending(h->self, &lock->word);
	if (__builtin_expect(cas_acquire_u32(&lock->word, 0, h->self->tid), 1)) // LOCK_ACQ
		return 0;
	return phi_lock_slow(h, lock, patience_ns);
}

// Let go. `pending` stays on the lock (or, on duty, on the deathword) until phi_leave or the next take.
static inline void phi_lock_drop(struct phi_hold *h, struct phi_lock *lock)
{
	if (__builtin_expect(h->enlisted || !cas_release_u32(&lock->word, h->self->tid, 0),
	                     0)) // LOCK_REL
		phi_unlock_slow(h, lock);
}

// The holder is about to owe a wake-up that its death must not swallow: enlist the lock in the
// thread's robust list, and point `pending` at the deathword. Ends with the drop (the list) and
// phi_leave or the next take (the deathword).
void phi_lock_to_duty(struct phi_hold *h, struct phi_lock *lock, const uint32_t *deathword);

// The same for a thread that holds no lock.
static inline void phi_duty(struct phi_hold *h, const uint32_t *deathword)
{
	phi_set_pending(h->self, deathword);
}

// Take the lock while on duty: `pending` stays on the deathword and the lock is enlisted. A death
// between the CAS and the enlisting is found by asking for the owner. Results as phi_lock_take.
int phi_lock_take_on_duty(struct phi_hold *h, struct phi_lock *lock, const uint32_t *deathword,
                          int64_t patience_ns);

// Whether the kernel knows no living thread of this number.
bool phi_tid_dead(uint32_t tid);

#endif

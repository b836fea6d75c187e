// SPDX-License-Identifier: MIT
//
// Sleeping on an event word of a shared object, so that neither the death of the waker nor of another
// sleeper leaves anybody asleep: docs/mq.md, "Going to sleep, and waking".
#ifndef PHI_SYNC_WAIT_H
#define PHI_SYNC_WAIT_H

#include "base/clock.h"
#include "base/futex.h"
#include "sync/lock.h"

#include <stdbool.h>
#include <stdint.h>

enum phi_woken {
	PHI_WOKEN = 0,          // rung, or the event had passed already, or it is time to look again
	PHI_WOKEN_BY_DEATH = 1, // somebody died owing a wake-up: wake all, then look
};

struct phi_sleep {
	uint32_t *event;
	uint32_t seen; // the event's value before the last look at the object
	uint32_t *deathword;
	uint32_t death_seen; // what the deathword holds while nobody has died
	const struct phi_deadline *deadline;
	int64_t look_again_ns;             // 0 = only when woken
	const struct phi_futex_word *more; // words of further deaths, or NULL
	int more_count;                    // at most PHI_FUTEX_WORDS_MAX - 3
	bool any_handler; // one with SA_RESTART is -EINTR as well. Then news of a death comes late
	void (*cancelled)(void *arg); // runs if the thread is cancelled asleep: pass the wake-up on
	void *arg;
};

// The caller is on duty (phi_duty). PHI_WOKEN*, -EINTR, -ETIMEDOUT. A cancellation point.
int phi_sleep(const struct phi_sleep *sleep);

// Ringing has two halves. The bump comes before the store that ends the waiting, under the lock where
// the sleeper read the event: a waker that dies later leaves a trace for the sleeper who has looked, but
// does not sleep yet, and whom the kernel's wake on the deathword does not reach.
static inline void phi_bump(uint32_t *event)
{
	add_acq_rel_u32(event, 1);
}

// The other half: wake up to n sleepers; how many were woken.
static inline int phi_wake(uint32_t *event, int n)
{
	return phi_futex_wake(event, n);
}

// Both, where nothing hangs on the order.
static inline int phi_ring(uint32_t *event, int n)
{
	phi_bump(event);
	return phi_wake(event, n);
}

#endif

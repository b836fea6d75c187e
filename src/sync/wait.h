// SPDX-License-Identifier: MIT
//
// Sleeping on an event word of a shared object, so that neither the death of the waker nor of another
// sleeper leaves anybody asleep: docs/mq.md, "Going to sleep, and waking".
#ifndef PHI_SYNC_WAIT_H
#define PHI_SYNC_WAIT_H

#include "base/clock.h"
#include "sync/lock.h"

#include <stdint.h>

enum phi_woken {
	PHI_WOKEN = 0, // rung, or the event had passed already, or it is time to look again
	PHI_WOKEN_BY_DEATH = 1, // somebody died owing a wake-up: wake all, then look
};

struct phi_sleep {
	uint32_t *event;
	uint32_t seen;       // the event's value before the last look at the object
	uint32_t *deathword;
	const struct phi_deadline *deadline;
	int64_t look_again_ns; // 0 = only when woken
	void (*cancelled)(void *arg); // runs if the thread is cancelled asleep: pass the wake-up on
	void *arg;
};

// The caller is on duty (phi_duty). PHI_WOKEN*, -EINTR, -ETIMEDOUT. A cancellation point.
int phi_sleep(const struct phi_sleep *sleep);

// Bump the event and wake up to n sleepers; how many were woken.
int phi_ring(uint32_t *event, int n);

#endif

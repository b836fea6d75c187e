// SPDX-License-Identifier: MIT
#include "sync/wait.h"

#include "sync/due.h"

#include <pthread.h>
#include <stdbool.h>

// Without futex_waitv nobody can sleep on two words: look again so often. So does who wants to be interrupted by any
// handler, since the kernel goes on with that call, and does not with this one.
#define WITHOUT_WAITV_NS 100000000

__thread uint32_t phi_due;
uint32_t phi_due_ever;

static uint32_t lacks_waitv;

static int64_t remaining_ns(const struct phi_deadline *d)
{
	if (d->clock < 0)
		return WITHOUT_WAITV_NS;
	int64_t left = phi_timespec_ns(&d->at) - phi_clock_ns(d->clock);
	return left < 0 ? 0 : left < WITHOUT_WAITV_NS ? left : WITHOUT_WAITV_NS;
}

static int sleep_on_one(const struct phi_sleep *s, const struct phi_deadline *until)
{
	int64_t left = remaining_ns(until);
	int r = load_relaxed_u32(&phi_due_ever) == 0
	            ? phi_futex_wait(s->event, s->seen, left)
	            : phi_futex_wait_unless(&phi_due, s->event, s->seen, left);
	return r == -ETIMEDOUT && remaining_ns(until) > 0 ? 0 : r;
}

// The deathword before the event: the kernel queues us and compares in this order. Either the event has been bumped by
// then, or its bumper's death finds us on the deathword. Of several words that rang it names the last: so no
// further death is hidden behind the event. A handler that became due before the sleep is seen by the comparison,
// one that does later interrupts it.
static int sleep_on_any(const struct phi_sleep *s, const struct phi_deadline *until)
{
	struct phi_futex_word all[PHI_FUTEX_WORDS_MAX];
	int n = 0;
	all[n++] = (struct phi_futex_word){s->deathword, s->death_seen};
	bool due = load_relaxed_u32(&phi_due_ever) != 0;
	if (due)
		all[n++] = (struct phi_futex_word){&phi_due, 0};
	int event = n;
	all[n++] = (struct phi_futex_word){s->event, s->seen};
	for (int i = 0; i < s->more_count; i++)
		all[n++] = s->more[i];
	int r = phi_futex_wait_any(all, n, until);
	if (due && load_relaxed_u32(&phi_due) != 0 && (r == -EAGAIN || r == 1))
		return -EINTR;
	return r < 0 ? r : r == event ? PHI_WOKEN : PHI_WOKEN_BY_DEATH;
}

static int sleep_on_both(const struct phi_sleep *s, const struct phi_deadline *until)
{
	if (load_relaxed_u32(&lacks_waitv) || s->any_handler)
		return sleep_on_one(s, until);
	int r = sleep_on_any(s, until);
	if (r == -ENOSYS || r == -EPERM) { // an old kernel, a sandbox
		store_relaxed_u32(&lacks_waitv, 1);
		return sleep_on_one(s, until);
	}
	return r;
}

// Asynchronous cancellation only around the system call, with nothing held but the duty.
static int sleep_cancellable(const struct phi_sleep *s, const struct phi_deadline *until)
{
	int type;
	volatile int r = 0; // lives across the jump that a cleanup frame may be
	pthread_cleanup_push(s->cancelled, s->arg);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	r = sleep_on_both(s, until);
	pthread_setcanceltype(type, NULL);
	pthread_cleanup_pop(0);
	return r;
}

int phi_sleep(const struct phi_sleep *s)
{
	struct phi_deadline until = *s->deadline;
	if (s->look_again_ns > 0)
		until = phi_deadline_within(s->deadline, s->look_again_ns);
	int r = sleep_cancellable(s, &until);
	if (r == -ETIMEDOUT)
		return phi_deadline_check(s->deadline); // of a slice only: 0
	if (r == -EINTR || r == PHI_WOKEN_BY_DEATH)
		return r;
	return PHI_WOKEN;
}

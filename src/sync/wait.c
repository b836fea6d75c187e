// SPDX-License-Identifier: MIT
#include "sync/wait.h"

#include <pthread.h>
#include <string.h>

// Without futex_waitv nobody can sleep on two words: look again so often.
#define WITHOUT_WAITV_NS 100000000

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
	int r = phi_futex_wait(s->event, s->seen, remaining_ns(until));
	return r == -ETIMEDOUT && remaining_ns(until) > 0 ? 0 : r;
}

static int sleep_on_any(const struct phi_sleep *s, const struct phi_deadline *until)
{
	if (s->more_count == 0) {
		const struct phi_futex_word two[] = {{s->deathword, s->death_seen}, {s->event, s->seen}};
		return phi_futex_wait_any(two, 2, until);
	}
	struct phi_futex_word all[PHI_FUTEX_WORDS_MAX];
	int n = s->more_count + 2;
	all[0] = (struct phi_futex_word){s->deathword, s->death_seen};
	all[1] = (struct phi_futex_word){s->event, s->seen};
	memcpy(all + 2, s->more, (size_t)s->more_count * sizeof *all);
	return phi_futex_wait_any(all, n, until);
}

static int sleep_on_both(const struct phi_sleep *s, const struct phi_deadline *until)
{
	if (load_relaxed_u32(&lacks_waitv))
		return sleep_on_one(s, until);
	// The deathword before the event: the kernel queues us and compares in this order. Either the event has
	// been bumped by then, or its bumper's death finds us on the deathword. Of several words that rang it
	// names the last: so no further death is hidden behind the event.
	int r = sleep_on_any(s, until);
	if (r == -ENOSYS || r == -EPERM) { // an old kernel, a sandbox
		store_relaxed_u32(&lacks_waitv, 1);
		return sleep_on_one(s, until);
	}
	return r < 0 ? r : r == 1 ? PHI_WOKEN : PHI_WOKEN_BY_DEATH;
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

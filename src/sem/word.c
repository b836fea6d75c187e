// SPDX-License-Identifier: MIT
//
// A semaphore without holders, when somebody sleeps or is about to. docs/sem.md, "Without holders": who takes the
// mark away owes a wake-up and is on duty; who has slept puts it back, or hands on.
#include "sem/plain.h"

#include "base/futex.h"
#include "sync/lock.h"
#include "sync/wait.h"

int phi_sem_post_slow(struct sem_word *w)
{
	struct phi_hold h;
	int r = 0;
	phi_enter(&h);
	phi_duty(&h, &w->deathword);
	for (;;) {
		uint32_t v = load_relaxed_u32(&w->word);
		if (v == SEM_UNITS_MAX) {
			r = -EOVERFLOW;
			break;
		}
		if (!cas_release_u32(&w->word, v, phi_sem_units(v) + 1)) // SEM_UNIT
			continue;
		if (v & SEM_AWAITED) {
			phi_futex_wake(&w->word, 1);
			phi_sem_woke();
		}
		break;
	}
	phi_leave(&h);
	return r;
}

// Take a unit, having slept or not: whether there was one.
static bool take(struct sem_word *w, bool slept)
{
	for (;;) {
		uint32_t v = load_relaxed_u32(&w->word);
		uint32_t n = phi_sem_units(v);
		if (n == 0)
			return false;
		if (!cas_acquire_u32(&w->word, v, n == 1 && slept ? SEM_AWAITED : n - 1)) // SEM_UNIT
			continue;
		if (n > 1 && slept)
			phi_futex_wake(&w->word, 1); // posts that found no mark have woken nobody
		return true;
	}
}

// Whether the word stands at "none, and somebody may sleep".
static bool set_mark(struct sem_word *w)
{
	uint32_t v = load_relaxed_u32(&w->word);
	return v == SEM_AWAITED || (phi_sem_units(v) == 0 && cas_acquire_u32(&w->word, v, SEM_AWAITED));
}

static bool spin(struct sem_word *w)
{
	const uint64_t *both = (const uint64_t *)w; // the deathword does not change
	uint64_t v = load_relaxed_u64(both);
	return phi_sem_units(load_relaxed_u32(&w->word)) != 0 || phi_sem_spin(w, both, v, &w->cpu);
}

static int sleep_on(struct sem_word *w, struct phi_hold *h, const struct phi_deadline *deadline,
                    uint64_t *since_ns)
{
	struct phi_sleep s = {
		.event = &w->word,
		.seen = SEM_AWAITED,
		.deathword = &w->deathword,
		.deadline = deadline,
		.any_handler = deadline->clock >= 0 && phi_sem_is_interruptible(),
	};
	const struct sem *named = load_relaxed_u32(&w->kind) == SEM_NAMED ? phi_sem_find(w) : NULL;
	return phi_sem_sleep(named == NULL ? NULL : phi_sem_control(named), h, &s, 1, since_ns);
}

// Once more before sleeping: 0, -EBADMSG (destroyed, scribbled, cut), -ETIMEDOUT, -EINVAL.
static int check(const struct sem_word *w, const struct phi_deadline *deadline)
{
	return phi_sem_is_plain(w) ? phi_deadline_check(deadline) : -EBADMSG;
}

int phi_sem_wait_slow(struct sem_word *w, const struct sem_wait *wait)
{
	struct phi_hold h;
	struct phi_deadline deadline = phi_sem_deadline(wait);
	bool slept = false;
	uint64_t since_ns = 0;
	int r = 0;
	phi_enter(&h);
	phi_duty(&h, &w->deathword);
	while (r == 0 && !take(w, slept)) {
		if (spin(w))
			continue;
		r = check(w, &deadline);
		if (r < 0 && slept)
			phi_futex_wake(&w->word, INT_MAX); // a wake-up that we have used up in vain
		if (r < 0 || !set_mark(w))
			continue;
		r = sleep_on(w, &h, &deadline, &since_ns);
		slept = true;
	}
	phi_leave(&h);
	return r;
}

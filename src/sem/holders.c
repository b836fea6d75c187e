// SPDX-License-Identifier: MIT
//
// Taking and giving units of a semaphore with holders. docs/sem.md, "With holders".
#include "sem/sem.h"

#include "base/futex.h"
#include "sync/lock.h"
#include "sync/wait.h"

// ---- giving ----

static int give_on_duty(struct sem *s, struct sem_change *ch)
{
	struct sem_control *c = phi_sem_control(s);
	struct phi_hold h;
	phi_enter(&h);
	phi_duty(&h, &c->sem.deathword);
	ch->duty = true;
	int r = phi_sem_change(s, ch);
	if (r == 0)
		phi_sem_wake(c, ch->was, (uint32_t)ch->units);
	phi_sem_woke();
	phi_leave(&h);
	return r;
}

int phi_sem_give(struct sem *s, uint32_t units)
{
	struct sem_change ch = {.slot = load_relaxed_i32(&s->slot), .units = (int32_t)units};
	phi_sem_say_cpu(&phi_sem_control(s)->sem);
	int r = phi_sem_change(s, &ch);
	if (r == 0 && (ch.was & SEM_T_UNITS) != 0)
		phi_sem_wake_beside(phi_sem_truth_futex(phi_sem_control(s)));
	return r == -EBUSY ? give_on_duty(s, &ch) : r;
}

// ---- taking ----

// The slot of this process, with a mark that vouches for it: its number, or -errno.
static inline int32_t slot_of(struct sem *s)
{
	int32_t slot = load_relaxed_i32(&s->slot);
	if (__builtin_expect(slot >= 0 && phi_sem_vouched(s, (uint32_t)slot), 1))
		return slot;
	return phi_sem_become_holder(s);
}

// Units were taken: 0, or -EOWNERDEAD if it is time to tell of some that came back from the dead.
static int tell(struct sem *s, uint32_t units)
{
	struct sem_control *c = phi_sem_control(s);
	if (!load_relaxed_u32(&s->tells))
		return 0;
	for (;;) {
		uint64_t told = load_relaxed_u64(&c->told);
		uint64_t open = load_acquire_u64(&c->returned) - told; // SEM_RETURNED
		if (open == 0 || open > UINT64_MAX / 2)
			return 0;
		if (cas_acq_rel_u64(&c->told, told, told + (open < units ? open : units)))
			return -EOWNERDEAD;
	}
}

// Without sleeping: whether units came back from the dead.
static bool look_for_the_dead(struct sem *s)
{
	struct phi_hold h;
	struct sem_watch w;
	w.looks = 0;
	phi_enter(&h);
	phi_duty(&h, &phi_sem_control(s)->sem.deathword);
	phi_sem_watch(s, &w);
	phi_leave(&h);
	return w.took_back;
}

int phi_sem_try_take(struct sem *s, uint32_t units)
{
	int32_t slot = slot_of(s);
	if (slot < 0)
		return slot;
	struct sem_change ch = {.slot = slot, .units = -(int32_t)units};
	int r = phi_sem_change(s, &ch);
	if (r == -EAGAIN && look_for_the_dead(s))
		r = phi_sem_change(s, &ch);
	return r < 0 ? r : tell(s, units);
}

// Leave marks in the truth, which is to be `*was` still.
static bool set_marks(struct sem_control *c, uint64_t *was, uint32_t units)
{
	uint64_t marked = *was | SEM_T_AWAITED | (units > 1 ? SEM_T_MANY : 0);
	if (marked != *was && !cas_acq_rel_u64(&c->truth, *was, marked)) // SEM_TRUTH
		return false;
	*was = marked;
	return true;
}

// A wake-up for one may have come to this one, who needs several and finds some: all look, before the mark says
// that one waits for several, so that it is not said before it is done.
static void pass_on(struct sem_control *c, uint64_t was, uint32_t units)
{
	if (units > 1 && (was & SEM_T_UNITS) != 0 && !(was & SEM_T_MANY))
		phi_futex_wake(phi_sem_truth_futex(c), INT_MAX);
}

static int sleep_on(struct sem *s, struct phi_hold *h, struct sem_watch *w,
                    const struct phi_deadline *deadline, const struct sem_change *ch,
                    uint64_t *since_ns)
{
	struct sem_control *c = phi_sem_control(s);
	uint32_t units = (uint32_t)-ch->units;
	uint64_t was = ch->was;
	phi_sem_watch(s, w);
	pass_on(c, was, units);
	if (w->took_back || !set_marks(c, &was, units))
		return 0;
	struct phi_sleep sleep = {
		.event = phi_sem_truth_futex(c),
		.seen = (uint32_t)was,
		.deathword = &c->sem.deathword,
		.deadline = deadline,
		.look_again_ns = w->look_again_ns,
		.more = w->word,
		.more_count = w->count,
	};
	return phi_sem_sleep(c, h, &sleep, units, since_ns);
}

// Not all that are there are ours, and posts that found no mark have woken nobody.
static void hand_on(struct sem *s, const struct sem_change *ch)
{
	struct sem_control *c = phi_sem_control(s);
	if (ch->slept && ch->there > 0)
		phi_futex_wake(phi_sem_truth_futex(c), ch->was & SEM_T_MANY ? INT_MAX : 1);
}

// It would block, and may not: -EAGAIN if units of the dead came back, else `error`.
static int give_up(struct sem *s, const struct sem_change *ch, struct sem_watch *w, int error)
{
	phi_sem_watch(s, w);
	if (w->took_back)
		return -EAGAIN;
	if (ch->slept) // a wake-up that this one has used up in vain
		phi_futex_wake(phi_sem_truth_futex(phi_sem_control(s)), INT_MAX);
	return error;
}

static int wait_for(struct sem *s, const struct sem_wait *wait, struct sem_change *ch)
{
	struct sem_control *c = phi_sem_control(s);
	struct phi_deadline deadline = phi_sem_deadline(wait);
	struct sem_watch w;
	struct phi_hold h;
	uint64_t since_ns = 0;
	int r = -EAGAIN;
	w.looks = 0;
	phi_enter(&h);
	phi_duty(&h, &c->sem.deathword);
	while (r == -EAGAIN) {
		if (!phi_sem_spin(c, &c->truth, ch->was, &c->sem.cpu)) {
			r = phi_deadline_check(&deadline);
			if (r < 0)
				r = give_up(s, ch, &w, r);
			else
				r = sleep_on(s, &h, &w, &deadline, ch, &since_ns);
			ch->slept = true;
		}
		if (r == 0 || r == -EAGAIN)
			r = phi_sem_damaged(s) ? -EBADMSG : phi_sem_change(s, ch);
	}
	if (r == 0)
		hand_on(s, ch);
	phi_leave(&h);
	return r;
}

int phi_sem_take(struct sem *s, const struct sem_wait *wait)
{
	int32_t slot = slot_of(s);
	if (slot < 0)
		return slot;
	struct sem_change ch = {.slot = slot, .units = -(int32_t)wait->units};
	int r = phi_sem_change(s, &ch);
	if (r == -EAGAIN)
		r = wait_for(s, wait, &ch);
	return r < 0 ? r : tell(s, wait->units);
}

int phi_sem_held(struct sem *s)
{
	int32_t slot = load_relaxed_i32(&s->slot);
	return slot < 0 ? 0 : (int)phi_sem_holds(s, (uint32_t)slot);
}

int phi_sem_there(struct sem *s)
{
	const uint64_t *truth = &phi_sem_control(s)->truth;
	look_for_the_dead(s);
	return (int)(load_acquire_u64(truth) & SEM_T_UNITS);
}

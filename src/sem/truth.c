// SPDX-License-Identifier: MIT
//
// The one word that says how many units are there and what the last operation's holder has, and the table that
// says what the others have. docs/sem.md, "With holders".
#include "sem/sem.h"

#include "base/futex.h"

static inline uint32_t slot_in(uint64_t t) // + 1; 0 = nobody
{
	return (uint32_t)(t >> SEM_T_SLOT_SHIFT);
}

static inline uint32_t held_in(uint64_t t)
{
	return (uint32_t)(t >> SEM_T_HELD_SHIFT) & SEM_E_UNITS;
}

static inline uint64_t next_seq(uint64_t t)
{
	const uint64_t mask = ((UINT64_C(1) << SEM_T_SEQ_BITS) - 1) << SEM_T_SEQ_SHIFT;
	return (t + (UINT64_C(1) << SEM_T_SEQ_SHIFT)) & mask;
}

// Write what `t` says of its slot into the table. Always with a new count, also where it stands there already:
// somebody who is late with an older truth must fail. False: look again.
static bool confirm(struct sem *s, uint64_t t)
{
	uint64_t *entry = &phi_sem_table(s)[slot_in(t) - 1].held;
	uint64_t e = load_acquire_u64(entry); // SEM_ENTRY
	if (load_acquire_u64(&phi_sem_control(s)->truth) != t)
		return false;
	uint64_t next = ((e & ~(uint64_t)SEM_E_UNITS) + SEM_E_ONE) | held_in(t);
	return cas_acq_rel_u64(entry, e, next); // SEM_ENTRY
}

static inline uint32_t held_by(const struct sem *s, uint64_t t, int32_t slot)
{
	if (slot < 0)
		return 0;
	if (slot_in(t) == (uint32_t)slot + 1)
		return held_in(t);
	return (uint32_t)load_acquire_u64(&phi_sem_table(s)[slot].held) & SEM_E_UNITS; // SEM_ENTRY
}

uint32_t phi_sem_holds(const struct sem *s, uint32_t slot)
{
	const uint64_t *truth = &phi_sem_control(s)->truth;
	for (;;) {
		uint64_t t = load_acquire_u64(truth);
		uint32_t n = held_by(s, t, (int32_t)slot);
		if (load_acquire_u64(truth) == t)
			return n;
	}
}

// From the truth `t`, where the slot holds `held`: how many units are there afterwards, and what it holds then.
static int reckon(const struct sem_change *ch, uint64_t t, uint32_t held, uint32_t *there,
                  uint32_t *holds)
{
	int64_t units = ch->all ? (int64_t)held : ch->units;
	int64_t now = (int64_t)(t & SEM_T_UNITS) + units;
	if (now < 0)
		return -EAGAIN;
	if (units >= 0 && (t & SEM_T_AWAITED) && !ch->duty)
		return -EBUSY;
	if (now > SEM_T_UNITS) {
		if (!ch->all)
			return -EOVERFLOW;
		now = SEM_T_UNITS; // new ones were posted beside those of the dead: full is full
	}
	int64_t left = ch->slot < 0 || units > (int64_t)held ? 0 : (int64_t)held - units;
	if (left > SEM_E_UNITS)
		return -EOVERFLOW;
	*there = (uint32_t)now;
	*holds = (uint32_t)left;
	return 0;
}

// The marks stay while units are taken; who gives takes them away, and owes the wake-ups.
static uint64_t marks_after(const struct sem_change *ch, uint64_t t, uint32_t there)
{
	if (ch->all || ch->units > 0)
		return 0;
	uint64_t marks = t & (SEM_T_AWAITED | SEM_T_MANY);
	return ch->slept && there == 0 ? marks | SEM_T_AWAITED : marks;
}

int phi_sem_change(struct sem *s, struct sem_change *ch)
{
	uint64_t *truth = &phi_sem_control(s)->truth;
	for (;;) {
		uint64_t t = load_acquire_u64(truth);
		uint32_t last = slot_in(t);
		uint32_t holds;
		if (last > SEM_SLOTS)
			return -EBADMSG;
		int r = reckon(ch, t, held_by(s, t, ch->slot), &ch->there, &holds);
		ch->was = t;
		if (r < 0 && load_acquire_u64(truth) != t)
			continue; // judged from an entry of another moment, perhaps
		if (r < 0)
			return r;
		if (last != 0 && last != (uint32_t)(ch->slot + 1) && !confirm(s, t))
			continue;
		uint64_t next = ch->there | marks_after(ch, t, ch->there) | next_seq(t) |
		                (uint64_t)holds << SEM_T_HELD_SHIFT |
		                (uint64_t)(ch->slot + 1) << SEM_T_SLOT_SHIFT;
		if (cas_acq_rel_u64(truth, t, next)) // SEM_TRUTH
			return 0;
	}
}

void phi_sem_wake(struct sem_control *c, uint64_t truth, uint32_t n)
{
	if (truth & SEM_T_AWAITED)
		phi_futex_wake(phi_sem_truth_futex(c), truth & SEM_T_MANY ? INT_MAX : (int)n);
}

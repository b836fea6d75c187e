// SPDX-License-Identifier: MIT
//
// The plain case of a semaphore without holders, in one piece for the facade: one CAS, nobody asleep.
#ifndef PHI_SEM_PLAIN_H
#define PHI_SEM_PLAIN_H

#include "sem/sem.h"

// Whether it is one of this library without holders.
static inline bool phi_sem_is_plain(const struct sem_word *w)
{
	return load_relaxed_u32(&w->kind) - SEM_PRIVATE <= SEM_NAMED - SEM_PRIVATE;
}

static inline uint32_t phi_sem_units(uint32_t word)
{
	return word & SEM_AWAITED ? 0 : word;
}

// Whether a unit was taken.
static inline bool phi_sem_try_plain(struct sem_word *w)
{
	for (;;) {
		uint32_t v = load_relaxed_u32(&w->word);
		if (phi_sem_units(v) == 0)
			return false;
		if (cas_acquire_u32(&w->word, v, v - 1)) // SEM_UNIT
			return true;
	}
}

// The CPU is noted before: after the CAS the memory may be somebody else's.
static inline int phi_sem_post_plain(struct sem_word *w)
{
	phi_sem_say_cpu(w);
	for (;;) {
		uint32_t v = load_relaxed_u32(&w->word);
		if (__builtin_expect(v >= SEM_UNITS_MAX, 0))
			return phi_sem_post_slow(w);
		if (!cas_release_u32(&w->word, v, v + 1)) // SEM_UNIT
			continue;
		if (__builtin_expect(v != 0, 0))
			phi_sem_wake_beside(&w->word);
		return 0;
	}
}

#endif

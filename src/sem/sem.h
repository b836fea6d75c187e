// SPDX-License-Identifier: MIT
//
// The private side of semaphores: what the files of this room share. The protocols: docs/sem.md.
#ifndef PHI_SEM_SEM_H
#define PHI_SEM_SEM_H

#include "base/atomic.h"
#include "base/clock.h"
#include "core/region.h"
#include "sem/layout.h"
#include "sync/mark.h"
#include "sync/spin.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

// An open named semaphore of this process. Never freed, only used again: who looks one up takes no lock.
struct sem {
	struct sem *next;  // in the registry; immutable once linked
	uintptr_t address; // A: of the program's sem_t; 0 = not in use
	uint32_t opens;    // under the registry's lock
	uint32_t tells;    // A: opened with PH_SEM_OWNERDEAD
	uint8_t *base;     // of the region
	struct phi_region *region;

	// With holders:
	pthread_mutex_t change; // becoming a holder, marking
	int32_t slot;           // A: -1 = this process is none
	uint32_t marked;        // A: what stands in the mark if it is right; 0 = cannot be marked
	struct phi_mark mark;
};

static inline struct sem_control *phi_sem_control(const struct sem *s)
{
	return (struct sem_control *)(s->base + PHI_REGION_BODY);
}

static inline struct sem_slot *phi_sem_table(const struct sem *s)
{
	return (struct sem_slot *)(s->base + SEM_TABLE_AT);
}

static inline uint32_t *phi_sem_mark(const struct sem *s, uint32_t slot)
{
	return (uint32_t *)(s->base + SEM_MARK_AT(slot));
}

// As it was made: what stands in the object now is not believed.
static inline bool phi_sem_with_holders(const struct phi_region *r)
{
	return r->header.geometry[0] != 0;
}

static inline bool phi_sem_damaged(const struct sem *s)
{
	return load_relaxed_u32(&s->region->damaged) != 0;
}

// ---- open.c ----

// The open semaphore at this address, or NULL. Async-signal-safe.
struct sem *phi_sem_find(const struct sem_word *word);

// `value` and `mode` count where it is made. 0 or -errno; *out is the sem_t's address.
int phi_sem_open(const char *name, int oflag, unsigned mode, unsigned value, struct sem_word **out);
int phi_sem_close(struct sem_word *word);
int phi_sem_unlink(const char *name);
// Map it, every check made: 0 or -errno.
int phi_sem_attach(struct phi_region *r, int dir, const char *file, const char *name, bool observe);
// Unmap, close.
void phi_sem_detach(struct phi_region *r);

// ---- word.c: without holders ----

struct sem_wait {
	clockid_t clock;
	const struct timespec *abstime; // NULL = none
	uint32_t units;
};

// The deadline of a wait. One before 1970 has passed, as for the C library.
static inline struct phi_deadline phi_sem_deadline(const struct sem_wait *wait)
{
	struct phi_deadline d = phi_deadline(wait->clock, wait->abstime);
	if (d.clock >= 0 && d.at.tv_sec < 0)
		d.at.tv_sec = 0;
	return d;
}

// When it is not plain (plain.h): 0, -EINTR, -ETIMEDOUT, -EINVAL, -EBADMSG. A cancellation point.
int phi_sem_wait_slow(struct sem_word *w, const struct sem_wait *wait);
// 0 or -EOVERFLOW.
int phi_sem_post_slow(struct sem_word *w);

// ---- sleep.c ----

// Sleep on `event`, on duty for `deathword`, with one's name in the table of `c`, if there is one. *since_ns is 0
// at first, and then when this wait began, however often it has woken. Whoever is cancelled asleep, or told of a
// death, wakes all. Results as phi_sleep.
struct phi_sleep;
struct phi_hold;
int phi_sem_sleep(struct sem_control *c, struct phi_hold *h, struct phi_sleep *sleep,
                  uint32_t units, uint64_t *since_ns);

// From here on any handler ends a timed wait without holders in this process, SA_RESTART or not.
void phi_sem_set_interruptible(void);
bool phi_sem_is_interruptible(void);

// Spin while the word is `value`, as the policy allows: whether it changed. `address` is the semaphore's.
bool phi_sem_spin(const void *address, const uint64_t *word, uint64_t value, uint32_t *cpu);

// A unit was there already when one was given, and no mark: perhaps who was woken for it is stopped, or does not
// get a CPU, and others sleep. Wakes one: directly after this thread has woken somebody, else once a
// millisecond at most. Does not look at the memory.
void phi_sem_wake_beside(uint32_t *futex);
// This thread's post has woken somebody.
void phi_sem_woke(void);

void phi_sem_say_cpu_now(struct sem_word *w);
// A post says where it is made, if a spinner wants to know.
static inline void phi_sem_say_cpu(struct sem_word *w)
{
	if (__builtin_expect(load_relaxed_u32(&w->cpu) & SEM_CPU_WANTED, 0))
		phi_sem_say_cpu_now(w);
}

// ---- truth.c: with holders ----

struct sem_change {
	int32_t slot;   // whose units they are; -1 = nobody's
	int32_t units;  // > 0 given, < 0 taken
	bool all;       // given: whatever the slot holds
	bool duty;      // the caller is on duty, and may take marks away
	bool slept;     // the caller has slept: others may sleep still
	uint64_t was;   // out: the truth before
	uint32_t there; // out: units there afterwards
};

// One operation on the truth. 0; -EAGAIN: not so many there; -EBUSY: somebody sleeps, and the caller is not on
// duty; -EOVERFLOW; -EBADMSG. *ch has the truth as it was.
int phi_sem_change(struct sem *s, struct sem_change *ch);

// What the slot holds now.
uint32_t phi_sem_holds(const struct sem *s, uint32_t slot);

// Wake who sleeps for units: up to n of them, or all if one of them needs several.
void phi_sem_wake(struct sem_control *c, uint64_t truth, uint32_t n);

// The futex of the truth: the half with the units, the marks and the beginning of the sequence.
static inline uint32_t *phi_sem_truth_futex(struct sem_control *c)
{
	uint32_t *half = (uint32_t *)&c->truth;
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? half : half + 1;
}

// ---- holders.c ----

int phi_sem_take(struct sem *s, const struct sem_wait *wait);
int phi_sem_try_take(struct sem *s, uint32_t units);
int phi_sem_give(struct sem *s, uint32_t units);
int phi_sem_held(struct sem *s);
// The units that are there, those of the dead included.
int phi_sem_there(struct sem *s);

// ---- slots.c: becoming a holder, and taking back what the dead held ----

// This process's slot: its number, or -errno. The thread's mark vouches for it, if it can.
int phi_sem_become_holder(struct sem *s);
// Give back what is held, and leave the slot.
void phi_sem_stop_holding(struct sem *s);
// In a forked child.
void phi_sem_forked(struct sem *s);

struct sem_watch {
	struct phi_futex_word word[PHI_FUTEX_WORDS_MAX - 2];
	int count;
	int64_t look_again_ns; // 0 = the words tell all
	uint32_t looks;        // how often this wait has looked; 0 to begin with
	bool took_back;        // units came back meanwhile
	bool stuck;            // somebody stopped holds the lock of taking back
};
// Look at every slot in use: take back from the dead, note what to sleep on.
void phi_sem_watch(struct sem *s, struct sem_watch *w);

// Whether the slot's mark says what it should. It is read where the guard watches: the other mapping is for the
// kernel alone.
static inline bool phi_sem_vouched(const struct sem *s, uint32_t slot)
{
	uint32_t marked = load_relaxed_u32(&s->marked);
	return marked == 0 || load_relaxed_u32(phi_sem_mark(s, slot)) == marked;
}

// ---- info.c ----

struct ph_sem_info;
int phi_sem_info(const char *name, struct ph_sem_info *info);

#endif

// SPDX-License-Identifier: MIT
//
// Sleeping for units: the table of sleepers that others can look at, and what a cancelled sleeper owes.
#include "sem/sem.h"

#include "base/futex.h"
#include "core/record.h"
#include "sync/lock.h"
#include "sync/wait.h"

static struct sem_sleeper *find_place(struct sem_control *c, uint32_t tid)
{
	for (uint32_t i = 0; i < SEM_SLEEPERS; i++) {
		struct sem_sleeper *p = &c->sleeper[(tid + i) % SEM_SLEEPERS];
		if (load_relaxed_u32(&p->tid) == 0 && cas_acq_rel_u32(&p->tid, 0, tid))
			return p;
	}
	// Some may be of the killed.
	for (uint32_t i = 0; i < SEM_SLEEPERS; i++) {
		struct sem_sleeper *p = &c->sleeper[i];
		uint32_t old = load_relaxed_u32(&p->tid);
		if (old != 0 && phi_tid_dead(old) && cas_acq_rel_u32(&p->tid, old, tid))
			return p;
	}
	return NULL;
}

static struct sem_sleeper *announce(struct sem_control *c, const struct phi_self *self,
                                    uint32_t units, uint64_t *since_ns)
{
	struct sem_sleeper *p = c == NULL ? NULL : find_place(c, self->tid);
	if (p == NULL)
		return NULL;
	store_relaxed_i32(&p->pid, self->pid);
	store_relaxed_u32(&p->units, units);
	if (*since_ns == 0)
		*since_ns = (uint64_t)phi_now_ns();
	store_relaxed_u64((uint64_t *)&p->since_ns, *since_ns);
	return p;
}

static void renounce(struct sem_sleeper *p, uint32_t tid)
{
	if (p != NULL)
		cas_acq_rel_u32(&p->tid, tid, 0); // unless somebody took us for dead
}

static uint32_t interruptible;

void phi_sem_set_interruptible(void)
{
	store_relaxed_u32(&interruptible, 1);
}

bool phi_sem_is_interruptible(void)
{
	return load_relaxed_u32(&interruptible) != 0;
}

struct asleep {
	struct phi_hold *h;
	struct sem_sleeper *place;
	uint32_t *event;
};

// The wake-up may have been used up by one who is cancelled.
static void cancelled(void *arg)
{
	struct asleep *a = arg;
	phi_futex_wake(a->event, INT_MAX);
	renounce(a->place, a->h->self->tid);
	phi_leave(a->h);
}

int phi_sem_sleep(struct sem_control *c, struct phi_hold *h, struct phi_sleep *sleep,
                  uint32_t units, uint64_t *since_ns)
{
	struct asleep a = {h, announce(c, h->self, units, since_ns), sleep->event};
	sleep->cancelled = cancelled;
	sleep->arg = &a;
	uint64_t key = c != NULL ? (uintptr_t)&c->sem : (uintptr_t)sleep->event;
	struct phi_nap nap = phi_record_asleep(RECORD_sem_wait, key, true);
	int r = phi_sleep(sleep);
	phi_record_awake(&nap);
	renounce(a.place, h->self->tid);
	if (r == PHI_WOKEN_BY_DEATH)
		phi_futex_wake(sleep->event, INT_MAX);
	return r < 0 ? r : 0;
}

// ---- spinning: the state is the thread's, since an unnamed semaphore has no room for it ----

#define SPINS 8
#define BESIDE_NS 1000000
#define BESIDE_POSTS 8

static __thread struct {
	uintptr_t address;
	uint32_t said; // the CPU that this thread has said last; 0 = none
	struct phi_spin spin;
} spins[SPINS];

static size_t place_of(uintptr_t a)
{
	return ((a >> 4) ^ (a >> 12)) % SPINS;
}

static __thread struct {
	const uint32_t *futex; // where this thread has last woken somebody beside units
	int64_t at_ns;
	uint32_t posts; // since
} beside;

void phi_sem_woke(void)
{
	beside.futex = NULL;
}

void phi_sem_wake_beside(uint32_t *futex)
{
	if (futex == beside.futex && ++beside.posts % BESIDE_POSTS != 0)
		return;
	int64_t now = phi_now_coarse_ns();
	if (futex == beside.futex && now - beside.at_ns < BESIDE_NS)
		return;
	beside.futex = futex;
	beside.at_ns = now;
	phi_futex_wake(futex, 1);
}

void phi_sem_say_cpu_now(struct sem_word *w)
{
	uint32_t cpu = phi_cpu() & ~SEM_CPU_WANTED;
	size_t i = place_of((uintptr_t)w);
	store_relaxed_u32(&w->cpu, cpu);
	if (spins[i].address == (uintptr_t)w)
		spins[i].said = cpu;
}

// Who was the last to say his CPU and now waits knows nothing of where the others are: with a lock, the one
// inside is on another CPU as a rule, and yielding or sleeping would be wrong.
bool phi_sem_spin(const void *address, const uint64_t *word, uint64_t value, uint32_t *cpu)
{
	uintptr_t a = (uintptr_t)address;
	size_t i = place_of(a);
	uint32_t said = load_relaxed_u32(cpu);
	uint32_t peer = said & ~SEM_CPU_WANTED;
	if (said == peer)
		store_relaxed_u32(cpu, said | SEM_CPU_WANTED);
	if (spins[i].address != a) {
		spins[i].address = a;
		spins[i].said = 0;
		phi_spin_init(&spins[i].spin);
	}
	if (peer == spins[i].said)
		peer = 0;
	return phi_spin_while(&spins[i].spin, word, value, &peer, NULL);
}

// SPDX-License-Identifier: MIT
//
// Holders: becoming one, vouching that one lives, and taking back what the dead held. docs/sem.md, "Death" and
// "Taking back". The judge of life is the slot's lock on the file; the mark only rings.
#include "sem/sem.h"

#include "base/descriptor.h"
#include "base/futex.h"
#include "base/guard.h"
#include "core/file.h"
#include "core/life.h"
#include "sync/lock.h"
#include "sync/wait.h"

#include <linux/futex.h>
#include <unistd.h>

// How long a living holder of the lock, stopped perhaps, is waited for: who waits for units looks again, who
// comes or goes does not.
#define REAP_PATIENCE_NS 20000000
#define MOVE_PATIENCE_NS 1000000000
// How soon to look again at who is dying, and at who nobody vouches for.
#define DYING_NS 1000000
#define DYING_LOOKS 20
#define UNWATCHED_NS 20000000
#define WATCHED_MAX 100

// ---- taking back ----

// Under `reap`: the slot holds nothing any more, and has no holder.
static void clear_slot(struct sem *s, uint32_t slot)
{
	store_release_i32(&phi_sem_table(s)[slot].pid, 0); // SEM_SLOT
	store_relaxed_u32(phi_sem_mark(s, slot), 0);
}

// Under `reap`, on duty: what was written down first is done, and may be done again.
static void finish(struct sem *s, uint32_t slot, int32_t pid)
{
	struct sem_control *c = phi_sem_control(s);
	struct sem_change ch = {.slot = (int32_t)slot, .all = true, .duty = true};
	uint64_t marks =
		SEM_T_AWAITED | SEM_T_MANY; // of a predecessor's change, whose wake-ups may be owed still
	// Before the units, so that who takes one is told.
	store_release_u64(&c->returned, c->reap.guarded64); // SEM_RETURNED
	if (phi_sem_holds(s, slot) != 0 && phi_sem_change(s, &ch) == 0)
		marks |= ch.was;
	if (pid != 0)
		store_relaxed_i32(&c->last_dead, pid);
	phi_sem_wake(c, marks, INT_MAX);
	clear_slot(s, slot);
	compiler_barrier();
	store_relaxed_u32(&c->reap.guarded32, 0);
}

static void take_back(struct sem *s, uint32_t slot, bool orderly)
{
	struct sem_control *c = phi_sem_control(s);
	uint32_t held = phi_sem_holds(s, slot);
	int32_t pid = load_relaxed_i32(&phi_sem_table(s)[slot].pid);
	if (held == 0) {
		clear_slot(s, slot);
		return;
	}
	store_relaxed_u64(&c->reap.guarded64, c->returned + (orderly ? 0 : held));
	compiler_barrier();
	store_relaxed_u32(&c->reap.guarded32, slot + 1);
	compiler_barrier();
	finish(s, slot, orderly ? c->last_dead : pid);
}

// What a dead holder of the lock had begun.
static void repair(struct sem *s)
{
	struct sem_control *c = phi_sem_control(s);
	uint32_t slot = load_relaxed_u32(&c->reap.guarded32) - 1;
	if (slot < SEM_SLOTS)
		finish(s, slot, load_relaxed_i32(&phi_sem_table(s)[slot].pid));
	else
		store_relaxed_u32(&c->reap.guarded32, 0);
}

static bool lock_reap(struct sem *s, struct phi_hold *h, int64_t patience_ns)
{
	struct sem_control *c = phi_sem_control(s);
	phi_enter(h);
	int r = phi_lock_take_on_duty(h, &c->reap, &c->sem.deathword, patience_ns);
	if (r == -EOWNERDEAD)
		repair(s);
	if (r == 0 || r == -EOWNERDEAD)
		return true;
	phi_leave(h);
	return false;
}

static void unlock_reap(struct sem *s, struct phi_hold *h)
{
	phi_lock_drop(h, &phi_sem_control(s)->reap);
	phi_leave(h);
}

// The number is all that is left to ask where the program has closed the descriptor.
static bool lives(const struct sem *s, uint32_t slot, int32_t pid)
{
	if (phi_region_has_fd(s->region, s->region->fd))
		return phi_life_holder(s->region->fd, slot);
	return !phi_tid_dead((uint32_t)pid);
}

static bool take_back_if_dead(struct sem *s, uint32_t slot, struct sem_watch *w)
{
	struct phi_hold h;
	w->stuck = !lock_reap(s, &h, REAP_PATIENCE_NS);
	if (w->stuck)
		return false;
	int32_t pid = load_acquire_i32(&phi_sem_table(s)[slot].pid); // SEM_SLOT
	bool dead = pid != 0 && !lives(s, slot, pid);
	if (dead)
		take_back(s, slot, false);
	unlock_reap(s, &h);
	return dead;
}

// ---- watching ----

static bool vouched_for(uint32_t mark)
{
	return (mark & FUTEX_TID_MASK) != 0 && !(mark & FUTEX_OWNER_DIED);
}

static void look_again(struct sem_watch *w, int64_t ns)
{
	if (w->look_again_ns == 0 || ns < w->look_again_ns)
		w->look_again_ns = ns;
}

static void watch_slot(struct sem *s, struct sem_watch *w, uint32_t slot, int32_t pid)
{
	uint32_t *mark = phi_sem_mark(s, slot);
	uint32_t m = load_acquire_u32(mark); // SEM_MARK
	if (vouched_for(m) && w->count < WATCHED_MAX)
		w->word[w->count++] = (struct phi_futex_word){mark, m};
	else if (vouched_for(m))
		look_again(w, UNWATCHED_NS);
	else if (lives(s, slot, pid) || w->stuck || !take_back_if_dead(s, slot, w))
		look_again(w, (m & FUTEX_OWNER_DIED) && w->looks < DYING_LOOKS ? DYING_NS : UNWATCHED_NS);
	else
		w->took_back = true;
}

void phi_sem_watch(struct sem *s, struct sem_watch *w)
{
	struct sem_control *c = phi_sem_control(s);
	w->count = 0;
	w->look_again_ns = 0;
	w->looks++;
	w->took_back = false;
	w->stuck = false;
	w->word[w->count++] =
		(struct phi_futex_word){&c->epoch, load_acquire_u32(&c->epoch)}; // SEM_EPOCH
	uint32_t slots = load_acquire_u32(&c->slots);
	int32_t own = load_relaxed_i32(&s->slot);
	for (uint32_t i = 0; i < slots && i < SEM_SLOTS; i++) {
		int32_t pid = load_acquire_i32(&phi_sem_table(s)[i].pid); // SEM_SLOT
		if (pid != 0 && (int32_t)i != own)
			watch_slot(s, w, i, pid);
	}
}

// ---- becoming a holder ----

static int map_mark(struct sem *s, uint32_t slot)
{
	size_t page = SEM_MARK_AT(slot) / SEM_PAGE * SEM_PAGE;
	int r = phi_file_reserve(s->region->fd, page, page + SEM_PAGE);
	if (r == 0)
		r = phi_mark_map_apart(&s->mark, s->region->fd, SEM_MARK_AT(slot));
	return r == -ENOTSUP ? 0 : r; // nobody vouches
}

static void vouch(struct sem *s, uint32_t slot)
{
	struct sem_control *c = phi_sem_control(s);
	uint32_t v = 0;
	if (s->mark.alias != NULL && phi_mark_enlist(&s->mark))
		v = phi_self()->tid | FUTEX_WAITERS;
	store_release_u32(phi_sem_mark(s, slot), v); // SEM_MARK
	store_relaxed_u32(&s->marked, v);
	phi_ring(&c->epoch, INT_MAX); // SEM_EPOCH
}

// Whoever had the slot before is dead: its lock is ours.
static int move_in(struct sem *s, uint32_t slot)
{
	struct sem_control *c = phi_sem_control(s);
	struct phi_hold h;
	phi_enter(&h);
	phi_duty(&h, &c->sem.deathword);
	struct phi_hold reap;
	bool locked = lock_reap(s, &reap, MOVE_PATIENCE_NS);
	if (locked) {
		if (load_relaxed_i32(&phi_sem_table(s)[slot].pid) != 0 || phi_sem_holds(s, slot) != 0)
			take_back(s, slot, false);
		store_release_i32(&phi_sem_table(s)[slot].pid, h.self->pid); // SEM_SLOT
		if (load_relaxed_u32(&c->slots) <= slot)
			store_release_u32(&c->slots, slot + 1);
		unlock_reap(s, &reap);
	}
	phi_leave(&h);
	return locked ? 0 : -EAGAIN;
}

static int claim(struct sem *s)
{
	if (!phi_region_has_fd(s->region, s->region->fd))
		return -EBADF;
	int slot = phi_life_claim(s->region->fd, false);
	if (slot < 0)
		return slot;
	int r = slot >= SEM_SLOTS ? -ENOBUFS : map_mark(s, (uint32_t)slot);
	if (r == 0)
		r = move_in(s, (uint32_t)slot);
	if (r < 0) {
		phi_life_unclaim(s->region->fd, (uint32_t)slot);
		phi_mark_unmap(&s->mark);
		return r;
	}
	vouch(s, (uint32_t)slot);
	store_release_i32(&s->slot, slot);
	return slot;
}

int phi_sem_become_holder(struct sem *s)
{
	sigset_t block, before;
	int state;
	phi_guard_blockable(&block);
	pthread_sigmask(SIG_BLOCK, &block, &before);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_mutex_lock(&s->change);
	int r = load_relaxed_i32(&s->slot);
	if (r < 0)
		r = claim(s);
	else if (!phi_sem_vouched(s, (uint32_t)r))
		vouch(s, (uint32_t)r);
	pthread_mutex_unlock(&s->change);
	pthread_setcancelstate(state, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

void phi_sem_stop_holding(struct sem *s)
{
	int32_t slot = load_relaxed_i32(&s->slot);
	struct phi_hold h;
	if (slot < 0)
		return;
	phi_enter(&h);
	phi_duty(&h, &phi_sem_control(s)->sem.deathword);
	struct phi_hold reap;
	if (lock_reap(s, &reap, MOVE_PATIENCE_NS)) { // else it is taken back as the dead's
		take_back(s, (uint32_t)slot, true);
		unlock_reap(s, &reap);
	}
	phi_leave(&h);
	store_relaxed_i32(&s->slot, -1);
	phi_mark_delist(&s->mark);
	phi_mark_unmap(&s->mark);
}

void phi_sem_forked(struct sem *s)
{
	pthread_mutex_init(&s->change, NULL);
	store_relaxed_i32(&s->slot, -1);
	store_relaxed_u32(&s->marked, 0);
	phi_mark_forget(&s->mark);
	phi_mark_unmap(&s->mark);
}

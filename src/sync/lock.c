// SPDX-License-Identifier: MIT
//
// The contended half of the recoverable lock. Sleeping here is always in slices: a lock is held for
// about 100 ns, so a waiter that slept a whole millisecond asks whether the owner lives at all. That
// catches what the kernel's list cannot: a scribbled word, a dead thread without a robust list, a
// death between two instructions of phi_lock_take_on_duty.
#include "sync/lock.h"

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/futex.h"
#include "sync/spin.h"

#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define WAITERS FUTEX_WAITERS
#define DIED FUTEX_OWNER_DIED
#define TID(v) ((v)&FUTEX_TID_MASK)

#define TID_MAX (4 << 20) // the kernel's PID_MAX_LIMIT
#define LOCK_SPIN_NS 1500
#define SLICE_MIN_NS 1000000
#define SLICE_MAX_NS 50000000

bool phi_tid_dead(uint32_t tid)
{
	if (tid > TID_MAX)
		return true;
	int fd = (int)syscall(SYS_pidfd_open, (pid_t)tid, 0);
	if (fd < 0)
		return errno == ESRCH ||
		       (errno == ENOSYS && syscall(SYS_tkill, tid, 0) != 0 && errno == ESRCH);
	// A zombie still has its number, and reads as ended.
	struct pollfd p = {.fd = fd, .events = POLLIN};
	long n = syscall(SYS_ppoll, &p, 1, &(struct timespec){0, 0}, NULL, 8);
	phi_close(fd);
	return n == 1 && (p.revents & POLLIN);
}

// One attempt on the word as it stands: 1 taken, -EOWNERDEAD taken for repair, 0 held by `*seen`.
static int attempt(struct phi_hold *h, struct phi_lock *lock, uint32_t sticky, uint32_t *seen)
{
	for (;;) {
		uint32_t v = load_relaxed_u32(&lock->word);
		*seen = v;
		if (v & DIED) {
			if (cas_acquire_u32(&lock->word, v, h->self->tid | WAITERS)) // LOCK_ACQ
				return -EOWNERDEAD;
		} else if (TID(v) == 0) {
			if (cas_acquire_u32(&lock->word, v, h->self->tid | (v & WAITERS) | sticky))
				return 1;
		} else {
			return 0;
		}
	}
}

static int spin_attempts(struct phi_hold *h, struct phi_lock *lock, uint32_t *seen)
{
	int rounds = phi_spin_pauses(LOCK_SPIN_NS);
	int r = attempt(h, lock, 0, seen);
	for (int i = 0; r == 0 && i < rounds; i++) {
		cpu_relax();
		if (TID(load_relaxed_u32(&lock->word)) == 0 || (load_relaxed_u32(&lock->word) & DIED))
			r = attempt(h, lock, 0, seen);
	}
	if (r == 0 && phi_spin_pinned()) {
		// The holder may be unable to run while we do: let it, before sleeping over 100 ns.
		sched_yield();
		r = attempt(h, lock, 0, seen);
	}
	return r;
}

// The owner named in the word is gone and the kernel did not say so: say it in its place.
static void declare_dead(struct phi_lock *lock, uint32_t v)
{
	cas_acquire_u32(&lock->word, v, (v & WAITERS) | DIED);
}

static int sleep_for(struct phi_hold *h, struct phi_lock *lock, int64_t patience_ns)
{
	int64_t begin = phi_now_ns();
	int64_t slice = SLICE_MIN_NS;
	uint32_t sticky = 0; // once we slept, others may sleep as well
	for (;;) {
		uint32_t v;
		int r = attempt(h, lock, sticky, &v);
		if (r != 0)
			return r;
		if (TID(v) == h->self->tid)
			return -EDEADLK;
		if (!(v & WAITERS) && !cas_acquire_u32(&lock->word, v, v | WAITERS))
			continue;
		r = phi_futex_wait(&lock->word, v | WAITERS, slice);
		sticky = WAITERS;
		if (r != -ETIMEDOUT && r != -EINTR) // a timer's signals must not keep us from looking
			continue;
		if (phi_tid_dead(TID(v)))
			declare_dead(lock, v | WAITERS);
		else if (patience_ns >= 0 && phi_now_ns() - begin > patience_ns)
			return -EAGAIN;
		slice = slice * 2 < SLICE_MAX_NS ? slice * 2 : SLICE_MAX_NS;
	}
}

int phi_lock_slow(struct phi_hold *h, struct phi_lock *lock, int64_t patience_ns)
{
	uint32_t v;
	int r = spin_attempts(h, lock, &v);
	if (r == 0)
		r = sleep_for(h, lock, patience_ns);
	return r == 1 ? 0 : r;
}

static void delist(struct phi_hold *h)
{
	compiler_barrier();
	store_relaxed_ptr(&h->self->robust->list, h->outer_list);
	compiler_barrier();
	h->enlisted = false;
}

void phi_unlock_slow(struct phi_hold *h, struct phi_lock *lock)
{
	// The word is TID, TID|WAITERS, or scribbled. WAITERS stays until a wake finds nobody: one that
	// we wake may be killed, and the lock taken by somebody who never saw a waiter.
	if (!cas_release_u32(&lock->word, h->self->tid, 0)) { // LOCK_REL
		store_release_u32(&lock->word, WAITERS);
		if (phi_futex_wake(&lock->word, 1) == 0 && cas_acquire_u32(&lock->word, WAITERS, 0))
			phi_futex_wake(&lock->word, INT_MAX);
	}
	if (h->enlisted)
		delist(h);
}

// The kernel derives the word from a list entry by adding futex_offset, so the entry's place is given:
// inside the lock's own line, for the libcs that we know. Only the kernel of the dying thread reads
// what stands there; a peer that scribbles on it can at worst keep that thread's own list from being
// walked to its end.
static uintptr_t node_of(struct phi_hold *h, struct phi_lock *lock)
{
	uintptr_t node = (uintptr_t)&lock->word - h->self->robust_bias;
	uintptr_t first = (uintptr_t)lock->node;
	bool inside = node >= first && node + sizeof(uintptr_t) <= first + sizeof lock->node;
	return inside ? node : 0;
}

static void enlist(struct phi_hold *h, struct phi_lock *lock)
{
	uintptr_t node = node_of(h, lock);
	if (node == 0)
		return; // left to phi_tid_dead
	h->outer_list = h->self->robust->list;
	// Where it is aligned (glibc), in one piece: ThreadSanitizer loses sight of a lock taken in a poll.
	if (node % sizeof h->outer_list == 0)
		store_relaxed_ptr((uintptr_t *)node, h->outer_list);
	else
		__builtin_memcpy((void *)node, &h->outer_list, sizeof h->outer_list);
	compiler_barrier();
	store_relaxed_ptr(&h->self->robust->list, node);
	compiler_barrier();
	h->enlisted = true;
}

void phi_lock_to_duty(struct phi_hold *h, struct phi_lock *lock, const uint32_t *deathword)
{
	if (!h->enlisted)
		enlist(h, lock);
	phi_set_pending(h->self, deathword);
}

int phi_lock_take_on_duty(struct phi_hold *h, struct phi_lock *lock, const uint32_t *deathword,
                          int64_t patience_ns)
{
	phi_set_pending(h->self, deathword);
	int r = 0;
	if (!cas_acquire_u32(&lock->word, 0, h->self->tid)) // LOCK_ACQ
		r = phi_lock_slow(h, lock, patience_ns);
	if (r == 0 || r == -EOWNERDEAD)
		enlist(h, lock);
	return r;
}

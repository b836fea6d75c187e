// SPDX-License-Identifier: MIT
//
// What senders judge by: published under the port's lock, so that each send happens before or after it; and the bells, as
// who hears them accounts for them. The protocol is in docs/signal.md.
#include "signal/port.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_membarrier
#define SYS_membarrier 324
#endif
#define MEMBARRIER_GLOBAL 1
#define PATIENCE_NS 20000000 // for a sender that is stopped inside the lock

static uint64_t newest(const struct signal_own *own)
{
	const struct signal_record *ring =
		(const struct signal_record *)(own->region.base + SIGNAL_RING_AT);
	uint64_t tail = load_relaxed_u64(&own->port->tail);
	uint16_t signo = ring[(uint32_t)(tail - 1) & own->ring_mask].signo;
	return signo > 0 && signo < SIGNAL_NUMBERS ? SIGNAL_BIT(signo) : 0;
}

bool phi_own_lock(struct signal_own *own, struct phi_hold *h)
{
	if (own->leaving)
		return false;
	phi_enter(h);
	int r = phi_lock_take(h, &own->port->send, PATIENCE_NS);
	if (r == -EOWNERDEAD)
		own->orphaned |= newest(own) & own->caught;
	if (r == 0 || r == -EOWNERDEAD) // a dead sender leaves nothing half done
		return true;
	phi_leave(h);
	store_relaxed_u32(&own->port->impatience, load_relaxed_u32(&own->port->impatience) + 1);
	fence_seq_cst(); // SIGNAL_IMPATIENCE: before the queue is read
	// The sender has no fence between its commit and its look; this is one for everybody.
	syscall(SYS_membarrier, MEMBARRIER_GLOBAL, 0, 0);
	return false;
}

// What a dead sender has committed last may have no bell.
void phi_own_unlock(struct signal_own *own, struct phi_hold *h)
{
	uint64_t bells = own->orphaned;
	own->orphaned = 0;
	own->handed_on |= bells;
	phi_lock_drop(h, &own->port->send);
	phi_leave(h);
	for (; bells != 0; bells &= bells - 1)
		phi_bell_self(__builtin_ctzll(bells) + 1);
}

// A stop discards a pending continuation, and the other way round: the kernel has them all.
#define JOB_CONTROL \
	(SIGNAL_BIT(SIGCONT) | SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU))

void phi_own_publish_locked(struct signal_own *own)
{
	struct phi_lock *l = &own->port->send;
	store_relaxed_u64(&l->guarded64, own->quiet & ~own->kernels & ~own->belled & ~JOB_CONTROL);
	store_relaxed_u64(&l->guarded64b, (own->caught | own->belled) & ~own->kernels);
	store_relaxed_u64(&l->guarded64c, own->asleep);
	store_relaxed_u64(&l->guarded64d, own->queueing);
	store_relaxed_u32(&l->guarded32, own->depth);
	store_relaxed_u32(&own->port->ring_size, own->ring_mask + 1);
}

void phi_own_publish(struct signal_own *own)
{
	struct phi_hold h;
	bool locked = phi_own_lock(own, &h);
	phi_own_publish_locked(own);
	if (locked)
		phi_own_unlock(own, &h);
}

// How many had been rung. But for `one` of them they may still come.
static uint32_t hear(struct signal_own *own, int signo, uint32_t one)
{
	struct signal_bell *b = &own->port->bell[signo];
	uint32_t rung = load_relaxed_u32(&b->rung);
	uint32_t n = rung - load_relaxed_u32(&b->heard);
	if (n != 0)
		store_relaxed_u32(&b->heard, rung);
	if (n > one)
		own->in_vain[signo] = n - one < UINT8_MAX ? (uint8_t)(n - one) : UINT8_MAX;
	return n;
}

uint32_t phi_own_heard(struct signal_own *own, int signo)
{
	struct phi_hold h;
	bool locked = phi_own_lock(own, &h);
	uint32_t owed = hear(own, signo, 1);
	own->handed_on &= ~SIGNAL_BIT(signo);
	if (locked)
		phi_own_unlock(own, &h);
	return owed;
}

uint64_t phi_own_bells(const struct signal_own *own)
{
	uint64_t bells = own->handed_on;
	for (int s = SIGNAL_STANDARD; s < SIGNAL_NUMBERS; s++) {
		const struct signal_bell *b = &own->port->bell[s];
		if (own->in_vain[s] > 0 || load_relaxed_u32(&b->rung) != load_relaxed_u32(&b->heard))
			bells |= SIGNAL_BIT(s);
	}
	return bells;
}

bool phi_own_rung(const struct signal_own *own, uint64_t signals)
{
	for (uint64_t rest = signals; rest != 0; rest &= rest - 1) {
		const struct signal_bell *b = &own->port->bell[__builtin_ctzll(rest) + 1];
		if (load_relaxed_u32(&b->rung) != load_relaxed_u32(&b->heard))
			return true;
	}
	return false;
}

bool phi_own_asleep(struct signal_own *own)
{
	struct phi_hold h;
	bool locked = phi_own_lock(own, &h);
	// What there is no room for, because somebody has scribbled, does not keep this thread awake.
	bool nothing = load_relaxed_u64(&own->port->tail) == own->looked &&
	               load_relaxed_u64(&own->port->standard) == 0;
	// The queue is empty: a bell that is said to be outstanding was lost, and must not keep senders from ringing.
	for (uint64_t rest = nothing ? own->asleep : 0; rest != 0; rest &= rest - 1)
		hear(own, __builtin_ctzll(rest) + 1, 0);
	if (nothing)
		phi_own_publish_locked(own);
	own->in_doubt = !locked;
	if (locked)
		phi_own_unlock(own, &h);
	return nothing;
}

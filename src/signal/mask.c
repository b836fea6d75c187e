// SPDX-License-Identifier: MIT
//
// The mask is the kernel's. What is pending in this process's own memory must become pending in the kernel before the
// mask lets it through: a handled signal as a bell, one with its default action as itself. Then the kernel delivers it
// when it changes the mask, before the call returns.
#include "signal/port.h"

#include "signal/safepoint.h"
#include "sync/asleep.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

uint64_t phi_mask_of(const sigset_t *set)
{
	uint64_t mask;
	memcpy(&mask, set, sizeof mask);
	return mask;
}

void phi_mask_to(uint64_t mask, sigset_t *set)
{
	memset(set, 0, sizeof *set);
	memcpy(set, &mask, sizeof mask);
}

uint64_t phi_mask_now(void)
{
	uint64_t mask = 0;
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask);
	return mask;
}

// ---- unblocking ----

// Under the lock: those that need a bell.
static uint64_t let_through(struct signal_own *own, uint64_t signals)
{
	uint64_t bells = 0;
	if (own != NULL && (own->quiet & signals) != 0) {
		own->quiet &= ~signals;
		phi_own_publish(own);
	}
	phi_inbox_drain();
	for (uint64_t rest = phi_inbox_pending() & signals; rest != 0; rest &= rest - 1) {
		int signo = __builtin_ctzll(rest) + 1;
		if (phi_disposition(signo).kind == SIGNAL_HANDLER)
			bells |= SIGNAL_BIT(signo);
		else
			phi_signal_give_back(signo);
	}
	return bells;
}

static bool concerns(const struct signal_own *own, uint64_t signals)
{
	if (phi_inbox_pending() & signals)
		return true;
	return own != NULL &&
	       ((own->quiet & signals) != 0 || load_relaxed_u64(&own->port->tail) != own->drained);
}

void phi_signal_unblocking(uint64_t signals)
{
	PHI_KEEP_ERRNO;
	struct signal_own *own = phi_own();
	if (!concerns(own, signals) || phi_signal_self.busy != 0 || phi_in_vfork())
		return;
	phi_inbox_lock();
	uint64_t bells = let_through(own, signals);
	phi_inbox_unlock();
	sigset_t there;
	if (bells != 0 && sigpending(&there) == 0)
		bells &= ~phi_mask_of(&there); // rung already
	for (; bells != 0; bells &= bells - 1)
		phi_bell_self(__builtin_ctzll(bells) + 1);
}

static void show(uint64_t mask)
{
	struct signal_thread *shown = phi_own_thread();
	if (shown != NULL)
		store_relaxed_u64(&shown->blocked, mask);
}

static uint64_t changed(uint64_t mask, int how, uint64_t set)
{
	return how == SIG_BLOCK ? mask | set : how == SIG_UNBLOCK ? mask & ~set : set;
}

int phi_signal_mask(int how, const sigset_t *set, sigset_t *old)
{
	PHI_KEEP_ERRNO;
	sigset_t was;
	uint64_t bits = set != NULL ? phi_mask_of(set) : 0;
	if (set != NULL && how != SIG_BLOCK)
		phi_signal_unblocking(how == SIG_UNBLOCK ? bits : ~bits);
	int r = -pthread_sigmask(how, set, &was);
	if (r < 0)
		return r;
	if (set != NULL) {
		phi_signal_self.remasked = 1;
		show(changed(phi_mask_of(&was), how, bits));
	}
	if (old != NULL) // what is held back is not of the program's doing, nor to be put back by it
		phi_mask_to(phi_mask_of(&was) & ~phi_safepoint_held(), old);
	return 0;
}

// ---- pending ----

int phi_signal_pending(sigset_t *set)
{
	PHI_KEEP_ERRNO;
	struct signal_own *own = phi_own();
	sigset_t kernel;
	if (sigpending(&kernel) != 0)
		return -errno;
	uint64_t there = phi_mask_of(&kernel);
	if (own == NULL && phi_inbox_pending() == 0) {
		*set = kernel;
		return 0;
	}
	phi_inbox_lock();
	phi_inbox_drain();
	uint64_t kernels = own != NULL ? own->kernels : 0;
	// A queued signal in the kernel may be a bell for one that has been taken: it tells when it is taken out.
	uint64_t doubtful = there & SIGNAL_QUEUED_MASK & ~kernels & ~phi_inbox_pending();
	doubtful &= own != NULL ? phi_own_bells(own) : 0;
	if (doubtful != 0) {
		phi_inbox_adopt(doubtful);
		sigpending(&kernel); // what is left is this thread's alone, or there is no room for it
	}
	uint64_t here = phi_inbox_pending();
	phi_inbox_unlock();
	phi_mask_to(phi_mask_of(&kernel) | (here & phi_mask_now()), set);
	return 0;
}

// ---- waiting for a handler ----

int phi_signal_suspend(const sigset_t *mask)
{
	phi_signal_unblocking(~phi_mask_of(mask));
	return phi_kernel_suspend(phi_mask_of(mask));
}

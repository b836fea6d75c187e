// SPDX-License-Identifier: MIT
//
// signalfd. The descriptor is the kernel's own, so that poll, epoll, fork, dup and exec do as ever. What the kernel does not
// have it cannot show: signals of a descriptor's set are sent by the kernel from then on, and what is here already is
// given to it. Or else (`port`) it shows the bells only.
#include "signal/port.h"

#include <errno.h>
#include <sys/signalfd.h>

static void leave_to_kernel(struct signal_own *own, uint64_t signals)
{
	phi_inbox_lock();
	if ((own->kernels & signals) != signals) {
		own->kernels |= signals;
		phi_own_publish(own);
	}
	phi_inbox_adopt(signals & SIGNAL_QUEUED_MASK &
	                phi_mask_now()); // a reader would take a bell for a signal
	phi_inbox_drain();
	for (uint64_t rest = phi_inbox_pending() & signals; rest != 0; rest &= rest - 1) {
		siginfo_t info;
		int signo = __builtin_ctzll(rest) + 1;
		while (phi_inbox_count(signo) > 0) {
			phi_inbox_pop(signo, &info);
			phi_bell_return(&info);
		}
	}
	phi_inbox_unlock();
}

// Each signal that comes rings, so that the descriptor becomes readable; who looks takes it from the port.
static void ring_always(struct signal_own *own, uint64_t signals)
{
	phi_inbox_lock();
	own->belled |= signals & SIGNAL_QUEUED_MASK;
	own->kernels |= signals & ~SIGNAL_QUEUED_MASK;
	phi_own_publish(own);
	phi_inbox_unlock();
}

int phi_signal_descriptor(int fd, const sigset_t *set, int flags, bool port)
{
	int r = signalfd(fd, set, flags);
	if (r < 0)
		return -errno;
	struct signal_own *own = phi_own_make();
	if (own != NULL && port)
		ring_always(own, phi_mask_of(set));
	else if (own != NULL)
		leave_to_kernel(own, phi_mask_of(set));
	return r;
}

// SPDX-License-Identifier: MIT
//
// How long to spin before sleeping. Waking a sleeper on another core costs 20 to 40 us, a cache line's
// round trip 0.1 us: spinning wins by far while the peer runs, and only burns when it does not. The
// state is private to a process and object, and its races are harmless.
#ifndef PHI_SYNC_SPIN_H
#define PHI_SYNC_SPIN_H

#include "base/atomic.h"

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct phi_spin {
	uint32_t limit_ns;              // spin at most so long; below PHI_SPIN_WORTH_NS: do not
	uint32_t gap;                   // waits between probes while it does not pay
	uint32_t skip;                  // waits until the next probe
	uint32_t yield_gap, yield_skip; // the same for yields to a peer on this CPU
};

void phi_spin_init(struct phi_spin *s);

// The process-wide bound (POSTHASTE_SPIN_NS, ph_set_spin).
int64_t phi_spin_bound_ns(void);
void phi_spin_set_bound(int64_t ns);

// How many pauses amount to `ns` of waiting for a lock; 0 where spinning is forbidden or pointless.
int phi_spin_pauses(int64_t ns);

// Whether this thread may run on one CPU only.
bool phi_spin_pinned(void);

// Spin while *word == value, as long as the policy allows: true if it changed. *peer_cpu is where the
// other side last ran (as phi_cpu); *stop, if not NULL, ends the spin when it is not 0.
bool phi_spin_while(struct phi_spin *s, const uint64_t *word, uint64_t value,
                    const uint32_t *peer_cpu, const uint32_t *stop);

// Whether phi_spin_while would try now. Counts as a wait: who asks and is refused comes nearer to the
// next probe.
bool phi_spin_pays(struct phi_spin *s, const uint32_t *peer_cpu);

// glibc's registration of rseq(2), if there is one: the kernel keeps the CPU number there.
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

// The CPU this thread runs on plus 1, to be published for the peer; 0 = not known.
static inline uint32_t phi_cpu(void)
{
	if (&__rseq_offset != NULL && __rseq_size != 0) {
		const uint8_t *rseq = (const uint8_t *)__builtin_thread_pointer() + __rseq_offset;
		return load_relaxed_u32((const uint32_t *)(rseq + 4)) + 1;
	}
	return (uint32_t)sched_getcpu() + 1;
}

#endif

// SPDX-License-Identifier: MIT
//
// Survive a peer that truncates a mapped file. The access raises SIGBUS; the guard maps private zeros
// from there to the object's end, marks it damaged and lets the access go on. What is still there
// stays shared: a lock that is held can be let go. What the operation does with
// zeros is its own concern: it bounds every walk anyway, and reports damage at its end.
//
// The handler for SIGBUS is the process's: faults elsewhere go to whatever was installed before. A
// program that installs its own later, and does not chain, disarms the guard until the next open.
#ifndef PHI_BASE_GUARD_H
#define PHI_BASE_GUARD_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Guard [base, base + bytes); *damaged becomes 1 at a fault. 0 or -ENOMEM.
int phi_guard_add(void *base, size_t bytes, uint32_t *damaged);
// The same without memory of its own, for a mapping that a forked child does not inherit (base/self.h says in which
// process it is guarded). `g` stays for ever, and guards one range at a time. 0, or -EBUSY: another thread is at it, or this
// one below a signal handler.
struct phi_guarded {
	uintptr_t base;  // 0 = not in use
	uintptr_t bytes; // may grow
	uint32_t *damaged;
	uint32_t generation;      // of the process; 0 = any
	struct phi_guarded *next; // set before the entry is published
};
int phi_guard_add_own(struct phi_guarded *g, void *base, size_t bytes, uint32_t *damaged);
// It has become larger.
void phi_guard_extend(void *base, size_t bytes);
void phi_guard_remove(void *base);

// Whose turn it is at faults elsewhere, where the guard is installed: look (old) and change (act), as sigaction does;
// false: it is not installed. The guard runs what it finds there with its own flags and an empty mask.
bool phi_guard_chain(const struct sigaction *act, struct sigaction *old);

// All signals that a thread may block while it touches guarded memory: a fault whose signal is blocked
// kills the process, whatever its handler.
void phi_guard_blockable(sigset_t *set);

// Around fork: no other thread may be inside.
void phi_guard_hold(void);
void phi_guard_let_go(void);

#endif

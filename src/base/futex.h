// SPDX-License-Identifier: MIT
//
// The futex system calls, process-shared always. The only place that makes them is futex.c.
#ifndef PHI_BASE_FUTEX_H
#define PHI_BASE_FUTEX_H

#include <limits.h>
#include <stdint.h>
#include <time.h>

// A deadline on a clock; clock < 0 means none.
struct phi_deadline {
	clockid_t clock;
	struct timespec at;
};

// Sleep while *word == value. 0 woken, -EAGAIN value differs, -EINTR, -ETIMEDOUT. A signal whose
// handler has SA_RESTART does not end it unless timeout_ns is given (the kernel's rule).
int phi_futex_wait(uint32_t *word, uint32_t value, int64_t timeout_ns);

// Sleep while both words have their values. 0 or 1 = the word that rang, -EAGAIN, -EINTR, -ETIMEDOUT,
// -ENOSYS (before Linux 5.16). SA_RESTART holds, with a deadline as well.
int phi_futex_wait2(uint32_t *a, uint32_t va, uint32_t *b, uint32_t vb,
                    const struct phi_deadline *deadline);

// Wake up to n waiters (INT_MAX: all); the number woken, 0 on any error (a vanished page).
int phi_futex_wake(uint32_t *word, int n);

#endif

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
// The same, and -EINTR if *due is set, by a handler in the instant before the sleep as well (base/call.h).
int phi_futex_wait_unless(const uint32_t *due, uint32_t *word, uint32_t value, int64_t timeout_ns);

struct phi_futex_word {
	uint32_t *word;
	uint32_t value;
};

#define PHI_FUTEX_WORDS_MAX 128

// Sleep while all n words have their values; the kernel queues and compares them in this order. The number
// of the word that rang, -EAGAIN, -EINTR, -ETIMEDOUT, -ENOSYS (before Linux 5.16). SA_RESTART holds, with a
// deadline as well.
int phi_futex_wait_any(const struct phi_futex_word *words, int n,
                       const struct phi_deadline *deadline);

// Wake up to n waiters (INT_MAX: all); the number woken, 0 on any error (a vanished page).
int phi_futex_wake(uint32_t *word, int n);

#endif

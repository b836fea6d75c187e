// SPDX-License-Identifier: MIT
//
// Clocks and deadlines.
#ifndef PHI_BASE_CLOCK_H
#define PHI_BASE_CLOCK_H

#include "base/futex.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

static inline int64_t phi_timespec_ns(const struct timespec *ts)
{
	return (int64_t)ts->tv_sec * 1000000000 + ts->tv_nsec;
}

static inline int64_t phi_clock_ns(clockid_t clock)
{
	struct timespec ts = {0, 0};
	clock_gettime(clock, &ts);
	return phi_timespec_ns(&ts);
}

// CLOCK_MONOTONIC, exact.
static inline int64_t phi_now_ns(void)
{
	return phi_clock_ns(CLOCK_MONOTONIC);
}

// CLOCK_MONOTONIC at the resolution of the kernel's tick: for display, at 3 ns.
static inline int64_t phi_now_coarse_ns(void)
{
	return phi_clock_ns(CLOCK_MONOTONIC_COARSE);
}

// The call has no deadline (abstime NULL), or this one.
struct phi_deadline phi_deadline(clockid_t clock, const struct timespec *abstime);

// To be asked when a call is about to block: 0 go on, -EINVAL not a time or not a clock, -ETIMEDOUT.
int phi_deadline_check(const struct phi_deadline *deadline);

// The earlier of the deadline and `ns` from now.
struct phi_deadline phi_deadline_within(const struct phi_deadline *deadline, int64_t ns);

#endif

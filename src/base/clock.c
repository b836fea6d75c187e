// SPDX-License-Identifier: MIT
#include "base/clock.h"

#include <errno.h>
#include <stddef.h>

struct phi_deadline phi_deadline(clockid_t clock, const struct timespec *abstime)
{
	if (abstime == NULL)
		return (struct phi_deadline){.clock = -1};
	return (struct phi_deadline){.clock = clock < 0 ? -2 : clock, .at = *abstime};
}

int phi_deadline_check(const struct phi_deadline *d)
{
	if (d->clock == -1)
		return 0;
	if (d->clock != CLOCK_REALTIME && d->clock != CLOCK_MONOTONIC)
		return -EINVAL;
	if (d->at.tv_sec < 0 || d->at.tv_nsec < 0 || d->at.tv_nsec >= 1000000000)
		return -EINVAL;
	struct timespec now;
	clock_gettime(d->clock, &now);
	bool passed =
		now.tv_sec > d->at.tv_sec || (now.tv_sec == d->at.tv_sec && now.tv_nsec >= d->at.tv_nsec);
	return passed ? -ETIMEDOUT : 0;
}

static bool before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

struct phi_deadline phi_deadline_within(const struct phi_deadline *d, int64_t ns)
{
	clockid_t clock = d->clock >= 0 ? d->clock : CLOCK_MONOTONIC;
	struct timespec at;
	clock_gettime(clock, &at);
	at.tv_sec += ns / 1000000000;
	at.tv_nsec += ns % 1000000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_nsec -= 1000000000;
		at.tv_sec++;
	}
	if (d->clock >= 0 && before(&d->at, &at))
		return *d;
	return (struct phi_deadline){.clock = clock, .at = at};
}

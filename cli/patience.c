// SPDX-License-Identifier: MIT
//
// patience.c - see patience.h.
#include "patience.h"

const struct timespec *patience_until(const struct patience *patience, struct timespec *until)
{
	if (!patience->limited)
		return NULL;
	const time_t whole = (time_t)patience->seconds;

	clock_gettime(CLOCK_MONOTONIC, until);
	until->tv_sec += whole;
	until->tv_nsec += (long)((patience->seconds - (double)whole) * 1e9);
	if (until->tv_nsec >= 1000000000L) {
		until->tv_nsec -= 1000000000L;
		until->tv_sec++;
	}
	return until;
}

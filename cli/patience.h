// SPDX-License-Identifier: MIT
//
// patience.h - how long one wait may last.
#ifndef PATIENCE_H
#define PATIENCE_H

#include <stdbool.h>
#include <time.h>

struct patience {
	bool limited;
	double seconds;
};

// The end of a wait that begins now, on CLOCK_MONOTONIC, or NULL for none.
const struct timespec *patience_until(const struct patience *patience, struct timespec *until);

#endif

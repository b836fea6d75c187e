// SPDX-License-Identifier: MIT
//
// sample.h - a look at everything, and what has changed a second since the one before: for top and stats.
#ifndef SAMPLE_H
#define SAMPLE_H

#include "knot.h"

struct sample_rate {
	double in, out; // a second; negative = not known
};

struct sample_load {
	double cpu;    // percent of one processor; negative = not known
	double sleeps; // a second
};

struct sample {
	struct world world;
	struct knots knots;       // those that have lasted since the one before
	double seconds;           // since the one before; 0 = there is none
	struct sample_rate *rate; // of each object
	struct sample_load *load; // of each process
	struct world_sum *sum;    // of each object
};

// `before` may be NULL. False: complained.
bool sample_take(struct sample *sample, const struct sample *before);
void sample_free(struct sample *sample);

// The open objects and the holds of a process.
size_t sample_uses(const struct sample *sample, size_t process);
size_t sample_holds(const struct sample *sample, size_t process);

// The wait of a process that has lasted longest, but for the library's own threads; NULL = none.
const struct world_wait *sample_wait(const struct sample *sample, size_t process);

// One JSON object and a newline to stdout.
void sample_json(const struct sample *sample);

#endif

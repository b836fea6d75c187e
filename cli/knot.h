// SPDX-License-Identifier: MIT
//
// knot.h - deadlocks: processes of which each waits for what only others of them could give. Nobody is accused on
// a guess: whoever has a thread that is not asleep on something of ours, or a deadline, or may be served by one that
// is not seen, counts as able to go on, and so do those who wait for him. docs/watch.md, "Deadlocks", tells the rules
// and what they cannot see.
#ifndef KNOT_H
#define KNOT_H

#include "world.h"

// One step of a circle: this process waits, by this wait, for the next step's process.
struct knot_step {
	size_t process, wait;
};

struct knot {
	struct knot_step *step;
	size_t steps;
};

struct knots {
	struct knot *knot;
	size_t count;
	size_t *behind; // processes that are in no circle, and wait for one that is
	size_t behinds;
};

void knots_find(const struct world *world, struct knots *knots);
void knots_free(struct knots *knots);

// Whether all in the circle have slept since before `at_ns` (CLOCK_MONOTONIC), so that nothing was in motion.
bool knot_is_older(const struct world *world, const struct knot *knot, int64_t at_ns);

// Takes two looks, if the first finds something, and keeps what both have: world and knots are of the last. False:
// complained.
bool knots_look(struct world *world, struct knots *knots);

// Who could end a wait: processes, in order. *outside is set if others, that are not seen, could as well. The caller
// frees.
size_t *knot_peers(const struct world *world, const struct world_wait *wait, size_t *count,
                   bool *outside);

#endif

// SPDX-License-Identifier: MIT
//
// knot_dot.h - the graph of who waits for what, and who has it, in the language of dot(1).
#ifndef KNOT_DOT_H
#define KNOT_DOT_H

#include "knot.h"

void knot_dot(const struct world *world, const struct knots *knots);

#endif

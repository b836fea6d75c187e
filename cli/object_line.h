// SPDX-License-Identifier: MIT
//
// object_line.h - an object in a row of a table, as ls and top --once print it; the cells by themselves are for
// whoever has a table of another shape.
#ifndef OBJECT_LINE_H
#define OBJECT_LINE_H

#include "show.h"
#include "table.h"
#include "world.h"

void object_line_heading(struct table *table); // begins the table
void object_line(struct table *table, const struct world *world, size_t object);

// "3/10", "2/4", "7": messages of the depth, units of all, a value; "-" where there is none.
const char *object_fill(char out[SHOW_MAX], const struct world_object *object);

// "r1/s0", "w2", "-"
const char *object_sleepers(char out[SHOW_MAX], const struct world_object *object,
                            const struct world_sum *sum);

// The pid of one holder, and how many more; "-" for none.
const char *object_held_by(char out[SHOW_MAX], const struct world *world, size_t object);

#endif

// SPDX-License-Identifier: MIT
//
// watched.h - what a look at the processes adds to an object's own facts: users, holders, sleepers.
#ifndef WATCHED_H
#define WATCHED_H

#include "json.h"
#include "object.h"
#include "world.h"

struct watched {
	const struct world *world;
	size_t object;
};

// The members "users", "held_by" and "sleepers", of an object whose brackets are open. NULL adds nothing.
void watched_json(struct json *json, const struct watched *watched);

// The same for people: a line each, as info prints them.
void watched_show(const struct watched *watched);

// Whether this is what a command line means, `kind` and `found` being what object_find made of `argument`.
bool watched_is_named(const struct world_object *object, enum object_kind kind,
                      const struct object *found, const char *argument);

// The one that has the name now; WORLD_NONE if there is none.
size_t watched_find(const struct world *world, enum object_kind kind, const struct object *found,
                    const char *argument);

#endif

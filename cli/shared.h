// SPDX-License-Identifier: MIT
//
// shared.h - what the commands that work on shared memory share: names, complaints that help, and what an arena
// in an object holds.
#ifndef SHARED_H
#define SHARED_H

#include <stdbool.h>

#include <posthaste/shm.h>

#include "names.h"

bool shared_name(const char *argument, char name[NAME_WHOLE_MAX]);

// One line that tells why a call on NAME failed with error `err`, and what to do. Returns the exit status.
int shared_fail(const char *name, int err);

// "ok", "unused" for what is to go when unused, "damaged".
const char *shared_state(const struct ph_shm_info *info);

#endif

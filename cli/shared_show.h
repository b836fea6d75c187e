// SPDX-License-Identifier: MIT
//
// shared_show.h - shared memory, and an arena in it, for people and for programs.
#ifndef SHARED_SHOW_H
#define SHARED_SHOW_H

#include <posthaste/shm.h>

#include "watched.h"

// Briefly: without a look into it. `watched` may be NULL.
void shared_json_briefly(const char *name, const struct ph_shm_info *info,
                         const struct watched *watched);
void shared_json(const char *name, const struct ph_shm_info *info, const struct watched *watched);
void shared_show(const char *name, const struct ph_shm_info *info, const struct watched *watched);

#endif

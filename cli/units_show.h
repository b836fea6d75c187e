// SPDX-License-Identifier: MIT
//
// units_show.h - a semaphore for people and for programs.
#ifndef UNITS_SHOW_H
#define UNITS_SHOW_H

#include <sys/stat.h>

#include <posthaste/semaphore.h>

#include "watched.h"

// "ok", or "dead-holder" while units are about to come back.
const char *units_state(const struct ph_sem_info *info);

// `file` is the object's file; `watched` may be NULL.
void units_json(const char *name, const struct ph_sem_info *info, const struct stat *file,
                const struct watched *watched);
void units_show(const char *name, const struct ph_sem_info *info, const struct stat *file,
                const struct watched *watched);

#endif

// SPDX-License-Identifier: MIT
//
// units.h - what the commands that work on semaphores share: complaints that help, opening, who holds and who
// waits.
#ifndef UNITS_H
#define UNITS_H

#include <stdbool.h>
#include <stdint.h>

#include <posthaste/semaphore.h>

#include "names.h"
#include "patience.h"

bool units_name(const char *argument, char name[NAME_WHOLE_MAX]);

// One line that tells why a call on NAME failed with error `err`, and what to do. Returns the exit status.
int units_fail(const char *name, int err);

// Opens NAME with PH_SEM_* flags, or complains and returns SEM_FAILED.
sem_t *units_open(const char *name, int oflag);

// "pid 7 (make all), pid 9 (gone)": who holds units now, as far as there is room; empty if nobody.
enum { UNITS_WHO_MAX = 256 };
const char *units_who_holds(const char *name, char out[UNITS_WHO_MAX]);

// All units, held or not, of a semaphore with holders; several looks, as the parts of one are from several
// moments. 0 = cannot tell.
uint64_t units_in_all(const char *name);
uint64_t units_held(const struct ph_sem_info *info);

#endif

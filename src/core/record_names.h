// SPDX-License-Identifier: MIT
//
// What is private to the recorder: the names of objects.
#ifndef PHI_CORE_RECORD_NAMES_H
#define PHI_CORE_RECORD_NAMES_H

#include "core/layout.h"

// The recording of this process has been made: show there what is known, and from now on what becomes known.
void phi_record_names_show(struct record_name *table);

#endif

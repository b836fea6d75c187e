// SPDX-License-Identifier: MIT
//
// Numbers that nobody else has drawn.
#ifndef PHI_BASE_RANDOM_H
#define PHI_BASE_RANDOM_H

#include <stdint.h>

void phi_random_id(uint64_t id[2]);

#endif

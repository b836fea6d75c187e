// SPDX-License-Identifier: MIT
//
// Open descriptions: the flags that fork shares (O_NONBLOCK), as words in an anonymous shared mapping
// that parent and child both have. Reading one costs no system call, and no stranger can write it.
#ifndef PHI_CORE_DESCRIPTION_H
#define PHI_CORE_DESCRIPTION_H

#include <stdbool.h>
#include <stdint.h>

// A word for a new description, or NULL (no memory). Low 16 bits: flags; high 16: processes that have it.
uint32_t *phi_description_new(bool nonblock);
void phi_description_get(uint32_t *d);
// Whether it was the last process that had it: then the word is free.
bool phi_description_put(uint32_t *d);
// Free a word that only one other description's holders use.
void phi_description_free(uint32_t *d);

// Around fork: no other thread may be inside.
void phi_description_hold(void);
void phi_description_let_go(void);

// Further flags of a description, for the rooms: bits 1 to 15, only ever raised.
uint32_t phi_description_flags(const uint32_t *d);
void phi_description_raise(uint32_t *d, uint32_t flags);

bool phi_description_nonblock(const uint32_t *d);
void phi_description_set_nonblock(uint32_t *d, bool on);

#endif

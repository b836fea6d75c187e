// SPDX-License-Identifier: MIT
//
// memory.h - memory for the commands, which cannot go on without it: they say so and end.
#ifndef MEMORY_H
#define MEMORY_H

#include <stddef.h>

_Noreturn void memory_exhausted(void);
void *memory_resize(void *old, size_t count, size_t size); // NULL makes a new one
void *memory_zeroed(size_t count, size_t size);
char *memory_string(const char *text);

#endif

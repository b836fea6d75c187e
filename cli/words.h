// SPDX-License-Identifier: MIT
//
// words.h - what is known of a world, in words: the same for who, deadlock, info and top.
#ifndef WORDS_H
#define WORDS_H

#include <stdio.h>

#include "world.h"

enum { WORDS_MAX = 512 };

// "the queue /jobs", "its own threads": what a wait is for, and of which object.
const char *words_object(char out[WORDS_MAX], const struct world_object *object);

// "waits for 2 units of the semaphore /slots"
const char *words_wait(char out[WORDS_MAX], const struct world *world,
                       const struct world_wait *wait);

// Why this process could end that wait: "pid 7 holds 2 of them". Of a wait that this process could not end: "".
const char *words_why(char out[WORDS_MAX], const struct world *world, const struct world_wait *wait,
                      size_t process);

// "3 units of the semaphore /slots"
const char *words_hold(char out[WORDS_MAX], const struct world *world,
                       const struct world_hold *hold);

// "pid 7 (make all)", and ", stopped" where it is.
const char *words_process(char out[WORDS_MAX], const struct world *world, size_t process);

// "3.2s", or "?" where it is not known.
const char *words_since(char out[SHOW_MAX], const struct world *world,
                        const struct world_wait *wait);

// Text that comes from others, as one line: control characters become '?'.
void words_put(FILE *out, const char *text);

#endif

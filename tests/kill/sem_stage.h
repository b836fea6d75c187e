// SPDX-License-Identifier: MIT
//
// tests/kill/sem_stage.h - what all kill scenarios of semaphores share: a semaphore, those who sleep there, and
// the count of its units when the victim is dead.
//
// `made` units are there at the beginning. A scenario adds what is posted as new. With holders everything that
// the dead and the parties took must come back, so in the end all of them are there; without, a unit is there or
// somebody has taken it.
//
// Whether a party sleeps rightly is asked of ph_sem_info, or by getvalue where there are no holders: with
// them getvalue takes back from the dead, and would help a sleeper whom nobody woke.
#ifndef KILL_SEM_STAGE_H
#define KILL_SEM_STAGE_H

#include "sweep.h"

#include <posthaste/semaphore.h>

#define NAME "/sweep"

extern sem_t *sem;

void make_unnamed(unsigned units);
void make_named(unsigned units);
void make_holders(unsigned units);

// In the victim: an open of its own, of a semaphore with holders.
void open_own(void);

// Start a party that sleeps for a unit, or for two of a semaphore with holders; it ends when it has them.
pid_t start_waiter(void);
pid_t start_waiter_for_two(void);
void wait_for_one(void);

// A holder: takes a unit, and sleeps until it is killed.
pid_t start_holder(void);
// The same, dead already: nobody has taken back what it held.
void leave_dead_holder(void);
void kill_and_join(pid_t party);

void take(unsigned units);
void post(void);

// Wait until the party has got its units (and is joined), or sleeps rightly.
bool got_units(pid_t party, unsigned units, const char *who);

// Nobody else uses it any more: the units that are there.
unsigned count_units(void);
void expect_units(unsigned units);
// `units`, or one more: which.
int expect_one_more(unsigned units);

#endif

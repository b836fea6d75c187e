// SPDX-License-Identifier: MIT
//
// tests/hostile/sem_victim.h - a process that goes on using a semaphore which somebody attacks: each of its calls
// ends in time, with success or with an error that posthaste/semaphore.h documents for it. And what the attacker
// sees: the file, mapped, with the values worth writing. The diary and its watchers are those of victim.h.
#ifndef TESTS_HOSTILE_SEM_VICTIM_H
#define TESTS_HOSTILE_SEM_VICTIM_H

#include <posthaste/posthaste.h>

#include "sem/layout.h"
#include "victim.h"

struct sem_victim {
	sem_t *sem;
	const char *name; // NULL: an unnamed one
	bool holders;
	struct diary *diary;
	uint64_t random;
	bool attached;
};

void sem_victim_begin(struct sem_victim *v, const char *name, struct diary *diary);
void sem_victim_end(struct sem_victim *v);

// One call of each kind, in a fixed order; none waits for long.
void sem_victim_do_everything(struct sem_victim *v);
// One, chosen at random; opens the semaphore anew when it is damaged.
void sem_victim_do_something(struct sem_victim *v);

// A child of test_fork: a struct victim_job *. Runs until diary->stop.
void sem_victim_main(void *job);

// A new semaphore of that name works in every respect. Removes it.
void semaphore_works(const char *name);

struct sem_region {
	int fd;
	size_t bytes;
	uint8_t *map;
	struct sem_control *c;
	uint8_t *image; // the bytes at sem_region_remember
};

void sem_region_open(struct sem_region *r, const char *name);
void sem_region_close(struct sem_region *r);
void sem_region_remember(struct sem_region *r);
void sem_region_restore(struct sem_region *r);

// Offsets, divisible by 4, worth scribbling on: the header's, the control area's, some slots and marks. Without the
// word of the lock. How many.
enum { SEM_FIELDS_MAX = 2048 };
size_t sem_region_fields(const struct sem_region *r, uint32_t fields[SEM_FIELDS_MAX]);

// The i-th adversarial value for a word that holds `own`.
enum { SEM_VALUES = 20 };
uint64_t sem_value(uint64_t own, int i);

#endif

// SPDX-License-Identifier: MIT
//
// tests/hostile/signal_victim.h - a process that goes on using its own port, somebody else's and a named one, all of
// which somebody attacks: each call ends in time, with success or with an error that posthaste/signal.h documents for it,
// and what the process has accepted and decided itself stays as it is. And what the attacker sees: the files, mapped,
// with the values worth writing. The diary and its watchers are those of victim.h.
#ifndef TESTS_HOSTILE_SIGNAL_VICTIM_H
#define TESTS_HOSTILE_SIGNAL_VICTIM_H

#include <posthaste/posthaste.h>

#include "signal/layout.h"
#include "victim.h"

#define SIGNAL_VICTIM_PORT "/besieged"

struct signal_victim {
	struct diary *diary;
	uint64_t random;
	pid_t peer; // whom it signals, too
};

// Makes the victim's port, with a handler, a signal that it takes, and a place in the named port.
void signal_victim_begin(struct signal_victim *v, struct diary *diary, pid_t peer);
void signal_victim_end(struct signal_victim *v);

// One call of each kind, in a fixed order; none waits for long.
void signal_victim_do_everything(struct signal_victim *v);
// One, chosen at random.
void signal_victim_do_something(struct signal_victim *v);

// A child of test_fork: a struct victim_job *. Runs until diary->stop.
void signal_victim_main(void *job);

// A process that has a port and a handler, until it is killed. Returns when it has.
pid_t signal_peer_start(void);

// A process that is made anew gets what is sent to it.
void signals_work(void);

struct signal_region {
	int fd;
	size_t bytes;
	uint8_t *map;
	uint8_t *image; // the bytes at signal_region_remember
	bool named;
};

void signal_region_open(struct signal_region *r, pid_t pid);
void signal_region_open_named(struct signal_region *r);
void signal_region_close(struct signal_region *r);
void signal_region_remember(struct signal_region *r);
void signal_region_restore(struct signal_region *r);

// Offsets, divisible by 4, worth scribbling on, without the word of the lock. How many.
enum { SIGNAL_FIELDS_MAX = 2048 };
size_t signal_region_fields(const struct signal_region *r, uint32_t fields[SIGNAL_FIELDS_MAX]);

// The i-th adversarial value for a word that holds `own`.
enum { SIGNAL_VALUES = 18 };
uint64_t signal_value(uint64_t own, int i);

#endif

// SPDX-License-Identifier: MIT
//
// tests/hostile/pipe_victim.h - somebody who goes on using a pipe whose ring is attacked. Whatever the
// attacker does, each call ends in time, with success or with an error that posthaste/pipe.h documents
// for it, and touches nothing but the buffer that it was given. What is read may be nonsense.
//
// Both ends are O_NONBLOCK: how long a call waits has tests of its own. Diaries as in victim.h.
#ifndef TESTS_HOSTILE_PIPE_VICTIM_H
#define TESTS_HOSTILE_PIPE_VICTIM_H

#include <posthaste/posthaste.h>

#include <stdbool.h>
#include <stdint.h>

#include "victim.h"

struct pipe_victim {
	int fds[2];
	struct diary *diary;
	uint64_t random;
	bool reserved, looking;
	size_t reserved_bytes, looked_bytes;
};

// The ends of a pipe: made anew, or those at hand.
void pipe_victim_make(struct pipe_victim *v, struct diary *diary);
void pipe_victim_take(struct pipe_victim *v, const int fds[2], struct diary *diary);
void pipe_victim_end(struct pipe_victim *v);

// One call of each kind, in a fixed order; none that sends the pipe to the kernel for good.
void pipe_victim_do_everything(struct pipe_victim *v);

// What sends it there: poll, export, another size. The n-th of PIPE_FAREWELLS.
enum { PIPE_FAREWELLS = 4 };
void pipe_victim_say_farewell(struct pipe_victim *v, int n);

// One call, chosen at random.
void pipe_victim_do_something(struct pipe_victim *v);

// Let writes go to the ring, if that may be.
void pipe_victim_lease(struct pipe_victim *v);

// A child of test_fork: a struct pipe_victim_job *. Runs until diary->stop.
struct pipe_victim_job {
	int fds[2];
	struct diary *diary;
	uint64_t seed;
};
void pipe_victim_main(void *job);

// Let writes of a new pipe go to the ring, for sure.
void pipe_lease(int fd);

// An empty pipe carries bytes, to whatever place.
void pipe_carries(const int fds[2]);

// A new pipe works, through the ring and through the kernel.
void pipe_works(void);

#endif

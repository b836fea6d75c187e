// SPDX-License-Identifier: MIT
//
// tests/hostile/victim.h - a process that goes on using a queue which somebody attacks. Whatever the
// attacker does, each of its calls must end in time, with success or with an error that
// posthaste/mqueue.h documents for it. What it receives may be nonsense, but no more than mq_msgsize of
// it.
#ifndef TESTS_HOSTILE_VICTIM_H
#define TESTS_HOSTILE_VICTIM_H

#include <posthaste/posthaste.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	VICTIMS_MAX = 4,
	VICTIM_DEPTH = 6,
	VICTIM_SIZE = 100,
	STEP_LIMIT_S = 20, // no call may take longer
};

// What a victim tells its watchers. In memory that is shared by fork.
struct diary {
	_Atomic int64_t since_ns; // when the present call began, 0 = between calls
	_Atomic(const char *) call;
	atomic_bool stop;
	atomic_uint calls, refused; // how many calls, how many found the queue damaged
	char note[128];             // what the attacker did last
};

struct victim {
	mqd_t q;
	const char *name;
	struct diary *diary;
	struct ph_mq_loan borrowed, reserved;
	bool has_borrowed, has_reserved;
	bool hasty; // waits for a few microseconds at most
	uint64_t random;
};

// Shared memory for diaries.
struct diary *diaries_new(int n);

// One call of each kind, in a fixed order; nothing waits for long.
void victim_do_everything(struct victim *v);

// One call, chosen at random; opens the queue anew when it finds it damaged.
void victim_do_something(struct victim *v);

void victim_begin(struct victim *v, const char *name, struct diary *diary);
void victim_end(struct victim *v);

// A child of test_fork: a struct victim_job *. Runs until diary->stop.
struct victim_job {
	const char *name;
	struct diary *diary;
	uint64_t seed;
};
void victim_main(void *job);

// Fails the test if one of n victims has been in a call for too long, or has died.
void victims_watch(struct diary *diaries, const pid_t *pids, int n);

// Wait for children, watching them all the while.
void victims_join(struct diary *diaries, pid_t *pids, int n);

// A peer that pretends that the queue is polled, or has another id, makes the library make fifos;
// nobody takes those away when he ceases to pretend.
void remove_fifos(void);

// A new queue of that name works in every respect. Removes it.
void queue_works(const char *name);

#endif

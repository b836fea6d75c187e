// SPDX-License-Identifier: MIT
//
// tests/kill/signal_stage.h - what all kill scenarios of signals share: a target that handles or takes what is sent
// to it, senders, and the judgement when the victim is dead.
//
// Signals carry numbers. EARLY ones were sent before the victim's operation, the victim sends OWN, and the survivor
// LATE ones afterwards. Whoever dies, a target gets all EARLY ones, OWN once or not at all, then all LATE ones.
#ifndef KILL_SIGNAL_STAGE_H
#define KILL_SIGNAL_STAGE_H

#include "sweep.h"

#include <posthaste/signal.h>

enum { EARLY = 10, OWN = 50, LATE = 90, LAST = 99, VALUES = 64 };

#define RT (SIGRTMIN + 2)

// What a target got, in its order: in memory that all processes of the round share.
struct got {
	pid_t target; // once it has a port
	int count;
	int values[VALUES];
	int result; // of somebody's call
};

struct got *got(void);

// ---- the survivor is the target ----

// A handler for RT; the survivor computes.
void handle_here(void);
// It looks for RT and SIGUSR1, with both blocked, whenever it likes.
void take_here(void);
void block_here(void);
void unblock_here(void);
// Take all that is there, by sigtimedwait.
void take_all_here(void);

// ---- a party is the target ----

// Takes RT until LAST comes, and ends. Returns when it sleeps.
pid_t start_taker(void);
void take_until_last(void);
// Wait until it sleeps with nothing pending; broken if it sleeps beside something.
void await_settled(pid_t taker);

// ---- the clock that ages bells, in the calling process ----

// It stands from now on, so that no path depends on how long the process was stepped.
void stop_coarse_clock(void);
// Then it is so much later.
void advance_coarse_clock(int ms);

// ---- sending ----

void send_to(pid_t target, int value);
// From a process of its own, which never sent before.
void send_from_party(pid_t target, int value);
// 0 or the error.
int try_send(pid_t target, int value);

// ---- judging ----

// What came is EARLY + 0 .. `early` - 1, perhaps OWN, LATE .. if `late`. Whether OWN was there.
int expect_values(int early, int late);

// The victim was a target: it is gone for everybody, and what it left is taken away by who comes next.
void expect_target_gone(pid_t target);

#endif

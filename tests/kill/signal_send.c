// SPDX-License-Identifier: MIT
//
// tests/kill/signal_send.c - a sender is killed: its signal is there or it is not, those before and after are, and
// nobody is left asleep beside one. See signal_stage.h.
#include "signal_scenarios.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static pid_t taker;

static void send_own(void)
{
	got()->result = try_send(got()->target, OWN);
}

static void kill_own(void)
{
	got()->result = ph_kill(got()->target, SIGUSR1) == 0 ? 0 : errno;
}

// The victim knows the port already. A bell that it rang, and nobody heard, is young.
static void send_early(void)
{
	stop_coarse_clock();
	send_to(got()->target, EARLY);
}

// It is so old that it may be lost, and is rung again.
static void send_early_and_wait(void)
{
	send_early();
	advance_coarse_clock(1000);
}

// ---- the survivor handles ----

static void prepare_handler(void)
{
	sigset_t set;

	handle_here();
	sigemptyset(&set);
	sigaddset(&set, RT);
	sigprocmask(SIG_BLOCK, &set, NULL); // past the library, which thinks that it computes
}

static void prepare_handler_with_bell(void)
{
	handle_here();
	block_here();
}

// The survivor, who steps the victim, is never in time for a lock that the victim holds: what it has to handle waits.
static int handled(int early)
{
	send_from_party(getpid(), LATE);
	send_to(getpid(), LATE + 1);
	unblock_here();
	kill_note("a handler for all of them");
	while (got()->count < early + 2)
		;
	return expect_values(early, 2);
}

static int handled_cold(void)
{
	return handled(0);
}

static int handled_warm(void)
{
	return handled(1);
}

// ---- the survivor takes ----

static void prepare_taking(void)
{
	take_here();
}

static int taken(int early)
{
	send_from_party(getpid(), LATE);
	send_to(getpid(), LATE + 1);
	take_all_here();
	return expect_values(early, 2);
}

static int taken_cold(void)
{
	return taken(0);
}

static int taken_warm(void)
{
	return taken(1);
}

// ---- it is full ----

static void prepare_full(void)
{
	KILL_CHECK(ph_sigqueue_depth(2) != -1, "depth: %s", strerror(errno));
	take_here();
	send_to(getpid(), EARLY);
	send_to(getpid(), EARLY + 1);
}

static int still_full(void)
{
	KILL_CHECK(try_send(getpid(), LATE) == EAGAIN, "it is not full");
	take_all_here();
	send_from_party(getpid(), LATE);
	send_to(getpid(), LATE + 1);
	KILL_CHECK(try_send(getpid(), LATE) == EAGAIN, "it is not full again");
	take_all_here();
	return expect_values(2, 2);
}

// One place is left: the victim's, or somebody else's.
static void prepare_nearly_full(void)
{
	KILL_CHECK(ph_sigqueue_depth(2) != -1, "depth: %s", strerror(errno));
	take_here();
	send_to(getpid(), EARLY);
}

static int full_with_one(void)
{
	const int e = try_send(getpid(), LATE);

	KILL_CHECK(e == 0 || e == EAGAIN, "send: %s", strerror(e));
	take_all_here();
	return expect_values(1, e == 0);
}

// ---- standard signals ----

static int merged(void)
{
	take_all_here();
	const int there = expect_values(0, 0);
	got()->count = 0;
	KILL_CHECK(ph_kill(getpid(), SIGUSR1) == 0 && ph_kill(getpid(), SIGUSR1) == 0, "kill: %s",
	           strerror(errno));
	take_all_here();
	KILL_CHECK(got()->count == 1, "%d instead of one that merged", got()->count);
	return there;
}

// ---- a party sleeps ----

static void prepare_sleeper(void)
{
	taker = start_taker();
}

static int served(int early)
{
	await_settled(taker);
	send_from_party(taker, LATE);
	send_to(taker, LATE + 1);
	await_settled(taker);
	send_to(taker, LAST);
	kill_join(taker, "the taker");
	KILL_CHECK(got()->count > 0 && got()->values[got()->count - 1] == LAST,
	           "the last is not the last");
	got()->count--;
	return expect_values(early, 2);
}

static int served_cold(void)
{
	return served(0);
}

static int served_warm(void)
{
	return served(1);
}

static void send_early_and_settle(void)
{
	send_early();
	await_settled(taker);
}

// ---- somebody died with the lock ----

// Of different senders nobody says who comes first.
static int count_of(int value)
{
	const struct got *g = got();
	int n = 0;

	for (int i = 0; i < g->count && i < VALUES; i++)
		n += g->values[i] == value;
	return n;
}

// Everything has come that was sent: `early` by victims before, one more now. How many of the victims' own.
static int all_came(int early)
{
	send_to(getpid(), LAST);
	unblock_here();
	kill_note("a handler for what others sent");
	while (count_of(EARLY) < early || count_of(LAST) < 1)
		;
	const int own = count_of(OWN);
	KILL_CHECK(got()->count == early + 1 + own, "%d signals came", got()->count);
	return own;
}

static int handled_whatever(void)
{
	const int own = all_came(2);

	KILL_CHECK(own <= 2, "the victims' signals came %d times", own);
	return 0;
}

static const struct kill_scenario scenarios[] = {
	{.name = "send_to_handler_cold",
     .prepare = prepare_handler,
     .operation = send_own,
     .after = handled_cold,
     .last = 1},
	{.name = "send_to_handler",
     .prepare = prepare_handler,
     .enter = send_early,
     .operation = send_own,
     .after = handled_warm,
     .last = 1},
	{.name = "send_to_handler_bell_lost",
     .prepare = prepare_handler,
     .enter = send_early_and_wait,
     .operation = send_own,
     .after = handled_warm,
     .last = 1},
	{.name = "send_to_handler_bell_outstanding",
     .prepare = prepare_handler_with_bell,
     .enter = send_early,
     .operation = send_own,
     .after = handled_warm,
     .last = 1},
	{.name = "send_to_awake_taker_cold",
     .prepare = prepare_taking,
     .operation = send_own,
     .after = taken_cold,
     .last = 1},
	{.name = "send_to_awake_taker",
     .prepare = prepare_taking,
     .enter = send_early,
     .operation = send_own,
     .after = taken_warm,
     .last = 1},
	{.name = "send_to_full_queue",
     .prepare = prepare_full,
     .operation = send_own,
     .after = still_full},
	{.name = "send_that_fills_the_queue",
     .prepare = prepare_nearly_full,
     .operation = send_own,
     .after = full_with_one,
     .last = 1},
	{.name = "kill_that_merges",
     .prepare = prepare_taking,
     .operation = kill_own,
     .after = merged,
     .last = 1},
	{.name = "send_to_sleeping_taker_cold",
     .prepare = prepare_sleeper,
     .operation = send_own,
     .after = served_cold,
     .last = 1},
	{.name = "send_to_sleeping_taker",
     .prepare = prepare_sleeper,
     .enter = send_early_and_settle,
     .operation = send_own,
     .after = served_warm,
     .last = 1},
	{.name = "send_after_one_who_died_with_the_lock",
     .prepare = prepare_handler,
     .enter = send_early,
     .predecessor = send_own,
     .operation = send_own,
     .after = handled_whatever},
};

const struct scenario_table signal_send = SCENARIO_TABLE(scenarios);

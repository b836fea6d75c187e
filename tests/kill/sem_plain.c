// SPDX-License-Identifier: MIT
//
// tests/kill/sem_plain.c - semaphores without holders: a post is made or it is not, and a post that was made
// wakes somebody, whoever is killed on the way. See sem_stage.h.
#include "sem_scenarios.h"

#include <errno.h>
#include <string.h>
#include <time.h>

enum { SHORT_MS = 12, SHORT_STEPPED_MS = 300, CROWD = 3 };

static pid_t party[CROWD];
static struct timespec until;

static void post_one(void)
{
	ph_sem_post(sem);
}

static void post_two(void)
{
	ph_sem_post(sem);
	ph_sem_post(sem);
}

static void wait_once(void)
{
	ph_sem_wait(sem);
}

static void try_once(void)
{
	ph_sem_trywait(sem);
}

static void wait_in_vain(void)
{
	ph_sem_clockwait(sem, CLOCK_MONOTONIC, &until);
}

static void set_deadline(void)
{
	const long ms = kill_is_stepped() ? SHORT_STEPPED_MS : SHORT_MS;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ms * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
}

// ---- what is there at first ----

static void make_two(void)
{
	make_unnamed(2);
}

static void make_two_named(void)
{
	make_named(2);
}

static void make_empty(void)
{
	memset(party, 0, sizeof party);
	make_unnamed(0);
}

static void make_empty_named(void)
{
	memset(party, 0, sizeof party);
	make_named(0);
}

static void add_crowd(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		party[i] = start_waiter();
}

static void make_with_sleeper(void)
{
	make_empty();
	add_crowd(1);
}

static void make_named_with_sleeper(void)
{
	make_empty_named();
	add_crowd(1);
}

static void make_with_crowd(void)
{
	make_empty();
	add_crowd(CROWD);
}

// ---- the end ----

static int one_more(void)
{
	return expect_one_more(2);
}

static int one_less(void)
{
	return !expect_one_more(1);
}

static unsigned serve(void)
{
	unsigned served = 0;

	for (unsigned i = 0; i < CROWD; i++)
		if (party[i] != 0 && got_units(party[i], 1, "a sleeper")) {
			party[i] = 0;
			served++;
		}
	return served;
}

static unsigned sleepers(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < CROWD; i++)
		n += party[i] != 0;
	return n;
}

// Who sleeps still gets what is posted now; `units` are left over. How many were served before.
static unsigned serve_all(unsigned units)
{
	const unsigned served = serve();

	while (sleepers() > 0) {
		post();
		KILL_CHECK(serve() == 1, "a post did not serve one of the sleepers");
	}
	expect_units(units);
	return served;
}

static int served_some(void)
{
	return serve_all(0) > 0;
}

// Two posts: the first served one, the second another.
static int served_up_to_two(void)
{
	const unsigned served = serve_all(0);

	KILL_CHECK(served <= 2, "%u were served by two posts", served);
	return served > 0;
}

static int late_one_was_served(void)
{
	const bool served = got_units(kill_bystander(), 1, "a waiter about to sleep");

	if (!served) {
		post();
		kill_join(kill_bystander(), "the waiter to whom was posted");
	}
	expect_units(0);
	return served;
}

// Where another slept before, he is the first to be woken.
static void post_when_asleep(unsigned nth)
{
	if (nth == 0 || (nth == 1 && kill_has_ended(party[0])))
		post();
}

static int taken_when_posted(void)
{
	const unsigned there = count_units();

	KILL_CHECK(there <= kill_wakes(), "%u units are there", there);
	expect_units(there);
	return kill_wakes() && there == 0;
}

// A second one sleeps behind the victim.
static void post_before_another(unsigned nth)
{
	if (nth == 0) {
		party[0] = start_waiter();
		post();
	} else if (nth == 1 && kill_has_ended(party[0])) {
		post();
	}
}

// Units for both, of which the mark of only one is known.
static void post_for_both(unsigned nth)
{
	if (nth == 0) {
		party[0] = start_waiter();
		post();
		post();
	}
}

// The victim was killed before it took its unit, or after.
static int handed_on(void)
{
	serve();
	KILL_CHECK(count_units() <= 1, "%u units are there", count_units());
	serve_all(count_units());
	return 0;
}

// One was posted for the victim at most; the other is the party's.
static int both_were_served(void)
{
	kill_join(party[0], "who sleeps behind the victim");
	KILL_CHECK(count_units() <= 1, "%u units are there", count_units());
	return 0;
}

static const struct kill_scenario scenarios[] = {
	{.name = "post", .prepare = make_two, .operation = post_one, .after = one_more, .last = 1},
	{.name = "post_named",
     .prepare = make_two_named,
     .operation = post_one,
     .after = one_more,
     .last = 1},
	{.name = "wait", .prepare = make_two, .operation = wait_once, .after = one_less, .last = 1},
	{.name = "wait_named",
     .prepare = make_two_named,
     .operation = wait_once,
     .after = one_less,
     .last = 1},
	{.name = "trywait", .prepare = make_two, .operation = try_once, .after = one_less, .last = 1},
	{.name = "post_to_sleeper",
     .prepare = make_with_sleeper,
     .operation = post_one,
     .after = served_some,
     .last = 1},
	{.name = "post_to_sleeper_named",
     .prepare = make_named_with_sleeper,
     .operation = post_one,
     .after = served_some,
     .last = 1},
	{.name = "post_to_one_of_many",
     .prepare = make_with_crowd,
     .operation = post_one,
     .after = served_some,
     .last = 1},
	{.name = "post_twice_to_many",
     .prepare = make_with_crowd,
     .operation = post_two,
     .after = served_up_to_two,
     .last = 1},
	{.name = "post_to_waiter_about_to_sleep",
     .prepare = make_empty,
     .bystander = wait_for_one,
     .operation = post_one,
     .after = late_one_was_served,
     .last = 1},
	{.name = "sleeping_wait",
     .prepare = make_empty,
     .operation = wait_once,
     .wake = post_when_asleep,
     .after = taken_when_posted,
     .last = 1},
	{.name = "sleeping_wait_named",
     .prepare = make_empty_named,
     .operation = wait_once,
     .wake = post_when_asleep,
     .after = taken_when_posted,
     .last = 1},
	{.name = "sleeping_wait_before_another",
     .prepare = make_empty,
     .operation = wait_once,
     .wake = post_before_another,
     .after = handed_on},
	{.name = "sleeping_wait_hands_on",
     .prepare = make_empty,
     .operation = wait_once,
     .wake = post_for_both,
     .after = both_were_served},
	{.name = "sleeping_wait_behind_another",
     .prepare = make_named_with_sleeper,
     .operation = wait_once,
     .wake = post_when_asleep,
     .after = handed_on},
	{.name = "clockwait_runs_out",
     .prepare = make_empty,
     .enter = set_deadline,
     .operation = wait_in_vain,
     .after = served_some},
	{.name = "clockwait_runs_out_beside_sleeper",
     .prepare = make_with_sleeper,
     .enter = set_deadline,
     .operation = wait_in_vain,
     .after = served_some},
};

const struct scenario_table sem_plain = SCENARIO_TABLE(scenarios);

// SPDX-License-Identifier: MIT
//
// tests/kill/sem_holders.c - semaphores with holders: whatever instruction the victim dies at, what it held comes
// back, no unit is invented, and who sleeps for units gets them. See sem_stage.h.
//
// Where a party waits for two units, the survivor holds one of two, and the victim takes, gives or has the other:
// the party's look at the dead is all that helps it.
#include "sem_scenarios.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SHORT_MS = 12, SHORT_STEPPED_MS = 300 };

static pid_t party, first, second;
static struct timespec until;
static sem_t *other;

static void post_one(void)
{
	ph_sem_post(sem);
}

static void wait_once(void)
{
	ph_sem_wait(sem);
}

static void wait_and_post(void)
{
	ph_sem_wait(sem);
	ph_sem_post(sem);
}

static void take_two(void)
{
	ph_sem_take(sem, 2, CLOCK_MONOTONIC, NULL);
}

static void give_three(void)
{
	ph_sem_give(sem, 3);
}

static void try_once(void)
{
	ph_sem_trywait(sem);
}

static void look(void)
{
	int value;

	ph_sem_getvalue(sem, &value);
}

static void close_it(void)
{
	ph_sem_close(sem);
}

static void open_another(void)
{
	other = ph_sem_open(NAME, 0);
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

static void fork_and_take(void)
{
	const pid_t child = fork();

	if (child == 0) {
		ph_sem_trywait(sem);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

// ---- the victim, before ----

static void hold_one(void)
{
	take(1);
}

static void hold_two(void)
{
	take(2);
}

// All units are held by a process that is dead, and nobody has looked since. The victim has a slot already.
static void leave_all_to_dead(void)
{
	open_own();
	leave_dead_holder();
}

static void leave_all_to_two_dead(void)
{
	leave_all_to_dead();
	leave_dead_holder();
}

// The child has the slot of a process that ended before, which held nothing.
static void leave_slot(void)
{
	const pid_t child = fork();

	if (child == 0) {
		open_own();
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

// ---- what is there at first ----

static void make(unsigned units)
{
	party = 0;
	second = 0;
	make_holders(units);
}

static void make_one(void)
{
	make(1);
}

static void make_two(void)
{
	make(2);
}

static void make_three(void)
{
	make(3);
}

// The last operation is the survivor's, and not in the table yet.
static void make_three_of_four(void)
{
	make(4);
	take(1);
}

static void make_none(void)
{
	make(1);
	take(1);
}

static void make_for_two(void)
{
	make(2);
	take(1);
	party = start_waiter_for_two();
}

static void make_with_sleepers(void)
{
	make(1);
	take(1);
	party = start_waiter();
	second = start_waiter();
}

static void make_with_holder(void)
{
	make(1);
	party = start_holder();
}

// The slot behind the survivor's is a dead process's, who holds all but one.
static void make_with_dead(void)
{
	make(2);
	leave_dead_holder();
}

static void make_with_left_slot(void)
{
	make(2);
	leave_slot();
}

// The unit is held by a process whose thread that took it ends when it is told to. The others do not see that by the
// file's locks.
static uint32_t *may_end(void)
{
	return (uint32_t *)kill_shared() + 1;
}

static void *hold_for_process(void *arg)
{
	take(1);
	__atomic_store_n((uint32_t *)kill_shared(), 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(may_end(), __ATOMIC_SEQ_CST) == 0)
		usleep(100);
	return arg;
}

static void hold_by_thread(void)
{
	pthread_t thread;

	KILL_CHECK(pthread_create(&thread, NULL, hold_for_process, NULL) == 0, "no thread");
	pthread_join(thread, NULL);
	__atomic_store_n((uint32_t *)kill_shared(), 4, __ATOMIC_SEQ_CST);
	for (;;)
		pause();
}

static void await_step(uint32_t step)
{
	while (__atomic_load_n((uint32_t *)kill_shared(), __ATOMIC_SEQ_CST) != step)
		usleep(100);
}

static void come_back(int signal)
{
	(void)signal;
}

static void wait_until_told(void)
{
	sigaction(SIGUSR1, &(struct sigaction){.sa_handler = come_back}, NULL);
	KILL_CHECK(ph_sem_wait(sem) == -1 && errno == EINTR, "the wait is not interrupted");
	__atomic_store_n((uint32_t *)kill_shared(), 5, __ATOMIC_SEQ_CST);
	for (;;)
		pause(); // its end would be a bell as well
}

// Is a holder before the other sleeps, so that it wakes nobody by becoming one.
static void wait_as_second(void)
{
	KILL_CHECK(ph_sem_trywait(sem) == -1 && errno == EAGAIN, "trywait: %s", strerror(errno));
	__atomic_store_n((uint32_t *)kill_shared(), 2, __ATOMIC_SEQ_CST);
	await_step(3);
	wait_for_one();
}

// Two stand in the table of sleepers.
static void await_look(void)
{
	static struct ph_sem_info info;

	do
		KILL_CHECK(ph_sem_info(NAME, &info) == 0, "info: %s", strerror(errno));
	while (info.waiter_count < 2);
}

static void make_with_thread(void)
{
	make(1);
	party = kill_party(hold_by_thread);
	await_step(1);
	second = kill_party(wait_as_second);
	await_step(2);
	first = kill_party(wait_until_told);
	kill_await_asleep(first);
	__atomic_store_n((uint32_t *)kill_shared(), 3, __ATOMIC_SEQ_CST);
	await_look();
	kill_await_asleep(second);
}

// ---- the end ----

static int three_are_there(void)
{
	expect_units(3);
	return 0;
}

static int two_are_there(void)
{
	expect_units(2);
	return 0;
}

static int one_is_there(void)
{
	expect_units(1);
	return 0;
}

static int one_was_posted(void)
{
	return expect_one_more(3);
}

static int four_with_ours(void)
{
	expect_units(3);
	post();
	expect_units(4);
	return 0;
}

static int none_but_ours(void)
{
	expect_units(0);
	post();
	expect_units(1);
	return 0;
}

// Three were given by one who held two: one is new, or none of it has happened.
static int three_were_given(void)
{
	return expect_one_more(3);
}

// The victim's unit and the survivor's are enough for the party.
static int two_for_party(void)
{
	post();
	kill_join(party, "who waits for two");
	expect_units(2);
	return 0;
}

static int two_for_party_and_one_more(void)
{
	const bool before = got_units(party, 2, "who waits for two");

	post();
	if (!before)
		kill_join(party, "who waits for two, with the survivor's");
	return expect_one_more(2);
}

static int one_for_each(void)
{
	post();
	kill_join(party, "the first sleeper");
	kill_join(second, "the second sleeper");
	return expect_one_more(1);
}

static int late_one_was_served(void)
{
	const bool served = got_units(kill_bystander(), 1, "a waiter about to sleep");

	post();
	if (!served)
		kill_join(kill_bystander(), "the waiter to whom was posted");
	return expect_one_more(1);
}

// A bystander beside the victim that holds the only unit.
static int late_one_got_it_back(void)
{
	kill_join(kill_bystander(), "a waiter about to sleep beside a holder");
	expect_units(1);
	return 0;
}

// ---- who ends the victim's sleep ----

static void post_ours(unsigned nth)
{
	if (nth == 0)
		post();
}

static void kill_holder(unsigned nth)
{
	if (nth == 0)
		kill_and_join(party);
}

static void post_before_another(unsigned nth)
{
	if (nth == 0) {
		second = start_waiter();
		post();
	}
}

// The first sleeper is told that the thread has ended, and leaves. The other must have been told as well, for there
// is no further bell when the process is killed.
static int other_watches_process(void)
{
	__atomic_store_n(may_end(), 1, __ATOMIC_SEQ_CST);
	await_step(4);
	kill_note("the first sleeper should be interrupted");
	while (__atomic_load_n((uint32_t *)kill_shared(), __ATOMIC_SEQ_CST) != 5) {
		kill(first, SIGUSR1); // a signal between two looks ends none
		usleep(100);
	}
	kill_and_join(party);
	kill_join(second, "who waits for the units of a process");
	expect_units(1);
	return 0;
}

static int ours_comes_back(void)
{
	if (kill_wakes() == 0)
		post();
	expect_units(1);
	return 0;
}

static int holders_comes_back(void)
{
	if (kill_wakes() == 0)
		kill_and_join(party);
	expect_units(1);
	return 0;
}

static int handed_on(void)
{
	if (kill_wakes() == 0)
		post();
	kill_join(second, "who sleeps behind the victim");
	expect_units(1);
	return 0;
}

static const struct kill_scenario scenarios[] = {
	{.name = "held_wait",
     .prepare = make_three,
     .enter = open_own,
     .operation = wait_once,
     .after = three_are_there},
	{.name = "held_wait_confirms",
     .prepare = make_three_of_four,
     .operation = wait_and_post,
     .after = four_with_ours},
	{.name = "held_trywait_in_vain",
     .prepare = make_none,
     .operation = try_once,
     .after = none_but_ours},
	{.name = "take_two",
     .prepare = make_three,
     .enter = open_own,
     .operation = take_two,
     .after = three_are_there},
	{.name = "first_wait_becomes_holder",
     .prepare = make_three,
     .operation = wait_once,
     .after = three_are_there},
	{.name = "first_wait_gets_dead_slot",
     .prepare = make_with_dead,
     .operation = wait_once,
     .after = two_are_there},
	{.name = "first_wait_gets_left_slot",
     .prepare = make_with_left_slot,
     .operation = wait_once,
     .after = two_are_there},
	{.name = "give_back",
     .prepare = make_three,
     .enter = hold_two,
     .operation = post_one,
     .after = three_are_there},
	{.name = "give_new",
     .prepare = make_three,
     .enter = open_own,
     .operation = post_one,
     .after = one_was_posted,
     .last = 1},
	{.name = "give_without_slot",
     .prepare = make_three,
     .operation = post_one,
     .after = one_was_posted,
     .last = 1},
	{.name = "give_two_and_a_new_one",
     .prepare = make_three,
     .enter = hold_two,
     .operation = give_three,
     .after = three_were_given,
     .last = 1},
	{.name = "wait_before_sleeper_for_two",
     .prepare = make_for_two,
     .enter = open_own,
     .operation = wait_once,
     .after = two_for_party},
	{.name = "first_wait_before_sleeper_for_two",
     .prepare = make_for_two,
     .operation = wait_once,
     .after = two_for_party},
	{.name = "give_back_to_sleeper_for_two",
     .prepare = make_for_two,
     .enter = hold_one,
     .operation = post_one,
     .after = two_for_party},
	{.name = "give_new_to_sleeper_for_two",
     .prepare = make_for_two,
     .enter = open_own,
     .operation = post_one,
     .after = two_for_party_and_one_more,
     .last = 1},
	{.name = "close_before_sleeper_for_two",
     .prepare = make_for_two,
     .enter = hold_one,
     .operation = close_it,
     .after = two_for_party},
	{.name = "fork_before_sleeper_for_two",
     .prepare = make_for_two,
     .enter = hold_one,
     .operation = fork_and_take,
     .after = two_for_party},
	{.name = "wait_in_vain_before_sleeper_for_two",
     .prepare = make_for_two,
     .enter = hold_one,
     .operation = try_once,
     .after = two_for_party},
	{.name = "give_new_to_sleepers",
     .prepare = make_with_sleepers,
     .operation = post_one,
     .after = one_for_each,
     .last = 1},
	{.name = "give_new_to_waiter_about_to_sleep",
     .prepare = make_none,
     .bystander = wait_for_one,
     .operation = post_one,
     .after = late_one_was_served,
     .last = 1},
	{.name = "give_back_to_waiter_about_to_sleep",
     .prepare = make_one,
     .enter = hold_one,
     .bystander = wait_for_one,
     .operation = post_one,
     .after = late_one_got_it_back},
	{.name = "trywait_takes_back",
     .prepare = make_one,
     .enter = leave_all_to_dead,
     .operation = try_once,
     .after = one_is_there},
	{.name = "getvalue_takes_back",
     .prepare = make_one,
     .enter = leave_all_to_dead,
     .operation = look,
     .after = one_is_there},
	{.name = "wait_takes_back",
     .prepare = make_one,
     .enter = leave_all_to_dead,
     .operation = wait_once,
     .after = one_is_there},
	{.name = "wait_takes_back_from_two",
     .prepare = make_two,
     .enter = leave_all_to_two_dead,
     .operation = take_two,
     .after = two_are_there},
	{.name = "open_again",
     .prepare = make_three,
     .enter = hold_one,
     .operation = open_another,
     .after = three_are_there},
	{.name = "sleeping_held_wait",
     .prepare = make_none,
     .operation = wait_once,
     .wake = post_ours,
     .after = ours_comes_back},
	{.name = "sleeping_wait_for_dead",
     .prepare = make_with_holder,
     .operation = wait_once,
     .wake = kill_holder,
     .after = holders_comes_back},
	{.name = "sleeping_held_wait_before_another",
     .prepare = make_none,
     .operation = wait_once,
     .wake = post_before_another,
     .after = handed_on},
	{.name = "trywait_beside_thread_that_ends",
     .prepare = make_with_thread,
     .operation = try_once,
     .after = other_watches_process},
	{.name = "held_wait_runs_out_before_sleeper_for_two",
     .prepare = make_for_two,
     .enter = set_deadline,
     .operation = wait_in_vain,
     .after = two_for_party},
};

const struct scenario_table sem_holders = SCENARIO_TABLE(scenarios);

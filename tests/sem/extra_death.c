// SPDX-License-Identifier: MIT
//
// tests/sem/extra_death.c - a holder ends, in every way there is: its units come back at once, whoever waits
// for them goes on, and nobody else's are touched. No test says how long that takes: who waits would hang.
#include "holders.h"

#include <sched.h>
#include <sys/syscall.h>

static const char *const names[ENDINGS] = {"kill", "exit", "close", "exec", "abort"};

static struct holder *make_holder(void)
{
	return share(sizeof(struct holder));
}

/* ---- nobody waits ---- */

TEST(units_of_a_holder_come_back_however_it_ends)
{
	struct holder *h = make_holder();
	sem_t *sem = make_holders(5);

	for (enum ending e = 0; e < ENDINGS; e++) {
		printf("%s\n", names[e]);
		pid_t pid = start_holder(h, 3, e);
		CHECK_EQ(units_of(sem), 2);
		CHECK_ERR(try_units(sem, 3), ETIMEDOUT);
		tell_to_end(pid, h);
		expect_units(sem, 5);
		reap(pid);
		expect_units(sem, 5);
	}
	drop_named(sem);
}

TEST(units_of_a_holder_that_is_gone_are_there_for_a_try)
{
	struct holder *h = make_holder();
	sem_t *sem = make_holders(1);

	for (int i = 0; i < 20; i++) {
		pid_t pid = start_holder(h, 1, BY_KILL);
		CHECK_ERR(sem_trywait(sem), EAGAIN);
		test_kill(pid);
		CHECK_OK(sem_trywait(sem));
		give(sem, 1);
	}
	drop_named(sem);
}

TEST(units_come_back_to_who_opens_it_later)
{
	struct holder *h = make_holder();

	CHECK_OK(sem_close(make_holders(4)));
	for (int i = 0; i < 10; i++) {
		test_kill(start_holder(h, 4, BY_KILL));
		sem_t *sem = open_named();
		expect_units(sem, 4);
		CHECK_OK(sem_close(sem));
	}
	CHECK_OK(sem_unlink(test_name()));
}

/* ---- somebody waits ---- */

static void end_before_a_sleeper(enum ending ending, unsigned units, unsigned wanted)
{
	struct holder *h = make_holder();
	sem_t *sem = make_holders(units);
	struct taker t = {.units = wanted};
	pid_t holder = start_holder(h, units, ending);
	pid_t sleeper = start_taker(&t);

	tell_to_end(holder, h);
	test_join(sleeper);
	expect_units(sem, units);
	reap(holder);
	drop_named(sem);
}

TEST(sleeper_gets_the_unit_of_a_holder_however_it_ends)
{
	for (enum ending e = 0; e < ENDINGS; e++)
		end_before_a_sleeper(e, 1, 1);
}

TEST(sleeper_that_waits_for_several_gets_them_however_the_holder_ends)
{
	for (enum ending e = 0; e < ENDINGS; e++)
		end_before_a_sleeper(e, 5, 4);
}

// Who sleeps already hears of a holder that comes and goes afterwards.
TEST(sleeper_gets_the_units_of_one_who_became_a_holder_later)
{
	struct holder *h = make_holder();
	sem_t *sem = make_holders(2);

	for (int i = 0; i < 10; i++) {
		struct taker t = {.units = 3};
		pid_t sleeper = start_taker(&t);
		pid_t pid = start_holder(h, 2, (enum ending)(i % ENDINGS));
		test_wait_asleep(sleeper);
		give(sem, 1);
		test_wait_asleep(sleeper);
		tell_to_end(pid, h);
		test_join(sleeper);
		take(sem); // the third was new
		reap(pid);
		CHECK_OK(sem_close(sem));
		CHECK_OK(sem_unlink(test_name()));
		sem = make_holders(2);
	}
	drop_named(sem);
}

TEST(many_sleepers_get_the_units_of_one_holder)
{
	struct holder *h = make_holder();
	sem_t *sem = make_holders(8);
	pid_t pid[8];

	for (int round = 0; round < 5; round++) {
		struct taker t = {.units = 1};
		pid_t holder = start_holder(h, 8, (enum ending)(round % ENDINGS));
		for (int i = 0; i < 8; i++)
			pid[i] = start_taker(&t);
		tell_to_end(holder, h);
		for (int i = 0; i < 8; i++)
			test_join(pid[i]);
		expect_units(sem, 8);
		reap(holder);
	}
	drop_named(sem);
}

TEST(sleepers_of_several_sizes_get_the_units_of_one_holder)
{
	struct holder *h = make_holder();
	sem_t *sem = make_holders(10);
	struct taker t[4] = {{.units = 4}, {.units = 1}, {.units = 3}, {.units = 2}};
	pid_t pid[4];

	for (int round = 0; round < 10; round++) {
		pid_t holder = start_holder(h, 10, BY_KILL);
		for (int i = 0; i < 4; i++)
			pid[i] = start_taker(&t[i]);
		test_kill(holder);
		for (int i = 0; i < 4; i++)
			test_join(pid[i]);
		expect_units(sem, 10);
	}
	drop_named(sem);
}

TEST(threads_that_sleep_get_the_units_of_the_dead)
{
	struct holder *h = make_holder();
	sem_t *sem = make_holders(3);
	struct worker w[3];

	for (int round = 0; round < 10; round++) {
		pid_t pid = start_holder(h, 3, BY_KILL);
		for (int i = 0; i < 3; i++)
			start_and_block(&w[i], work_wait, sem);
		test_kill(pid);
		for (int i = 0; i < 3; i++)
			expect_taken(&w[i]);
		CHECK_EQ(ph_sem_held(sem), 3);
		CHECK_OK(ph_sem_give(sem, 3));
	}
	drop_named(sem);
}

TEST(killed_sleeper_leaves_the_units_of_the_dead_to_the_others)
{
	struct holder *h = make_holder();
	sem_t *sem = make_holders(1);

	for (int round = 0; round < 20; round++) {
		struct taker t = {.units = 1};
		pid_t holder = start_holder(h, 1, BY_KILL);
		pid_t victim = start_taker(&t);
		pid_t other = start_taker(&t);
		CHECK_OK(kill(victim, SIGKILL));
		CHECK_OK(kill(holder, SIGKILL));
		test_join(other);
		reap(victim);
		reap(holder);
		expect_units(sem, 1);
	}
	drop_named(sem);
}

TEST(units_that_came_back_go_on_from_taker_to_taker_by_their_deaths)
{
	sem_t *sem = make_holders(2);
	struct taker t = {.units = 2};
	pid_t pid[12];

	take_units(sem, 2);
	for (int i = 0; i < 12; i++)
		pid[i] = start_taker(&t);
	CHECK_OK(ph_sem_give(sem, 2)); // each ends with its units, without giving them
	for (int i = 0; i < 12; i++)
		test_join(pid[i]);
	expect_units(sem, 2);
	drop_named(sem);
}

/* ---- several holders ---- */

static void kill_all_at_once(unsigned count, unsigned units)
{
	struct holder *h = share(count * sizeof(*h));
	sem_t *sem = make_holders(count * units);
	struct taker t = {.units = count * units};
	pid_t *pid = calloc(count, sizeof(*pid));

	CHECK(pid != NULL);
	for (unsigned i = 0; i < count; i++)
		pid[i] = start_holder(&h[i], units, BY_KILL);
	pid_t sleeper = start_taker(&t);
	for (unsigned i = 0; i < count; i++)
		CHECK_OK(kill(pid[i], SIGKILL));
	test_join(sleeper);
	expect_units(sem, count * units);
	for (unsigned i = 0; i < count; i++)
		reap(pid[i]);
	free(pid);
	drop_named(sem);
}

TEST(two_holders_killed_at_once_give_back_all)
{
	for (int i = 0; i < 10; i++)
		kill_all_at_once(2, 3);
}

TEST(twenty_holders_killed_at_once_give_back_all)
{
	kill_all_at_once(20, 2);
}

TEST(a_hundred_and_fifty_holders_killed_at_once_give_back_all)
{
	kill_all_at_once(150, 1);
}

TEST(one_of_a_hundred_and_fifty_is_killed_and_its_unit_comes_back)
{
	enum { COUNT = 150 };
	struct holder *h = share(COUNT * sizeof(*h));
	static pid_t pid[COUNT];
	sem_t *sem = make_holders(COUNT);
	struct taker t = {.units = 1};

	for (int i = 0; i < COUNT; i++)
		pid[i] = start_holder(&h[i], 1, BY_KILL);
	for (int i = 0; i < COUNT; i += 29) {
		pid_t sleeper = start_taker(&t);
		test_kill(pid[i]);
		test_join(sleeper);
		take(sem);
	}
	CHECK_EQ(ph_sem_held(sem), COUNT / 29 + 1);
	for (int i = 0; i < COUNT; i++)
		if (i % 29 != 0)
			reap(pid[i]);
	CHECK_OK(ph_sem_give(sem, COUNT / 29 + 1));
	expect_units(sem, COUNT);
	drop_named(sem);
}

TEST(death_of_one_leaves_what_the_others_hold)
{
	struct holder *h = share(3 * sizeof(*h));
	sem_t *sem = make_holders(9);
	pid_t pid[3];

	for (unsigned i = 0; i < 3; i++)
		pid[i] = start_holder(&h[i], i + 1, BY_KILL);
	take_units(sem, 3);
	test_kill(pid[1]);
	take_units(sem, 2);
	CHECK_ERR(sem_trywait(sem), EAGAIN);
	CHECK_EQ(ph_sem_held(sem), 5);
	test_kill(pid[0]);
	test_kill(pid[2]);
	take_units(sem, 4);
	CHECK_OK(ph_sem_give(sem, 9));
	expect_units(sem, 9);
	drop_named(sem);
}

/* ---- names and descriptors ---- */

TEST(units_come_back_after_the_name_is_gone)
{
	struct holder *h = make_holder();
	sem_t *sem = make_holders(2);
	pid_t pid = start_holder(h, 2, BY_KILL);
	struct worker w;

	CHECK_OK(sem_unlink(test_name()));
	start_and_block(&w, work_wait, sem);
	test_kill(pid);
	expect_taken(&w);
	CHECK_OK(sem_trywait(sem));
	CHECK_OK(sem_close(sem));
}

// Closing every number is what daemons do. The library does not hear of it; a unit must neither be invented nor
// be lost by that: one is there at last, whoever had it in between.
static void close_all_numbers(void *arg)
{
	sem_t *sem = open_named();

	take(sem);
	CHECK_OK(syscall(SYS_close_range, 3, ~0U, 0));
	atomic_store((atomic_int *)arg, 1);
	CHECK_OK(sem_post(sem));
	atomic_store((atomic_int *)arg, 2);
	for (;;)
		pause();
}

TEST(descriptors_closed_behind_the_library_invent_and_lose_no_unit)
{
	atomic_int *step = share(sizeof(*step));
	sem_t *sem = make_holders(1);
	pid_t pid = test_fork(close_all_numbers, step);

	wait_count(step, 2);
	take(sem);
	CHECK_ERR(sem_trywait(sem), EAGAIN);
	test_kill(pid);
	CHECK_ERR(sem_trywait(sem), EAGAIN);
	give(sem, 1);
	expect_units(sem, 1);
	drop_named(sem);
}

static void hold_with_all_numbers_closed(void *arg)
{
	take(open_named());
	CHECK_OK(syscall(SYS_close_range, 3, ~0U, 0));
	atomic_store((atomic_int *)arg, 1);
	for (;;)
		pause();
}

TEST(killed_holder_without_descriptors_gives_back_its_unit)
{
	atomic_int *step = share(sizeof(*step));
	sem_t *sem = make_holders(1);
	struct taker t = {.units = 1};
	pid_t pid = test_fork(hold_with_all_numbers_closed, step);

	wait_count(step, 1);
	pid_t sleeper = test_fork(be_taker, &t);
	test_kill(pid);
	test_join(sleeper);
	expect_units(sem, 1);
	drop_named(sem);
}

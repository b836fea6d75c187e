// SPDX-License-Identifier: MIT
//
// tests/sem/posix_lifetime.c - what a name means over time: unlink while open, making it again, fork and exec,
// and races between processes and threads that do all of this at once.
//
// The invariant behind the races: whoever opens a name gets a complete semaphore or ENOENT, never a half made
// one, and of any number of exclusive creators exactly one succeeds.
#include "sem.h"

#include <sched.h>

TEST(unlink_of_a_missing_name_is_enoent)
{
	CHECK_ERR(sem_unlink(test_name()), ENOENT);
	drop_named(make_named(1));
	CHECK_ERR(sem_unlink(test_name()), ENOENT);
}

TEST(unlink_removes_the_name_at_once_and_who_has_it_open_goes_on)
{
	sem_t *sem = make_named(0);
	struct worker w;

	start_and_block(&w, work_wait, sem);
	CHECK_OK(sem_unlink(test_name()));
	CHECK_NO_SEM(sem_open(test_name(), 0), ENOENT);
	give(sem, 1);
	expect_taken(&w);
	give(sem, 3);
	CHECK_EQ(units_of(sem), 3);
	CHECK_OK(sem_close(sem));
}

TEST(name_made_again_after_unlink_is_another_semaphore)
{
	sem_t *old = make_named(2);

	CHECK_OK(sem_unlink(test_name()));
	sem_t *new = make_named(7);
	CHECK(new != old);
	give(old, 1);
	take(new);
	CHECK_EQ(units_of(old), 3);
	CHECK_EQ(units_of(new), 6);
	CHECK(sem_open(test_name(), 0) == new);
	CHECK_OK(sem_close(new));
	CHECK_OK(sem_close(old));
	CHECK_EQ(units_of(new), 6);
	drop_named(new);
}

TEST(many_generations_of_a_name_are_as_many_semaphores)
{
	enum { GENERATIONS = 50 };
	sem_t *sems[GENERATIONS];

	for (unsigned i = 0; i < GENERATIONS; i++) {
		sems[i] = make_named(i);
		CHECK_OK(sem_unlink(test_name()));
	}
	for (unsigned i = 0; i < GENERATIONS; i++)
		CHECK_EQ(units_of(sems[i]), i);
	for (unsigned i = 0; i < GENERATIONS; i++)
		CHECK_OK(sem_close(sems[i]));
}

static void take_of_old_and_new(void *arg)
{
	sem_t *old = arg;

	sem_t *new = open_named();
	CHECK(new != old);
	take(new);
	take(old);
	CHECK_OK(sem_close(old));
	CHECK_OK(sem_close(new));
}

TEST(processes_tell_the_old_from_the_new)
{
	sem_t *old = make_named(0);

	CHECK_OK(sem_unlink(test_name()));
	sem_t *new = make_named(0);
	pid_t pid = test_fork(take_of_old_and_new, old);
	test_wait_asleep(pid);
	give(new, 1);
	give(old, 1);
	test_join(pid);
	CHECK_EQ(units_of(old) + units_of(new), 0);
	CHECK_OK(sem_close(old));
	drop_named(new);
}

/* ---- fork and exec ---- */

static void use_what_was_open(void *arg)
{
	sem_t *sem = arg;

	take(sem);
	CHECK(sem_open(test_name(), 0) == sem);
	give(sem, 5);
	CHECK_OK(sem_close(sem));
	give(sem, 1);
	CHECK_OK(sem_close(sem));
	CHECK_ERR(sem_close(sem), EINVAL);
}

TEST(child_may_use_and_close_what_the_parent_had_open)
{
	sem_t *sem = make_named(1);

	test_join(test_fork(use_what_was_open, sem));
	CHECK_EQ(units_of(sem), 6);
	take(sem);
	drop_named(sem);
}

static void wait_and_post(void *arg)
{
	take(arg);
	give(arg, 1);
}

static void wait_in_a_grandchild(void *arg)
{
	test_join(test_fork(wait_and_post, arg));
	wait_and_post(arg);
}

TEST(descendants_share_a_named_one)
{
	sem_t *sem = make_named(0);
	pid_t pid[4];

	for (int i = 0; i < 4; i++)
		pid[i] = test_fork(wait_in_a_grandchild, sem);
	give(sem, 1);
	for (int i = 0; i < 4; i++)
		test_join(pid[i]);
	CHECK_EQ(units_of(sem), 1);
	drop_named(sem);
}

static void close_in_the_child(void *arg)
{
	CHECK_OK(sem_close(arg));
}

TEST(close_in_the_child_leaves_the_parents)
{
	sem_t *sem = make_named(1);

	for (int i = 0; i < 20; i++) {
		test_join(test_fork(close_in_the_child, sem));
		take(sem);
		give(sem, 1);
	}
	drop_named(sem);
}

TEST(fork_while_another_thread_sleeps_leaves_both_working)
{
	sem_t *sem = make_named(0);
	struct worker w;

	start_and_block(&w, work_wait, sem);
	pid_t pid = fork_taker(sem);
	give(sem, 2);
	expect_taken(&w);
	test_join(pid);
	CHECK_EQ(units_of(sem), 0);
	drop_named(sem);
}

static void exec_and_look_around(void *arg)
{
	static const char script[] = "! ls -l /proc/$$/fd | grep -q sem.posthaste-test && "
								 "! grep -q sem.posthaste-test /proc/$$/maps";

	take(arg);
	execl("/bin/sh", "sh", "-c", script, (char *)NULL);
	CHECK(!"exec");
}

TEST(exec_closes_it)
{
	sem_t *sem = make_named(2);

	test_join(test_fork(exec_and_look_around, sem));
	CHECK_EQ(units_of(sem), 1);
	drop_named(sem);
}

static void take_and_be_killed(void *arg)
{
	take(arg);
	raise(SIGKILL);
}

TEST(units_that_a_killed_process_took_are_gone)
{
	sem_t *sem = make_named(3);
	int status;

	pid_t pid = test_fork(take_and_be_killed, sem);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(units_of(sem), 2);
	drop_named(sem);
}

/* ---- races ---- */

enum { RACERS = 8, ROUNDS = 60 };

struct race {
	atomic_int ready;
	atomic_int go;
	atomic_int won;
	atomic_int lost;
	atomic_int finished;
};

static void line_up(struct race *race)
{
	atomic_fetch_add(&race->ready, 1);
	while (!atomic_load(&race->go))
		sched_yield();
}

static void run_race(struct race *race, void (*racer)(void *), int racers)
{
	pid_t pid[RACERS];

	memset(race, 0, sizeof(*race));
	for (int i = 0; i < racers; i++)
		pid[i] = test_fork(racer, race);
	wait_count(&race->ready, racers);
	atomic_store(&race->go, 1);
	for (int i = 0; i < racers; i++)
		test_join(pid[i]);
}

static void create_exclusively(void *arg)
{
	struct race *race = arg;

	line_up(race);
	sem_t *sem = sem_open(test_name(), O_CREAT | O_EXCL, 0600, 1);
	if (sem == SEM_FAILED)
		CHECK_EQ(errno, EEXIST);
	atomic_fetch_add(sem == SEM_FAILED ? &race->lost : &race->won, 1);
}

TEST(of_many_exclusive_creators_exactly_one_succeeds)
{
	struct race *race = share(sizeof(*race));

	for (int round = 0; round < ROUNDS; round++) {
		run_race(race, create_exclusively, RACERS);
		CHECK_EQ(race->won, 1);
		CHECK_EQ(race->lost, RACERS - 1);
		CHECK_OK(sem_unlink(test_name()));
	}
}

// All of them end with the same semaphore, and it is made once.
static void join_and_post(void *arg)
{
	line_up(arg);
	sem_t *sem = sem_open(test_name(), O_CREAT, 0600, 10);
	CHECK(sem != SEM_FAILED);
	give(sem, 1);
}

TEST(creators_without_excl_end_up_in_one_semaphore)
{
	struct race *race = share(sizeof(*race));

	for (int round = 0; round < ROUNDS; round++) {
		run_race(race, join_and_post, RACERS);
		sem_t *sem = open_named();
		CHECK_EQ(units_of(sem), 10 + RACERS);
		drop_named(sem);
	}
}

// Opens with O_CREAT while others unlink: always gets a whole one, perhaps one without a name.
static void create_use_unlink(void *arg)
{
	line_up(arg);
	for (int i = 0; i < 300; i++) {
		sem_t *sem = sem_open(test_name(), O_CREAT, 0600, 1000);
		CHECK(sem != SEM_FAILED);
		CHECK_OK(sem_trywait(sem));
		CHECK(units_of(sem) >= 1000 - 4 && units_of(sem) < 1000 + 4);
		give(sem, 1);
		if (sem_unlink(test_name()) == -1)
			CHECK_EQ(errno, ENOENT);
		CHECK_OK(sem_close(sem));
	}
}

TEST(creating_and_unlinking_at_once_never_yields_a_half_made_one)
{
	struct race *race = share(sizeof(*race));

	run_race(race, create_use_unlink, 4);
	if (sem_unlink(test_name()) == -1)
		CHECK_EQ(errno, ENOENT);
}

static void open_plainly(void *arg)
{
	struct race *race = arg;

	while (!atomic_load(&race->finished)) {
		sem_t *sem = sem_open(test_name(), 0);
		if (sem == SEM_FAILED) {
			CHECK_EQ(errno, ENOENT);
			continue;
		}
		CHECK_EQ(units_of(sem), 77);
		atomic_fetch_add(&race->won, 1);
		CHECK_OK(sem_close(sem));
	}
}

TEST(opener_that_races_a_creator_sees_nothing_or_a_whole_one)
{
	struct race *race = share(sizeof(*race));
	pid_t pid = test_fork(open_plainly, race);

	for (int i = 0; i < 300 || !atomic_load(&race->won); i++)
		drop_named(make_named(77));
	atomic_store(&race->finished, 1);
	test_join(pid);
}

// SPDX-License-Identifier: MIT
//
// tests/sem/posix_signal.c - a signal handler runs while a call sleeps: EINTR without SA_RESTART, going on
// with it, and the semaphore as if nothing had happened. Stopping and continuing disturbs nobody.
#include "sem.h"

#include <sched.h>

static atomic_int handled;

static void count_signal(int sig)
{
	(void)sig;
	atomic_fetch_add(&handled, 1);
}

static void handle(int flags)
{
	struct sigaction sa = {.sa_handler = count_signal, .sa_flags = flags};

	CHECK_OK(sigaction(SIGUSR1, &sa, NULL));
}

// Signal the sleeping worker and wait until its handler has run.
static void interrupt(struct worker *w)
{
	int before = atomic_load(&handled);

	CHECK_EQ(pthread_kill(w->thread, SIGUSR1), 0);
	wait_count(&handled, before + 1);
}

TEST(wait_interrupted_by_a_handler_is_eintr_and_takes_nothing)
{
	sem_t *sem = make_shared(0);
	struct worker w;

	handle(0);
	start_and_block(&w, work_wait, sem);
	interrupt(&w);
	expect_failed(&w, EINTR);
	give(sem, 1);
	CHECK_EQ(units_of(sem), 1);
	drop_shared(sem);
}

TEST(timed_waits_interrupted_by_a_handler_are_eintr)
{
	sem_t *sem = make_named(0);
	struct worker w = {.deadline = in_ms(50000)};

	handle(0);
	start_and_block(&w, work_timedwait, sem);
	interrupt(&w);
	expect_failed(&w, EINTR);
	w.clock = CLOCK_MONOTONIC;
	w.deadline = on_clock(CLOCK_MONOTONIC, 50000);
	start_and_block(&w, work_clockwait, sem);
	interrupt(&w);
	expect_failed(&w, EINTR);
	give(sem, 1);
	CHECK_EQ(units_of(sem), 1);
	drop_named(sem);
}

TEST(wait_goes_on_after_a_handler_with_sa_restart)
{
	sem_t *sem = make_shared(0);
	struct worker w;

	handle(SA_RESTART);
	start_and_block(&w, work_wait, sem);
	for (int i = 0; i < 5; i++) {
		interrupt(&w);
		wait_thread_asleep(&w);
	}
	CHECK_EQ(atomic_load(&w.done), 0);
	give(sem, 1);
	expect_taken(&w);
	drop_shared(sem);
}

#ifdef TEST_KERNEL
// The kernel does not resume a futex wait that has a timeout.
TEST(timed_wait_ends_at_a_handler_with_sa_restart_too)
{
	sem_t *sem = make_shared(0);
	struct worker w = {.deadline = in_ms(50000)};

	handle(SA_RESTART);
	start_and_block(&w, work_timedwait, sem);
	interrupt(&w);
	expect_failed(&w, EINTR);
	drop_shared(sem);
}
#else
TEST(timed_wait_goes_on_after_a_handler_with_sa_restart)
{
	sem_t *sem = make_shared(0);
	struct worker w = {.deadline = in_ms(50000)};

	handle(SA_RESTART);
	start_and_block(&w, work_timedwait, sem);
	interrupt(&w);
	wait_thread_asleep(&w);
	give(sem, 1);
	expect_taken(&w);
	drop_shared(sem);
}

TEST(timed_wait_keeps_its_deadline_over_sa_restart)
{
	sem_t *sem = make_shared(0);
	struct worker w = {.deadline = in_ms(300)};

	handle(SA_RESTART);
	start_and_block(&w, work_timedwait, sem);
	interrupt(&w);
	expect_failed(&w, ETIMEDOUT);
	CHECK(has_passed(CLOCK_REALTIME, &w.deadline));
	drop_shared(sem);
}
#endif

TEST(blocked_signal_does_not_interrupt)
{
	sem_t *sem = make_shared(0);
	struct worker w;
	sigset_t set;

	handle(0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	start_and_block(&w, work_wait, sem);
	CHECK_EQ(pthread_kill(w.thread, SIGUSR1), 0);
	wait_thread_asleep(&w);
	give(sem, 1);
	expect_taken(&w);
	CHECK_EQ(atomic_load(&handled), 0);
	drop_shared(sem);
}

TEST(ignored_signal_does_not_interrupt)
{
	sem_t *sem = make_shared(0);
	struct worker w;

	signal(SIGUSR1, SIG_IGN);
	start_and_block(&w, work_wait, sem);
	CHECK_EQ(pthread_kill(w.thread, SIGUSR1), 0);
	wait_thread_asleep(&w);
	give(sem, 1);
	expect_taken(&w);
	drop_shared(sem);
}

TEST(signal_to_one_sleeper_leaves_the_others_asleep)
{
	sem_t *sem = make_shared(0);
	struct worker w[3];

	handle(0);
	for (int i = 0; i < 3; i++)
		start_and_block(&w[i], work_wait, sem);
	interrupt(&w[1]);
	expect_failed(&w[1], EINTR);
	CHECK_EQ(atomic_load(&w[0].done) + atomic_load(&w[2].done), 0);
	give(sem, 2);
	expect_taken(&w[0]);
	expect_taken(&w[2]);
	drop_shared(sem);
}

TEST(interrupted_sleepers_leave_the_wake_up_to_the_others)
{
	sem_t *sem = make_shared(0);
	struct worker w[3];

	handle(0);
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 3; i++)
			start_and_block(&w[i], work_wait, sem);
		for (int i = 0; i < 2; i++) {
			interrupt(&w[i]);
			expect_failed(&w[i], EINTR);
		}
		give(sem, 1);
		expect_taken(&w[2]);
		CHECK_EQ(units_of(sem), 0);
	}
	drop_shared(sem);
}

// A signal and a unit at the same moment: the unit is taken, or EINTR and it is still there.
TEST(signal_that_races_a_post_neither_loses_nor_doubles_the_unit)
{
	sem_t *sem = make_shared(0);

	handle(0);
	for (int round = 0; round < 1000 / SLOWER; round++) {
		struct worker w;
		start_and_block(&w, work_wait, sem);
		if (round & 1)
			give(sem, 1);
		CHECK_EQ(pthread_kill(w.thread, SIGUSR1), 0);
		if (!(round & 1))
			give(sem, 1);
		finish(&w);
		CHECK(w.result == 0 || w.error == EINTR);
		CHECK_EQ(units_of(sem), w.result == 0 ? 0 : 1);
		if (w.result != 0)
			take(sem);
	}
	drop_shared(sem);
}

TEST(stop_and_continue_leave_a_sleeper_asleep)
{
	sem_t *sem = make_shared(0);
	pid_t pid = fork_taker(sem);

	stop(pid);
	CHECK_OK(kill(pid, SIGCONT));
	test_wait_asleep(pid);
	give(sem, 1);
	test_join(pid);
	CHECK_EQ(units_of(sem), 0);
	drop_shared(sem);
}

TEST(unit_posted_to_a_stopped_sleeper_is_there_when_it_continues)
{
	sem_t *sem = make_shared(0);
	pid_t pid = fork_taker(sem);

	stop(pid);
	give(sem, 1);
	CHECK_OK(kill(pid, SIGCONT));
	test_join(pid);
	CHECK_EQ(units_of(sem), 0);
	drop_shared(sem);
}

// A storm of signals over a poster and a waiter: every call succeeds or fails with EINTR, nothing is lost.
struct storm {
	sem_t *sem;
	int count;
	atomic_int over;
};

static void *post_through_storm(void *arg)
{
	struct storm *storm = arg;

	give(storm->sem, storm->count);
	return NULL;
}

static void *take_through_storm(void *arg)
{
	struct storm *storm = arg;

	for (int i = 0; i < storm->count; i++)
		take(storm->sem);
	atomic_store(&storm->over, 1);
	return NULL;
}

static void run_storm(int flags)
{
	struct storm storm = {.sem = make_shared(0), .count = 200000 / SLOWER};
	pthread_t poster;
	pthread_t taker;

	handle(flags);
	CHECK_EQ(pthread_create(&taker, NULL, take_through_storm, &storm), 0);
	CHECK_EQ(pthread_create(&poster, NULL, post_through_storm, &storm), 0);
	while (!atomic_load(&storm.over)) {
		int before = atomic_load(&handled);
		CHECK_EQ(pthread_kill(poster, SIGUSR1), 0);
		CHECK_EQ(pthread_kill(taker, SIGUSR1), 0);
		while (atomic_load(&handled) == before && !atomic_load(&storm.over))
			sched_yield();
	}
	CHECK_EQ(pthread_join(poster, NULL), 0);
	CHECK_EQ(pthread_join(taker, NULL), 0);
	CHECK_EQ(units_of(storm.sem), 0);
	drop_shared(storm.sem);
}

TEST(storm_of_signals_loses_and_doubles_nothing)
{
	run_storm(0);
}

TEST(storm_of_restarting_signals_loses_and_doubles_nothing)
{
	run_storm(SA_RESTART);
}

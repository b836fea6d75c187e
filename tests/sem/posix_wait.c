// SPDX-License-Identifier: MIT
//
// tests/sem/posix_wait.c - sleeping and waking: one for each post, none lost, none in vain; and deadlines,
// which are judged only when the call would block.
#include "sem.h"

#include <sched.h>

TEST(wait_sleeps_until_there_is_a_unit)
{
	sem_t *sem = make_shared(0);
	struct worker w;

	start_and_block(&w, work_wait, sem);
	CHECK_EQ(atomic_load(&w.done), 0);
	give(sem, 1);
	expect_taken(&w);
	CHECK_EQ(units_of(sem), 0);
	drop_shared(sem);
}

TEST(wait_on_a_named_one_sleeps_until_there_is_a_unit)
{
	sem_t *sem = make_named(0);
	struct worker w;

	for (int i = 0; i < 20; i++) {
		start_and_block(&w, work_wait, sem);
		give(sem, 1);
		expect_taken(&w);
	}
	CHECK_EQ(units_of(sem), 0);
	drop_named(sem);
}

static int count_done(struct worker *w, int count)
{
	int done = 0;

	for (int i = 0; i < count; i++)
		done += atomic_load(&w[i].done);
	return done;
}

struct crowd {
	struct worker w[12];
	int want;
};

static bool so_many_are_done(void *arg)
{
	struct crowd *crowd = arg;

	return count_done(crowd->w, 12) >= crowd->want;
}

TEST(each_post_lets_exactly_one_sleeper_through)
{
	sem_t *sem = make_shared(0);
	struct crowd crowd;

	for (int i = 0; i < 12; i++)
		start_and_block(&crowd.w[i], work_wait, sem);
	for (crowd.want = 1; crowd.want <= 12; crowd.want++) {
		give(sem, 1);
		test_wait_until(so_many_are_done, &crowd);
		for (int i = 0; i < 12; i++)
			if (!atomic_load(&crowd.w[i].done))
				wait_thread_asleep(&crowd.w[i]);
		CHECK_EQ(count_done(crowd.w, 12), crowd.want);
		CHECK_EQ(units_of(sem), 0);
	}
	for (int i = 0; i < 12; i++)
		expect_taken(&crowd.w[i]);
	drop_shared(sem);
}

TEST(posts_in_a_burst_let_as_many_through)
{
	sem_t *sem = make_shared(0);
	struct crowd crowd;

	for (int round = 1; round <= 12; round++) {
		for (int i = 0; i < 12; i++)
			start_and_block(&crowd.w[i], work_wait, sem);
		give(sem, round);
		crowd.want = round;
		test_wait_until(so_many_are_done, &crowd);
		give(sem, 12 - round);
		for (int i = 0; i < 12; i++)
			expect_taken(&crowd.w[i]);
		CHECK_EQ(units_of(sem), 0);
	}
	drop_shared(sem);
}

TEST(sleeping_processes_are_let_through_one_for_each_post)
{
	sem_t *sem = make_shared(0);
	pid_t pid[8];

	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 8; i++)
			pid[i] = fork_taker(sem);
		give(sem, 8);
		for (int i = 0; i < 8; i++)
			test_join(pid[i]);
		CHECK_EQ(units_of(sem), 0);
	}
	drop_shared(sem);
}

TEST(trywait_beside_sleepers_finds_nothing)
{
	sem_t *sem = make_shared(0);
	struct worker w;

	start_and_block(&w, work_wait, sem);
	for (int i = 0; i < 100; i++)
		CHECK_ERR(sem_trywait(sem), EAGAIN);
	give(sem, 1);
	expect_taken(&w);
	CHECK_ERR(sem_trywait(sem), EAGAIN);
	drop_shared(sem);
}

// A unit may go to who tries just then; the sleeper sleeps on and gets the next.
TEST(unit_that_another_takes_first_leaves_the_sleeper_waiting_for_the_next)
{
	sem_t *sem = make_shared(0);
	struct worker w;
	int stolen = 0;

	for (int i = 0; i < 200; i++) {
		start_and_block(&w, work_wait, sem);
		give(sem, 1);
		if (sem_trywait(sem) == 0) {
			stolen++;
			wait_thread_asleep(&w);
			CHECK_EQ(atomic_load(&w.done), 0);
			give(sem, 1);
		}
		expect_taken(&w);
		CHECK_EQ(units_of(sem), 0);
	}
	CHECK(stolen <= 200);
	drop_shared(sem);
}

TEST(killed_sleeper_takes_no_unit_and_no_wake_up)
{
	sem_t *sem = make_shared(0);

	for (int round = 0; round < 20; round++) {
		pid_t victim = fork_taker(sem);
		pid_t other = fork_taker(sem);
		test_kill(victim);
		give(sem, 1);
		test_join(other);
		CHECK_EQ(units_of(sem), 0);
	}
	drop_shared(sem);
}

/* ---- deadlines ---- */

TEST(deadline_that_passes_is_etimedout)
{
	sem_t *sem = make_shared(0);

	for (long ms = -1000; ms <= 50; ms += 50) {
		struct timespec until = in_ms(ms);
		CHECK_ERR(sem_timedwait(sem, &until), ETIMEDOUT);
		CHECK(has_passed(CLOCK_REALTIME, &until));
	}
	give(sem, 1);
	CHECK_EQ(units_of(sem), 1);
	drop_shared(sem);
}

TEST(deadline_on_either_clock_is_not_early)
{
	const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC};
	sem_t *sem = make_named(0);

	for (int i = 0; i < 2; i++)
		for (long ms = -500; ms <= 50; ms += 50) {
			struct timespec until = on_clock(clocks[i], ms);
			CHECK_ERR(sem_clockwait(sem, clocks[i], &until), ETIMEDOUT);
			CHECK(has_passed(clocks[i], &until));
		}
	drop_named(sem);
}

TEST(unit_that_is_there_is_taken_whatever_the_deadline_says)
{
	sem_t *sem = make_shared(8);
	struct timespec past[] = {in_ms(-1000), {0, 0}, {-1, 0}, {INT64_MIN, 999999999}};

	for (size_t i = 0; i < sizeof(past) / sizeof(past[0]); i++) {
		CHECK_OK(sem_timedwait(sem, &past[i]));
		CHECK_OK(sem_clockwait(sem, CLOCK_MONOTONIC, &past[i]));
	}
	CHECK_EQ(units_of(sem), 0);
	drop_shared(sem);
}

TEST(deadline_before_all_time_is_etimedout)
{
	sem_t *sem = make_shared(0);
	struct timespec past[] = {{0, 0}, {-1, 0}, {-1, 999999999}, {INT64_MIN, 0}};

	for (size_t i = 0; i < sizeof(past) / sizeof(past[0]); i++) {
		CHECK_ERR(sem_timedwait(sem, &past[i]), ETIMEDOUT);
		CHECK_ERR(sem_clockwait(sem, CLOCK_MONOTONIC, &past[i]), ETIMEDOUT);
	}
	drop_shared(sem);
}

TEST(invalid_nanoseconds_are_einval_where_the_call_would_block)
{
	const long bad[] = {-1, 1000000000, LONG_MAX, LONG_MIN};
	sem_t *sem = make_shared(0);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct timespec soon = in_ms(1000);
		struct timespec past = {0, bad[i]};
		soon.tv_nsec = bad[i];
		CHECK_ERR(sem_timedwait(sem, &soon), EINVAL);
		CHECK_ERR(sem_timedwait(sem, &past), EINVAL);
		CHECK_ERR(sem_clockwait(sem, CLOCK_REALTIME, &soon), EINVAL);
		CHECK_ERR(sem_clockwait(sem, CLOCK_MONOTONIC, &past), EINVAL);
	}
	CHECK_EQ(units_of(sem), 0);
	drop_shared(sem);
}

TEST(other_clocks_are_einval_where_the_call_would_block)
{
	const clockid_t bad[] = {CLOCK_PROCESS_CPUTIME_ID,
	                         CLOCK_THREAD_CPUTIME_ID,
	                         CLOCK_BOOTTIME,
	                         CLOCK_MONOTONIC_RAW,
	                         CLOCK_TAI,
	                         12345,
	                         -1};
	sem_t *sem = make_shared(0);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct timespec soon = in_ms(1000);
		CHECK_ERR(sem_clockwait(sem, bad[i], &soon), EINVAL);
	}
	drop_shared(sem);
}

#ifndef TEST_KERNEL
// POSIX: the validity need not be checked if the unit is there. The GNU library checks it nevertheless.
TEST(invalid_deadline_does_not_matter_when_there_is_a_unit)
{
	const struct timespec bad = {0, 1000000000};
	sem_t *sem = make_shared(4);

	CHECK_OK(sem_timedwait(sem, &bad));
	CHECK_OK(sem_clockwait(sem, CLOCK_MONOTONIC, &bad));
	CHECK_OK(sem_clockwait(sem, CLOCK_TAI, &bad));
	CHECK_OK(sem_clockwait(sem, 12345, &bad));
	CHECK_ERR(sem_timedwait(sem, &bad), EINVAL);
	drop_shared(sem);
}
#endif

TEST(post_ends_a_timed_wait)
{
	sem_t *sem = make_shared(0);
	struct worker w = {.deadline = in_ms(50000)};

	for (int i = 0; i < 20; i++) {
		start_and_block(&w, work_timedwait, sem);
		give(sem, 1);
		expect_taken(&w);
	}
	CHECK(!has_passed(CLOCK_REALTIME, &w.deadline));
	drop_shared(sem);
}

TEST(post_ends_a_wait_on_either_clock)
{
	const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC};
	sem_t *sem = make_named(0);

	for (int i = 0; i < 20; i++) {
		struct worker w = {.clock = clocks[i & 1], .deadline = on_clock(clocks[i & 1], 50000)};
		start_and_block(&w, work_clockwait, sem);
		give(sem, 1);
		expect_taken(&w);
	}
	drop_named(sem);
}

TEST(wait_that_timed_out_leaves_the_wake_up_to_the_others)
{
	sem_t *sem = make_shared(0);
	struct worker timed[3];
	struct worker patient;

	start_and_block(&patient, work_wait, sem);
	for (int i = 0; i < 3; i++) {
		timed[i].deadline = in_ms(20 + i);
		start(&timed[i], work_timedwait, sem);
	}
	for (int i = 0; i < 3; i++)
		expect_failed(&timed[i], ETIMEDOUT);
	CHECK_EQ(atomic_load(&patient.done), 0);
	give(sem, 1);
	expect_taken(&patient);
	CHECK_EQ(units_of(sem), 0);
	drop_shared(sem);
}

// Deadlines that pass while the unit comes: taken, or timed out and still there.
TEST(deadline_that_races_a_post_neither_loses_nor_doubles_the_unit)
{
	sem_t *sem = make_shared(0);
	int taken = 0;

	for (int round = 0; round < 300; round++) {
		struct worker w = {.deadline = in_ms(1)};
		start(&w, work_timedwait, sem);
		while (round & 1 && !has_passed(CLOCK_REALTIME, &w.deadline))
			sched_yield();
		give(sem, 1);
		finish(&w);
		CHECK(w.result == 0 || w.error == ETIMEDOUT);
		CHECK_EQ(units_of(sem), w.result == 0 ? 0 : 1);
		taken += w.result == 0;
		if (w.result != 0)
			take(sem);
	}
	CHECK(taken <= 300);
	drop_shared(sem);
}

/* ---- none lost, at full speed ---- */

enum { POSTERS = 4, TAKERS = 4, EACH = 20000 / SLOWER };

struct flow {
	sem_t *sem;
	atomic_int taken;
	atomic_int timed_out;
};

static void post_at_speed(void *arg)
{
	struct flow *flow = arg;

	for (int i = 0; i < EACH; i++) {
		give(flow->sem, 1);
		if (i % 97 == 0)
			sched_yield();
	}
}

static void take_at_speed(void *arg)
{
	struct flow *flow = arg;

	for (int i = 0; i < EACH; i++) {
		take(flow->sem);
		atomic_fetch_add(&flow->taken, 1);
	}
}

static void take_in_all_ways(void *arg)
{
	struct flow *flow = arg;

	for (int i = 0; i < EACH;) {
		const struct timespec soon = on_clock(CLOCK_MONOTONIC, i % 3);
		if (i % 5 == 0)
			take(flow->sem);
		else if ((i & 1 ? sem_trywait(flow->sem)
		                : sem_clockwait(flow->sem, CLOCK_MONOTONIC, &soon)) == -1) {
			CHECK(errno == EAGAIN || errno == ETIMEDOUT);
			atomic_fetch_add(&flow->timed_out, 1);
			continue;
		}
		i++;
	}
	atomic_fetch_add(&flow->taken, EACH);
}

static void run_flow(sem_t *sem, void (*taker)(void *))
{
	struct flow *flow = share(sizeof(*flow));
	pid_t pid[POSTERS + TAKERS];

	flow->sem = sem;
	for (int i = 0; i < TAKERS; i++)
		pid[i] = test_fork(taker, flow);
	for (int i = 0; i < POSTERS; i++)
		pid[TAKERS + i] = test_fork(post_at_speed, flow);
	for (int i = 0; i < POSTERS + TAKERS; i++)
		test_join(pid[i]);
	CHECK_EQ(atomic_load(&flow->taken), TAKERS * EACH);
	CHECK_EQ(units_of(sem), 0);
}

TEST(many_posters_and_takers_in_processes_lose_nothing)
{
	sem_t *sem = make_shared(0);

	run_flow(sem, take_at_speed);
	drop_shared(sem);
}

TEST(many_posters_and_takers_of_a_named_one_lose_nothing)
{
	sem_t *sem = make_named(0);

	run_flow(sem, take_at_speed);
	drop_named(sem);
}

TEST(waits_tries_and_deadlines_at_once_lose_nothing)
{
	sem_t *sem = make_shared(0);

	run_flow(sem, take_in_all_ways);
	drop_shared(sem);
}

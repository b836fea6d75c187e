// SPDX-License-Identifier: MIT
//
// tests/sem/extra_holders.c - semaphores that know their holders, while everybody lives: who holds what, several
// units at once, and the errors of these calls.
#include "holders.h"

TEST(whatever_takes_a_unit_holds_it)
{
	const struct timespec soon = on_clock(CLOCK_MONOTONIC, 50000);
	const struct timespec later = in_ms(50000);
	sem_t *sem = make_holders(10);

	CHECK_EQ(ph_sem_held(sem), 0);
	CHECK_OK(sem_wait(sem));
	CHECK_OK(sem_trywait(sem));
	CHECK_OK(sem_timedwait(sem, &later));
	CHECK_OK(sem_clockwait(sem, CLOCK_MONOTONIC, &soon));
	CHECK_EQ(ph_sem_held(sem), 4);
	CHECK_OK(ph_sem_take(sem, 3, CLOCK_MONOTONIC, &soon));
	CHECK_EQ(ph_sem_held(sem), 7);
	CHECK_EQ(units_of(sem), 3);
	give(sem, 2);
	CHECK_EQ(ph_sem_held(sem), 5);
	CHECK_OK(ph_sem_give(sem, 5));
	CHECK_EQ(ph_sem_held(sem), 0);
	CHECK_EQ(units_of(sem), 10);
	drop_named(sem);
}

TEST(post_beyond_what_is_held_is_a_new_unit)
{
	sem_t *sem = make_holders(0);

	give(sem, 2);
	CHECK_EQ(ph_sem_held(sem), 0);
	CHECK_EQ(units_of(sem), 2);
	take(sem);
	CHECK_OK(ph_sem_give(sem, 4));
	CHECK_EQ(ph_sem_held(sem), 0);
	CHECK_EQ(units_of(sem), 5);
	drop_named(sem);
}

TEST(several_units_are_taken_at_once_or_not_at_all)
{
	sem_t *sem = make_holders(3);

	CHECK_ERR(try_units(sem, 4), ETIMEDOUT);
	CHECK_EQ(units_of(sem), 3);
	CHECK_EQ(ph_sem_held(sem), 0);
	CHECK_OK(try_units(sem, 3));
	CHECK_ERR(try_units(sem, 1), ETIMEDOUT);
	CHECK_OK(ph_sem_give(sem, 3));
	CHECK_EQ(units_of(sem), 3);
	drop_named(sem);
}

TEST(who_waits_for_several_goes_on_when_all_are_there)
{
	sem_t *sem = make_holders(0);
	struct taker t = {.units = 5};
	pid_t pid = start_taker(&t);

	for (int i = 1; i < 5; i++) {
		give(sem, 1);
		test_wait_asleep(pid);
		CHECK_EQ(units_of(sem), i);
	}
	give(sem, 1);
	test_join(pid);
	expect_units(sem, 5);
	drop_named(sem);
}

TEST(small_takers_pass_one_who_waits_for_more_than_there_is)
{
	sem_t *sem = make_holders(0);
	struct taker many = {.units = 10};
	struct taker one = {.units = 1};
	pid_t large = start_taker(&many);

	for (int i = 0; i < 20; i++) {
		pid_t small = start_taker(&one);
		give(sem, 1);
		test_join(small);
		take(sem); // came back when the small one ended
	}
	CHECK_OK(ph_sem_give(sem, 10));
	test_join(large);
	drop_named(sem);
}

TEST(one_give_of_many_serves_many)
{
	sem_t *sem = make_holders(0);
	struct taker t[6];
	pid_t pid[6];

	for (int i = 0; i < 6; i++) {
		t[i] = (struct taker){.units = (unsigned)i % 3 + 1};
		pid[i] = start_taker(&t[i]);
	}
	CHECK_OK(ph_sem_give(sem, 12));
	for (int i = 0; i < 6; i++)
		test_join(pid[i]);
	expect_units(sem, 12);
	drop_named(sem);
}

static void *take_two(void *arg)
{
	take_units(arg, 2);
	return NULL;
}

static void *give_three(void *arg)
{
	CHECK_OK(ph_sem_give(arg, 3));
	return NULL;
}

static void run_thread(void *(*fn)(void *), sem_t *sem)
{
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, fn, sem), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

TEST(threads_of_a_process_hold_together)
{
	sem_t *sem = make_holders(6);

	take(sem);
	run_thread(take_two, sem);
	CHECK_EQ(ph_sem_held(sem), 3);
	run_thread(give_three, sem);
	CHECK_EQ(ph_sem_held(sem), 0);
	CHECK_EQ(units_of(sem), 6);
	drop_named(sem);
}

/* ---- opening ---- */

TEST(it_stays_one_with_holders_however_it_is_opened)
{
	sem_t *sem = make_holders(4);

	CHECK_OK(sem_close(sem));
	const int flags[] = {0, O_CREAT, PH_SEM_HOLDERS, O_CREAT | PH_SEM_HOLDERS, PH_SEM_OWNERDEAD};
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		sem = sem_open(test_name(), flags[i], 0600, 9);
		CHECK(sem != SEM_FAILED);
		CHECK_EQ(ph_sem_held(sem), 0);
		take(sem);
		CHECK_EQ(ph_sem_held(sem), 1);
		CHECK_OK(sem_close(sem));
	}
	sem = open_named();
	expect_units(sem, 4);
	drop_named(sem);
}

TEST(one_without_holders_cannot_be_opened_with_them)
{
	sem_t *sem = make_named(1);

	CHECK_NO_SEM(sem_open(test_name(), PH_SEM_HOLDERS), EINVAL);
	CHECK_NO_SEM(sem_open(test_name(), PH_SEM_HOLDERS | O_CREAT, 0600, 1), EINVAL);
	CHECK_NO_SEM(sem_open(test_name(), PH_SEM_HOLDERS | O_CREAT | O_EXCL, 0600, 1), EEXIST);
	CHECK_OK(sem_close(sem));
	CHECK_NO_SEM(sem_open(test_name(), PH_SEM_HOLDERS), EINVAL);
	CHECK_OK(sem_unlink(test_name()));
}

static void post_three_new_ones(void *arg)
{
	give(arg, 3);
}

TEST(units_reach_the_largest_value_and_no_further)
{
	const unsigned most = PH_SEM_HOLDERS_VALUE_MAX;

	CHECK_NO_SEM(sem_open(test_name(), O_CREAT | PH_SEM_HOLDERS, 0600, most + 1), EINVAL);
	CHECK_NO_SEM(sem_open(test_name(), PH_SEM_HOLDERS), ENOENT);
	sem_t *sem = make_holders(most);
	CHECK_ERR(sem_post(sem), EOVERFLOW);
	CHECK_ERR(ph_sem_give(sem, most), EOVERFLOW);
	take(sem);
	CHECK_ERR(ph_sem_give(sem, 2), EOVERFLOW);
	CHECK_EQ(ph_sem_held(sem), 1);
	CHECK_EQ(units_of(sem), most - 1);
	give(sem, 1);
	CHECK_ERR(sem_post(sem), EOVERFLOW);
	CHECK_OK(try_units(sem, most));
	CHECK_EQ(ph_sem_held(sem), most);
	CHECK_EQ(units_of(sem), 0);
	CHECK_OK(ph_sem_give(sem, most));
	CHECK_EQ(units_of(sem), most);
	drop_named(sem);
}

// What one process may hold has the same bound. Who never gives, as a consumer does, reaches it.
TEST(who_holds_the_largest_value_can_take_no_more)
{
	const unsigned most = PH_SEM_HOLDERS_VALUE_MAX;
	sem_t *sem = make_holders(most);

	take_units(sem, most);
	run_thread(give_three, sem);
	take_units(sem, 3);
	test_join(test_fork(post_three_new_ones, sem));
	CHECK_EQ(units_of(sem), 3);
	CHECK_ERR(sem_wait(sem), EOVERFLOW);
	CHECK_ERR(sem_trywait(sem), EOVERFLOW);
	CHECK_ERR(try_units(sem, 3), EOVERFLOW);
	CHECK_EQ(ph_sem_held(sem), most);
	CHECK_EQ(units_of(sem), 3);
	CHECK_OK(ph_sem_give(sem, 2));
	CHECK_OK(try_units(sem, 2));
	CHECK_ERR(sem_trywait(sem), EOVERFLOW);
	drop_named(sem);
}

TEST(opened_twice_units_come_back_with_the_last_close)
{
	sem_t *sem = make_holders(3);
	sem_t *again = open_named();

	CHECK(again == sem);
	take_units(sem, 2);
	CHECK_OK(sem_close(again));
	CHECK_EQ(ph_sem_held(sem), 2);
	CHECK_OK(sem_close(sem));
	sem = open_named();
	CHECK_EQ(ph_sem_held(sem), 0);
	CHECK_EQ(units_of(sem), 3);
	drop_named(sem);
}

/* ---- errors ---- */

static void expect_no_holders(sem_t *sem)
{
	const struct timespec past = {0, 0};

	CHECK_ERR(ph_sem_take(sem, 1, CLOCK_MONOTONIC, &past), EINVAL);
	CHECK_ERR(ph_sem_take(sem, 1, CLOCK_MONOTONIC, NULL), EINVAL);
	CHECK_ERR(ph_sem_give(sem, 1), EINVAL);
	CHECK_ERR(ph_sem_held(sem), EINVAL);
	CHECK_EQ(units_of(sem), 5);
}

TEST(calls_for_holders_are_einval_without_them)
{
	sem_t *named = make_named(5);
	sem_t *shared = make_shared(5);
	sem_t private;

	CHECK_OK(sem_init(&private, 0, 5));
	expect_no_holders(named);
	expect_no_holders(shared);
	expect_no_holders(&private);
	CHECK_OK(sem_destroy(&private));
	CHECK_ERR(ph_sem_held(&private), EINVAL);
	CHECK_ERR(ph_sem_give(&private, 1), EINVAL);
	drop_shared(shared);
	drop_named(named);
}

TEST(no_units_or_too_many_are_einval)
{
	const unsigned bad[] = {0, PH_SEM_HOLDERS_VALUE_MAX + 1, INT_MAX, UINT_MAX};
	sem_t *sem = make_holders(5);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_ERR(ph_sem_take(sem, bad[i], CLOCK_MONOTONIC, NULL), EINVAL);
		CHECK_ERR(ph_sem_give(sem, bad[i]), EINVAL);
	}
	CHECK_EQ(units_of(sem), 5);
	CHECK_EQ(ph_sem_held(sem), 0);
	drop_named(sem);
}

TEST(deadlines_are_judged_only_where_it_would_block)
{
	const struct timespec bad = {0, 1000000000};
	const struct timespec past = {0, 0};
	sem_t *sem = make_holders(7);

	CHECK_OK(ph_sem_take(sem, 1, CLOCK_MONOTONIC, &bad));
	CHECK_OK(ph_sem_take(sem, 1, CLOCK_TAI, &bad));
	CHECK_OK(ph_sem_take(sem, 1, CLOCK_REALTIME, &past));
	CHECK_OK(sem_timedwait(sem, &bad));
	CHECK_ERR(ph_sem_take(sem, 4, CLOCK_MONOTONIC, &bad), EINVAL);
	CHECK_ERR(ph_sem_take(sem, 4, CLOCK_TAI, &past), EINVAL);
	CHECK_ERR(ph_sem_take(sem, 4, CLOCK_REALTIME, &past), ETIMEDOUT);
	for (long ms = 0; ms < 40; ms += 10) {
		const struct timespec soon = on_clock(CLOCK_MONOTONIC, ms);
		CHECK_ERR(ph_sem_take(sem, 4, CLOCK_MONOTONIC, &soon), ETIMEDOUT);
		CHECK(has_passed(CLOCK_MONOTONIC, &soon));
	}
	CHECK_EQ(ph_sem_held(sem), 4);
	CHECK_EQ(units_of(sem), 3);
	drop_named(sem);
}

TEST(destroy_is_einval)
{
	sem_t *sem = make_holders(1);

	CHECK_ERR(sem_destroy(sem), EINVAL);
	take(sem);
	drop_named(sem);
}

/* ---- signals and cancellation ---- */

static atomic_int handled;
static sem_t *common;

static void post_from_handler(int sig)
{
	(void)sig;
	CHECK_OK(sem_post(common));
	atomic_fetch_add(&handled, 1);
}

static void handle(int flags)
{
	struct sigaction sa = {.sa_handler = post_from_handler, .sa_flags = flags};

	CHECK_OK(sigaction(SIGUSR2, &sa, NULL));
}

TEST(handler_posts_the_unit_that_its_own_thread_waits_for)
{
	struct worker w;

	common = make_holders(0);
	handle(SA_RESTART);
	for (int i = 0; i < 20; i++) {
		start_and_block(&w, work_wait, common);
		CHECK_EQ(pthread_kill(w.thread, SIGUSR2), 0);
		expect_taken(&w);
		CHECK_EQ(ph_sem_held(common), 1); // the next post gives it back
		CHECK_EQ(units_of(common), 0);
	}
	drop_named(common);
}

TEST(interrupted_wait_is_eintr_and_holds_nothing)
{
	struct worker w;

	common = make_holders(0);
	handle(0);
	start_and_block(&w, work_wait, common);
	CHECK_EQ(pthread_kill(w.thread, SIGUSR2), 0);
	finish(&w);
	CHECK(w.result == 0 || w.error == EINTR);
	CHECK_EQ(ph_sem_held(common), w.result == 0 ? 1 : 0);
	CHECK_EQ(units_of(common), w.result == 0 ? 0 : 1);
	drop_named(common);
}

static void *work_take_three(void *arg)
{
	struct worker *w = arg;

	at_the_call(w);
	keep(w, ph_sem_take(w->sem, 3, CLOCK_MONOTONIC, NULL));
	return NULL;
}

TEST(sleeping_take_can_be_cancelled_and_holds_nothing)
{
	struct worker w[2];

	for (int round = 0; round < 20; round++) {
		sem_t *sem = make_holders(2);
		for (int i = 0; i < 2; i++)
			start_and_block(&w[i], work_take_three, sem);
		CHECK_EQ(pthread_cancel(w[0].thread), 0);
		CHECK(finish(&w[0]) == PTHREAD_CANCELED);
		CHECK_EQ(ph_sem_held(sem), 0);
		give(sem, 1);
		expect_taken(&w[1]);
		CHECK_EQ(ph_sem_held(sem), 3);
		CHECK_OK(ph_sem_give(sem, 3));
		expect_units(sem, 3);
		drop_named(sem);
	}
}

static void *take_with_cancellation_pending(void *arg)
{
	struct worker *w = arg;

	CHECK_EQ(pthread_cancel(pthread_self()), 0);
	return work_take_three(w);
}

TEST(pending_cancellation_acts_in_take_though_there_are_units)
{
	sem_t *sem = make_holders(3);
	struct worker w;

	start(&w, take_with_cancellation_pending, sem);
	CHECK(finish(&w) == PTHREAD_CANCELED);
	CHECK_EQ(atomic_load(&w.done), 0);
	CHECK_EQ(ph_sem_held(sem), 0);
	CHECK_EQ(units_of(sem), 3);
	drop_named(sem);
}

// A cancellation and units at the same moment: all of them are taken or none.
TEST(cancellation_that_races_a_give_loses_no_unit)
{
	sem_t *sem = make_holders(2);

	for (int round = 0; round < 500 / SLOWER; round++) {
		struct worker w;
		take_units(sem, 2);
		start_and_block(&w, work_wait, sem);
		CHECK_OK(ph_sem_give(sem, 2));
		CHECK_EQ(pthread_cancel(w.thread), 0);
		const bool cancelled = finish(&w) == PTHREAD_CANCELED && !atomic_load(&w.done);
		CHECK_EQ(ph_sem_held(sem), cancelled ? 0 : 1);
		CHECK_EQ(units_of(sem), cancelled ? 2 : 1);
		if (!cancelled)
			give(sem, 1);
	}
	drop_named(sem);
}

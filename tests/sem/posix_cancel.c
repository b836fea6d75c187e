// SPDX-License-Identifier: MIT
//
// tests/sem/posix_cancel.c - cancellation: which calls are cancellation points, that a cancelled wait has
// taken nothing and kept no wake-up from others, and that the semaphore works afterwards.
#include "sem.h"

#include <sched.h>

static void expect_cancelled(struct worker *w)
{
	CHECK(finish(w) == PTHREAD_CANCELED);
	CHECK_EQ(atomic_load(&w->done), 0);
}

static void cancel_a_sleeper(void *(*fn)(void *), clockid_t clock)
{
	sem_t *sem = make_shared(0);
	struct worker w = {.clock = clock, .deadline = on_clock(clock, 50000)};

	start_and_block(&w, fn, sem);
	CHECK_EQ(pthread_cancel(w.thread), 0);
	expect_cancelled(&w);
	give(sem, 1);
	CHECK_EQ(units_of(sem), 1);
	take(sem);
	drop_shared(sem);
}

TEST(sleeping_wait_can_be_cancelled_and_takes_nothing)
{
	cancel_a_sleeper(work_wait, CLOCK_REALTIME);
}

TEST(sleeping_timed_waits_can_be_cancelled_and_take_nothing)
{
	cancel_a_sleeper(work_timedwait, CLOCK_REALTIME);
	cancel_a_sleeper(work_clockwait, CLOCK_REALTIME);
	cancel_a_sleeper(work_clockwait, CLOCK_MONOTONIC);
}

TEST(sleeper_on_a_named_one_can_be_cancelled)
{
	sem_t *sem = make_named(0);
	struct worker w;

	for (int i = 0; i < 20; i++) {
		start_and_block(&w, work_wait, sem);
		CHECK_EQ(pthread_cancel(w.thread), 0);
		expect_cancelled(&w);
	}
	give(sem, 1);
	CHECK_EQ(units_of(sem), 1);
	drop_named(sem);
}

TEST(cancelled_sleepers_leave_the_wake_up_to_the_others)
{
	sem_t *sem = make_shared(0);
	struct worker w[3];

	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 3; i++)
			start_and_block(&w[i], work_wait, sem);
		CHECK_EQ(pthread_cancel(w[0].thread), 0);
		CHECK_EQ(pthread_cancel(w[1].thread), 0);
		expect_cancelled(&w[0]);
		expect_cancelled(&w[1]);
		give(sem, 1);
		expect_taken(&w[2]);
		CHECK_EQ(units_of(sem), 0);
	}
	drop_shared(sem);
}

#ifndef TEST_KERNEL
// The GNU library may act on a cancellation with the unit, or the wake-up, in its hands: both are lost
// then. So these two are not asked of it.

// The post may have chosen the one that is cancelled: the other is let through all the same.
TEST(wake_up_of_a_cancelled_sleeper_reaches_another)
{
	sem_t *sem = make_shared(0);

	for (int round = 0; round < 500 / SLOWER; round++) {
		struct worker w[2];
		for (int i = 0; i < 2; i++)
			start_and_block(&w[i], work_wait, sem);
		if (round & 1)
			give(sem, 1);
		CHECK_EQ(pthread_cancel(w[0].thread), 0);
		if (!(round & 1))
			give(sem, 1);
		if (finish(&w[0]) != PTHREAD_CANCELED)
			give(sem, 1);
		expect_taken(&w[1]);
		CHECK_EQ(units_of(sem), 0);
	}
	drop_shared(sem);
}

// A cancellation and a unit at the same moment: the unit is taken or stays, never both and never neither.
TEST(cancellation_that_races_a_post_never_loses_the_unit)
{
	sem_t *sem = make_shared(0);

	for (int round = 0; round < 2000 / SLOWER; round++) {
		struct worker w;
		start(&w, work_wait, sem);
		if (round & 1)
			wait_thread_asleep(&w);
		give(sem, 1);
		CHECK_EQ(pthread_cancel(w.thread), 0);
		bool cancelled = finish(&w) == PTHREAD_CANCELED && !atomic_load(&w.done);
		CHECK_EQ(units_of(sem), cancelled ? 1 : 0);
		if (cancelled)
			take(sem);
	}
	drop_shared(sem);
}
#endif

static sem_t *busy;
static atomic_int over, posted, taken;

static void *take_for_ever(void *arg)
{
	for (;;) {
		take(busy);
		atomic_fetch_add(&taken, 1);
	}
	return arg;
}

static void *keep_posting(void *arg)
{
	while (!atomic_load(&over)) {
		give(busy, 1);
		if (atomic_fetch_add(&posted, 1) % 50 == 0)
			sched_yield();
	}
	return arg;
}

TEST(cancelling_busy_takers_leaves_a_working_semaphore)
{
	pthread_t poster;

	busy = make_shared(0);
	CHECK_EQ(pthread_create(&poster, NULL, keep_posting, NULL), 0);
	for (int i = 0; i < 200; i++) {
		pthread_t victim;
		void *value;
		CHECK_EQ(pthread_create(&victim, NULL, take_for_ever, NULL), 0);
		if (i & 1)
			wait_count(&taken, atomic_load(&taken) + 1);
		CHECK_EQ(pthread_cancel(victim), 0);
		CHECK_EQ(pthread_join(victim, &value), 0);
		CHECK(value == PTHREAD_CANCELED);
	}
	atomic_store(&over, 1);
	CHECK_EQ(pthread_join(poster, NULL), 0);
#ifdef TEST_KERNEL
	CHECK(units_of(busy) <= atomic_load(&posted) - atomic_load(&taken));
#else
	CHECK_EQ(units_of(busy), atomic_load(&posted) - atomic_load(&taken));
#endif
	give(busy, 1);
	take(busy);
	drop_shared(busy);
}

/* ---- a cancellation that is pending ---- */

static struct timespec far_off;

static int wait_plainly(sem_t *sem)
{
	return sem_wait(sem);
}

static int wait_timed(sem_t *sem)
{
	return sem_timedwait(sem, &far_off);
}

static int wait_on_clock(sem_t *sem)
{
	return sem_clockwait(sem, CLOCK_MONOTONIC, &far_off);
}

struct doomed {
	int (*call)(sem_t *sem);
	sem_t *sem;
	bool returned;
};

static void *call_with_cancellation_pending(void *arg)
{
	struct doomed *doomed = arg;

	CHECK_EQ(pthread_cancel(pthread_self()), 0);
	doomed->call(doomed->sem);
	doomed->returned = true;
	pthread_testcancel();
	return NULL;
}

static bool returns_with_cancellation_pending(int (*call)(sem_t *), sem_t *sem)
{
	struct doomed doomed = {call, sem, false};
	pthread_t thread;
	void *value;

	far_off = (struct timespec){INT32_MAX, 0};
	CHECK_EQ(pthread_create(&thread, NULL, call_with_cancellation_pending, &doomed), 0);
	CHECK_EQ(pthread_join(thread, &value), 0);
	CHECK(value == PTHREAD_CANCELED);
	return doomed.returned;
}

static int (*const waits[])(sem_t *) = {wait_plainly, wait_timed, wait_on_clock};

TEST(pending_cancellation_acts_in_a_wait_that_would_sleep)
{
	sem_t *sem = make_shared(0);

	for (int i = 0; i < 3; i++)
		CHECK(!returns_with_cancellation_pending(waits[i], sem));
	drop_shared(sem);
}

TEST(pending_cancellation_acts_in_a_wait_though_there_is_a_unit)
{
	sem_t *sem = make_shared(1);
#ifdef TEST_KERNEL
	const int count = 2; // the GNU library forgets it in sem_clockwait
#else
	const int count = 3;
#endif

	for (int i = 0; i < count; i++) {
		CHECK(!returns_with_cancellation_pending(waits[i], sem));
		CHECK_EQ(units_of(sem), 1);
	}
	drop_shared(sem);
}

static int use_what_is_no_cancellation_point(sem_t *sem)
{
	int value;

	CHECK_OK(sem_trywait(sem));
	CHECK_ERR(sem_trywait(sem), EAGAIN);
	CHECK_OK(sem_post(sem));
	CHECK_OK(sem_getvalue(sem, &value));
	CHECK_EQ(value, 1);
	sem_t *named = make_named(3);
	CHECK_OK(sem_trywait(named));
	drop_named(named);
	sem_t local;
	CHECK_OK(sem_init(&local, 0, 0));
	CHECK_OK(sem_destroy(&local));
	return 0;
}

TEST(pending_cancellation_does_not_act_in_the_other_calls)
{
	sem_t *sem = make_shared(1);

	CHECK(returns_with_cancellation_pending(use_what_is_no_cancellation_point, sem));
	drop_shared(sem);
}

/* ---- cancellation disabled, and what runs in a cleanup handler ---- */

static void *wait_uncancellably(void *arg)
{
	CHECK_EQ(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL), 0);
	work_wait(arg);
	CHECK_EQ(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL), 0);
	pthread_testcancel();
	return NULL;
}

TEST(disabled_cancellation_waits_until_it_is_enabled)
{
	sem_t *sem = make_shared(0);
	struct worker w;

	start_and_block(&w, wait_uncancellably, sem);
	CHECK_EQ(pthread_cancel(w.thread), 0);
	wait_thread_asleep(&w);
	give(sem, 1);
	CHECK(finish(&w) == PTHREAD_CANCELED);
	CHECK_EQ(w.result, 0);
	CHECK_EQ(units_of(sem), 0);
	drop_shared(sem);
}

static void take_and_give(void *arg)
{
	struct worker *w = arg;

	give(w->sem, 1);
	take(w->sem);
	give(w->sem, 2);
}

static void *wait_with_cleanup(void *arg)
{
	pthread_cleanup_push(take_and_give, arg);
	work_wait(arg);
	pthread_cleanup_pop(0);
	return NULL;
}

TEST(cleanup_handler_may_use_the_same_semaphore)
{
	sem_t *sem = make_shared(0);
	struct worker w;

	start_and_block(&w, wait_with_cleanup, sem);
	CHECK_EQ(pthread_cancel(w.thread), 0);
	expect_cancelled(&w);
	CHECK_EQ(units_of(sem), 2);
	drop_shared(sem);
}

static void *wait_asynchronously(void *arg)
{
	struct worker *w = arg;

	at_the_call(w);
	CHECK_EQ(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL), 0);
	sem_wait(w->sem);
	CHECK_EQ(pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL), 0);
	keep(w, 0);
	return NULL;
}

TEST(sleeper_with_asynchronous_cancellation_is_cancelled)
{
	sem_t *sem = make_shared(0);
	struct worker w;

	start_and_block(&w, wait_asynchronously, sem);
	CHECK_EQ(pthread_cancel(w.thread), 0);
	expect_cancelled(&w);
	start_and_block(&w, work_wait, sem);
	give(sem, 1);
	expect_taken(&w);
	drop_shared(sem);
}

// SPDX-License-Identifier: MIT
//
// tests/sem/posix_handler.c - sem_post from a signal handler, which may have interrupted any call on the same
// semaphore at any instruction. sem_post is the one call that POSIX allows there.
#include "sem.h"

#include <sched.h>
#include <sys/time.h>

static sem_t *common;
static atomic_int posts;

static void post_from_handler(int sig)
{
	const int saved = errno;

	(void)sig;
	CHECK_OK(sem_post(common));
	atomic_fetch_add(&posts, 1);
	errno = saved;
}

static void handle(int sig, int flags)
{
	struct sigaction sa = {.sa_handler = post_from_handler, .sa_flags = flags};

	CHECK_OK(sigaction(sig, &sa, NULL));
}

TEST(handler_posts_the_unit_its_own_thread_waits_for)
{
	struct worker w;

	common = make_shared(0);
	handle(SIGUSR1, SA_RESTART);
	for (int i = 0; i < 50; i++) {
		start_and_block(&w, work_wait, common);
		CHECK_EQ(pthread_kill(w.thread, SIGUSR1), 0);
		expect_taken(&w);
		CHECK_EQ(units_of(common), 0);
	}
	drop_shared(common);
}

TEST(handler_without_sa_restart_posts_and_the_wait_ends_one_way_or_the_other)
{
	struct worker w;

	common = make_named(0);
	handle(SIGUSR1, 0);
	for (int i = 0; i < 50; i++) {
		start_and_block(&w, work_wait, common);
		CHECK_EQ(pthread_kill(w.thread, SIGUSR1), 0);
		finish(&w);
		CHECK(w.result == 0 || w.error == EINTR);
		CHECK_EQ(units_of(common), w.result == 0 ? 0 : 1);
		if (w.result != 0)
			take(common);
	}
	drop_named(common);
}

TEST(handler_posts_the_unit_that_another_thread_waits_for)
{
	struct worker w;

	common = make_shared(0);
	handle(SIGUSR1, 0);
	for (int i = 0; i < 50; i++) {
		start_and_block(&w, work_wait, common);
		CHECK_OK(raise(SIGUSR1));
		expect_taken(&w);
	}
	drop_shared(common);
}

static void fork_and_post(void *arg)
{
	(void)arg;
	handle(SIGUSR1, 0);
	for (int i = 0; i < 100; i++)
		CHECK_OK(raise(SIGUSR1));
}

TEST(handler_posts_to_another_process)
{
	common = make_shared(0);
	pid_t taker = fork_taker(common);
	pid_t poster = test_fork(fork_and_post, NULL);
	test_join(taker);
	test_join(poster);
	CHECK_EQ(units_of(common), 99);
	drop_shared(common);
}

static void *post_busily(void *arg)
{
	give(common, *(const int *)arg);
	return NULL;
}

static void *take_busily(void *arg)
{
	for (int i = 0; i < *(const int *)arg; i++)
		take(common);
	return NULL;
}

static void *try_busily(void *arg)
{
	for (int i = 0; i < *(const int *)arg;) {
		if (sem_trywait(common) == 0)
			i++;
		else
			CHECK_EQ(errno, EAGAIN);
	}
	return NULL;
}

static atomic_int over;

static void *take_the_rest(void *arg)
{
	int *taken = arg;

	for (;;) {
		if (sem_trywait(common) == 0)
			(*taken)++;
		else if (atomic_load(&over))
			return NULL;
		else
			sched_yield();
	}
}

// Signals at one thread for as long as it works; each makes a unit. Whatever call they interrupted, the
// units are as many as were posted.
static void storm_over(void *(*work)(void *), int count, int begin, int change)
{
	pthread_t thread;
	atomic_int before;
	int sent = 0;

	common = make_shared((unsigned)begin);
	handle(SIGUSR1, SA_RESTART);
	CHECK_EQ(pthread_create(&thread, NULL, work, &count), 0);
	for (int i = 0; i < 5000 / SLOWER; i++) {
		before = atomic_load(&posts);
		if (pthread_kill(thread, SIGUSR1) != 0)
			break;
		sent++;
		for (int spin = 0; atomic_load(&posts) == before && spin < 100; spin++)
			sched_yield();
	}
	CHECK_EQ(pthread_join(thread, NULL), 0);
	// A signal to a thread that has ended already goes nowhere.
	CHECK(atomic_load(&posts) <= sent);
	CHECK_EQ(units_of(common), begin + change + atomic_load(&posts));
	drop_shared(common);
}

TEST(storm_of_posts_from_handlers_over_a_poster_loses_nothing)
{
	const int count = 1000000 / SLOWER;

	storm_over(post_busily, count, 0, count);
}

TEST(storm_of_posts_from_handlers_over_a_waiter_loses_nothing)
{
	const int count = 1000000 / SLOWER;

	storm_over(take_busily, count, count, -count);
}

TEST(storm_of_posts_from_handlers_over_tries_loses_nothing)
{
	const int count = 1000000 / SLOWER;

	storm_over(try_busily, count, count, -count);
}

// The waiter has nothing but what the handler gives it: every wait sleeps, or is about to.
static atomic_int waited;

static void *wait_for_the_handler(void *arg)
{
	for (int i = 0; i < *(const int *)arg; i++) {
		take(common);
		atomic_fetch_add(&waited, 1);
	}
	return NULL;
}

static void feed_by_signals(int flags)
{
	int count = 5000 / SLOWER;
	pthread_t thread;

	common = make_shared(0);
	handle(SIGUSR1, flags);
	CHECK_EQ(pthread_create(&thread, NULL, wait_for_the_handler, &count), 0);
	for (int i = 0; i < count; i++) {
		CHECK_EQ(pthread_kill(thread, SIGUSR1), 0);
		while (atomic_load(&posts) <= i)
			sched_yield();
	}
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(atomic_load(&waited), count);
	CHECK_EQ(units_of(common), 0);
	drop_shared(common);
}

TEST(waiter_fed_only_by_its_own_handler_gets_every_unit)
{
	feed_by_signals(SA_RESTART);
}

TEST(waiter_fed_only_by_its_own_handler_without_sa_restart_gets_every_unit)
{
	feed_by_signals(0);
}

TEST(timer_that_posts_meets_posts_and_tries_of_two_threads)
{
	const struct itimerval often = {{0, 100}, {0, 100}};
	const struct itimerval never = {{0, 0}, {0, 0}};
	int count = 2000000 / SLOWER;
	int taken = 0;
	pthread_t poster;
	pthread_t taker;

	common = make_shared(0);
	handle(SIGALRM, SA_RESTART);
	CHECK_OK(setitimer(ITIMER_REAL, &often, NULL));
	CHECK_EQ(pthread_create(&poster, NULL, post_busily, &count), 0);
	CHECK_EQ(pthread_create(&taker, NULL, take_the_rest, &taken), 0);
	CHECK_EQ(pthread_join(poster, NULL), 0);
	wait_count(&posts, 10);
	CHECK_OK(setitimer(ITIMER_REAL, &never, NULL));
	atomic_store(&over, 1);
	CHECK_EQ(pthread_join(taker, NULL), 0);
	CHECK_EQ(taken + units_of(common), count + atomic_load(&posts));
	drop_shared(common);
}

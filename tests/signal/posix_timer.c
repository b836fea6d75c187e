// SPDX-License-Identifier: MIT
//
// tests/signal/posix_timer.c - alarm, and the three interval timers.
#include "signals.h"

#include <sys/time.h>

static const struct {
	__typeof__(ITIMER_REAL) which;
	int sig;
} timers[] = {
	{ITIMER_REAL, SIGALRM},
	{ITIMER_VIRTUAL, SIGVTALRM},
	{ITIMER_PROF, SIGPROF},
};

static struct itimerval every_ms(long first, long interval)
{
	return (struct itimerval){{interval / 1000, interval % 1000 * 1000},
	                          {first / 1000, first % 1000 * 1000}};
}

// Burn time of the process until that many signals have come.
static void burn_until(int count)
{
	static volatile unsigned long work;

	while (atomic_load(&noted) < count)
		for (int i = 0; i < 1000; i++)
			work = work + 1;
}

static long us_of(struct timeval t)
{
	return (long)t.tv_sec * 1000000 + (long)t.tv_usec;
}

/* ---- alarm ---- */

TEST(alarm_tells_what_was_left_of_the_one_before)
{
	CHECK_EQ(alarm(1000), 0);
	const unsigned left = alarm(500);
	CHECK(left > 900 && left <= 1000);
	const unsigned rest = alarm(0);
	CHECK(rest > 400 && rest <= 500);
	CHECK_EQ(alarm(0), 0);
}

TEST(alarm_raises_sigalrm)
{
	note_signal(SIGALRM);
	CHECK_EQ(alarm(1), 0);
	while (atomic_load(&noted) == 0)
		pause();
	CHECK_EQ(atomic_load(&noted), 1);
	CHECK_EQ(notes[0].sig, SIGALRM);
	CHECK_EQ(alarm(0), 0);
}

static void wait_for_the_end(void *arg)
{
	const struct itimerval soon = every_ms(5, 0);

	CHECK_OK(setitimer(*(__typeof__(ITIMER_REAL) *)arg, &soon, NULL));
	burn_until(1);
}

TEST(timers_end_a_process_that_does_nothing_about_them)
{
	for (int i = 0; i < 3; i++)
		expect_killed(test_fork(wait_for_the_end, (void *)&timers[i].which), timers[i].sig);
}

TEST(alarm_and_the_real_timer_are_one)
{
	struct itimerval it;

	alarm(1000);
	CHECK_OK(getitimer(ITIMER_REAL, &it));
	CHECK(us_of(it.it_value) > 900 * 1000000L && us_of(it.it_value) <= 1000 * 1000000L);
	CHECK_EQ(us_of(it.it_interval), 0);
	it = every_ms(2000000, 7000);
	CHECK_OK(setitimer(ITIMER_REAL, &it, NULL));
	CHECK(alarm(0) > 1900);
	CHECK_OK(getitimer(ITIMER_REAL, &it));
	CHECK_EQ(us_of(it.it_value), 0);
}

/* ---- interval timers ---- */

TEST(timer_fires_once_without_an_interval)
{
	for (int i = 0; i < 3; i++) {
		const struct itimerval soon = every_ms(5, 0);
		struct itimerval it;
		forget_notes();
		note_signal(timers[i].sig);
		CHECK_OK(setitimer(timers[i].which, &soon, NULL));
		burn_until(1);
		CHECK_EQ(notes[0].sig, timers[i].sig);
		CHECK_OK(getitimer(timers[i].which, &it));
		CHECK_EQ(us_of(it.it_value), 0);
		CHECK_EQ(atomic_load(&noted), 1);
	}
}

TEST(timer_fires_again_and_again_with_an_interval)
{
	for (int i = 0; i < 3; i++) {
		const struct itimerval often = every_ms(1, 4);
		const struct itimerval off = every_ms(0, 0);
		struct itimerval it;
		forget_notes();
		note_signal(timers[i].sig);
		CHECK_OK(setitimer(timers[i].which, &often, NULL));
		burn_until(6);
		CHECK_OK(setitimer(timers[i].which, &off, &it));
		CHECK_EQ(us_of(it.it_interval), 4000);
		const int fired = atomic_load(&noted);
		for (int n = 0; n < fired; n++)
			CHECK_EQ(notes[n].sig, timers[i].sig);
		CHECK_OK(getitimer(timers[i].which, &it));
		CHECK_EQ(us_of(it.it_value) + us_of(it.it_interval), 0);
	}
}

TEST(setitimer_and_getitimer_tell_of_the_timer)
{
	for (int i = 0; i < 3; i++) {
		const struct itimerval first = every_ms(1000000, 3000);
		const struct itimerval second = every_ms(0, 0);
		struct itimerval it;
		CHECK_OK(setitimer(timers[i].which, &first, &it));
		CHECK_EQ(us_of(it.it_value) + us_of(it.it_interval), 0);
		CHECK_OK(getitimer(timers[i].which, &it));
		CHECK_EQ(us_of(it.it_interval), 3000000);
		CHECK(us_of(it.it_value) > 900 * 1000000L && us_of(it.it_value) <= 1001 * 1000000L);
		CHECK_OK(setitimer(timers[i].which, &second, &it));
		CHECK_EQ(us_of(it.it_interval), 3000000);
		CHECK(us_of(it.it_value) > 900 * 1000000L && us_of(it.it_value) <= 1001 * 1000000L);
	}
}

TEST(blocked_signals_of_a_timer_merge_and_can_be_taken)
{
	const struct itimerval often = every_ms(1, 1);
	const struct itimerval off = every_ms(0, 0);

	block(SET(SIGALRM));
	CHECK_OK(setitimer(ITIMER_REAL, &often, NULL));
	for (int i = 0; i < 5; i++)
		CHECK_EQ(take(SET(SIGALRM)).si_signo, SIGALRM);
	wait_pending(SIGALRM);
	CHECK_OK(setitimer(ITIMER_REAL, &off, NULL));
	take(SET(SIGALRM));
	expect_none(SET(SIGALRM));
}

TEST(timer_interrupts_a_handler_of_another_signal)
{
	const struct itimerval soon = every_ms(2, 0);

	note_signal(SIGALRM);
	block(SET(RT0));
	send_self(RT0, 1);
	CHECK_OK(setitimer(ITIMER_REAL, &soon, NULL));
	burn_until(1);
	CHECK_EQ(notes[0].sig, SIGALRM);
	take_value(SET(RT0), RT0, 1);
}

static void have_no_timers(void *arg)
{
	struct itimerval it;

	(void)arg;
	for (int i = 0; i < 3; i++) {
		CHECK_OK(getitimer(timers[i].which, &it));
		CHECK_EQ(us_of(it.it_value) + us_of(it.it_interval), 0);
	}
	CHECK_EQ(alarm(0), 0);
}

TEST(forked_child_has_no_timers)
{
	const struct itimerval late = every_ms(100000, 100000);

	for (int i = 0; i < 3; i++)
		CHECK_OK(setitimer(timers[i].which, &late, NULL));
	test_join(test_fork(have_no_timers, NULL));
}

// SPDX-License-Identifier: MIT
//
// tests/signal/posix_cancel.c - the calls that wait for signals are cancellation points, and what a cancelled thread
// leaves: no signal lost, locks free.
#include "signals.h"

#include <sys/signalfd.h>

enum call { SIGSUSPEND, PAUSE, SIGWAIT, SIGWAITINFO, SIGTIMEDWAIT, READ_SIGNALFD, CALLS };

struct waiter {
	pthread_t thread;
	atomic_int tid, go, cleaned, returned;
	enum call call;
	int fd;
	bool waits_first; // until it may make the call: it is cancelled before
};

static void clean_up(void *arg)
{
	struct waiter *w = arg;

	// A cleanup handler may use signals.
	CHECK_OK(raise(RT1));
	is_pending(RT0);
	atomic_store(&w->cleaned, 1);
}

static void make_call(struct waiter *w)
{
	const sigset_t none = NO_SIGNALS;
	const sigset_t set = SET(RT0, SIGUSR1);
	const struct timespec long_time = {100, 0};
	struct signalfd_siginfo info;
	int sig;

	switch (w->call) {
	case SIGSUSPEND: sigsuspend(&none); break;
	case PAUSE: pause(); break;
	case SIGWAIT: sigwait(&set, &sig); break;
	case SIGWAITINFO: sigwaitinfo(&set, NULL); break;
	case SIGTIMEDWAIT: sigtimedwait(&set, NULL, &long_time); break;
	default: CHECK(read(w->fd, &info, sizeof(info)) == sizeof(info)); break;
	}
}

static void *wait_in_thread(void *arg)
{
	struct waiter *w = arg;

	pthread_cleanup_push(clean_up, w);
	atomic_store(&w->tid, gettid());
	if (w->waits_first)
		compute_until(&w->go, 1);
	make_call(w);
	atomic_store(&w->returned, 1);
	pthread_cleanup_pop(0);
	return NULL;
}

static void start(struct waiter *w, enum call call, int fd, bool waits_first)
{
	memset(w, 0, sizeof(*w));
	w->call = call;
	w->fd = fd;
	w->waits_first = waits_first;
	CHECK_EQ(pthread_create(&w->thread, NULL, wait_in_thread, w), 0);
	wait_count(&w->tid, 1);
	if (!waits_first)
		test_wait_asleep(atomic_load(&w->tid));
}

static void expect_cancelled(struct waiter *w)
{
	void *value;

	CHECK_EQ(pthread_join(w->thread, &value), 0);
	CHECK(value == PTHREAD_CANCELED);
	CHECK_EQ(atomic_load(&w->cleaned), 1);
	CHECK_EQ(atomic_load(&w->returned), 0);
}

static int prepare(void)
{
	const sigset_t set = SET(RT0, SIGUSR1);

	note_signal(RT1);
	block(set);
	return (int)CHECK_OK(signalfd(-1, &set, SFD_CLOEXEC));
}

// AddressSanitizer does not see that the frames of a cancelled call are gone, and then stumbles over its marks of them.
static void skip_where_stacks_are_poisoned(void)
{
	if (LOOKS_FOR_LEAKS)
		SKIP("AddressSanitizer does not follow a cancellation");
}

TEST(sleeper_is_cancelled_in_each_call)
{
	skip_where_stacks_are_poisoned();
	const int fd = prepare();
	struct waiter w;

	for (enum call call = 0; call < CALLS; call++) {
		for (int i = 0; i < 10; i++) {
			start(&w, call, fd, false);
			CHECK_EQ(pthread_cancel(w.thread), 0);
			expect_cancelled(&w);
		}
	}
	CHECK_OK(close(fd));
}

TEST(thread_cancelled_before_the_call_does_not_wait)
{
	skip_where_stacks_are_poisoned();
	const int fd = prepare();
	struct waiter w;

	for (enum call call = 0; call < CALLS; call++) {
		start(&w, call, fd, true);
		CHECK_EQ(pthread_cancel(w.thread), 0);
		atomic_store(&w.go, 1);
		expect_cancelled(&w);
	}
	CHECK_OK(close(fd));
}

TEST(signals_are_taken_as_before_when_a_taker_has_been_cancelled)
{
	struct waiter w, other;

	block(SET(RT0, SIGUSR1));
	note_signal(RT1);
	for (int i = 0; i < 50; i++) {
		start(&w, SIGWAIT + i % 3, -1, false);
		start(&other, SIGWAIT + (i + 1) % 3, -1, false);
		CHECK_EQ(pthread_cancel(w.thread), 0);
		expect_cancelled(&w);
		send_self(one_of_kind(i % KINDS), i);
		CHECK_EQ(pthread_join(other.thread, NULL), 0);
		CHECK_EQ(atomic_load(&other.returned), 1);
		expect_none(SET(RT0, SIGUSR1));
		send_self(RT0, i);
		take_value(SET(RT0), RT0, i);
	}
}

static void *refuse_cancellation(void *arg)
{
	struct waiter *w = arg;
	int state;

	CHECK_EQ(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state), 0);
	atomic_store(&w->tid, gettid());
	take_value(SET(RT0), RT0, 1);
	CHECK_EQ(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state), 0);
	atomic_store(&w->returned, 1);
	pthread_testcancel();
	return NULL;
}

TEST(thread_that_disables_cancellation_goes_on_waiting)
{
	struct waiter w = {0};
	void *value;

	block(SET(RT0));
	CHECK_EQ(pthread_create(&w.thread, NULL, refuse_cancellation, &w), 0);
	wait_count(&w.tid, 1);
	test_wait_asleep(atomic_load(&w.tid));
	CHECK_EQ(pthread_cancel(w.thread), 0);
	test_wait_asleep(atomic_load(&w.tid));
	CHECK_EQ(atomic_load(&w.returned), 0);
	send_self(RT0, 1);
	CHECK_EQ(pthread_join(w.thread, &value), 0);
	CHECK_EQ(atomic_load(&w.returned), 1);
	CHECK(value == PTHREAD_CANCELED);
}

// The calls that do not wait are no cancellation points.
static void *make_plain_calls(void *arg)
{
	struct waiter *w = arg;

	atomic_store(&w->tid, gettid());
	compute_until(&w->go, 1);
	for (int i = 0; i < 100; i++) {
		send_self(RT0, i);
		CHECK(is_pending(RT0));
		block(SET(RT1));
		CHECK_OK(kill(getpid(), RT1));
		unblock(SET(RT1));
		note_signal(RT1);
		CHECK_OK(raise(SIGUSR1));
	}
	atomic_store(&w->returned, 1);
	pthread_testcancel();
	return NULL;
}

TEST(calls_that_do_not_wait_are_no_cancellation_points)
{
	struct waiter w = {0};

	note_signal(RT1);
	note_signal(SIGUSR1);
	block(SET(RT0));
	CHECK_EQ(pthread_create(&w.thread, NULL, make_plain_calls, &w), 0);
	wait_count(&w.tid, 1);
	CHECK_EQ(pthread_cancel(w.thread), 0);
	atomic_store(&w.go, 1);
	CHECK_EQ(pthread_join(w.thread, NULL), 0);
	CHECK_EQ(atomic_load(&w.returned), 1);
	for (int i = 0; i < 100; i++)
		take_value(SET(RT0), RT0, i);
}

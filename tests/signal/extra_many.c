// SPDX-License-Identifier: MIT
//
// tests/signal/extra_many.c - more signals of one number are pending in the kernel than the inbox takes from there
// (16384), and others behind them in the port: all come, each once, in the order in which they were sent. So does a kill
// that found the queue full.
#include "crowd.h"

#include <posthaste/posthaste.h>

#define SIG (SIGRTMIN + 3)

enum { IN_KERNEL = 17000, IN_PORT = 500, ALL = IN_KERNEL + IN_PORT };

static atomic_int received;

static void expect_next(const siginfo_t *info)
{
	const int n = atomic_fetch_add(&received, 1);

	if (info->si_value.sival_int != n)
		test_failed(__FILE__, __LINE__, "number %d comes as number %d", info->si_value.sival_int,
		            n);
}

static void count(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	expect_next(info);
}

static void install(int flags)
{
	struct sigaction sa = {.sa_sigaction = count, .sa_flags = SA_SIGINFO | flags};

	sigemptyset(&sa.sa_mask);
	CHECK_OK(ph_sigaction(SIG, &sa, NULL));
}

static void fill_kernel(void)
{
	struct rlimit limit;

	CHECK_OK(getrlimit(RLIMIT_SIGPENDING, &limit));
	if (limit.rlim_cur < 2 * IN_KERNEL)
		SKIP("RLIMIT_SIGPENDING is too small");
	block(SIG);
	// Nobody handles it, nobody has waited for it: it is the kernel's.
	for (int i = 0; i < IN_KERNEL; i++)
		if (send_by_library(getpid(), SIG, i) != 0) {
			CHECK_EQ(errno, EAGAIN);
			SKIP("the user's other processes have filled the kernel's queue");
		}
}

static void fill_port(void)
{
	for (int i = IN_KERNEL; i < ALL; i++)
		CHECK_OK(send_by_library(getpid(), SIG, i));
}

static bool all_have_come(void *arg)
{
	(void)arg;
	ph_sigdispatch();
	return atomic_load(&received) >= ALL;
}

static void expect_all(void)
{
	const sigset_t set = set_of(SIG);
	const struct timespec none = {0, 0};

	unblock(SIG);
	test_wait_until(all_have_come, NULL);
	block(SIG);
	CHECK_ERR(ph_sigtimedwait(&set, NULL, &none), EAGAIN);
	CHECK_EQ(atomic_load(&received), ALL);
}

TEST(handler_gets_more_than_the_inbox_takes_in_order)
{
	fill_kernel();
	install(SA_RESTART);
	fill_port();
	expect_all();
}

TEST(handler_at_safe_points_gets_more_than_the_inbox_takes_in_order)
{
	fill_kernel();
	install(SA_RESTART | PH_SA_SAFEPOINT);
	fill_port();
	expect_all();
}

TEST(taker_gets_more_than_the_inbox_takes_in_order)
{
	const sigset_t set = set_of(SIG);
	const struct timespec none = {0, 0};
	siginfo_t info;

	fill_kernel();
	CHECK_EQ(ph_sigtimedwait(&set, &info, &none), SIG);
	expect_next(&info); // from now on it is looked for here
	fill_port();
	while (ph_sigtimedwait(&set, &info, &none) == SIG)
		expect_next(&info);
	CHECK_EQ(errno, EAGAIN);
	CHECK_EQ(atomic_load(&received), ALL);
}

// ---- a full queue ----

enum { DEPTH = 64 };

static void expect_from_queue(int value)
{
	const sigset_t set = set_of(SIG);
	siginfo_t info;

	CHECK_EQ(ph_sigtimedwait(&set, &info, NULL), SIG);
	CHECK_EQ(info.si_code, SI_QUEUE);
	CHECK_EQ(info.si_value.sival_int, value);
}

static void expect_kill(void)
{
	const sigset_t set = set_of(SIG);
	siginfo_t info;

	CHECK_EQ(ph_sigtimedwait(&set, &info, NULL), SIG);
	CHECK_EQ(info.si_code, SI_USER);
	CHECK_EQ(info.si_pid, getpid());
}

static void kill_into_full_queue(void)
{
	const sigset_t set = set_of(SIG);
	const struct timespec none = {0, 0};

	CHECK_OK(ph_sigqueue_depth(DEPTH));
	for (int i = 0; i < DEPTH; i++)
		CHECK_OK(send_by_library(getpid(), SIG, i));
	CHECK_ERR(send_by_library(getpid(), SIG, DEPTH), EAGAIN);
	CHECK_OK(ph_kill(getpid(), SIG));
	CHECK_OK(ph_kill(getpid(), SIG));
	expect_from_queue(0);
	CHECK_OK(send_by_library(getpid(), SIG, DEPTH));
	for (int i = 1; i < DEPTH; i++)
		expect_from_queue(i);
	expect_kill();
	expect_kill();
	expect_from_queue(DEPTH);
	CHECK_ERR(ph_sigtimedwait(&set, NULL, &none), EAGAIN);
}

TEST(kill_into_a_full_queue_keeps_its_place_for_a_taker)
{
	const sigset_t set = set_of(SIG);
	const struct timespec none = {0, 0};

	block(SIG);
	CHECK_ERR(ph_sigtimedwait(&set, NULL, &none), EAGAIN);
	kill_into_full_queue();
}

TEST(kill_into_a_full_queue_keeps_its_place_behind_a_handler)
{
	block(SIG);
	install(0);
	kill_into_full_queue();
}

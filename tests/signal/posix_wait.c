// SPDX-License-Identifier: MIT
//
// tests/signal/posix_wait.c - sigwait, sigwaitinfo, sigtimedwait: what is taken, what is left, for how long they wait,
// and what ends them.
#include "signals.h"

static const struct timespec at_once = {0, 0};
static const struct timespec long_time = {100, 0};

/* ---- taking what is there ---- */

TEST(sigwait_takes_a_pending_signal)
{
	for (int i = 0; i < KINDS; i++) {
		const sigset_t set = SET(one_of_kind(i));
		int sig = 0;
		block(set);
		CHECK_OK(raise(one_of_kind(i)));
		CHECK_EQ(sigwait(&set, &sig), 0);
		CHECK_EQ(sig, one_of_kind(i));
		CHECK(!is_pending(one_of_kind(i)));
	}
}

TEST(sigwaitinfo_and_sigtimedwait_do_without_a_place_for_the_siginfo)
{
	for (int i = 0; i < KINDS; i++) {
		const sigset_t set = SET(one_of_kind(i));
		block(set);
		send_self(one_of_kind(i), 1);
		CHECK_EQ(sigwaitinfo(&set, NULL), one_of_kind(i));
		send_self(one_of_kind(i), 1);
		CHECK_EQ(sigtimedwait(&set, NULL, NULL), one_of_kind(i));
		send_self(one_of_kind(i), 1);
		CHECK_EQ(sigtimedwait(&set, NULL, &at_once), one_of_kind(i));
	}
}

TEST(handler_does_not_run_for_a_signal_that_is_taken)
{
	for (int i = 0; i < KINDS; i++) {
		note_signal(one_of_kind(i));
		block(SET(one_of_kind(i)));
		send_self(one_of_kind(i), 3);
		take_value(SET(one_of_kind(i)), one_of_kind(i), 3);
		unblock(SET(one_of_kind(i)));
		CHECK_EQ(atomic_load(&noted), 0);
	}
}

TEST(signals_outside_the_set_stay_pending)
{
	block(SET(SIGUSR1, SIGUSR2, RT0, RT1));
	send_self(SIGUSR1, 1);
	send_self(RT0, 2);
	expect_none(SET(SIGUSR2, RT1));
	CHECK(is_pending(SIGUSR1) && is_pending(RT0));
	send_self(RT1, 3);
	send_self(SIGUSR2, 4);
	take_value(SET(RT1), RT1, 3);
	take_value(SET(SIGUSR2), SIGUSR2, 4);
	take_value(SET(RT0, SIGUSR1), SIGUSR1, 1);
	take_value(SET(RT0, SIGUSR1), RT0, 2);
}

TEST(set_may_hold_sigkill_and_sigstop_to_no_effect)
{
	block(all_signals());
	send_self(RT0, 8);
	take_value(all_signals(), RT0, 8);
	expect_none(all_signals());
}

TEST(taken_one_by_one_in_the_order_in_which_they_were_sent)
{
	enum { MANY = 3000 };

	block(SET(RT0));
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MANY; i++)
			send_self(RT0, i);
		for (int i = 0; i < MANY; i++)
			take_value(SET(RT0), RT0, i);
		expect_none(SET(RT0));
	}
}

/* ---- time ---- */

TEST(timeout_of_0_looks_once)
{
	const sigset_t set = SET(RT0, SIGUSR1);
	siginfo_t info = {.si_signo = 77};

	block(set);
	CHECK_ERR(sigtimedwait(&set, &info, &at_once), EAGAIN);
	CHECK_EQ(info.si_signo, 77);
	send_self(RT0, 1);
	CHECK_EQ(sigtimedwait(&set, &info, &at_once), RT0);
	CHECK_ERR(sigtimedwait(&set, &info, &at_once), EAGAIN);
}

TEST(sigtimedwait_waits_for_its_time_at_least)
{
	const sigset_t set = SET(RT0);
	const struct timespec wanted = {0, 30000000};
	struct timespec before, after;

	block(set);
	for (int i = 0; i < 3; i++) {
		CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &before));
		CHECK_ERR(sigtimedwait(&set, NULL, &wanted), EAGAIN);
		CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &after));
		const long ns =
			(long)(after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec;
		CHECK(ns >= wanted.tv_nsec);
	}
}

TEST(timeout_that_is_none_is_einval)
{
	static const struct timespec bad[] = {{0, 1000000000}, {0, -1}, {1, 2000000000}, {-1, 0}};
	const sigset_t set = SET(RT0);

	block(set);
	for (int i = 0; i < 4; i++)
		CHECK_ERR(sigtimedwait(&set, NULL, &bad[i]), EINVAL);
}

#ifndef TEST_KERNEL
// POSIX wants that it is judged only then; the kernel judges it first.
TEST(timeout_does_not_matter_when_a_signal_is_there)
{
	const sigset_t set = SET(RT0, SIGUSR1);
	const struct timespec bad = {0, 1000000000};

	block(set);
	send_self(RT0, 1);
	CHECK_EQ(sigtimedwait(&set, NULL, &bad), RT0);
	CHECK_OK(raise(SIGUSR1));
	CHECK_EQ(sigtimedwait(&set, NULL, &bad), SIGUSR1);
	CHECK_ERR(sigtimedwait(&set, NULL, &bad), EINVAL);
}
#endif

/* ---- asleep ---- */

struct taker {
	pthread_t thread;
	atomic_int tid;
	int way; // 0 sigwait, 1 sigwaitinfo, 2 sigtimedwait
	sigset_t set;
	int result, error, sig;
	siginfo_t info;
	atomic_int done;
};

static void *take_in_thread(void *arg)
{
	struct taker *t = arg;

	atomic_store(&t->tid, gettid());
	if (t->way == 0) {
		t->error = sigwait(&t->set, &t->sig);
	} else {
		t->result = t->way == 1 ? sigwaitinfo(&t->set, &t->info)
		                        : sigtimedwait(&t->set, &t->info, &long_time);
		t->sig = t->result;
		t->error = t->result == -1 ? errno : 0;
	}
	atomic_store(&t->done, 1);
	return NULL;
}

static void start_taker(struct taker *t, int way, sigset_t set)
{
	memset(t, 0, sizeof(*t));
	t->way = way;
	t->set = set;
	CHECK_EQ(pthread_create(&t->thread, NULL, take_in_thread, t), 0);
	wait_count(&t->tid, 1);
	test_wait_asleep(atomic_load(&t->tid));
}

static void finish_taker(struct taker *t)
{
	CHECK_EQ(pthread_join(t->thread, NULL), 0);
}

TEST(sleeping_taker_gets_the_signal)
{
	struct taker t;

	block(SET(SIGUSR1, RT0));
	for (int way = 0; way < 3; way++) {
		for (int i = 0; i < KINDS * 3; i++) {
			const int sig = one_of_kind(i % KINDS);
			start_taker(&t, way, SET(SIGUSR1, RT0));
			if (i / KINDS == 0)
				send_self(sig, 4);
			else if (i / KINDS == 1)
				CHECK_OK(kill(getpid(), sig));
			else
				CHECK_EQ(pthread_kill(t.thread, sig), 0);
			finish_taker(&t);
			CHECK_EQ(t.error, 0);
			CHECK_EQ(t.sig, sig);
			if (way > 0 && i / KINDS == 0)
				CHECK_EQ(t.info.si_value.sival_int, 4);
		}
	}
}

TEST(handler_ends_sigwaitinfo_and_sigtimedwait_and_not_sigwait)
{
	struct taker t;

	for (int i = 0; i < KINDS; i++) {
		const int handled = i ? RT1 : SIGUSR2;
		block(SET(SIGUSR1, RT0));
		for (int way = 0; way < 3; way++) {
			for (int flags = 0; flags <= SA_RESTART; flags += SA_RESTART) {
				forget_notes();
				handle(handled, note, flags);
				start_taker(&t, way, SET(SIGUSR1, RT0));
				CHECK_EQ(pthread_kill(t.thread, handled), 0);
				wait_count(&noted, 1);
				if (way == 0) {
					test_wait_asleep(atomic_load(&t.tid));
					send_self(RT0, 1);
				}
				finish_taker(&t);
				CHECK_EQ(t.error, way == 0 ? 0 : EINTR);
				expect_none(SET(SIGUSR1, RT0));
			}
		}
	}
}

TEST(taken_and_handled_signals_do_not_disturb_each_other)
{
	struct taker t;

	note_signal(RT1);
	note_signal(RT0);
	block(SET(RT0));
	for (int i = 0; i < 200; i++) {
		start_taker(&t, 0, SET(RT0));
		CHECK_EQ(pthread_kill(t.thread, RT1), 0);
		send_self(RT0, i);
		finish_taker(&t);
		CHECK_EQ(t.sig, RT0);
	}
	wait_count(&noted, 200);
	CHECK_EQ(atomic_load(&noted), 200);
	for (int i = 0; i < 200; i++)
		CHECK_EQ(notes[i].sig, RT1);
}

TEST(ignored_and_blocked_signals_do_not_end_a_wait)
{
	struct taker t;

	block(SET(RT0, RT2));
	dispose(SIGUSR2, SIG_IGN);
	dispose(RT1, SIG_IGN);
	start_taker(&t, 1, SET(RT0));
	for (int i = 0; i < 20; i++) {
		CHECK_EQ(pthread_kill(t.thread, SIGUSR2), 0);
		CHECK_EQ(pthread_kill(t.thread, RT1), 0);
		send_self(RT2, i);
	}
	test_wait_asleep(atomic_load(&t.tid));
	CHECK_EQ(atomic_load(&t.done), 0);
	send_self(RT0, 1);
	finish_taker(&t);
	CHECK_EQ(t.sig, RT0);
	for (int i = 0; i < 20; i++)
		take_value(SET(RT2), RT2, i);
}

// Kernel's and queued signals to one sleeper, one after the other.
TEST(sleeper_gets_signals_of_every_origin)
{
	static const int origins = 5;

	block(SET(SIGALRM, SIGCHLD, RT0, SIGUSR1));
	for (int i = 0; i < 5 * origins; i++) {
		struct taker t;
		start_taker(&t, 1 + i % 2, SET(SIGALRM, SIGCHLD, RT0, SIGUSR1));
		if (i % origins == 0)
			CHECK_OK(syscall(SYS_kill, getpid(), SIGUSR1));
		else if (i % origins == 1)
			CHECK_OK(syscall(SYS_kill, getpid(), RT0));
		else if (i % origins == 2)
			send_self(RT0, 1);
		else if (i % origins == 3)
			CHECK_OK(syscall(SYS_tgkill, getpid(), atomic_load(&t.tid), RT0));
		else
			CHECK_OK(kill(getpid(), SIGALRM));
		finish_taker(&t);
		CHECK_EQ(t.error, 0);
	}
	expect_none(SET(SIGALRM, SIGCHLD, RT0, SIGUSR1));
}

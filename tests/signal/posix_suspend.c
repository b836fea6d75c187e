// SPDX-License-Identifier: MIT
//
// tests/signal/posix_suspend.c - sigsuspend and pause: no signal is lost between the change of the mask and the sleep,
// only a handler ends them, and the mask is as before.
#include "signals.h"

TEST(sigsuspend_delivers_what_is_pending_and_restores_the_mask)
{
	for (int i = 0; i < KINDS; i++) {
		const sigset_t mask = SET(SIGUSR2, RT1);
		forget_notes();
		note_signal(one_of_kind(i));
		note_signal(SIGUSR2);
		note_signal(RT1);
		block(SET(one_of_kind(i)));
		unblock(SET(SIGUSR2, RT1));
		send_self(one_of_kind(i), 6);
		CHECK_ERR(sigsuspend(&mask), EINTR);
		CHECK_EQ(atomic_load(&noted), 1);
		expect_note(0, one_of_kind(i), 6);
		CHECK(is_blocked(one_of_kind(i)) && !is_blocked(SIGUSR2) && !is_blocked(RT1));
	}
}

static sigset_t inside;

static void look_at_mask(int sig, siginfo_t *info, void *context)
{
	note(sig, info, context);
	CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &inside));
}

TEST(handler_runs_with_the_mask_of_sigsuspend)
{
	for (int i = 0; i < KINDS; i++) {
		const sigset_t mask = SET(SIGUSR2);
		handle_masked(one_of_kind(i), look_at_mask, 0, SET(SIGHUP));
		change_mask(SIG_SETMASK, SET(one_of_kind(i), RT1));
		send_self(one_of_kind(i), 6);
		CHECK_ERR(sigsuspend(&mask), EINTR);
		CHECK(sigismember(&inside, SIGUSR2) && sigismember(&inside, SIGHUP));
		CHECK(sigismember(&inside, one_of_kind(i)) && !sigismember(&inside, RT1));
	}
}

TEST(sigsuspend_lets_nothing_through_that_its_mask_blocks)
{
	sigset_t mask = all_signals();

	note_one_by_one(SET(SIGUSR1, SIGUSR2, RT0, RT1));
	CHECK_OK(sigdelset(&mask, RT1));
	block(SET(SIGUSR1, SIGUSR2, RT0, RT1));
	send_self(SIGUSR1, 1);
	send_self(RT0, 2);
	send_self(RT1, 3);
	CHECK_ERR(sigsuspend(&mask), EINTR);
	CHECK_EQ(atomic_load(&noted), 1);
	expect_note(0, RT1, 3);
	CHECK(is_pending(SIGUSR1) && is_pending(RT0));
}

TEST(sigsuspend_delivers_a_whole_burst)
{
	const sigset_t none = NO_SIGNALS;

	note_signal(RT0);
	block(SET(RT0));
	for (int i = 0; i < 100; i++)
		send_self(RT0, i);
	CHECK_ERR(sigsuspend(&none), EINTR);
	while (is_pending(RT0))
		CHECK_ERR(sigsuspend(&none), EINTR);
	CHECK_EQ(atomic_load(&noted), 100);
	for (int i = 0; i < 100; i++)
		expect_note(i, RT0, i);
}

/* ---- asleep ---- */

struct sleeper {
	struct stage stage;
	int sig;
	bool pauses;
};

static void sleep_for_one(void *arg)
{
	struct sleeper *s = arg;
	const sigset_t none = NO_SIGNALS;

	note_signal(s->sig);
	dispose(SIGUSR2, SIG_IGN);
	dispose(RT2, SIG_IGN);
	if (!s->pauses)
		block(SET(s->sig));
	arrive(&s->stage);
	if (s->pauses)
		CHECK_ERR(pause(), EINTR);
	else
		CHECK_ERR(sigsuspend(&none), EINTR);
	CHECK_EQ(atomic_load(&noted), 1);
	expect_note(0, s->sig, 9);
}

TEST(only_a_handler_ends_sigsuspend_and_pause)
{
	struct sleeper *s = share(sizeof(*s));

	for (int i = 0; i < KINDS * 2; i++) {
		s->sig = one_of_kind(i / 2);
		s->pauses = i % 2;
		const pid_t pid = fork_ready(sleep_for_one, &s->stage);
		test_wait_asleep(pid);
		for (int n = 0; n < 10; n++) {
			CHECK_OK(kill(pid, SIGUSR2));
			send_value(pid, RT2, 1);
			CHECK_OK(kill(pid, SIGCHLD));
			CHECK_OK(kill(pid, SIGWINCH));
		}
		CHECK_OK(kill(pid, SIGSTOP));
		expect_stopped(pid, SIGSTOP);
		CHECK_OK(kill(pid, SIGCONT));
		expect_continued(pid);
		test_wait_asleep(pid);
		send_value(pid, s->sig, 9);
		test_join(pid);
	}
}

TEST(default_action_ends_a_sleeper)
{
	struct sleeper *s = share(sizeof(*s));

	for (int i = 0; i < 4; i++) {
		s->sig = RT0;
		s->pauses = i % 2;
		const pid_t pid = fork_ready(sleep_for_one, &s->stage);
		test_wait_asleep(pid);
		send_value(pid, i < 2 ? SIGTERM : RT1, 1);
		expect_killed(pid, i < 2 ? SIGTERM : RT1);
	}
}

/* ---- ping-pong ---- */

static pid_t peer;
static volatile sig_atomic_t pongs;

static void count_pong(int sig)
{
	(void)sig;
	pongs++;
}

// One signal each way at a time: a lost one leaves both asleep.
static void play(int sig, pid_t with, int rounds, bool serves)
{
	const sigset_t none = NO_SIGNALS;

	for (int i = 1; i <= rounds; i++) {
		if (serves)
			CHECK_OK(kill(with, sig));
		while (pongs < i)
			CHECK_ERR(sigsuspend(&none), EINTR);
		CHECK_EQ(pongs, i);
		if (!serves)
			CHECK_OK(kill(with, sig));
	}
}

static void play_back(void *arg)
{
	const int *sig_and_rounds = arg;

	pongs = 0;
	play(sig_and_rounds[0], peer, sig_and_rounds[1], false);
}

TEST(ping_pong_loses_no_signal)
{
	peer = getpid();
	for (int i = 0; i < KINDS; i++) {
		int game[2] = {one_of_kind(i), 4000 / SLOWER};
		struct sigaction sa = {.sa_handler = count_pong};
		CHECK_OK(sigaction(game[0], &sa, NULL));
		block(SET(game[0]));
		pongs = 0;
		const pid_t pid = test_fork(play_back, game);
		play(game[0], pid, game[1], true);
		test_join(pid);
	}
}

// The same with three who pass it around, by value.
static void pass_on(void *arg)
{
	const sigset_t none = NO_SIGNALS;
	struct stage *s = arg;
	const pid_t next = s->pid;

	forget_notes();
	note_signal(RT0);
	arrive(s);
	for (int i = 0; i < 1000 / SLOWER; i++) {
		while (atomic_load(&noted) == i)
			CHECK_ERR(sigsuspend(&none), EINTR);
		expect_note(i, RT0, i);
		send_value(next, RT0, i);
	}
}

TEST(ring_of_processes_passes_a_signal_around)
{
	struct stage *s = share(sizeof(*s));
	const sigset_t none = NO_SIGNALS;

	note_signal(RT0);
	block(SET(RT0));
	s->pid = getpid();
	const pid_t last = fork_ready(pass_on, s);
	s->pid = last;
	const pid_t middle = fork_ready(pass_on, s);
	for (int i = 0; i < 1000 / SLOWER; i++) {
		send_value(middle, RT0, i);
		while (atomic_load(&noted) == i)
			CHECK_ERR(sigsuspend(&none), EINTR);
		expect_note(i, RT0, i);
	}
	test_join(last);
	test_join(middle);
}

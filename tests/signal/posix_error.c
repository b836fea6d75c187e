// SPDX-License-Identifier: MIT
//
// tests/signal/posix_error.c - what the calls refuse: signals that are none, SIGKILL and SIGSTOP, processes that
// are not there, arguments without meaning; and that a refused call has changed nothing.
//
#include "signals.h"

#include <sys/time.h>

static const int no_signal[] = {-1, -SIGUSR1, 65, 1000, 0x7fffffff};

enum { NO_SIGNALS_MAX = sizeof(no_signal) / sizeof(no_signal[0]) };

static void do_nothing(int sig)
{
	(void)sig;
}

static void exit_at_once(void *arg)
{
	(void)arg;
}

static pid_t gone_process(void)
{
	const pid_t pid = test_fork(exit_at_once, NULL);

	test_join(pid);
	return pid;
}

TEST(sending_what_is_no_signal_is_einval)
{
	for (int i = 0; i < NO_SIGNALS_MAX; i++) {
		const int sig = no_signal[i];
		CHECK_ERR(kill(getpid(), sig), EINVAL);
		CHECK_ERR(killpg(getpgrp(), sig), EINVAL);
		CHECK_ERR(sigqueue(getpid(), sig, value_of(1)), EINVAL);
		CHECK_ERR(raise(sig), EINVAL);
		CHECK_EQ(pthread_kill(pthread_self(), sig), EINVAL);
	}
	CHECK(nothing_is_pending());
}

TEST(queueing_to_a_thread_what_is_no_signal_is_einval)
{
	block(SET(RT0));
	send_to_thread(pthread_self(), RT0, 1);
	take_value(SET(RT0), RT0, 1);
	for (int i = 0; i < NO_SIGNALS_MAX; i++)
		CHECK_EQ(pthread_sigqueue(pthread_self(), no_signal[i], value_of(1)), EINVAL);
	CHECK(nothing_is_pending());
}

TEST(signal_0_asks_and_sends_nothing)
{
	block(all_signals());
	CHECK_OK(kill(getpid(), 0));
	CHECK_OK(kill(0, 0));
	CHECK_OK(kill(-getpgrp(), 0));
	CHECK_OK(killpg(getpgrp(), 0));
	CHECK_OK(killpg(0, 0));
	CHECK_OK(raise(0));
	CHECK_OK(sigqueue(getpid(), 0, value_of(1)));
	CHECK_EQ(pthread_kill(pthread_self(), 0), 0);
	CHECK(nothing_is_pending());
}

TEST(sending_to_nobody_is_esrch)
{
	const pid_t gone = gone_process();

	for (int sig = 0; sig < 32; sig += SIGUSR1) {
		CHECK_ERR(kill(gone, sig), ESRCH);
		CHECK_ERR(kill(0x7ffffffe, sig), ESRCH);
		CHECK_ERR(kill(-gone, sig), ESRCH);
		CHECK_ERR(killpg(gone, sig), ESRCH);
		CHECK_ERR(sigqueue(gone, sig, value_of(1)), ESRCH);
	}
	CHECK_ERR(kill(gone, RT0), ESRCH);
	CHECK_ERR(sigqueue(gone, RT0, value_of(1)), ESRCH);
	CHECK_ERR(sigqueue(0x7ffffffe, RT0, value_of(1)), ESRCH);
}

TEST(process_that_used_to_get_signals_and_is_gone_is_esrch)
{
	struct stage *s = share(sizeof(*s));
	const pid_t pid = test_fork(exit_at_once, s);

	block(SET(RT0));
	send_self(RT0, 1);
	take_value(SET(RT0), RT0, 1);
	CHECK_OK(waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED | WNOWAIT));
	CHECK_OK(sigqueue(pid, RT0, value_of(1))); // a zombie is still there
	CHECK_OK(kill(pid, SIGUSR1));
	CHECK_OK(kill(pid, 0));
	test_join(pid);
	CHECK_ERR(sigqueue(pid, RT0, value_of(1)), ESRCH);
	CHECK_ERR(kill(pid, 0), ESRCH);
}

TEST(negative_group_is_einval)
{
	CHECK_ERR(killpg(-2, SIGUSR1), EINVAL);
	CHECK_ERR(killpg(-2, 0), EINVAL);
}

TEST(disposition_of_what_is_no_signal_is_einval)
{
	struct sigaction sa = {.sa_handler = do_nothing};

	for (int i = 0; i < NO_SIGNALS_MAX; i++) {
		CHECK_ERR(sigaction(no_signal[i], &sa, NULL), EINVAL);
		CHECK_ERR(sigaction(no_signal[i], NULL, &sa), EINVAL);
		CHECK(signal(no_signal[i], do_nothing) == SIG_ERR);
		CHECK_EQ(errno, EINVAL);
		CHECK(sa.sa_handler == do_nothing);
	}
	CHECK_ERR(sigaction(0, &sa, NULL), EINVAL);
	CHECK(signal(0, SIG_IGN) == SIG_ERR);
	CHECK(signal(SIGUSR1, SIG_ERR) == SIG_ERR);
	CHECK(disposition_of(SIGUSR1) == SIG_DFL);
}

TEST(sigkill_and_sigstop_cannot_be_handled_or_ignored)
{
	static const int those[] = {SIGKILL, SIGSTOP};

	for (int i = 0; i < 2; i++) {
		struct sigaction sa = {.sa_handler = do_nothing};
		struct sigaction old = {.sa_handler = do_nothing};
		CHECK_ERR(sigaction(those[i], &sa, &old), EINVAL);
		CHECK(old.sa_handler == do_nothing);
		sa.sa_handler = SIG_IGN;
		CHECK_ERR(sigaction(those[i], &sa, NULL), EINVAL);
		sa.sa_handler = SIG_DFL;
		CHECK_ERR(sigaction(those[i], &sa, NULL), EINVAL);
		CHECK(signal(those[i], do_nothing) == SIG_ERR);
		CHECK_EQ(errno, EINVAL);
		CHECK(signal(those[i], SIG_IGN) == SIG_ERR);
		CHECK_EQ(errno, EINVAL);
		CHECK_OK(sigaction(those[i], NULL, &old));
		CHECK(old.sa_handler == SIG_DFL);
	}
}

TEST(sigkill_and_sigstop_are_silently_not_blocked)
{
	block(SET(SIGKILL, SIGSTOP, SIGUSR1));
	CHECK(!is_blocked(SIGKILL));
	CHECK(!is_blocked(SIGSTOP));
	CHECK(is_blocked(SIGUSR1));
	change_mask(SIG_SETMASK, all_signals());
	CHECK(!is_blocked(SIGKILL));
	CHECK(!is_blocked(SIGSTOP));
	const sigset_t all = all_signals();
	CHECK_EQ(pthread_sigmask(SIG_SETMASK, &all, NULL), 0);
	CHECK(!is_blocked(SIGKILL));
	CHECK(!is_blocked(SIGSTOP));
}

static void block_all_and_wait(void *arg)
{
	block(all_signals());
	for (int sig = 1; sig <= SIGRTMAX; sig++)
		signal(sig, SIG_IGN);
	arrive(arg);
	for (;;)
		pause();
}

TEST(who_blocks_and_ignores_all_is_stopped_and_killed)
{
	struct stage *s = share(sizeof(*s));
	const pid_t pid = fork_ready(block_all_and_wait, s);

	for (int sig = 1; sig <= SIGRTMAX; sig++)
		if (sig != SIGKILL && sig != SIGSTOP && (sig < 32 || sig >= SIGRTMIN))
			CHECK_OK(kill(pid, sig));
	CHECK_OK(kill(pid, SIGSTOP));
	expect_stopped(pid, SIGSTOP);
	CHECK_OK(kill(pid, SIGCONT));
	expect_continued(pid);
	send_value(pid, SIGSTOP, 1);
	expect_stopped(pid, SIGSTOP);
	send_value(pid, SIGKILL, 1);
	expect_killed(pid, SIGKILL);
}

TEST(mask_changed_in_no_known_way_is_einval_and_stays)
{
	const sigset_t set = SET(SIGUSR1);
	sigset_t old = SET(SIGUSR2);

	CHECK_ERR(sigprocmask(99, &set, NULL), EINVAL);
	CHECK_ERR(sigprocmask(-1, &set, &old), EINVAL);
	CHECK_EQ(pthread_sigmask(99, &set, NULL), EINVAL);
	CHECK(!is_blocked(SIGUSR1));
	// Without a set, how does not matter.
	CHECK_OK(sigprocmask(99, NULL, &old));
	CHECK_EQ(sigismember(&old, SIGUSR2), 0);
	CHECK_EQ(pthread_sigmask(99, NULL, &old), 0);
	CHECK_OK(sigprocmask(SIG_BLOCK, NULL, NULL));
}

TEST(sets_take_signals_only)
{
	sigset_t set;

	CHECK_OK(sigemptyset(&set));
	for (int sig = 1; sig <= SIGRTMAX; sig++)
		CHECK_EQ(sigismember(&set, sig), 0);
	CHECK_OK(sigaddset(&set, SIGUSR1));
	CHECK_OK(sigaddset(&set, SIGRTMAX));
	CHECK_EQ(sigismember(&set, SIGUSR1), 1);
	CHECK_EQ(sigismember(&set, SIGRTMAX), 1);
	CHECK_OK(sigdelset(&set, SIGUSR1));
	CHECK_EQ(sigismember(&set, SIGUSR1), 0);
	for (int i = 0; i < NO_SIGNALS_MAX; i++) {
		CHECK_ERR(sigaddset(&set, no_signal[i]), EINVAL);
		CHECK_ERR(sigdelset(&set, no_signal[i]), EINVAL);
		CHECK_ERR(sigismember(&set, no_signal[i]), EINVAL);
	}
	CHECK_ERR(sigaddset(&set, 0), EINVAL);
	CHECK_OK(sigfillset(&set));
	for (int sig = 1; sig <= SIGRTMAX; sig++)
		if (sig < 32 || sig >= SIGRTMIN)
			CHECK_EQ(sigismember(&set, sig), 1);
}

TEST(alternate_stacks_that_are_none_are_refused)
{
	static char memory[65536];
	stack_t stack = {.ss_sp = memory, .ss_size = sizeof(memory), .ss_flags = 0x55};
	stack_t old;

	CHECK_ERR(sigaltstack(&stack, NULL), EINVAL);
	stack.ss_flags = 0;
	stack.ss_size = 100;
	CHECK_ERR(sigaltstack(&stack, NULL), ENOMEM);
	CHECK_OK(sigaltstack(NULL, &old));
	CHECK(SANITIZED || (old.ss_flags & SS_DISABLE)); // a sanitizer has one of its own
}

TEST(timers_that_are_none_are_refused)
{
	struct itimerval it = {.it_value = {0, 1000000}};
	struct itimerval old;

	CHECK_ERR(setitimer(ITIMER_REAL, &it, NULL), EINVAL);
	it.it_value = (struct timeval){-1, 0};
	CHECK_ERR(setitimer(ITIMER_REAL, &it, NULL), EINVAL);
	it.it_value = (struct timeval){0, 0};
	CHECK_ERR(setitimer((__typeof__(ITIMER_REAL))9, &it, NULL), EINVAL);
	CHECK_ERR(getitimer((__typeof__(ITIMER_REAL))9, &old), EINVAL);
	CHECK_OK(getitimer(ITIMER_REAL, &old));
	CHECK_EQ(old.it_value.tv_sec + old.it_value.tv_usec, 0);
}

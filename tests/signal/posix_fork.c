// SPDX-License-Identifier: MIT
//
// tests/signal/posix_fork.c - fork: nothing is pending in the child, mask and dispositions are kept, and it gets
// signals of its own from its first moment on; vfork, posix_spawn, system.
#include "signals.h"

#include <spawn.h>

/* ---- what a child has ---- */

static void have_nothing_pending(void *arg)
{
	(void)arg;
	CHECK(nothing_is_pending());
	CHECK(is_blocked(SIGUSR1) && is_blocked(RT0) && !is_blocked(RT1));
	expect_none(SET(SIGUSR1, RT0));
	unblock(SET(SIGUSR1, RT0));
	CHECK_EQ(atomic_load(&noted), 0);
}

TEST(nothing_is_pending_in_a_forked_child)
{
	note_signal(SIGUSR1);
	note_signal(RT0);
	block(SET(SIGUSR1, RT0));
	for (int i = 0; i < 10; i++) {
		send_self(SIGUSR1, i);
		send_self(RT0, i);
		CHECK_EQ(pthread_kill(pthread_self(), RT0), 0);
	}
	CHECK(is_pending(RT0));
	test_join(test_fork(have_nothing_pending, NULL));
	CHECK(is_pending(RT0) && is_pending(SIGUSR1)); // here it all is
	unblock(SET(SIGUSR1, RT0));
	CHECK_EQ(atomic_load(&noted), 21);
}

static void handle_own_signals(void *arg)
{
	struct sigaction sa;

	(void)arg;
	CHECK_OK(sigaction(RT0, NULL, &sa));
	CHECK(sa.sa_sigaction == note && (sa.sa_flags & SA_SIGINFO));
	CHECK_EQ(sigismember(&sa.sa_mask, SIGHUP), 1);
	CHECK(disposition_of(SIGUSR2) == SIG_IGN);
	CHECK(is_blocked(RT0));
	for (int i = 0; i < 100; i++)
		send_self(RT0, i);
	send_self(SIGUSR2, 1);
	unblock(SET(RT0));
	CHECK_EQ(atomic_load(&noted), 100);
	for (int i = 0; i < 100; i++)
		expect_note(i, RT0, i);
	take_value(SET(RT1), RT1, getppid());
}

TEST(child_keeps_mask_and_dispositions)
{
	handle_masked(RT0, note, 0, SET(SIGHUP));
	dispose(SIGUSR2, SIG_IGN);
	block(SET(RT0, RT1));
	send_self(RT0, 1);
	const pid_t pid = test_fork(handle_own_signals, NULL);
	send_value(pid, RT1, getpid());
	test_join(pid);
	unblock(SET(RT0));
	CHECK_EQ(atomic_load(&noted), 1);
}

static void change_all(void *arg)
{
	(void)arg;
	dispose(RT0, SIG_IGN);
	dispose(SIGUSR1, SIG_DFL);
	unblock(SET(RT0));
	block(SET(SIGUSR1));
}

TEST(what_a_child_changes_does_not_matter_to_the_parent)
{
	note_signal(RT0);
	note_signal(SIGUSR1);
	block(SET(RT0));
	test_join(test_fork(change_all, NULL));
	CHECK(is_blocked(RT0) && !is_blocked(SIGUSR1));
	send_self(SIGUSR1, 1);
	send_self(RT0, 2);
	unblock(SET(RT0));
	expect_note(0, SIGUSR1, 1);
	expect_note(1, RT0, 2);
}

/* ---- signals to a child that has done nothing yet ---- */

static void take_without_more_ado(void *arg)
{
	(void)arg;
	for (int i = 0; i < 50; i++)
		take_value(SET(RT0), RT0, i);
	expect_none(SET(RT0));
}

static void compute_with_the_handler(void *arg)
{
	(void)arg;
	unblock(SET(RT0));
	compute_until(&noted, 50);
	for (int i = 0; i < 50; i++)
		expect_note(i, RT0, i);
}

TEST(signals_sent_right_after_the_fork_reach_the_child_in_order)
{
	note_signal(RT0);
	block(SET(RT0));
	send_self(RT0, 77);
	for (int round = 0; round < 30; round++) {
		const pid_t pid =
			test_fork(round % 2 ? compute_with_the_handler : take_without_more_ado, NULL);
		for (int i = 0; i < 50; i++)
			send_value(pid, RT0, i);
		test_join(pid);
	}
	take_value(SET(RT0), RT0, 77);
	expect_none(SET(RT0));
}

/* ---- while signals come ---- */

struct flood {
	struct stage stage;
	int count;
};

static void send_flood(void *arg)
{
	struct flood *f = arg;

	for (int i = 0; i < f->count; i++)
		while (sigqueue(f->stage.pid, RT0, value_of(i)) == -1) {
			CHECK_EQ(errno, EAGAIN);
			sched_yield();
		}
	atomic_store(&f->stage.over, 1);
}

static void end_at_once(void *arg)
{
	(void)arg;
	send_self(RT1, 1);
}

TEST(fork_in_the_middle_of_a_stream_loses_nothing)
{
	struct flood *f = share(sizeof(*f));

	note_signal(RT0);
	handle(RT1, note, 0);
	f->stage.pid = getpid();
	f->count = 5000 / SLOWER;
	const pid_t pid = test_fork(send_flood, f);
	while (!atomic_load(&f->stage.over))
		test_join(test_fork(end_at_once, NULL));
	test_join(pid);
	compute_until(&noted, f->count);
	for (int i = 0; i < f->count; i++)
		expect_note(i, RT0, i);
}

static pid_t forked_inside;

static void fork_inside(int sig, siginfo_t *info, void *context)
{
	note(sig, info, context);
	if (info->si_value.sival_int != 5)
		return;
	forked_inside = fork();
	if (forked_inside == 0) {
		CHECK(is_blocked(sig));
		CHECK(!is_pending(sig));
		send_self(sig, 50);
		CHECK(is_pending(sig));
	}
}

TEST(fork_inside_a_handler)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		forget_notes();
		handle(sig, fork_inside, 0);
		forked_inside = -1;
		block(SET(sig));
		for (int n = 5; n < 10; n++)
			send_self(sig, n);
		unblock(SET(sig));
		if (forked_inside == 0) { // the rest was the parent's
			CHECK_EQ(atomic_load(&noted), 2);
			expect_note(1, sig, 50);
			_exit(0);
		}
		test_join(forked_inside);
		CHECK_EQ(atomic_load(&noted), sig == RT0 ? 5 : 1);
	}
}

static void fork_deeper(void *arg)
{
	int *depth = arg;

	send_self(RT0, *depth);
	if (--*depth > 0)
		test_join(test_fork(fork_deeper, depth));
	take_value(SET(RT0), RT0, *depth + 1);
	expect_none(SET(RT0));
}

TEST(each_generation_has_its_own_signals)
{
	int depth = 6;

	block(SET(RT0));
	fork_deeper(&depth);
}

/* ---- threads ---- */

static void *fork_in_thread(void *arg)
{
	(void)arg;
	unblock(SET(SIGUSR1));
	block(SET(RT1));
	const pid_t pid = (pid_t)CHECK_OK(fork());
	if (pid == 0) {
		CHECK(is_blocked(RT0) && is_blocked(RT1) && !is_blocked(SIGUSR1));
		send_self(RT0, 3);
		take_value(SET(RT0), RT0, 3);
		_exit(0);
	}
	test_join(pid);
	return NULL;
}

TEST(child_of_a_thread_has_that_threads_mask)
{
	pthread_t thread;

	block(SET(SIGUSR1, RT0));
	send_self(RT0, 1);
	CHECK_EQ(pthread_create(&thread, NULL, fork_in_thread, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	take_value(SET(RT0), RT0, 1);
}

/* ---- vfork, posix_spawn, system ---- */

TEST(vforked_child_leaves_the_parents_signals_alone)
{
	note_signal(RT0);
	block(SET(RT0));
	for (int i = 0; i < 20; i++) {
		send_self(RT0, i);
		const pid_t pid = vfork();
		if (pid == 0)
			_exit(0);
		test_join(pid);
	}
	unblock(SET(RT0));
	CHECK_EQ(atomic_load(&noted), 20);
	for (int i = 0; i < 20; i++)
		expect_note(i, RT0, i);
}

// As those who start programs do: what the parent does at its signals is not for the new program.
static void start_fresh(void)
{
	struct sigaction sa;
	const sigset_t none = NO_SIGNALS;

	for (int sig = 1; sig < 65; sig++)
		if (sigaction(sig, NULL, &sa) == 0 && sa.sa_handler != SIG_DFL) {
			sa.sa_handler = SIG_DFL;
			sa.sa_flags = 0;
			sigaction(sig, &sa, NULL);
		}
	sigprocmask(SIG_SETMASK, &none, NULL);
	execlp("sh", "sh", "-c", "kill -TERM $$; exit 3", (char *)NULL);
	_exit(127);
}

TEST(what_a_vforked_child_does_to_its_signals_is_not_done_to_its_parents)
{
	note_signal(RT0);
	note_signal(SIGUSR1);
	dispose(SIGTERM, SIG_IGN);
	block(SET(RT0));
	for (int i = 0; i < 20; i++) {
		send_self(RT0, i);
		const pid_t pid = vfork();
		if (pid == 0)
			start_fresh();
		expect_killed((pid_t)CHECK_OK(pid), SIGTERM);
		CHECK(is_blocked(RT0) && is_pending(RT0));
		CHECK(disposition_of(SIGTERM) == SIG_IGN);
	}
	unblock(SET(RT0));
	CHECK_OK(kill(getpid(), SIGUSR1));
	CHECK_EQ(atomic_load(&noted), 21);
	for (int i = 0; i < 20; i++)
		expect_note(i, RT0, i);
	CHECK_EQ(notes[20].sig, SIGUSR1);
}

static pid_t spawn_shell(const char *script, posix_spawnattr_t *attributes)
{
	char *argv[] = {"sh", "-c", (char *)script, NULL};
	char *environment[] = {NULL};
	pid_t pid;

	CHECK_EQ(posix_spawn(&pid, "/bin/sh", NULL, attributes, argv, environment), 0);
	return pid;
}

TEST(spawned_program_has_the_default_for_what_was_handled)
{
	posix_spawnattr_t attributes;
	const sigset_t none = NO_SIGNALS;
	const sigset_t term = SET(SIGTERM);

	note_signal(SIGTERM);
	expect_killed(spawn_shell("kill -TERM $$; exit 3", NULL), SIGTERM);
	dispose(SIGTERM, SIG_IGN);
	expect_exit(spawn_shell("kill -TERM $$; exit 3", NULL), 3);
	CHECK_EQ(posix_spawnattr_init(&attributes), 0);
	CHECK_EQ(posix_spawnattr_setsigdefault(&attributes, &term), 0);
	CHECK_EQ(posix_spawnattr_setsigmask(&attributes, &none), 0);
	CHECK_EQ(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK),
	         0);
	expect_killed(spawn_shell("kill -TERM $$; exit 3", &attributes), SIGTERM);
	CHECK_EQ(posix_spawnattr_destroy(&attributes), 0);
	CHECK(disposition_of(SIGTERM) == SIG_IGN);
}

TEST(system_runs_and_leaves_dispositions_and_mask)
{
	note_signal(SIGINT);
	note_signal(SIGCHLD);
	note_signal(RT0);
	for (int i = 0; i < 3; i++) {
		const int status = system("kill -INT $$; exit 4");
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
	}
	CHECK_EQ(WEXITSTATUS(system("exit 4")), 4);
	CHECK(!is_blocked(SIGCHLD));
	CHECK_OK(raise(SIGINT));
	CHECK_EQ(notes[atomic_load(&noted) - 1].sig, SIGINT);
	send_self(RT0, 1);
	CHECK_EQ(notes[atomic_load(&noted) - 1].sig, RT0);
}

TEST(system_ignores_sigint_and_sigquit_meanwhile)
{
	char command[96];

	note_signal(SIGINT);
	note_signal(SIGQUIT);
	snprintf(command, sizeof(command), "kill -INT %d; kill -QUIT %d; exit 5", (int)getpid(),
	         (int)getpid());
	const int status = system(command);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
	CHECK_EQ(atomic_load(&noted), 0);
}

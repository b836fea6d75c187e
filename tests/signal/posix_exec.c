// SPDX-License-Identifier: MIT
//
// tests/signal/posix_exec.c - exec: handlers are gone, what is ignored stays so, the mask stays, and what is pending is
// pending in the new program, with its value. The new program is this one again, told by its environment what to
// look for.
//
#include "signals.h"

extern char **environ;

static void expect_of_program(const char *what);

// Becomes the whole program where the environment says so.
__attribute__((constructor)) static void be_program(void)
{
	const char *what = getenv("SIGNAL_PROGRAM");

	if (!what)
		return;
	expect_of_program(what);
	_exit(0);
}

static void become_program(const char *what)
{
	char *argv[] = {"program", NULL};

	CHECK_OK(setenv("SIGNAL_PROGRAM", what, 1));
	execve("/proc/self/exe", argv, environ);
	CHECK(!"exec works");
}

/* ---- what is kept ---- */

static void set_dispositions(void *arg)
{
	(void)arg;
	dispose(SIGUSR1, SIG_IGN);
	dispose(RT0, SIG_IGN);
	note_signal(SIGUSR2);
	note_signal(RT1);
	handle(SIGTERM, note, SA_RESETHAND | SA_NODEFER);
	block(SET(SIGHUP, RT2));
	become_program("dispositions");
}

static void expect_dispositions(void)
{
	CHECK(disposition_of(SIGUSR1) == SIG_IGN && disposition_of(RT0) == SIG_IGN);
	CHECK(disposition_of(SIGUSR2) == SIG_DFL && disposition_of(RT1) == SIG_DFL);
	CHECK(disposition_of(SIGTERM) == SIG_DFL);
	CHECK(is_blocked(SIGHUP) && is_blocked(RT2) && !is_blocked(RT1) && !is_blocked(SIGUSR2));
	CHECK(nothing_is_pending());
	CHECK_OK(raise(SIGUSR1));
	send_self(RT0, 1);
	note_signal(RT0);
	send_self(RT0, 2);
	expect_note(0, RT0, 2);
}

TEST(handlers_are_reset_and_ignored_signals_and_the_mask_are_kept)
{
	test_join(test_fork(set_dispositions, NULL));
}

static void leave_something_pending(void *arg)
{
	const bool handled = arg != NULL;

	if (handled) {
		note_signal(SIGUSR1);
		note_signal(RT0);
		note_signal(RT1);
	}
	block(SET(SIGUSR1, RT0, RT1));
	send_self(SIGUSR1, 50);
	for (int i = 0; i < 20; i++) {
		send_self(RT1, 200 + i);
		send_self(RT0, 100 + i);
	}
	CHECK_OK(kill(getpid(), RT1));
	become_program("pending");
}

static void expect_pending(void)
{
	CHECK(is_pending(SIGUSR1) && is_pending(RT0) && is_pending(RT1));
	take_value(all_signals(), SIGUSR1, 50);
	for (int i = 0; i < 20; i++)
		take_value(SET(RT0, RT1), RT0, 100 + i);
	for (int i = 0; i < 10; i++)
		take_value(SET(RT0, RT1), RT1, 200 + i);
	note_signal(RT1);
	unblock(SET(RT1));
	CHECK_EQ(atomic_load(&noted), 11);
	for (int i = 0; i < 10; i++)
		expect_note(i, RT1, 210 + i);
	CHECK_EQ(notes[10].code, SI_USER);
	CHECK_EQ(notes[10].pid, getpid());
	CHECK_EQ(notes[0].pid, getpid());
	CHECK(nothing_is_pending());
}

TEST(pending_signals_are_kept_with_their_values)
{
	test_join(test_fork(leave_something_pending, NULL));
	test_join(test_fork(leave_something_pending, ""));
}

// Some were taken before, and it waits for others: they go through memory until the exec, and by the kernel after.
static void take_some_and_leave_some(void *arg)
{
	(void)arg;
	block(SET(RT0, RT1));
	send_self(RT0, -1);
	take_value(SET(RT0, RT1), RT0, -1);
	for (int i = 0; i < 1000; i++)
		send_self(RT0, i);
	take_value(SET(RT0, RT1), RT0, 0);
	become_program("many");
}

static void expect_many(void)
{
	for (int i = 1; i < 1000; i++)
		take_value(SET(RT0), RT0, i);
	expect_none(SET(RT0));
}

TEST(thousand_pending_signals_are_kept)
{
	test_join(test_fork(take_some_and_leave_some, NULL));
}

static void default_after_exec(void *arg)
{
	(void)arg;
	note_signal(RT0);
	block(SET(RT0));
	send_self(RT0, 1);
	become_program("default");
}

TEST(pending_signal_whose_handler_is_gone_takes_the_default_action)
{
	expect_killed(test_fork(default_after_exec, NULL), RT0);
}

/* ---- programs that know nothing of this library ---- */

static void look_by_shell(void *arg)
{
	char *argv[] = {"sh", "-c", arg, NULL};

	note_signal(SIGUSR1);
	note_signal(RT0);
	dispose(SIGUSR2, SIG_IGN);
	block(SET(RT0, SIGHUP));
	send_self(RT0, 1);
	send_self(RT0, 2);
	execv("/bin/sh", argv);
	_exit(9);
}

TEST(other_programs_inherit_the_kernels_view_of_it)
{
	char text[512];

	// RT0 pending, it and SIGHUP blocked, SIGUSR2 ignored, nothing caught but by the shell itself.
	snprintf(text, sizeof(text),
	         "while read -r key value; do case $key in "
	         "ShdPnd:) test $value = %016llx || exit 2 ;; "
	         "SigBlk:) test $value = %016llx || exit 3 ;; "
	         "SigIgn:) case $value in *8[0-9a-f][0-9a-f]) ;; *) exit 4 ;; esac ;; "
	         "esac; done </proc/self/status; exit 0",
	         1ULL << (RT0 - 1), 1ULL << (RT0 - 1) | 1ULL << (SIGHUP - 1));
	test_join(test_fork(look_by_shell, text));
}

/* ---- meanwhile others send ---- */

struct target {
	struct stage stage;
	int count;
};

static void take_part_and_exec(void *arg)
{
	struct target *t = arg;
	char text[32];

	block(SET(RT0));
	arrive(&t->stage);
	for (int i = 0; i < 100; i++)
		take_value(SET(RT0), RT0, i);
	snprintf(text, sizeof(text), "rest %d", t->count);
	become_program(text);
}

static void expect_rest(int count)
{
	for (int i = 100; i < count; i++)
		take_value(SET(RT0), RT0, i);
	expect_none(SET(RT0));
}

TEST(stream_goes_on_over_an_exec_in_order)
{
	struct target *t = share(sizeof(*t));

	t->count = 2000 / SLOWER;
	const pid_t pid = fork_ready(take_part_and_exec, &t->stage);
	for (int i = 0; i < t->count; i++)
		while (sigqueue(pid, RT0, value_of(i)) == -1) {
			CHECK_EQ(errno, EAGAIN);
			sched_yield();
		}
	test_join(pid);
}

static void fail_to_exec(void *arg)
{
	char *argv[] = {"nothing", NULL};

	(void)arg;
	note_signal(RT0);
	block(SET(RT0, RT1));
	expect_none(SET(RT1)); // from here on it is looked for
	for (int i = 0; i < 10; i++) {
		send_self(RT0, i);
		send_self(RT1, i);
	}
	CHECK_ERR(execv("/nonexistent/program", argv), ENOENT);
	for (int i = 10; i < 20; i++) {
		send_self(RT0, i);
		send_self(RT1, i);
	}
	for (int i = 0; i < 20; i++)
		take_value(SET(RT1), RT1, i);
	unblock(SET(RT0));
	CHECK_EQ(atomic_load(&noted), 20);
	for (int i = 0; i < 20; i++)
		expect_note(i, RT0, i);
}

TEST(exec_that_fails_changes_nothing)
{
	test_join(test_fork(fail_to_exec, NULL));
}

/* ---- the program ---- */

static void expect_of_program(const char *what)
{
	if (!strcmp(what, "dispositions"))
		expect_dispositions();
	else if (!strcmp(what, "pending"))
		expect_pending();
	else if (!strcmp(what, "many"))
		expect_many();
	else if (!strcmp(what, "default"))
		unblock(SET(RT0));
	else if (!strncmp(what, "rest ", 5))
		expect_rest(atoi(what + 5));
	else
		CHECK(!"the program knows what to look for");
}

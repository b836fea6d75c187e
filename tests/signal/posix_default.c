// SPDX-License-Identifier: MIT
//
// tests/signal/posix_default.c - what happens to a child that does nothing about a signal: each of the 31, and
// the real-time ones, in every way of sending it, by what waitpid tells the parent.
//
#include "default.h"

static char core_dir[] = "/tmp/posthaste-core-XXXXXX";

// Core files are allowed, small, and in a directory of their own; whether they are made is the system's affair.
static void allow_cores(void)
{
	struct rlimit limit;

	CHECK_OK(getrlimit(RLIMIT_CORE, &limit));
	limit.rlim_cur = limit.rlim_max;
	CHECK_OK(setrlimit(RLIMIT_CORE, &limit));
	CHECK(mkdtemp(core_dir) != NULL);
	CHECK_OK(chdir(core_dir));
	const int fd = (int)CHECK_OK(open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC));
	CHECK_EQ(write(fd, "0", 1), 1);
	CHECK_OK(close(fd));
}

static void remove_cores(void)
{
	DIR *dir = opendir(".");

	CHECK(dir != NULL);
	for (struct dirent *entry; (entry = readdir(dir));)
		if (entry->d_name[0] != '.')
			CHECK_OK(unlink(entry->d_name));
	closedir(dir);
	CHECK_OK(chdir("/"));
	CHECK_OK(rmdir(core_dir));
}

// The status of a signal that ends, by the plain system call, for each.
static void measure(struct victim *v, int status[32])
{
	v->way = BY_SYSTEM_CALL;
	for (v->sig = 1; v->sig < 32; v->sig++) {
		const enum action action = default_action[v->sig];
		status[v->sig] = action == ENDS || action == DUMPS ? happen(v, action) : 0;
	}
}

static void expect_table(enum way way, bool had_handler, bool sleeps)
{
	struct victim *v = share(sizeof(*v));
	int status[32];

	measure(v, status);
	v->way = way;
	v->had_handler = had_handler;
	v->sleeps = sleeps;
	for (v->sig = 1; v->sig < 32; v->sig++) {
		const enum action action = default_action[v->sig];
		const int got = happen(v, action);
		CHECK_EQ(got, status[v->sig]);
		if (action == ENDS || action == DUMPS)
			CHECK(WIFSIGNALED(got) && WTERMSIG(got) == v->sig);
		if (action == ENDS)
			CHECK(!WCOREDUMP(got));
	}
}

static void expect_table_with_cores(enum way way, bool had_handler)
{
	allow_cores();
	expect_table(way, had_handler, false);
	remove_cores();
}

static void expect_table_without_cores(enum way way, bool had_handler, bool sleeps)
{
	const struct rlimit none = {0, 0};

	CHECK_OK(setrlimit(RLIMIT_CORE, &none));
	expect_table(way, had_handler, sleeps);
}

TEST(default_action_of_each_signal_sent_by_kill)
{
	expect_table_with_cores(BY_KILL, false);
}

TEST(default_action_of_each_signal_sent_by_kill_to_a_sleeper)
{
	expect_table_without_cores(BY_KILL, false, true);
}

TEST(default_action_of_each_signal_sent_by_killpg)
{
	expect_table_without_cores(BY_KILLPG, false, false);
}

TEST(default_action_of_each_signal_sent_by_sigqueue)
{
	expect_table_without_cores(BY_SIGQUEUE, false, false);
}

TEST(default_action_of_each_signal_that_the_process_sends_itself_by_kill)
{
	expect_table_without_cores(BY_OWN_KILL, false, false);
}

TEST(default_action_of_each_signal_that_the_process_sends_itself_by_sigqueue)
{
	expect_table_without_cores(BY_OWN_SIGQUEUE, false, false);
}

TEST(default_action_of_each_signal_that_is_raised)
{
	expect_table_with_cores(BY_RAISE, false);
}

TEST(default_action_of_each_signal_sent_to_the_own_thread)
{
	expect_table_without_cores(BY_PTHREAD_KILL, false, false);
}

TEST(default_action_of_each_signal_that_is_unblocked)
{
	expect_table_without_cores(BY_UNBLOCKING, false, false);
}

TEST(default_action_of_each_signal_that_had_a_handler_sent_by_kill)
{
	expect_table_without_cores(BY_KILL, true, false);
}

TEST(default_action_of_each_signal_that_had_a_handler_sent_by_sigqueue)
{
	expect_table_without_cores(BY_SIGQUEUE, true, true);
}

TEST(default_action_of_each_signal_that_had_a_handler_and_is_unblocked)
{
	expect_table_with_cores(BY_UNBLOCKING, true);
}

TEST(real_time_signals_end_the_process_without_a_core_file)
{
	struct victim *v = share(sizeof(*v));

	for (v->way = BY_SYSTEM_CALL; v->way < WAYS; v->way++) {
		for (v->sig = SIGRTMIN; v->sig <= SIGRTMAX; v->sig++) {
			v->had_handler = v->sig % 2;
			const int status = happen(v, ENDS);
			CHECK(WIFSIGNALED(status) && WTERMSIG(status) == v->sig && !WCOREDUMP(status));
		}
	}
}

/* ---- abort ---- */

static void do_nothing(int sig)
{
	(void)sig;
}

static void abort_plainly(void *arg)
{
	(void)arg;
	abort();
}

static void abort_blocked(void *arg)
{
	(void)arg;
	block(all_signals());
	abort();
}

static void abort_ignored(void *arg)
{
	(void)arg;
	dispose(SIGABRT, SIG_IGN);
	abort();
}

static void abort_handled(void *arg)
{
	(void)arg;
	dispose(SIGABRT, do_nothing);
	abort();
}

TEST(abort_ends_with_sigabrt_whatever_is_done_about_it)
{
	const struct rlimit none = {0, 0};

	CHECK_OK(setrlimit(RLIMIT_CORE, &none));
	expect_killed(test_fork(abort_plainly, NULL), SIGABRT);
	expect_killed(test_fork(abort_blocked, NULL), SIGABRT);
	expect_killed(test_fork(abort_ignored, NULL), SIGABRT);
	expect_killed(test_fork(abort_handled, NULL), SIGABRT);
}

static void leave(int sig)
{
	_exit(sig);
}

static void abort_and_leave(void *arg)
{
	(void)arg;
	dispose(SIGABRT, leave);
	abort();
}

TEST(abort_runs_the_handler_first)
{
	expect_exit(test_fork(abort_and_leave, NULL), SIGABRT);
}

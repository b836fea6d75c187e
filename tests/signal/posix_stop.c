// SPDX-License-Identifier: MIT
//
// tests/signal/posix_stop.c - stopping and going on: what a process can do about it, how SIGCONT and the stop
// signals discard each other, what happens to signals sent meanwhile, and groups without a shell.
#include "signals.h"

static const int stops[] = {SIGTSTP, SIGTTIN, SIGTTOU};

struct worker {
	struct stage stage;
	int sig;
};

/* ---- discarding ---- */

TEST(sigcont_discards_pending_stops)
{
	for (int i = 0; i < 3; i++) {
		block(SET(SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT));
		CHECK_OK(raise(stops[i]));
		CHECK_OK(kill(getpid(), stops[(i + 1) % 3]));
		CHECK(is_pending(stops[i]) && is_pending(stops[(i + 1) % 3]));
		CHECK_OK(kill(getpid(), SIGCONT));
		CHECK(!is_pending(SIGTSTP) && !is_pending(SIGTTIN) && !is_pending(SIGTTOU));
		CHECK(is_pending(SIGCONT));
	}
}

TEST(stop_signals_discard_a_pending_sigcont)
{
	for (int i = 0; i < 3; i++) {
		block(SET(SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT));
		send_self(SIGCONT, 1);
		CHECK(is_pending(SIGCONT));
		send_self(stops[i], 1);
		CHECK(!is_pending(SIGCONT));
		CHECK(is_pending(stops[i]));
	}
}

TEST(sigcont_by_every_way_of_sending_discards_stops)
{
	block(SET(SIGTSTP, SIGCONT));
	for (int i = 0; i < 4; i++) {
		CHECK_OK(raise(SIGTSTP));
		if (i == 0)
			CHECK_OK(raise(SIGCONT));
		else if (i == 1)
			send_self(SIGCONT, 1);
		else if (i == 2)
			CHECK_EQ(pthread_kill(pthread_self(), SIGCONT), 0);
		else
			CHECK_OK(killpg(0, SIGCONT));
		CHECK(!is_pending(SIGTSTP));
	}
}

static void hold_stop(void *arg)
{
	struct worker *w = arg;

	block(SET(w->sig));
	arrive(&w->stage);
	wait_pending(w->sig);
	arrive(&w->stage);
	wait_count(&w->stage.go, 1);
	CHECK(!is_pending(w->sig));
	unblock(SET(w->sig)); // not stopped
}

TEST(sigcont_of_another_process_discards_pending_stops)
{
	struct worker *w = share(sizeof(*w));

	for (int i = 0; i < 3; i++) {
		memset(w, 0, sizeof(*w));
		w->sig = stops[i];
		const pid_t pid = fork_ready(hold_stop, &w->stage);
		CHECK_OK(kill(pid, stops[i]));
		wait_count(&w->stage.ready, 2);
		CHECK_OK(kill(pid, SIGCONT));
		atomic_store(&w->stage.go, 1);
		test_join(pid);
	}
}

/* ---- what a process can do about it ---- */

static void compute(void *arg)
{
	struct worker *w = arg;

	arrive(&w->stage);
	compute_until(&w->stage.go, 1);
}

static void compute_with_blocked_sigcont(void *arg)
{
	block(SET(SIGCONT));
	compute(arg);
	CHECK(is_pending(SIGCONT));
}

static void compute_with_ignored_sigcont(void *arg)
{
	dispose(SIGCONT, SIG_IGN);
	compute(arg);
}

static void compute_with_handled_sigcont(void *arg)
{
	note_signal(SIGCONT);
	compute(arg);
	compute_until(&noted, 1);
	CHECK_EQ(atomic_load(&noted), 1);
}

static void stop_and_continue(void (*fn)(void *), int sig)
{
	struct worker *w = share(sizeof(*w));
	const pid_t pid = fork_ready(fn, &w->stage);

	CHECK_OK(kill(pid, sig));
	expect_stopped(pid, sig);
	CHECK_OK(kill(pid, SIGCONT));
	expect_continued(pid);
	atomic_store(&w->stage.go, 1);
	test_join(pid);
}

TEST(sigcont_continues_whatever_is_done_about_it)
{
	stop_and_continue(compute, SIGSTOP);
	stop_and_continue(compute_with_blocked_sigcont, SIGSTOP);
	stop_and_continue(compute_with_ignored_sigcont, SIGSTOP);
	stop_and_continue(compute_with_handled_sigcont, SIGSTOP);
	for (int i = 0; i < 3; i++) {
		stop_and_continue(compute, stops[i]);
		stop_and_continue(compute_with_handled_sigcont, stops[i]);
	}
}

static void compute_handling_stops(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < 3; i++)
		note_signal(stops[i]);
	arrive(&w->stage);
	compute_until(&noted, 3);
	for (int i = 0; i < 3; i++)
		dispose(stops[i], SIG_IGN);
	arrive(&w->stage);
	compute_until(&w->stage.go, 1);
}

TEST(handled_and_ignored_stop_signals_do_not_stop)
{
	struct worker *w = share(sizeof(*w));
	const pid_t pid = fork_ready(compute_handling_stops, &w->stage);
	int status;

	for (int i = 0; i < 3; i++)
		CHECK_OK(kill(pid, stops[i]));
	wait_count(&w->stage.ready, 2);
	for (int i = 0; i < 3; i++)
		CHECK_OK(kill(pid, stops[i]));
	atomic_store(&w->stage.go, 1);
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static struct stage *own;

// As editors and shells do it: tidy up, then stop by the default action, then set up again.
static void tidy_and_stop(int sig)
{
	const int error = errno;

	note(sig, &(siginfo_t){.si_signo = sig}, NULL);
	dispose(sig, SIG_DFL);
	CHECK_OK(raise(sig));
	unblock(SET(sig)); // stopped here
	block(SET(sig));
	dispose(sig, tidy_and_stop);
	arrive(own);
	errno = error;
}

static void compute_tidily(void *arg)
{
	own = arg;
	dispose(SIGTSTP, tidy_and_stop);
	compute(arg);
	CHECK_EQ(atomic_load(&noted), 3);
}

TEST(handler_of_sigtstp_may_stop_its_process_by_the_default_action)
{
	struct worker *w = share(sizeof(*w));
	const pid_t pid = fork_ready(compute_tidily, &w->stage);

	for (int i = 0; i < 3; i++) {
		CHECK_OK(kill(pid, SIGTSTP));
		expect_stopped(pid, SIGTSTP);
		CHECK_OK(kill(pid, SIGCONT));
		expect_continued(pid);
		wait_count(&w->stage.ready, 2 + i); // it handles it again
	}
	atomic_store(&w->stage.go, 1);
	test_join(pid);
}

/* ---- sent to the stopped ---- */

static void note_while_stopped(void *arg)
{
	struct worker *w = arg;

	note_one_by_one(SET(SIGUSR1, RT0, RT1));
	arrive(&w->stage);
	compute_until(&noted, 7);
	expect_note(0, SIGUSR1, 1);
	for (int i = 0; i < 3; i++) {
		expect_note(1 + i, RT0, i);
		expect_note(4 + i, RT1, i);
	}
}

TEST(signals_sent_to_a_stopped_process_come_when_it_goes_on)
{
	struct worker *w = share(sizeof(*w));
	const pid_t pid = fork_ready(note_while_stopped, &w->stage);

	CHECK_OK(kill(pid, SIGSTOP));
	expect_stopped(pid, SIGSTOP);
	for (int i = 0; i < 3; i++) {
		send_value(pid, RT1, i);
		send_value(pid, RT0, i);
		send_value(pid, SIGUSR1, i + 1);
	}
	CHECK_EQ(waitpid(pid, NULL, WNOHANG | WUNTRACED | WCONTINUED), 0);
	CHECK_OK(kill(pid, SIGCONT));
	test_join(pid);
}

TEST(stopped_process_is_killed_by_sigkill_alone)
{
	struct worker *w = share(sizeof(*w));
	pid_t pid = fork_ready(compute, &w->stage);

	CHECK_OK(kill(pid, SIGSTOP));
	expect_stopped(pid, SIGSTOP);
	CHECK_OK(kill(pid, SIGTERM));
	send_value(pid, RT0, 1);
	CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
	CHECK_OK(kill(pid, SIGKILL));
	expect_killed(pid, SIGKILL);
	pid = fork_ready(compute, &w->stage);
	CHECK_OK(kill(pid, SIGSTOP));
	expect_stopped(pid, SIGSTOP);
	CHECK_OK(kill(pid, SIGTERM));
	CHECK_OK(kill(pid, SIGCONT));
	expect_killed(pid, SIGTERM);
}

static void stop_oneself(void *arg)
{
	struct worker *w = arg;

	CHECK_OK(raise(w->sig));
	CHECK_OK(kill(getpid(), w->sig));
	send_self(w->sig, 1);
}

TEST(process_stops_itself_before_the_call_returns)
{
	struct worker *w = share(sizeof(*w));

	for (int i = 0; i < 4; i++) {
		w->sig = i < 3 ? stops[i] : SIGSTOP;
		const pid_t pid = test_fork(stop_oneself, w);
		for (int n = 0; n < 3; n++) {
			expect_stopped(pid, w->sig);
			CHECK_OK(kill(pid, SIGCONT));
		}
		test_join(pid);
	}
}

/* ---- groups that no shell looks after ---- */

static void be_orphaned(void *arg)
{
	struct worker *w = arg;

	CHECK_OK(setsid());
	arrive(&w->stage);
	for (int i = 0; i < 3; i++) {
		CHECK_OK(raise(stops[i]));
		CHECK_OK(kill(getpid(), stops[i]));
	}
	compute_until(&w->stage.go, 1);
}

TEST(stop_signals_of_the_terminal_do_not_stop_an_orphaned_group)
{
	struct worker *w = share(sizeof(*w));
	const pid_t pid = fork_ready(be_orphaned, &w->stage);

	for (int i = 0; i < 3; i++)
		CHECK_OK(kill(pid, stops[i]));
	CHECK_OK(kill(pid, SIGSTOP));
	expect_stopped(pid, SIGSTOP);
	CHECK_OK(kill(pid, SIGCONT));
	expect_continued(pid);
	atomic_store(&w->stage.go, 1);
	test_join(pid);
}

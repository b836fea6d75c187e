// SPDX-License-Identifier: MIT
//
// tests/signal/posix_child.c - SIGCHLD: what it tells of a child that ends, stops or goes on, SA_NOCLDSTOP,
// SA_NOCLDWAIT, and that nobody's children become zombies where it is ignored.
#include "signals.h"

static siginfo_t last;

static void keep(int sig, siginfo_t *info, void *context)
{
	last = *info;
	note(sig, info, context);
}

struct child {
	struct stage stage;
	int code; // to exit with; below 0: to be killed by
};

static void live(void *arg)
{
	struct child *c = arg;

	signal(SIGUSR1, SIG_DFL);
	unblock(all_signals());
	arrive(&c->stage);
	wait_count(&c->stage.go, 1);
	if (c->code < 0)
		CHECK_OK(kill(getpid(), -c->code));
	_exit(c->code);
}

static pid_t start(struct child *c, int code)
{
	const struct rlimit none = {0, 0};

	CHECK_OK(setrlimit(RLIMIT_CORE, &none));
	atomic_store(&c->stage.go, 0);
	c->code = code;
	return fork_ready(live, &c->stage);
}

static void let_end(struct child *c)
{
	atomic_store(&c->stage.go, 1);
}

static void expect_last(pid_t pid, int code, int status)
{
	CHECK_EQ(last.si_signo, SIGCHLD);
	CHECK_EQ(last.si_code, code);
	CHECK_EQ(last.si_pid, pid);
	CHECK_EQ(last.si_uid, getuid());
	CHECK_EQ(last.si_status, status);
}

TEST(handler_of_sigchld_is_told_how_a_child_ended)
{
	struct child *c = share(sizeof(*c));

	handle(SIGCHLD, keep, SA_RESTART);
	for (int i = 0; i < 3; i++) {
		const int code = i == 0 ? 0 : i == 1 ? 77 : -SIGUSR1;
		const pid_t pid = start(c, code);
		let_end(c);
		wait_count(&noted, i + 1);
		expect_last(pid, code < 0 ? CLD_KILLED : CLD_EXITED, abs(code));
		end_of(pid);
	}
	CHECK_EQ(atomic_load(&noted), 3);
}

TEST(handler_of_sigchld_is_told_that_a_child_stopped_and_went_on)
{
	struct child *c = share(sizeof(*c));

	handle(SIGCHLD, keep, SA_RESTART);
	const pid_t pid = start(c, 0);
	CHECK_OK(kill(pid, SIGSTOP));
	wait_count(&noted, 1);
	expect_last(pid, CLD_STOPPED, SIGSTOP);
	expect_stopped(pid, SIGSTOP);
	CHECK_OK(kill(pid, SIGCONT));
	wait_count(&noted, 2);
	expect_last(pid, CLD_CONTINUED, SIGCONT);
	expect_continued(pid);
	let_end(c);
	wait_count(&noted, 3);
	expect_last(pid, CLD_EXITED, 0);
	test_join(pid);
}

TEST(sa_nocldstop_keeps_quiet_about_stops)
{
	struct child *c = share(sizeof(*c));

	handle(SIGCHLD, keep, SA_RESTART | SA_NOCLDSTOP);
	const pid_t pid = start(c, 5);
	for (int i = 0; i < 5; i++) {
		CHECK_OK(kill(pid, SIGSTOP));
		expect_stopped(pid, SIGSTOP);
		CHECK_OK(kill(pid, SIGCONT));
		expect_continued(pid);
	}
	CHECK_EQ(atomic_load(&noted), 0);
	let_end(c);
	wait_count(&noted, 1);
	expect_last(pid, CLD_EXITED, 5);
	expect_exit(pid, 5);
	CHECK_EQ(atomic_load(&noted), 1);
}

TEST(sigchld_can_be_taken)
{
	struct child *c = share(sizeof(*c));

	block(SET(SIGCHLD));
	const pid_t pid = start(c, 9);
	let_end(c);
	last = take(SET(SIGCHLD));
	expect_last(pid, CLD_EXITED, 9);
	expect_exit(pid, 9);
	expect_none(SET(SIGCHLD));
}

/* ---- no zombies ---- */

static void expect_no_children(void)
{
	while (waitpid(-1, NULL, 0) == -1)
		if (errno != EINTR) {
			CHECK_EQ(errno, ECHILD);
			return;
		}
	CHECK(!"a zombie was found");
}

TEST(ignoring_sigchld_leaves_no_zombies)
{
	struct child *c = share(sizeof(*c));

	dispose(SIGCHLD, SIG_IGN);
	for (int i = 0; i < 10; i++)
		start(c, i);
	let_end(c);
	expect_no_children(); // once all have ended
}

TEST(ignoring_sigchld_by_signal_leaves_no_zombies)
{
	struct child *c = share(sizeof(*c));

	CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
	start(c, 1);
	let_end(c);
	expect_no_children();
}

TEST(sa_nocldwait_leaves_no_zombies_and_still_tells)
{
	struct child *c = share(sizeof(*c));

	handle(SIGCHLD, keep, SA_RESTART | SA_NOCLDWAIT);
	const pid_t pid = start(c, 6);
	let_end(c);
	wait_count(&noted, 1);
	expect_last(pid, CLD_EXITED, 6);
	expect_no_children();
}

TEST(sa_nocldwait_with_the_default_action_leaves_no_zombies)
{
	struct child *c = share(sizeof(*c));
	struct sigaction sa = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};

	CHECK_OK(sigaction(SIGCHLD, &sa, NULL));
	start(c, 6);
	let_end(c);
	expect_no_children();
}

TEST(default_action_of_sigchld_leaves_zombies_to_be_waited_for)
{
	struct child *c = share(sizeof(*c));
	siginfo_t info;

	dispose(SIGCHLD, SIG_IGN);
	dispose(SIGCHLD, SIG_DFL);
	const pid_t pid = start(c, 11);
	let_end(c);
	CHECK_OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
	CHECK_EQ(info.si_status, 11);
	expect_exit(pid, 11);
	expect_no_children();
}

TEST(zombie_from_before_stays_when_sigchld_becomes_ignored)
{
	struct child *c = share(sizeof(*c));
	siginfo_t info;
	const pid_t pid = start(c, 12);

	let_end(c);
	CHECK_OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
	dispose(SIGCHLD, SIG_IGN);
	expect_exit(pid, 12);
	expect_no_children();
}

/* ---- many children ---- */

static atomic_int reaped;

static void reap(int sig)
{
	const int error = errno;

	(void)sig;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		atomic_fetch_add(&reaped, 1);
	errno = error;
}

static void end_at_once(void *arg)
{
	(void)arg;
}

TEST(handler_that_reaps_in_a_loop_gets_all_children)
{
	enum { MANY = 150 };
	struct sigaction sa = {.sa_handler = reap, .sa_flags = SA_RESTART};

	CHECK_OK(sigaction(SIGCHLD, &sa, NULL));
	for (int i = 0; i < MANY; i++)
		test_fork(end_at_once, NULL);
	wait_count(&reaped, MANY);
	CHECK_EQ(atomic_load(&reaped), MANY);
	expect_no_children();
}

TEST(sigchld_of_several_children_merges_while_blocked)
{
	enum { MANY = 5 };
	struct child *c = share(sizeof(*c));
	siginfo_t info;
	pid_t pid[MANY];

	handle(SIGCHLD, keep, SA_RESTART);
	block(SET(SIGCHLD));
	for (int i = 0; i < MANY; i++)
		pid[i] = start(c, i);
	let_end(c);
	for (int i = 0; i < MANY; i++)
		CHECK_OK(waitid(P_PID, (id_t)pid[i], &info, WEXITED | WNOWAIT));
	CHECK(is_pending(SIGCHLD));
	unblock(SET(SIGCHLD));
	CHECK_EQ(atomic_load(&noted), 1);
	for (int i = 0; i < MANY; i++)
		end_of(pid[i]);
}

TEST(sigchld_sent_by_a_process_is_a_signal_like_others)
{
	handle(SIGCHLD, keep, 0);
	send_self(SIGCHLD, 4);
	expect_note(0, SIGCHLD, 4);
	CHECK_EQ(last.si_code, SI_QUEUE);
	CHECK_OK(kill(getpid(), SIGCHLD));
	CHECK_EQ(last.si_code, SI_USER);
	CHECK_EQ(last.si_pid, getpid());
}

TEST(wait_goes_on_after_sigchld_that_tells_of_a_stop)
{
	struct child *c = share(sizeof(*c));
	int status;

	handle(SIGCHLD, keep, SA_RESTART);
	const pid_t pid = start(c, 8);
	CHECK_OK(kill(pid, SIGSTOP));
	wait_count(&noted, 1);
	CHECK_OK(kill(pid, SIGCONT));
	let_end(c);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 8);
}

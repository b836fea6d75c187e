// SPDX-License-Identifier: MIT
//
// tests/signal/posix_terminal.c - what a terminal sends: Ctrl-C, Ctrl-\, Ctrl-Z, a change of its size, hang-up, and a
// stop for who reads in the background; to handlers, to who waits, and with the default actions.
#include "signals.h"

#include <sys/ioctl.h>
#include <termios.h>

struct session {
	struct stage stage;
	int master;
	char terminal[64];
	pid_t worker;  // in the foreground or background group, child of the leader
	int sig, code; // what it met
	atomic_int notes;
};

static struct session *here; // in every process of it

static void tell(int sig, siginfo_t *info, void *context)
{
	note(sig, info, context);
	here->sig = sig;
	here->code = info->si_code;
	atomic_fetch_add(&here->notes, 1);
}

static struct session *make_session(void)
{
	struct session *s = share(sizeof(*s));

	s->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (s->master < 0)
		SKIP("needs a terminal to play with");
	CHECK_OK(grantpt(s->master));
	CHECK_OK(unlockpt(s->master));
	CHECK_EQ(ptsname_r(s->master, s->terminal, sizeof(s->terminal)), 0);
	here = s;
	return s;
}

// Become the leader of a session whose terminal it is.
static int lead(struct session *s)
{
	CHECK_OK(setsid());
	CHECK_OK(close(s->master));
	return (int)CHECK_OK(open(s->terminal, O_RDWR | O_CLOEXEC));
}

// What a key, or a change, makes of the foreground group; told by the status of the leader's worker.
static void type(const struct session *s, const char *keys)
{
	CHECK_EQ(write(s->master, keys, strlen(keys)), (ssize_t)strlen(keys));
}

static void take_the_foreground(int tty, pid_t group)
{
	block(SET(SIGTTOU));
	CHECK_OK(tcsetpgrp(tty, group));
	unblock(SET(SIGTTOU));
}

/* ---- keys, to handlers ---- */

static void handle_keys(void *arg)
{
	struct session *s = arg;
	const int tty = lead(s);

	handle(SIGINT, tell, 0);
	handle(SIGQUIT, tell, 0);
	handle(SIGTSTP, tell, 0);
	handle(SIGWINCH, tell, 0);
	handle(SIGHUP, tell, 0);
	arrive(&s->stage);
	compute_until(&s->notes, 5);
	CHECK_OK(close(tty));
}

TEST(keys_and_changes_of_the_terminal_reach_handlers)
{
	struct session *s = make_session();
	const pid_t pid = fork_ready(handle_keys, &s->stage);
	struct winsize size = {.ws_row = 33, .ws_col = 99};

	type(s, "\003");
	wait_count(&s->notes, 1);
	CHECK_EQ(s->sig, SIGINT);
	CHECK(s->code > 0); // the kernel's
	type(s, "\034");
	wait_count(&s->notes, 2);
	CHECK_EQ(s->sig, SIGQUIT);
	type(s, "\032");
	wait_count(&s->notes, 3);
	CHECK_EQ(s->sig, SIGTSTP);
	CHECK_OK(ioctl(s->master, TIOCSWINSZ, &size));
	wait_count(&s->notes, 4);
	CHECK_EQ(s->sig, SIGWINCH);
	CHECK_OK(close(s->master));
	wait_count(&s->notes, 5);
	CHECK_EQ(s->sig, SIGHUP);
	test_join(pid);
}

static void take_keys(void *arg)
{
	struct session *s = arg;
	const int tty = lead(s);

	block(SET(SIGINT, SIGQUIT, SIGHUP, RT0));
	arrive(&s->stage);
	for (int i = 0; i < 4; i++) {
		const int sig = take(SET(SIGINT, SIGQUIT, SIGHUP, RT0)).si_signo;
		CHECK_EQ(sig, i == 0 ? SIGINT : i == 1 ? RT0 : i == 2 ? SIGQUIT : SIGHUP);
		arrive(&s->stage);
	}
	CHECK_OK(close(tty));
}

TEST(keys_and_hang_up_can_be_taken)
{
	struct session *s = make_session();
	const pid_t pid = fork_ready(take_keys, &s->stage);

	type(s, "\003");
	wait_count(&s->stage.ready, 2);
	send_value(pid, RT0, 1);
	wait_count(&s->stage.ready, 3);
	type(s, "\034");
	wait_count(&s->stage.ready, 4);
	CHECK_OK(close(s->master));
	test_join(pid);
}

/* ---- keys, by default ---- */

static void wait_for_the_end(void *arg)
{
	struct session *s = arg;
	const struct rlimit none = {0, 0};

	CHECK_OK(setrlimit(RLIMIT_CORE, &none));
	lead(s);
	arrive(&s->stage);
	for (;;)
		pause();
}

TEST(keys_and_hang_up_end_who_does_nothing_about_them)
{
	static const char *const keys[] = {"\003", "\034"};
	static const int sigs[] = {SIGINT, SIGQUIT, SIGHUP};

	for (int i = 0; i < 3; i++) {
		struct session *s = make_session();
		const pid_t pid = fork_ready(wait_for_the_end, &s->stage);
		if (i < 2)
			type(s, keys[i]);
		else
			CHECK_OK(close(s->master));
		expect_killed(pid, sigs[i]);
		if (i < 2)
			CHECK_OK(close(s->master));
	}
}

/* ---- job control: a leader as a shell is one ---- */

static void work_in_own_group(void *arg)
{
	struct session *s = arg;

	CHECK_OK(setpgid(0, 0));
	arrive(&s->stage);
	compute_until(&s->stage.go, 1);
}

// Ctrl-Z stops the foreground group; the shell learns of it, and continues it.
static void control_jobs(void *arg)
{
	struct session *s = arg;
	const int tty = lead(s);
	const pid_t worker = fork_ready(work_in_own_group, &s->stage);

	note_signal(SIGINT);
	take_the_foreground(tty, worker);
	arrive(&s->stage);
	expect_stopped(worker, SIGTSTP);
	take_the_foreground(tty, getpgrp());
	CHECK_OK(kill(-worker, SIGCONT));
	expect_continued(worker);
	arrive(&s->stage);
	compute_until(&noted, 1); // Ctrl-C comes here now
	atomic_store(&s->stage.go, 1);
	test_join(worker);
	CHECK_OK(close(tty));
}

TEST(ctrl_z_stops_the_foreground_group_and_ctrl_c_goes_to_the_foreground_alone)
{
	struct session *s = make_session();
	const pid_t pid = test_fork(control_jobs, s);

	wait_count(&s->stage.ready, 2);
	type(s, "\032");
	wait_count(&s->stage.ready, 3);
	type(s, "\003");
	test_join(pid);
	CHECK_OK(close(s->master));
}

static void read_in_background(void *arg)
{
	struct session *s = arg;
	char line[16];

	CHECK_OK(setpgid(0, 0));
	const int tty = (int)CHECK_OK(open(s->terminal, O_RDWR | O_CLOEXEC));
	arrive(&s->stage);
	CHECK_EQ(read(tty, line, sizeof(line)), 6); // stopped until it is in the foreground
	CHECK(memcmp(line, "hello\n", 6) == 0);
	CHECK_OK(close(tty));
}

static void bring_to_the_foreground(void *arg)
{
	struct session *s = arg;
	const int tty = lead(s);
	const pid_t worker = fork_ready(read_in_background, &s->stage);

	expect_stopped(worker, SIGTTIN);
	take_the_foreground(tty, worker);
	CHECK_OK(kill(-worker, SIGCONT));
	test_join(worker);
	CHECK_OK(close(tty));
}

TEST(read_in_the_background_is_sigttin)
{
	struct session *s = make_session();
	const pid_t pid = test_fork(bring_to_the_foreground, s);

	type(s, "hello\n");
	test_join(pid);
	CHECK_OK(close(s->master));
}

static void read_and_handle(void *arg)
{
	struct session *s = arg;
	char line[16];

	CHECK_OK(setpgid(0, 0));
	const int tty = (int)CHECK_OK(open(s->terminal, O_RDWR | O_CLOEXEC));
	note_signal(SIGTTIN);
	CHECK_ERR(read(tty, line, sizeof(line)), EINTR);
	CHECK_EQ(atomic_load(&noted), 1);
	CHECK_EQ(notes[0].sig, SIGTTIN);
	dispose(SIGTTIN, SIG_IGN);
	CHECK_ERR(read(tty, line, sizeof(line)), EIO);
	block(SET(SIGTTIN));
	dispose(SIGTTIN, SIG_DFL);
	CHECK_ERR(read(tty, line, sizeof(line)), EIO);
	CHECK_OK(close(tty));
}

static void write_with_tostop(void *arg)
{
	struct session *s = arg;

	CHECK_OK(setpgid(0, 0));
	const int tty = (int)CHECK_OK(open(s->terminal, O_RDWR | O_CLOEXEC));
	CHECK_EQ(write(tty, "x", 1), 1);
	CHECK_OK(close(tty));
}

static void watch_the_background(void *arg)
{
	struct session *s = arg;
	const int tty = lead(s);
	struct termios t;

	test_join(test_fork(read_and_handle, s));
	CHECK_OK(tcgetattr(tty, &t));
	t.c_lflag |= TOSTOP;
	CHECK_OK(tcsetattr(tty, TCSANOW, &t));
	const pid_t worker = test_fork(write_with_tostop, s);
	expect_stopped(worker, SIGTTOU);
	t.c_lflag &= ~(tcflag_t)TOSTOP;
	CHECK_OK(tcsetattr(tty, TCSANOW, &t));
	CHECK_OK(kill(worker, SIGCONT));
	test_join(worker);
	CHECK_OK(close(tty));
}

TEST(background_group_may_handle_or_ignore_it)
{
	struct session *s = make_session();

	test_join(test_fork(watch_the_background, s));
	CHECK_OK(close(s->master));
}

/* ---- the leader ends ---- */

static void work_until_hang_up(void *arg)
{
	struct session *s = arg;

	CHECK_OK(setpgid(0, 0));
	handle(SIGHUP, tell, 0);
	handle(SIGCONT, tell, 0);
	s->worker = getpid();
	arrive(&s->stage);
	compute_until(&s->notes, 2);
	arrive(&s->stage);
	_exit(0);
}

static void leave_a_worker(void *arg)
{
	struct session *s = arg;
	const int tty = lead(s);
	const pid_t worker = fork_ready(work_until_hang_up, &s->stage);

	take_the_foreground(tty, worker);
	CHECK_OK(kill(worker, SIGSTOP));
	expect_stopped(worker, SIGSTOP);
	_exit(0); // the group has nobody who would continue it
}

TEST(foreground_group_of_a_leader_that_ends_gets_sighup_and_sigcont)
{
	struct session *s = make_session();

	test_join(test_fork(leave_a_worker, s));
	wait_count(&s->stage.ready, 2);
	CHECK(atomic_load(&s->notes) >= 2);
	CHECK_OK(close(s->master));
}

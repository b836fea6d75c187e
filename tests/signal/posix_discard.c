// SPDX-License-Identifier: MIT
//
// tests/signal/posix_discard.c - what a disposition means to signals that come, or are pending already: ignored
// ones wake nobody and leave nothing, a change to ignoring discards, a change to the default takes effect when
// they are unblocked; and blocked signals are kept even while they are ignored.
#include "signals.h"

static atomic_int handled;

static void count(int sig)
{
	(void)sig;
	atomic_fetch_add(&handled, 1);
}

/* ---- ignored ---- */

TEST(ignored_signal_leaves_nothing)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		dispose(sig, SIG_IGN);
		CHECK_OK(kill(getpid(), sig));
		CHECK_OK(raise(sig));
		send_self(sig, 1);
		CHECK_EQ(pthread_kill(pthread_self(), sig), 0);
		CHECK(!is_pending(sig));
		note_signal(sig);
		block(SET(sig));
		CHECK(!is_pending(sig));
		unblock(SET(sig));
		CHECK_EQ(atomic_load(&noted), 0);
	}
}

TEST(signal_ignored_by_default_leaves_nothing)
{
	static const int those[] = {SIGCHLD, SIGURG, SIGWINCH, SIGCONT};

	for (int i = 0; i < 4; i++) {
		CHECK_OK(kill(getpid(), those[i]));
		send_self(those[i], 1);
		note_signal(those[i]);
		CHECK_OK(kill(getpid(), those[i]));
		CHECK_EQ(atomic_load(&noted), i + 1);
	}
}

static void sleep_ignoring(void *arg)
{
	struct stage *s = arg;
	const sigset_t none = NO_SIGNALS;

	dispose(SIGUSR1, SIG_IGN);
	dispose(RT0, SIG_IGN);
	note_signal(RT1);
	block(SET(RT1));
	arrive(s);
	CHECK_ERR(sigsuspend(&none), EINTR);
	CHECK_EQ(atomic_load(&noted), 1);
	expect_note(0, RT1, 3);
}

TEST(ignored_signal_wakes_nobody)
{
	struct stage *s = share(sizeof(*s));
	const pid_t pid = fork_ready(sleep_ignoring, s);

	test_wait_asleep(pid);
	for (int i = 0; i < 100; i++) {
		CHECK_OK(kill(pid, SIGUSR1));
		send_value(pid, RT0, i);
		CHECK_OK(kill(pid, SIGWINCH));
	}
	test_wait_asleep(pid);
	send_value(pid, RT1, 3);
	test_join(pid);
}

TEST(blocked_signal_is_kept_while_it_is_ignored)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		atomic_store(&handled, 0);
		block(SET(sig));
		dispose(sig, SIG_IGN);
		CHECK_OK(kill(getpid(), sig));
		CHECK(is_pending(sig));
		dispose(sig, count); // it may be handled yet
		unblock(SET(sig));
		CHECK_EQ(atomic_load(&handled), 1);
	}
}

TEST(blocked_and_ignored_signal_is_discarded_when_it_is_unblocked)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		block(SET(sig));
		dispose(sig, SIG_IGN);
		send_self(sig, 1);
		send_self(sig, 2);
		unblock(SET(sig));
		CHECK(!is_pending(sig));
		dispose(sig, count);
		CHECK_EQ(atomic_load(&handled), 0);
	}
}

TEST(blocked_and_ignored_signal_can_be_taken)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		block(SET(sig));
		dispose(sig, SIG_IGN);
		send_self(sig, 5);
		take_value(SET(sig), sig, 5);
		expect_none(SET(sig));
	}
	block(SET(SIGURG));
	send_self(SIGURG, 6);
	take_value(SET(SIGURG), SIGURG, 6);
}

/* ---- changed while it is pending ---- */

TEST(ignoring_discards_what_is_pending)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		dispose(sig, count);
		block(SET(sig, RT2));
		for (int n = 0; n < 10; n++)
			send_self(sig, n);
		send_self(RT2, 1);
		CHECK_EQ(pthread_kill(pthread_self(), sig), 0);
		dispose(sig, SIG_IGN);
		CHECK(!is_pending(sig));
		CHECK(is_pending(RT2));
		dispose(sig, count);
		CHECK(!is_pending(sig));
		unblock(SET(sig));
		CHECK_EQ(atomic_load(&handled), 0);
		take_value(SET(RT2), RT2, 1);
		CHECK_OK(raise(sig));
		CHECK_EQ(atomic_exchange(&handled, 0), 1);
	}
}

TEST(default_action_that_is_to_ignore_discards_what_is_pending)
{
	static const int those[] = {SIGCHLD, SIGURG, SIGWINCH, SIGCONT};

	for (int i = 0; i < 4; i++) {
		note_signal(those[i]);
		block(SET(those[i]));
		CHECK_OK(raise(those[i]));
		CHECK(is_pending(those[i]));
		dispose(those[i], SIG_DFL);
		CHECK(!is_pending(those[i]));
		note_signal(those[i]);
		unblock(SET(those[i]));
		CHECK_EQ(atomic_load(&noted), 0);
	}
}

TEST(other_handler_gets_what_is_pending)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		forget_notes();
		dispose(sig, count);
		block(SET(sig));
		send_self(sig, 1);
		send_self(sig, 2);
		note_signal(sig);
		unblock(SET(sig));
		CHECK_EQ(atomic_load(&noted), sig == RT0 ? 2 : 1);
		expect_note(0, sig, 1);
		CHECK_EQ(atomic_load(&handled), 0);
	}
}

struct victim {
	struct stage stage;
	int sig;
	bool by_peer; // the signals come from the parent
	atomic_int rounds;
};

static void default_with_pending(void *arg)
{
	struct victim *v = arg;

	dispose(v->sig, count);
	block(SET(v->sig));
	arrive(&v->stage);
	if (v->by_peer)
		wait_pending(v->sig);
	else
		send_self(v->sig, 1);
	dispose(v->sig, SIG_DFL);
	CHECK(is_pending(v->sig));
	unblock(SET(v->sig));
	_exit(3);
}

TEST(default_action_is_taken_for_what_was_pending_when_it_is_unblocked)
{
	struct victim *v = share(sizeof(*v));

	for (int i = 0; i < KINDS; i++) {
		v->sig = one_of_kind(i);
		v->by_peer = false;
		expect_killed(test_fork(default_with_pending, v), v->sig);
		v->by_peer = true;
		const pid_t pid = fork_ready(default_with_pending, &v->stage);
		send_value(pid, v->sig, 1);
		expect_killed(pid, v->sig);
	}
}

// It was pending without a handler from the start.
static void handler_with_pending(void *arg)
{
	struct victim *v = arg;

	block(SET(v->sig));
	arrive(&v->stage);
	wait_pending(v->sig);
	note_signal(v->sig);
	unblock(SET(v->sig));
	CHECK_EQ(atomic_load(&noted), 1);
	expect_note(0, v->sig, 4);
}

TEST(handler_set_later_gets_what_came_before)
{
	struct victim *v = share(sizeof(*v));

	for (int i = 0; i < KINDS; i++) {
		v->sig = one_of_kind(i);
		const pid_t pid = fork_ready(handler_with_pending, &v->stage);
		send_value(pid, v->sig, 4);
		test_join(pid);
	}
}

// Queued before and after the handler is set: one queue.
static void two_parts(void *arg)
{
	struct victim *v = arg;

	block(SET(RT0));
	arrive(&v->stage);
	wait_pending(RT0);
	wait_count(&v->stage.go, 1);
	note_signal(RT0);
	arrive(&v->stage);
	wait_count(&v->stage.go, 2);
	unblock(SET(RT0));
	CHECK_EQ(atomic_load(&noted), 10);
	for (int i = 0; i < 10; i++)
		expect_note(i, RT0, i);
}

TEST(signals_from_before_and_after_a_handler_is_set_keep_their_order)
{
	struct victim *v = share(sizeof(*v));
	const pid_t pid = fork_ready(two_parts, &v->stage);

	for (int i = 0; i < 5; i++)
		send_value(pid, RT0, i);
	atomic_store(&v->stage.go, 1);
	wait_count(&v->stage.ready, 2);
	for (int i = 5; i < 10; i++)
		send_value(pid, RT0, i);
	atomic_store(&v->stage.go, 2);
	test_join(pid);
}

// The same with a handler that is taken away in between.
static void ignore_in_between(void *arg)
{
	struct victim *v = arg;

	note_signal(RT0);
	block(SET(RT0));
	arrive(&v->stage);
	wait_count(&v->stage.go, 1);
	dispose(RT0, SIG_IGN);
	note_signal(RT0);
	arrive(&v->stage);
	wait_count(&v->stage.go, 2);
	unblock(SET(RT0));
	CHECK_EQ(atomic_load(&noted), 5);
	expect_note(0, RT0, 5);
}

TEST(only_what_came_before_the_change_is_discarded)
{
	struct victim *v = share(sizeof(*v));
	const pid_t pid = fork_ready(ignore_in_between, &v->stage);

	for (int i = 0; i < 5; i++)
		send_value(pid, RT0, i);
	atomic_store(&v->stage.go, 1);
	wait_count(&v->stage.ready, 2);
	for (int i = 5; i < 10; i++)
		send_value(pid, RT0, i);
	atomic_store(&v->stage.go, 2);
	test_join(pid);
}

static void discard_inside(int sig)
{
	count(sig);
	dispose(sig, SIG_IGN);
}

TEST(handler_that_ignores_its_signal_discards_the_rest_of_a_burst)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		atomic_store(&handled, 0);
		dispose(sig, discard_inside);
		block(SET(sig));
		for (int n = 0; n < 20; n++)
			send_self(sig, n);
		unblock(SET(sig));
		CHECK_EQ(atomic_load(&handled), 1);
		CHECK(!is_pending(sig));
		dispose(sig, count);
		CHECK_OK(raise(sig));
		CHECK_EQ(atomic_load(&handled), 2);
	}
}

// Signals are sent all the while: each is handled or discarded, and the process is never harmed. A few in each of its
// rounds: who sends faster than it handles would let it do nothing else.
static void flood(void *arg)
{
	enum { EACH_ROUND = 16 };
	struct victim *v = arg;
	int round = -1, left = 0;

	while (!atomic_load(&v->stage.over)) {
		if (round != atomic_load(&v->rounds))
			left = EACH_ROUND;
		round = atomic_load(&v->rounds);
		if (left > 0 && sigqueue(v->stage.pid, v->sig, value_of(1)) == 0) {
			left--;
		} else {
			CHECK(left == 0 || errno == EAGAIN);
			sched_yield();
		}
	}
}

TEST(disposition_changed_all_the_time_under_a_flood)
{
	struct victim *v = share(sizeof(*v));

	v->stage.pid = getpid();
	for (int i = 0; i < KINDS; i++) {
		v->sig = one_of_kind(i);
		atomic_store(&v->stage.over, 0);
		atomic_store(&v->rounds, 0);
		atomic_store(&handled, 0);
		dispose(v->sig, SIG_IGN);
		const pid_t pid = test_fork(flood, v);
		for (int n = 0; n < 3000 / SLOWER || atomic_load(&handled) == 0; n++) {
			dispose(v->sig, n % 2 ? SIG_IGN : count);
			if (n % 8 == 0)
				block(SET(v->sig));
			if (n % 8 == 5)
				unblock(SET(v->sig));
			atomic_fetch_add(&v->rounds, 1);
		}
		dispose(v->sig, SIG_IGN);
		atomic_store(&v->stage.over, 1);
		test_join(pid);
		unblock(SET(v->sig));
	}
}

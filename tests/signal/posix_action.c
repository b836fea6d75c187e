// SPDX-License-Identifier: MIT
//
// tests/signal/posix_action.c - dispositions: what sigaction tells of the one before, one-shot handlers, and
// what a change means to signals that are pending already.
#include "signals.h"

// A C library may use others for itself.
static const unsigned PLAIN_FLAGS =
	SA_NOCLDSTOP | SA_NOCLDWAIT | SA_NODEFER | SA_ONSTACK | SA_RESETHAND | SA_RESTART | SA_SIGINFO;

static atomic_int handled;

static void count(int sig)
{
	(void)sig;
	atomic_fetch_add(&handled, 1);
}

static void count_otherwise(int sig)
{
	(void)sig;
	atomic_fetch_add(&handled, 100);
}

/* ---- what was before ---- */

TEST(every_signal_has_its_default_at_first)
{
	if (SANITIZED)
		SKIP("the sanitizer handles faults");
	for (int sig = 1; sig <= SIGRTMAX; sig++)
		if ((sig < 32 || sig >= SIGRTMIN) && sig != SIGPIPE)
			CHECK(disposition_of(sig) == SIG_DFL);
}

static void expect_action(int sig, const struct sigaction *expected)
{
	struct sigaction sa;

	CHECK_OK(sigaction(sig, NULL, &sa));
	CHECK(((unsigned)sa.sa_flags & PLAIN_FLAGS) == (unsigned)expected->sa_flags);
	if (sa.sa_flags & SA_SIGINFO)
		CHECK(sa.sa_sigaction == expected->sa_sigaction);
	else
		CHECK(sa.sa_handler == expected->sa_handler);
	for (int member = 1; member <= SIGRTMAX; member++)
		if (member < 32 || member >= SIGRTMIN)
			CHECK_EQ(sigismember(&sa.sa_mask, member), sigismember(&expected->sa_mask, member) &&
			                                               member != SIGKILL && member != SIGSTOP);
}

TEST(sigaction_tells_what_it_was_told)
{
	static const int flags[] = {
		0,
		SA_RESTART,
		SA_NODEFER,
		SA_RESETHAND | SA_NODEFER,
		SA_ONSTACK,
		SA_SIGINFO,
		SA_SIGINFO | SA_RESTART | SA_NOCLDSTOP | SA_NOCLDWAIT | SA_ONSTACK,
	};

	for (int i = 0; i < (int)(sizeof(flags) / sizeof(flags[0])); i++) {
		for (int sig = 1; sig <= SIGRTMAX; sig++) {
			struct sigaction sa = {.sa_flags = flags[i]};
			if (sig == SIGKILL || sig == SIGSTOP || (sig >= 32 && sig < SIGRTMIN))
				continue;
			if (flags[i] & SA_SIGINFO)
				sa.sa_sigaction = note;
			else
				sa.sa_handler = count;
			sa.sa_mask = i % 2 ? SET(sig, RT1, SIGKILL, SIGSTOP) : SET(SIGUSR2, SIGRTMAX);
			CHECK_OK(sigaction(sig, &sa, NULL));
			expect_action(sig, &sa);
		}
	}
}

TEST(sigaction_tells_of_the_one_before)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		struct sigaction a = {.sa_handler = count, .sa_flags = SA_RESTART, .sa_mask = SET(SIGHUP)};
		struct sigaction b = {.sa_flags = SA_SIGINFO, .sa_mask = SET(RT1)};
		struct sigaction old;
		b.sa_sigaction = note;
		CHECK_OK(sigaction(sig, &a, &old));
		CHECK(old.sa_handler == SIG_DFL);
		CHECK_OK(sigaction(sig, &b, &old));
		CHECK(old.sa_handler == count && ((unsigned)old.sa_flags & PLAIN_FLAGS) == SA_RESTART);
		CHECK(sigismember(&old.sa_mask, SIGHUP) && !sigismember(&old.sa_mask, RT1));
		CHECK_OK(sigaction(sig, &old, &b)); // put the first one back
		old = b;
		CHECK(old.sa_sigaction == note && ((unsigned)old.sa_flags & PLAIN_FLAGS) == SA_SIGINFO);
		expect_action(sig, &a);
		dispose(sig, SIG_IGN);
		CHECK_OK(sigaction(sig, &b, &old));
		CHECK(old.sa_handler == SIG_IGN);
		send_self(sig, 7 + i);
		expect_note(i, sig, 7 + i);
	}
}

static void change_the_handler(int sig)
{
	atomic_fetch_add(&handled, 1);
	dispose(sig, count_otherwise);
}

TEST(handler_may_be_changed_inside_it)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		atomic_store(&handled, 0);
		dispose(sig, change_the_handler);
		CHECK_OK(raise(sig));
		CHECK_EQ(atomic_load(&handled), 1);
		CHECK_OK(raise(sig));
		CHECK_EQ(atomic_load(&handled), 101);
	}
}

TEST(handler_changed_inside_it_counts_for_the_rest_of_a_burst)
{
	dispose(RT0, change_the_handler);
	block(SET(RT0));
	for (int i = 0; i < 5; i++)
		send_self(RT0, i);
	unblock(SET(RT0));
	CHECK_EQ(atomic_load(&handled), 401);
}

/* ---- one-shot ---- */

static void (*seen_inside)(int);
static bool blocked_inside;

static void look_at_disposition(int sig, siginfo_t *info, void *context)
{
	note(sig, info, context);
	seen_inside = disposition_of(sig);
	blocked_inside = is_blocked(sig);
}

TEST(one_shot_handler_is_reset_before_it_runs)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		for (int n = 0; n < 2; n++) {
			seen_inside = count;
			handle(sig, look_at_disposition, SA_RESETHAND | (n ? SA_NODEFER : 0));
			send_self(sig, i);
			CHECK(seen_inside == SIG_DFL);
			CHECK_EQ(blocked_inside, !n);
			CHECK(disposition_of(sig) == SIG_DFL);
			CHECK(!is_blocked(sig));
		}
	}
	CHECK_EQ(atomic_load(&noted), 4);
}

static void set_the_handler_again(int sig, siginfo_t *info, void *context)
{
	note(sig, info, context);
	handle(sig, set_the_handler_again, SA_RESETHAND);
}

TEST(one_shot_handler_may_set_itself_again)
{
	for (int i = 0; i < KINDS; i++) {
		handle(one_of_kind(i), set_the_handler_again, SA_RESETHAND);
		for (int n = 0; n < 5; n++)
			send_self(one_of_kind(i), n);
	}
	CHECK_EQ(atomic_load(&noted), 10);
}

struct victim {
	struct stage stage;
	int sig;
};

static void get_it_twice(void *arg)
{
	struct victim *v = arg;

	handle(v->sig, look_at_disposition, SA_RESETHAND);
	send_self(v->sig, 1);
	CHECK_EQ(atomic_load(&noted), 1);
	send_self(v->sig, 2);
	_exit(3);
}

static void count_in_stage(int sig, siginfo_t *info, void *context);
static struct stage *stage;

static void get_a_burst(void *arg)
{
	struct victim *v = arg;

	stage = &v->stage;
	handle(v->sig, count_in_stage, SA_RESETHAND);
	block(SET(v->sig));
	for (int i = 0; i < 5; i++)
		send_self(v->sig, i);
	unblock(SET(v->sig));
	_exit(3);
}

static void count_in_stage(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)info, (void)context;
	atomic_fetch_add(&stage->count, 1);
}

TEST(second_signal_to_a_one_shot_handler_takes_the_default_action)
{
	struct victim *v = share(sizeof(*v));

	for (int i = 0; i < KINDS; i++) {
		v->sig = one_of_kind(i);
		expect_killed(test_fork(get_it_twice, v), v->sig);
	}
	v->sig = SIGRTMAX;
	expect_killed(test_fork(get_it_twice, v), v->sig);
}

TEST(burst_to_a_one_shot_handler_is_handled_once_and_then_the_default_action)
{
	struct victim *v = share(sizeof(*v));

	v->sig = RT0;
	expect_killed(test_fork(get_a_burst, v), RT0);
	CHECK(atomic_load(&v->stage.count) <= 1); // it may have been killed before it began
}

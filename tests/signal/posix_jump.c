// SPDX-License-Identifier: MIT
//
// tests/signal/posix_jump.c - handlers that never return: siglongjmp out of them, also in the middle of a burst of
// queued signals, restores the mask and loses nothing.
#include "signals.h"

#include <setjmp.h>

static sigjmp_buf back;

static void jump(int sig, siginfo_t *info, void *context)
{
	note(sig, info, context);
	siglongjmp(back, sig);
}

TEST(siglongjmp_out_of_a_handler_restores_the_mask)
{
	for (volatile int i = 0; i < KINDS; i = i + 1) {
		handle_masked(one_of_kind(i), jump, 0, SET(SIGUSR2, RT1));
		block(SET(SIGTERM));
		const int got = sigsetjmp(back, 1);
		if (got == 0) {
			send_self(one_of_kind(i), 1);
			CHECK(!"reached");
		}
		CHECK_EQ(got, one_of_kind(i));
		CHECK(!is_blocked(got) && !is_blocked(SIGUSR2) && !is_blocked(RT1) && is_blocked(SIGTERM));
	}
}

TEST(siglongjmp_without_a_saved_mask_leaves_it)
{
	for (volatile int i = 0; i < KINDS; i = i + 1) {
		handle_masked(one_of_kind(i), jump, 0, SET(SIGUSR2));
		if (sigsetjmp(back, 0) == 0) {
			send_self(one_of_kind(i), 1);
			CHECK(!"reached");
		}
		CHECK(is_blocked(one_of_kind(i)) && is_blocked(SIGUSR2));
		unblock(SET(one_of_kind(i), SIGUSR2));
	}
}

TEST(signal_comes_again_after_siglongjmp_many_times)
{
	static volatile int rounds;

	for (volatile int i = 0; i < KINDS; i = i + 1) {
		forget_notes();
		handle(one_of_kind(i), jump, 0);
		rounds = 0;
		sigsetjmp(back, 1);
		if (rounds < 5000 / SLOWER) {
			rounds = rounds + 1;
			send_self(one_of_kind(i), rounds);
			CHECK(!"reached");
		}
		CHECK_EQ(atomic_load(&noted), 5000 / SLOWER);
		expect_note(4, one_of_kind(i), 5);
	}
}

TEST(siglongjmp_in_the_middle_of_a_burst_loses_nothing)
{
	enum { MANY = 500 };

	handle(RT0, jump, 0);
	block(SET(RT0));
	for (int i = 0; i < MANY; i++)
		send_self(RT0, i);
	sigsetjmp(back, 1); // with RT0 blocked
	CHECK(is_blocked(RT0));
	while (is_pending(RT0))
		unblock(SET(RT0));
	CHECK_EQ(atomic_load(&noted), MANY);
	for (int i = 0; i < MANY; i++)
		expect_note(i, RT0, i);
}

TEST(siglongjmp_out_of_a_burst_to_an_unblocked_place_delivers_the_rest)
{
	enum { MANY = 500 };
	static volatile bool sent;

	handle(RT0, jump, 0);
	sigsetjmp(back, 1); // with nothing blocked
	if (!sent) {
		block(SET(RT0));
		for (int i = 0; i < MANY; i++)
			send_self(RT0, i);
		sent = true;
		unblock(SET(RT0));
		CHECK(!"reached");
	}
	// The rest has come, jump by jump, without another call.
	CHECK_EQ(atomic_load(&noted), MANY);
	for (int i = 0; i < MANY; i++)
		expect_note(i, RT0, i);
}

TEST(signals_sent_after_siglongjmp_come_behind_the_rest_of_the_burst)
{
	static volatile int sent;

	handle(RT0, jump, 0);
	block(SET(RT0));
	for (int i = 0; i < 10; i++)
		send_self(RT0, i);
	sigsetjmp(back, 1);
	if (sent < 10) {
		sent = sent + 1;
		send_self(RT0, 9 + sent);
		unblock(SET(RT0));
		CHECK(!"reached");
	}
	while (is_pending(RT0))
		unblock(SET(RT0));
	CHECK_EQ(atomic_load(&noted), 20);
	for (int i = 0; i < 20; i++)
		expect_note(i, RT0, i);
}

static jmp_buf plain;

static void jump_plainly(int sig, siginfo_t *info, void *context)
{
	note(sig, info, context);
	longjmp(plain, 1);
}

TEST(longjmp_leaves_the_signal_blocked_and_unblocking_delivers_the_rest)
{
	enum { MANY = 100 };

	handle(RT0, jump_plainly, 0);
	block(SET(RT0));
	for (int i = 0; i < MANY; i++)
		send_self(RT0, i);
	setjmp(plain);
	CHECK(is_blocked(RT0));
	if (is_pending(RT0)) {
		unblock(SET(RT0)); // comes back to the jump, until none is left
		CHECK(!"reached");
	}
	CHECK_EQ(atomic_load(&noted), MANY);
	for (int i = 0; i < MANY; i++)
		expect_note(i, RT0, i);
}

/* ---- nested ---- */

static sigjmp_buf inner;
static volatile int steps;

static void jump_inside(int sig, siginfo_t *info, void *context)
{
	note(sig, info, context);
	siglongjmp(inner, 1);
}

static void outer_handler(int sig, siginfo_t *info, void *context)
{
	note(sig, info, context);
	if (sigsetjmp(inner, 1) == 0)
		send_self(RT1, 2);
	CHECK(is_blocked(sig) && !is_blocked(RT1));
	steps = steps + 1;
}

TEST(siglongjmp_from_an_inner_handler_into_the_outer_one)
{
	for (int i = 0; i < KINDS; i++) {
		steps = 0;
		handle(one_of_kind(i), outer_handler, 0);
		handle(RT1, jump_inside, 0);
		for (int n = 1; n <= 100; n++) {
			send_self(one_of_kind(i), 1);
			CHECK_EQ(steps, n);
			CHECK(!is_blocked(one_of_kind(i)));
		}
	}
	CHECK_EQ(atomic_load(&noted), 400);
}

static void nest_and_jump(int sig, siginfo_t *info, void *context)
{
	note(sig, info, context);
	if (sig == RT2)
		siglongjmp(back, 1);
	send_self(sig + 1, 0);
	CHECK(!"reached");
}

TEST(siglongjmp_over_several_handlers)
{
	for (volatile int n = 0; n < 500; n = n + 1) {
		for (int sig = RT0; sig <= RT2; sig++)
			handle(sig, nest_and_jump, 0);
		if (sigsetjmp(back, 1) == 0)
			send_self(RT0, 0);
		CHECK(!is_blocked(RT0) && !is_blocked(RT1) && !is_blocked(RT2));
	}
	CHECK_EQ(atomic_load(&noted), 1500);
}

/* ---- signals of another process, at any time ---- */

struct flood {
	struct stage stage;
	int sig, count;
};

static void send_flood(void *arg)
{
	const struct flood *f = arg;

	for (int i = 0; i < f->count; i++)
		while (sigqueue(f->stage.pid, f->sig, value_of(i)) == -1) {
			CHECK_EQ(errno, EAGAIN);
			sched_yield();
		}
}

TEST(siglongjmp_at_every_signal_of_a_stream_loses_none)
{
	struct flood *f = share(sizeof(*f));
	static volatile pid_t pid;

	f->stage.pid = getpid();
	f->sig = RT0;
	f->count = 500; // in the worst case each one's frame stands on the stack below the one before
	handle(RT0, jump, 0);
	sigsetjmp(back, 1);
	if (!pid) {
		block(SET(RT0));
		pid = test_fork(send_flood, f);
		unblock(SET(RT0));
	}
	compute_until(&noted, f->count);
	test_join(pid);
	for (int i = 0; i < f->count; i++)
		expect_note(i, RT0, i);
}

TEST(siglongjmp_out_of_a_sleeping_call)
{
	const sigset_t none = NO_SIGNALS;

	for (volatile int i = 0; i < KINDS; i = i + 1) {
		handle(one_of_kind(i), jump, 0);
		block(SET(one_of_kind(i)));
		if (sigsetjmp(back, 1) == 0) {
			CHECK_OK(raise(one_of_kind(i)));
			sigsuspend(&none);
			CHECK(!"reached");
		}
		CHECK(is_blocked(one_of_kind(i)));
		unblock(SET(one_of_kind(i)));
	}
	CHECK_EQ(atomic_load(&noted), 2);
}

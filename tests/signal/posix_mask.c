// SPDX-License-Identifier: MIT
//
// tests/signal/posix_mask.c - what is blocked while a handler runs: its own signal, those of sa_mask, or with
// SA_NODEFER not even its own; so which handlers nest in which.
#include "signals.h"

#include <ucontext.h>

// What handlers did, one letter for each step: "aBb" is: a began, B began and ended... Upper case: begun,
// lower case: ended.
static char story[4096];
static volatile sig_atomic_t said;

static void say(char letter)
{
	if (said < (sig_atomic_t)sizeof(story) - 1)
		story[said++] = letter;
}

static void expect_story(const char *expected)
{
	story[said] = 0;
	if (strcmp(story, expected) != 0)
		test_failed(__FILE__, __LINE__, "the story \"%s\" is \"%s\"", story, expected);
	said = 0;
}

static int letter_of(int sig)
{
	return sig == SIGUSR1 ? 'A' : sig == SIGUSR2 ? 'B' : sig == SIGTERM ? 'C' : 'R' + sig - RT0;
}

static int raised_inside[65]; // by the handler of signal n, once

static void tell(int sig, siginfo_t *info, void *context)
{
	const int next = raised_inside[sig];

	(void)info, (void)context;
	say((char)letter_of(sig));
	raised_inside[sig] = 0;
	if (next)
		CHECK_OK(raise(next));
	say((char)(letter_of(sig) + 'a' - 'A'));
}

TEST(handler_of_another_signal_nests)
{
	handle(SIGUSR1, tell, 0);
	handle(SIGUSR2, tell, 0);
	handle(RT0, tell, 0);
	raised_inside[SIGUSR1] = SIGUSR2;
	raised_inside[SIGUSR2] = RT0;
	CHECK_OK(raise(SIGUSR1));
	expect_story("ABRrba");
	raised_inside[RT0] = SIGUSR1;
	CHECK_OK(raise(RT0));
	expect_story("RAar");
}

TEST(signals_of_sa_mask_wait_until_the_handler_has_ended)
{
	handle_masked(SIGUSR1, tell, 0, SET(SIGUSR2, RT0));
	handle(SIGUSR2, tell, 0);
	handle(RT0, tell, 0);
	handle(SIGTERM, tell, 0);
	raised_inside[SIGUSR1] = SIGUSR2;
	CHECK_OK(raise(SIGUSR1));
	expect_story("AaBb");
	raised_inside[SIGUSR1] = RT0;
	CHECK_OK(raise(SIGUSR1));
	expect_story("AaRr");
	raised_inside[SIGUSR1] = SIGTERM;
	raised_inside[SIGTERM] = SIGUSR2;
	CHECK_OK(raise(SIGUSR1));
	expect_story("ACcaBb");
}

TEST(sa_mask_of_a_queued_signal_holds_too)
{
	handle_masked(RT0, tell, 0, SET(SIGUSR1, RT1));
	handle_masked(RT1, tell, 0, SET(SIGUSR1));
	handle(SIGUSR1, tell, 0);
	raised_inside[RT0] = RT1;
	raised_inside[RT1] = SIGUSR1;
	send_self(RT0, 1);
	expect_story("RrSsAa");
	raised_inside[RT1] = RT0;
	raised_inside[RT0] = SIGUSR1;
	send_self(RT1, 1);
	expect_story("SRrsAa");
}

TEST(own_signal_waits_until_the_handler_has_ended)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		handle(sig, tell, 0);
		raised_inside[sig] = sig;
		CHECK_OK(raise(sig));
		expect_story(i == 0 ? "AaAa" : "RrRr");
	}
}

TEST(own_signal_nests_with_sa_nodefer)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		handle(sig, tell, SA_NODEFER);
		raised_inside[sig] = sig;
		CHECK_OK(raise(sig));
		expect_story(i == 0 ? "AAaa" : "RRrr");
	}
}

TEST(own_signal_in_sa_mask_waits_even_with_sa_nodefer)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		handle_masked(sig, tell, SA_NODEFER, SET(sig));
		raised_inside[sig] = sig;
		CHECK_OK(raise(sig));
		expect_story(i == 0 ? "AaAa" : "RrRr");
	}
}

/* ---- deep ---- */

static int depth, deepest, runs;

static void recurse(int sig, siginfo_t *info, void *context)
{
	const int left = info->si_value.sival_int;

	(void)context;
	runs++;
	depth++;
	deepest = depth > deepest ? depth : deepest;
	if (left > 1)
		send_self(sig, left - 1);
	depth--;
}

TEST(handler_recurses_as_deep_as_it_sends_with_sa_nodefer)
{
	for (int i = 0; i < KINDS; i++) {
		depth = deepest = runs = 0;
		handle(one_of_kind(i), recurse, SA_NODEFER);
		send_self(one_of_kind(i), 50);
		CHECK_EQ(deepest, 50);
		CHECK_EQ(runs, 50);
	}
}

TEST(handler_that_sends_its_own_signal_runs_again_and_does_not_nest)
{
	for (int i = 0; i < KINDS; i++) {
		depth = deepest = runs = 0;
		handle(one_of_kind(i), recurse, 0);
		send_self(one_of_kind(i), 500);
		CHECK_EQ(deepest, 1);
		CHECK_EQ(runs, 500);
	}
}

// Each sends the next two, so that a tree of handlers runs; a number may interrupt lower ones only.
static int level_now;

static void climb(int sig, siginfo_t *info, void *context)
{
	const int before = level_now;
	const int left = info->si_value.sival_int;

	(void)context;
	CHECK(sig > level_now);
	level_now = sig;
	runs++;
	if (left > 0) {
		send_self(RT0 + left % 3, left - 1);
		send_self(RT0 + (left + 1) % 3, left - 1);
	}
	CHECK_EQ(level_now, sig);
	level_now = before;
}

TEST(handlers_that_mask_all_lower_numbers_make_levels)
{
	sigset_t mask = NO_SIGNALS;

	for (int i = 0; i < 3; i++) {
		CHECK_OK(sigaddset(&mask, RT0 + i));
		handle_masked(RT0 + i, climb, 0, mask);
	}
	send_self(RT0, 10);
	CHECK_EQ(runs, (1 << 11) - 1);
}

TEST(queued_burst_runs_one_after_the_other)
{
	handle(RT0, recurse, 0);
	block(SET(RT0));
	for (int i = 0; i < 500; i++)
		send_self(RT0, 1 + i % 2); // every second one sends another
	unblock(SET(RT0));
	CHECK_EQ(deepest, 1);
	CHECK_EQ(runs, 750);
}

TEST(queued_burst_with_sa_nodefer_runs_each_once)
{
	int sum = 0;

	handle(RT0, note, SA_NODEFER);
	block(SET(RT0));
	for (int i = 1; i <= 100; i++)
		send_self(RT0, i);
	unblock(SET(RT0));
	CHECK_EQ(atomic_load(&noted), 100);
	for (int i = 0; i < 100; i++)
		sum += notes[i].value;
	CHECK_EQ(sum, 5050);
}

/* ---- the mask inside, and afterwards ---- */

static sigset_t inside;

static void look_at_mask(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)info, (void)context;
	CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &inside));
}

static void expect_inside(const int *blocked)
{
	const sigset_t set = set_of_list(blocked);

	for (int sig = 1; sig <= SIGRTMAX; sig++)
		if (sig < 32 || sig >= SIGRTMIN)
			CHECK_EQ(sigismember(&inside, sig), sigismember(&set, sig));
}

#define EXPECT_INSIDE(...) expect_inside((const int[]){__VA_ARGS__, 0})

TEST(mask_inside_a_handler_is_the_old_one_with_sa_mask_and_the_signal)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		block(SET(SIGTERM));
		handle_masked(sig, look_at_mask, 0, SET(RT1, SIGUSR2, SIGKILL, SIGSTOP));
		send_self(sig, 0);
		EXPECT_INSIDE(sig, SIGTERM, RT1, SIGUSR2);
		handle_masked(sig, look_at_mask, SA_NODEFER, SET(RT1));
		send_self(sig, 0);
		EXPECT_INSIDE(SIGTERM, RT1);
		handle_masked(sig, look_at_mask, SA_NODEFER, NO_SIGNALS);
		send_self(sig, 0);
		EXPECT_INSIDE(SIGTERM);
		CHECK(is_blocked(SIGTERM) && !is_blocked(sig) && !is_blocked(RT1) && !is_blocked(SIGUSR2));
	}
}

static void change_the_mask(int sig, siginfo_t *info, void *context)
{
	note(sig, info, context);
	block(SET(SIGUSR2, RT1));
	unblock(SET(SIGTERM));
}

TEST(mask_that_a_handler_changes_is_restored_when_it_returns)
{
	for (int i = 0; i < KINDS; i++) {
		block(SET(SIGTERM));
		handle(one_of_kind(i), change_the_mask, 0);
		for (int n = 0; n < 3; n++) {
			send_self(one_of_kind(i), n);
			CHECK(is_blocked(SIGTERM) && !is_blocked(SIGUSR2) && !is_blocked(RT1));
			CHECK(!is_blocked(one_of_kind(i)));
		}
	}
}

static void change_the_restored_mask(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	note(sig, info, context);
	sigaddset(&uc->uc_sigmask, SIGUSR2);
	sigdelset(&uc->uc_sigmask, SIGTERM);
}

TEST(mask_in_the_context_is_what_is_restored)
{
	for (int i = 0; i < KINDS; i++) {
		block(SET(SIGTERM));
		unblock(SET(SIGUSR2));
		handle(one_of_kind(i), change_the_restored_mask, 0);
		send_self(one_of_kind(i), 1);
		CHECK(is_blocked(SIGUSR2) && !is_blocked(SIGTERM));
	}
}

static void unblock_own_signal(int sig, siginfo_t *info, void *context)
{
	(void)context;
	say((char)('0' + info->si_value.sival_int));
	unblock(SET(sig));
	say((char)('a' + info->si_value.sival_int));
}

TEST(handler_that_unblocks_its_own_signal_is_nested_by_what_is_pending)
{
	handle(RT0, unblock_own_signal, 0);
	block(SET(RT0));
	send_self(RT0, 1);
	send_self(RT0, 2);
	send_self(RT0, 3);
	unblock(SET(RT0));
	expect_story("123dcb");
}

// SPDX-License-Identifier: MIT
//
// tests/signal/posix_stack.c - handlers on an alternate stack.
//
#include "signals.h"

#include <setjmp.h>

enum { STACK_BYTES = 256 * 1024 };

static char other_stack[STACK_BYTES];
static bool was_on_it, said_on_it;

static bool is_on_it(const void *place)
{
	return (const char *)place >= other_stack && (const char *)place < other_stack + STACK_BYTES;
}

static void look(int sig, siginfo_t *info, void *context)
{
	stack_t stack;

	note(sig, info, context);
	was_on_it = is_on_it(__builtin_frame_address(0));
	CHECK_OK(sigaltstack(NULL, &stack));
	said_on_it = stack.ss_flags == SS_ONSTACK;
}

static void use_other_stack(void)
{
	const stack_t stack = {.ss_sp = other_stack, .ss_size = STACK_BYTES};

	CHECK_OK(sigaltstack(&stack, NULL));
}

static void expect_on_it(int sig, bool on_it)
{
	was_on_it = said_on_it = !on_it;
	send_self(sig, 1);
	CHECK_EQ(was_on_it, on_it);
	CHECK_EQ(said_on_it, on_it);
}

TEST(handler_runs_on_the_alternate_stack_with_sa_onstack_only)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		CHECK_OK(sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL));
		handle(sig, look, SA_ONSTACK);
		expect_on_it(sig, false); // there is none
		use_other_stack();
		expect_on_it(sig, true);
		handle(sig, look, 0);
		expect_on_it(sig, false);
		handle(sig, look, SA_ONSTACK | SA_RESTART);
		expect_on_it(sig, true);
	}
}

TEST(sigaltstack_tells_what_it_was_told)
{
	stack_t old = {0};

	CHECK_OK(sigaltstack(NULL, &old));
	CHECK(SANITIZED || old.ss_flags == SS_DISABLE); // a sanitizer has one of its own
	use_other_stack();
	CHECK_OK(sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, &old));
	CHECK(old.ss_sp == other_stack);
	CHECK_EQ(old.ss_size, STACK_BYTES);
	CHECK_EQ(old.ss_flags, 0);
	CHECK_OK(sigaltstack(NULL, &old));
	CHECK_EQ(old.ss_flags, SS_DISABLE);
}

TEST(whole_burst_runs_on_the_alternate_stack)
{
	use_other_stack();
	handle(RT0, look, SA_ONSTACK);
	block(SET(RT0));
	for (int i = 0; i < 1000; i++)
		send_self(RT0, i);
	was_on_it = false;
	unblock(SET(RT0));
	CHECK(was_on_it && said_on_it);
	CHECK_EQ(atomic_load(&noted), 1000);
	CHECK(!is_on_it(__builtin_frame_address(0)));
}

static void change_it_inside(int sig, siginfo_t *info, void *context)
{
	const stack_t disable = {.ss_flags = SS_DISABLE};

	look(sig, info, context);
	CHECK_ERR(sigaltstack(&disable, NULL), EPERM);
}

TEST(alternate_stack_cannot_be_changed_while_it_is_used)
{
	use_other_stack();
	for (int i = 0; i < KINDS; i++) {
		handle(one_of_kind(i), change_it_inside, SA_ONSTACK);
		expect_on_it(one_of_kind(i), true);
	}
	CHECK_OK(sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL));
}

static int nested_on_it;

static void nest(int sig, siginfo_t *info, void *context)
{
	look(sig, info, context);
	nested_on_it += is_on_it(__builtin_frame_address(0));
	if (info->si_value.sival_int > 0)
		send_self(sig == RT0 ? SIGUSR1 : RT0, info->si_value.sival_int - 1);
	CHECK(is_on_it(__builtin_frame_address(0)));
}

TEST(handlers_nest_on_the_alternate_stack)
{
	use_other_stack();
	handle(RT0, nest, SA_ONSTACK | SA_NODEFER);
	handle(SIGUSR1, nest, SA_ONSTACK | SA_NODEFER);
	send_self(RT0, 9);
	CHECK_EQ(nested_on_it, 10);
	CHECK_EQ(atomic_load(&noted), 10);
}

static sigjmp_buf back;

static void jump(int sig, siginfo_t *info, void *context)
{
	look(sig, info, context);
	siglongjmp(back, 1);
}

TEST(siglongjmp_leaves_the_alternate_stack)
{
	use_other_stack();
	for (volatile int i = 0; i < 200; i = i + 1) {
		handle(one_of_kind(i % 2), jump, SA_ONSTACK);
		if (sigsetjmp(back, 1) == 0)
			send_self(one_of_kind(i % 2), 1);
		CHECK(was_on_it);
		stack_t stack;
		CHECK_OK(sigaltstack(NULL, &stack));
		CHECK_EQ(stack.ss_flags, 0);
	}
}

static volatile int bottomless;

static int overflow(int depth)
{
	volatile char page[4096];

	page[0] = (char)depth;
	if (bottomless)
		return overflow(depth + 1) + page[0];
	return page[0];
}

TEST(overflow_of_the_stack_is_handled_on_the_alternate_one)
{
	use_other_stack();
	handle(SIGSEGV, jump, SA_ONSTACK);
	bottomless = 1;
	if (sigsetjmp(back, 1) == 0) {
		overflow(0);
		CHECK(!"reached");
	}
	CHECK(was_on_it);
	CHECK_EQ(atomic_load(&noted), 1);
}

/* ---- whose it is ---- */

static void *look_in_a_thread(void *arg)
{
	stack_t stack;

	(void)arg;
	CHECK_OK(sigaltstack(NULL, &stack));
	CHECK(SANITIZED || stack.ss_flags == SS_DISABLE);
	CHECK_OK(raise(RT0));
	CHECK(!was_on_it);
	return NULL;
}

TEST(thread_starts_without_an_alternate_stack)
{
	pthread_t thread;

	use_other_stack();
	handle(RT0, look, SA_ONSTACK);
	CHECK_EQ(pthread_create(&thread, NULL, look_in_a_thread, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	expect_on_it(RT0, true);
}

static void look_in_a_child(void *arg)
{
	(void)arg;
	expect_on_it(RT0, true);
	expect_on_it(SIGUSR1, true);
}

TEST(forked_child_has_its_parents_alternate_stack)
{
	use_other_stack();
	handle(RT0, look, SA_ONSTACK);
	handle(SIGUSR1, look, SA_ONSTACK);
	test_join(test_fork(look_in_a_child, NULL));
}

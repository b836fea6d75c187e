// SPDX-License-Identifier: MIT
//
// tests/kill/signal_take.c - a receiver is killed: while it takes, falls asleep, blocks and unblocks, changes what a
// signal does, gets its port or gives it up. Senders learn that it is gone, others are received as ever, and what it
// has left is taken away. See signal_stage.h.
#include "signal_scenarios.h"

#include "signal/fork.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static pid_t other; // a taker that lives

static void be_target(void)
{
	got()->target = getpid();
}

static void prepare_other(void)
{
	other = start_taker();
	got()->target = 0;
}

// ---- the victim's ----

static void handler(int sig)
{
	(void)sig;
}

static void handle(void (*fn)(int))
{
	struct sigaction sa = {.sa_handler = fn, .sa_flags = SA_RESTART};

	sigemptyset(&sa.sa_mask);
	ph_sigaction(RT, &sa, NULL);
}

static void first_handler(void)
{
	handle(handler);
}

static void ignore(void)
{
	handle(SIG_IGN);
}

static void reset(void)
{
	handle(SIG_DFL);
}

static void enter_handling(void)
{
	handle(handler);
	be_target();
}

static void enter_with_pending_handler(void)
{
	handle(handler);
	block_here();
	be_target();
	for (int i = 0; i < 3; i++)
		try_send(getpid(), i);
}

static void enter_taking(void)
{
	take_here();
}

static void enter_with_queue(void)
{
	take_here();
	for (int i = 0; i < 3; i++)
		try_send(getpid(), i);
	ph_kill(getpid(), SIGUSR1);
}

static void enter_with_queue_and_handler(void)
{
	handle(handler);
	take_here();
	for (int i = 0; i < 3; i++)
		try_send(getpid(), i);
}

static void take_once(void)
{
	sigset_t set;
	siginfo_t info;

	sigemptyset(&set);
	sigaddset(&set, RT);
	ph_sigwaitinfo(&set, &info);
}

static void send_when_asleep(unsigned nth)
{
	(void)nth;
	try_send(got()->target, LATE);
}

static void kernel_when_asleep(unsigned nth)
{
	(void)nth;
	kill(got()->target, RT);
}

static void look_at_pending(void)
{
	sigset_t set;

	ph_sigpending(&set);
}

static void change_depth(void)
{
	ph_sigqueue_depth(5000);
}

static void end_as_exit_does(void)
{
	phi_signal_exit();
}

static void send_to_victim(void)
{
	const int e = try_send(got()->target, LATE);

	KILL_CHECK(e == 0 || e == ESRCH, "a send meanwhile: %s", strerror(e));
}

// ---- the end ----

static int victim_gone(void)
{
	kill_join(kill_contender(), "who sends meanwhile");
	expect_target_gone(kill_victim());
	got()->target = other;
	got()->count = 0; // the victim's
	send_from_party(other, LATE);
	await_settled(other);
	send_to(other, LAST);
	kill_join(other, "the other taker");
	KILL_CHECK(got()->count == 2 && got()->values[0] == LATE && got()->values[1] == LAST,
	           "the other taker got %d signals", got()->count);
	return 0;
}

#define RECEIVER(text, entering, what)                                            \
	.name = text, .prepare = prepare_other, .enter = entering, .operation = what, \
	.after = victim_gone

static const struct kill_scenario scenarios[] = {
	{RECEIVER("first_handler_makes_the_port", be_target, first_handler)},
	{RECEIVER("handler_replaced", enter_handling, first_handler), .contend = send_to_victim},
	{RECEIVER("handler_becomes_ignored", enter_handling, ignore)},
	{RECEIVER("handler_becomes_default", enter_handling, reset)},
	{RECEIVER("unblock_with_pending_handler", enter_with_pending_handler, unblock_here)},
	{RECEIVER("unblock_what_was_taken_here", enter_with_queue_and_handler, unblock_here),
     .contend = send_to_victim},
	{RECEIVER("block", enter_handling, block_here)},
	{RECEIVER("first_take_makes_the_port", block_here, take_all_here)},
	{RECEIVER("take_what_is_there", enter_with_queue, take_once)},
	{RECEIVER("take_all", enter_with_queue, take_all_here)},
	{RECEIVER("sleeping_take", enter_taking, take_once), .wake = send_when_asleep},
	{RECEIVER("sleeping_take_from_the_kernel", enter_taking, take_once),
     .wake = kernel_when_asleep},
	{RECEIVER("pending", enter_with_queue, look_at_pending)},
	{RECEIVER("depth", enter_taking, change_depth)},
	{RECEIVER("port_removed", enter_handling, end_as_exit_does)},
};

const struct scenario_table signal_take = SCENARIO_TABLE(scenarios);

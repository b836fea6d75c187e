// SPDX-License-Identifier: MIT
//
// tests/signal/posix_atfork.c - a program's own fork handlers send signals, wait for them, and change what is done at them.
#include "atfork.h"

#include "signals.h"

static void use_signals(void)
{
	block(SET(RT0, SIGUSR1));
	send_self(RT0, 7);
	take_value(SET(RT0), RT0, 7);
	CHECK_OK(kill(getpid(), SIGUSR1));
	take(SET(SIGUSR1));
	note_signal(RT1);
	forget_notes();
	send_self(RT1, 8);
	CHECK_EQ(atomic_load(&noted), 1);
	expect_note(0, RT1, 8);
	dispose(RT1, SIG_DFL);
}

TEST(fork_handlers_use_signals)
{
	use_in_fork_handlers(use_signals);
}

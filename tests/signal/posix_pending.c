// SPDX-License-Identifier: MIT
//
// tests/signal/posix_pending.c - blocked signals: standard ones merge, real-time ones queue in order with their
// values, the lowest number comes first, and all are delivered before the call returns that unblocks them.
#include "signals.h"

TEST(nothing_is_pending_at_first)
{
	CHECK(nothing_is_pending());
	block(all_signals());
	CHECK(nothing_is_pending());
}

TEST(blocked_signal_is_pending_until_it_is_unblocked)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		forget_notes();
		note_signal(sig);
		block(SET(sig));
		CHECK_OK(kill(getpid(), sig));
		CHECK(is_pending(sig));
		CHECK(!is_pending(SIGUSR2));
		CHECK_EQ(atomic_load(&noted), 0);
		unblock(SET(sig));
		CHECK_EQ(atomic_load(&noted), 1);
		CHECK(!is_pending(sig));
		unblock(SET(sig));
		CHECK_EQ(atomic_load(&noted), 1);
	}
}

TEST(unblocked_signal_is_delivered_before_the_call_that_sent_it_returns)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		forget_notes();
		note_signal(sig);
		for (int n = 1; n <= 1000; n += 3) {
			send_self(sig, n);
			CHECK_EQ(atomic_load(&noted), n);
			CHECK_OK(kill(getpid(), sig));
			CHECK_EQ(atomic_load(&noted), n + 1);
			CHECK_OK(raise(sig));
			CHECK_EQ(atomic_load(&noted), n + 2);
		}
	}
}

TEST(standard_signals_merge_while_pending)
{
	note_signal(SIGUSR1);
	for (int round = 1; round <= 100; round++) {
		block(SET(SIGUSR1));
		for (int i = 0; i < 5; i++)
			CHECK_OK(kill(getpid(), SIGUSR1));
		unblock(SET(SIGUSR1));
		CHECK_EQ(atomic_load(&noted), round);
	}
}

TEST(every_standard_signal_merges)
{
	for (int sig = 1; sig < 32; sig++) {
		if (sig == SIGKILL || sig == SIGSTOP)
			continue;
		forget_notes();
		note_signal(sig);
		block(SET(sig));
		for (int i = 1; i <= 3; i++)
			send_self(sig, i);
		CHECK(is_pending(sig));
		unblock(SET(sig));
		CHECK_EQ(atomic_load(&noted), 1);
		expect_note(0, sig, 1); // the first one's value
	}
}

TEST(every_real_time_signal_queues_in_order_with_its_values)
{
	for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++) {
		forget_notes();
		note_signal(sig);
		block(SET(sig));
		for (int i = 0; i < 10; i++)
			send_self(sig, sig * 100 + i);
		CHECK(is_pending(sig));
		unblock(SET(sig));
		CHECK_EQ(atomic_load(&noted), 10);
		for (int i = 0; i < 10; i++)
			expect_note(i, sig, sig * 100 + i);
		CHECK(!is_pending(sig));
	}
}

TEST(thousands_of_queued_signals_are_delivered_before_the_unblocking_call_returns)
{
	enum { MANY = 3500 };

	note_signal(RT0);
	for (int round = 0; round < 3; round++) {
		forget_notes();
		block(SET(RT0));
		for (int i = 0; i < MANY; i++)
			send_self(RT0, i);
		CHECK_EQ(atomic_load(&noted), 0);
		unblock(SET(RT0));
		CHECK_EQ(atomic_load(&noted), MANY);
		for (int i = 0; i < MANY; i++)
			expect_note(i, RT0, i);
	}
}

TEST(values_keep_all_their_bits)
{
	static const uintptr_t values[] = {0, 1, 0x7fffffff, 0x80000000, UINTPTR_MAX, UINTPTR_MAX / 3};

	block(SET(RT0));
	for (int i = 0; i < 6; i++)
		CHECK_OK(sigqueue(getpid(), RT0, (union sigval){.sival_ptr = (void *)values[i]}));
	for (int i = 0; i < 6; i++) {
		const siginfo_t info = take(SET(RT0));
		CHECK((uintptr_t)info.si_value.sival_ptr == values[i]);
	}
}

/* ---- which one first ---- */

// One of each, sent in an order that has nothing to do with their numbers.
static void send_shuffled(void)
{
	for (int i = 0; i < 64; i++) {
		const int sig = 1 + i * 37 % 64;
		if (sig == SIGKILL || sig == SIGSTOP || sig == SIGCONT || (sig >= 32 && sig < SIGRTMIN))
			continue;
		send_self(sig, sig);
		send_self(sig, sig + 1000);
	}
}

TEST(lowest_number_is_delivered_first)
{
	const sigset_t all = all_signals();

	note_one_by_one(SET(SIGHUP, SIGUSR1, SIGUSR2, SIGTERM, SIGSEGV, RT0, RT1, RT2, SIGRTMAX));
	block(all);
	send_self(SIGRTMAX, 1);
	send_self(RT1, 2);
	send_self(RT2, 3);
	send_self(RT0, 4);
	send_self(RT1, 5);
	send_self(SIGTERM, 6);
	send_self(SIGHUP, 7);
	send_self(SIGUSR2, 8);
	send_self(SIGUSR1, 9);
	unblock(all);
	CHECK_EQ(atomic_load(&noted), 9);
	expect_note(0, SIGHUP, 7);
	expect_note(1, SIGUSR1, 9);
	expect_note(2, SIGUSR2, 8);
	expect_note(3, SIGTERM, 6);
	expect_note(4, RT0, 4);
	expect_note(5, RT1, 2);
	expect_note(6, RT1, 5);
	expect_note(7, RT2, 3);
	expect_note(8, SIGRTMAX, 1);
}

TEST(all_signals_pending_at_once_are_delivered_by_number)
{
	int last = 0;

	for (int sig = 1; sig <= SIGRTMAX; sig++)
		if (sig != SIGKILL && sig != SIGSTOP && (sig < 32 || sig >= SIGRTMIN))
			handle_masked(sig, note, 0, all_signals());
	block(all_signals());
	send_shuffled();
	unblock(all_signals());
	for (int i = 0; i < atomic_load(&noted); i++) {
		// What a fault would raise comes before the others, as the kernel has it.
		if (notes[i].sig >= SIGRTMIN || notes[i].sig == SIGUSR1 || notes[i].sig == SIGTERM) {
			CHECK(notes[i].sig >= last);
			CHECK_EQ(notes[i].value, notes[i].sig + (notes[i].sig == last ? 1000 : 0));
			last = notes[i].sig;
		}
	}
	CHECK_EQ(last, SIGRTMAX);
	CHECK_EQ(atomic_load(&noted), 28 + 2 * (SIGRTMAX - SIGRTMIN + 1));
	CHECK(nothing_is_pending());
}

TEST(lowest_number_is_taken_first)
{
	block(all_signals());
	send_self(RT1, 1);
	send_self(RT0, 2);
	send_self(RT1, 3);
	send_self(SIGUSR2, 4);
	send_self(SIGUSR1, 5);
	take_value(all_signals(), SIGUSR1, 5);
	take_value(SET(RT1, SIGUSR2), SIGUSR2, 4);
	take_value(SET(RT1), RT1, 1);
	take_value(SET(RT1, RT0), RT0, 2);
	take_value(SET(RT1, RT0), RT1, 3);
	expect_none(all_signals());
}

/* ---- only what is unblocked ---- */

TEST(unblocking_one_signal_leaves_the_others_pending)
{
	note_one_by_one(SET(SIGUSR1, SIGUSR2, RT0, RT1));
	block(SET(SIGUSR1, SIGUSR2, RT0, RT1));
	for (int i = 0; i < 3; i++) {
		send_self(SIGUSR1, i);
		send_self(SIGUSR2, i);
		send_self(RT0, i);
		send_self(RT1, i);
	}
	unblock(SET(RT1));
	CHECK_EQ(atomic_load(&noted), 3);
	CHECK(is_pending(RT0) && is_pending(SIGUSR1) && is_pending(SIGUSR2) && !is_pending(RT1));
	unblock(SET(SIGUSR2));
	CHECK_EQ(atomic_load(&noted), 4);
	CHECK(is_pending(RT0) && is_pending(SIGUSR1) && !is_pending(SIGUSR2));
	change_mask(SIG_SETMASK, SET(SIGUSR1, RT1));
	CHECK_EQ(atomic_load(&noted), 7);
	CHECK(is_pending(SIGUSR1) && !is_pending(RT0));
	change_mask(SIG_SETMASK, NO_SIGNALS);
	CHECK_EQ(atomic_load(&noted), 8);
	CHECK(nothing_is_pending());
}

TEST(mask_is_a_set_that_the_calls_change_as_they_say)
{
	sigset_t old;
	sigset_t set = SET(SIGUSR1, RT0);

	CHECK_OK(sigprocmask(SIG_SETMASK, &set, &old));
	set = SET(SIGUSR2, RT0);
	CHECK_OK(sigprocmask(SIG_BLOCK, &set, &old));
	CHECK(sigismember(&old, SIGUSR1) && sigismember(&old, RT0) && !sigismember(&old, SIGUSR2));
	CHECK(is_blocked(SIGUSR1) && is_blocked(SIGUSR2) && is_blocked(RT0) && !is_blocked(RT1));
	set = SET(SIGUSR1, RT1);
	CHECK_OK(sigprocmask(SIG_UNBLOCK, &set, &old));
	CHECK(sigismember(&old, SIGUSR1) && sigismember(&old, SIGUSR2) && !sigismember(&old, RT1));
	CHECK(!is_blocked(SIGUSR1) && is_blocked(SIGUSR2) && is_blocked(RT0));
	set = SET(RT1);
	CHECK_OK(sigprocmask(SIG_SETMASK, &set, NULL));
	CHECK(!is_blocked(SIGUSR2) && !is_blocked(RT0) && is_blocked(RT1));
}

TEST(signals_sent_while_others_are_pending_come_after_them)
{
	note_signal(RT0);
	block(SET(RT0));
	send_self(RT0, 1);
	send_self(RT0, 2);
	take_value(SET(RT0), RT0, 1);
	send_self(RT0, 3);
	take_value(SET(RT0), RT0, 2);
	send_self(RT0, 4);
	unblock(SET(RT0));
	CHECK_EQ(atomic_load(&noted), 2);
	expect_note(0, RT0, 3);
	expect_note(1, RT0, 4);
	send_self(RT0, 5);
	expect_note(2, RT0, 5);
}

TEST(real_time_signals_by_kill_and_by_sigqueue_keep_their_order)
{
	block(SET(RT0));
	for (int i = 0; i < 100; i++) {
		if (i % 3 == 0)
			CHECK_OK(kill(getpid(), RT0));
		else
			send_self(RT0, i);
	}
	for (int i = 0; i < 100; i++) {
		const siginfo_t info = take(SET(RT0));
		CHECK_EQ(info.si_code, i % 3 == 0 ? SI_USER : SI_QUEUE);
		if (i % 3)
			CHECK_EQ(info.si_value.sival_int, i);
	}
	expect_none(SET(RT0));
}

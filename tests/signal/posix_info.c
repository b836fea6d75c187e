// SPDX-License-Identifier: MIT
//
// tests/signal/posix_info.c - what a handler with SA_SIGINFO, and who takes the signal, learns of it: si_code, the
// sender and his user, the value; from each way of sending, and from the kernel's timers.
#include "signals.h"

#include <sys/time.h>

static siginfo_t seen;

static void keep(int sig, siginfo_t *info, void *context)
{
	CHECK(context != NULL);
	seen = *info;
	note(sig, info, context);
}

static void expect_info(const siginfo_t *info, int sig, int code, pid_t pid)
{
	CHECK_EQ(info->si_signo, sig);
	CHECK_EQ(info->si_errno, 0);
	CHECK_EQ(info->si_code, code);
	CHECK_EQ(info->si_pid, pid);
	CHECK_EQ(info->si_uid, getuid());
}

// What came of it: through a handler, or taken.
static siginfo_t receive(int sig, bool by_handler)
{
	if (!by_handler)
		return take(SET(sig));
	unblock(SET(sig));
	block(SET(sig));
	CHECK_EQ(seen.si_signo, sig);
	const siginfo_t info = seen;
	memset(&seen, 0, sizeof(seen));
	return info;
}

// glibc's sigwaitinfo says SI_USER of these; a handler is told exactly.
static int thread_code(const siginfo_t *info, bool by_handler)
{
	return !by_handler && info->si_code == SI_USER ? SI_USER : SI_TKILL;
}

static void prepare(int sig)
{
	handle(sig, keep, 0);
	block(SET(sig));
}

TEST(own_signals_say_how_they_were_sent)
{
	for (int i = 0; i < KINDS * 2; i++) {
		const int sig = one_of_kind(i / 2);
		siginfo_t info;
		prepare(sig);
		CHECK_OK(kill(getpid(), sig));
		info = receive(sig, i % 2);
		expect_info(&info, sig, SI_USER, getpid());
		CHECK_OK(killpg(getpgrp(), sig));
		info = receive(sig, i % 2);
		expect_info(&info, sig, SI_USER, getpid());
		CHECK_OK(raise(sig));
		info = receive(sig, i % 2);
		expect_info(&info, sig, thread_code(&info, i % 2), getpid());
		CHECK_EQ(pthread_kill(pthread_self(), sig), 0);
		info = receive(sig, i % 2);
		expect_info(&info, sig, thread_code(&info, i % 2), getpid());
		send_self(sig, 77);
		info = receive(sig, i % 2);
		expect_info(&info, sig, SI_QUEUE, getpid());
		CHECK_EQ(info.si_value.sival_int, 77);
		send_to_thread(pthread_self(), sig, 78);
		info = receive(sig, i % 2);
		expect_info(&info, sig, SI_QUEUE, getpid());
		CHECK_EQ(info.si_value.sival_int, 78);
	}
}

struct peer {
	pid_t to;
	int sig, way;
};

static void send_as_peer(void *arg)
{
	const struct peer *p = arg;

	if (p->way == 0)
		CHECK_OK(kill(p->to, p->sig));
	else
		send_value(p->to, p->sig, -5);
}

TEST(signals_of_another_process_say_who_sent_them)
{
	for (int i = 0; i < KINDS * 4; i++) {
		struct peer p = {getpid(), one_of_kind(i / 4), i / 2 % 2};
		prepare(p.sig);
		const pid_t pid = test_fork(send_as_peer, &p);
		test_join(pid); // the sender is gone by now
		const siginfo_t info = receive(p.sig, i % 2);
		expect_info(&info, p.sig, p.way ? SI_QUEUE : SI_USER, pid);
		if (p.way)
			CHECK_EQ(info.si_value.sival_int, -5);
	}
}

// Neither side's library knows of these: made by the system call itself.
static void send_by_system_call(void *arg)
{
	const struct peer *p = arg;
	siginfo_t info = {0};

	info.si_signo = p->sig;
	info.si_code = SI_QUEUE;
	info.si_pid = getpid();
	info.si_uid = getuid();
	for (int i = 1; i <= 3; i++) {
		info.si_value.sival_int = i;
		CHECK_OK(syscall(SYS_rt_sigqueueinfo, p->to, p->sig, &info));
	}
}

TEST(signals_of_programs_without_the_library_are_the_same)
{
	for (int i = 0; i < KINDS * 2; i++) {
		struct peer p = {getpid(), one_of_kind(i / 2), 0};
		prepare(p.sig);
		const pid_t pid = test_fork(send_by_system_call, &p);
		test_join(pid);
		if (i % 2 == 0) {
			const siginfo_t info = receive(p.sig, false);
			expect_info(&info, p.sig, SI_QUEUE, pid);
			CHECK_EQ(info.si_value.sival_int, 1);
			if (p.sig == RT0) {
				take_value(SET(RT0), RT0, 2);
				take_value(SET(RT0), RT0, 3);
			}
			expect_none(SET(p.sig));
			continue;
		}
		forget_notes();
		unblock(SET(p.sig));
		CHECK_EQ(atomic_load(&noted), p.sig == RT0 ? 3 : 1);
		for (int n = 0; n < atomic_load(&noted); n++)
			expect_note(n, p.sig, n + 1);
		CHECK_EQ(notes[0].pid, pid);
	}
}

// The same unblocked, where the process computes.
TEST(signals_by_the_system_call_reach_a_handler_at_once)
{
	struct peer p = {getpid(), RT0, 0};

	handle(RT0, keep, 0);
	send_self(RT0, 1);
	send_by_system_call(&p);
	CHECK_EQ(atomic_load(&noted), 4);
	send_self(RT0, 4);
	CHECK_OK(syscall(SYS_tgkill, getpid(), gettid(), RT0));
	CHECK_OK(syscall(SYS_kill, getpid(), RT0));
	CHECK_EQ(atomic_load(&noted), 7);
	expect_note(1, RT0, 1);
	expect_note(3, RT0, 3);
	expect_note(4, RT0, 4);
	CHECK_EQ(notes[5].code, SI_TKILL);
	CHECK_EQ(notes[6].code, SI_USER);
}

TEST(handler_without_sa_siginfo_gets_the_number)
{
	for (int i = 0; i < KINDS; i++) {
		forget_notes();
		note_signal(one_of_kind(i));
		struct sigaction sa;
		CHECK_OK(sigaction(one_of_kind(i), NULL, &sa));
		CHECK(sa.sa_flags & SA_SIGINFO);
		send_self(one_of_kind(i), 3);
		expect_note(0, one_of_kind(i), 3);
	}
}

/* ---- the kernel's timers ---- */

static timer_t start_timer(int sig, int value)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = sig};
	const struct itimerspec soon = {.it_value = {0, 1000000}};
	timer_t timer;

	event.sigev_value.sival_int = value;
	CHECK_OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
	CHECK_OK(timer_settime(timer, 0, &soon, NULL));
	return timer;
}

TEST(signal_of_a_timer_carries_its_value)
{
	for (int i = 0; i < KINDS * 2; i++) {
		const int sig = one_of_kind(i / 2);
		prepare(sig);
		const timer_t timer = start_timer(sig, 900 + i);
		if (i % 2)
			wait_pending(sig);
		const siginfo_t info = receive(sig, i % 2);
		CHECK_EQ(info.si_code, SI_TIMER);
		CHECK_EQ(info.si_overrun, 0);
		CHECK_EQ(info.si_value.sival_int, 900 + i);
		CHECK_OK(timer_delete(timer));
	}
}

TEST(signals_of_timers_and_of_processes_meet_in_one_handler)
{
	const int many = 300;
	int timers = 0;

	note_signal(RT0);
	for (int i = 0; i < many; i++) {
		const timer_t timer = start_timer(RT0, 1000);
		send_self(RT0, i);
		while (timers < i + 1) {
			timers = 0;
			for (int n = 0; n < atomic_load(&noted); n++)
				timers += notes[n].code == SI_TIMER;
			sched_yield();
		}
		CHECK_OK(timer_delete(timer));
	}
	CHECK_EQ(atomic_load(&noted), 2 * many);
	for (int n = 0, next = 0; n < atomic_load(&noted); n++)
		CHECK_EQ(notes[n].value, notes[n].code == SI_TIMER ? 1000 : next++);
}

TEST(signal_of_the_real_timer_is_the_kernels)
{
	const struct itimerval soon = {.it_value = {0, 1000}};

	prepare(SIGALRM);
	CHECK_OK(setitimer(ITIMER_REAL, &soon, NULL));
	const siginfo_t info = take(SET(SIGALRM));
	CHECK_EQ(info.si_code, SI_KERNEL);
}

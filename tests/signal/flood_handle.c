// SPDX-License-Identifier: MIT
//
// tests/signal/flood_handle.c - many senders, and a handler: in a process that computes, that blocks and unblocks,
// that waits in sigsuspend, that forks, at safe points only. Each signal exactly once, those of a sender in their order.
#include "crowd.h"

static struct crowd *crowd;

static void book(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	enter_in_book(crowd, info);
}

static void install(int signo, int flags)
{
	struct sigaction sa = {.sa_sigaction = book, .sa_flags = SA_SIGINFO | flags};

	sigemptyset(&sa.sa_mask);
	CHECK_OK(ph_sigaction(signo, &sa, NULL));
}

static void start(int signo, int flags, int senders, int each, pid_t *pids)
{
	crowd = new_crowd(signo, each);
	atomic_store(&crowd->ready, senders * crowd->each);
	install(signo, flags);
	start_senders(crowd, pids, senders);
}

static void end(const pid_t *pids, int senders)
{
	join_all(pids, senders);
	test_wait_until(all_received, crowd);
	expect_no_more(crowd);
	CHECK_EQ(atomic_load(&crowd->received), senders * crowd->each);
}

TEST(handler_of_a_computing_process_gets_all_in_order)
{
	pid_t pids[6];

	start(SIGRTMIN + 1, SA_RESTART, 6, 4000, pids);
	end(pids, 6);
}

TEST(handler_that_may_be_nested_gets_all)
{
	pid_t pids[3];

	start(SIGRTMAX, SA_RESTART, 3, 3000, pids);
	struct sigaction sa = {.sa_sigaction = book, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigfillset(&sa.sa_mask);
	for (int i = 0; i < 200; i++) // the disposition changes under way
		CHECK_OK(ph_sigaction(SIGRTMAX, &sa, NULL));
	end(pids, 3);
}

TEST(handler_with_a_small_queue_gets_all)
{
	pid_t pids[4];

	CHECK_OK(ph_sigqueue_depth(2));
	start(SIGRTMIN, SA_RESTART, 4, 2000, pids);
	end(pids, 4);
}

TEST(handler_gets_all_while_the_process_blocks_and_unblocks)
{
	pid_t pids[4];

	start(SIGRTMIN + 1, SA_RESTART, 4, 4000, pids);
	while (atomic_load(&crowd->received) < atomic_load(&crowd->ready)) {
		const int before = atomic_load(&crowd->received);
		block(SIGRTMIN + 1);
		const int blocked = atomic_load(&crowd->received);
		for (int i = 0; i < 200; i++)
			sched_yield();
		CHECK_EQ(atomic_load(&crowd->received), blocked);
		CHECK(blocked >= before);
		unblock(SIGRTMIN + 1);
	}
	end(pids, 4);
}

TEST(handler_gets_all_in_sigsuspend)
{
	pid_t pids[4];
	sigset_t mask;

	block(SIGRTMIN + 1);
	start(SIGRTMIN + 1, 0, 4, 3000, pids);
	sigemptyset(&mask);
	while (atomic_load(&crowd->received) < atomic_load(&crowd->ready))
		CHECK_ERR(ph_sigsuspend(&mask), EINTR);
	end(pids, 4);
}

// Half of them taken, half handled, by one thread that changes its mind.
TEST(signals_that_are_taken_and_handled_by_turns_come_once_each)
{
	pid_t pids[4];
	const sigset_t set = set_of(SIGRTMIN + 3);

	start(SIGRTMIN + 3, SA_RESTART, 4, 3000, pids);
	while (atomic_load(&crowd->received) < atomic_load(&crowd->ready)) {
		siginfo_t info;
		const struct timespec soon = {0, 2000000};
		block(SIGRTMIN + 3);
		for (int i = 0; i < 50; i++)
			if (ph_sigtimedwait(&set, &info, &soon) == SIGRTMIN + 3)
				enter_in_book(crowd, &info);
		unblock(SIGRTMIN + 3);
		sched_yield();
	}
	end(pids, 4);
}

TEST(handler_at_safe_points_gets_all_in_order)
{
	pid_t pids[4];

	start(SIGRTMIN + 2, PH_SA_SAFEPOINT | SA_RESTART, 4, 4000, pids);
	while (atomic_load(&crowd->received) < atomic_load(&crowd->ready))
		if (ph_sigdispatch() == 0)
			sched_yield();
	end(pids, 4);
}

// ---- forks in the middle ----

static void fork_at_once(void)
{
	const pid_t pid = fork();

	CHECK(pid != -1);
	if (pid == 0) {
		sigset_t pending;
		// What the parent had is not the child's.
		_exit(ph_sigpending(&pending) != 0 || sigismember(&pending, crowd->signo) ? 1 : 0);
	}
	test_join(pid);
}

TEST(fork_in_the_middle_of_a_flood_to_a_handler_loses_nothing)
{
	pid_t pids[3];

	start(SIGRTMIN + 1, SA_RESTART, 3, 6000, pids);
	const pid_t me = getpid();
	for (int i = 0; i < 60; i++)
		fork_at_once();
	CHECK_EQ(getpid(), me);
	end(pids, 3);
}

TEST(fork_in_the_middle_of_a_flood_to_a_taker_loses_nothing)
{
	pid_t pids[3];
	const sigset_t set = set_of(SIGRTMIN + 1);
	siginfo_t info;

	block(SIGRTMIN + 1);
	crowd = new_crowd(SIGRTMIN + 1, 4000);
	start_senders(crowd, pids, 3);
	for (int i = 0; i < 3 * crowd->each; i++) {
		CHECK_EQ(ph_sigwaitinfo(&set, &info), SIGRTMIN + 1);
		enter_in_book(crowd, &info);
		if (i % 200 == 0)
			fork_at_once();
	}
	join_all(pids, 3);
	expect_no_more(crowd);
}

// A child that was forked in the handler goes its own way.
static atomic_int forks;

static void fork_in_handler(int sig, siginfo_t *info, void *context)
{
	book(sig, info, context);
	if (atomic_fetch_add(&forks, 1) % 500 != 0)
		return;
	const pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	int status;
	while (waitpid(pid, &status, 0) != pid)
		;
}

TEST(fork_in_the_handler_in_a_flood_loses_nothing)
{
	pid_t pids[3];
	struct sigaction sa = {.sa_sigaction = fork_in_handler, .sa_flags = SA_SIGINFO | SA_RESTART};

	start(SIGRTMIN + 1, SA_RESTART, 3, 3000, pids);
	sigemptyset(&sa.sa_mask);
	CHECK_OK(ph_sigaction(SIGRTMIN + 1, &sa, NULL));
	end(pids, 3);
}

// ---- beside the kernel's own, and without room in its queue ----

static void flood_of_both(int flags, bool dispatch)
{
	pid_t pids[4];

	crowd = new_crowd(SIGRTMIN + 1, 3000);
	atomic_store(&crowd->ready, 4 * crowd->each);
	install(SIGRTMIN + 1, flags | SA_RESTART);
	start_senders(crowd, pids, 2);
	for (int i = 2; i < 4; i++)
		pids[i] = test_fork(send_all_by_kernel, crowd);
	while (dispatch && atomic_load(&crowd->received) < atomic_load(&crowd->ready))
		if (ph_sigdispatch() == 0)
			sched_yield();
	end(pids, 4);
}

TEST(handler_loses_nothing_to_kernel_senders_between)
{
	flood_of_both(0, false);
}

TEST(handler_at_safe_points_loses_nothing_to_kernel_senders_between)
{
	flood_of_both(PH_SA_SAFEPOINT, true);
}

static void close_kernel_queue(void)
{
	const struct rlimit none = {0, 0};

	CHECK_OK(setrlimit(RLIMIT_SIGPENDING, &none));
}

TEST(handler_gets_all_when_the_kernel_queue_has_no_room)
{
	pid_t pids[4];

	close_kernel_queue();
	start(SIGRTMIN + 1, SA_RESTART, 4, 3000, pids);
	end(pids, 4);
}

static void hog(void *arg)
{
	(void)arg;
	for (;;)
		;
}

// Senders lose the CPU in the middle of a send for longer than the target waits for them.
TEST(handler_gets_all_when_there_is_no_room_and_no_time)
{
	enum { HOGS = 3 };
	pid_t pids[4], hogs[HOGS];
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	CHECK_OK(sched_setaffinity(0, sizeof one, &one));
	close_kernel_queue();
	for (int i = 0; i < HOGS; i++)
		hogs[i] = test_fork(hog, NULL);
	start(SIGRTMIN + 1, SA_RESTART, 4, 6000, pids);
	end(pids, 4);
	for (int i = 0; i < HOGS; i++)
		test_kill(hogs[i]);
}

TEST(handler_gets_all_when_the_kernel_queue_loses_its_room)
{
	pid_t pids[4];

	install(SIGRTMIN + 1, SA_RESTART);
	close_kernel_queue();
	start(SIGRTMIN + 1, SA_RESTART, 4, 3000, pids);
	while (atomic_load(&crowd->received) < atomic_load(&crowd->ready)) {
		block(SIGRTMIN + 1);
		sched_yield();
		unblock(SIGRTMIN + 1);
	}
	end(pids, 4);
}

// Each has to be woken: as many bells as there can be.
TEST(sleeping_taker_gets_all_when_the_kernel_queue_has_no_room)
{
	const sigset_t set = set_of(SIGRTMIN + 1);
	pid_t pids[2];
	siginfo_t info;

	close_kernel_queue();
	setenv("POSTHASTE_SPIN_NS", "0", 1);
	block(SIGRTMIN + 1);
	const struct timespec none = {0, 0};
	CHECK_ERR(ph_sigtimedwait(&set, NULL, &none), EAGAIN);
	crowd = new_crowd(SIGRTMIN + 1, 3000);
	start_senders(crowd, pids, 2);
	for (int i = 0; i < 2 * crowd->each; i++) {
		CHECK_EQ(ph_sigwaitinfo(&set, &info), SIGRTMIN + 1);
		enter_in_book(crowd, &info);
	}
	join_all(pids, 2);
	expect_no_more(crowd);
}

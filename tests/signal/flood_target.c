// SPDX-License-Identifier: MIT
//
// tests/signal/flood_target.c - floods to targets that die, whose number is another process's by then, that do not use
// the library, that are another user's: senders learn of it, never hang, and reach nobody else.
#include "crowd.h"

#include <linux/sched.h>
#include <sys/stat.h>

#define SIG (SIGRTMIN + 1)

enum { NOBODY = 65534 };

struct stage {
	atomic_int ready, heard, go;
};

static struct stage *stage;

static void hear(int sig)
{
	(void)sig;
	atomic_fetch_add(&stage->heard, 1);
}

static void handle_by_library(void *arg)
{
	struct sigaction sa = {.sa_handler = hear};

	(void)arg;
	sigemptyset(&sa.sa_mask);
	CHECK_OK(ph_sigaction(SIG, &sa, NULL));
	atomic_store(&stage->ready, 1);
	for (;;)
		pause();
}

static void handle_by_kernel(void *arg)
{
	struct sigaction sa = {.sa_handler = hear};

	(void)arg;
	sigemptyset(&sa.sa_mask);
	CHECK_OK(sigaction(SIG, &sa, NULL));
	atomic_store(&stage->ready, 1);
	for (;;)
		pause();
}

static pid_t start_target(void (*fn)(void *))
{
	stage = share(sizeof *stage);
	const pid_t pid = test_fork(fn, NULL);
	while (atomic_load(&stage->ready) == 0)
		sched_yield();
	return pid;
}

static bool heard_some(void *arg)
{
	return atomic_load(&stage->heard) >= *(const int *)arg;
}

static void wait_heard(int n)
{
	test_wait_until(heard_some, &n);
}

static void send_until_gone(void *arg)
{
	const pid_t target = *(const pid_t *)arg;

	for (int i = 0;; i++)
		if (send_by_library(target, SIG, i) != 0 && errno != EAGAIN) {
			CHECK_EQ(errno, ESRCH);
			return;
		}
}

TEST(senders_learn_that_the_target_has_died)
{
	for (int round = 0; round < 8; round++) {
		pid_t pids[3];
		pid_t target = start_target(handle_by_library);
		for (int i = 0; i < 3; i++)
			pids[i] = test_fork(send_until_gone, &target);
		wait_heard(100);
		test_kill(target);
		join_all(pids, 3);
		CHECK_ERR(send_by_library(target, SIG, 0), ESRCH);
	}
}

TEST(target_without_the_library_gets_the_kernels_signals)
{
	const pid_t target = start_target(handle_by_kernel);

	for (int i = 0; i < 500; i++)
		CHECK_OK(send_by_library(target, SIG, i));
	wait_heard(500);
	CHECK_OK(ph_kill(target, 0));
	test_kill(target);
	CHECK_ERR(ph_kill(target, 0), ESRCH);
}

// ---- the number of the dead is another's ----

static pid_t fork_as(pid_t pid)
{
	struct clone_args args;

	memset(&args, 0, sizeof args);
	args.exit_signal = SIGCHLD;
	args.set_tid = (uint64_t)(uintptr_t)&pid;
	args.set_tid_size = 1;
	return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

TEST(signals_to_a_number_that_is_another_processs_by_now_reach_that_one)
{
	const pid_t old = start_target(handle_by_library);

	for (int i = 0; i < 100; i++)
		CHECK_OK(send_by_library(old, SIG, i));
	wait_heard(100);
	test_kill(old); // and its port is left, and known here
	atomic_store(&stage->ready, 0);
	atomic_store(&stage->heard, 0);
	const pid_t pid = fork_as(old);
	if (pid == -1)
		SKIP("no process can be given a number here");
	if (pid == 0) {
		handle_by_kernel(NULL);
		_exit(1);
	}
	CHECK_EQ(pid, old);
	while (atomic_load(&stage->ready) == 0)
		sched_yield();
	for (int i = 0; i < 100; i++)
		CHECK_OK(send_by_library(old, SIG, i));
	wait_heard(100);
	test_kill(pid);
	CHECK_ERR(send_by_library(old, SIG, 0), ESRCH);
}

// ---- another user's ----

static void send_as_nobody(void *arg)
{
	const pid_t target = *(const pid_t *)arg;

	CHECK_OK(setresuid(NOBODY, NOBODY, NOBODY));
	CHECK_ERR(send_by_library(target, SIG, 0), EPERM);
	CHECK_ERR(ph_kill(target, 0), EPERM);
}

static void handle_as_nobody(void *arg)
{
	CHECK_OK(setresuid(NOBODY, NOBODY, NOBODY));
	handle_by_library(arg);
}

TEST(who_may_not_signal_a_process_cannot_do_so_by_its_port)
{
	if (geteuid() != 0)
		SKIP("needs root to act as a second user");
	CHECK_OK(chmod(getenv("POSTHASTE_DIR"), 01777));
	pid_t target = start_target(handle_by_library);
	test_join(test_fork(send_as_nobody, &target));
	CHECK_EQ(atomic_load(&stage->heard), 0);
	CHECK_OK(send_by_library(target, SIG, 0));
	wait_heard(1);
	test_kill(target);
}

TEST(root_signals_another_users_process)
{
	if (geteuid() != 0)
		SKIP("needs root to act as a second user");
	CHECK_OK(chmod(getenv("POSTHASTE_DIR"), 01777));
	const pid_t target = start_target(handle_as_nobody);
	for (int i = 0; i < 100; i++)
		CHECK_OK(send_by_library(target, SIG, i));
	wait_heard(100);
	test_kill(target);
}

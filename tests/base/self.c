// SPDX-License-Identifier: MIT
//
// tests/base/self.c - who a thread is: after forks of each kind, and after a vfork whose child asked first.
#include "base/self.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "runner.h"

static void expect_self(void)
{
	CHECK_EQ(phi_self()->pid, syscall(SYS_getpid));
	CHECK_EQ(phi_self()->tid, syscall(SYS_gettid));
	CHECK(!phi_in_vfork());
}

static void be_child(void *arg)
{
	(void)arg;
	expect_self();
}

TEST(forked_child_is_itself)
{
	expect_self();
	test_join(test_fork(be_child, NULL));
	expect_self();
}

static void vfork_and_ask(void)
{
	const pid_t parent = getpid();
	const pid_t pid = vfork();

	if (pid == 0) {
		const bool noticed =
			phi_in_vfork() && (phi_self()->pid == getpid() || phi_self()->pid == parent);
		_exit(noticed ? 0 : 1);
	}
	test_join((pid_t)CHECK_OK(pid));
	expect_self();
}

static void *vfork_first(void *arg)
{
	vfork_and_ask();
	vfork_and_ask(); // known by now
	return arg;
}

TEST(vfork_child_is_known_and_leaves_no_identity_behind)
{
	pthread_t thread;

	vfork_and_ask();
	for (int i = 0; i < 10; i++) {
		CHECK_EQ(pthread_create(&thread, NULL, vfork_first, NULL), 0);
		CHECK_EQ(pthread_join(thread, NULL), 0);
	}
}

// A child that has not used the library yet, and vforks.
static void vfork_as_child(void *arg)
{
	(void)arg;
	vfork_and_ask();
}

TEST(vfork_child_of_a_forked_child_is_known)
{
	test_join(test_fork(vfork_as_child, NULL));
	expect_self();
	test_join(test_fork(vfork_as_child, NULL));
}

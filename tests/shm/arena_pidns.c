// SPDX-License-Identifier: MIT
// sanitizers: none (the leak checker starts a process of its own at the end, and gets none that it could watch)
//
// Two pid namespaces: thread numbers of one mean nothing in the other.
#include "arena.h"

#include <sched.h>
#include <sys/wait.h>

static void attach_elsewhere(void *arg)
{
	void **what = arg;
	struct ph_arena *a = ph_arena_attach(what[0], PH_ARENA_MIN);

	if (what[1] != NULL) {
		CHECK(a == NULL);
		CHECK_EQ(errno, EXDEV);
		return;
	}
	CHECK(a != NULL);
	CHECK(ph_arena_alloc(a, 100) != 0);
	ph_arena_detach(a);
}

TEST(arena_in_use_refuses_another_pid_namespace)
{
	void *at = shared_memory(PH_ARENA_MIN);
	void *used[2] = {at, at};

	CHECK_OK(ph_arena_make(at, PH_ARENA_MIN));
	struct ph_arena *a = attach_to(at, PH_ARENA_MIN);
	if (unshare(CLONE_NEWPID) != 0)
		SKIP("no new pid namespace here");
	const pid_t pid = fork();
	if (pid == 0) {
		attach_elsewhere(used);
		_exit(0);
	}
	test_join(pid);
	ph_arena_detach(a);
}

TEST(arena_that_nobody_uses_goes_over_to_another_pid_namespace)
{
	void *at = shared_memory(PH_ARENA_MIN);
	void *unused[2] = {at, NULL};

	CHECK_OK(ph_arena_make(at, PH_ARENA_MIN));
	ph_arena_detach(attach_to(at, PH_ARENA_MIN));
	if (unshare(CLONE_NEWPID) != 0)
		SKIP("no new pid namespace here");
	test_join(test_fork(attach_elsewhere, unused));
}

// SPDX-License-Identifier: MIT
//
// Forks, ends and kills: whose blocks are whose afterwards. That a death at any instruction loses nothing is
// shown in tests/kill/arena_*.c.
#include "arena.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

static struct ph_arena *arena;

static void allocate_ten(void *arg)
{
	uint64_t *out = arg;

	for (int i = 0; i < 10; i++)
		CHECK((out[i] = alloc_filled(arena, 100, 0x33)) != 0);
}

TEST(arena_forked_child_goes_on_with_its_parents_attachment)
{
	uint64_t *out = shared_memory(4096);

	arena = new_arena(PH_ARENA_MIN);
	const uint64_t mine = alloc_filled(arena, 100, 0x44);
	test_join(test_fork(allocate_ten, out));
	CHECK(is_filled(arena, mine, 0x44));
	for (int i = 0; i < 10; i++) {
		CHECK(is_filled(arena, out[i], 0x33));
		CHECK_OK(ph_arena_free(arena, out[i]));
	}
	CHECK_OK(ph_arena_free(arena, mine));
	CHECK_EQ(report_of(arena).used_blocks, 0);
	ph_arena_detach(arena);
}

static void detach_it(void *arg)
{
	(void)arg;
	CHECK_OK(ph_arena_detach(arena));
}

TEST(arena_child_that_detaches_leaves_its_parent_attached)
{
	arena = new_arena(PH_ARENA_MIN);
	const uint64_t before = alloc_filled(arena, 100, 1);
	for (int i = 0; i < 40; i++)
		test_join(test_fork(detach_it, NULL));
	const uint64_t after = alloc_filled(arena, 100, 2);
	CHECK(after != 0 && after != before);
	CHECK(is_filled(arena, before, 1));
	ph_arena_detach(arena);
}

static void fork_again(void *arg)
{
	const int depth = *(int *)arg;
	int next = depth - 1;

	CHECK(alloc_filled(arena, 50, 1) != 0);
	if (depth > 0)
		test_join(test_fork(fork_again, &next));
	CHECK(alloc_filled(arena, 50, 2) != 0);
}

TEST(arena_children_of_children_have_seats_of_their_own)
{
	int depth = 5;

	arena = new_arena(1 << 20);
	test_join(test_fork(fork_again, &depth));
	CHECK_EQ(report_of(arena).used_blocks, 12);
	ph_arena_detach(arena);
}

// What a process got and did not free stays: it may be what others use.
TEST(arena_blocks_outlive_the_process_that_allocated_them)
{
	uint64_t *out = shared_memory(4096);

	arena = new_arena(PH_ARENA_MIN);
	test_join(test_fork(allocate_ten, out));
	const struct ph_arena_report r = report_of(arena);
	CHECK_EQ(r.used_blocks, 10);
	CHECK_EQ(r.reclaimed_blocks, 0);
	ph_arena_detach(arena);
}

static void churn(void *arg)
{
	volatile int *running = arg;
	uint64_t held[32] = {0};

	for (unsigned i = 0;; i++) {
		if (held[i % 32] != 0)
			CHECK_OK(ph_arena_free(arena, held[i % 32]));
		// Somebody may be stopped with the lock.
		held[i % 32] = ph_arena_alloc(arena, 10 + i % 2000);
		CHECK(held[i % 32] != 0 || errno == EAGAIN);
		*running = 1;
	}
}

static bool is_set(void *arg)
{
	return *(volatile int *)arg != 0;
}

// Each has at most 32 blocks, and one more in its hands.
TEST(arena_keeps_its_room_though_many_users_are_killed)
{
	int *running = shared_memory(4096);

	arena = new_arena(4 << 20);
	for (int i = 0; i < 30; i++) {
		*running = 0;
		const pid_t pid = test_fork(churn, running);
		test_wait_until(is_set, running);
		test_kill(pid);
		CHECK_OK(ph_arena_check(arena, NULL));
	}
	const struct ph_arena_report r = report_of(arena);
	CHECK(r.used_blocks <= 30 * 33);
	CHECK_EQ(r.names, 0);
	ph_arena_detach(arena);
}

// The records of the killed are taken again: there are 16 in an arena of 64 KiB.
static void allocate_and_die(void *arg)
{
	(void)arg;
	const uint64_t offset = ph_arena_alloc(arena, 100);
	CHECK(offset != 0);
	CHECK_OK(ph_arena_free(arena, offset));
	kill(getpid(), SIGKILL);
}

TEST(arena_serves_new_users_after_hundreds_were_killed)
{
	arena = new_arena(PH_ARENA_MIN);
	for (int i = 0; i < 200; i++) {
		int status;
		const pid_t pid = test_fork(allocate_and_die, NULL);
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	CHECK_EQ(report_of(arena).used_blocks, 0);
	ph_arena_detach(arena);
}

// Somebody stopped in the middle of whatever he does keeps nobody from allocating small blocks who has a slab for
// them. (A new one takes the lock, which may be what he was stopped with: then EAGAIN, after a while.)
TEST(arena_allocates_beside_stopped_users)
{
	int *running = shared_memory(4096);
	pid_t pids[5];

	arena = new_arena(4 << 20);
	const uint64_t first = ph_arena_alloc(arena, 64);
	CHECK(first != 0);
	CHECK_OK(ph_arena_free(arena, first));
	for (int i = 0; i < 5; i++) {
		*running = 0;
		pids[i] = test_fork(churn, running);
		test_wait_until(is_set, running);
		kill(pids[i], SIGSTOP);
	}
	for (int i = 0; i < 20000; i++) {
		const uint64_t offset = ph_arena_alloc(arena, 64);
		CHECK(offset != 0);
		CHECK_OK(ph_arena_free(arena, offset));
	}
	for (int i = 0; i < 5; i++)
		test_kill(pids[i]);
	CHECK_OK(ph_arena_check(arena, NULL));
	ph_arena_detach(arena);
}

static void *fork_meanwhile(void *arg)
{
	for (int i = 0; i < 50; i++)
		test_join(test_fork(allocate_ten, arg));
	return NULL;
}

// fork while other threads come, go and attach: the child is never left with a lock that nobody lets go.
TEST(arena_fork_beside_busy_threads_gives_a_usable_child)
{
	pthread_t thread;
	uint64_t *out = shared_memory(4096);
	void *at = shared_memory(PH_ARENA_MIN);

	arena = new_arena(4 << 20);
	CHECK_OK(ph_arena_make(at, PH_ARENA_MIN));
	CHECK_EQ(pthread_create(&thread, NULL, fork_meanwhile, out), 0);
	for (int i = 0; i < 3000; i++) {
		struct ph_arena *other = attach_to(at, PH_ARENA_MIN);
		const uint64_t offset = ph_arena_alloc(arena, 20000);
		CHECK(offset != 0);
		CHECK_OK(ph_arena_free(arena, offset));
		ph_arena_detach(other);
	}
	CHECK_EQ(pthread_join(thread, NULL), 0);
	ph_arena_detach(arena);
}

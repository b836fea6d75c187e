// SPDX-License-Identifier: MIT
//
// A peer writes into an arena without a pause while others use it: anything, anywhere but into the lock, whose
// word he takes and keeps now and then. See arena_victim.h for what must hold.
#include "arena_victim.h"

#include "runner.h"
#include "shm/layout.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { VICTIMS = 2, CALLS = 100000, ROUNDS = 3 };

struct storm {
	uint8_t *at;
	size_t bytes;
	size_t reach; // how far from the beginning the attacker writes
	int *stop, *attached;
	uint64_t seed;
	unsigned long *refused;
};

static void suffer(void *arg)
{
	const struct storm *s = arg;
	struct arena_victim v;
	arena_victim_begin(&v, s->at, s->bytes, s->seed);
	__atomic_add_fetch(s->attached, 1, __ATOMIC_ACQ_REL);
	for (int i = 0; i < CALLS && v.arena != NULL; i++)
		arena_victim_do_something(&v);
	__atomic_add_fetch(s->refused, v.refused, __ATOMIC_RELAXED);
	arena_victim_end(&v);
}

static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static bool all_attached(void *arg)
{
	return __atomic_load_n((int *)arg, __ATOMIC_ACQUIRE) == VICTIMS;
}

static void scribble(void *arg)
{
	const struct storm *s = arg;
	test_wait_until(all_attached, s->attached);
	uint64_t state = s->seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	while (__atomic_load_n(s->stop, __ATOMIC_RELAXED) == 0) {
		const size_t field = next(&state) % (s->reach / 8) * 8;
		const uint64_t what = next(&state);
		uint64_t *word = (uint64_t *)(void *)(s->at + field);
		if (field >= offsetof(struct shm_arena_header, lock) &&
		    field < sizeof(struct shm_arena_header))
			continue;
		const uint64_t old = __atomic_load_n(word, __ATOMIC_RELAXED);
		const uint64_t values[4] = {what, old ^ UINT64_C(1) << what % 64,
		                            SHM_HEAD(what % 5, what >> 8 & 31, what >> 16 & 31), what % 8};
		__atomic_store_n(word, values[what >> 32 & 3], __ATOMIC_RELAXED);
	}
}

static void storm(size_t bytes, size_t reach)
{
	struct storm s = {.bytes = bytes, .reach = reach};
	pid_t pids[VICTIMS];

	s.at = fenced_memory(bytes);
	s.stop = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	s.attached = s.stop + 16;
	s.refused = (unsigned long *)(void *)(s.stop + 64);
	for (int round = 0; round < ROUNDS; round++) {
		*s.stop = *s.attached = 0;
		s.seed = (uint64_t)getpid() + (uint64_t)round * 10;
		CHECK_OK(ph_arena_make(s.at, bytes));
		const pid_t attacker = test_fork(scribble, &s);
		for (int i = 0; i < VICTIMS; i++) {
			s.seed++;
			pids[i] = test_fork(suffer, &s);
		}
		for (int i = 0; i < VICTIMS; i++)
			test_join(pids[i]);
		*s.stop = 1;
		test_join(attacker);
	}
	CHECK(*s.refused > 0 || reach == bytes); // the storm is not only noise
}

TEST(arena_users_survive_a_peer_who_writes_over_all_that_is_not_theirs)
{
	storm(FIELD_ARENA_BYTES, 4096);
}

TEST(arena_users_survive_a_peer_who_writes_everywhere)
{
	storm(FIELD_ARENA_BYTES, FIELD_ARENA_BYTES);
}

TEST(arena_users_of_a_large_arena_survive_a_peer_who_writes_over_its_front)
{
	storm(1 << 20, 40960);
}

// The lock names a living stranger who never lets go: EAGAIN after a while, and small blocks all the same.
TEST(arena_lock_that_a_stranger_keeps_is_given_up_in_time)
{
	uint8_t *at = fenced_memory(FIELD_ARENA_BYTES);
	CHECK_OK(ph_arena_make(at, FIELD_ARENA_BYTES));
	struct ph_arena *a = ph_arena_attach(at, FIELD_ARENA_BYTES);
	CHECK(ph_arena_alloc(a, 64) != 0);
	struct shm_arena_header *h = (struct shm_arena_header *)(void *)at;
	h->lock.word = (uint32_t)getppid();
	CHECK_ERR(ph_arena_check(a, NULL), EAGAIN);
	CHECK(ph_arena_alloc(a, 64) != 0);
	errno = 0;
	CHECK_EQ(ph_arena_alloc(a, 20000), 0);
	CHECK_EQ(errno, EAGAIN);
	h->lock.word = UINT32_C(0x3ffffff0); // nobody: taken over at once
	CHECK_OK(ph_arena_check(a, NULL));
	ph_arena_detach(a);
}

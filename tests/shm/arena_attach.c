// SPDX-License-Identifier: MIT
//
// Making an arena, attaching and detaching; processes at different addresses; what is refused.
#include "arena.h"

#include <stdlib.h>
#include <sys/wait.h>

static void expect_refused(void *at, size_t bytes, int err)
{
	errno = 0;
	CHECK(ph_arena_attach(at, bytes) == NULL);
	CHECK_EQ(errno, err);
}

TEST(arena_make_refuses_a_bad_place)
{
	uint8_t *at = shared_memory(PH_ARENA_MIN + 4096);

	CHECK_ERR(ph_arena_make(NULL, PH_ARENA_MIN), EINVAL);
	CHECK_ERR(ph_arena_make(at + 16, PH_ARENA_MIN), EINVAL);
	CHECK_ERR(ph_arena_make(at, PH_ARENA_MIN - 1), EINVAL);
	CHECK_ERR(ph_arena_make(at, 0), EINVAL);
	CHECK_OK(ph_arena_make(at + 4096, PH_ARENA_MIN));
}

TEST(arena_attach_waits_for_no_maker)
{
	uint8_t *at = shared_memory(PH_ARENA_MIN);

	expect_refused(at, PH_ARENA_MIN, EAGAIN);
	CHECK_OK(ph_arena_make(at, PH_ARENA_MIN));
	ph_arena_detach(attach_to(at, PH_ARENA_MIN));
}

TEST(arena_attach_refuses_what_is_no_arena_of_ours)
{
	uint8_t *at = shared_memory(PH_ARENA_MIN * 2);

	CHECK_OK(ph_arena_make(at, PH_ARENA_MIN * 2));
	expect_refused(NULL, PH_ARENA_MIN, EINVAL);
	expect_refused(at + 8, PH_ARENA_MIN, EINVAL);
	expect_refused(at, PH_ARENA_MIN - 1, EINVAL);
	expect_refused(at, PH_ARENA_MIN, EBADMSG); // it is larger
	at[8] ^= 1;                                // another layout
	expect_refused(at, PH_ARENA_MIN * 2, EBADMSG);
	at[8] ^= 1;
	at[0] ^= 1;
	expect_refused(at, PH_ARENA_MIN * 2, EAGAIN);
}

TEST(arena_attach_takes_a_mapping_that_grew)
{
	uint8_t *at = shared_memory(PH_ARENA_MIN * 2);

	CHECK_OK(ph_arena_make(at, PH_ARENA_MIN));
	struct ph_arena *a = attach_to(at, PH_ARENA_MIN * 2);
	CHECK(ph_arena_at(a, PH_ARENA_MIN) == NULL);
	CHECK_EQ(ph_arena_alloc(a, PH_ARENA_MIN), 0);
	ph_arena_detach(a);
}

TEST(arena_of_an_odd_size_uses_whole_pages)
{
	const size_t bytes = PH_ARENA_MIN + 4095;
	uint8_t *at = shared_memory(bytes);

	memset(at + PH_ARENA_MIN, 0x5a, 4095);
	CHECK_OK(ph_arena_make(at, bytes));
	struct ph_arena *a = attach_to(at, bytes);
	while (alloc_filled(a, 64, 0xff) != 0)
		;
	for (int i = 0; i < 4095; i++)
		CHECK_EQ(at[PH_ARENA_MIN + i], 0x5a);
	ph_arena_detach(a);
}

TEST(arena_made_anew_is_empty)
{
	uint8_t *at = shared_memory(PH_ARENA_MIN);

	memset(at, 0xff, PH_ARENA_MIN);
	for (int i = 0; i < 2; i++) {
		CHECK_OK(ph_arena_make(at, PH_ARENA_MIN));
		struct ph_arena *a = attach_to(at, PH_ARENA_MIN);
		CHECK_EQ(report_of(a).used_blocks, 0);
		const uint64_t block = ph_arena_alloc(a, 1000);
		CHECK_OK(ph_arena_bind(a, "x", block));
		ph_arena_detach(a);
	}
}

TEST(arena_can_be_attached_twice_by_one_thread)
{
	uint8_t *at = shared_memory(PH_ARENA_MIN);

	CHECK_OK(ph_arena_make(at, PH_ARENA_MIN));
	struct ph_arena *a = attach_to(at, PH_ARENA_MIN);
	struct ph_arena *b = attach_to(at, PH_ARENA_MIN);
	const uint64_t block = alloc_filled(a, 40, 1);
	const uint64_t other = alloc_filled(b, 40, 2);
	CHECK(block != other);
	CHECK_OK(ph_arena_free(b, block));
	ph_arena_detach(a);
	CHECK(is_filled(b, other, 2));
	CHECK_OK(ph_arena_free(b, other));
	CHECK_EQ(report_of(b).used_blocks, 0);
	ph_arena_detach(b);
}

TEST(arena_attached_again_and_again_does_not_run_out)
{
	uint8_t *at = shared_memory(PH_ARENA_MIN);
	struct ph_arena *other = new_arena(PH_ARENA_MIN);

	CHECK_OK(ph_arena_make(at, PH_ARENA_MIN));
	for (int i = 0; i < 1000; i++) {
		struct ph_arena *a = attach_to(at, PH_ARENA_MIN);
		const uint64_t block = ph_arena_alloc(a, 100);
		CHECK(block != 0);
		CHECK(ph_arena_alloc(other, 1) != 0);
		CHECK_OK(ph_arena_free(a, block));
		ph_arena_detach(a);
	}
	ph_arena_detach(other);
}

// ---- two mappings of one object ----

struct two {
	int fd;
	uint64_t *hand; // between the processes
};

static void free_elsewhere(void *arg)
{
	struct two *t = arg;
	uint8_t *space = shared_memory(PH_ARENA_MIN * 3);
	void *at = mmap(space + PH_ARENA_MIN, PH_ARENA_MIN, PROT_READ | PROT_WRITE,
	                MAP_SHARED | MAP_FIXED, t->fd, 0);
	CHECK(at == space + PH_ARENA_MIN);
	struct ph_arena *a = attach_to(at, PH_ARENA_MIN);
	CHECK(is_filled(a, t->hand[0], 0x11));
	CHECK_OK(ph_arena_free(a, t->hand[0]));
	t->hand[1] = alloc_filled(a, 3000, 0x22);
	CHECK_EQ(ph_arena_find(a, "first"), t->hand[2]);
	CHECK_OK(ph_arena_bind(a, "second", t->hand[1]));
	ph_arena_detach(a);
	munmap(space, PH_ARENA_MIN * 3);
}

TEST(arena_is_the_same_at_another_address)
{
	struct two t = {.fd = memfd_create("arena", MFD_CLOEXEC), .hand = shared_memory(4096)};

	CHECK(t.fd >= 0);
	CHECK_OK(ftruncate(t.fd, PH_ARENA_MIN));
	void *at = mmap(NULL, PH_ARENA_MIN, PROT_READ | PROT_WRITE, MAP_SHARED, t.fd, 0);
	CHECK(at != MAP_FAILED);
	CHECK_OK(ph_arena_make(at, PH_ARENA_MIN));
	struct ph_arena *a = attach_to(at, PH_ARENA_MIN);
	t.hand[0] = alloc_filled(a, 1000, 0x11);
	t.hand[2] = t.hand[0] + 5;
	CHECK_OK(ph_arena_bind(a, "first", t.hand[2]));
	test_join(test_fork(free_elsewhere, &t));
	CHECK_ERR(ph_arena_free(a, t.hand[0]), EINVAL);
	CHECK_EQ(ph_arena_find(a, "second"), t.hand[1]);
	CHECK(is_filled(a, t.hand[1], 0x22));
	ph_arena_detach(a);
	munmap(at, PH_ARENA_MIN);
	close(t.fd);
}

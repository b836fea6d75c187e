// SPDX-License-Identifier: MIT
//
// The directory: names for offsets.
#include "arena.h"

#include <stdio.h>
#include <stdlib.h>

static void expect_unknown(struct ph_arena *a, const char *name, int err)
{
	errno = 0;
	CHECK_EQ(ph_arena_find(a, name), 0);
	CHECK_EQ(errno, err);
	errno = 0;
	CHECK_EQ(ph_arena_unbind(a, name), 0);
	CHECK_EQ(errno, err);
}

TEST(arena_name_leads_to_its_offset_until_unbound)
{
	struct ph_arena *a = new_arena(PH_ARENA_MIN);
	const uint64_t block = ph_arena_alloc(a, 100);

	expect_unknown(a, "x", ENOENT);
	CHECK_OK(ph_arena_bind(a, "x", block));
	CHECK_EQ(ph_arena_find(a, "x"), block);
	CHECK_ERR(ph_arena_bind(a, "x", block + 16), EEXIST);
	CHECK_EQ(ph_arena_find(a, "x"), block);
	CHECK_EQ(ph_arena_unbind(a, "x"), block);
	expect_unknown(a, "x", ENOENT);
	CHECK_EQ(ph_arena_usable(a, block), 112);
	CHECK_EQ(report_of(a).used_blocks, 1);
	ph_arena_detach(a);
}

TEST(arena_names_are_one_to_255_bytes)
{
	struct ph_arena *a = new_arena(PH_ARENA_MIN);
	char name[300];

	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	CHECK_ERR(ph_arena_bind(a, name, 4096), ENAMETOOLONG);
	expect_unknown(a, name, ENAMETOOLONG);
	CHECK_ERR(ph_arena_bind(a, "", 4096), EINVAL);
	expect_unknown(a, "", EINVAL);
	name[255] = '\0';
	CHECK_OK(ph_arena_bind(a, name, 4096));
	name[254] = '\0';
	expect_unknown(a, name, ENOENT);
	CHECK_OK(ph_arena_bind(a, name, 8192));
	name[254] = 'n';
	CHECK_EQ(ph_arena_find(a, name), 4096);
	CHECK_OK(ph_arena_bind(a, "/any \n bytes\xff", 1));
	CHECK_EQ(ph_arena_find(a, "/any \n bytes\xff"), 1);
	ph_arena_detach(a);
}

TEST(arena_bind_refuses_an_offset_outside)
{
	struct ph_arena *a = new_arena(PH_ARENA_MIN);

	CHECK_ERR(ph_arena_bind(a, "x", 0), EINVAL);
	CHECK_ERR(ph_arena_bind(a, "x", PH_ARENA_MIN), EINVAL);
	CHECK_ERR(ph_arena_bind(a, "x", UINT64_MAX), EINVAL);
	CHECK_EQ(report_of(a).used_blocks, 0);
	ph_arena_detach(a);
}

enum { MANY = 3000 };

static void number(char name[32], int i)
{
	snprintf(name, 32, "%d-name", i);
}

static int tick(const char *name, uint64_t offset, void *arg)
{
	unsigned char *seen = arg;
	const int i = atoi(name);

	CHECK(i >= 0 && i < MANY);
	CHECK_EQ(offset, 4096 + i);
	CHECK_EQ(seen[i]++, 0);
	return 0;
}

TEST(arena_keeps_thousands_of_names)
{
	struct ph_arena *a = new_arena(1 << 20);
	unsigned char *seen = calloc(MANY, 1);
	char name[32];

	for (int i = 0; i < MANY; i++) {
		number(name, i);
		CHECK_OK(ph_arena_bind(a, name, 4096 + (unsigned)i));
	}
	CHECK_EQ(report_of(a).names, MANY);
	CHECK_EQ(ph_arena_names(a, tick, seen), 0);
	for (int i = 0; i < MANY; i++) {
		CHECK_EQ(seen[i], 1);
		number(name, i);
		CHECK_EQ(ph_arena_find(a, name), 4096 + i);
	}
	for (int i = MANY - 1; i >= 0; i -= 2) {
		number(name, i);
		CHECK_EQ(ph_arena_unbind(a, name), 4096 + i);
	}
	for (int i = 0; i < MANY; i++) {
		number(name, i);
		CHECK_EQ(ph_arena_find(a, name), i % 2 == 0 ? 4096 + i : 0);
	}
	CHECK_EQ(report_of(a).used_blocks, MANY / 2);
	free(seen);
	ph_arena_detach(a);
}

static int stop_at_second(const char *name, uint64_t offset, void *arg)
{
	int *calls = arg;

	(void)name;
	(void)offset;
	return ++*calls == 2 ? -77 : 0;
}

TEST(arena_names_stops_when_told)
{
	struct ph_arena *a = new_arena(PH_ARENA_MIN);
	int calls = 0;

	CHECK_EQ(ph_arena_names(a, stop_at_second, &calls), 0);
	CHECK_EQ(calls, 0);
	for (int i = 0; i < 10; i++) {
		char name[32];
		number(name, i);
		CHECK_OK(ph_arena_bind(a, name, 4096));
	}
	CHECK_EQ(ph_arena_names(a, stop_at_second, &calls), -77);
	CHECK_EQ(calls, 2);
	ph_arena_detach(a);
}

static int unbind_it(const char *name, uint64_t offset, void *arg)
{
	CHECK_EQ(ph_arena_unbind(arg, name), offset);
	return 0;
}

TEST(arena_names_lets_its_callback_use_the_arena)
{
	struct ph_arena *a = new_arena(PH_ARENA_MIN);

	for (int i = 0; i < 100; i++) {
		char name[32];
		number(name, i);
		CHECK_OK(ph_arena_bind(a, name, 4096));
	}
	CHECK_EQ(ph_arena_names(a, unbind_it, a), 0);
	CHECK_EQ(report_of(a).used_blocks, 0);
	ph_arena_detach(a);
}

TEST(arena_bind_in_a_full_arena_fails_and_leaves_it_as_it_was)
{
	struct ph_arena *a = new_arena(PH_ARENA_MIN);
	uint64_t last = 0;
	uint64_t offset;
	unsigned n = 0;

	CHECK_OK(ph_arena_bind(a, "x", 4096));
	while ((offset = ph_arena_alloc(a, 32)) != 0) {
		last = offset;
		n++;
	}
	CHECK_ERR(ph_arena_bind(a, "y", 4096), ENOMEM);
	expect_unknown(a, "y", ENOENT);
	CHECK_EQ(report_of(a).used_blocks, n + 1);
	CHECK_OK(ph_arena_free(a, last));
	CHECK_OK(ph_arena_bind(a, "y", 4096));
	CHECK_EQ(ph_arena_find(a, "y"), 4096);
	ph_arena_detach(a);
}

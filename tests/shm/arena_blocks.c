// SPDX-License-Identifier: MIT
//
// Blocks: sizes, alignment, what is refused, what happens when memory runs out and comes back.
#include "arena.h"

#include <stdlib.h>

enum { MANY = 200000 };

static uint64_t *exhaust(struct ph_arena *a, size_t bytes, unsigned *count)
{
	uint64_t *blocks = calloc(MANY, sizeof(*blocks));
	unsigned n = 0;

	while (n < MANY && (blocks[n] = ph_arena_alloc(a, bytes)) != 0)
		n++;
	CHECK(n < MANY);
	CHECK_EQ(errno, ENOMEM);
	*count = n;
	return blocks;
}

static void free_all(struct ph_arena *a, uint64_t *blocks, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		CHECK_OK(ph_arena_free(a, blocks[i]));
	free(blocks);
}

TEST(arena_gives_every_size_aligned_and_large_enough)
{
	struct ph_arena *a = new_arena(4 << 20);
	uint64_t *offsets = calloc(10000, sizeof(*offsets));
	unsigned n = 0;

	for (size_t bytes = 1; bytes < 70000; bytes += 1 + bytes / 13) {
		offsets[n] = alloc_filled(a, bytes, (unsigned char)(n + 1));
		CHECK(offsets[n++] != 0);
	}
	for (unsigned i = 0; i < n; i++)
		CHECK(is_filled(a, offsets[i], (unsigned char)(i + 1)));
	free_all(a, offsets, n);
	CHECK_EQ(report_of(a).used_blocks, 0);
	ph_arena_detach(a);
}

TEST(arena_wastes_at_most_a_quarter_of_a_small_block)
{
	struct ph_arena *a = new_arena(1 << 20);

	for (size_t bytes = 16; bytes <= 4096; bytes++) {
		const uint64_t offset = ph_arena_alloc(a, bytes);
		CHECK(offset != 0);
		CHECK(ph_arena_usable(a, offset) <= bytes + bytes / 4 + 15);
		CHECK_OK(ph_arena_free(a, offset));
	}
	ph_arena_detach(a);
}

TEST(arena_alloc_refuses_nothing_and_too_much)
{
	struct ph_arena *a = new_arena(PH_ARENA_MIN);

	errno = 0;
	CHECK_EQ(ph_arena_alloc(a, 0), 0);
	CHECK_EQ(errno, EINVAL);
	const size_t sizes[] = {PH_ARENA_MIN, SIZE_MAX, SIZE_MAX - 4095, SIZE_MAX / 2};
	for (int i = 0; i < 4; i++) {
		errno = 0;
		CHECK_EQ(ph_arena_alloc(a, sizes[i]), 0);
		CHECK_EQ(errno, ENOMEM);
	}
	CHECK_EQ(report_of(a).used_blocks, 0);
	ph_arena_detach(a);
}

TEST(arena_free_refuses_what_is_no_allocated_block)
{
	struct ph_arena *a = new_arena(1 << 20);
	const uint64_t small = alloc_filled(a, 100, 1);
	const uint64_t paged = alloc_filled(a, 8192, 2);
	const uint64_t run = alloc_filled(a, 30000, 3);
	const uint64_t wrong[] = {0,
	                          1,
	                          16,
	                          4096,
	                          small + 1,
	                          small + 16,
	                          small - 1,
	                          paged + 16,
	                          paged + 4096,
	                          run + 16,
	                          run + 4096,
	                          1 << 20,
	                          UINT64_MAX,
	                          UINT64_MAX - 4095};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		CHECK_ERR(ph_arena_free(a, wrong[i]), EINVAL);
		errno = 0;
		CHECK_EQ(ph_arena_usable(a, wrong[i]), 0);
		CHECK_EQ(errno, EINVAL);
	}
	CHECK(is_filled(a, small, 1) && is_filled(a, paged, 2) && is_filled(a, run, 3));
	CHECK_EQ(report_of(a).used_blocks, 3);
	ph_arena_detach(a);
}

TEST(arena_free_refuses_a_block_twice)
{
	struct ph_arena *a = new_arena(1 << 20);
	const size_t sizes[] = {16, 500, 4096, 8192, 50000};

	for (int i = 0; i < 5; i++) {
		const uint64_t offset = ph_arena_alloc(a, sizes[i]);
		const uint64_t beside = ph_arena_alloc(a, sizes[i]);
		CHECK_OK(ph_arena_free(a, offset));
		CHECK_ERR(ph_arena_free(a, offset), EINVAL);
		CHECK_OK(ph_arena_free(a, beside));
		CHECK_ERR(ph_arena_free(a, beside), EINVAL);
	}
	ph_arena_detach(a);
}

TEST(arena_exhausted_refuses_and_gives_all_of_it_again)
{
	struct ph_arena *a = new_arena(1 << 20);
	const struct ph_arena_report fresh = report_of(a);
	const size_t sizes[] = {16, 48, 100, 512, 3000, 4096, 8192, 20000, 300000};
	unsigned first[9];

	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 9; i++) {
			unsigned n;
			uint64_t *blocks = exhaust(a, sizes[i], &n);
			CHECK(n > 0);
			// Runs of many pages may leave some between them, depending on where the search began.
			CHECK(round == 0 || n == first[i] || (sizes[i] > 8192 && n + 1 >= first[i]));
			first[i] = n;
			// Nine tenths are there, in blocks of one small size.
			CHECK(sizes[i] > 8192 || n * ph_arena_usable(a, blocks[0]) > fresh.free_bytes / 10 * 9);
			free_all(a, blocks, n);
		}
	const struct ph_arena_report after = report_of(a);
	CHECK_EQ(after.free_bytes, fresh.free_bytes);
	CHECK_EQ(after.largest_bytes, fresh.largest_bytes);
	CHECK_EQ(after.used_bytes, 0);
	ph_arena_detach(a);
}

TEST(arena_gives_what_it_reports_as_largest)
{
	struct ph_arena *a = new_arena(1 << 20);

	for (int i = 0; i < 5; i++) {
		const uint64_t largest = report_of(a).largest_bytes;
		CHECK_EQ(ph_arena_alloc(a, largest + 1), 0);
		const uint64_t offset = ph_arena_alloc(a, largest);
		CHECK(offset != 0);
		CHECK_OK(ph_arena_free(a, offset));
		CHECK(ph_arena_alloc(a, 10000 * (unsigned)(i + 1)) != 0);
		CHECK(ph_arena_alloc(a, 100) != 0);
	}
	ph_arena_detach(a);
}

// Every other block stays: small ones still fit, a large one does not; then the rest goes.
TEST(arena_in_pieces_serves_small_blocks_and_becomes_whole_again)
{
	struct ph_arena *a = new_arena(1 << 20);
	const struct ph_arena_report fresh = report_of(a);
	unsigned n, m;
	uint64_t *blocks = exhaust(a, 12288, &n);

	for (unsigned i = 0; i < n; i += 2)
		CHECK_OK(ph_arena_free(a, blocks[i]));
	CHECK_EQ(ph_arena_alloc(a, 40000), 0);
	CHECK_EQ(errno, ENOMEM);
	uint64_t *small = exhaust(a, 64, &m);
	CHECK(m > n / 2 * 150);
	for (unsigned i = 1; i < n; i += 2)
		CHECK_OK(ph_arena_free(a, blocks[i]));
	free_all(a, small, m);
	free(blocks);
	const uint64_t all = ph_arena_alloc(a, fresh.largest_bytes);
	CHECK(all != 0);
	CHECK_OK(ph_arena_free(a, all));
	ph_arena_detach(a);
}

TEST(arena_without_pages_serves_from_larger_blocks)
{
	struct ph_arena *a = new_arena(PH_ARENA_MIN);
	unsigned n;
	const uint64_t large = ph_arena_alloc(a, 1000);
	uint64_t *pages = exhaust(a, 4096, &n);
	const uint64_t small = ph_arena_alloc(a, 20);

	CHECK(large != 0 && small != 0);
	CHECK(ph_arena_usable(a, small) >= 1000);
	CHECK_OK(ph_arena_free(a, small));
	free_all(a, pages, n);
	ph_arena_detach(a);
}

TEST(arena_alloc_to_stores_the_offset)
{
	struct ph_arena *a = new_arena(PH_ARENA_MIN);
	const uint64_t table = ph_arena_alloc(a, 64);
	uint64_t *word = ph_arena_at(a, table);

	word[3] = 7;
	const uint64_t offset = ph_arena_alloc_to(a, 100, &word[3]);
	CHECK(offset != 0);
	CHECK_EQ(word[3], offset);
	CHECK_EQ(ph_arena_alloc_to(a, PH_ARENA_MIN, &word[4]), 0);
	CHECK_EQ(errno, ENOMEM);
	ph_arena_detach(a);
}

TEST(arena_alloc_to_refuses_a_place_outside_or_askew)
{
	struct ph_arena *a = new_arena(PH_ARENA_MIN);
	const uint64_t table = ph_arena_alloc(a, 64);
	uint64_t outside = 0;
	uint8_t *base = (uint8_t *)ph_arena_at(a, table) - table;
	void *wrong[] = {&outside,
	                 NULL,
	                 base,
	                 base + 8,
	                 base + table + 4,
	                 base + PH_ARENA_MIN,
	                 base + PH_ARENA_MIN - 4};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		errno = 0;
		CHECK_EQ(ph_arena_alloc_to(a, 16, (uint64_t *)wrong[i]), 0);
		CHECK_EQ(errno, EINVAL);
	}
	CHECK_EQ(outside, 0);
	CHECK_EQ(report_of(a).used_blocks, 1);
	ph_arena_detach(a);
}

TEST(arena_report_counts_blocks_bytes_and_names)
{
	struct ph_arena *a = new_arena(1 << 20);
	const struct ph_arena_report fresh = report_of(a);
	CHECK_EQ(fresh.bytes, 1 << 20);
	CHECK(fresh.free_bytes >= fresh.largest_bytes && fresh.largest_bytes > 900000);

	const uint64_t small = ph_arena_alloc(a, 100);
	const uint64_t large = ph_arena_alloc(a, 100000);
	CHECK_OK(ph_arena_bind(a, "x", small));
	const struct ph_arena_report r = report_of(a);
	CHECK_EQ(r.used_blocks, 3);
	CHECK_EQ(r.names, 1);
	CHECK_EQ(r.reclaimed_blocks, 0);
	CHECK(r.used_bytes >= ph_arena_usable(a, small) + ph_arena_usable(a, large) + 25);
	CHECK(r.used_bytes + r.free_bytes <= fresh.free_bytes);
	CHECK_OK(ph_arena_check(a, NULL));
	ph_arena_detach(a);
}

TEST(arena_offsets_and_addresses_lead_to_each_other)
{
	struct ph_arena *a = new_arena(PH_ARENA_MIN);
	const uint64_t offset = ph_arena_alloc(a, 100);
	char *at = ph_arena_at(a, offset);

	CHECK_EQ(ph_arena_offset(a, at), offset);
	CHECK_EQ(ph_arena_offset(a, at + 99), offset + 99);
	CHECK(ph_arena_at(a, 0) == NULL);
	CHECK(ph_arena_at(a, PH_ARENA_MIN) == NULL);
	CHECK(ph_arena_at(a, UINT64_MAX) == NULL);
	CHECK(ph_arena_at(a, PH_ARENA_MIN - 1) == at - offset + PH_ARENA_MIN - 1);
	CHECK_EQ(ph_arena_offset(a, at - offset + PH_ARENA_MIN), 0);
	CHECK_EQ(ph_arena_offset(a, at - offset - 1), 0);
	CHECK_EQ(ph_arena_offset(a, NULL), 0);
	ph_arena_detach(a);
}

// The next search starts between two runs that a search in vain makes one.
TEST(arena_search_in_vain_leaves_the_runs_that_it_merged_whole)
{
	struct ph_arena *a = new_arena(1 << 20);
	unsigned n;
	uint64_t *runs = exhaust(a, 12288, &n);

	CHECK_OK(ph_arena_free(a, runs[3]));
	CHECK_EQ(ph_arena_alloc(a, 12288), runs[3]);
	CHECK_OK(ph_arena_free(a, runs[3]));
	CHECK_OK(ph_arena_free(a, runs[4]));
	CHECK_EQ(ph_arena_alloc(a, 40000), 0);
	runs[4] = alloc_filled(a, 12288, 4);
	runs[3] = alloc_filled(a, 12288, 3);
	CHECK(is_filled(a, runs[4], 4) && is_filled(a, runs[3], 3));
	free_all(a, runs, n);
	CHECK_EQ(report_of(a).used_blocks, 0);
	ph_arena_detach(a);
}

// SPDX-License-Identifier: MIT
//
// tests/kill/arena_blocks.c - killed while allocating and freeing.
//
// A block that was being given is reclaimed, or the victim's if the call was as good as over; a free is whole or
// not at all. See arena_stage.h for what holds each time.
#include "arena_scenarios.h"

#include <errno.h>
#include <string.h>

enum { PAGE = 4096 };

// ---- before ----

static void some_blocks(void)
{
	stage_make();
	for (int i = 0; i < 5; i++)
		stage_alloc(SMALL);
}

// All slabs are full, pages are free.
static void full_slabs(void)
{
	stage_make();
	for (int i = 0; i < PAGE / SMALL; i++)
		stage_alloc(SMALL);
}

// A dead process's slab has room, and is in nobody's hands.
static void dead_ones_slab(void)
{
	some_blocks();
	stage_dead_in_alloc(SMALL);
}

static void dead_holder(void)
{
	some_blocks();
	stage_dead_holder(SMALL);
}

static void no_records(void)
{
	some_blocks();
	stage_take_records();
}

// Nothing is free but one slab's worth, of another size.
static void only_an_empty_slab(void)
{
	stage_make();
	const unsigned first = count;
	for (int i = 0; i < PAGE / 1024; i++)
		stage_alloc(1024);
	const unsigned end = count;
	stage_exhaust(PAGE);
	stage_exhaust(SMALL);
	for (unsigned i = first; i < end; i++)
		stage_free(i);
}

static void only_what_the_dead_had(void)
{
	stage_make();
	stage_alloc((size_t)PAGE * 3);
	stage_alloc(SMALL);
	stage_exhaust(PAGE);
	stage_exhaust(SMALL);
	stage_free(0);
	stage_free(1);
	stage_dead_in_alloc((size_t)PAGE * 3);
	stage_dead_in_alloc(SMALL);
}

static void nothing_free(void)
{
	stage_make();
	stage_exhaust(PAGE);
	stage_exhaust(16);
}

// Larger blocks have room, those of SMALL have not.
static void only_larger_blocks(void)
{
	stage_make();
	stage_alloc(256);
	stage_exhaust(PAGE);
	stage_exhaust(SMALL);
	unsigned last = count - 1;
	stage_free(last);
	stage_free(0);
	stage_alloc(SMALL);
}

static void scattered_pages(void)
{
	stage_make();
	const unsigned first = count;
	for (int i = 0; i < 3; i++)
		stage_alloc(PAGE * 3);
	for (unsigned i = first; i < count; i++)
		stage_free(i);
}

static uint64_t victims;

static void a_block(size_t bytes)
{
	stage_make();
	stage_alloc(SMALL);
	victims = ph_arena_alloc(arena, bytes);
	KILL_CHECK(victims != 0, "no block for the victim");
	stage_alloc(bytes);
}

static void a_small_block(void)
{
	a_block(SMALL);
}

static void a_run(void)
{
	a_block((size_t)PAGE * 3);
}

static void a_block_of_a_full_slab(void)
{
	full_slabs();
	victims = mine[10];
	mine[10] = 0;
}

// ---- what the victim does ----

static void alloc_small(void)
{
	ph_arena_alloc(arena, SMALL);
}

static void alloc_other(void)
{
	ph_arena_alloc(arena, 200);
}

static void alloc_run(void)
{
	ph_arena_alloc(arena, (size_t)PAGE * 3 - 100);
}

static void alloc_long_run(void)
{
	ph_arena_alloc(arena, (size_t)PAGE * 7);
}

static void alloc_to_small(void)
{
	ph_arena_alloc_to(arena, SMALL, slot);
}

static void alloc_to_run(void)
{
	ph_arena_alloc_to(arena, (size_t)PAGE * 3, slot);
}

static void free_it(void)
{
	ph_arena_free(arena, victims);
}

static void check_it(void)
{
	ph_arena_check(arena, NULL);
}

static void detach(void)
{
	ph_arena_detach(arena);
}

// ---- after ----

static int given_or_reclaimed(void)
{
	const unsigned given = stage_check(0, KILL_EITHER);

	KILL_CHECK(given <= 1, "%u blocks are lost", given);
	stage_end(given);
	return (int)given;
}

static int nothing_given(void)
{
	KILL_CHECK(stage_check(0, KILL_EITHER) == 0, "a block is lost");
	stage_end(0);
	return 0;
}

static int in_place_or_reclaimed(void)
{
	const uint64_t offset = *slot;
	const unsigned given = stage_check(0, KILL_EITHER);

	KILL_CHECK(given == (offset != 0), "%u blocks, and %#llx in its place", given,
	           (unsigned long long)offset);
	if (offset != 0)
		KILL_CHECK(ph_arena_free(arena, offset) == 0, "free: %s", strerror(errno));
	*slot = 0;
	stage_end(0);
	return (int)given;
}

static int freed_or_not(void)
{
	const unsigned there = stage_check(0, 0);

	KILL_CHECK(there <= 1, "%u blocks are lost", there);
	KILL_CHECK((ph_arena_usable(arena, victims) != 0) == there, "another block was freed");
	if (there != 0)
		KILL_CHECK(ph_arena_free(arena, victims) == 0, "free: %s", strerror(errno));
	KILL_CHECK(ph_arena_free(arena, victims) == -1 && errno == EINVAL, "freed twice");
	stage_end(0);
	return there == 0;
}

static int contender_has_one_too(void)
{
	kill_join(kill_contender(), "another allocator");
	const unsigned there = stage_check(kill_contender() != 0, KILL_EITHER);
	KILL_CHECK(there <= 1, "%u blocks are lost", there);
	stage_end(there + (kill_contender() != 0));
	return (int)there;
}

static void contend_for_run(void)
{
	KILL_CHECK(ph_arena_alloc(arena, (size_t)PAGE * 2 + 1) != 0, "alloc: %s", strerror(errno));
}

static void contend_with_check(void)
{
	KILL_CHECK(ph_arena_check(arena, NULL) == 0, "check: %s", strerror(errno));
}

static int checked_at_once(void)
{
	kill_join(kill_contender(), "another check");
	return given_or_reclaimed();
}

static const struct kill_scenario scenarios[] = {
	{.name = "alloc",
     .prepare = some_blocks,
     .enter = stage_sit,
     .operation = alloc_small,
     .after = given_or_reclaimed,
     .last = 1},
	{.name = "alloc_first_of_thread",
     .prepare = some_blocks,
     .operation = alloc_small,
     .after = given_or_reclaimed,
     .last = 1},
	{.name = "alloc_first_of_size",
     .prepare = some_blocks,
     .enter = stage_sit,
     .operation = alloc_other,
     .after = given_or_reclaimed,
     .last = 1},
	{.name = "alloc_beside_full_slabs",
     .prepare = full_slabs,
     .operation = alloc_small,
     .after = given_or_reclaimed,
     .last = 1},
	{.name = "alloc_beside_a_dead_ones_slab",
     .prepare = dead_ones_slab,
     .operation = alloc_small,
     .after = given_or_reclaimed,
     .last = 1},
	{.name = "alloc_beside_a_dead_holder",
     .prepare = dead_holder,
     .operation = alloc_small,
     .after = given_or_reclaimed,
     .last = 1},
	{.name = "alloc_retires",
     .prepare = only_an_empty_slab,
     .operation = alloc_other,
     .after = given_or_reclaimed,
     .last = 1},
	{.name = "alloc_reclaims",
     .prepare = only_what_the_dead_had,
     .operation = alloc_small,
     .after = given_or_reclaimed,
     .last = 1},
	{.name = "alloc_in_vain",
     .prepare = nothing_free,
     .operation = alloc_other,
     .after = nothing_given},
	{.name = "alloc_of_larger_blocks",
     .prepare = only_larger_blocks,
     .operation = alloc_small,
     .after = given_or_reclaimed,
     .last = 1},
	{.name = "alloc_run",
     .prepare = some_blocks,
     .enter = stage_sit,
     .operation = alloc_run,
     .after = given_or_reclaimed,
     .last = 1},
	{.name = "alloc_run_merges",
     .prepare = scattered_pages,
     .enter = stage_sit,
     .operation = alloc_long_run,
     .after = given_or_reclaimed,
     .last = 1},
	{.name = "alloc_run_in_vain",
     .prepare = nothing_free,
     .operation = alloc_run,
     .after = nothing_given},
	{.name = "alloc_run_reclaims",
     .prepare = only_what_the_dead_had,
     .operation = alloc_run,
     .after = given_or_reclaimed,
     .last = 1},
	{.name = "alloc_run_contended",
     .prepare = some_blocks,
     .enter = stage_sit,
     .operation = alloc_run,
     .contend = contend_for_run,
     .after = contender_has_one_too,
     .last = 1},
	{.name = "alloc_run_beside_check",
     .prepare = some_blocks,
     .enter = stage_sit,
     .operation = alloc_run,
     .contend = contend_with_check,
     .after = checked_at_once,
     .last = 1},
	{.name = "alloc_run_after_dead_allocator",
     .prepare = some_blocks,
     .predecessor = alloc_run,
     .operation = alloc_run,
     .after = given_or_reclaimed,
     .first = KILL_EITHER,
     .last = KILL_EITHER},
	{.name = "alloc_to",
     .prepare = some_blocks,
     .enter = stage_sit,
     .operation = alloc_to_small,
     .after = in_place_or_reclaimed,
     .last = 1},
	{.name = "alloc_to_run",
     .prepare = some_blocks,
     .enter = stage_sit,
     .operation = alloc_to_run,
     .after = in_place_or_reclaimed,
     .last = 1},
	{.name = "free",
     .prepare = a_small_block,
     .enter = stage_sit,
     .operation = free_it,
     .after = freed_or_not,
     .last = 1},
	{.name = "free_without_a_seat",
     .prepare = a_small_block,
     .operation = free_it,
     .after = freed_or_not,
     .last = 1},
	{.name = "free_in_a_full_slab",
     .prepare = a_block_of_a_full_slab,
     .operation = free_it,
     .after = freed_or_not,
     .last = 1},
	{.name = "free_run", .prepare = a_run, .operation = free_it, .after = freed_or_not, .last = 1},
	{.name = "check", .prepare = some_blocks, .operation = check_it, .after = nothing_given},
	{.name = "check_reclaims",
     .prepare = dead_ones_slab,
     .enter = stage_sit,
     .operation = check_it,
     .after = nothing_given},
	{.name = "check_lets_go",
     .prepare = dead_holder,
     .enter = stage_sit,
     .operation = check_it,
     .after = nothing_given},
	{.name = "check_reclaims_all",
     .prepare = only_what_the_dead_had,
     .operation = check_it,
     .after = nothing_given},
	{.name = "check_retires",
     .prepare = only_an_empty_slab,
     .operation = check_it,
     .after = nothing_given},
	{.name = "check_after_dead_allocator",
     .prepare = some_blocks,
     .predecessor = alloc_run,
     .operation = check_it,
     .after = nothing_given},
	{.name = "check_after_dead_check",
     .prepare = dead_holder,
     .predecessor = check_it,
     .operation = check_it,
     .after = nothing_given},
	{.name = "alloc_without_a_record",
     .prepare = no_records,
     .enter = stage_sit,
     .operation = alloc_small,
     .after = given_or_reclaimed,
     .last = 1},
	{.name = "alloc_to_run_without_a_record",
     .prepare = no_records,
     .operation = alloc_to_run,
     .after = in_place_or_reclaimed,
     .last = 1},
	{.name = "alloc_without_a_record_after_dead",
     .prepare = no_records,
     .predecessor = alloc_run,
     .operation = alloc_small,
     .after = given_or_reclaimed,
     .first = KILL_EITHER,
     .last = KILL_EITHER},
	{.name = "detach",
     .prepare = some_blocks,
     .enter = stage_sit,
     .operation = detach,
     .after = nothing_given},
};

const struct scenario_table arena_blocks = SCENARIO_TABLE(scenarios);

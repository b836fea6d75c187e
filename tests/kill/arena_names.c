// SPDX-License-Identifier: MIT
//
// tests/kill/arena_names.c - killed while binding, finding and unbinding names. A name is there or not, and so
// is its entry; the block that it leads to stays in any case.
#include "arena_scenarios.h"

#include <errno.h>
#include <string.h>

// In one bucket of the 16 that the stage's arena has, with others before and behind them.
static const char *const before[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j",
                                     "k", "l", "m", "n", "o", "p", "q", "r", "s", "t"};
enum { BEFORE = sizeof(before) / sizeof(before[0]) };

static uint64_t target;

static void bind_all(void)
{
	for (int i = 0; i < BEFORE; i++)
		KILL_CHECK(ph_arena_bind(arena, before[i], target + (uint64_t)i) == 0, "bind: %s",
		           strerror(errno));
}

static void names(void)
{
	stage_make();
	target = stage_alloc(SMALL);
	bind_all();
}

static void names_without_a_record(void)
{
	names();
	stage_take_records();
}

static void no_names(void)
{
	stage_make();
	target = stage_alloc(SMALL);
}

static void names_of_the_dead(void)
{
	names();
	stage_dead_in_alloc(SMALL);
}

static void bind_new(void)
{
	ph_arena_bind(arena, "victim", target);
}

static void bind_again(void)
{
	ph_arena_bind(arena, "h", target);
}

static void unbind_middle(void)
{
	ph_arena_unbind(arena, "h");
}

static void unbind_missing(void)
{
	ph_arena_unbind(arena, "victim");
}

static void find_one(void)
{
	ph_arena_find(arena, "h");
}

static void contend_bind(void)
{
	KILL_CHECK(ph_arena_bind(arena, "contender", target) == 0, "bind: %s", strerror(errno));
}

// Every one of them leads where it should, but for `except`, which may be gone; all go.
static unsigned unbind_all(const char *except)
{
	unsigned gone = 0;

	for (int i = 0; i < BEFORE; i++) {
		const uint64_t found = ph_arena_unbind(arena, before[i]);
		if (found == 0 && errno == ENOENT && except != NULL && strcmp(before[i], except) == 0)
			gone++;
		else
			KILL_CHECK(found == target + (uint64_t)i, "%s leads to %#llx", before[i],
			           (unsigned long long)found);
	}
	return gone;
}

static int bound_or_not(unsigned others)
{
	const unsigned entries = stage_check(others, KILL_EITHER);
	const uint64_t found = ph_arena_unbind(arena, "victim");

	KILL_CHECK(found == 0 || found == target, "the name leads elsewhere");
	KILL_CHECK(entries == (found != 0), "%u entries for %d names", entries, found != 0);
	return found != 0;
}

static int bound_among_others(void)
{
	const int bound = bound_or_not(BEFORE);

	unbind_all(NULL);
	stage_end(0);
	return bound;
}

static int bound_alone(void)
{
	const int bound = bound_or_not(0);

	stage_end(0);
	return bound;
}

static int bound_beside_contender(void)
{
	kill_join(kill_contender(), "another binder");
	const int bound = bound_or_not(BEFORE + (kill_contender() != 0));

	if (kill_contender() != 0)
		KILL_CHECK(ph_arena_unbind(arena, "contender") == target, "the contender's name is gone");
	unbind_all(NULL);
	stage_end(0);
	return bound;
}

static int nothing_changed(void)
{
	KILL_CHECK(stage_check(BEFORE, KILL_EITHER) == 0, "an entry is lost");
	unbind_all(NULL);
	stage_end(0);
	return 0;
}

static int unbound_or_not(void)
{
	const unsigned entries = stage_check(BEFORE - 1, KILL_EITHER);
	const unsigned gone = unbind_all("h");

	KILL_CHECK(entries + gone == 1, "%u entries, and %u gone", entries, gone);
	stage_end(0);
	return (int)gone;
}

// The first one may have done it, or been stopped before.
static int unbound_by_one(void)
{
	unbound_or_not();
	return 0;
}

static const struct kill_scenario scenarios[] = {
	{.name = "bind",
     .prepare = names,
     .enter = stage_sit,
     .operation = bind_new,
     .after = bound_among_others,
     .last = 1},
	{.name = "bind_first",
     .prepare = no_names,
     .operation = bind_new,
     .after = bound_alone,
     .last = 1},
	{.name = "bind_beside_the_dead",
     .prepare = names_of_the_dead,
     .operation = bind_new,
     .after = bound_among_others,
     .last = 1},
	{.name = "bind_contended",
     .prepare = names,
     .enter = stage_sit,
     .operation = bind_new,
     .contend = contend_bind,
     .after = bound_beside_contender,
     .last = 1},
	{.name = "bind_after_dead_binder",
     .prepare = names,
     .predecessor = bind_new,
     .operation = bind_new,
     .after = bound_among_others,
     .first = KILL_EITHER,
     .last = KILL_EITHER},
	{.name = "bind_existing",
     .prepare = names,
     .enter = stage_sit,
     .operation = bind_again,
     .after = nothing_changed},
	{.name = "find", .prepare = names, .operation = find_one, .after = nothing_changed},
	{.name = "unbind",
     .prepare = names,
     .enter = stage_sit,
     .operation = unbind_middle,
     .after = unbound_or_not,
     .last = 1},
	{.name = "bind_without_a_record",
     .prepare = names_without_a_record,
     .operation = bind_new,
     .after = bound_among_others,
     .last = 1},
	{.name = "unbind_without_a_record",
     .prepare = names_without_a_record,
     .operation = unbind_middle,
     .after = unbound_or_not,
     .last = 1},
	{.name = "unbind_missing",
     .prepare = names,
     .operation = unbind_missing,
     .after = nothing_changed},
	{.name = "unbind_after_dead_unbinder",
     .prepare = names,
     .predecessor = unbind_middle,
     .operation = unbind_middle,
     .after = unbound_by_one},
};

const struct scenario_table arena_names = SCENARIO_TABLE(scenarios);

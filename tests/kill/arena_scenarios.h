// SPDX-License-Identifier: MIT
//
// tests/kill/arena_scenarios.h - the tables of scenarios; arena_sweep.c runs them all.
#ifndef KILL_ARENA_SCENARIOS_H
#define KILL_ARENA_SCENARIOS_H

#include "arena_stage.h"

struct scenario_table {
	const struct kill_scenario *scenarios;
	size_t count;
};

extern const struct scenario_table arena_blocks; // allocate, free, check
extern const struct scenario_table arena_names;  // the directory

#define SCENARIO_TABLE(list)                   \
	{                                          \
		list, sizeof(list) / sizeof((list)[0]) \
	}

#endif

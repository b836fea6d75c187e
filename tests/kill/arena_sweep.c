// SPDX-License-Identifier: MIT
//
// tests/kill/arena_sweep.c - the kill sweep of arenas. The scenarios are in arena_blocks.c and arena_names.c,
// the engine in sweep.c; `arena_sweep --list` lists, `--only NAME --full` looks closely at one.
#include "arena_scenarios.h"

#include <stdlib.h>
#include <string.h>

enum { SCENARIOS_MAX = 80 };

int main(int argc, char **argv)
{
	static const struct scenario_table *const tables[] = {&arena_blocks, &arena_names};
	static struct kill_scenario all[SCENARIOS_MAX];
	size_t n = 0;

	// A victim that spins takes another path each time. Set before the program starts anew.
	setenv("POSTHASTE_SPIN_NS", "0", 1);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (size_t k = 0; k < tables[i]->count && n < SCENARIOS_MAX; k++)
			all[n++] = tables[i]->scenarios[k];
	return kill_main(argc, argv, all, n);
}

// SPDX-License-Identifier: MIT
//
// tests/kill/sem_sweep.c - the kill sweep of semaphores. The scenarios are in the other sem_*.c, the engine in
// sweep.c; `sem_sweep --list` lists, `--only NAME --full` looks closely at one.
#include "sem_scenarios.h"

#include <stdlib.h>

enum { SCENARIOS_MAX = 80 };

int main(int argc, char **argv)
{
	static const struct scenario_table *const tables[] = {&sem_plain, &sem_holders, &sem_names};
	static struct kill_scenario all[SCENARIOS_MAX];
	size_t n = 0;

	// A victim that spins takes another path each time. Set before the program starts anew.
	setenv("POSTHASTE_SPIN_NS", "0", 1);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (size_t k = 0; k < tables[i]->count && n < SCENARIOS_MAX; k++)
			all[n++] = tables[i]->scenarios[k];
	return kill_main(argc, argv, all, n);
}

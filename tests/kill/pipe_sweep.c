// SPDX-License-Identifier: MIT
//
// tests/kill/pipe_sweep.c - the kill sweep of pipes and FIFOs. The scenarios are in the other pipe_*.c,
// the engine in sweep.c; `pipe_sweep --list` lists, `--only NAME --full` looks closely at one.
#include "pipe_scenarios.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCENARIOS_MAX = 160 };

int main(int argc, char **argv)
{
	static const struct scenario_table *const tables[] = {&pipe_write, &pipe_read,  &pipe_sleep,
	                                                      &pipe_ends,  &pipe_lease, &pipe_calls,
	                                                      &pipe_loans, &pipe_names};
	static struct kill_scenario all[SCENARIOS_MAX];
	size_t n = 0;

	// A victim that spins takes another path each time. Set before the program starts anew.
	setenv("POSTHASTE_SPIN_NS", "0", 1);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (n + tables[i]->count > SCENARIOS_MAX) {
			fprintf(stderr, "more scenarios than SCENARIOS_MAX\n");
			return 1;
		}
		memcpy(&all[n], tables[i]->scenarios, tables[i]->count * sizeof(all[0]));
		n += tables[i]->count;
	}
	return kill_main(argc, argv, all, n);
}

// SPDX-License-Identifier: MIT
//
// tests/kill/mq_sweep.c - the kill sweep of message queues. The scenarios are in the other mq_*.c, the
// engine in sweep.c; `mq_sweep --list` lists, `--only NAME --full` looks closely at one.
#include "mq_scenarios.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCENARIOS_MAX = 100 };

int main(int argc, char **argv)
{
	static const struct scenario_table *const tables[] = {&mq_pass,  &mq_sleep, &mq_crowd,
	                                                      &mq_loans, &mq_names, &mq_notice};
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

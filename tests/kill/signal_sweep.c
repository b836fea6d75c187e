// SPDX-License-Identifier: MIT
//
// tests/kill/signal_sweep.c - the kill sweep of signals. The scenarios are in the other signal_*.c, the engine in
// sweep.c; `signal_sweep --list` lists, `--only NAME --full` looks closely at one.
#include "signal_scenarios.h"

#include <stdlib.h>
#include <string.h>

enum { SCENARIOS_MAX = 80 };

// What the short sweep takes: the others go a long way to a new port, or to another's, or the same ways.
static const char *const in_short[] = {
	"send_to_handler",
	"send_to_handler_bell_lost",
	"send_to_handler_bell_outstanding",
	"send_to_awake_taker",
	"send_to_sleeping_taker",
	"handler_becomes_default",
	"unblock_what_was_taken_here",
	"sleeping_take",
	"join_again",
	"leave_last",
};

static bool is_asked_for(const char *name, bool full)
{
	for (size_t i = 0; !full && i < sizeof(in_short) / sizeof(in_short[0]); i++)
		if (strcmp(name, in_short[i]) == 0)
			return true;
	return full;
}

int main(int argc, char **argv)
{
	static const struct scenario_table *const tables[] = {&signal_send, &signal_take, &signal_port};
	static struct kill_scenario all[SCENARIOS_MAX];
	size_t n = 0;
	bool full = false;

	// A victim that spins takes another path each time. Set before the program starts anew.
	setenv("POSTHASTE_SPIN_NS", "0", 1);
	for (int i = 1; i < argc; i++)
		full = full || strcmp(argv[i], "--full") == 0 || strcmp(argv[i], "--only") == 0;
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (size_t k = 0; k < tables[i]->count && n < SCENARIOS_MAX; k++)
			if (is_asked_for(tables[i]->scenarios[k].name, full))
				all[n++] = tables[i]->scenarios[k];
	return kill_main(argc, argv, all, n);
}

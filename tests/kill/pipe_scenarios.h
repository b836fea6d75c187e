// SPDX-License-Identifier: MIT
//
// tests/kill/pipe_scenarios.h - the tables of scenarios, one for each pipe_*.c; pipe_sweep.c runs them
// all.
#ifndef KILL_PIPE_SCENARIOS_H
#define KILL_PIPE_SCENARIOS_H

#include "pipe_stream.h"

struct scenario_table {
	const struct kill_scenario *scenarios;
	size_t count;
};

extern const struct scenario_table pipe_write; // writes that do not sleep
extern const struct scenario_table pipe_read;  // reads that do not sleep
extern const struct scenario_table pipe_sleep; // those that do
extern const struct scenario_table pipe_ends;  // the last of an end dies, the other side asleep
extern const struct scenario_table pipe_lease; // taking it, taking it over, giving it back
extern const struct scenario_table pipe_calls; // close, dup2, fork, exec, the pipe's size
extern const struct scenario_table pipe_loans; // reserve, commit, peek, consume
extern const struct scenario_table pipe_names; // FIFOs, and the ring's file

#define SCENARIO_TABLE(list)                   \
	{                                          \
		list, sizeof(list) / sizeof((list)[0]) \
	}

#endif

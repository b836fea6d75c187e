// SPDX-License-Identifier: MIT
//
// tests/kill/signal_scenarios.h - the tables of scenarios, one for each signal_*.c; signal_sweep.c runs them all.
#ifndef KILL_SIGNAL_SCENARIOS_H
#define KILL_SIGNAL_SCENARIOS_H

#include "signal_stage.h"

struct scenario_table {
	const struct kill_scenario *scenarios;
	size_t count;
};

extern const struct scenario_table signal_send; // the sender is killed
extern const struct scenario_table signal_take; // the receiver
extern const struct scenario_table signal_port; // who has to do with a named port

#define SCENARIO_TABLE(list)                   \
	{                                          \
		list, sizeof(list) / sizeof((list)[0]) \
	}

#endif

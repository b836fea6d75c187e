// SPDX-License-Identifier: MIT
//
// tests/kill/sem_scenarios.h - the tables of scenarios, one for each sem_*.c; sem_sweep.c runs them all.
#ifndef KILL_SEM_SCENARIOS_H
#define KILL_SEM_SCENARIOS_H

#include "sem_stage.h"

struct scenario_table {
	const struct kill_scenario *scenarios;
	size_t count;
};

extern const struct scenario_table sem_plain;   // without holders
extern const struct scenario_table sem_holders; // with holders
extern const struct scenario_table sem_names;   // open, close, unlink

#define SCENARIO_TABLE(list)                   \
	{                                          \
		list, sizeof(list) / sizeof((list)[0]) \
	}

#endif

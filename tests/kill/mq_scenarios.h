// SPDX-License-Identifier: MIT
//
// tests/kill/mq_scenarios.h - the tables of scenarios, one for each mq_*.c; mq_sweep.c runs them all.
#ifndef KILL_MQ_SCENARIOS_H
#define KILL_MQ_SCENARIOS_H

#include "mq_queue.h"

struct scenario_table {
	const struct kill_scenario *scenarios;
	size_t count;
};

extern const struct scenario_table mq_pass;   // sends and receives that do not sleep
extern const struct scenario_table mq_sleep;  // those that do
extern const struct scenario_table mq_crowd;  // others want the lock, or died with it
extern const struct scenario_table mq_loans;  // reserve, commit, borrow, release, cancel
extern const struct scenario_table mq_names;  // open, close, unlink
extern const struct scenario_table mq_notice; // notification, subscription

#define SCENARIO_TABLE(list)                   \
	{                                          \
		list, sizeof(list) / sizeof((list)[0]) \
	}

#endif

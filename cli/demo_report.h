// SPDX-License-Identifier: MIT
//
// demo_report.h - what the demo prints: the counts, the check, the accident and the throughput.
#ifndef DEMO_REPORT_H
#define DEMO_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "demo_corpus.h"
#include "demo_run.h"
#include "demo_words.h"

enum { TOP_WORDS = 10, RACERS_MAX = 6, RACE_RUNS = 3 };

// One line of the throughput table: medians of RACE_RUNS runs.
struct racer {
	const struct transport *transport;
	long depth, message_bytes;
	bool ran;
	char trouble[200]; // why not
	double seconds, cpu_seconds, switches;
	double messages;
};

struct demo_report {
	const struct corpus *corpus;
	struct demo_plan plan;        // of the main run
	struct demo_outcome main_run; // on this library, with the accident
	bool equal;                   // to the plain sequential count
	long kernel_depth;
	bool kernel_ran;
	struct demo_outcome kernel_run; // the same on the kernel's queues
	int stopped;                    // by this signal, before all was done; 0 = not
	struct racer racer[RACERS_MAX];
	size_t racers;
};

void demo_report_text(const struct demo_report *report, FILE *out);
void demo_report_json(const struct demo_report *report, FILE *out);

#endif

// SPDX-License-Identifier: MIT
//
// Between the options (bench.c), the run (bench_run.c) and the report (bench_report.c):
// contestants, and the figures of one case.
#ifndef CLI_BENCH_RUN_H
#define CLI_BENCH_RUN_H

#include "bench_load.h"

#define BENCH_SIDES 8
#define BENCH_REPS 99

// A contestant: side 0 is the library, side 1 the system's own, further ones what else a system has; the
// rest are programs of their own (bench/peers/peer.c), which measure one repetition at a time and print
// it as a line of JSON. In our JSON side 1 is always "kernel".
struct bench_side {
	char name[24];
	const struct bench_ops *ops; // or
	const char *program;
};

struct bench_options {
	unsigned reps;
	int64_t ns, idle_ns; // time of a repetition
	bool json;
	const char *report; // a directory for pages and pictures, or NULL
	size_t sides;
	struct bench_side side[BENCH_SIDES];
	size_t peers;
	struct bench_side peer[BENCH_SIDES];
};

// One case's figures for one contestant: medians over the repetitions.
struct bench_result {
	bool ran;
	double ns, cpu_ns, switches, p50_ns, p99_ns;
	double calls; // system calls; negative if not counted
	double huge;
	size_t size, depth, pipe_size;
	struct bench_histogram latency; // BENCH_ROUNDTRIP: all repetitions together; a peer has none
	char error[200];                // not empty: it failed
};

struct bench_row {
	const struct bench_room *room;
	const struct bench_case *c;
	double
		growth[2]; // ours and the kernel's cost against the first case of the group; 0 = no group
	bool last_of_group;
	struct bench_result result[BENCH_SIDES];
};

// Find out a peer program's name; false if it cannot be run.
bool bench_side_from_program(struct bench_side *side, const char *program);

// Run n cases of a room with interleaved repetitions into n rows. False once interrupted.
bool bench_run_block(const struct bench_room *room, const struct bench_case *const *c, size_t n,
                     const struct bench_options *opt, struct bench_row *row);

void bench_report_begin(const struct bench_room *room, const struct bench_options *opt);
void bench_report_row(const struct bench_row *row, const struct bench_options *opt);

// The column of a room that says how much may wait between two sides, or how many there are.
const char *bench_capacity_name(const struct bench_room *room);
size_t bench_capacity(const struct bench_room *room, const struct bench_case *c);

extern volatile int bench_interrupted;

#endif

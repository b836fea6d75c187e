// SPDX-License-Identifier: MIT
//
// What is measured of signals: the table of cases. bench_load.h tells what each kind does. Depth is how many
// signals make a burst.
#include "bench_load.h"

#define KIND(name, where) \
	.kind = BENCH_##name, .layout = BENCH_##where, .senders = 1, .receivers = 1
#define BURST(n)                                                                                 \
	{                                                                                            \
		.test = "burst-" #n, .what = #n " at once to a handler", KIND(BURST, SPLIT), .depth = n, \
		.show_calls = true                                                                       \
	}
#define CALLS .show_calls = true

const struct bench_case bench_signal_cases[] = {
	{.test = "same", .what = "sigqueue + sigwaitinfo", KIND(SAME, SPLIT), CALLS},
	{.test = "standard", .what = "kill + sigwaitinfo", KIND(SAME, SPLIT), .standard = true, CALLS},
	{.test = "stream", .what = "1 -> 1, which takes", KIND(STREAM, SPLIT), CALLS},
	{.test = "many",
     .what = "8 -> 1, which takes",
     .kind = BENCH_STREAM,
     .layout = BENCH_PAIR,
     .senders = 8,
     .receivers = 1,
     CALLS},
	{.test = "stream-one-cpu",
     .what = "1 -> 1, which takes, one CPU",
     KIND(STREAM, ONE_CPU),
     .show_cpu = true,
     CALLS},
	{.test = "roundtrip",
     .what = "there and back, both running",
     KIND(ROUNDTRIP, SPLIT),
     .show_cpu = true,
     CALLS},
	{.test = "roundtrip-one-cpu",
     .what = "there and back on one CPU",
     KIND(ROUNDTRIP, ONE_CPU),
     .show_cpu = true,
     CALLS},
	BURST(1),
	BURST(10),
	BURST(100),
	BURST(1000),
	{.test = "single", .what = "until its handler runs", KIND(SINGLE, SPLIT), .depth = 1, CALLS},
	{.test = "single-standard",
     .what = "the same, kill",
     KIND(SINGLE, SPLIT),
     .depth = 1,
     .standard = true,
     CALLS},
	{.test = "check", .what = "what a call pays, none pending", KIND(CHECK, SPLIT)},
	{.test = "idle",
     .what = "CPU time of a blocked taker",
     .kind = BENCH_IDLE,
     .layout = BENCH_PAIR,
     .senders = 1,
     .receivers = 4},
	{.test = NULL},
};

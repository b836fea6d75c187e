// SPDX-License-Identifier: MIT
//
// What is measured of message queues: the table of cases. bench_load.h tells what each kind does.
//
// Depth 10 is what the kernel gives an ordinary user; 256 is deep enough that neither side waits
// for long; 64 KiB times 10 is what his limit on memory (RLIMIT_MSGQUEUE) holds.
#include "bench_load.h"

#define SAME .kind = BENCH_SAME, .layout = BENCH_SPLIT, .senders = 1, .receivers = 1
#define ONE_TO_ONE(where) \
	.kind = BENCH_STREAM, .layout = BENCH_##where, .senders = 1, .receivers = 1
#define MANY(s, r) .kind = BENCH_STREAM, .layout = BENCH_PAIR, .senders = s, .receivers = r
#define ROUNDTRIP(where) \
	.kind = BENCH_ROUNDTRIP, .layout = BENCH_##where, .senders = 1, .receivers = 1
#define FILL .kind = BENCH_FILL, .layout = BENCH_SPLIT, .senders = 1, .receivers = 1

const struct bench_case bench_mq_cases[] = {
	{.test = "same", .what = "send + receive in one process", SAME, .size = 64, .depth = 10},
	{.test = "stream", .what = "1 -> 1 on two CPUs", ONE_TO_ONE(SPLIT), .size = 64, .depth = 256},
	{.test = "stream-d10",
     .what = "1 -> 1 on two CPUs",
     ONE_TO_ONE(SPLIT),
     .size = 64,
     .depth = 10},
	{.test = "stream-2x2", .what = "2 -> 2 on two CPUs", MANY(2, 2), .size = 64, .depth = 256},
	{.test = "stream-2x2-d10", .what = "2 -> 2 on two CPUs", MANY(2, 2), .size = 64, .depth = 10},
	{.test = "stream-4k",
     .what = "1 -> 1 on two CPUs",
     ONE_TO_ONE(SPLIT),
     .size = 4096,
     .depth = 64},
	{.test = "stream-64k",
     .what = "1 -> 1 on two CPUs",
     ONE_TO_ONE(SPLIT),
     .size = 65536,
     .depth = 10},

	{.test = "zero-copy-64",
     .what = "1 -> 1 in place",
     .group = "zero-copy, by size",
     ONE_TO_ONE(SPLIT),
     .size = 64,
     .depth = 10,
     .zero_copy = true},
	{.test = "zero-copy-64k",
     .what = "1 -> 1 in place",
     .group = "zero-copy, by size",
     ONE_TO_ONE(SPLIT),
     .size = 65536,
     .depth = 10,
     .zero_copy = true},

	{.test = "roundtrip",
     .what = "there and back, both running",
     ROUNDTRIP(SPLIT),
     .size = 64,
     .depth = 10},
	{.test = "roundtrip-one-cpu",
     .what = "there and back on one CPU",
     ROUNDTRIP(ONE_CPU),
     .size = 64,
     .depth = 10},
	{.test = "stream-one-cpu-d10",
     .what = "1 -> 1 on one CPU",
     ONE_TO_ONE(ONE_CPU),
     .size = 64,
     .depth = 10,
     .show_cpu = true},
	{.test = "stream-one-cpu",
     .what = "1 -> 1 on one CPU",
     ONE_TO_ONE(ONE_CPU),
     .size = 64,
     .depth = 256,
     .show_cpu = true},
	{.test = "crowd-d10",
     .what = "4 -> 4 on two CPUs",
     MANY(4, 4),
     .size = 64,
     .depth = 10,
     .show_cpu = true},
	{.test = "crowd",
     .what = "4 -> 4 on two CPUs",
     MANY(4, 4),
     .size = 64,
     .depth = 256,
     .show_cpu = true},
	{.test = "idle",
     .what = "CPU time of a blocked receiver",
     .kind = BENCH_IDLE,
     .layout = BENCH_PAIR,
     .size = 64,
     .depth = 10,
     .senders = 1,
     .receivers = 4},

#define DEPTH(n)                                                          \
	{                                                                     \
		.test = "fill-d" #n, .what = "fill and drain, one priority",      \
		.group = "fill and drain, by depth", FILL, .size = 64, .depth = n \
	}
	DEPTH(10),
	DEPTH(100),
	DEPTH(1000),
	DEPTH(10000),
	DEPTH(100000),
#undef DEPTH
#define DEPTH(n)                                                                              \
	{                                                                                         \
		.test = "prio-d" #n, .what = "fill and drain, all priorities",                        \
		.group = "all priorities, by depth", FILL, .size = 64, .depth = n, .priorities = true \
	}
	DEPTH(10),
	DEPTH(100),
	DEPTH(1000),
	DEPTH(10000),
	DEPTH(100000),
#undef DEPTH
#define SENDERS(n)                                                                                 \
	{                                                                                              \
		.test = "senders-" #n, .what = #n " -> 1 on two CPUs", .group = "many senders, by number", \
		MANY(n, 1), .size = 64, .depth = 256                                                       \
	}
	SENDERS(1),
	SENDERS(2),
	SENDERS(4),
	SENDERS(8),
	SENDERS(16),
	SENDERS(32),
	SENDERS(64),
#undef SENDERS
// The last one is as deep as the kernel's usual limit on memory lets it be.
#define SIZE(name, bytes, messages)                                                             \
	{                                                                                           \
		.test = "size-" name, .what = "1 -> 1 on two CPUs", ONE_TO_ONE(SPLIT), .size = (bytes), \
		.depth = (messages), .by_size = true, .for_report = true                                \
	}
	SIZE("64", 64, 10),
	SIZE("256", 256, 10),
	SIZE("1k", 1024, 10),
	SIZE("4k", 4096, 10),
	SIZE("16k", 16384, 10),
	SIZE("64k", 65536, 10),
	SIZE("256k", 262144, 3),
#undef SIZE
	{.test = NULL},
};

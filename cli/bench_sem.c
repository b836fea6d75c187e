// SPDX-License-Identifier: MIT
//
// What is measured of semaphores: the table of cases. bench_load.h tells what each kind does.
//
// The column of the C library is what its own semaphore takes, also where ours has holders and its has
// none: that is what holders cost. The kernel's answers to holders are System V semaphores with SEM_UNDO
// and flock(2).
#include "bench_load.h"

#define PAIRS .kind = BENCH_SAME, .layout = BENCH_SPLIT, .processes = 1, .depth = 1
#define KIND(name, where) \
	.kind = BENCH_##name, .layout = BENCH_##where, .senders = 1, .receivers = 1
#define CONTEND \
	.kind = BENCH_CONTEND, .layout = BENCH_PAIR, .processes = 8, .depth = 1, .show_cpu = true
#define HOLDERS .scope = BENCH_NAMED, .holders = true
#define CALLS .show_calls = true

const struct bench_case bench_sem_cases[] = {
	{.test = "pair-private", .what = "wait + post, unnamed", PAIRS, .scope = BENCH_PRIVATE, CALLS},
	{.test = "pair-shared", .what = "wait + post, unnamed, shared", PAIRS, CALLS},
	{.test = "pair-named", .what = "wait + post, named", PAIRS, .scope = BENCH_NAMED, CALLS},
	{.test = "pair-holders", .what = "wait + post, holders", PAIRS, HOLDERS, CALLS},

	{.test = "stream", .what = "posts to a running waiter", KIND(STREAM, SPLIT), CALLS},
	{.test = "stream-named",
     .what = "posts to a running waiter",
     KIND(STREAM, SPLIT),
     .scope = BENCH_NAMED,
     CALLS},
	{.test = "roundtrip",
     .what = "there and back, both running",
     KIND(ROUNDTRIP, SPLIT),
     .show_cpu = true,
     CALLS},
	{.test = "stream-one-cpu",
     .what = "posts to a waiter, one CPU",
     KIND(STREAM, ONE_CPU),
     .show_cpu = true,
     CALLS},
	{.test = "roundtrip-one-cpu",
     .what = "there and back on one CPU",
     KIND(ROUNDTRIP, ONE_CPU),
     .show_cpu = true,
     CALLS},

	{.test = "contend-8", .what = "a lock, nothing inside", CONTEND},
	{.test = "contend-8-1us", .what = "1 us inside, 1 outside", CONTEND, .work_ns = 1000},
	{.test = "contend-8-10us", .what = "10 us inside, 10 outside", CONTEND, .work_ns = 10000},
	{.test = "holders-8", .what = "a lock, nothing inside", CONTEND, HOLDERS},
	{.test = "holders-8-1us", .what = "1 us inside, 1 outside", CONTEND, HOLDERS, .work_ns = 1000},
	{.test = "holders-8-10us",
     .what = "10 us inside, 10 outside",
     CONTEND,
     HOLDERS,
     .work_ns = 10000},
	{.test = "idle",
     .what = "CPU time of a blocked waiter",
     .kind = BENCH_IDLE,
     .layout = BENCH_PAIR,
     .senders = 1,
     .receivers = 4},
	{.test = NULL},
};

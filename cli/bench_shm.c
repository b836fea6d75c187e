// SPDX-License-Identifier: MIT
//
// What is measured of shared memory: the tables of cases. bench_load.h tells what each kind does.
//
// Live sets of 1024 blocks of 16 bytes to 4 KiB are 750 KiB a process: more than the first cache of a CPU
// holds, and less than the second.
#include "bench_load.h"

#include <stddef.h>

#define KIB(n) ((size_t)(n)*1024)
#define MIB(n) ((size_t)(n)*1048576)

#define LIFE(bytes) \
	.kind = BENCH_LIFE, .layout = BENCH_SPLIT, .processes = 1, .size = bytes, .show_cpu = true
#define VISIT(bytes) \
	.kind = BENCH_VISIT, .layout = BENCH_SPLIT, .processes = 1, .size = bytes, .show_calls = true
#define BORN "create, map, touch, unlink"

const struct bench_case bench_shm_cases[] = {
	{.test = "life-4k", .what = BORN, LIFE(KIB(4)), .by_size = true, .show_calls = true},
	{.test = "life-64k", .what = BORN, LIFE(KIB(64)), .by_size = true, .show_calls = true},
	{.test = "life-1m", .what = BORN, LIFE(MIB(1)), .by_size = true},
	{.test = "life-64m", .what = BORN, LIFE(MIB(64)), .by_size = true},
	{.test = "life-1g", .what = BORN, LIFE(MIB(1024)), .by_size = true},
	{.test = "life-64m-huge", .what = BORN, LIFE(MIB(64)), .huge = true},
	{.test = "life-1g-huge", .what = BORN, LIFE(MIB(1024)), .huge = true},
	{.test = "open-64k", .what = "open, map, unmap", VISIT(KIB(64))},
	{.test = "open-64m", .what = "open, map, unmap", VISIT(MIB(64))},
	{.test = NULL},
};

#define BLOCKS(n, where) .kind = BENCH_BLOCKS, .layout = BENCH_##where, .processes = n
#define ONE BLOCKS(1, SPLIT)
#define FOUR BLOCKS(4, PAIR), .show_cpu = true
#define PAIR .size = 64, .live = 1
#define MIX .size = 4096, .smallest = 16, .live = 1024

const struct bench_case bench_arena_cases[] = {
	{.test = "arena-pair", .what = "allocate + free", ONE, PAIR},
	{.test = "arena-pair-x4", .what = "allocate + free", FOUR, PAIR},
	{.test = "arena-mix", .what = "allocate + free, 16 B to 4 KiB", ONE, MIX},
	{.test = "arena-mix-x4", .what = "allocate + free, 16 B to 4 KiB", FOUR, MIX},
	{.test = NULL},
};

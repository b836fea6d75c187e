// SPDX-License-Identifier: MIT
//
// What is measured of pipes: the table of cases. bench_load.h tells what each kind does.
//
// 64 KiB is the size of a pipe that nobody asked anything of; 1 MiB is the most that an ordinary user
// gets from F_SETPIPE_SZ. Both contestants have the size that stands here.
#include "bench_load.h"

#define USUAL .pipe_size = 65536, .show_calls = true
#define WIDE .pipe_size = 1048576, .show_calls = true

#define KIND(name, where, s, r) \
	.kind = BENCH_##name, .layout = BENCH_##where, .senders = s, .receivers = r
#define SAME KIND(SAME, SPLIT, 1, 1)
#define ONE_TO_ONE(where) KIND(STREAM, where, 1, 1)
#define MANY(s, r) KIND(STREAM, PAIR, s, r)
#define ROUNDTRIP(where) KIND(ROUNDTRIP, where, 1, 1)

const struct bench_case bench_pipe_cases[] = {
	{.test = "stream-64", .what = "1 -> 1 on two CPUs", ONE_TO_ONE(SPLIT), .size = 64, USUAL},
	{.test = "stream-4k", .what = "1 -> 1 on two CPUs", ONE_TO_ONE(SPLIT), .size = 4096, USUAL},
	{.test = "stream-64k", .what = "1 -> 1 on two CPUs", ONE_TO_ONE(SPLIT), .size = 65536, USUAL},
	{.test = "stream-64k-wide",
     .what = "1 -> 1 on two CPUs",
     ONE_TO_ONE(SPLIT),
     .size = 65536,
     WIDE},
	{.test = "stream-1m", .what = "1 -> 1 on two CPUs", ONE_TO_ONE(SPLIT), .size = 1048576, USUAL},
	{.test = "stream-1m-wide",
     .what = "1 -> 1 on two CPUs",
     ONE_TO_ONE(SPLIT),
     .size = 1048576,
     WIDE},
	{.test = "zero-copy-4k",
     .what = "1 -> 1 in place",
     ONE_TO_ONE(SPLIT),
     .size = 4096,
     USUAL,
     .zero_copy = true},
	{.test = "same", .what = "write + read in one process", SAME, .size = 64, USUAL},

	{.test = "roundtrip",
     .what = "there and back, both running",
     ROUNDTRIP(SPLIT),
     .size = 64,
     USUAL},
	{.test = "many-8x1", .what = "8 -> 1 on two CPUs", MANY(8, 1), .size = 64, USUAL},
	{.test = "many-2x2", .what = "2 -> 2 on two CPUs", MANY(2, 2), .size = 64, USUAL},
	{.test = "events",
     .what = "epoll over 100 pipes",
     KIND(EVENTS, SPLIT, 1, 1),
     .objects = 100,
     .size = 64,
     USUAL,
     .show_cpu = true},

	{.test = "stream-64-one-cpu",
     .what = "1 -> 1 on one CPU",
     ONE_TO_ONE(ONE_CPU),
     .size = 64,
     USUAL,
     .show_cpu = true},
	{.test = "stream-4k-one-cpu",
     .what = "1 -> 1 on one CPU",
     ONE_TO_ONE(ONE_CPU),
     .size = 4096,
     USUAL,
     .show_cpu = true},
	{.test = "roundtrip-one-cpu",
     .what = "there and back on one CPU",
     ROUNDTRIP(ONE_CPU),
     .size = 64,
     USUAL},
	{.test = "idle",
     .what = "CPU time of a blocked reader",
     KIND(IDLE, PAIR, 1, 1),
     .size = 64,
     USUAL,
     .warm = 100000},

	// Where nothing can be won. Write + read in one process shows what a call costs more; between two
	// processes the kernel's own pace hides it, because the slower side decides who sleeps.
	{.test = "exported",
     .what = "given back to the kernel",
     SAME,
     .size = 64,
     USUAL,
     .kernels = true},
	{.test = "foreign-reader",
     .what = "ph_write, bare read",
     SAME,
     .size = 64,
     USUAL,
     .stranger = BENCH_FOREIGN_RECEIVER},
	{.test = "foreign-writer",
     .what = "bare write, ph_read",
     SAME,
     .size = 64,
     USUAL,
     .stranger = BENCH_FOREIGN_SENDER},
	{.test = "foreign-reader-64k",
     .what = "1 -> 1, ph_write to bare read",
     ONE_TO_ONE(SPLIT),
     .size = 65536,
     USUAL,
     .stranger = BENCH_FOREIGN_RECEIVER},
	{.test = "foreign-writer-64k",
     .what = "1 -> 1, bare write to ph_read",
     ONE_TO_ONE(SPLIT),
     .size = 65536,
     USUAL,
     .stranger = BENCH_FOREIGN_SENDER},

#define SIZE(name, bytes)                                                                       \
	{                                                                                           \
		.test = "size-" name, .what = "1 -> 1 on two CPUs", ONE_TO_ONE(SPLIT), .size = (bytes), \
		.pipe_size = 65536, .by_size = true, .for_report = true                                 \
	}
	SIZE("64", 64),
	SIZE("256", 256),
	SIZE("1k", 1024),
	SIZE("4k", 4096),
	SIZE("16k", 16384),
	SIZE("64k", 65536),
	SIZE("256k", 262144),
	SIZE("1m", 1048576),
#undef SIZE
	{.test = NULL},
};

// SPDX-License-Identifier: MIT
//
// How many system calls a process makes, counted by the kernel itself (perf_event_open(2) on the
// tracepoint raw_syscalls:sys_enter), so that neither the program nor its timing is in the hands of
// a tracer. Needs root, or perf_event_paranoid of -1 and a readable tracefs.
#ifndef CLI_BENCH_CALLS_H
#define CLI_BENCH_CALLS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Whether this machine lets us count.
bool bench_calls_known(void);

// Count this process's calls from now on: a descriptor, or -1 if that cannot be.
int bench_calls_start(void);

// Stop; how many there were.
int64_t bench_calls_stop(int fd);

#ifdef __cplusplus
}
#endif
#endif

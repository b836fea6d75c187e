// SPDX-License-Identifier: MIT
//
// A peer: another transport as a contestant of `posthaste bench --peer`. It is a program made of
// its struct bench_ops, this main function and the workloads of cli/bench_*.c.
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "bench_load.h"

#ifdef __cplusplus
extern "C" {
#endif

// A peer takes part in one room: its name and its cases.
int peer_main(int argc, char **argv, const char *room, const struct bench_case *cases,
              const struct bench_ops *ops);

#ifdef __cplusplus
}
#endif
#endif

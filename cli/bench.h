// SPDX-License-Identifier: MIT
//
// `posthaste bench`: our figures and the kernel's, side by side in one run. bench.c has the
// options, bench_core.h the measuring, bench_load.h the workloads, bench_mq.c and bench_pipe.c what is
// measured of message queues and of pipes.
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

// Run the command with its own arguments (argv[0] is "bench"). The result is the exit status:
// 0 done, 1 a test failed, 2 usage, 128 + signal interrupted.
int bench_main(int argc, char **argv);

#endif

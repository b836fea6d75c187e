// SPDX-License-Identifier: MIT
//
// The workers of each workload (bench_work.c), for bench_load.c, which starts them.
#ifndef CLI_BENCH_WORK_H
#define CLI_BENCH_WORK_H

#include "bench_load.h"

#define BENCH_MAX_SENDERS 64

struct bench_load {
	const struct bench_case *c;
	const struct bench_ops *ops;
	struct bench_end end[2]; // the second only for round trips: the way back
	uint64_t count;
};

// How many messages sender number `index` sends.
static inline uint64_t bench_share(const struct bench_load *load, size_t index)
{
	const uint64_t n = load->c->senders;
	return load->count / n + (index < load->count % n);
}

// Bodies of workers; arg is the struct bench_load.
void bench_same_worker(struct bench_team *team, void *arg);
void bench_fill_worker(struct bench_team *team, void *arg);
void bench_stream_worker(struct bench_team *team, void *arg);
void bench_roundtrip_worker(struct bench_team *team, void *arg);
void bench_idle_worker(struct bench_team *team, void *arg);

#endif

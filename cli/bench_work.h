// SPDX-License-Identifier: MIT
//
// The workers of each workload (bench_work.c, bench_events.c, bench_units.c, bench_memory.c,
// bench_signal_work.c), for bench_load.c, which starts them, and what those with messages have in common: sending and receiving
// some that can be checked.
#ifndef CLI_BENCH_WORK_H
#define CLI_BENCH_WORK_H

#include "bench_load.h"

#define BENCH_MAX_SENDERS 64
#define BENCH_MAX_ENDS 128

// The first bytes of every message; its last eight are a mark that follows from seq.
struct bench_stamp {
	uint64_t seq; // from 1; 0 = stop
	uint32_t from, pad;
};

// A worker's view of an object.
struct bench_actor {
	struct bench_team *team;
	const struct bench_ops *ops;
	struct bench_end *end;
	char *buf;
	size_t size;
	bool put_in_place, get_in_place;
	uint64_t seen[BENCH_MAX_SENDERS]; // the last number from each sender
};

struct bench_load {
	const struct bench_case *c;
	const struct bench_ops *ops;
	struct bench_end end[BENCH_MAX_ENDS]; // round trips: there and back
	uint64_t count;
	uint64_t work; // turns of bench_work that take the case's work_ns
};

// How many messages sender number `index` sends.
static inline uint64_t bench_share(const struct bench_load *load, size_t index)
{
	const uint64_t n = load->c->senders;
	return load->count / n + (index < load->count % n);
}

// Get at the object for what this worker is going to do.
void bench_attach(struct bench_actor *a, struct bench_team *team, struct bench_load *load,
                  int which, enum bench_role role);

void bench_send_one(struct bench_actor *a, uint64_t seq, uint32_t from, unsigned prio);
struct bench_stamp bench_receive_one(struct bench_actor *a, unsigned *prio);

// What is in a message, if it is whole; the worker fails if not.
struct bench_stamp bench_check_stamp(struct bench_actor *a, const void *data, size_t len);

// Bodies of workers; arg is the struct bench_load.
void bench_same_worker(struct bench_team *team, void *arg);
void bench_fill_worker(struct bench_team *team, void *arg);
void bench_stream_worker(struct bench_team *team, void *arg);
void bench_roundtrip_worker(struct bench_team *team, void *arg);
void bench_idle_worker(struct bench_team *team, void *arg);
void bench_events_worker(struct bench_team *team, void *arg);
void bench_units_same_worker(struct bench_team *team, void *arg);
void bench_units_stream_worker(struct bench_team *team, void *arg);
void bench_units_roundtrip_worker(struct bench_team *team, void *arg);
void bench_units_idle_worker(struct bench_team *team, void *arg);
void bench_units_contend_worker(struct bench_team *team, void *arg);
void bench_life_worker(struct bench_team *team, void *arg);
void bench_visit_worker(struct bench_team *team, void *arg);
void bench_blocks_worker(struct bench_team *team, void *arg);
void bench_signal_same_worker(struct bench_team *team, void *arg);
void bench_signal_stream_worker(struct bench_team *team, void *arg);
void bench_signal_roundtrip_worker(struct bench_team *team, void *arg);
void bench_signal_idle_worker(struct bench_team *team, void *arg);
void bench_signal_burst_worker(struct bench_team *team, void *arg);
void bench_signal_check_worker(struct bench_team *team, void *arg);

// Compute for so many turns; how many take `ns` on this machine, found out once in a process.
void bench_work(uint64_t turns);
uint64_t bench_work_of(unsigned ns);

#endif

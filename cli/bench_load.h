// SPDX-License-Identifier: MIT
//
// The workloads: what is done, how often, by whom, and the check that it was done right. They know
// a transport only by its struct bench_ops, so that every contestant runs the very same code:
// bench_mq_ops.c has the library's and the kernel's queues, bench/peers/ the others.
// bench_work.c does the work.
//
// Every message carries who sent it and its number at both ends, and every receiver checks them: a
// transport that loses, repeats, reorders or tears cannot look fast.
#ifndef CLI_BENCH_LOAD_H
#define CLI_BENCH_LOAD_H

#include "bench_core.h"

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum bench_kind {
	BENCH_SAME,      // send + receive in one process; one operation = both
	BENCH_FILL,      // one process fills the queue and drains it; one operation = send + receive
	BENCH_STREAM,    // senders to receivers; one operation = one message passed on
	BENCH_ROUNDTRIP, // one process asks, one answers; one operation = there and back
	BENCH_IDLE,      // blocked receivers for a while; one operation = one receiver's wait
};

struct bench_case {
	const char *test;  // unique within its room
	const char *what;  // for people
	const char *group; // cases to be compared with the first of them, or NULL; they stand in a row
	enum bench_kind kind;
	enum bench_layout layout;
	size_t size, depth; // bytes; messages
	unsigned senders, receivers;
	bool zero_copy;  // use the transport's loans, if it has any
	bool priorities; // spread over all priorities instead of one
	bool show_cpu;   // CPU time is what this case is about
};

// What can be measured in one room: its cases, up to one without a name, and the two contestants.
struct bench_room {
	const char *name, *what;
	const struct bench_case *cases;
	const struct bench_ops *ours, *kernels;
};

extern const struct bench_case bench_mq_cases[];                   // bench_mq.c
extern const struct bench_ops bench_mq_posthaste, bench_mq_kernel; // bench_mq_ops.c

#define BENCH_MIN_SIZE 24

// One end of a transport, in one process.
struct bench_end {
	char name[64];
	size_t size, depth; // as wanted; create may lower them to what the transport allows
	bool polled;        // both sides run all the time: a contestant may poll instead of sleeping
	int fd;
	void *state;
};

struct bench_ops {
	const char *name;
	// In the leader: make the object, remove it.
	int (*create)(struct bench_end *end);
	void (*destroy)(struct bench_end *end);
	// In a worker: get at it by name. Send and receive block. 0 or a length, -1 with errno.
	int (*attach)(struct bench_end *end);
	int (*send)(struct bench_end *end, const void *data, size_t len, unsigned prio);
	ssize_t (*receive)(struct bench_end *end, void *data, size_t room, unsigned *prio);
	// In place; NULL if the transport cannot.
	void *(*reserve)(struct bench_end *end);
	int (*commit)(struct bench_end *end, size_t len, unsigned prio);
	const void *(*borrow)(struct bench_end *end, size_t *len);
	int (*release)(struct bench_end *end);
	bool one_to_one; // cannot have several senders or receivers, nor priorities
};

// One repetition's figures, per operation.
struct bench_sample {
	double ns;             // wall clock
	double cpu_ns;         // CPU time of all workers together (of the receivers, for BENCH_IDLE)
	double switches;       // context switches of all workers together
	double p50_ns, p99_ns; // BENCH_ROUNDTRIP: of single round trips; else 0
	size_t size, depth;    // in fact used
	const char *error;     // not NULL: it failed, and why
};

// True if these ops can do this case at all.
bool bench_can(const struct bench_case *c, const struct bench_ops *ops);

// How many operations take about `ns` nanoseconds, found by trying; 0 with sample->error if it
// failed.
uint64_t bench_calibrate(const struct bench_case *c, const struct bench_ops *ops, int64_t ns,
                         struct bench_sample *sample);

// Run one repetition of `count` operations (BENCH_IDLE: for `count` nanoseconds).
void bench_repeat(const struct bench_case *c, const struct bench_ops *ops, uint64_t count,
                  struct bench_sample *sample);

#ifdef __cplusplus
}
#endif
#endif

// SPDX-License-Identifier: MIT
//
// What every benchmark needs, whatever it measures: processes that start together on chosen CPUs,
// their wall clock, CPU time and context switches, and the statistics over repetitions.
//
// A *team* is a set of worker processes that exists for one repetition. Nothing of a repetition is
// left over for the next one: adapted spin limits, warm caches and scheduler history die with it,
// so that repetitions of two contestants can alternate. bench_load.c is the user of all this.
#ifndef CLI_BENCH_CORE_H
#define CLI_BENCH_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Where the workers run.
enum bench_layout {
	BENCH_SPLIT,   // each on a CPU of its own, as far as two go: worker 0 and 1 on different CPUs
	BENCH_PAIR,    // all on the same two CPUs, placed by the scheduler
	BENCH_ONE_CPU, // all on the same CPU
};

struct bench_worker {
	int64_t start_ns, end_ns; // CLOCK_MONOTONIC
	int64_t cpu_ns;           // user and system time between the two
	int64_t switches;         // context switches between the two
	int64_t calls;            // system calls between the two, if the team counts them
	uint64_t ops;             // what the worker did: the workload says what it counts
	uint64_t sum;             // checksum of it
	double huge;              // share of its memory in huge pages
	char error[160];          // not empty: the worker failed
	char pad[256 - 224];      // no two workers write one line
};

struct bench_team {
	struct bench_worker *worker; // shared by the team and its leader
	uint32_t *samples_ns;        // shared: one per operation, where a workload asks for them
	size_t n, samples;
	size_t index;      // in a worker: which one
	uint32_t *counter; // shared, starts as 0, for the workload
	bool count_calls;  // set by the leader: count system calls, which makes each dearer
	int ready[2], go[2];
	int calls_fd; // in a worker that counts them
};

typedef void bench_body(struct bench_team *team, void *arg);

// Make the shared memory of a team of n workers that records `samples` times. 0, or -1 with errno.
int bench_team_init(struct bench_team *team, size_t n, size_t samples);
void bench_team_free(struct bench_team *team);

// Fork the workers, run body in each and wait for them. If one fails the others are killed. 0 if
// all went well, else -1 and *why is the first complaint (a static buffer).
int bench_team_run(struct bench_team *team, enum bench_layout layout, bench_body *body, void *arg,
                   const char **why);

// In a worker: wait until everybody is here, then start this worker's clocks; stop them.
void bench_start(struct bench_team *team);
void bench_stop(struct bench_team *team);

// In a worker: give up, with a reason. The first form adds what errno says.
__attribute__((noreturn)) void bench_fail_errno(struct bench_team *team, const char *what);
__attribute__((noreturn)) void bench_fail(struct bench_team *team, const char *what);

int64_t bench_now_ns(void);
unsigned bench_cpus(void); // how many this process may use

// Sorts v. The p-th (0 to 1) of n values; 0 if there are none.
double bench_percentile(double *v, size_t n, double p);
uint32_t bench_percentile_u32(uint32_t *v, size_t n, double p);

#ifdef __cplusplus
}
#endif
#endif

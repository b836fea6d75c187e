// SPDX-License-Identifier: MIT
//
// demo_run.h - one run of the demo: the plan, the collecting of results, the accident in the middle, and
// the account of what came of it.
#ifndef DEMO_RUN_H
#define DEMO_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "demo_corpus.h"
#include "demo_transport.h"
#include "demo_words.h"

struct demo_plan {
	const struct transport *transport;
	const struct corpus *corpus;
	long depth, message_bytes;
	int workers;
	bool kill_one; // a worker, when half of the text is counted
	bool signals;  // of progress; and a request to stop lets everybody finish what he has in hand
};

// The worker that was killed, and the chunk it was counting.
struct accident {
	bool happened;
	int worker, pid;
	uint32_t chunk;
	double at;          // part of the text that was counted by then
	bool recovered;     // the chunk was counted after all
	int recovered_by;   // by this worker
	double recovery_ms; // so long after the kill
	bool unit_returned; // the semaphore's, that it held
	int unit_to;        // this worker was told
	bool unit_half;     // and finished what the killed one had entered by half
	double unit_ms;     // so long after the kill
};

struct demo_outcome {
	char trouble[200]; // why the run failed; empty if it did not
	struct words words;
	uint32_t chunks;           // queued by the sorter
	uint32_t counted;          // of these, counted; each once
	uint32_t duplicates;       // results of chunks that had been counted already: dropped
	uint32_t requeued;         // chunks the parent had to queue again itself
	uint64_t bytes;            // of text counted
	uint64_t fed, fed_by_ring; // bytes through the pipe, and of these through its ring
	double seconds, cpu_seconds;
	uint64_t switches;      // context switches of all processes
	uint64_t told, handled; // signals of progress: sent by the workers, handled by the parent
	int stopped;            // by this signal; 0 = not
	uint32_t left;          // chunks that were in the queue then
	struct accident accident;
};

// False if the run could not be made or went wrong; outcome->trouble tells. words_free the words.
bool demo_run(const struct demo_plan *plan, struct demo_outcome *outcome);

#endif

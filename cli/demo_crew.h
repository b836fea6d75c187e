// SPDX-License-Identifier: MIT
//
// demo_crew.h - the processes of one run: a reader that cuts chunks, a sorter that queues them, workers
// that count their words, and what goes between them and the parent.
//
//   reader --- feed, a pipe: chunks as they are cut ----> sorter
//   sorter --- jobs: struct job + text, by priority ----> workers
//   workers --- table, one at a time: counts of words
//   workers --- results: struct result ----------------> parent
#ifndef DEMO_CREW_H
#define DEMO_CREW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "demo_corpus.h"
#include "demo_table.h"
#include "demo_transport.h"
#include "demo_words.h"

enum { WORKERS_MAX = 64, PEER_PATIENCE_MS = 30000 };

#define JOB_STOP UINT32_MAX // an id: go home

struct job {
	uint32_t id;
};

enum result_kind { RESULT_COUNTS, RESULT_ALL_QUEUED };

struct result {
	uint32_t kind;
	uint32_t id;    // of the chunk; RESULT_ALL_QUEUED: how many there are
	uint32_t bytes; // of the chunk
	uint32_t worker;
};

// What a worker is at, for the parent to look at. The account of the accident is made of it; no message
// is ever saved or repeated because of it.
struct desk {
	_Atomic uint32_t counting; // the chunk's id + 1; 0 = between chunks
	_Atomic uint32_t told;     // signals of progress that it has sent
};

// Shared memory of the crew.
struct office {
	_Atomic int
		halt; // 1 = the next worker who is in the middle of a chunk takes this and stops there
	struct desk desk[WORKERS_MAX];
	_Atomic uint64_t fed, fed_by_ring; // bytes through the pipe, and of these through its ring
	_Atomic uint32_t told;             // the worker + 1 that was told of a unit from the dead
	_Atomic double told_s;             // when, CLOCK_MONOTONIC
	_Atomic bool told_half;            // and it found a chunk that was entered by half
};

struct crew {
	const struct transport *transport;
	const struct corpus *corpus;
	struct channel jobs, results;
	struct word_table table;
	int feed[2]; // -1 = not open here
	struct office *office;
	bool halt_at_once; // the first worker that is at work is to stop
	bool signals;      // progress and stopping by signals
	pid_t parent;
	uint64_t told; // signals of progress from all workers, when they are gone
	pid_t reader, sorter, worker[WORKERS_MAX]; // 0 = ended
	int workers;
};

// Bytes of text in a chunk.
size_t crew_chunk_limit(size_t message_bytes);

// 0 or errno. The caller fills in transport, corpus, workers, halt_at_once and signals.
int crew_start(struct crew *crew, long depth, long message_bytes);
void crew_finish(struct crew *crew); // all work is done: they go home by themselves
void crew_end(struct crew *crew);    // kills whoever is left

// All are asked to finish what they have in hand and go; whether one is still there.
void crew_dismiss(struct crew *crew);
bool crew_is_there(struct crew *crew);

// A process of the crew has been waited for.
void crew_buried(const struct crew *crew, pid_t pid);

int crew_send_job(struct crew *crew, const struct chunk *chunk, char *message, int timeout_ms);

// A process that ends with its parent, whatever ends that, and has the usual signals: as fork.
pid_t crew_fork(void);

// The bodies of the processes (demo_feed.c, demo_worker.c). They do not return.
_Noreturn void crew_read(struct crew *crew);
_Noreturn void crew_sort(struct crew *crew);
_Noreturn void crew_work(struct crew *crew, uint32_t worker);
_Noreturn void crew_give_up(const char *who, int err);

#endif

// SPDX-License-Identifier: MIT
//
// tests/kill/pipe_random.h - between the killer (pipe_random.c, read that first) and its workers
// (pipe_random_worker.c): the books, and what a phase is.
#ifndef KILL_PIPE_RANDOM_H
#define KILL_PIPE_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WRITERS = 3,
	READERS = 2,
	WORKERS = WRITERS + READERS, // the writers come first
	RECORD_MAX = 4096,
	RECORDS_AT_ONCE = 16,  // a reader asks for so many at most
	NUMBERS = 1 << 26,     // most records of one writer in one phase
	STREAM_WRITE = 100000, // of the phase whose writes go in pieces
};

// One worker's page of the books. Only its living process writes there.
struct account {
	uint64_t begun;    // writer: the last number whose write began
	uint64_t returned; // writer: the last whose write returned
	uint64_t settled;  // killer: up to here everything has been looked for
	uint64_t got;      // reader of a stream: bytes
	uint32_t calling;  // reader: it is between asking for bytes and ticking them off
	uint32_t ready;    // it has its end
};

struct books {
	struct account account[WORKERS];
	uint32_t stop;   // writers: end
	uint32_t doomed; // the last reader is about to go: EPIPE is right
	uint32_t failed;
	char failure[200];
	unsigned char ticked[WRITERS][NUMBERS / 8]; // was read
	unsigned char unsure[WRITERS]
						[NUMBERS / 8]; // its write was cut short, or nobody was left to read
};

struct phase {
	const char *name;
	size_t record;     // bytes of each, so that every read ends between two of them
	size_t pipe_bytes; // 0 = as it comes
	bool loans;
	bool polls;
	bool strangers; // the last writer and the last reader make plain system calls
	bool by_name;   // through a FIFO
	bool stream;    // one writer, one reader, writes in many pieces
};

extern struct books *books;
extern const struct phase *phase;
extern char fifo[300];
extern int rd; // -1 where it has to be opened
extern int wr;

// The first failure counts; whoever sees it ends.
void broken(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

// What a worker does: write until it is told to stop or nobody reads, read up to the end of file.
void write_on(int worker);
void read_on(int worker);

#endif

// SPDX-License-Identifier: MIT
//
// tests/kill/mq_random.h - between the killer (mq_random.c, read that first) and its workers
// (mq_random_worker.c): the books, and what a phase is.
#ifndef KILL_MQ_RANDOM_H
#define KILL_MQ_RANDOM_H

#include <posthaste/posthaste.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SENDERS = 2,
	RECEIVERS = 2,
	WORKERS = SENDERS + RECEIVERS, // the senders come first
	SIZE = 128,
	NUMBERS = 1 << 27, // most messages of one sender in one phase
};

// One worker's page of the books. Only its living process writes there.
struct account {
	uint64_t begun;    // sender: the last number whose send began
	uint64_t returned; // sender: the last whose send returned
	uint32_t calling;  // receiver: it is between asking for a message and ticking it off
};

struct books {
	struct account account[WORKERS];
	uint32_t stop; // senders: end
	uint32_t failed;
	char failure[200];
	unsigned char ticked[SENDERS][NUMBERS / 8]; // was received
	unsigned char unsure[SENDERS][NUMBERS / 8]; // its send was cut short
};

struct phase {
	const char *name;
	long depth;
	bool loans;
	bool polls;
};

extern struct books *books;
extern const struct phase *phase;
extern mqd_t q;

// The first failure counts; whoever sees it ends.
void broken(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

// What a worker does: send until it is told to stop, receive until it is killed.
void send_on(int worker);
void receive_on(int worker);

#endif

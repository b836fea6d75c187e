// SPDX-License-Identifier: MIT
//
// tests/linear/sem_history.h - a concurrent history of operations on one semaphore, and the question whether
// it could have happened one operation at a time.
//
// The sequential semaphore is a counter from 0 to `most`. A wait that ended with EAGAIN or ETIMEDOUT is an
// observation: at some moment between its call and its return there were fewer units than it wanted; a post
// that ended with EOVERFLOW: no room for what it had; getvalue: so many. A history is linearizable if its
// operations can be put into an order that the counter explains, and in which none stands before one that
// had returned before it was called.
#ifndef TESTS_LINEAR_SEM_HISTORY_H
#define TESTS_LINEAR_SEM_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

enum sem_op_kind {
	OP_POST,
	OP_TAKE,
	OP_VALUE,
	OP_POST_FULL,  // EOVERFLOW
	OP_TAKE_EMPTY, // EAGAIN or ETIMEDOUT
};

struct sem_op {
	enum sem_op_kind kind;
	int actor;     // for display
	int64_t units; // posted, taken or wanted; of OP_VALUE what it said
	int64_t called_ns, returned_ns;
};

enum { SEM_HISTORY_MAX = 64 };

struct sem_history {
	int64_t begin, most;
	unsigned n;
	struct sem_op ops[SEM_HISTORY_MAX];
};

enum sem_verdict { SEM_LINEARIZABLE, SEM_NOT_LINEARIZABLE, SEM_UNDECIDED };

// Search for an order. SEM_UNDECIDED: it took too long.
enum sem_verdict sem_history_check(const struct sem_history *h);

// Show the history, in the order of the calls, on stderr.
void sem_history_print(const struct sem_history *h);

#endif

// SPDX-License-Identifier: MIT
//
// tests/linear/history.h - a concurrent history of queue operations, and the question whether it could
// have happened one operation at a time.
//
// The sequential queue: at most `depth` messages; a receive takes the oldest of the highest priority; a
// borrowed message is out of the order but keeps its room until its release. An operation that failed
// for want of room or of a message is an observation: at some moment between its call and its return
// the queue was full, or empty. A history is linearizable if its operations can be put into an order
// that the sequential queue explains, and in which none stands before one that had returned before it
// was called.
//
// Not strict: a message that is being received keeps its room until the receive returns. So it is with
// two locks: depth 2, messages A and, since A's receiver chose it, the more urgent B: a sender finds no
// room until the receiver has given A's back, and no single order of the three says so.
#ifndef TESTS_LINEAR_HISTORY_H
#define TESTS_LINEAR_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

enum op_kind {
	OP_SEND,
	OP_RECEIVE,
	OP_PEEK,
	OP_BORROW,
	OP_RELEASE,
	OP_SEND_FULL,     // EAGAIN or ETIMEDOUT
	OP_RECEIVE_EMPTY, // of a receive, a peek or a borrow
};

struct op {
	enum op_kind kind;
	unsigned prio;
	uint32_t value; // what was sent or came; all values sent in one history differ
	int64_t called_ns, returned_ns;
	int actor; // for display
};

enum { HISTORY_MAX = 64, DEPTH_MAX = 8 };

struct history {
	unsigned depth;
	bool strict;
	unsigned n;
	struct op ops[HISTORY_MAX];
};

enum verdict { LINEARIZABLE, NOT_LINEARIZABLE, UNDECIDED };

// Search for an order (Wing and Gong, with the states seen remembered). UNDECIDED: it took too long.
enum verdict history_check(const struct history *h);

// Show the history, in the order of the calls, on stderr.
void history_print(const struct history *h);

#endif

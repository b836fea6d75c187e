// SPDX-License-Identifier: MIT
//
// recording.h - what processes have recorded of their operations (docs/trace.md), read and checked: nothing in a recording is
// believed, and to read one asks nothing of its process, which may run, be stopped or dead.
#ifndef RECORDING_H
#define RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/layout.h"
#include "core/operations.h"

enum recorded_when {
	WHEN_EXACT,
	WHEN_BETWEEN, // two that are known: `at_ns` stands in proportion
	WHEN_AFTER,   // `at_ns`, or at it
	WHEN_BEFORE,
	WHEN_SINCE, // the thread sleeps in this operation since then
};

struct recorded {
	size_t recording; // of whom
	uint32_t thread;
	pid_t tid;
	uint64_t number; // counts up for each thread
	enum record_op op;
	uint64_t key;
	int64_t result; // or -errno
	int64_t at_ns;  // CLOCK_MONOTONIC
	int64_t waited_ns;
	enum recorded_when when;
};

struct recording {
	pid_t pid;
	uint64_t id; // tells two recordings of one pid apart
	bool lives;  // its process has it
	char command[32];
	uint32_t unrecorded;       // threads
	struct record_name *names; // RECORD_NAMES of them
};

struct recordings {
	struct recording *one;
	size_t count;
	struct recorded *entry;
	size_t entries;
	char directory[4096];
	size_t others; // may not be read
	size_t damaged;
	char first_damaged[64];
};

// All of the namespace, or that of one process (0 = all). Complains and returns false if the namespace cannot be read.
bool recordings_read(struct recordings *all, pid_t only);
void recordings_free(struct recordings *all);

// Entries from the oldest to the newest.
void recordings_sort(struct recordings *all);

const char *recorded_op_name(enum record_op op);
enum record_kind recorded_kind(enum record_op op);
const char *recorded_kind_name(enum record_kind kind);

// What the object is called: a name as in ls, what a signal is and of whom, or what can be said.
enum { RECORDED_TEXT_MAX = 160 };
const char *recorded_object(char out[RECORDED_TEXT_MAX], const struct recordings *all,
                            const struct recorded *entry);

#endif

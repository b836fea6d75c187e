// SPDX-License-Identifier: MIT
//
// demo_table.h - the table of all words, in shared memory: the workers enter their counts, one at a time, with a
// unit of a semaphore in hand. Any of them may be killed at any instruction, and each chunk counts once.
#ifndef DEMO_TABLE_H
#define DEMO_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "demo_corpus.h"
#include "demo_transport.h"
#include "demo_words.h"

struct table_head;

struct word_table {
	const struct transport *transport;
	struct guard guard;
	struct table_head *head;
	unsigned char *is_entered; // by chunk id
};

// What a worker has counted, on its way.
struct counts {
	uint32_t chunk;
	const struct words *words;
	void (*halfway)(void *); // called in the middle of it; NULL = nothing
	void *arg;
};

// What enter found when it took the unit; 0 = nothing.
enum {
	TABLE_UNIT_RETURNED = 1, // it had come back from a killed holder
	TABLE_FINISHED = 2,      // who had entered a chunk by half, and it was finished
};

// 0 or errno. The memory has no name, and the semaphore loses its own at once.
int word_table_make(struct word_table *table, const struct transport *transport,
                    const struct corpus *corpus, size_t draft_bytes);
void word_table_drop(struct word_table *table);

// Enters a chunk, if nobody has; *found says what else was there. 0 or errno.
int word_table_enter(struct word_table *table, const struct counts *counts, int timeout_ms,
                     int *found);

// All that was entered, when nobody enters any more.
void word_table_read(const struct word_table *table, struct words *words);

#endif

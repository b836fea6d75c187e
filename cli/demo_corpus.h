// SPDX-License-Identifier: MIT
//
// demo_corpus.h - the files whose words the demo counts, and the cutter that makes chunks of them.
#ifndef DEMO_CORPUS_H
#define DEMO_CORPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct corpus {
	struct corpus_file {
		char *path;
		uint64_t bytes;
		int64_t changed_ns; // when it was last written
	} * file;
	size_t count;
	uint64_t bytes;
};

// The files named, and all below the directories named. Complains of what cannot be read and returns
// false, or leaves it out with keep_going.
bool corpus_from_arguments(struct corpus *corpus, int count, char **paths, bool keep_going);

// Text that is on any machine: the project's own tree if this is run in it, licenses, a dictionary, C
// headers; up to 16 MiB.
void corpus_default(struct corpus *corpus);

// The first file that is not what it was when it was chosen, or NULL.
const char *corpus_changed(const struct corpus *corpus);

void corpus_free(struct corpus *corpus);

// A piece of a file that neither begins nor ends inside a word. Chunks are numbered from 0, in the same
// way each time the corpus is cut with the same limit.
struct chunk {
	uint32_t id;
	unsigned int prio; // the smaller its file, the higher
	const char *text;  // until the next call
	size_t size;
};

struct cutter {
	const struct corpus *corpus;
	size_t limit; // bytes of a chunk; more than WORD_MAX
	size_t file;  // the one being cut
	int fd;       // -1 = not open yet
	char *buffer;
	size_t have, given; // bytes in the buffer; of these already cut off
	bool end_of_file, inside_giant;
	uint32_t next_id;
};

void cutter_begin(struct cutter *cutter, const struct corpus *corpus, size_t limit);
bool cutter_next(struct cutter *cutter, struct chunk *chunk); // false = the end
void cutter_end(struct cutter *cutter);

#endif

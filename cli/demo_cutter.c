// SPDX-License-Identifier: MIT
//
// demo_cutter.c - cuts files into chunks at word boundaries. The buffer holds one byte more than a
// chunk may have: it tells whether a word goes on behind the limit. A run without any boundary in a
// whole chunk is longer than WORD_MAX, hence no word, and is left out.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "demo_corpus.h"
#include "demo_words.h"
#include "memory.h"

void cutter_begin(struct cutter *cutter, const struct corpus *corpus, size_t limit)
{
	*cutter = (struct cutter){
		.corpus = corpus,
		.limit = limit,
		.fd = -1,
		.buffer = memory_zeroed(limit + 1, 1),
	};
}

static void close_file(struct cutter *cutter)
{
	if (cutter->fd >= 0)
		close(cutter->fd);
	cutter->fd = -1;
}

void cutter_end(struct cutter *cutter)
{
	close_file(cutter);
	free(cutter->buffer);
}

static void leave_file(struct cutter *cutter)
{
	close_file(cutter);
	cutter->file++;
}

// A file that has gone since the corpus was chosen is cut like an empty one; the check of the counts
// will tell.
static void enter_file(struct cutter *cutter)
{
	const char *path = cutter->corpus->file[cutter->file].path;

	cutter->fd = open(path, O_RDONLY | O_CLOEXEC);
	cutter->have = cutter->given = 0;
	cutter->inside_giant = false;
	cutter->end_of_file = cutter->fd < 0;
	if (cutter->fd < 0)
		cli_fail(STATUS_REFUSED, path, "%s; left out", strerror(errno));
}

static void drop_given(struct cutter *cutter)
{
	cutter->have -= cutter->given;
	memmove(cutter->buffer, cutter->buffer + cutter->given, cutter->have);
	cutter->given = 0;
}

static void fill_buffer(struct cutter *cutter)
{
	drop_given(cutter);
	while (!cutter->end_of_file && cutter->have <= cutter->limit) {
		const ssize_t n =
			read(cutter->fd, cutter->buffer + cutter->have, cutter->limit + 1 - cutter->have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			cli_fail(STATUS_REFUSED, cutter->corpus->file[cutter->file].path,
			         "%s; the rest is left out", strerror(errno));
		if (n <= 0)
			cutter->end_of_file = true;
		else
			cutter->have += (size_t)n;
	}
}

// Passes over the rest of a run that is too long for a word. False: the buffer is all of it.
static bool leave_giant(struct cutter *cutter)
{
	size_t n = 0;

	while (n < cutter->have && words_letter(cutter->buffer[n]))
		n++;
	cutter->given = n;
	cutter->inside_giant = n == cutter->have && !cutter->end_of_file;
	return n < cutter->have;
}

// Where to cut: behind everything, at the limit, or before the word that crosses it; 0 = no boundary.
static size_t find_cut(const struct cutter *cutter)
{
	size_t cut = cutter->limit;

	if (cutter->have <= cutter->limit)
		return cutter->have;
	if (!words_letter(cutter->buffer[cut]))
		return cut;
	while (cut > 0 && words_letter(cutter->buffer[cut - 1]))
		cut--;
	return cut;
}

static unsigned int priority_of(uint64_t file_bytes)
{
	unsigned int bits = 0;

	for (; file_bytes > 0; file_bytes >>= 1)
		bits++;
	return 65 - bits; // 1 is left for what comes last
}

static bool cut_one(struct cutter *cutter, struct chunk *chunk)
{
	fill_buffer(cutter);
	if (cutter->inside_giant) {
		if (!leave_giant(cutter))
			return false;
		fill_buffer(cutter);
	}
	const size_t cut = find_cut(cutter);

	cutter->given = cut;
	cutter->inside_giant = cut == 0 && cutter->have > 0;
	if (cut == 0)
		return false;
	chunk->id = cutter->next_id++;
	chunk->prio = priority_of(cutter->corpus->file[cutter->file].bytes);
	chunk->text = cutter->buffer;
	chunk->size = cut;
	return true;
}

bool cutter_next(struct cutter *cutter, struct chunk *chunk)
{
	while (cutter->file < cutter->corpus->count) {
		if (cutter->fd < 0 && !cutter->end_of_file)
			enter_file(cutter);
		if (cut_one(cutter, chunk))
			return true;
		if (cutter->end_of_file && cutter->have == cutter->given) {
			leave_file(cutter);
			cutter->end_of_file = false;
		}
	}
	return false;
}

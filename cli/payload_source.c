// SPDX-License-Identifier: MIT
//
// payload_source.c - the reading half of payload.h. A message is never longer than the queue takes:
// input that goes on beyond that is refused before it fills the memory.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "memory.h"
#include "payload.h"

void source_begin(struct source *source, FILE *in, enum framing framing, const char *queue,
                  size_t max_bytes)
{
	*source = (struct source){
		.in = in,
		.framing = framing,
		.queue = queue,
		.max_bytes = max_bytes,
		.buffer = memory_zeroed(max_bytes, 1),
	};
}

void source_end(struct source *source)
{
	free(source->buffer);
}

static enum source_result too_long(const struct source *source)
{
	cli_fail(STATUS_REFUSED, source->queue,
	         "message %ju is longer than the %zu bytes that this queue takes; send less, or make a "
	         "queue with a larger --size",
	         (uintmax_t)source->messages + 1, source->max_bytes);
	return SOURCE_FAILED;
}

static enum source_result cut_off(const struct source *source)
{
	if (ferror(source->in))
		cli_fail(STATUS_REFUSED, "stdin", "%s; %ju messages were read whole", strerror(errno),
		         (uintmax_t)source->messages);
	else
		cli_fail(STATUS_REFUSED, "stdin",
		         "ends in the middle of message %ju; each message is 4 bytes of length (little "
		         "endian) and then that many",
		         (uintmax_t)source->messages + 1);
	return SOURCE_FAILED;
}

// The last line may lack its newline; a newline at the very end begins no further message.
static enum source_result next_line(struct source *source)
{
	size_t n = 0;
	int c;

	while ((c = getc_unlocked(source->in)) != EOF && c != '\n') {
		if (n == source->max_bytes)
			return too_long(source);
		source->buffer[n++] = (char)c;
	}
	if (ferror(source->in))
		return cut_off(source);
	source->size = n;
	source->bytes += n + (c == '\n');
	return c == EOF && n == 0 ? SOURCE_END : SOURCE_MESSAGE;
}

static enum source_result everything(struct source *source)
{
	if (source->messages > 0)
		return SOURCE_END;
	source->size = fread(source->buffer, 1, source->max_bytes, source->in);
	source->bytes = source->size;
	if (source->size == source->max_bytes && getc(source->in) != EOF)
		return too_long(source);
	return ferror(source->in) ? cut_off(source) : SOURCE_MESSAGE;
}

static enum source_result next_prefixed(struct source *source)
{
	unsigned char prefix[4];
	const size_t got = fread(prefix, 1, sizeof prefix, source->in);

	if (got == 0 && !ferror(source->in))
		return SOURCE_END;
	if (got < sizeof prefix)
		return cut_off(source);
	source->size =
		prefix[0] | (size_t)prefix[1] << 8 | (size_t)prefix[2] << 16 | (size_t)prefix[3] << 24;
	if (source->size > source->max_bytes)
		return too_long(source);
	if (fread(source->buffer, 1, source->size, source->in) != source->size)
		return cut_off(source);
	source->bytes += sizeof prefix + source->size;
	return SOURCE_MESSAGE;
}

enum source_result source_next(struct source *source)
{
	const enum source_result result = source->framing == FRAMING_LINES   ? next_line(source)
	                                  : source->framing == FRAMING_WHOLE ? everything(source)
	                                                                     : next_prefixed(source);

	if (result == SOURCE_MESSAGE)
		source->messages++;
	return result;
}

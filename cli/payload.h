// SPDX-License-Identifier: MIT
//
// payload.h - messages on the standard streams: how one ends and the next begins (the framing), the
// source that send reads and the sink that recv and peek write.
#ifndef PAYLOAD_H
#define PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum framing {
	FRAMING_LINES,  // a message a line, without its newline
	FRAMING_WHOLE,  // one message is everything; written without anything between
	FRAMING_LENGTH, // a 32-bit little-endian length before each message
	FRAMING_JSON,   // written only: an object a line
};

// Where messages come from. The buffer holds the current message.
struct source {
	FILE *in;
	enum framing framing;
	const char *queue; // for complaints
	size_t max_bytes;  // a message's most
	char *buffer;
	size_t size;
	uint64_t messages, bytes; // so far
};

enum source_result { SOURCE_MESSAGE, SOURCE_END, SOURCE_FAILED };

void source_begin(struct source *source, FILE *in, enum framing framing, const char *queue,
                  size_t max_bytes);
enum source_result source_next(struct source *source); // complains itself
void source_end(struct source *source);

// Where messages go: file descriptor 1, unbuffered, so that what was written is known exactly.
struct sink {
	enum framing framing;
	bool show_priority;
};

struct payload {
	const void *data;
	size_t size;
	unsigned int prio;
};

enum { SINK_BATCH = 8 };

// Writes up to SINK_BATCH messages and returns how many went out wholly; fewer than count means that
// errno tells why (EINTR: a signal came).
size_t sink_write(const struct sink *sink, const struct payload *messages, size_t count);

// Complains that stdout takes no more, with what became of the message.
int sink_fail(int err, const char *fate);

#endif

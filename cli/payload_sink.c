// SPDX-License-Identifier: MIT
//
// payload_sink.c - the writing half of payload.h. It writes with writev(2) straight from where the
// messages stand and counts those that went out to their last byte: only these may be taken off
// their queue.
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cli.h"
#include "json.h"
#include "memory.h"
#include "payload.h"
#include "stop.h"

enum { PREFIX_MAX = 16, PARTS = 3 }; // before, the message, after

// Writes everything or stops at an error; the result is the number of bytes written. A signal that
// asks for the end is an error only before the first byte of the batch, or when nothing moves.
static size_t write_parts(struct iovec *part, size_t count)
{
	size_t written = 0;

	while (count > 0) {
		const ssize_t n = writev(STDOUT_FILENO, part, (int)count);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};

			if (poll(&out, 1, -1) >= 0 || (errno == EINTR && !stop_asked()))
				continue;
			return written;
		}
		if (n < 0 && errno == EINTR && !stop_asked())
			continue;
		if (n < 0)
			return written;
		written += (size_t)n;
		for (size_t left = (size_t)n; count > 0; part++, count--) {
			if (left < part->iov_len) {
				part->iov_base = (char *)part->iov_base + left;
				part->iov_len -= left;
				break;
			}
			left -= part->iov_len;
		}
	}
	return written;
}

// What stands before a message; the result is its length.
static size_t make_prefix(const struct sink *sink, const struct payload *message,
                          char prefix[PREFIX_MAX])
{
	if (sink->framing == FRAMING_LENGTH) {
		for (int i = 0; i < 4; i++)
			prefix[i] = (char)(message->size >> 8 * i & 0xff);
		return 4;
	}
	if (!sink->show_priority)
		return 0;
	return (size_t)snprintf(prefix, PREFIX_MAX, "%u\t", message->prio);
}

static size_t count_whole(const size_t *ends, size_t count, size_t written)
{
	size_t whole = 0;

	while (whole < count && ends[whole] <= written)
		whole++;
	return whole;
}

static size_t write_plain(const struct sink *sink, const struct payload *messages, size_t count)
{
	struct iovec part[SINK_BATCH * PARTS];
	char prefix[SINK_BATCH][PREFIX_MAX];
	size_t ends[SINK_BATCH], end = 0;
	static char newline[] = "\n";

	for (size_t i = 0; i < count; i++) {
		struct iovec *mine = &part[i * PARTS];

		mine[0].iov_base = prefix[i];
		mine[0].iov_len = make_prefix(sink, &messages[i], prefix[i]);
		mine[1].iov_base = (void *)(uintptr_t)messages[i].data;
		mine[1].iov_len = messages[i].size;
		mine[2].iov_base = newline;
		mine[2].iov_len = sink->framing == FRAMING_LINES;
		end += mine[0].iov_len + mine[1].iov_len + mine[2].iov_len;
		ends[i] = end;
	}
	return count_whole(ends, count, write_parts(part, count * PARTS));
}

static size_t write_json(const struct payload *messages, size_t count)
{
	char *text = NULL;
	size_t size = 0, ends[SINK_BATCH];
	FILE *out = open_memstream(&text, &size);

	if (!out)
		memory_exhausted();
	for (size_t i = 0; i < count; i++) {
		struct json json = {.out = out};

		json_open(&json, NULL, '{');
		json_unsigned(&json, "prio", messages[i].prio);
		json_unsigned(&json, "size", messages[i].size);
		json_bytes(&json, "data", messages[i].data, messages[i].size);
		json_close(&json, '}');
		fputc('\n', out);
		fflush(out);
		ends[i] = size;
	}
	if (fclose(out) != 0)
		memory_exhausted();
	struct iovec part = {.iov_base = text, .iov_len = size};
	const size_t whole = count_whole(ends, count, write_parts(&part, 1));
	const int err = errno;

	free(text);
	errno = err;
	return whole;
}

size_t sink_write(const struct sink *sink, const struct payload *messages, size_t count)
{
	return sink->framing == FRAMING_JSON ? write_json(messages, count)
	                                     : write_plain(sink, messages, count);
}

int sink_fail(int err, const char *fate)
{
	if (err == EPIPE)
		return cli_fail(STATUS_REFUSED, "stdout", "closed by its reader; %s", fate);
	return cli_fail(STATUS_REFUSED, "stdout", "%s; %s", strerror(err), fate);
}

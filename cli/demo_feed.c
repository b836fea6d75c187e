// SPDX-License-Identifier: MIT
//
// demo_feed.c - the first two processes: the reader cuts the text into chunks and writes them into a
// pipe; the sorter takes them out and queues them by priority for the workers.
//
// A frame in the pipe is a struct frame and its text. One without text says how many there were; a pipe
// that ends without it had a reader that did not come to its end.
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <posthaste/pipe.h>

#include "cli.h"
#include "demo_crew.h"
#include "demo_signals.h"
#include "memory.h"

struct frame {
	uint32_t id; // of the chunk; in the last frame: how many chunks there are
	uint32_t prio;
	uint32_t bytes; // of text; 0 = the last frame
};

enum { FEED_BYTES = 64 * 1024 };

// The sorter's end of the pipe.
struct intake {
	struct crew *crew;
	char *buffer;
	size_t have, taken;
	uint64_t bytes; // so far
	uint32_t queued;
};

static int write_all(const struct transport *transport, int fd, const char *data, size_t size)
{
	while (size > 0) {
		const ssize_t n = transport->write(fd, data, size);

		if (n < 0 && (errno != EINTR || demo_signals_leaving()))
			return errno;
		if (n > 0) {
			data += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

static int write_frame(struct crew *crew, char *message, const struct frame *frame,
                       const char *text)
{
	memcpy(message, frame, sizeof *frame);
	if (frame->bytes > 0)
		memcpy(message + sizeof *frame, text, frame->bytes);
	return write_all(crew->transport, crew->feed[1], message, sizeof *frame + frame->bytes);
}

_Noreturn void crew_read(struct crew *crew)
{
	const size_t limit = crew_chunk_limit(crew->jobs.size);
	char *message = memory_zeroed(sizeof(struct frame) + limit, 1);
	struct cutter cutter;
	struct chunk chunk;
	int err = 0;

	ph_close(crew->feed[0]);
	cutter_begin(&cutter, crew->corpus, limit);
	if (crew->signals)
		demo_signals_mind();
	while (err == 0 && !demo_signals_leaving() && cutter_next(&cutter, &chunk)) {
		const struct frame frame = {chunk.id, chunk.prio, (uint32_t)chunk.size};

		err = write_frame(crew, message, &frame, chunk.text);
	}
	const struct frame last = {.id = cutter.next_id};

	if (err == 0 && !demo_signals_leaving())
		err = write_frame(crew, message, &last, NULL);
	ph_close(crew->feed[1]);
	if (err == EPIPE) // the sorter has gone, and has told why
		_exit(STATUS_REFUSED);
	if (err != 0 && !demo_signals_leaving())
		crew_give_up("reader", err);
	_exit(0);
}

static int refill(struct intake *intake)
{
	const struct crew *crew = intake->crew;
	ssize_t n;

	do
		n = crew->transport->read(crew->feed[0], intake->buffer, FEED_BYTES);
	while (n < 0 && errno == EINTR && !demo_signals_leaving());
	if (n <= 0)
		return n == 0 ? EPIPE : errno;
	intake->have = (size_t)n;
	intake->taken = 0;
	intake->bytes += (size_t)n;
	return 0;
}

static int take(struct intake *intake, void *to, size_t size)
{
	for (char *p = to; size > 0;) {
		const size_t there = intake->have - intake->taken;
		const size_t n = there < size ? there : size;

		memcpy(p, intake->buffer + intake->taken, n);
		intake->taken += n;
		p += n;
		size -= n;
		const int err = size > 0 ? refill(intake) : 0;

		if (err != 0)
			return err;
	}
	return 0;
}

// How many of the bytes went through shared memory: a pipe of the kernel has no such count.
static void note_feed(const struct intake *intake)
{
	struct office *office = intake->crew->office;
	struct ph_pipe_info info;

	office->fed = intake->bytes;
	office->fed_by_ring = ph_pipe_info(intake->crew->feed[0], &info) == 0 ? info.through_ring : 0;
}

static int tell_number(const struct intake *intake, uint32_t chunks)
{
	const struct result end = {.kind = RESULT_ALL_QUEUED, .id = chunks};
	struct crew *crew = intake->crew;
	int err;

	note_feed(intake);
	do
		err = crew->transport->send(&crew->results, (const char *)&end, sizeof end, 1,
		                            PEER_PATIENCE_MS);
	while (err == EINTR);
	return err;
}

// Queues one chunk; *is_last: there was none any more, only their number, which goes to the parent.
static int sort_one(struct intake *intake, char *text, char *message, bool *is_last)
{
	struct crew *crew = intake->crew;
	struct frame frame;
	int err = take(intake, &frame, sizeof frame);

	if (err != 0)
		return err;
	*is_last = frame.bytes == 0;
	if (*is_last) {
		return tell_number(intake, frame.id);
	}
	if (frame.bytes > crew_chunk_limit(crew->jobs.size))
		return EBADMSG;
	err = take(intake, text, frame.bytes);

	const struct chunk chunk = {frame.id, frame.prio, text, frame.bytes};

	if (err == 0)
		err = crew_send_job(crew, &chunk, message, PEER_PATIENCE_MS);
	intake->queued += err == 0;
	return err;
}

_Noreturn void crew_sort(struct crew *crew)
{
	struct intake intake = {.crew = crew, .buffer = memory_zeroed(FEED_BYTES, 1)};
	char *text = memory_zeroed(crew->jobs.size, 1), *message = memory_zeroed(crew->jobs.size, 1);
	bool is_last = false;
	int err = 0;

	ph_close(crew->feed[1]);
	if (crew->signals)
		demo_signals_mind();
	while (err == 0 && !is_last && !demo_signals_leaving())
		err = sort_one(&intake, text, message, &is_last);
	if (demo_signals_leaving() && !is_last)
		err = tell_number(&intake, intake.queued);
	if (err != 0)
		crew_give_up("sorter", err);
	ph_close(crew->feed[0]);
	_exit(0);
}

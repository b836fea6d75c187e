// SPDX-License-Identifier: MIT
#include "pipe_ring.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner.h"

static char path[PATH_MAX];

const char *ring_path(int fd)
{
	struct stat st;
	CHECK_OK(fstat(fd, &st));
	snprintf(path, sizeof(path), "%s/pipe.%" PRIu64, getenv("POSTHASTE_DIR"), (uint64_t)st.st_ino);
	return path;
}

const char *ring_path_of_fifo(int fd)
{
	struct stat st;
	CHECK_OK(fstat(fd, &st));
	snprintf(path, sizeof(path), "%s/fifo.%" PRIx64 ".%" PRIu64, getenv("POSTHASTE_DIR"),
	         (uint64_t)st.st_dev, (uint64_t)st.st_ino);
	return path;
}

void ring_open(struct ring *r, int fd)
{
	struct stat st;
	r->fd = (int)CHECK_OK(open(ring_path(fd), O_RDWR | O_CLOEXEC));
	CHECK_OK(fstat(r->fd, &st));
	CHECK_EQ(st.st_size, PIPE_BYTES);
	r->map = mmap(NULL, PIPE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	CHECK(r->map != MAP_FAILED);
	r->c = (struct pipe_control *)(r->map + PHI_REGION_BODY);
	r->locks[0] = &r->c->write.word;
	r->locks[1] = &r->c->read.word;
	ring_remember(r);
}

void ring_close(struct ring *r)
{
	munmap(r->map, PIPE_BYTES);
	close(r->fd);
}

// Whoever was in the middle of a call then, or held something, does so no more when the image is written back:
// words that still named him would be waited for, as he lives.
static void forget_calls(struct pipe_control *image)
{
	image->write.word = image->read.word = 0;
	memset(image->goers, 0, sizeof(image->goers));
	memset(image->sleepers, 0, sizeof(image->sleepers));
	image->goers_beyond = image->sleepers_beyond = 0;
	image->held = image->reserved = 0;
}

void ring_remember(struct ring *r)
{
	memcpy(r->image, r->map, PIPE_PAGE);
	forget_calls((struct pipe_control *)(r->image + PHI_REGION_BODY));
}

void ring_restore(struct ring *r)
{
	memcpy(r->map, r->image, PIPE_PAGE);
}

#define AT(name) (PHI_REGION_BODY + offsetof(struct pipe_control, name))
#define BYTES_OF(name) sizeof(((struct pipe_control *)0)->name)

// Of arrays the first two. Without `goers`: who is said to be on his way is waited for (pipe_words.c).
static const struct {
	const char *name;
	size_t at, bytes;
} parts[] = {
	{"header", 0, offsetof(struct phi_region_header, name) + 8},
	{"write", AT(write), BYTES_OF(write)},
	{"read", AT(read), BYTES_OF(read)},
	{"tail", AT(tail), BYTES_OF(tail)},
	{"tx_cpu", AT(tx_cpu), BYTES_OF(tx_cpu)},
	{"last_writer", AT(last_writer), BYTES_OF(last_writer)},
	{"head", AT(head), BYTES_OF(head)},
	{"rx_cpu", AT(rx_cpu), BYTES_OF(rx_cpu)},
	{"last_reader", AT(last_reader), BYTES_OF(last_reader)},
	{"sleepers", AT(sleepers), 8},
	{"sleepers_beyond", AT(sleepers_beyond), BYTES_OF(sleepers_beyond)},
	{"strikes", AT(strikes), BYTES_OF(strikes)},
	{"asked_size", AT(asked_size), BYTES_OF(asked_size)},
	{"flush_to", AT(flush_to), BYTES_OF(flush_to)},
	{"drain_to", AT(drain_to), BYTES_OF(drain_to)},
	{"drain_had", AT(drain_had), BYTES_OF(drain_had)},
	{"stamp", AT(stamp), BYTES_OF(stamp)},
	{"flags", AT(flags), BYTES_OF(flags)},
	{"size", AT(size), BYTES_OF(size)},
	{"writers", AT(writers), BYTES_OF(writers)},
	{"room_event", AT(room_event), BYTES_OF(room_event)},
	{"tx_asleep", AT(tx_asleep), BYTES_OF(tx_asleep)},
	{"held", AT(held), BYTES_OF(held)},
	{"reserved", AT(reserved), BYTES_OF(reserved)},
	{"seal_wanted", AT(seal_wanted), BYTES_OF(seal_wanted)},
	{"lease", AT(lease), BYTES_OF(lease)},
};

enum { PARTS = sizeof(parts) / sizeof(parts[0]) };

static bool is_lock(uint32_t offset)
{
	const uint32_t control = PHI_REGION_BODY;
	return offset == control + offsetof(struct pipe_control, write) ||
	       offset == control + offsetof(struct pipe_control, read);
}

size_t ring_fields(uint32_t fields[RING_FIELDS_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < PARTS; i++)
		for (size_t at = parts[i].at; at < parts[i].at + parts[i].bytes; at += sizeof(uint32_t))
			if (!is_lock((uint32_t)at) && n < RING_FIELDS_MAX)
				fields[n++] = (uint32_t)at;
	return n;
}

const char *ring_field_name(uint32_t offset)
{
	static char name[64];
	snprintf(name, sizeof(name), "offset %u", offset);
	for (size_t i = 0; i < PARTS; i++)
		if (offset >= parts[i].at && offset < parts[i].at + parts[i].bytes)
			snprintf(name, sizeof(name), "%s + %zu", parts[i].name, offset - parts[i].at);
	return name;
}

uint64_t ring_value(uint64_t own, int i)
{
	const uint64_t values[RING_VALUES] = {
		0,
		1,
		2,
		UINT64_MAX,
		INT64_MAX,
		UINT64_C(1) << 63,
		INT32_MAX,
		UINT64_C(1) << 31,
		UINT64_C(1) << 30,
		own + 1,
		own - 1,
		own ^ UINT64_C(0x5a5a5a5a5a5a5a5a),
		own << 32 | 7,
		PIPE_SIZE_MIN,
		PIPE_SIZE_MIN + 1,
		own + PIPE_SIZE_MIN,
		own - PIPE_SIZE_MIN,
		PIPE_SIZE_MAX,
		own + PIPE_SIZE_MAX + 1,
		PIPE_BYTES,
		(uint64_t)getpid(),
		NO_THREAD,
	};
	return values[i];
}

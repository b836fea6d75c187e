// SPDX-License-Identifier: MIT
#include "region.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner.h"

static size_t round_up(size_t n)
{
	return (n + MQ_LINE - 1) / MQ_LINE * MQ_LINE;
}

// As src/mq/geometry.c lays it out.
static void find_parts(struct region *r)
{
	const uint64_t *g = r->header->geometry;
	r->ring_at = round_up(PHI_REGION_BODY + sizeof(struct mq_control));
	r->next_at = round_up(r->ring_at + g[4] * sizeof(uint32_t));
	r->blocks_at = round_up(r->next_at + g[2] * sizeof(uint32_t));
	r->slots_at = round_up(r->blocks_at + g[6] * sizeof(struct mq_block));
	CHECK(r->slots_at + g[2] * g[3] <= r->bytes);
}

void region_open(struct region *r, const char *queue)
{
	char path[PATH_MAX];
	struct stat st;
	snprintf(path, sizeof(path), "%s/mq.%s", getenv("POSTHASTE_DIR"), queue + 1);
	r->fd = (int)CHECK_OK(open(path, O_RDWR | O_CLOEXEC));
	CHECK_OK(fstat(r->fd, &st));
	r->bytes = (size_t)st.st_size;
	r->map = mmap(NULL, r->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	CHECK(r->map != MAP_FAILED);
	r->header = (struct phi_region_header *)r->map;
	r->c = (struct mq_control *)(r->map + PHI_REGION_BODY);
	r->locks[0] = &r->c->send.word;
	r->locks[1] = &r->c->recv.word;
	r->locks[2] = &r->c->notice_lock.word;
	r->image = malloc(r->bytes);
	CHECK(r->image != NULL);
	find_parts(r);
	region_remember(r);
}

void region_close(struct region *r)
{
	munmap(r->map, r->bytes);
	close(r->fd);
	free(r->image);
}

void region_remember(struct region *r)
{
	memcpy(r->image, r->map, r->bytes);
}

void region_restore(struct region *r)
{
	memcpy(r->map, r->image, r->bytes);
}

static uint32_t offset_of(const struct region *r, const void *field)
{
	return (uint32_t)((const uint8_t *)field - r->map);
}

static bool left_alone(const struct region *r, uint32_t offset)
{
	bool found = offset == offset_of(r, &r->c->notice.pid);
	for (int i = 0; i < LOCKS; i++)
		found = found || offset == offset_of(r, r->locks[i]);
	return found;
}

bool region_may_be_wide(const struct region *r, uint32_t offset)
{
	return offset % 8 == 0 && !left_alone(r, offset) && !left_alone(r, offset + 4);
}

static size_t add_range(const struct region *r, uint32_t fields[FIELDS_MAX], size_t n, size_t from,
                        size_t to)
{
	for (size_t offset = from; offset < to && n < FIELDS_MAX; offset += sizeof(uint32_t))
		if (!left_alone(r, (uint32_t)offset))
			fields[n++] = (uint32_t)offset;
	return n;
}

// The two ends of an array.
static size_t add_ends(const struct region *r, uint32_t fields[FIELDS_MAX], size_t n, size_t from,
                       size_t to)
{
	const size_t part = 64;
	if (to - from <= 2 * part)
		return add_range(r, fields, n, from, to);
	n = add_range(r, fields, n, from, from + part);
	return add_range(r, fields, n, to - part, to);
}

size_t region_fields(const struct region *r, uint32_t fields[FIELDS_MAX])
{
	const uint64_t *g = r->header->geometry;
	const size_t sleepers = PHI_REGION_BODY + offsetof(struct mq_control, sleeper);
	size_t n = add_range(r, fields, 0, 0, offsetof(struct phi_region_header, name) + 16);
	n = add_range(r, fields, n, PHI_REGION_BODY, sleepers + 2 * sizeof(struct mq_sleeper));
	n = add_ends(r, fields, n, r->ring_at, r->ring_at + g[4] * sizeof(uint32_t));
	n = add_ends(r, fields, n, r->next_at, r->next_at + g[2] * sizeof(uint32_t));
	n = add_ends(r, fields, n, r->blocks_at, r->blocks_at + sizeof(struct mq_block));
	for (uint64_t slot = 0; slot < g[2]; slot++)
		n = add_range(r, fields, n, r->slots_at + slot * g[3],
		              r->slots_at + slot * g[3] + sizeof(struct mq_slot));
	return n;
}

const char *region_field_name(const struct region *r, uint32_t offset)
{
	static char name[64];
	const struct {
		const char *name;
		size_t at;
	} parts[] = {{"slot area", r->slots_at}, {"index blocks", r->blocks_at}, {"links", r->next_at},
	             {"ring", r->ring_at},       {"control", PHI_REGION_BODY},   {"header", 0}};
	size_t i = 0;
	while (offset < parts[i].at)
		i++;
	snprintf(name, sizeof(name), "%s + %zu", parts[i].name, offset - parts[i].at);
	return name;
}

uint64_t region_value(const struct region *r, uint64_t own, int i)
{
	const uint64_t *g = r->header->geometry;
	const uint64_t values[VALUES] = {
		0,
		1,
		2,
		UINT64_MAX,
		INT64_MAX,
		UINT64_C(1) << 63,
		INT32_MAX,
		UINT64_C(1) << 31,
		own + 1,
		own - 1,
		own ^ UINT64_C(0x5a5a5a5a5a5a5a5a),
		own << 32 | 7,
		g[0],
		g[2],
		g[2] - 1,
		r->bytes,
		r->slots_at,
		(uint64_t)getpid(),
	};
	return values[i];
}

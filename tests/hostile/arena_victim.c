// SPDX-License-Identifier: MIT
//
// tests/hostile/arena_victim.c - see arena_victim.h.
#include "arena_victim.h"

#include "runner.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define FENCE_BYTES ((size_t)64 << 20)

static const size_t sizes[] = {1,    16,   40,   100,   300,   1000,    3000,
                               4096, 8000, 9000, 20000, 50000, SIZE_MAX};

static uint64_t chance(struct arena_victim *v, uint64_t n)
{
	v->random ^= v->random << 13;
	v->random ^= v->random >> 7;
	v->random ^= v->random << 17;
	return v->random % n;
}

uint8_t *fenced_memory(size_t bytes)
{
	uint8_t *at = mmap(NULL, bytes + 2 * FENCE_BYTES, PROT_NONE,
	                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(at != MAP_FAILED);
	void *inside = mmap(at + FENCE_BYTES, bytes, PROT_READ | PROT_WRITE,
	                    MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CHECK(inside == at + FENCE_BYTES);
	return inside;
}

void arena_victim_begin(struct arena_victim *v, uint8_t *at, size_t bytes, uint64_t seed)
{
	memset(v, 0, sizeof(*v));
	v->at = at;
	v->bytes = bytes;
	v->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	v->arena = ph_arena_attach(at, bytes);
	CHECK(v->arena != NULL || errno == EBADMSG || errno == EAGAIN || errno == EXDEV);
}

void arena_victim_end(struct arena_victim *v)
{
	if (v->arena != NULL)
		ph_arena_detach(v->arena);
	v->arena = NULL;
}

// A failed call says one of these; EAGAIN where it may have waited for the lock.
static void expect_error(struct arena_victim *v, int other)
{
	v->refused += errno == EBADMSG;
	CHECK(errno == EBADMSG || errno == ENOMEM || errno == EINVAL || errno == EAGAIN ||
	      errno == EXDEV || errno == EDEADLK || errno == other);
}

static uint64_t offset_of(struct arena_victim *v)
{
	return chance(v, 8) == 0 ? chance(v, v->bytes + 4096) : v->held[chance(v, HELD)];
}

static void use(struct arena_victim *v, uint64_t offset, size_t bytes)
{
	CHECK(offset < v->bytes && bytes <= v->bytes - offset);
	memset(ph_arena_at(v->arena, offset), 0x77, bytes);
}

static void allocate(struct arena_victim *v, uint64_t *where)
{
	const size_t bytes = sizes[chance(v, sizeof(sizes) / sizeof(sizes[0]))];
	const uint64_t offset =
		where == NULL ? ph_arena_alloc(v->arena, bytes) : ph_arena_alloc_to(v->arena, bytes, where);
	if (offset == 0) {
		expect_error(v, 0);
		return;
	}
	use(v, offset, bytes);
	v->held[chance(v, HELD)] = offset;
}

static void allocate_to(struct arena_victim *v)
{
	allocate(v, (uint64_t *)(void *)(v->at + v->bytes - 4096 + 8 * chance(v, 512)));
}

static void free_one(struct arena_victim *v)
{
	if (ph_arena_free(v->arena, offset_of(v)) != 0)
		expect_error(v, 0);
}

static void measure(struct arena_victim *v)
{
	const uint64_t offset = offset_of(v);
	const size_t bytes = ph_arena_usable(v->arena, offset);
	CHECK(bytes == 0 || (offset < v->bytes && bytes <= v->bytes - offset));
}

static void name_one(struct arena_victim *v, unsigned what)
{
	char name[32];
	snprintf(name, sizeof(name), "name %u", (unsigned)chance(v, 30));
	if (what == 0 && ph_arena_bind(v->arena, name, 4096 + chance(v, 50000)) != 0)
		expect_error(v, EEXIST);
	if (what == 1 && ph_arena_find(v->arena, name) == 0)
		expect_error(v, ENOENT);
	if (what == 2 && ph_arena_unbind(v->arena, name) == 0)
		expect_error(v, ENOENT);
}

static int read_name(const char *name, uint64_t offset, void *arg)
{
	struct arena_victim *v = arg;
	(void)offset;
	CHECK(strlen(name) <= 255);
	v->calls++;
	return 0;
}

static void list_names(struct arena_victim *v)
{
	if (ph_arena_names(v->arena, read_name, v) != 0)
		expect_error(v, 0);
}

static void check(struct arena_victim *v)
{
	struct ph_arena_report r;
	if (ph_arena_check(v->arena, &r) != 0) {
		expect_error(v, 0);
		return;
	}
	CHECK(r.largest_bytes <= v->bytes && r.free_bytes <= v->bytes);
}

static void attach_anew(struct arena_victim *v)
{
	struct ph_arena *a = ph_arena_attach(v->at, v->bytes);
	if (a != NULL)
		ph_arena_detach(a);
	else
		expect_error(v, 0);
}

static void do_it(struct arena_victim *v, unsigned what)
{
	v->calls++;
	if (v->arena == NULL)
		return;
	switch (what) {
	case 0: allocate_to(v); break;
	case 1: measure(v); break;
	case 2:
	case 3:
	case 4: name_one(v, what - 2); break;
	case 5: list_names(v); break;
	case 6: check(v); break;
	case 7: attach_anew(v); break;
	case 8:
	case 9:
	case 10: free_one(v); break;
	default: allocate(v, NULL);
	}
}

void arena_victim_do_something(struct arena_victim *v)
{
	do_it(v, (unsigned)chance(v, 16));
}

void arena_victim_do_everything(struct arena_victim *v)
{
	for (unsigned what = 0; what < 14; what++)
		do_it(v, what);
}

void arena_victim_settle(struct arena_victim *v)
{
	for (int i = 0; i < 12; i++)
		allocate(v, NULL);
	for (int i = 0; i < 12; i++)
		name_one(v, 0);
}

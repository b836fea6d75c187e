// SPDX-License-Identifier: MIT
//
// tests/kill/arena_stage.c - see arena_stage.h.
#include "arena_stage.h"

#include "shm/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct ph_arena *arena;
uint64_t *slot;
uint64_t mine[BLOCKS_MAX];
unsigned count;

static void *memory;
static struct ph_arena_report fresh; // as it was made, with `slot` and the name

static void *map_file(void)
{
	char path[256];
	snprintf(path, sizeof path, "%s/arena", kill_scratch());
	const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	KILL_CHECK(fd != -1 && ftruncate(fd, STAGE_BYTES) == 0, "no file: %s", strerror(errno));
	void *at = mmap(NULL, STAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	KILL_CHECK(at != MAP_FAILED, "no mapping: %s", strerror(errno));
	close(fd);
	return at;
}

static void fill(uint64_t offset)
{
	memset(ph_arena_at(arena, offset), (int)(offset >> 4 & 0xff), ph_arena_usable(arena, offset));
}

static void expect_filled(uint64_t offset)
{
	const size_t bytes = ph_arena_usable(arena, offset);
	const unsigned char *at = ph_arena_at(arena, offset);

	KILL_CHECK(bytes != 0, "a block of the survivor's was freed: %#llx",
	           (unsigned long long)offset);
	for (size_t i = 0; i < bytes; i++)
		KILL_CHECK(at[i] == (unsigned char)(offset >> 4 & 0xff),
		           "a block of the survivor's has other bytes: %#llx", (unsigned long long)offset);
}

void stage_make(void)
{
	memory = map_file();
	KILL_CHECK(ph_arena_make(memory, STAGE_BYTES) == 0, "make: %s", strerror(errno));
	arena = ph_arena_attach(memory, STAGE_BYTES);
	KILL_CHECK(arena != NULL, "attach: %s", strerror(errno));
	const uint64_t block = ph_arena_alloc(arena, SMALL);
	KILL_CHECK(block != 0, "no first block: %s", strerror(errno));
	slot = ph_arena_at(arena, block);
	*slot = 0;
	KILL_CHECK(ph_arena_bind(arena, "survivor", block) == 0, "bind: %s", strerror(errno));
	KILL_CHECK(ph_arena_check(arena, &fresh) == 0, "check: %s", strerror(errno));
	count = 0;
}

uint64_t stage_alloc(size_t bytes)
{
	const uint64_t offset = ph_arena_alloc(arena, bytes);
	KILL_CHECK(offset != 0, "no room for the survivor: %s", strerror(errno));
	KILL_CHECK(count < BLOCKS_MAX, "too many blocks");
	fill(offset);
	mine[count++] = offset;
	return offset;
}

void stage_free(unsigned i)
{
	KILL_CHECK(ph_arena_free(arena, mine[i]) == 0, "free: %s", strerror(errno));
	mine[i] = 0;
}

void stage_exhaust(size_t bytes)
{
	uint64_t offset;

	while ((offset = ph_arena_alloc(arena, bytes)) != 0) {
		KILL_CHECK(count < BLOCKS_MAX, "more blocks than fit");
		fill(offset);
		mine[count++] = offset;
	}
	KILL_CHECK(errno == ENOMEM, "alloc: %s", strerror(errno));
}

static void bury(pid_t pid)
{
	int status;

	KILL_CHECK(pid > 0 && waitpid(pid, &status, 0) == pid, "no child: %s", strerror(errno));
	KILL_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child fails");
}

static struct arena_seat *own_seat(void)
{
	struct arena_seat *seat;

	return phi_arena_seat(arena, &seat) == 0 ? seat : NULL;
}

void stage_dead_in_alloc(size_t bytes)
{
	const pid_t pid = fork();

	if (pid == 0) {
		const uint64_t offset = ph_arena_alloc(arena, bytes);
		if (offset == 0)
			_exit(1);
		phi_arena_intend(own_seat(), offset, 0);
		_exit(0);
	}
	bury(pid);
}

void stage_dead_holder(size_t bytes)
{
	const pid_t pid = fork();

	if (pid == 0) {
		struct arena_block b;
		const uint64_t offset = ph_arena_alloc(arena, bytes);
		if (offset == 0 || phi_arena_find_block(arena, offset, &b) != 0)
			_exit(1);
		store_relaxed_u32(&b.slab->holder, own_seat()->number);
		phi_arena_intend(own_seat(), offset, 0);
		_exit(0);
	}
	bury(pid);
}

void stage_take_records(void)
{
	for (uint32_t i = 1; i < arena->records; i++)
		if (arena->record[i].tid == 0)
			arena->record[i].tid = (uint32_t)getpid();
}

void stage_sit(void)
{
	const uint64_t offset = ph_arena_alloc(arena, SMALL);

	if (offset != 0)
		ph_arena_free(arena, offset);
}

static unsigned held(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < count; i++)
		n += mine[i] != 0;
	return n;
}

unsigned stage_check(unsigned known, int reclaimed)
{
	struct ph_arena_report r;
	const uint64_t expected = fresh.used_blocks + held() + known;

	KILL_CHECK(ph_arena_check(arena, &r) == 0, "check: %s", strerror(errno));
	KILL_CHECK(r.used_blocks >= expected, "%llu blocks are there instead of %llu",
	           (unsigned long long)r.used_blocks, (unsigned long long)expected);
	KILL_CHECK(reclaimed == KILL_EITHER || r.reclaimed_blocks == (uint64_t)reclaimed,
	           "%llu blocks were reclaimed instead of %d", (unsigned long long)r.reclaimed_blocks,
	           reclaimed);
	for (unsigned i = 0; i < count; i++)
		if (mine[i] != 0)
			expect_filled(mine[i]);
	const unsigned more = (unsigned)(r.used_blocks - expected);
	KILL_CHECK(ph_arena_check(arena, &r) == 0 && r.used_blocks == expected + more &&
	               r.reclaimed_blocks == 0,
	           "a second check finds something else");
	return more;
}

static void expect_no_overlap(void)
{
	for (unsigned i = 0; i < count; i++)
		if (mine[i] != 0)
			expect_filled(mine[i]);
}

void stage_end(unsigned left)
{
	struct ph_arena_report r;

	kill_note("fill the arena");
	stage_exhaust(SMALL);
	stage_exhaust(16);
	expect_no_overlap();
	kill_note("empty the arena");
	for (unsigned i = 0; i < count; i++)
		if (mine[i] != 0)
			stage_free(i);
	KILL_CHECK(ph_arena_check(arena, &r) == 0, "check at the end: %s", strerror(errno));
	KILL_CHECK(r.used_blocks == fresh.used_blocks + left, "%llu blocks are left instead of %llu",
	           (unsigned long long)r.used_blocks, (unsigned long long)fresh.used_blocks + left);
	KILL_CHECK(left != 0 || (r.largest_bytes == fresh.largest_bytes &&
	                         r.free_bytes == fresh.free_bytes && r.names == fresh.names),
	           "memory is missing at the end: %llu bytes of %llu", (unsigned long long)r.free_bytes,
	           (unsigned long long)fresh.free_bytes);
	KILL_CHECK(ph_arena_find(arena, "survivor") == ph_arena_offset(arena, slot),
	           "the survivor's name is gone");
}

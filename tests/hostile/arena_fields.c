// SPDX-License-Identifier: MIT
//
// Every word of an arena that is not the user's, one after the other, is set to values that are likely to hurt;
// then somebody uses the arena, attached before and attached afterwards. See arena_victim.h for what must hold.
#include "arena_victim.h"

#include "runner.h"
#include "shm/layout.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { VALUES = 14 };

// The word of the lock: a living stranger's number there is waited for, for two seconds. arena_storm.c has it.
#define LOCK_AT offsetof(struct shm_arena_header, lock)

static uint64_t value(uint64_t own, int i)
{
	const uint64_t values[VALUES] = {0,
	                                 1,
	                                 own + 1,
	                                 own - 1,
	                                 ~own,
	                                 UINT64_MAX,
	                                 UINT32_MAX,
	                                 own ^ UINT64_C(1) << 56,
	                                 own ^ UINT64_C(1) << 48,
	                                 SHM_HEAD(SHM_HEAD_FREE, 0, 1),
	                                 SHM_HEAD(SHM_HEAD_SLAB, 31, 16),
	                                 SHM_HEAD(SHM_HEAD_INSIDE, 0, 5),
	                                 SHM_HEAD(SHM_HEAD_RUN, 0, 1000),
	                                 4096 * 7};
	return values[i];
}

// The victim is a process: what it does to itself ends with it.
static void attack(uint8_t *at, size_t field, int which)
{
	uint64_t word;
	struct arena_victim v;
	arena_victim_begin(&v, at, FIELD_ARENA_BYTES, field + (unsigned)which);
	memcpy(&word, at + field, sizeof(word));
	word = value(word, which);
	if (field == LOCK_AT)
		word &= ~UINT64_C(0xffffffff);
	memcpy(at + field, &word, sizeof(word));
	for (int i = 0; i < 4; i++)
		arena_victim_do_everything(&v);
	arena_victim_end(&v);
	arena_victim_begin(&v, at, FIELD_ARENA_BYTES, field);
	arena_victim_do_everything(&v);
	arena_victim_end(&v);
}

struct share {
	uint8_t *at, *image;
	size_t first;
};

static void attack_fields(void *arg)
{
	const struct share *s = arg;
	for (size_t field = s->first; field < 4096 + 2 * sizeof(uint64_t); field += 4 * 8)
		for (int which = 0; which < VALUES; which++) {
			memcpy(s->at, s->image, FIELD_ARENA_BYTES);
			attack(s->at, field, which);
		}
}

TEST(arena_whose_words_are_set_to_anything_hurts_nobody)
{
	for (size_t part = 0; part < 4; part++) {
		struct share s = {.at = fenced_memory(FIELD_ARENA_BYTES),
		                  .image = malloc(FIELD_ARENA_BYTES),
		                  .first = part * 8};
		struct arena_victim v;
		CHECK_OK(ph_arena_make(s.at, FIELD_ARENA_BYTES));
		arena_victim_begin(&v, s.at, FIELD_ARENA_BYTES, part);
		arena_victim_settle(&v);
		arena_victim_end(&v);
		memcpy(s.image, s.at, FIELD_ARENA_BYTES);
		test_join(test_fork(attack_fields, &s));
		free(s.image);
	}
}

// A block of entries that lead to each other in a circle.
static void make_circle(uint8_t *at, struct ph_arena *a)
{
	for (int i = 0; i < 200; i++) {
		const char name[2] = {(char)(1 + i), '\0'};
		CHECK_OK(ph_arena_bind(a, name, 4096));
	}
	const uint64_t *buckets =
		(const uint64_t *)(const void *)(at + sizeof(struct shm_arena_header) +
	                                     16 * sizeof(struct shm_record));
	for (int i = 0; i < 16; i++) {
		uint64_t entry = buckets[i];
		uint64_t last = 0;
		while (entry != 0) {
			last = entry;
			entry = ((struct shm_name *)(void *)(at + entry))->next;
		}
		if (last != 0)
			((struct shm_name *)(void *)(at + last))->next = buckets[i];
	}
}

static int ignore(const char *name, uint64_t offset, void *arg)
{
	(void)name, (void)offset, (void)arg;
	return 0;
}

TEST(arena_directory_in_a_circle_is_found_damaged)
{
	uint8_t *at = fenced_memory(FIELD_ARENA_BYTES);
	CHECK_OK(ph_arena_make(at, FIELD_ARENA_BYTES));
	struct ph_arena *a = ph_arena_attach(at, FIELD_ARENA_BYTES);
	make_circle(at, a);
	CHECK_EQ(ph_arena_find(a, "not there"), 0);
	CHECK_EQ(errno, EBADMSG);
	CHECK_ERR(ph_arena_bind(a, "new", 4096), EBADMSG);
	CHECK_ERR(ph_arena_names(a, ignore, NULL), EBADMSG);
	CHECK_ERR(ph_arena_check(a, NULL), EBADMSG);
	ph_arena_detach(a);
}

// A slab whose bits say that there are more blocks than fit: none of those is given.
TEST(arena_slab_with_too_many_blocks_gives_none_outside)
{
	uint8_t *at = fenced_memory(FIELD_ARENA_BYTES);
	CHECK_OK(ph_arena_make(at, FIELD_ARENA_BYTES));
	struct ph_arena *a = ph_arena_attach(at, FIELD_ARENA_BYTES);
	struct shm_slab *slabs =
		(struct shm_slab *)(void *)(at + sizeof(struct shm_arena_header) +
	                                16 * (sizeof(struct shm_record) + 8 + 8) + 32 * 8);
	for (int i = 0; i < 5000; i++) {
		const uint64_t offset = ph_arena_alloc(a, 8192);
		CHECK(offset <= FIELD_ARENA_BYTES - 8192);
		CHECK(offset != 0 || errno == ENOMEM || errno == EBADMSG);
		for (int k = 0; k < 15; k++) {
			memset(slabs[k].given, 0, sizeof(slabs[k].given));
			memset(slabs[k].freed, 0, sizeof(slabs[k].freed));
		}
	}
	CHECK_ERR(ph_arena_check(a, NULL), EBADMSG);
	ph_arena_detach(a);
}

// SPDX-License-Identifier: MIT
//
// demo_table.c - see demo_table.h. A hash table of chains in an object that grows; places are told by offset,
// because each process has its own address of it.
//
// A chunk is entered in three steps: its counts are written down as the draft, `draft_chunk` makes the draft
// count, and each word of it is added. A word's count and the chunk that was last added to it are one 64-bit
// store, so who finds a draft when the semaphore lets him in begins it from the start: words that have it already
// are passed over. The chunk is marked as entered before the draft is struck out.
#include "demo_table.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <posthaste/shm.h>

enum { BUCKETS = 1 << 16, FIRST_BYTES = 4 << 20, STEP = 8, TAG_BITS = 24 };

// An entry takes at most so many times the text that its word came from.
enum { ENTRY_PER_TEXT = 12 };

struct table_entry {
	_Atomic uint64_t state; // the count, and in the low TAG_BITS the chunk that was last added, + 1
	uint32_t next;          // in units of STEP, as all places; 0 = none
	uint32_t length;
	char text[];
};

struct table_head {
	sem_t plain;                  // of transports that want a place for it
	_Atomic uint32_t draft_chunk; // + 1; 0 = there is no draft
	uint32_t draft_bytes;
	_Atomic uint64_t used; // bytes of the object, all before here
	_Atomic uint32_t bucket[BUCKETS];
	char draft[];
};

// A word in the draft.
struct draft_word {
	uint32_t count, length;
	char text[];
};

static size_t rounded(size_t bytes)
{
	return (bytes + STEP - 1) / STEP * STEP;
}

static struct table_entry *entry_at(const struct word_table *table, uint32_t place)
{
	return (struct table_entry *)((char *)table->head + (size_t)place * STEP);
}

// ---- words ----

static _Atomic uint32_t *bucket_of(const struct word_table *table, const char *text, size_t length)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
	return &table->head->bucket[(hash ^ hash >> 32) % BUCKETS];
}

static int make_room(void *object, uint64_t bytes)
{
	const size_t has = ph_shm_size(object);

	if (bytes <= has)
		return 0;
	return ph_shm_grow(object, bytes > 2 * has ? bytes : 2 * has) == 0 ? 0 : errno;
}

// Complete before anything leads to it; the room of one that nothing leads to is lost with its maker.
static int add_entry(struct word_table *table, _Atomic uint32_t *bucket, const char *text,
                     uint32_t length, struct table_entry **added)
{
	struct table_head *const head = table->head;
	const uint64_t at = head->used;
	const bool is_far = at / STEP > UINT32_MAX;
	const int err = is_far ? EFBIG : make_room(head, at + rounded(sizeof **added + length));

	if (err != 0)
		return err;
	struct table_entry *const entry = entry_at(table, (uint32_t)(at / STEP));

	head->used = at + rounded(sizeof *entry + length);
	entry->state = 0;
	entry->next = *bucket;
	entry->length = length;
	memcpy(entry->text, text, length);
	*bucket = (uint32_t)(at / STEP);
	*added = entry;
	return 0;
}

static int find_or_add(struct word_table *table, const char *text, uint32_t length,
                       struct table_entry **found)
{
	_Atomic uint32_t *const bucket = bucket_of(table, text, length);

	for (uint32_t place = *bucket; place != 0; place = (*found)->next) {
		*found = entry_at(table, place);
		if ((*found)->length == length && memcmp((*found)->text, text, length) == 0)
			return 0;
	}
	return add_entry(table, bucket, text, length, found);
}

static int add_word(struct word_table *table, const struct draft_word *word, uint32_t chunk)
{
	const uint64_t tag = (chunk + 1) & ((UINT64_C(1) << TAG_BITS) - 1);
	struct table_entry *entry;
	const int err = find_or_add(table, word->text, word->length, &entry);

	if (err != 0)
		return err;
	const uint64_t state = entry->state;

	if ((state & ((UINT64_C(1) << TAG_BITS) - 1)) != tag)
		entry->state = ((state >> TAG_BITS) + word->count) << TAG_BITS | tag;
	return 0;
}

// ---- the draft ----

static void write_draft(struct table_head *head, const struct words *words)
{
	char *p = head->draft;

	for (size_t i = 0; i < words->slots; i++) {
		const struct word *word = &words->slot[i];
		struct draft_word *const out = (struct draft_word *)p;

		if (word->count == 0)
			continue;
		out->count = (uint32_t)word->count;
		out->length = (uint32_t)word->length;
		memcpy(out->text, words->arena + word->at, word->length);
		p += rounded(sizeof *out + word->length);
	}
	head->draft_bytes = (uint32_t)(p - head->draft);
}

// Adds what the draft says, from its start.
static int add_draft(struct word_table *table, const struct counts *counts)
{
	struct table_head *const head = table->head;
	const uint32_t chunk = head->draft_chunk - 1;
	bool is_half = false;
	int err = 0;

	for (uint32_t at = 0; err == 0 && at < head->draft_bytes;) {
		const struct draft_word *const word = (const struct draft_word *)(head->draft + at);

		at += (uint32_t)rounded(sizeof *word + word->length);
		if (counts->halfway && !is_half && at > head->draft_bytes / 2) {
			is_half = true;
			counts->halfway(counts->arg);
		}
		err = add_word(table, word, chunk);
	}
	if (err == 0)
		err = make_room(table->is_entered, (uint64_t)chunk + 1);
	if (err != 0)
		return err;
	table->is_entered[chunk] = 1;
	atomic_thread_fence(memory_order_release);
	head->draft_chunk = 0;
	return 0;
}

static bool was_entered(const struct word_table *table, uint32_t chunk)
{
	return chunk < ph_shm_size(table->is_entered) && table->is_entered[chunk];
}

static int enter_alone(struct word_table *table, const struct counts *counts, int *found)
{
	const struct counts others = {.chunk = counts->chunk};
	int err = 0;

	if (table->head->draft_chunk != 0) {
		*found |= TABLE_FINISHED;
		err = add_draft(table, &others);
	}
	if (err != 0 || was_entered(table, counts->chunk))
		return err;
	write_draft(table->head, counts->words);
	table->head->draft_chunk = counts->chunk + 1;
	return add_draft(table, counts);
}

int word_table_enter(struct word_table *table, const struct counts *counts, int timeout_ms,
                     int *found)
{
	const int taken = table->transport->take_unit(&table->guard, timeout_ms);

	*found = taken == EOWNERDEAD ? TABLE_UNIT_RETURNED : 0;
	if (taken != 0 && taken != EOWNERDEAD)
		return taken;
	const int err = enter_alone(table, counts, found);
	const int given = table->transport->give_unit(&table->guard);

	return err != 0 ? err : given;
}

// ---- the whole ----

int word_table_make(struct word_table *table, const struct transport *transport,
                    const struct corpus *corpus, size_t draft_bytes)
{
	const uint64_t begin = rounded(sizeof *table->head + draft_bytes);
	char name[64];

	table->transport = transport;
	table->head = ph_shm_map(NULL, begin + FIRST_BYTES, PH_SHM_CREATE, 0600,
	                         begin + FIRST_BYTES + ENTRY_PER_TEXT * corpus->bytes);
	if (!table->head)
		return errno;
	table->is_entered = ph_shm_map(NULL, 4096, PH_SHM_CREATE, 0600, corpus->bytes + FIRST_BYTES);
	table->head->used = begin;
	snprintf(name, sizeof name, "/posthaste-demo-%ld-table", (long)getpid());
	const int err =
		table->is_entered ? transport->make_unit(&table->guard, name, &table->head->plain) : errno;

	if (err != 0)
		word_table_drop(table);
	return err;
}

void word_table_drop(struct word_table *table)
{
	if (table->guard.sem)
		table->transport->drop_unit(&table->guard);
	if (table->is_entered)
		ph_shm_unmap(table->is_entered);
	ph_shm_unmap(table->head);
	*table = (struct word_table){0};
}

void word_table_read(const struct word_table *table, struct words *words)
{
	for (uint32_t i = 0; i < BUCKETS; i++)
		for (uint32_t place = table->head->bucket[i]; place != 0;) {
			const struct table_entry *const entry = entry_at(table, place);

			words_add(words, entry->text, entry->length, entry->state >> TAG_BITS);
			place = entry->next;
		}
}

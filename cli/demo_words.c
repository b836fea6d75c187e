// SPDX-License-Identifier: MIT
//
// demo_words.c - see demo_words.h. An open-addressing table, with the words' texts in one arena.
#include "demo_words.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

enum { FIRST_SLOTS = 2048, FIRST_ARENA = 16384 };

#define HASH_SEED UINT64_C(0x9e3779b97f4a7c15)

void words_init(struct words *words)
{
	*words = (struct words){
		.slot = memory_zeroed(FIRST_SLOTS, sizeof(struct word)),
		.slots = FIRST_SLOTS,
		.arena = memory_zeroed(FIRST_ARENA, 1),
		.arena_size = FIRST_ARENA,
	};
}

void words_free(struct words *words)
{
	free(words->slot);
	free(words->arena);
	*words = (struct words){0};
}

void words_clear(struct words *words)
{
	memset(words->slot, 0, words->slots * sizeof *words->slot);
	words->used = words->arena_used = 0;
	words->total = 0;
}

unsigned char words_letter(char byte)
{
	const unsigned char c = (unsigned char)byte;

	if (c >= 'A' && c <= 'Z')
		return c | 0x20;
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c >= 0x80 ? c : 0;
}

static uint64_t hash_step(uint64_t hash, unsigned char letter)
{
	return (hash ^ letter) * UINT64_C(0x100000001b3);
}

static uint64_t hash_of(const char *text, size_t length)
{
	uint64_t hash = HASH_SEED;

	for (size_t i = 0; i < length; i++)
		hash = hash_step(hash, (unsigned char)text[i]);
	return hash;
}

// The slot of the word, or the free one where it belongs.
static struct word *find(const struct words *words, const char *text, size_t length, uint64_t hash)
{
	for (size_t i = hash ^ hash >> 32;; i++) {
		struct word *word = &words->slot[i & (words->slots - 1)];

		if (word->count == 0 || (word->hash == hash && word->length == length &&
		                         memcmp(words->arena + word->at, text, length) == 0))
			return word;
	}
}

static void grow_table(struct words *words)
{
	const struct words old = *words;

	words->slots *= 2;
	words->slot = memory_zeroed(words->slots, sizeof *words->slot);
	for (size_t i = 0; i < old.slots; i++) {
		const struct word *word = &old.slot[i];

		if (word->count > 0)
			*find(words, old.arena + word->at, word->length, word->hash) = *word;
	}
	free(old.slot);
}

static size_t store_text(struct words *words, const char *text, size_t length)
{
	const size_t at = words->arena_used;

	while (words->arena_size - at < length) {
		words->arena = memory_resize(words->arena, words->arena_size, 2);
		words->arena_size *= 2;
	}
	memcpy(words->arena + at, text, length);
	words->arena_used += length;
	return at;
}

static void add_hashed(struct words *words, const char *text, size_t length, uint64_t hash,
                       uint64_t count)
{
	struct word *word = find(words, text, length, hash);

	words->total += count;
	if (word->count > 0) {
		word->count += count;
		return;
	}
	const size_t at = store_text(words, text, length);

	*word = (struct word){.at = at, .length = length, .hash = hash, .count = count};
	if (++words->used * 2 > words->slots)
		grow_table(words);
}

void words_add(struct words *words, const char *text, size_t length, uint64_t count)
{
	if (count > 0)
		add_hashed(words, text, length, hash_of(text, length), count);
}

void words_count(struct words *words, const char *text, size_t size)
{
	char word[WORD_MAX];

	for (size_t i = 0; i < size; i++) {
		uint64_t hash = HASH_SEED;
		size_t length = 0;
		unsigned char letter;

		for (; i < size && (letter = words_letter(text[i])) != 0; i++, length++) {
			hash = hash_step(hash, letter);
			if (length < WORD_MAX)
				word[length] = (char)letter;
		}
		if (length > 0 && length <= WORD_MAX)
			add_hashed(words, word, length, hash, 1);
	}
}

bool words_count_file(struct words *words, FILE *in)
{
	char word[WORD_MAX];
	size_t length = 0;
	int c;

	do {
		c = getc_unlocked(in);
		const unsigned char letter = c == EOF ? 0 : words_letter((char)c);

		if (letter != 0) {
			if (length < WORD_MAX)
				word[length] = (char)letter;
			length++;
		} else {
			if (length > 0 && length <= WORD_MAX)
				words_add(words, word, length, 1);
			length = 0;
		}
	} while (c != EOF);
	return !ferror(in);
}

bool words_equal(const struct words *a, const struct words *b)
{
	if (a->used != b->used || a->total != b->total)
		return false;
	for (size_t i = 0; i < a->slots; i++) {
		const struct word *word = &a->slot[i];

		if (word->count > 0 &&
		    find(b, a->arena + word->at, word->length, word->hash)->count != word->count)
			return false;
	}
	return true;
}

static int compare_text(const struct words *words, const struct word *a, const struct word *b)
{
	const size_t common = a->length < b->length ? a->length : b->length;
	const int order = memcmp(words->arena + a->at, words->arena + b->at, common);

	return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

static bool is_before(const struct words *words, const struct word *a, const struct word *b)
{
	return a->count != b->count ? a->count > b->count : compare_text(words, a, b) < 0;
}

size_t words_top(const struct words *words, const struct word **top, size_t most)
{
	size_t count = 0;

	for (size_t i = 0; i < words->slots; i++) {
		const struct word *word = &words->slot[i];
		size_t place = count;

		if (word->count == 0)
			continue;
		for (; place > 0 && is_before(words, word, top[place - 1]); place--)
			if (place < most)
				top[place] = top[place - 1];
		if (place < most)
			top[place] = word;
		count += count < most;
	}
	return count;
}

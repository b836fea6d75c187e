// SPDX-License-Identifier: MIT
//
// demo_words.h - counts of words. A word is a run of letters, digits, '_' and bytes above 127, at most
// WORD_MAX long, in lower case; longer runs (data, not text) are no words.
#ifndef DEMO_WORDS_H
#define DEMO_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { WORD_MAX = 255 };

struct word {
	size_t at; // in the arena
	size_t length;
	uint64_t hash, count; // count 0 = the slot is free
};

struct words {
	struct word *slot;
	size_t slots, used; // a power of two; at most half used
	char *arena;
	size_t arena_used, arena_size;
	uint64_t total;
};

void words_init(struct words *words);
void words_free(struct words *words);
void words_clear(struct words *words); // keeps the memory

// The byte in lower case if it can be part of a word, else 0.
unsigned char words_letter(char byte);

void words_add(struct words *words, const char *text, size_t length, uint64_t count);

// Counts a text that neither begins nor ends inside a word.
void words_count(struct words *words, const char *text, size_t size);

// The same for a whole file, byte by byte: the plain program that the demo is checked against.
bool words_count_file(struct words *words, FILE *in);

bool words_equal(const struct words *a, const struct words *b);

// The most frequent words, at most `most`; ties in alphabetical order. The result is their number.
size_t words_top(const struct words *words, const struct word **top, size_t most);

#endif

// SPDX-License-Identifier: MIT
//
// top.h - what posthaste top shows, apart from how: two lists, of objects and of processes, with their columns,
// sorted and filtered. top_screen.c shows them on a terminal, cmd_top.c prints them once.
#ifndef TOP_H
#define TOP_H

#include "sample.h"
#include "words.h"

enum top_list { TOP_OBJECTS, TOP_PROCESSES, TOP_LISTS };
enum { TOP_COLUMNS_MAX = 12, TOP_FILTER_MAX = 64, TOP_WHOLE = 1000 };

struct top_column {
	const char *heading;
	int width;     // 0 = takes what is left, by its share
	int share;     // of what is left
	int wanted;    // shown only where the terminal has so many columns
	bool right;    // aligned
	bool downward; // the greatest first
	const char *(*text)(char out[WORDS_MAX], const struct sample *sample, size_t row);
	double (*key)(const struct sample *sample, size_t row); // NULL: sorted by the text
};

struct top_view {
	enum top_list list;
	int sort[TOP_LISTS]; // a column of each list
	bool reverse;
	char filter[TOP_FILTER_MAX]; // what any of a row's texts has to hold; empty = all
	double seconds;              // between two looks
};

// The columns of a list, and how many there are.
const struct top_column *top_columns(enum top_list list, int *count);

// How wide each column is in a terminal of `width`; 0 = is not shown.
void top_widths(enum top_list list, int width, int widths[TOP_COLUMNS_MAX]);

// The rows that are to be seen, in order. The caller frees.
size_t *top_rows(const struct top_view *view, const struct sample *sample, size_t *count);

// How a row is to look: somebody sleeps there; something is wrong.
enum top_mood { TOP_CALM, TOP_WAITING, TOP_BAD };
enum top_mood top_mood_of(enum top_list list, const struct sample *sample, size_t row);

// The two lines above a list; and one that tells of a deadlock, empty if there is none.
const char *top_title(char out[WORDS_MAX], const struct sample *sample);
const char *top_summary(char out[WORDS_MAX], const struct sample *sample);
const char *top_alarm(char out[WORDS_MAX], const struct sample *sample);

// Shows samples until the user has enough. Returns the exit status; top_blind.c stands for it where there is no
// ncurses.
int top_screen(struct top_view *view);

#endif

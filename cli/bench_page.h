// SPDX-License-Identifier: MIT
//
// `posthaste bench --report DIR`: the rows of a run, kept until its end, as a page with pictures. bench_page.c writes the
// page, bench_picture.c has the pictures drawn. Rooms, tests and contestants are those that ran.
#ifndef CLI_BENCH_PAGE_H
#define CLI_BENCH_PAGE_H

#include "bench_run.h"

// A row with the names of the contestants it is of.
struct bench_entry {
	struct bench_row row;
	size_t sides;
	char name[BENCH_SIDES][24];
};

// Before anything is measured: the directory can be written to, and there is a gnuplot. Complains; the status.
int bench_page_begin(const char *dir);
void bench_page_add(const struct bench_row *row, const struct bench_options *opt);
int bench_page_end(const struct bench_options *opt);

// Pictures as DIR/STEM.svg and DIR/STEM.png, made from DIR/STEM.gp, which stays for who wants them otherwise. False: there
// is nothing to be seen in these entries, or it is said why it could not be drawn (*failed).
bool bench_picture_able(void);
bool bench_picture_ratios(const char *dir, const char *stem, const struct bench_entry *entry,
                          size_t n, bool *failed);
bool bench_picture_sizes(const char *dir, const char *stem, const struct bench_entry *entry,
                         size_t n, bool *failed);
bool bench_picture_latency(const char *dir, const char *stem, const struct bench_entry *entry,
                           bool *failed);

#endif

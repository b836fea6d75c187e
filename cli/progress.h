// SPDX-License-Identifier: MIT
//
// progress.h - a progress bar on stderr for work that takes long, only where stderr is a terminal.
// It first appears after 300 ms and moves at most ten times a second.
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

// Begins a bar: "WHAT [#####.....] 50 %", or a plain count of UNIT when total is 0 (unknown). `what`
// and `unit` must outlive the bar. One at a time. Commands do not begin one while they print to, or
// read from, a terminal.
void progress_begin(const char *what, const char *unit, uint64_t total);
void progress_at(uint64_t done);
void progress_end(void);

// For work that says it in its own words: whether it is time to, and the line.
bool progress_due(void);
void progress_line(const char *text);

// Clears the bar's line if one stands there. Async-signal-safe.
void progress_wipe(void);

#endif

// SPDX-License-Identifier: MIT
//
// meter.h - how many bytes have gone by, and how fast: a line on stderr while they go, where that is a
// terminal, and the totals at the end if they were asked for.
#ifndef METER_H
#define METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct meter {
	bool begun, live, totals;
	uint64_t bytes, drawn_bytes;
	double started, drawn;
};

// Begins to count, once: later calls change nothing. `live` wishes for the line, `totals` for both.
void meter_begin(struct meter *meter, bool live, bool totals);
void meter_add(struct meter *meter, size_t bytes);

// Prints "1,048,576 bytes in 0.002 s, 500m/s" to stderr, if totals were wished for.
void meter_end(struct meter *meter);

#endif

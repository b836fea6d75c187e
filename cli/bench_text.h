// SPDX-License-Identifier: MIT
//
// Figures as the benchmark writes them, for people: in static buffers, of which each function has several.
#ifndef CLI_BENCH_TEXT_H
#define CLI_BENCH_TEXT_H

#include <stddef.h>

const char *bench_duration(double ns);     // three significant digits with a unit
const char *bench_number(double x);        // the same without
const char *bench_size_text(size_t bytes); // "64 B", "4 KiB"; "-" for none

#endif

// SPDX-License-Identifier: MIT
//
// demo_publish.h - the way of the summary: through a FIFO, to a process that prints it.
#ifndef DEMO_PUBLISH_H
#define DEMO_PUBLISH_H

#include <stdbool.h>
#include <stdio.h>

#include "demo_report.h"

typedef void (*demo_printer)(const struct demo_report *report, FILE *out);

// With a path the reader is whoever opens that FIFO; without, a process of the demo's own, which prints
// to stdout. False: complained, and the summary has not arrived.
bool demo_publish(demo_printer print, const struct demo_report *report, const char *path);

#endif

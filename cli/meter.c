// SPDX-License-Identifier: MIT
//
// meter.c - see meter.h. The rate on the line is that of the moment, the one in the totals the mean.
#include "meter.h"

#include <stdio.h>
#include <time.h>

#include "cli.h"
#include "progress.h"
#include "show.h"

static double now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void meter_begin(struct meter *meter, bool live, bool totals)
{
	if (meter->begun)
		return;
	*meter = (struct meter){.begun = true, .live = live || totals, .totals = totals};
	meter->started = meter->drawn = now_seconds();
	if (meter->live)
		progress_begin("", "bytes", 0);
}

static uint64_t rate(uint64_t bytes, double seconds)
{
	return seconds > 0 ? (uint64_t)((double)bytes / seconds) : 0;
}

void meter_add(struct meter *meter, size_t bytes)
{
	char line[3 * SHOW_MAX], total[SHOW_MAX], speed[SHOW_MAX];

	meter->bytes += bytes;
	if (!progress_due())
		return;
	const double now = now_seconds();

	show_bytes(speed, rate(meter->bytes - meter->drawn_bytes, now - meter->drawn));
	snprintf(line, sizeof line, "%s, %s/s", show_bytes(total, meter->bytes), speed);
	progress_line(line);
	meter->drawn = now;
	meter->drawn_bytes = meter->bytes;
}

void meter_end(struct meter *meter)
{
	char total[SHOW_MAX], speed[SHOW_MAX];

	if (!meter->begun)
		return;
	progress_end();
	meter->begun = false;
	if (!meter->totals)
		return;
	const double seconds = now_seconds() - meter->started;

	fprintf(stderr, "posthaste: %s: %s bytes in %.3f s, %s/s\n", cli_command->name,
	        show_count(total, meter->bytes), seconds,
	        show_bytes(speed, rate(meter->bytes, seconds)));
}

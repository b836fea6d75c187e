// SPDX-License-Identifier: MIT
//
// progress.c - see progress.h. The bar is drawn with one write(2), so that a signal handler which
// wipes it never finds half of it in a buffer.
#include "progress.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BAR_WIDTH = 30, FIRST_AFTER_MS = 300, EVERY_MS = 100 };

static struct {
	const char *what, *unit;
	uint64_t total;
	int64_t next_ms;
	bool on;
} bar;
static volatile sig_atomic_t visible;

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void put(const char *text, size_t size)
{
	// A terminal that cannot be written to is no reason to fail: the work goes on without a bar.
	if (write(STDERR_FILENO, text, size) < 0)
		bar.on = false;
}

void progress_begin(const char *what, const char *unit, uint64_t total)
{
	bar.what = what;
	bar.unit = unit;
	bar.total = total;
	bar.on = isatty(STDERR_FILENO) == 1;
	bar.next_ms = bar.on ? now_ms() + FIRST_AFTER_MS : 0;
}

static void draw(uint64_t done)
{
	char line[160], cells[BAR_WIDTH + 1];
	int n;

	if (bar.total > 0) {
		const double part = done >= bar.total ? 1 : (double)done / (double)bar.total;
		const int filled = (int)(part * BAR_WIDTH);

		memset(cells, '.', BAR_WIDTH);
		memset(cells, '#', (size_t)filled);
		cells[BAR_WIDTH] = '\0';
		n = snprintf(line, sizeof line, "\r\033[K%s [%s] %3.0f %%", bar.what, cells, part * 100);
	} else {
		n = snprintf(line, sizeof line, "\r\033[K%s %" PRIu64 " %s", bar.what, done, bar.unit);
	}
	visible = 1;
	put(line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

bool progress_due(void)
{
	if (!bar.on)
		return false;
	const int64_t now = now_ms();

	if (now < bar.next_ms)
		return false;
	bar.next_ms = now + EVERY_MS;
	return true;
}

void progress_at(uint64_t done)
{
	if (progress_due())
		draw(done);
}

void progress_line(const char *text)
{
	char line[160];
	const int n = snprintf(line, sizeof line, "\r\033[K%s", text);

	visible = 1;
	put(line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

void progress_wipe(void)
{
	if (!visible)
		return;
	visible = 0;
	put("\r\033[K", 4);
}

void progress_end(void)
{
	progress_wipe();
	bar.on = false;
}

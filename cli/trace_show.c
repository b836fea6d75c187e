// SPDX-License-Identifier: MIT
//
// trace_show.c - see trace_show.h.
#include "trace_show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "json.h"
#include "show.h"
#include "table.h"

enum { TIME_MAX = 48, DAY_S = 86400 };

// What the system's two clocks differ by, now.
static int64_t wall_offset_ns(void)
{
	struct timespec wall, steady;

	clock_gettime(CLOCK_MONOTONIC, &steady);
	clock_gettime(CLOCK_REALTIME, &wall);
	return (int64_t)(wall.tv_sec - steady.tv_sec) * 1000000000 + (wall.tv_nsec - steady.tv_nsec);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static const char *error_name(int error, char out[SHOW_MAX])
{
#ifdef __GLIBC__
	const char *const name = strerrorname_np(error);

	if (name)
		return name;
#endif
	snprintf(out, SHOW_MAX, "error %d", error);
	return out;
}

// ---- for people ----

static const char *time_text(char out[TIME_MAX], const struct recorded *e, int64_t offset_ns)
{
	static const char marks[] = {' ', '~', '>', '<', ' '};
	const int64_t at = (int64_t)((uint64_t)e->at_ns + (uint64_t)offset_ns);
	const time_t s = (time_t)(at / 1000000000);
	char clock[32];
	struct tm local;

	if (e->at_ns <= 0 || !localtime_r(&s, &local))
		return strcpy(out, " ?");
	strftime(clock, sizeof clock, time(NULL) - s < DAY_S ? "%T" : "%b %e %T", &local);
	snprintf(out, TIME_MAX, "%c%s.%06d", marks[e->when], clock, (int)(at % 1000000000 / 1000));
	return out;
}

static const char *duration(char out[SHOW_MAX], int64_t ns)
{
	if (ns <= 0)
		return "-";
	if (ns < 1000000)
		snprintf(out, SHOW_MAX, "%" PRId64 "us", (ns + 999) / 1000);
	else if (ns < 10000000000)
		snprintf(out, SHOW_MAX, "%.3gms", (double)ns / 1e6);
	else
		show_age(out, ns / 1000000);
	return out;
}

static const char *result_text(char out[SHOW_MAX], const struct recorded *e, bool lives)
{
	if (e->when == WHEN_SINCE)
		return lives ? "waits" : "died";
	if (e->result < 0)
		return error_name((int)-e->result, out);
	snprintf(out, SHOW_MAX, "%" PRId64, e->result);
	return out;
}

// A thread may have been cancelled in its sleep.
static bool thread_lives(const struct recording *r, const struct recorded *e)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/task/%d", (int)r->pid, (int)e->tid);
	return r->lives && access(path, F_OK) == 0;
}

static void add_row(struct table *table, const struct recordings *all, const struct recorded *e,
                    int64_t offset_ns)
{
	const struct recording *const r = &all->one[e->recording];
	char text[RECORDED_TEXT_MAX], at[TIME_MAX], result[SHOW_MAX], waited[SHOW_MAX];
	const bool asleep = e->when == WHEN_SINCE;

	table_add(table, "%s", time_text(at, e, offset_ns));
	if (e->tid == r->pid)
		table_add(table, "%d", (int)r->pid);
	else
		table_add(table, "%d/%d", (int)r->pid, (int)e->tid);
	table_add(table, "%s%s", r->command, r->lives ? "" : " (ended)");
	table_add(table, "%s", recorded_op_name(e->op));
	table_add(table, "%s", recorded_object(text, all, e));
	const bool lives = asleep ? thread_lives(r, e) : true;

	table_add(table, "%s", result_text(result, e, lives));
	table_add(table, "%s",
	          lives ? duration(waited, asleep ? now_ns() - e->at_ns : e->waited_ns) : "?");
}

static void show_text(const struct recordings *all, bool on)
{
	static const char *const headings[] = {" TIME",  "PID",    "COMMAND", "OPERATION",
	                                       "OBJECT", "RESULT", "WAITED"};
	const int64_t offset_ns = wall_offset_ns();
	static bool headed;
	struct table table;

	table_begin(&table, "llllllr");
	for (size_t i = 0; !headed && i < sizeof headings / sizeof *headings; i++)
		table_add(&table, "%s", headings[i]);
	headed = on;
	for (size_t i = 0; i < all->entries; i++)
		add_row(&table, all, &all->entry[i], offset_ns);
	table_end(&table, stdout);
}

// ---- for programs ----

static void show_json(const struct recordings *all)
{
	static const char *const when[] = {"exact", "between", "after", "before", "since"};
	const int64_t offset_ns = wall_offset_ns();
	char text[RECORDED_TEXT_MAX];

	for (size_t i = 0; i < all->entries; i++) {
		const struct recorded *const e = &all->entry[i];
		const struct recording *const r = &all->one[e->recording];
		struct json json = {.out = stdout};

		json_open(&json, NULL, '{');
		json_signed(&json, "time_ns", (int64_t)((uint64_t)e->at_ns + (uint64_t)offset_ns));
		json_string(&json, "time", when[e->when]);
		json_signed(&json, "pid", r->pid);
		json_signed(&json, "tid", e->tid);
		json_bytes(&json, "command", r->command, strlen(r->command));
		json_bool(&json, "ended", !r->lives);
		json_string(&json, "operation", recorded_op_name(e->op));
		json_string(&json, "kind", recorded_kind_name(recorded_kind(e->op)));
		recorded_object(text, all, e);
		json_bytes(&json, "object", text, strlen(text));
		if (e->when != WHEN_SINCE)
			json_signed(&json, "result", e->result);
		if (e->when != WHEN_SINCE && e->result < 0)
			json_string(&json, "error", error_name((int)-e->result, (char[SHOW_MAX]){0}));
		json_bool(&json, "waits", e->when == WHEN_SINCE);
		json_signed(&json, "waited_ns", e->waited_ns);
		json_close(&json, '}');
		putchar('\n');
	}
}

void trace_show(const struct recordings *all, bool as_json, bool on)
{
	if (as_json)
		show_json(all);
	else
		show_text(all, on);
}

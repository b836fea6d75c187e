// SPDX-License-Identifier: MIT
//
// top_columns.c - the columns of both lists of top: how each is written, and what it is sorted by. 80 columns hold
// the most needed of them.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "object_line.h"
#include "top.h"

// ---- objects ----

static const struct world_object *object_of(const struct sample *sample, size_t row)
{
	return &sample->world.object[row];
}

static const char *kind(char out[WORDS_MAX], const struct sample *sample, size_t row)
{
	(void)out;
	return world_kind_name(object_of(sample, row)->kind);
}

static const char *name(char out[WORDS_MAX], const struct sample *sample, size_t row)
{
	snprintf(out, WORDS_MAX, "%s", object_of(sample, row)->name);
	return out;
}

static const char *owner(char out[WORDS_MAX], const struct sample *sample, size_t row)
{
	return show_user(out, object_of(sample, row)->uid);
}

static const char *memory(char out[WORDS_MAX], const struct sample *sample, size_t row)
{
	return show_bytes(out, object_of(sample, row)->memory);
}

static double memory_key(const struct sample *sample, size_t row)
{
	return (double)object_of(sample, row)->memory;
}

static const char *fill(char out[WORDS_MAX], const struct sample *sample, size_t row)
{
	return object_fill(out, object_of(sample, row));
}

// How full it is; of what has no capacity, how much there is does not count.
static double fill_key(const struct sample *sample, size_t row)
{
	const struct world_object *const o = object_of(sample, row);

	return o->capacity ? (double)o->fill / (double)o->capacity : -1;
}

static const char *rate_text(char out[WORDS_MAX], double rate)
{
	if (rate < 0)
		snprintf(out, WORDS_MAX, "-");
	else if (rate < 9.95)
		snprintf(out, WORDS_MAX, rate > 0 ? "%.1f" : "%.0f", rate);
	else if (rate < 1e4)
		snprintf(out, WORDS_MAX, "%.0f", rate);
	else if (rate < 1e6)
		snprintf(out, WORDS_MAX, "%.0fk", rate / 1e3);
	else if (rate < 1e9)
		snprintf(out, WORDS_MAX, rate < 1e7 ? "%.1fM" : "%.0fM", rate / 1e6);
	else
		snprintf(out, WORDS_MAX, "%.1fG", rate / 1e9);
	return out;
}

static const char *in(char out[WORDS_MAX], const struct sample *sample, size_t row)
{
	return rate_text(out, sample->rate[row].in);
}

static double in_key(const struct sample *sample, size_t row)
{
	return sample->rate[row].in;
}

static const char *out_rate(char out[WORDS_MAX], const struct sample *sample, size_t row)
{
	return rate_text(out, sample->rate[row].out);
}

static double out_key(const struct sample *sample, size_t row)
{
	return sample->rate[row].out;
}

static const char *asleep(char out[WORDS_MAX], const struct sample *sample, size_t row)
{
	return object_sleepers(out, object_of(sample, row), &sample->sum[row]);
}

static double asleep_key(const struct sample *sample, size_t row)
{
	const struct world_sum *const sum = &sample->sum[row];

	return (double)(sum->takers + sum->givers + sum->others);
}

static const char *age_text(char out[WORDS_MAX], int64_t age_ms)
{
	if (age_ms < 0)
		snprintf(out, WORDS_MAX, "-");
	else
		show_age(out, age_ms);
	return out;
}

static const char *since(char out[WORDS_MAX], const struct sample *sample, size_t row)
{
	return age_text(out, sample->sum[row].since_ms);
}

static double since_key(const struct sample *sample, size_t row)
{
	return (double)sample->sum[row].since_ms;
}

static const char *users(char out[WORDS_MAX], const struct sample *sample, size_t row)
{
	snprintf(out, WORDS_MAX, "%zu", sample->sum[row].users);
	return out;
}

static double users_key(const struct sample *sample, size_t row)
{
	return (double)sample->sum[row].users;
}

static const char *held_by(char out[WORDS_MAX], const struct sample *sample, size_t row)
{
	return object_held_by(out, &sample->world, row);
}

static double held_key(const struct sample *sample, size_t row)
{
	return (double)sample->sum[row].holders;
}

static const char *state(char out[WORDS_MAX], const struct sample *sample, size_t row)
{
	(void)out;
	return object_of(sample, row)->state;
}

static const struct top_column object_columns[] = {
	{.heading = "KIND", .width = 4, .text = kind},
	{.heading = "NAME", .share = 1, .text = name},
	{.heading = "OWNER", .width = 8, .wanted = 100, .text = owner},
	{.heading = "MEMORY",
     .width = 6,
     .wanted = 100,
     .right = true,
     .downward = true,
     .text = memory,
     .key = memory_key},
	{.heading = "FILL", .width = 9, .right = true, .downward = true, .text = fill, .key = fill_key},
	{.heading = "IN/S", .width = 5, .right = true, .downward = true, .text = in, .key = in_key},
	{.heading = "OUT/S",
     .width = 5,
     .right = true,
     .downward = true,
     .text = out_rate,
     .key = out_key},
	{.heading = "ASLEEP", .width = 6, .downward = true, .text = asleep, .key = asleep_key},
	{.heading = "SINCE",
     .width = 5,
     .right = true,
     .downward = true,
     .text = since,
     .key = since_key},
	{.heading = "USE",
     .width = 3,
     .right = true,
     .downward = true,
     .text = users,
     .key = users_key},
	{.heading = "HELD-BY", .width = 8, .downward = true, .text = held_by, .key = held_key},
	{.heading = "STATE", .width = 8, .text = state},
};

// ---- processes ----

static const struct world_process *process_of(const struct sample *sample, size_t row)
{
	return &sample->world.process[row];
}

static const char *pid(char out[WORDS_MAX], const struct sample *sample, size_t row)
{
	snprintf(out, WORDS_MAX, "%d", (int)process_of(sample, row)->pid);
	return out;
}

static double pid_key(const struct sample *sample, size_t row)
{
	return process_of(sample, row)->pid;
}

static const char *user(char out[WORDS_MAX], const struct sample *sample, size_t row)
{
	return show_user(out, process_of(sample, row)->uid);
}

static const char *run_state(char out[WORDS_MAX], const struct sample *sample, size_t row)
{
	snprintf(out, WORDS_MAX, "%c", process_of(sample, row)->state);
	return out;
}

static const char *cpu(char out[WORDS_MAX], const struct sample *sample, size_t row)
{
	const double percent = sample->load[row].cpu;

	if (percent < 0)
		snprintf(out, WORDS_MAX, "-");
	else
		snprintf(out, WORDS_MAX, "%.0f", percent);
	return out;
}

static double cpu_key(const struct sample *sample, size_t row)
{
	return sample->load[row].cpu;
}

static const char *sleeps(char out[WORDS_MAX], const struct sample *sample, size_t row)
{
	return rate_text(out, sample->load[row].sleeps);
}

static double sleeps_key(const struct sample *sample, size_t row)
{
	return sample->load[row].sleeps;
}

static const char *open_count(char out[WORDS_MAX], const struct sample *sample, size_t row)
{
	snprintf(out, WORDS_MAX, "%zu", sample_uses(sample, row));
	return out;
}

static double open_key(const struct sample *sample, size_t row)
{
	return (double)sample_uses(sample, row);
}

static const char *holds(char out[WORDS_MAX], const struct sample *sample, size_t row)
{
	snprintf(out, WORDS_MAX, "%zu", sample_holds(sample, row));
	return out;
}

static double holds_key(const struct sample *sample, size_t row)
{
	return (double)sample_holds(sample, row);
}

static const char *wait_since(char out[WORDS_MAX], const struct sample *sample, size_t row)
{
	const struct world_wait *const wait = sample_wait(sample, row);

	return age_text(out, wait ? world_age_ms(&sample->world, wait->since_ns) : -1);
}

static double wait_key(const struct sample *sample, size_t row)
{
	const struct world_wait *const wait = sample_wait(sample, row);

	return wait ? (double)world_age_ms(&sample->world, wait->since_ns) : -1;
}

// In few letters: what, and of which object.
static const char *waits(char out[WORDS_MAX], const struct sample *sample, size_t row)
{
	static const char *const wants[] = {"content of", "room in",    "units of", "lock of",
	                                    "place in",   "news of",    "word of",  "its child",
	                                    "own thread", "partner at", "at"};
	const struct world_wait *const wait = sample_wait(sample, row);

	if (!wait)
		snprintf(out, WORDS_MAX, "-");
	else if (wait->object == WORLD_NONE)
		snprintf(out, WORDS_MAX, "%s", wants[wait->want]);
	else
		snprintf(out, WORDS_MAX, "%s %s", wants[wait->want],
		         sample->world.object[wait->object].name);
	return out;
}

// Without the directory of the program.
static const char *command(char out[WORDS_MAX], const struct sample *sample, size_t row)
{
	const char *const whole = process_of(sample, row)->command;
	const char *name = whole;

	for (const char *p = whole; *p && *p != ' '; p++)
		if (*p == '/')
			name = p + 1;
	snprintf(out, WORDS_MAX, "%s", name);
	return out;
}

static const struct top_column process_columns[] = {
	{.heading = "PID", .width = 7, .right = true, .text = pid, .key = pid_key},
	{.heading = "USER", .width = 8, .wanted = 90, .text = user},
	{.heading = "S", .width = 1, .text = run_state},
	{.heading = "CPU%", .width = 4, .right = true, .downward = true, .text = cpu, .key = cpu_key},
	{.heading = "SLP/S",
     .width = 5,
     .right = true,
     .downward = true,
     .text = sleeps,
     .key = sleeps_key},
	{.heading = "OPEN",
     .width = 4,
     .right = true,
     .downward = true,
     .text = open_count,
     .key = open_key},
	{.heading = "HOLDS",
     .width = 5,
     .right = true,
     .downward = true,
     .text = holds,
     .key = holds_key},
	{.heading = "SINCE",
     .width = 5,
     .right = true,
     .downward = true,
     .text = wait_since,
     .key = wait_key},
	{.heading = "WAITS-FOR", .share = 1, .text = waits},
	{.heading = "COMMAND", .share = 1, .text = command},
};

const struct top_column *top_columns(enum top_list list, int *count)
{
	if (list == TOP_OBJECTS) {
		*count = sizeof object_columns / sizeof *object_columns;
		return object_columns;
	}
	*count = sizeof process_columns / sizeof *process_columns;
	return process_columns;
}

// SPDX-License-Identifier: MIT
//
// object_line.c - see object_line.h.
#include "object_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

void object_line_heading(struct table *table)
{
	static const char *const headings[] = {
		"KIND",    "NAME", "OWNER", "MODE",    "SIZE",     "FILL",  "MEMORY",
		"CREATED", "USED", "USERS", "HELD-BY", "SLEEPERS", "SINCE", "STATE",
	};

	table_begin(table, "lllrrrrllrllrl");
	for (size_t i = 0; i < sizeof headings / sizeof *headings; i++)
		table_add(table, "%s", headings[i]);
}

const char *object_fill(char out[SHOW_MAX], const struct world_object *object)
{
	char fill[SHOW_MAX], capacity[SHOW_MAX];

	if (object->error || object->kind == WORLD_SHM || (object->unlinked && object->capacity == 0))
		snprintf(out, SHOW_MAX, "-");
	else if (object->kind == WORLD_PIPE || object->kind == WORLD_FIFO)
		snprintf(out, SHOW_MAX, "%.20s/%.20s", show_bytes(fill, object->fill),
		         show_bytes(capacity, object->capacity));
	else if (object->kind == WORLD_SEM && !object->holders)
		snprintf(out, SHOW_MAX, "%" PRIu64, object->value);
	else
		snprintf(out, SHOW_MAX, "%" PRIu64 "/%" PRIu64, object->fill, object->capacity);
	return out;
}

const char *object_sleepers(char out[SHOW_MAX], const struct world_object *object,
                            const struct world_sum *sum)
{
	if (object->kind == WORLD_SEM)
		snprintf(out, SHOW_MAX, "w%zu", sum->takers);
	else if (object->kind == WORLD_SIGNALS)
		snprintf(out, SHOW_MAX, "w%zu", object->takers);
	else if (object->kind == WORLD_SHM || object->kind == WORLD_PORT)
		snprintf(out, SHOW_MAX, sum->others ? "w%zu" : "-", sum->others);
	else
		snprintf(out, SHOW_MAX, "r%zu/s%zu", sum->takers, sum->givers);
	return out;
}

const char *object_held_by(char out[SHOW_MAX], const struct world *world, size_t object)
{
	size_t more = 0;
	const struct world_hold *first = NULL;

	for (size_t i = 0; i < world->holds; i++) {
		if (world->hold[i].object != object)
			continue;
		more += first != NULL;
		first = first ? first : &world->hold[i];
	}
	if (!first)
		snprintf(out, SHOW_MAX, "-");
	else if (first->pid == 0)
		snprintf(out, SHOW_MAX, "%s", first->dead ? "dead" : "?");
	else if (more > 0)
		snprintf(out, SHOW_MAX, "%d+%zu", (int)first->pid, more);
	else
		snprintf(out, SHOW_MAX, "%d%s", (int)first->pid, first->dead ? ",dead" : "");
	return out;
}

// The time of today, else the day.
static const char *created(char out[SHOW_MAX], int64_t created_s)
{
	const time_t then = (time_t)created_s, now = time(NULL);
	struct tm day, today;

	if (created_s <= 0 || !localtime_r(&then, &day) || !localtime_r(&now, &today))
		snprintf(out, SHOW_MAX, "-");
	else if (day.tm_year == today.tm_year && day.tm_yday == today.tm_yday)
		strftime(out, SHOW_MAX, "%T", &day);
	else
		strftime(out, SHOW_MAX, "%F", &day);
	return out;
}

static const char *used(char out[SHOW_MAX], const struct world_object *object)
{
	const pid_t pipe = object->last_out ? object->last_out : object->last_in;

	if (object->used_ms >= 0)
		return show_actor(out, object->used_by, object->used_ms);
	if (pipe)
		snprintf(out, SHOW_MAX, "%d", (int)pipe);
	else
		snprintf(out, SHOW_MAX, "-");
	return out;
}

static void add_bytes(struct table *table, uint64_t bytes)
{
	char text[SHOW_MAX];

	if (bytes > 0)
		table_add(table, "%s", show_bytes(text, bytes));
	else
		table_add(table, "-");
}

void object_line(struct table *table, const struct world *world, size_t object)
{
	const struct world_object *const o = &world->object[object];
	const struct world_sum sum = world_sum_of(world, object);
	char text[SHOW_MAX];

	table_add(table, "%s", world_kind_name(o->kind));
	table_add(table, "%s", o->name);
	table_add(table, "%s", show_user(text, o->uid));
	table_add(table, "%03o", (unsigned)o->mode);
	add_bytes(table, o->size);
	table_add(table, "%s", object_fill(text, o));
	add_bytes(table, o->memory);
	table_add(table, "%s", created(text, o->created_s));
	table_add(table, "%s", used(text, o));
	table_add(table, "%zu", sum.users);
	table_add(table, "%s", object_held_by(text, world, object));
	table_add(table, "%s", object_sleepers(text, o, &sum));
	table_add(table, "%s", sum.since_ms < 0 ? "-" : show_age(text, sum.since_ms));
	table_add(table, "%s", o->state);
}

// SPDX-License-Identifier: MIT
//
// watched.c - see watched.h.
#include "watched.h"

#include <string.h>
#include <sys/stat.h>

#include "words.h"

// ---- for programs ----

static void json_users(struct json *json, const struct world *world, size_t object)
{
	json_open(json, "users", '[');
	for (size_t i = 0; i < world->uses; i++)
		if (world->use[i].object == object)
			json_signed(json, NULL, world->process[world->use[i].process].pid);
	json_close(json, ']');
}

static void json_holders(struct json *json, const struct world *world, size_t object)
{
	static const char *const what[] = {"units", "lock", "borrowed", "reserved", "place"};

	json_open(json, "held_by", '[');
	for (size_t i = 0; i < world->holds; i++) {
		const struct world_hold *const h = &world->hold[i];

		if (h->object != object)
			continue;
		json_open(json, NULL, '{');
		if (h->pid)
			json_signed(json, "pid", h->pid);
		if (h->tid)
			json_signed(json, "tid", h->tid);
		json_string(json, "what", what[h->what]);
		if (h->units)
			json_unsigned(json, "units", h->units);
		json_bool(json, "dead", h->dead);
		json_close(json, '}');
	}
	json_close(json, ']');
}

static const char *want_name(enum world_want want)
{
	static const char *const names[] = {"content", "room",  "units",  "lock",    "place", "news",
	                                    "a futex", "child", "thread", "partner", "other"};

	return names[want];
}

static void json_sleeper(struct json *json, const struct world *world, const struct world_wait *w)
{
	json_open(json, NULL, '{');
	json_signed(json, "pid", world->process[w->process].pid);
	json_signed(json, "tid", w->tid);
	json_string(json, "for", want_name(w->want));
	if (w->want == WANT_UNITS)
		json_unsigned(json, "units", w->units);
	if (w->since_ns > 0)
		json_signed(json, "age_ms", world_age_ms(world, w->since_ns));
	if (w->ends_ms >= 0)
		json_signed(json, "ends_ms", w->ends_ms);
	json_close(json, '}');
}

void watched_json(struct json *json, const struct watched *watched)
{
	if (!watched)
		return;
	const struct world *const world = watched->world;
	const size_t object = watched->object;

	json_users(json, world, object);
	json_holders(json, world, object);
	json_open(json, "sleepers", '[');
	for (size_t i = 0; i < world->waits; i++)
		if (world->wait[i].object == object)
			json_sleeper(json, world, &world->wait[i]);
	json_close(json, ']');
}

// ---- for people ----

static void show_line(const char *label, const char *text)
{
	printf("%-15s ", label);
	words_put(stdout, text);
}

void watched_show(const struct watched *watched)
{
	if (!watched)
		return;
	const struct world *const world = watched->world;
	const size_t object = watched->object;
	const char *label = "users";
	char text[WORDS_MAX], age[SHOW_MAX];

	for (size_t i = 0; i < world->uses; i++) {
		if (world->use[i].object != object)
			continue;
		show_line(label, words_process(text, world, world->use[i].process));
		putchar('\n');
		label = "";
	}
	label = "sleeping";
	for (size_t i = 0; i < world->waits; i++) {
		const struct world_wait *const w = &world->wait[i];

		if (w->object != object || w->want == WANT_UNITS) // units_show tells of those
			continue;
		show_line(label, words_process(text, world, w->process));
		printf(", thread %d, for %s: ", (int)w->tid, words_since(age, world, w));
		words_put(stdout, words_wait(text, world, w));
		putchar('\n');
		label = "";
	}
}

// ---- names ----

static bool is_pipe(const struct world_object *object, const char *argument)
{
	struct stat file;

	if (object->kind != WORLD_PIPE && object->kind != WORLD_FIFO)
		return false;
	return strcmp(object->name, argument) == 0 ||
	       (stat(argument, &file) == 0 && file.st_ino == object->pipe_inode &&
	        file.st_dev == object->pipe_device);
}

bool watched_is_named(const struct world_object *object, enum object_kind kind,
                      const struct object *found, const char *argument)
{
	switch (kind) {
	case OBJECT_QUEUE: return object->kind == WORLD_QUEUE && strcmp(object->name, found->name) == 0;
	case OBJECT_SEM: return object->kind == WORLD_SEM && strcmp(object->name, found->name) == 0;
	case OBJECT_SHM: return object->kind == WORLD_SHM && strcmp(object->name, found->name) == 0;
	case OBJECT_FIFO:
	case OBJECT_PIPE: return is_pipe(object, argument);
	case OBJECT_NONE: return object->unlinked && strcmp(object->name, found->name) == 0;
	default: return false;
	}
}

size_t watched_find(const struct world *world, enum object_kind kind, const struct object *found,
                    const char *argument)
{
	for (size_t i = 0; i < world->objects; i++)
		if (!world->object[i].unlinked &&
		    watched_is_named(&world->object[i], kind, found, argument))
			return i;
	return WORLD_NONE;
}

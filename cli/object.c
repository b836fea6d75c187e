// SPDX-License-Identifier: MIT
//
// object.c - see object.h.
#include "object.h"

#include <string.h>
#include <sys/stat.h>

#include "cli.h"

// In the order of enum object_kind.
static const struct {
	const char *word, *prefix, *thing;
} kinds[] = {
	{"mq", NAMES_QUEUES, "a queue"},     {"sem", NAMES_SEMS, "a semaphore"},
	{"shm", NAMES_SHM, "shared memory"}, {"signals", NAMES_SIGNALS, "a process's port"},
	{"port", NAMES_PORTS, "a port"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

enum object_kind object_kind_named(const char *word)
{
	for (int i = 0; i < KINDS; i++)
		if (strcmp(kinds[i].word, word) == 0)
			return (enum object_kind)i;
	cli_usage_error("--kind %s is none of mq, sem, shm, signals, port", word);
	return OBJECT_WRONG;
}

int object_fail_none(const char *name)
{
	return cli_fail(STATUS_REFUSED, name,
	                "no such queue, semaphore, shared memory or FIFO; see: posthaste ls; make a "
	                "queue with: posthaste mk %s",
	                name + 1);
}

// Any slash but a first one makes it a path.
static bool is_path(const char *argument)
{
	return *argument && strchr(argument + 1, '/') != NULL;
}

static enum object_kind complain_of_path(const char *path, struct object *object)
{
	struct stat st;

	object->status = stat(path, &st) == 0
	                     ? cli_fail(STATUS_REFUSED, path, "is neither a queue nor a FIFO")
	                     : cli_fail(STATUS_REFUSED, path, "no such FIFO; see: posthaste ls");
	return OBJECT_WRONG;
}

static enum object_kind complain_of_two(const char *argument, int one, int other,
                                        struct object *object)
{
	object->status =
		cli_fail(STATUS_REFUSED, argument, "is %s and %s; say which with --kind %s or --kind %s",
	             kinds[one].thing, kinds[other].thing, kinds[one].word, kinds[other].word);
	return OBJECT_WRONG;
}

// What has that name in the namespace, if one has.
static enum object_kind find_there(const char *argument, struct object *object)
{
	enum object_kind found = OBJECT_NONE;
	char name[NAME_WHOLE_MAX];
	struct stat file;

	snprintf(name, sizeof name, "/%s", *argument == '/' ? argument + 1 : argument);
	for (int i = 0; i < KINDS; i++) {
		if (!name_stat(kinds[i].prefix, name, &file))
			continue;
		if (found != OBJECT_NONE)
			return complain_of_two(argument, (int)found, i, object);
		found = (enum object_kind)i;
	}
	return found;
}

enum object_kind object_find(const char *argument, enum object_kind only, struct object *object)
{
	const bool path = is_path(argument);
	enum object_kind kind = only;

	if (only == OBJECT_NONE && !path)
		kind = find_there(argument, object);
	if (kind == OBJECT_NONE && ring_of_fifo(argument, object->file))
		return OBJECT_FIFO;
	if (kind == OBJECT_NONE && ring_of_name(argument, object->file))
		return OBJECT_PIPE;
	if (kind == OBJECT_NONE && path)
		return complain_of_path(argument, object);
	if (kind == OBJECT_WRONG)
		return kind;
	object->status = STATUS_USAGE;
	return name_whole(kind == OBJECT_NONE ? "an object" : kinds[kind].thing, argument, object->name)
	           ? kind
	           : OBJECT_WRONG;
}

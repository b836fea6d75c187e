// SPDX-License-Identifier: MIT
//
// object.c - see object.h.
#include "object.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"

// Any slash but a first one makes it a path.
static bool is_path(const char *argument)
{
	return *argument && strchr(argument + 1, '/') != NULL;
}

static bool is_queue(const char *argument)
{
	struct ph_mq_info info;
	char name[NAME_WHOLE_MAX];
	const char *bare = *argument == '/' ? argument + 1 : argument;

	if (*bare == '\0' || strlen(bare) > NAME_MAX)
		return false;
	snprintf(name, sizeof name, "/%s", bare);
	return ph_mq_info(name, &info) == 0 || (errno != ENOENT && errno != EINVAL);
}

static enum object_kind complain(const char *path, struct object *object)
{
	struct stat st;

	object->status = stat(path, &st) == 0
	                     ? cli_fail(STATUS_REFUSED, path, "is neither a queue nor a FIFO")
	                     : cli_fail(STATUS_REFUSED, path, "no such FIFO; see: posthaste ls");
	return OBJECT_WRONG;
}

enum object_kind object_find(const char *argument, struct object *object)
{
	const bool path = is_path(argument);

	if (path || !is_queue(argument)) {
		if (ring_of_fifo(argument, object->file))
			return OBJECT_FIFO;
		if (ring_of_name(argument, object->file))
			return OBJECT_PIPE;
	}
	if (path)
		return complain(argument, object);
	object->status = STATUS_USAGE;
	return queue_name(argument, object->name) ? OBJECT_QUEUE : OBJECT_WRONG;
}

// SPDX-License-Identifier: MIT
//
// names.h - names of objects, as users write them and as they stand in the namespace directory. Which kind
// of object a name is of, its file's prefix tells.
#ifndef NAMES_H
#define NAMES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

enum { NAME_WHOLE_MAX = 2 * NAME_MAX };

#define NAMES_QUEUES "mq."
#define NAMES_SEMS "sem."
#define NAMES_SHM "shm."
#define NAMES_SIGNALS "sig." // of processes, by number
#define NAMES_PORTS "port."

// A name with or without its leading slash, made whole. Complains and returns false if no such thing ("a
// queue") can have it.
bool name_whole(const char *thing, const char *argument, char name[NAME_WHOLE_MAX]);

// The file of that kind and whole name, if it is there, whatever stands in it.
struct stat;
bool name_stat(const char *prefix, const char *name, struct stat *file);

// The names of one kind in the namespace, sorted. names_list complains and returns false if the namespace
// cannot be read.
struct names {
	const char *prefix;
	size_t count;
	char **name;
	char directory[PATH_MAX];
};
bool names_list(struct names *names, const char *prefix);
void names_free(struct names *names);

// The file of such an object in the namespace.
void names_path(const struct names *names, const char *name, char path[PATH_MAX + NAME_MAX]);

#endif

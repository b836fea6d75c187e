// SPDX-License-Identifier: MIT
//
// object.h - what a name on the command line means: what has that name in the namespace, else a FIFO in the
// file system, else a pipe as ls names it. Objects of several kinds may have one name: then it takes --kind.
#ifndef OBJECT_H
#define OBJECT_H

#include <stdbool.h>

#include "names.h"
#include "ring.h"

enum object_kind {
	OBJECT_QUEUE,
	OBJECT_SEM,
	OBJECT_SHM,
	OBJECT_SIGNALS, // a process's port
	OBJECT_PORT,
	OBJECT_FIFO,
	OBJECT_PIPE,
	OBJECT_NONE,  // a name that nothing has
	OBJECT_WRONG, // complained
};

struct object {
	char name[NAME_WHOLE_MAX]; // in the namespace
	char file[RING_FILE_MAX];  // a FIFO's or pipe's ring, if it has one
	int status;                // OBJECT_WRONG: the status to end with
};

// `only`: OBJECT_NONE for whatever it is, or the kind that --kind asks for.
enum object_kind object_find(const char *argument, enum object_kind only, struct object *object);

// The kind by its name in --kind, "mq", "sem", "shm", "signals" or "port"; OBJECT_WRONG: complained.
enum object_kind object_kind_named(const char *word);

// Complains that nothing has that name; returns the status.
int object_fail_none(const char *name);

#endif

// SPDX-License-Identifier: MIT
//
// object.h - what a name on the command line means: a queue if there is one of that name, else a FIFO
// in the file system, else a pipe as ls names it.
#ifndef OBJECT_H
#define OBJECT_H

#include "queue.h"
#include "ring.h"

enum object_kind {
	OBJECT_QUEUE, // or nothing: for the queues to complain of
	OBJECT_FIFO,
	OBJECT_PIPE,
	OBJECT_WRONG, // complained
};

struct object {
	char name[NAME_WHOLE_MAX]; // a queue's
	char file[RING_FILE_MAX];  // a FIFO's or pipe's ring, if it has one
	int status;                // OBJECT_WRONG: the status to end with
};

enum object_kind object_find(const char *argument, struct object *object);

#endif

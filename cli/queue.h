// SPDX-License-Identifier: MIT
//
// queue.h - what the commands that work on message queues share: names as users write them, opening
// with a complaint that helps, deadlines, and the list of the queues in the namespace.
#ifndef QUEUE_H
#define QUEUE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include <posthaste/mqueue.h>

enum { QUEUE_NAME_MAX = 2 * NAME_MAX };

// A name with or without its leading slash, made whole. Complains and returns false if no object can
// have it.
bool queue_name(const char *argument, char name[QUEUE_NAME_MAX]);

// One line that tells why a call on NAME failed with error `err`, and what to do. Returns the exit
// status.
int queue_fail(const char *name, int err);

// Opens NAME, or complains and returns -1. The queue's message size goes to *msgsize.
mqd_t queue_open(const char *name, int oflag, size_t *msgsize);

// How long one wait may last.
struct patience {
	bool limited;
	double seconds;
};

// The end of a wait that begins now, on CLOCK_MONOTONIC, or NULL for none.
const struct timespec *patience_until(const struct patience *patience, struct timespec *until);

// The names of the queues in the namespace, sorted. queue_list complains and returns false if the
// namespace cannot be read.
struct queue_list {
	size_t count;
	char **name;
	char directory[PATH_MAX];
};
bool queue_list(struct queue_list *list);
void queue_list_free(struct queue_list *list);

// The file of a queue in the namespace.
void queue_path(const struct queue_list *list, const char *name, char path[PATH_MAX + NAME_MAX]);

#endif

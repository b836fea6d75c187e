// SPDX-License-Identifier: MIT
//
// queue.h - what the commands that work on message queues share: names as users write them, and
// opening with a complaint that helps.
#ifndef QUEUE_H
#define QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include <posthaste/mqueue.h>

#include "names.h"
#include "patience.h"

// A name with or without its leading slash, made whole. Complains and returns false if no object can
// have it.
bool queue_name(const char *argument, char name[NAME_WHOLE_MAX]);

// One line that tells why a call on NAME failed with error `err`, and what to do. Returns the exit
// status.
int queue_fail(const char *name, int err);

// Opens NAME, or complains and returns -1. The queue's message size goes to *msgsize.
mqd_t queue_open(const char *name, int oflag, size_t *msgsize);

#endif

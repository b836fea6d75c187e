// SPDX-License-Identifier: MIT
//
// queue_json.h - a queue as one JSON object, for ls and info.
#ifndef QUEUE_JSON_H
#define QUEUE_JSON_H

#include <posthaste/mqueue.h>

// Prints the object and a newline to stdout.
void queue_json(const struct ph_mq_info *info);

#endif

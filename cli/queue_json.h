// SPDX-License-Identifier: MIT
//
// queue_json.h - a queue as one JSON object, for ls and info.
#ifndef QUEUE_JSON_H
#define QUEUE_JSON_H

#include <posthaste/mqueue.h>

#include "watched.h"

// Prints the object and a newline to stdout; `watched` may be NULL.
void queue_json(const struct ph_mq_info *info, const struct watched *watched);

#endif

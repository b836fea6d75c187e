// SPDX-License-Identifier: MIT
//
// fifo.h - opening and making FIFOs by their path, with complaints that help.
#ifndef FIFO_H
#define FIFO_H

#include <stdbool.h>
#include <sys/types.h>

#include "flow.h"

// Opens PATH; waits for the other end if it is a FIFO. -1: complained, and *status says how to end.
// Other files can be read, and written with `create`.
int fifo_open_to_read(const struct flow *flow, const char *path, int *status);
int fifo_open_to_write(const struct flow *flow, const char *path, int *status);
int fifo_open_or_create(const struct flow *flow, const char *path, bool append, int *status);

// One line that tells why a call on the path failed, and what to do.
int fifo_fail(const struct flow *flow, const char *path, int err);

#endif

// SPDX-License-Identifier: MIT
//
// flow.h - bytes from descriptor to descriptor, by ph_read and ph_write: pipes of the library on either
// side go through its ring, everything else through the kernel. What cat, write, tee and pipe share:
// the two options, the loop, and what is said when it ends early.
#ifndef FLOW_H
#define FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "meter.h"

// The most that one call moves: the longer one side fetches, the longer the other must wait for it, and
// goes to sleep.
enum { FLOW_BYTES = 64 * 1024 };

struct flow {
	bool limited, show_totals;
	double seconds; // how long nothing may move, if limited
	struct meter meter;
	char *buffer; // FLOW_BYTES
};

#define FLOW_OPTIONS "mt:"
#define FLOW_LONG_OPTIONS                                                         \
	{"meter", no_argument, NULL, 'm'}, {"timeout", required_argument, NULL, 't'}, \
	{                                                                             \
		"help", no_argument, NULL, 'h'                                            \
	}
#define FLOW_HELP                                                              \
	"  -m, --meter       say on stderr how many bytes went by, and how fast\n" \
	"  -t, --timeout S   give up when nothing has moved for S seconds; then 124\n"

// Takes -m and -t. False: another option, help, or a mistake; *status says how to end.
bool flow_option(struct flow *flow, int opt, char **argv, int *status);

// Before the first call that may wait, with an end to waits by knock.h or without; after the ends are
// open; when all is over.
void flow_begin(struct flow *flow);
void flow_prepare(struct flow *flow);
void flow_open(struct flow *flow, int from, int to);
int flow_end(struct flow *flow, int status);

// Once: up to `size` bytes into the buffer, or all of these. Interrupted calls go on, unless there is a
// reason to end (knock.h): EINTR. Descriptors that another process has made non-blocking are waited for.
ssize_t flow_read(int fd, char *buffer, size_t size);
bool flow_write(int fd, const char *data, size_t size);

// Everything. Complains; the result is the status.
int flow_copy(struct flow *flow, int from, const char *from_name, int to, const char *to_name);

// Complains of a failed call on the end `name`; the result is the status.
int flow_fail(const struct flow *flow, const char *name, int err);

#endif

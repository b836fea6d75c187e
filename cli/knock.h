// SPDX-License-Identifier: MIT
//
// knock.h - an end to sleeps inside plain blocking calls (open, read, write), which take no deadline:
// when nothing has moved for too long, or somebody sends SIGINT, SIGTERM or SIGHUP.
//
// The call is ended by a signal, and fails with EINTR. One that comes between the last look and the
// sleep is missed; so the handler knocks again every 10 ms, for as long as the process lives.
#ifndef KNOCK_H
#define KNOCK_H

#include <stdbool.h>

enum knock {
	KNOCK_NONE,
	KNOCK_SILENCE, // nothing has moved for so long
	KNOCK_STOP,    // a signal: stop_now() when all is said
};

// From now on. seconds: how long nothing may move; negative = as long as it likes.
void knock_install(double seconds);
void knock_moved(void); // something moved
enum knock knock_heard(void);

#endif

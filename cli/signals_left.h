// SPDX-License-Identifier: MIT
//
// signals_left.h - ports for signals that the killed have left. A port that somebody uses is never removed: it goes with
// its process, a named one with its last member.
#ifndef SIGNALS_LEFT_H
#define SIGNALS_LEFT_H

#include <stdbool.h>
#include <sys/types.h>

// One of a kind (NAMES_SIGNALS, NAMES_PORTS); complains, and returns the exit status. With `force` it need not be there.
int signals_remove(const char *prefix, const char *name, bool force);

// All that nobody uses: how many were removed; how many there are. Those of other users are not counted.
int signals_sweep(void);
int signals_count_left(void);

// That of a process, if it is gone.
void signals_forget(pid_t pid);

#endif

// SPDX-License-Identifier: MIT
//
// demo_signals.h - the demo's signals: workers tell of their progress by queued signals with a value, and whoever wants
// the demo to stop (Ctrl-C, kill) has the whole crew finish what it has in hand. All handlers run at safe points, so
// they draw the progress bar and set plain variables.
#ifndef DEMO_SIGNALS_H
#define DEMO_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

// In the parent: from before there are other processes until they are gone.
void demo_signals_begin(void);
void demo_signals_end(void);

// What the workers have told of so far.
struct demo_told {
	uint64_t signals, bytes;
};
struct demo_told demo_signals_told(void);

// In a process of the crew: from now on a request to leave is noted, and interrupts a sleep (EINTR). What the terminal
// sends is for the parent to act on.
void demo_signals_mind(void);
bool demo_signals_leaving(void);

// In a worker: so many bytes are counted. False: the parent's queue is full, it is to be told with the next ones.
bool demo_signals_tell(pid_t parent, uint32_t bytes);

// Before this process ends by a signal: its port goes with it. Those of others that have ended: removed.
void demo_signals_leave(void);
void demo_signals_forget(pid_t pid);

#endif

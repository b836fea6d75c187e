// SPDX-License-Identifier: MIT
//
// stop.h - a clean end on SIGINT, SIGTERM and SIGHUP, without a race between the look at the flag and
// the sleep that follows it.
//
// While nothing is held, between stop_idle(true) and stop_idle(false), the signal ends the process at
// once; otherwise it sets a flag that stop_asked() tells, and the command puts back what it holds and
// calls stop_now(). A message that was received by loan at the very moment of the signal goes back to
// its queue, because the library redelivers what the dead have borrowed.
#ifndef STOP_H
#define STOP_H

#include <stdbool.h>

void stop_install(void);
void stop_hook(void (*also)(void)); // the handler calls it, too, where it only sets the flag
bool stop_asked(void);
int stop_signal(void);    // that asked, 0 = none
void stop_ask(int signo); // as if it had come
void stop_idle(bool idle);

// Ends the process by the signal that asked for it, so that a shell sees an interrupted command.
_Noreturn void stop_now(void);

#endif

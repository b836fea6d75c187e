// SPDX-License-Identifier: MIT
//
// signals.h - what the commands know of signals: names and numbers, default actions, sets in words, and the ports
// in the namespace.
#ifndef SIGNALS_H
#define SIGNALS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <posthaste/signal.h>

#include "names.h"

enum { SIGNALS_MAX = 65, SIGNALS_TEXT_MAX = 640 };

#define SIGNALS_BIT(signo) (UINT64_C(1) << ((signo)-1))

// "TERM", "RTMIN+3"; of a number that no program may use, or 0: its number.
const char *signals_name(int signo, char out[16]);

// The number that a name (with or without SIG, in any case), or a number, means; 0: none. The real-time ones
// are called RTMIN+N and RTMAX-N.
int signals_number(const char *text);

// What happens if nothing was arranged, and what raises it; NULL: no program may use it.
const char *signals_default(int signo);
const char *signals_cause(int signo);

// "HUP,INT,+3": at most so many names (0: all), and how many more; "-": none. Joined by `between`.
const char *signals_set(uint64_t set, int most, const char *between, char out[SIGNALS_TEXT_MAX]);

// The mask of a thread by the kernel's word, and what it is asleep for, which the kernel lets through meanwhile; false: it
// does not tell.
bool signals_blocked(const struct ph_signal_info *info, pid_t tid, uint64_t *mask);

// Milliseconds since that moment of CLOCK_MONOTONIC; -1: never.
int64_t signals_age_ms(int64_t then_ns);

// The threads that are asleep for signals.
int signals_waiting(const struct ph_signal_info *info);

// The process of "/PID", a name of names_list(NAMES_SIGNALS), or 0.
pid_t signals_pid(const char *name);

#endif

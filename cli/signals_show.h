// SPDX-License-Identifier: MIT
//
// signals_show.h - ports for signals, those of processes and named ones, for people and for programs.
#ifndef SIGNALS_SHOW_H
#define SIGNALS_SHOW_H

#include <stdbool.h>
#include <sys/stat.h>

#include "signals.h"

// Everything about one; they complain, and return the exit status. NAME is "/PID", or a port's.
int signals_show(const char *name, bool as_json);
int port_show(const char *name, bool as_json);

// As JSON, an object and a newline. What is gone by then, or may not be looked into, is told from its file.
void signals_line_json(const char *name, const struct stat *file);
void port_line_json(const char *name, const struct stat *file);

// A process with a port that may be looked into.
void signals_json(const struct ph_signal_info *info);

// The same as the member "signals" of a process whose brackets are open; none if it has no port.
struct json;
void signals_member(struct json *json, pid_t pid);

// "77:RTMIN+1,3.2s": who sent last through the port, what, and how long ago; "-" nobody.
enum { SIGNALS_LAST_MAX = 96 };
const char *signals_last(const struct ph_signal_info *info, char out[SIGNALS_LAST_MAX]);

// "RESTART SIGINFO".
const char *signals_flags(uint32_t set, char out[SIGNALS_TEXT_MAX]);

#endif

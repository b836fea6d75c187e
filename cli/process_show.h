// SPDX-License-Identifier: MIT
//
// process_show.h - one process for people and for programs: what it holds, has open and waits for.
#ifndef PROCESS_SHOW_H
#define PROCESS_SHOW_H

#include <stdbool.h>
#include <sys/types.h>

// The pid that an argument is, if a process has it; else 0.
pid_t process_named(const char *argument);

// Looks, and shows it. Returns the exit status.
int process_info(pid_t pid, bool as_json);

#endif

// SPDX-License-Identifier: MIT
//
// program.h - programs that a command runs as its children: started, sent the signals that were meant for
// them, and waited for.
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdbool.h>
#include <sys/types.h>

struct program {
	char **argv;
	volatile pid_t pid; // 0 = not started, or ended
	int status;         // as a shell has it: 128 + N if signal N ended it
};

// From here on signals are for the programs: what the terminal sends reaches them by itself, SIGTERM, SIGHUP and
// what somebody sends to this process are passed on. The array must stay where it is.
void program_manners(struct program *first, int count);

// prepare(), which may be NULL, runs in the child and returns false, with errno, if the program cannot be run. What cannot be run
// ends with 127 (there is no such program) or 126. False, with errno: there is no child.
bool program_start(struct program *program, bool (*prepare)(void *), void *arg);

void program_wait(struct program *program);

#endif

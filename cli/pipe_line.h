// SPDX-License-Identifier: MIT
//
// pipe_line.h - programs with pipes between them: started, fed past the meter, and waited for.
#ifndef PIPE_LINE_H
#define PIPE_LINE_H

#include <stdbool.h>
#include <sys/types.h>

struct station {
	char **argv;
	volatile pid_t pid; // 0 = not started, or ended
	int status;         // as a shell has it
};

struct line {
	int count;
	struct station *station;
	int size; // of the pipes in bytes; 0 = as they come
	bool meter, pipefail;
};

// The exit status of the whole. Frees the stations.
int line_run(struct line *line);

#endif

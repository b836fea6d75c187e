// SPDX-License-Identifier: MIT
//
// pipe_line.h - programs with pipes between them: started, fed past the meter, and waited for.
#ifndef PIPE_LINE_H
#define PIPE_LINE_H

#include <stdbool.h>

#include "program.h"

struct line {
	int count;
	struct program *program;
	int size; // of the pipes in bytes; 0 = as they come
	bool meter, pipefail;
};

// The exit status of the whole. Frees the programs.
int line_run(struct line *line);

#endif

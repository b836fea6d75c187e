// SPDX-License-Identifier: MIT
//
// executable.h - what the system would do with a program: where it is, and whether the dynamic linker of this
// machine's C library starts it, which is who loads a library underneath.
#ifndef EXECUTABLE_H
#define EXECUTABLE_H

#include <limits.h>
#include <stdbool.h>

enum executable {
	EXECUTABLE_DYNAMIC,    // so far as can be seen: what cannot be read is taken for it
	EXECUTABLE_STATIC,     // without a dynamic linker
	EXECUTABLE_OTHER_LIBC, // with somebody else's
	EXECUTABLE_OTHER_ABI,  // of other word length or machine
};

struct executable_look {
	enum executable kind;
	bool privileged;     // the system drops LD_PRELOAD for it
	char file[PATH_MAX]; // that was judged: of a script its interpreter
	char linker[PATH_MAX];
};

// As execvp finds it; false: there is none, errno says why.
bool executable_find(const char *name, char path[PATH_MAX]);

void executable_look_at(const char *path, struct executable_look *look);

#endif

// SPDX-License-Identifier: MIT
//
// tests/kill/state.h - what of a process outlives it: a hash over it tells whether two boundaries are
// the same death.
//
// Survivors see shared memory and what system calls have done. The kernel, burying the victim, also
// reads its robust list, whose head is private. Boundaries between which neither changed, without a
// system call in between, need one kill together; that leaves some dozens of an operation's hundreds,
// and loses nothing as long as the victim takes the recorded path.
#ifndef KILL_STATE_H
#define KILL_STATE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

enum { RANGES_MAX = 24 };

struct state {
	pid_t pid;
	int count;
	struct iovec ranges[RANGES_MAX]; // in the victim
	struct iovec more;               // shared memory without a file, which the sweep knows of
};

// Find the victim's mappings, anew after each system call.
void state_look(struct state *s);
uint64_t state_hash(const struct state *s);

#endif

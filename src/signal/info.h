// SPDX-License-Identifier: MIT
//
// A look at a process's port from outside.
#ifndef PHI_SIGNAL_INFO_H
#define PHI_SIGNAL_INFO_H

#include "core/region.h"
#include "signal/layout.h"

#include <sys/types.h>

// What the port says, and what the kernel says of the process: one bit for each signal.
struct signal_look {
	struct signal_port port; // a copy
	uid_t uid;
	uint64_t pending, blocked, ignored, caught; // of the kernel; 0 where /proc does not tell
};

// 0, -ENOENT no port, or its owner is gone; -EACCES, -EBADMSG, ...
int phi_signal_look(pid_t pid, struct signal_look *look);

// Whether the process lives whose port has this id. Nothing is removed if not.
bool phi_signal_is_there(pid_t pid, uint64_t id);

#endif

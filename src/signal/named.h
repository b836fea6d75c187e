// SPDX-License-Identifier: MIT
//
// Named ports, for the facade.
#ifndef PHI_SIGNAL_NAMED_H
#define PHI_SIGNAL_NAMED_H

#include "signal/port.h"

// 0 or -errno, as posthaste/signal.h says.
int phi_named_join(const char *name, uint64_t set, mode_t mode);
int phi_named_leave(const char *name);

// How many have it, or -errno.
int phi_named_send(const char *name, struct signal_message *m);

// Call `each` for every member.
int phi_named_look(const char *name, void (*each)(void *arg, pid_t pid, bool alive, uint64_t set),
                   void *arg, uint64_t *sent);

#endif

// SPDX-License-Identifier: MIT
//
// What a fork, an exit and an exec mean to signals: the steps, and who takes part in them.
#ifndef PHI_SIGNAL_FORK_H
#define PHI_SIGNAL_FORK_H

#include "signal/port.h"

void phi_signal_before_fork(void);
void phi_signal_after_fork(void);
void phi_signal_after_fork_child(void);

void phi_peers_hold(void);
void phi_peers_let_go(bool child);

void phi_named_hold(void);
void phi_named_let_go(bool child);
void phi_named_exit(void);

// Into the private copies of what the port should say.
void phi_disposition_show(struct signal_own *own, int signo);

// The process ends.
void phi_signal_exit(void);

#endif

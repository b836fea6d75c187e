// SPDX-License-Identifier: MIT
//
// Learning what a process does to its descriptors. See process.c.
#ifndef PHI_POSIX_PROCESS_H
#define PHI_POSIX_PROCESS_H

#include <stdint.h>

extern int32_t phi_process_hooks;

// Another program is about to take this process's place; it did not, and `r` says why.
void phi_process_leaving(void);
int phi_process_stayed(int r);

#endif

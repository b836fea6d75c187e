// SPDX-License-Identifier: MIT
//
// A handler that runs at safe points only waits for this thread: whoever sleeps in a call of the library ends the
// sleep, and the call's return is the safe point. Set by a signal handler of the thread itself.
#ifndef PHI_SYNC_DUE_H
#define PHI_SYNC_DUE_H

#include <stdint.h>

extern __thread uint32_t phi_due; // a futex word while its thread sleeps; 0 or 1
extern uint32_t phi_due_ever;     // some handler of the program's runs at safe points

#endif

// SPDX-License-Identifier: MIT
//
// Handlers that run at safe points only. A call of the library asks `phi_safepoint_ask` when it returns: one load where
// nothing waits.
#ifndef PHI_SIGNAL_SAFEPOINT_H
#define PHI_SIGNAL_SAFEPOINT_H

#include "base/atomic.h"
#include "sync/due.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

// From a stub: this signal's handler waits. `held`: the kernel holds more of it back until then.
void phi_safepoint_due(int signo, bool held);
bool phi_safepoint_waits(void);
// Blocked by the stub until the safe point.
uint64_t phi_safepoint_held(void);
bool phi_safepoint_used(void);

// Run them: how many. *restart: they all have SA_RESTART.
int phi_safepoint_run(bool *restart);

// A call has come to its end with this result: run what waits. True: it was interrupted for nothing but handlers
// with SA_RESTART, and is to be called again.
bool phi_safepoint_again(int64_t result);

static inline bool phi_safepoint_ask(int64_t result)
{
	return __builtin_expect(load_relaxed_u32(&phi_due) != 0, 0) && phi_safepoint_again(result);
}

// The result of a call of a room, made again after such an interruption.
#define PHI_SAFELY(call)                    \
	({                                      \
		__typeof__(call) result_;           \
		do                                  \
			result_ = (call);               \
		while (phi_safepoint_ask(result_)); \
		result_;                            \
	})

#endif

// SPDX-License-Identifier: MIT
//
// The recoverable lock as it stands in shared memory. See lock.h for its protocol.
#ifndef PHI_SYNC_LAYOUT_H
#define PHI_SYNC_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

// The word, in the kernel's robust futex format:
//
//   value                    meaning                                 who may change it
//   0                        free, nobody waits                      anybody: 0 -> TID
//   WAITERS                  free, somebody may wait                 anybody: -> TID|WAITERS, -> 0
//   TID                      held                                    holder: -> 0; others: |WAITERS
//   TID|WAITERS              held, somebody may wait                 holder: -> WAITERS
//   OWNER_DIED [|WAITERS]    the holder died (set by the kernel)     anybody: -> TID|WAITERS + repair
//
// A lock fills a cache line together with the few fields it guards. Bytes 24 to 48 are left to the
// kernel's list node (see phi_lock_to_duty): only the dying holder's kernel ever reads it.
struct phi_lock {
	uint32_t word;       // atomic
	uint32_t guarded32;  // guarded by the lock; the room says for what
	uint64_t guarded64;  // "
	uint64_t guarded64b; // "
	uint8_t node[24];    // holder-only, meaningless between holders
	uint64_t guarded64c; // guarded by the lock
	uint64_t guarded64d; // "
};

_Static_assert(sizeof(struct phi_lock) == 64, "a lock is one cache line");
_Static_assert(offsetof(struct phi_lock, node) == 24, "node offset");

#endif

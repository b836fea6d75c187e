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
//   0                        free                                    anybody: CAS to TID
//   TID                      held                                    holder: stores 0; others: |WAITERS
//   TID|WAITERS              held, the kernel shall wake on death    holder: stores 0
//   OWNER_DIED [|WAITERS]    the holder died (set by the kernel)     anybody: CAS to TID, and repair
//
// Whether the holder has to wake somebody is in `waiters`, not in the word, so that letting go is a
// plain store: not 0 = somebody may sleep; each who is about to puts a new number there; who wakes
// and finds nobody takes the number that he saw back (CAS).
//
// A lock fills a cache line together with the few fields it guards. Bytes 24 to 48 are left to the
// kernel's list node (see phi_lock_to_duty): only the dying holder's kernel ever reads it.
struct phi_lock {
	uint32_t word;       // atomic
	uint32_t waiters;    // atomic
	uint64_t guarded64;  // guarded by the lock; the room says for what
	uint32_t guarded32;  // "
	uint32_t number;     // atomic: feeds waiters
	uint8_t node[24];    // holder-only, meaningless between holders
	uint64_t unused[2];
};

_Static_assert(sizeof(struct phi_lock) == 64, "a lock is one cache line");
_Static_assert(offsetof(struct phi_lock, node) == 24, "node offset");

#endif

// SPDX-License-Identifier: MIT
//
// The ring of a pipe as it stands in shared memory. docs/pipe.md tells the protocol.
//
//   offset 0      region header
//   offset 512    struct pipe_control, up to the end of the first page
//   offset 4096   the bytes of the stream: position p stands at 4096 + (p mod size)
//
// Guards: R = the read lock, W = the write lock, A = atomic, D = diagnostic, racy.
#ifndef PHI_PIPE_LAYOUT_H
#define PHI_PIPE_LAYOUT_H

#include "core/layout.h"
#include "sync/layout.h"

#include <stddef.h>
#include <stdint.h>

#define PIPE_LAYOUT 1
#define PIPE_LINE 64
#define PIPE_PAGE 4096
#define PIPE_DATA_AT PIPE_PAGE
#define PIPE_SIZE_MIN 4096
#define PIPE_SIZE_MAX (1 << 20)
#define PIPE_BYTES (PIPE_DATA_AT + PIPE_SIZE_MAX)
#define PIPE_SLEEPERS 8
#define PIPE_GOERS 32
#define PIPE_STAMP 0x65706970 // "pipe"

// Flags: reasons to leave everything to the kernel, for good.
#define PIPE_POLLED 1   // somebody polls an end
#define PIPE_FOREIGN 2  // somebody without the library reads or writes
#define PIPE_EXPORTED 4 // somebody asked for it

// The lease: which thread has promised to look into the ring before it sleeps, and so lets writers
// use it. A robust futex word in the kernel's format, on the robust list of that thread while it holds:
//
//   value                    meaning                             who may change it
//   0                        no lease: writes go to the kernel    under R and W: 0 -> TID
//   TID [|WAITERS]           leased: writes go to the ring        under W: -> 0; writers: |WAITERS
//   OWNER_DIED [|WAITERS]    its thread died (by the kernel), or   under R and W: -> 0
//                            who holds R and W flushes the ring
//
// It stands so near to the end of the page that the kernel's list node, 28 or 32 bytes behind it, falls
// into the following page, which is private to the process (src/pipe/lease.c).
#define PIPE_UNUSED_WORDS ((PIPE_PAGE - PHI_REGION_BODY - 10 * PIPE_LINE) / 8)

struct pipe_control {
	struct phi_lock write; // guards tail and lease; guarded64: head as writers last saw it
	struct phi_lock read;  // guards head; guarded64: tail as readers last saw it

	uint64_t tail;       // W; read by all: bytes ever written to the ring
	uint32_t tx_cpu;     // D: where a writer last ran, for the spin policy
	int32_t last_writer; // D: pid
	uint64_t pad1[6];

	uint64_t head;       // R; read by all: bytes ever taken from the ring
	uint32_t rx_cpu;     // D
	int32_t last_reader; // D
	uint64_t pad2[6];

	// A: threads of the library that read the kernel's pipe, and perhaps sleep there; 0 = free
	uint32_t sleepers[PIPE_SLEEPERS];
	uint32_t sleepers_beyond; // A: 1 = there were more
	uint32_t strikes;         // D: times that bytes of strangers were met
	uint32_t asked_size;      // R and W: the kernel's pipe before a flush made it larger; 0 = as is
	uint32_t pad3[5];

	// A: threads of the library that write to the kernel's pipe; 0 = free
	uint32_t goers[PIPE_GOERS];
	uint32_t goers_beyond; // A: how many more; too high after a death
	uint32_t pad4[15];

	// R and W: a flush of the ring into the kernel's pipe is in progress, up to here; 0 = none.
	uint64_t flush_to;
	// R and W: the kernel's pipe, which had drain_had bytes, is being drained into the ring, up to here.
	uint64_t drain_to;
	uint64_t drain_had;
	uint64_t pad5[5];

	uint64_t unused[PIPE_UNUSED_WORDS];

	// The last line: read by every call, written rarely.
	uint32_t stamp;       // PIPE_STAMP; 0 = damaged
	uint32_t flags;       // A: PIPE_POLLED ...
	uint32_t size;        // R and W, ring empty: bytes, a power of two; 0 = has no memory yet
	uint32_t writers;     // A: 1 = writers of the library have attached
	uint32_t room_event;  // A: bumped before sleeping writers are woken
	uint32_t tx_asleep;   // under R: 1 = writers sleep, or are about to
	uint32_t held;        // R: thread that looks at the ring in place; 0 = none
	uint32_t reserved;    // W: thread that has reserved room at the tail; 0 = none
	uint32_t seal_wanted; // A: 1 = the next writer shall end the lease
	uint32_t pad6[5];
	uint32_t lease; // above
	uint32_t pad7;
};

_Static_assert(sizeof(struct pipe_control) == PIPE_PAGE - PHI_REGION_BODY, "control size");
_Static_assert(offsetof(struct pipe_control, stamp) % PIPE_LINE == 0, "the last line is a line");
_Static_assert(PHI_REGION_BODY + offsetof(struct pipe_control, lease) == 4088, "lease");

#endif

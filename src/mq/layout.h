// SPDX-License-Identifier: MIT
//
// Every byte of a message queue in shared memory. docs/mq.md tells the protocols; queue.h has the
// private view. All fields are hostile to a reader: load once, check, use the copy.
//
//   offset 0     struct phi_region_header       immutable
//   512          struct mq_control              the cache lines below
//   ring_at      u32 ring[ring_size]            slot numbers, by position modulo ring_size
//   next_at      u32 next[slots]                index: list links          guard R
//   blocks_at    struct mq_block[blocks]        index: lists by priority   guard R
//   slots_at     slots of slot_bytes            struct mq_slot, then the payload
//
// Geometry in the region header: [0] maxmsg [1] msgsize [2] slots [3] slot_bytes [4] ring_size
// [5] spares [6] blocks. Everything else follows from these (geometry.c), and an attacher recomputes
// it and refuses a header that does not agree.
#ifndef PHI_MQ_LAYOUT_H
#define PHI_MQ_LAYOUT_H

#include "core/layout.h"
#include "sync/layout.h"

#include <stdint.h>

#define MQ_LAYOUT 1
#define MQ_STAMP UINT32_C(0x6d713031)
#define MQ_NONE UINT32_MAX
#define MQ_LINE 64

#define MQ_MAX_DEPTH (UINT64_C(1) << 28)
#define MQ_MAX_SIZE (UINT64_C(1) << 40)
#define MQ_SPARES_MIN 2
#define MQ_SPARES_MAX 16
#define MQ_BORROWS 64

#define MQ_PRIORITIES 32768
#define MQ_BLOCK_PRIORITIES 128
#define MQ_BLOCKS_MAX (MQ_PRIORITIES / MQ_BLOCK_PRIORITIES)

// Guards: S = under the send lock, R = under the receive lock, N = under the notice lock, A = atomic, I = immutable,
// D = diagnostic (anybody writes, nobody relies on it). In one-lock mode (`polled`, see docs/mq.md) the
// send lock stands for both.

// A send reservation. Owns exactly one slot at all times; `claim` says who uses it: ticket << 16 |
// holder + 1. The ticket grows with every claim, so that a reaper cannot take a new one for the old.
//
//   claim    FREE (low bits 0) --reserve (CAS)--> held --commit, cancel, reap (CAS)--> FREE
//   slot     changes hands only in a commit, under S, told by mq_control.swap
struct mq_spare {
	uint64_t claim; // A
	uint32_t slot;  // the claimant; S during a swap
	uint32_t pad;
};

#define MQ_CLAIM_HOLDER UINT64_C(0xffff)
#define MQ_CLAIM_TICKET UINT64_C(0x10000)

// A borrowed message: slot `slot` whose message has sequence number `seq`. Meaningful only while owner
// is set and that very message stands in the slot outside the free window.
//
//   owner    FREE --borrow (R)--> holder+1 --release, cancel, reap (R)--> FREE
struct mq_borrow {
	uint32_t owner; // R
	uint32_t slot;  // R
	uint64_t seq;   // R
};

// An exchange of a reserved slot for the free slot at `pos`, in the making. Commit point: tail > pos.
struct mq_swap {
	uint64_t pos;    // S
	uint32_t active; // S   1 while the exchange may be half done
	uint32_t cell;   // S
	uint32_t given;  // S   the reserved slot: goes into the queue
	uint32_t taken;  // S   the free slot: becomes the cell's
	uint64_t pad;
};

// Who sleeps, for display. An entry is claimed by its tid (CAS 0 -> tid) and cleared by the sleeper; one
// that a killed sleeper left is recognised by its tid, and reused.
struct mq_sleeper {
	uint32_t tid;      // A
	uint32_t side;     // D   enum mq_side
	uint64_t since_ns; // D   CLOCK_MONOTONIC
};

#define MQ_SLEEPERS 128
#define MQ_DUES 8

// The registration of mq_notify. Guard: N, the lock beside it. The state word also carries the
// registrant's holder number and a generation: generation << 15 | holder << 2 | state.
//
//   IDLE --register--> ARMED --arrival--> IDLE      the sender delivered, or there is nothing to deliver
//                      ARMED --arrival--> HANDED    the sender may not: the registrant's thread shall
//                                         HANDED --registrant's thread--> IDLE, and delivers
//   ARMED, HANDED of a dead holder --register--> ARMED
struct mq_notice {
	uint32_t state;    // N to write, A to read
	int32_t pid;       // N   whose registration
	uint32_t how;      // N   SIGEV_*
	int32_t signo;     // N
	uint64_t value;    // N
	int32_t from_pid;  // N   who sent, where HANDED
	uint32_t from_uid; // N
	uint64_t pad[4];
};

enum mq_notice_state { MQ_NOTICE_IDLE, MQ_NOTICE_ARMED, MQ_NOTICE_HANDED };

#define MQ_NOTICE_STATE(w) ((enum mq_notice_state)((w)&3))
#define MQ_NOTICE_HOLDER(w) ((w) >> 2 & 0x1fff)
#define MQ_NOTICE_SAME(w, state) (((w) & ~UINT32_C(3)) | (uint32_t)(state))
#define MQ_NOTICE_NEXT(w, holder, state) \
	((((w) >> 15) + 1) << 15 | (uint32_t)(holder) << 2 | (uint32_t)(state))

// tx_asleep. A receiver that frees a slot wakes one sender; while that one is on its way, the others are
// his to wake (he does, if he leaves room), so that a crowd of senders costs one wake-up for a drained
// queue and not one for each message.
//
//   0          nobody sleeps          announce (R) --> odd
//   odd        somebody may sleep     receive (CAS) --> even; announce (R) --> another odd number
//   even, not 0: one is on his way since tx_since; another number for each claim, or who claimed and found
//              nobody could take back a later claim
//              he leaves room: wakes the next; leaves none (R) --> odd; nobody sleeps (CAS) --> 0;
//              on his way for more than MQ_ON_THE_WAY_MS (stopped, say): as odd; a receiver that goes to
//              sleep meanwhile looks again after that time
#define MQ_ON_THE_WAY_MS 8

struct mq_control {
	// Line 0: written when somebody goes to sleep or registers, read by every operation.
	uint32_t stamp;     // I   MQ_STAMP: a hole punched here reads 0
	uint32_t rx_asleep; // A   not 0: receivers may sleep; set under S, cleared by the ringer (CAS)
	uint32_t tx_asleep; // A   not 0: senders may sleep; its states stand above
	uint32_t polled;    // A   1: one-lock mode, the poll tokens are kept exact; set under R
	uint32_t watched;   // A   not 0: a registration or subscribers may exist
	uint32_t deathword; // I   0 for ever; sleepers also wait here, see sync/wait.h
	uint32_t loans; // R   borrow records [0, loans) may be in use: somebody has to look after them
	uint32_t mark;  // S   no message in [head, tail) has a higher priority than this
	uint32_t pad0[8];

	// Line 1: the send lock. guarded64: free_tail as last seen by a sender.
	struct phi_lock send;

	// Line 2: the senders' cursor. [head, tail) is sent and not yet indexed.
	uint64_t tail;    // S to write, A to read. One store of it commits a message.
	uint32_t tx_cpu;  // D
	int32_t tx_pid;   // D
	uint64_t tx_time; // D   CLOCK_MONOTONIC_COARSE, ns
	uint32_t pad2[10];

	// Line 3: the receive lock. guarded64: head; guarded64b: tail as last seen by a receiver;
	// guarded32: messages in the index.
	struct phi_lock recv;

	// Line 4: the receivers' cursor. [tail, free_tail) is free.
	uint64_t free_tail; // R to write, A to read. One store of it commits a receive.
	uint32_t rx_cpu;    // D
	int32_t rx_pid;     // D
	uint64_t rx_time;   // D
	uint32_t tx_since;  // R   ms: when tx_asleep became even
	uint32_t pad4[9];

	// Line 5: event words, bumped to ring.
	uint32_t rx_event;     // A   receivers sleep here
	uint32_t tx_event;     // A   senders sleep here
	uint32_t note_event;   // A   the notifying threads sleep here
	uint32_t generation;   // A   feeds rx_asleep and tx_asleep
	uint32_t borrowed;     // R   messages borrowed, recounted on repair
	uint32_t tokens;       // S   the poll tokens as last left: bytes in the fifo
	uint32_t due[MQ_DUES]; // A   tids of senders that may owe a notification, noted under S
	uint32_t arrivals;     // S   messages that came to the empty queue while watched
	uint32_t judged;       // S   low half of the tail up to which they are counted

	// Lines 6, 7
	struct mq_swap swap;
	uint64_t top[MQ_BLOCKS_MAX / 64]; // R   which blocks of 128 priorities are in use
	struct mq_notice notice;
	struct phi_lock notice_lock; // N

	uint16_t block_of[MQ_BLOCKS_MAX]; // R   top-level index: block number, valid where top says so
	uint64_t block_free[MQ_BLOCKS_MAX / 64]; // R   which blocks are free
	uint64_t pad7[4];

	struct mq_spare spare[MQ_SPARES_MAX];
	struct mq_borrow borrow[MQ_BORROWS];
	struct mq_sleeper sleeper[MQ_SLEEPERS];
};

_Static_assert(offsetof(struct mq_control, send) == 64, "send lock line");
_Static_assert(offsetof(struct mq_control, tail) == 128, "tail line");
_Static_assert(offsetof(struct mq_control, recv) == 192, "receive lock line");
_Static_assert(offsetof(struct mq_control, free_tail) == 256, "free_tail line");
_Static_assert(offsetof(struct mq_control, rx_event) == 320, "event line");
_Static_assert(offsetof(struct mq_control, swap) == 384, "swap");
_Static_assert(offsetof(struct mq_control, notice) == 448, "notice line");
_Static_assert(sizeof(struct mq_control) % MQ_LINE == 0, "arrays start on a line");

// 128 neighbouring priorities of the index: which are in use, and for each the last message of a
// circular list (its next is the first).
struct mq_block {
	uint64_t used[MQ_BLOCK_PRIORITIES / 64]; // R
	uint32_t last[MQ_BLOCK_PRIORITIES];      // R
};

_Static_assert(sizeof(struct mq_block) == 528, "block size");

// A slot's head; the payload follows. Written by whoever owns the slot before the commit.
struct mq_slot {
	uint64_t seq;      // position + 1; 0 = never a message. Queued if 0 < seq <= tail, outside the
					   // free window, and not borrowed: all that repair needs to know.
	uint64_t prio_len; // priority << 48 | length in bytes
};

_Static_assert(sizeof(struct mq_slot) == 16, "slot head size");

#endif

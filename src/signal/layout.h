// SPDX-License-Identifier: MIT
//
// A process's port as it stands in shared memory: sig.PID in the namespace directory, made by the process, written
// by whoever signals it; and a named port, port.NAME. docs/signal.md tells the protocol.
//
// Guards: I immutable; L the lock `send`; A atomic; O written by the owner (the process whose port it is) under
// its private lock, read by anybody; D diagnostic, no promise.
//
// The owner trusts nothing here but what it checks: dispositions, the queue that it has accepted, and the geometry
// are in its private memory, and what stands here of them is a copy for senders and onlookers.
#ifndef PHI_SIGNAL_LAYOUT_H
#define PHI_SIGNAL_LAYOUT_H

#include "core/layout.h"
#include "sync/layout.h"

#define SIGNAL_LAYOUT 1
#define SIGNAL_NUMBERS 65 // 1 to 64; 0 is none
#define SIGNAL_THREADS 64
#define SIGNAL_STANDARD 32 // 1 to 31

#define SIGNAL_BIT(signo) (UINT64_C(1) << ((signo)-1))
#define SIGNAL_QUEUED_MASK (~UINT64_C(0) << 31) // 32 to 64: those that queue

// `closed`: the owner has the lock, and hands all that is here to the kernel: who went there now would overtake it; it has
// done so, and everything goes there.
#define SIGNAL_CLOSING 2
#define SIGNAL_CLOSED 1

// One signal in the queue.
struct signal_record {
	uint64_t value;
	int32_t pid;
	uint32_t uid;
	int32_t code;
	uint16_t signo;
	uint16_t payload_bytes; // of payload[same index]
	// Its sender has sent by the kernel since its last one here: that comes first.
	uint32_t after_kernel;
	uint32_t reserved;
};

struct signal_payload {
	uint8_t bytes[64];
};

// The bell of one signal: the kernel's signal of that number, sent to the owner so that it looks here. It is
// outstanding while rung != heard: sent, and not yet taken by the owner. Both are L.
//
//   rung      heard    who moves it
//   n         n        nobody has rung: a sender whose signal is not looked for sends the bell, rung = n + 1
//   n + 1     n        outstanding: further senders need not ring; after a while one does, rung = n + 2
//   n + k     n + k    the owner has the bell: it drains the queue after this
struct signal_bell {
	uint32_t rung;
	uint32_t heard;
};

// A copy of a disposition, for display. O.
struct signal_action {
	uint64_t mask;
	uint32_t flags;
	uint32_t kind; // enum signal_kind
};

// A thread that has used the library for signals. `tid` is A (0 = free), the rest that thread's own, D.
struct signal_thread {
	uint32_t tid;
	uint32_t waiting;
	uint64_t blocked;
	uint64_t set;
	int64_t since_ns;
	uint32_t handling;
	uint8_t pad[28];
};

struct signal_port {
	// Under the lock a sender decides where its signal goes, and the owner changes what that depends on:
	//   guarded64   `quiet`: signals that are blocked in the whole process and looked for here: no bell
	//   guarded64b  `caught`: signals with a handler
	//   guarded64c  `asleep`: quiet signals that a thread sleeps for, in the kernel: a bell after all
	//   guarded64d  `queueing`: signals that queue; the others merge
	//   guarded32   the queue's depth
	struct phi_lock send;

	// The queue: records [taken, tail) are pending, those before `drained` (private) already in the owner's hands.
	// A store to `tail` or a bit of `standard` is the commit of a send.
	uint64_t tail;       // L to write, A to read
	uint64_t standard;   // A: pending standard signals; set under L, cleared by the owner
	uint32_t sender_cpu; // L, D: where the last sender ran, plus 1
	// A: `tail` with which `newest` is committed; 0 while it changes, or if the record is in the ring alone
	uint32_t newest_at;
	int64_t last_bell_ns; // L: CLOCK_MONOTONIC
	uint64_t events;      // L to write, A to read: grows with each commit
	// A: a copy of the record at tail - 1 as far as that says all, in the line that its taker looks at
	uint64_t newest[3];

	uint64_t taken;   // O, A: how many queued signals have been delivered or discarded
	uint64_t pending; // O, D: what the owner has in its hands
	uint8_t pad1[48]; // the owner writes this line with each signal: nothing that senders look at

	uint64_t sent;    // L, D
	uint64_t refused; // L, D
	int64_t last_ns;  // L, D
	int32_t last_pid; // L, D
	uint32_t last_uid;
	uint32_t last_signo;
	uint32_t ring_size; // L: slots in use, a power of two, at least the depth
	uint32_t closed;    // O, A: the owner becomes another program: SIGNAL_CLOSING, _CLOSED
	// O, A: grows each time the owner does without the lock, whose holder is stopped: who holds it looks here when it has
	// committed, because what it judged by may not be true any more, and its bell may have been heard before.
	uint32_t impatience;
	uint8_t pad2[16];

	struct signal_bell bell[SIGNAL_NUMBERS];
	uint8_t pad3[56];
	struct signal_record merged[SIGNAL_STANDARD]; // L: of the bits in `standard`
	struct signal_action action[SIGNAL_NUMBERS];
	uint8_t pad4[48];
	struct signal_thread thread[SIGNAL_THREADS];
};

_Static_assert(sizeof(struct signal_record) == 32, "record size");
_Static_assert(sizeof(struct signal_thread) == 64, "thread size");
_Static_assert(offsetof(struct signal_port, tail) == 64, "tail offset");
_Static_assert(offsetof(struct signal_port, taken) == 128, "taken offset");
_Static_assert(offsetof(struct signal_port, sent) == 192, "sent offset");
_Static_assert(offsetof(struct signal_port, bell) == 256, "bells offset");
_Static_assert(offsetof(struct signal_port, merged) == 832, "merged offset");
_Static_assert(offsetof(struct signal_port, action) == 1856, "actions offset");
_Static_assert(offsetof(struct signal_port, thread) == 2944, "threads offset");

// The file: header and port, the owner's mark at the end of the last page of that, the ring, the payloads. Ring and
// payloads have their place for the greatest depth, and memory for the depth in use.
//
// The mark is the number of a thread of the owner's, which the kernel changes when that thread ends (sync/mark.h): who finds
// it there knows without a system call that the port is somebody's.
#define SIGNAL_PAGE 4096
#define SIGNAL_RING_AT (2 * SIGNAL_PAGE)
#define SIGNAL_MARK_AT (SIGNAL_RING_AT - 16)
#define SIGNAL_RING_MAX 1048576
#define SIGNAL_PAYLOAD_AT \
	(SIGNAL_RING_AT + (uint64_t)SIGNAL_RING_MAX * sizeof(struct signal_record))
#define SIGNAL_FILE_BYTES \
	(SIGNAL_PAYLOAD_AT + (uint64_t)SIGNAL_RING_MAX * sizeof(struct signal_payload))

_Static_assert(PHI_REGION_BODY + sizeof(struct signal_port) <= SIGNAL_MARK_AT, "fits two pages");

// ---- named ports ----

#define SIGPORT_LAYOUT 1
#define SIGPORT_MEMBERS 128

// A process that has joined. `pid` is the commit, A; the rest L.
struct signal_member {
	int32_t pid; // 0 = free
	uint32_t reserved;
	uint64_t id;  // of its port (region header, id[0])
	uint64_t set; // the signals it takes
	uint64_t reserved2;
};

struct signal_named {
	struct phi_lock change;
	uint64_t sent; // D
	uint8_t pad[56];
	struct signal_member member[SIGPORT_MEMBERS];
};

_Static_assert(sizeof(struct signal_member) == 32, "member size");
_Static_assert(offsetof(struct signal_named, member) == 128, "members offset");

#define SIGPORT_FILE_BYTES 8192
_Static_assert(PHI_REGION_BODY + sizeof(struct signal_named) <= SIGPORT_FILE_BYTES, "fits");

#endif

// SPDX-License-Identifier: MIT
//
// The first 512 bytes of every object: who made it, what it is, and the stamp by which differently
// built programs refuse each other. Written once before the object gets its name, and never again;
// attachers copy it, check the copy, and use only the copy (pid_ns apart: it changes while nobody is
// attached, see life.h). The room's own layout follows at PHI_REGION_BODY.
#ifndef PHI_CORE_LAYOUT_H
#define PHI_CORE_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define PHI_REGION_MAGIC UINT64_C(0x3165747361687370) // "pshaste1" in memory
#define PHI_REGION_BODY 512

enum phi_kind {
	PHI_KIND_MQ = 1,
	PHI_KIND_PIPE = 2,
	PHI_KIND_SEM = 3,
	PHI_KIND_SIGNAL = 4,  // a process's port
	PHI_KIND_SIGPORT = 5, // a named one
	PHI_KIND_RECORD = 6,  // a process's recording of its operations
};

//   0        8        16       24       32       40       48       56
//   +--------+--------+--------+--------+--------+--------+--------+--------+
//   | magic  |kind|lay| bytes  | id[0]  | id[1]  | pid_ns |created |pid|rsvd|
//   +--------+--------+--------+--------+--------+--------+--------+--------+
//   | geometry[8]: the room's sizes and counts                              |
//   +-----------------------------------------------------------------------+
//   | name[256]: without the slash, terminated                              |
//   +-----------------------------------------------------------------------+
struct phi_region_header {
	uint64_t magic;
	uint32_t kind;     // enum phi_kind
	uint32_t layout;   // the room's layout version
	uint64_t bytes;    // size of the whole file
	uint64_t id[2];    // random; names companions, tells two objects of one name apart
	uint64_t pid_ns;   // inode of the users' pid namespace; 0 = unknown; see life.h
	int64_t created_s; // seconds since the epoch
	int32_t creator;   // pid, diagnostic
	uint32_t reserved;
	uint64_t geometry[8];
	char name[256];
	uint8_t pad[PHI_REGION_BODY - 384];
};

_Static_assert(sizeof(struct phi_region_header) == PHI_REGION_BODY, "region header size");
_Static_assert(offsetof(struct phi_region_header, geometry) == 64, "geometry offset");
_Static_assert(offsetof(struct phi_region_header, name) == 128, "name offset");

// Byte ranges of the object's file that carry open-file-description locks. They hold no data: the
// kernel drops them when the last descriptor of an open is gone, however that happened, and so they
// are the only judge of who lives. They lie far beyond any size.
#define PHI_LOCKBYTE_ATTACHED (INT64_C(1) << 56) // read-locked by every open
#define PHI_LOCKBYTE_HOLDER (INT64_C(1) << 57)   // + holder number: write-locked by one open
#define PHI_HOLDERS 4096

// ---- a recording: what a process has done last, for `posthaste trace` (docs/trace.md) ----
//
// Only its process writes, each thread into a ring of its own. Readers believe nothing of it.
//
//   0                   region header; geometry: entries of a ring, threads, names
//   512                 struct record_process
//   RECORD_NAMES_AT     struct record_name[RECORD_NAMES]
//   RECORD_THREADS_AT   struct record_thread[RECORD_THREADS]
//   RECORD_RINGS_AT     their rings, each given memory when its thread begins

#define RECORD_LAYOUT 1
#define RECORD_PREFIX ".rec."
#define RECORD_NAMES 64
#define RECORD_THREADS 64
#define RECORD_AHEAD 128
#define RECORD_DEPTH_MIN (2 * RECORD_AHEAD)
#define RECORD_DEPTH_MAX 16384 // less than the numbers that an entry's sequence can tell apart

struct record_process {
	int64_t began_ns;    // CLOCK_MONOTONIC, as all times here
	uint32_t unrecorded; // threads that have found no room
	uint32_t reserved;
	char command[32]; // terminated
};

// What an entry's object is called. `serial` is 0 while the rest is being written.
struct record_name {
	uint64_t serial; // counts up
	uint64_t key;
	uint32_t kind;   // enum record_kind
	uint32_t closed; // the place may be used again
	char text[104];  // terminated, perhaps shortened
};

// A cache line that one thread writes. `since_ns` is not 0 while it waits within an operation, and then stored last.
struct record_thread {
	uint64_t next;     // behind the last timed entry: up to RECORD_AHEAD more may have been written
	uint32_t tid;      // 0 = the ring has never been used
	uint32_t waits_in; // operation
	uint64_t waits_for; // its object
	int64_t since_ns;
	uint64_t first; // entries below are of a thread that had the ring before
	uint64_t reserved[3];
};

// One operation, once it is over. The entry of number n stands at n modulo the depth; it is whole when both words end
// with n's low 16 bits. `outcome` is stored last.
//
//    63                                        24  23  22     16 15        0
//   +--------------------------------------------+----+---------+-----------+
//   | object                              (48 bits)             | n         |
//   +--------------------------------------------+----+---------+-----------+
//   | result, or -errno                (40 bits) | T  | op      | n         |
//   +--------------------------------------------+----+---------+-----------+
//
// T: the two times are its own; else they are what stood there before.
struct record_entry {
	uint64_t object;
	uint64_t outcome;
	int64_t when_ns;    // when it was over
	uint64_t waited_ns; // how much of it was sleep
};

#define RECORD_KEY_MASK (UINT64_MAX >> 16)
#define RECORD_TIMED (UINT64_C(1) << 23)

#define RECORD_NAMES_AT 4096
#define RECORD_THREADS_AT (RECORD_NAMES_AT + RECORD_NAMES * 128)
#define RECORD_RINGS_AT (RECORD_THREADS_AT + RECORD_THREADS * 64)
#define RECORD_BYTES(depth) \
	(RECORD_RINGS_AT + RECORD_THREADS * (uint64_t)(depth) * sizeof(struct record_entry))

_Static_assert(sizeof(struct record_name) == 128, "name size");
_Static_assert(sizeof(struct record_thread) == 64, "thread size");
_Static_assert(sizeof(struct record_entry) == 32, "entry size");
_Static_assert(RECORD_RINGS_AT % 4096 == 0, "rings begin with a page");

#endif

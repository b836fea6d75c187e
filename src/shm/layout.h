// SPDX-License-Identifier: MIT
//
// Every byte of an arena that is not the user's. It stands in front of the blocks, never between them:
//
//   0         512        +64 each   +8 each   +8 a page   +4 a page         +128 a page    pages * 4096
//   +---------+----------+----------+---------+-----------+----------------+--------------+--------------
//   | header  | records  | buckets  | heads   | room bits of 32 classes    | slabs        | pages ...
//   +---------+----------+----------+---------+-----------+----------------+--------------+--------------
//
// Where each begins follows from the arena's size alone (arena.c), so nobody believes an offset that he read.
// The truth is two things: the heads, which divide the pages into runs, and in each slab the bits given and
// freed. The rest finds its way back to them: docs/arena.md.
//
// Guards: [i] immutable after ph_arena_make, [l] the arena's lock, [a] atomic, [h] the slab's holder, [o] the
// record's owner, or who has the lock when the owner is dead, [d] a hint that may be wrong.
#ifndef PHI_SHM_LAYOUT_H
#define PHI_SHM_LAYOUT_H

#include "sync/layout.h"

#include <stddef.h>
#include <stdint.h>

#define SHM_ARENA_MAGIC UINT64_C(0x31616e6572616870) // "pharena1" in memory
#define SHM_ARENA_LAYOUT 1

#define SHM_PAGE 4096
#define SHM_CLASSES 32      // sizes of small blocks
#define SHM_SLAB_BLOCKS 256 // of one slab, at most
#define SHM_SLAB_WORDS 4
#define SHM_SLAB_PAGES 16 // at most

struct shm_arena_header {
	uint64_t magic;   // [a] stored last; 0 while it is being made
	uint32_t layout;  // [i]
	uint32_t records; // [i] how many, for who looks from outside
	uint64_t bytes;   // [i] of the whole arena
	uint64_t pid_ns;  // [a] inode of the users' pid namespace, 0 unknown; see arena.c
	uint64_t cursor;  // [l] where the next search starts: always a head that counts
	uint8_t pad[24];
	// Pages (free heads), records (taking them), names. guarded32: the number of whose it is.
	struct phi_lock lock;
	uint8_t reserved[384];
};

// A head, 8 bytes for each page, tells what begins there:
//
//   kind       size class   pages      who may change it
//   0          0            0          nothing begins here: the inside of a run
//   FREE       0            1..        who has the lock
//   RUN        0            1..        anybody, once, to FREE: that is how a run is freed
//   SLAB       0..31        1..16      who has the lock and holds the slab
//   INSIDE     0            1..15      part of a slab that begins so many pages before
//
// Going from page 0 by `pages` leads to the heads that count, all the way to the last page. Between them may
// stand old FREE and INSIDE, which free nothing; RUN and SLAB never do.
#define SHM_HEAD_FREE 1
#define SHM_HEAD_RUN 2
#define SHM_HEAD_SLAB 3
#define SHM_HEAD_INSIDE 4

#define SHM_HEAD(kind, class, pages) \
	((uint64_t)(kind) << 56 | (uint64_t)(class) << 48 | (uint64_t)(pages))
#define SHM_HEAD_KIND(head) ((uint32_t)((head) >> 56))
#define SHM_HEAD_CLASS(head) ((uint32_t)((head) >> 48 & 0xff))
#define SHM_HEAD_PAGES(head) ((uint64_t)((head)&UINT64_C(0xffffffffffff)))

// A slab: pages divided into blocks of one class. Block i is allocated where given and freed differ in bit i:
// allocating turns the bit in `given`, freeing the one in `freed`. Bits beyond the last block differ for ever.
// Valid while the head of its first page says SLAB.
struct shm_slab {
	uint32_t holder; // [a] number of the record whose thread allocates here, 0 = nobody
	uint32_t full;   // [a] nobody looks here until a block is freed
	uint64_t given[SHM_SLAB_WORDS]; // [h]
	uint32_t user;                  // [d] number of the record whose thread allocates here by habit
	uint8_t pad[20];
	uint64_t freed[SHM_SLAB_WORDS]; // [a]
	uint8_t pad2[32];
};

// A thread's word on what it is doing. Record 0 is nobody's: it serves who has the lock and got no other.
struct shm_record {
	uint32_t tid; // [a] 0 = not taken; taken under the lock
	uint32_t pad;
	uint64_t born;  // [o] when the thread started, in ticks since boot: tids are used again
	uint64_t block; // [o] offset of what it is being given, or is about to free; 0 = nothing
	uint64_t where; // [o] where the offset is to stand; 0 = nowhere
	uint8_t pad2[32];
};

// The directory: a list of entries for each bucket, linked by offset. An entry is a small block.
struct shm_name {
	uint64_t next;   // [l] 0 = the last
	uint64_t offset; // [i] what the name leads to
	uint32_t hash;   // [i]
	uint32_t length; // [i] of the name
	char name[];     // [i] not terminated
};

_Static_assert(sizeof(struct shm_arena_header) == 512, "header size");
_Static_assert(offsetof(struct shm_arena_header, lock) == 64, "lock offset");
_Static_assert(sizeof(struct shm_slab) == 128, "slab size");
_Static_assert(offsetof(struct shm_slab, freed) == 64, "who frees writes a line of its own");
_Static_assert(sizeof(struct shm_record) == 64, "record size");
_Static_assert(sizeof(struct shm_name) == 24, "entry size");

#endif

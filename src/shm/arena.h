// SPDX-License-Identifier: MIT
//
// The private side of an arena; what its files share. Results are 0 or -errno.
//
//   arena.c           where everything is; make, attach, detach
//   arena_seat.c      what a thread has of an arena: its record, its slabs
//   arena_slab.c      small blocks; allocate and free
//   arena_page.c      runs of pages, under the lock
//   arena_reclaim.c   what the dead were being given; check and report
//   arena_name.c      the directory
//
// The protocols and the interleavings that they are made for are in docs/arena.md.
#ifndef PHI_SHM_ARENA_H
#define PHI_SHM_ARENA_H

#include "base/atomic.h"
#include "base/self.h"
#include "posthaste/shm.h"
#include "shm/layout.h"
#include "sync/lock.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// All of it is worked out from the size at attach, and not read again.
struct ph_arena {
	uint8_t *base;
	uint64_t bytes;
	uint64_t pages;
	uint64_t data; // offset of page 0
	uint32_t records;
	uint32_t buckets;    // a power of two
	uint64_t room_words; // of one class
	struct shm_arena_header *header;
	struct shm_record *record;
	uint64_t *bucket;
	uint64_t *head;
	uint64_t *room;
	struct shm_slab *slab;
	uint64_t pid_ns;
	struct arena_seat *seats;           // of this process, guarded by the registry's mutex
	uint32_t class_bytes[SHM_CLASSES];  // by the class
	uint32_t class_factor[SHM_CLASSES]; // 2^32 / bytes, rounded up: division by multiplication
};

// The slab in which a thread allocates blocks of one size.
struct arena_current {
	struct shm_slab *slab; // NULL = none
	uint64_t page;
	uint64_t head; // what its head must say
};

// What a thread has of an arena.
struct arena_seat {
	uintptr_t arena;     // struct ph_arena *; 0 once that is detached
	uint32_t generation; // of the process, when the record was taken
	uint32_t number;     // of the record, from 1: who I am in slab->holder
	struct shm_record *record;
	bool shared; // it is record 0: everything under the lock
	struct arena_current current[SHM_CLASSES];
	struct arena_seat *next_of_thread;
	struct arena_seat *next_of_arena;
};

extern __thread struct arena_seat *phi_arena_last_seat;

struct arena_op;

int phi_arena_seat_slow(struct ph_arena *a, struct arena_seat **seat);
// Under the lock, for who shares record 0: another one, if there is one by now.
int phi_arena_own_record(struct arena_op *op);
void phi_arena_leave_seats(struct ph_arena *a);
// Others may go on in the slabs that this thread used.
void phi_arena_leave_slabs(struct ph_arena *a, struct arena_seat *seat);
bool phi_arena_record_dead(const struct shm_record *record);

static inline int phi_arena_seat(struct ph_arena *a, struct arena_seat **seat)
{
	struct arena_seat *s = phi_arena_last_seat;
	uint32_t generation = load_relaxed_u32((uint32_t *)load_acquire_ptr(&phi_fork_word));
	*seat = s;
	if (__builtin_expect(s != NULL && load_relaxed_ptr(&s->arena) == (uintptr_t)a &&
	                         s->generation == generation,
	                     1))
		return 0;
	return phi_arena_seat_slow(a, seat);
}

// One call that may need the lock. The lock nests.
struct arena_op {
	struct ph_arena *a;
	struct arena_seat *seat;
	struct phi_hold hold;
	unsigned depth;
	uint32_t died; // number of whoever died with the lock; 0 = nobody, or nobody knows
	struct ph_arena_report *report; // counts what is reclaimed; may be NULL
};

int phi_arena_begin(struct arena_op *op, struct ph_arena *a);
void phi_arena_end(struct arena_op *op);
int phi_arena_lock(struct arena_op *op);
void phi_arena_unlock(struct arena_op *op);
// Under the lock: whose it is, as the seat has it now.
void phi_arena_sign_lock(struct arena_op *op);

// ---- the record: whoever dies now was being given this ----

static inline void phi_arena_intend(struct arena_seat *seat, uint64_t block, uint64_t where)
{
	store_relaxed_u64(&seat->record->where, where);
	compiler_barrier();
	store_relaxed_u64(&seat->record->block, block);
	compiler_barrier();
}

static inline void phi_arena_settled(struct arena_seat *seat)
{
	compiler_barrier();
	store_relaxed_u64(&seat->record->block, 0);
	compiler_barrier();
}

// ---- blocks ----

// Where a block is. A run has no slab.
struct arena_block {
	struct shm_slab *slab;
	uint64_t page;
	uint64_t head;
	uint64_t bytes;
	uint32_t index;
};

int phi_arena_find_block(const struct ph_arena *a, uint64_t offset, struct arena_block *b);
bool phi_arena_is_allocated(const struct ph_arena *a, const struct arena_block *b);
int phi_arena_alloc_op(struct arena_op *op, size_t bytes, uint64_t where, uint64_t *offset);
int phi_arena_alloc(struct ph_arena *a, size_t bytes, uint64_t where, uint64_t *offset);
int phi_arena_free_block(struct ph_arena *a, const struct arena_block *b);
int phi_arena_free(struct ph_arena *a, uint64_t offset);
// Free the block that the own record names, and which nobody else knows of: the record is settled.
void phi_arena_free_intended(struct arena_op *op);
uint64_t phi_arena_usable(const struct ph_arena *a, uint64_t offset);

// Bits of the blocks that are free in word w of a slab, as seen now.
static inline uint64_t phi_arena_free_bits(const struct shm_slab *slab, unsigned w)
{
	return ~(load_relaxed_u64(&slab->given[w]) ^ load_acquire_u64(&slab->freed[w])); // FREED
}

// How many blocks fit into a slab of so many pages.
static inline uint64_t phi_arena_slab_blocks(const struct ph_arena *a, unsigned cls, uint64_t pages)
{
	uint64_t n = pages * SHM_PAGE / a->class_bytes[cls];
	return n < SHM_SLAB_BLOCKS ? n : SHM_SLAB_BLOCKS;
}

// Those among the blocks of word w that a slab of n blocks has.
static inline uint64_t phi_arena_valid_bits(uint64_t n, unsigned w)
{
	uint64_t before = (uint64_t)w * 64;
	if (n <= before)
		return 0;
	return n - before >= 64 ? UINT64_MAX : (UINT64_C(1) << (n - before)) - 1;
}

static inline bool phi_arena_has_room(const struct shm_slab *slab)
{
	uint64_t any = 0;
	for (unsigned w = 0; w < SHM_SLAB_WORDS; w++)
		any |= phi_arena_free_bits(slab, w);
	return any != 0;
}

static inline uint64_t phi_arena_page_offset(const struct ph_arena *a, uint64_t page)
{
	return a->data + page * SHM_PAGE;
}

void phi_arena_set_room(struct ph_arena *a, unsigned cls, uint64_t page);

// ---- pages; all of it under the lock ----

// The head of a page to which a walk came: -EBADMSG if it is none.
int phi_arena_head(const struct ph_arena *a, uint64_t page, uint64_t *head);
int phi_arena_take_run(struct arena_op *op, uint64_t pages, uint64_t where, uint64_t *offset);
// Make a slab; the caller holds it.
int phi_arena_take_slab(struct arena_op *op, unsigned cls, struct arena_current *made);
// Free the slabs that have no block.
int phi_arena_retire(struct arena_op *op);

// ---- the dead, and the rest ----

// Blocks and slabs of the dead; with `all` their records too, at a question to the kernel for each user. The
// caller's record 0, if it has that, names no block.
int phi_arena_reclaim(struct arena_op *op, bool all);
int phi_arena_check(struct ph_arena *a, struct ph_arena_report *report);

int phi_arena_make(void *addr, size_t bytes);
int phi_arena_attach(void *addr, size_t bytes, struct ph_arena **arena);
void phi_arena_detach(struct ph_arena *a);

int phi_arena_bind(struct ph_arena *a, const char *name, uint64_t offset);
int phi_arena_find(struct ph_arena *a, const char *name, uint64_t *offset);
int phi_arena_unbind(struct ph_arena *a, const char *name, uint64_t *offset);
int phi_arena_names(struct ph_arena *a, int (*fn)(const char *name, uint64_t offset, void *arg),
                    void *arg, int *said);
// Under the lock: -EBADMSG, or how many there are.
int64_t phi_arena_count_names(struct ph_arena *a);

#endif

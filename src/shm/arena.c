// SPDX-License-Identifier: MIT
//
// Where everything is in an arena, by its size; making, attaching, detaching.
#include "shm/arena.h"

#include "core/life.h"

#include <stdlib.h>
#include <string.h>

#define PAGES_MAX UINT64_C(0xffffffff)

static uint64_t clamp(uint64_t v, uint64_t low, uint64_t high)
{
	return v < low ? low : v > high ? high : v;
}

static uint32_t power_of_two(uint64_t v)
{
	uint32_t p = 1;
	while (p < v)
		p *= 2;
	return p;
}

// 16, 32 .. 128 by steps of 16, then four sizes to each doubling, up to 8192.
static uint32_t bytes_of_class(unsigned cls)
{
	if (cls < 8)
		return 16 * (cls + 1);
	unsigned doubling = (cls - 8) / 4;
	unsigned quarter = (cls - 8) % 4;
	return (128U << doubling) + ((quarter + 1) * (32U << doubling));
}

static void set_classes(struct ph_arena *a)
{
	for (unsigned cls = 0; cls < SHM_CLASSES; cls++) {
		uint64_t bytes = bytes_of_class(cls);
		a->class_bytes[cls] = (uint32_t)bytes;
		a->class_factor[cls] = (uint32_t)(((UINT64_C(1) << 32) + bytes - 1) / bytes);
	}
}

// The same for everybody who knows the size.
static void set_geometry(struct ph_arena *a, void *addr, uint64_t bytes)
{
	uint64_t all = bytes / SHM_PAGE < PAGES_MAX ? bytes / SHM_PAGE : PAGES_MAX;
	uint8_t *at = addr;
	a->base = at;
	a->bytes = all * SHM_PAGE;
	a->records = (uint32_t)clamp(all / 4, 16, 4096);
	a->buckets = power_of_two(clamp(all / 4, 16, 65536));
	a->room_words = (all + 63) / 64;
	a->header = (struct shm_arena_header *)at;
	at += sizeof *a->header;
	a->record = (struct shm_record *)at;
	at += a->records * sizeof *a->record;
	a->bucket = (uint64_t *)at;
	at += a->buckets * sizeof *a->bucket;
	a->head = (uint64_t *)at;
	at += (all + 7) / 8 * 8 * sizeof *a->head; // whole lines
	a->room = (uint64_t *)at;
	at += SHM_CLASSES * a->room_words * sizeof *a->room;
	a->slab = (struct shm_slab *)at;
	at += all * sizeof *a->slab;
	a->data = ((uint64_t)(at - a->base) + SHM_PAGE - 1) / SHM_PAGE * SHM_PAGE;
	a->pages = all - a->data / SHM_PAGE;
	set_classes(a);
}

static bool is_place(const void *addr, size_t bytes)
{
	return addr != NULL && (uintptr_t)addr % SHM_PAGE == 0 && bytes >= PH_ARENA_MIN;
}

int phi_arena_make(void *addr, size_t bytes)
{
	struct ph_arena a;
	if (!is_place(addr, bytes))
		return -EINVAL;
	set_geometry(&a, addr, bytes);
	store_relaxed_u64(&a.header->magic, 0);
	memset((uint8_t *)addr + sizeof a.header->magic, 0, a.data - sizeof a.header->magic);
	a.header->layout = SHM_ARENA_LAYOUT;
	a.header->records = a.records;
	a.header->bytes = a.bytes;
	a.header->pid_ns = phi_life_pid_ns();
	a.head[0] = SHM_HEAD(SHM_HEAD_FREE, 0, a.pages);
	store_release_u64(&a.header->magic, SHM_ARENA_MAGIC); // ARENA_MADE
	return 0;
}

// ---- attach ----

static int check_header(const struct shm_arena_header *h, size_t bytes, uint64_t *size)
{
	if (load_acquire_u64(&h->magic) != SHM_ARENA_MAGIC) // ARENA_MADE
		return -EAGAIN;
	*size = load_relaxed_u64(&h->bytes);
	if (load_relaxed_u32(&h->layout) != SHM_ARENA_LAYOUT || *size < PH_ARENA_MIN || *size > bytes ||
	    *size % SHM_PAGE != 0)
		return -EBADMSG;
	return 0;
}

static bool is_used(const struct ph_arena *a)
{
	for (uint32_t i = 1; i < a->records; i++)
		if (load_relaxed_u32(&a->record[i].tid) != 0)
			return true;
	return false;
}

// Records and the lock name threads by numbers that mean nothing in another pid namespace. An arena that
// nobody uses changes over. Who takes a record meanwhile stores his tid and then looks at pid_ns; here the
// two are the other way round, so one sees the other.
static int adopt(struct ph_arena *a)
{
	uint64_t theirs = load_relaxed_u64(&a->header->pid_ns);
	a->pid_ns = phi_life_pid_ns();
	if (theirs == a->pid_ns || theirs == 0 || a->pid_ns == 0)
		return 0;
	if (is_used(a) || !cas_acq_rel_u64(&a->header->pid_ns, theirs, a->pid_ns))
		return -EXDEV;
	fence_seq_cst();
	if (!is_used(a))
		return 0;
	cas_acq_rel_u64(&a->header->pid_ns, a->pid_ns, theirs);
	return -EXDEV;
}

int phi_arena_attach(void *addr, size_t bytes, struct ph_arena **arena)
{
	uint64_t size = 0;
	int r = is_place(addr, bytes) ? check_header(addr, bytes, &size) : -EINVAL;
	if (r < 0)
		return r;
	struct ph_arena *a = calloc(1, sizeof *a);
	if (a == NULL)
		return -ENOMEM;
	set_geometry(a, addr, size);
	r = adopt(a);
	struct arena_seat *seat;
	if (r == 0)
		r = phi_arena_seat(a, &seat);
	if (r == 0 || r == -EAGAIN) { // a lock that somebody keeps is for the call that needs it
		*arena = a;
		return 0;
	}
	phi_arena_detach(a);
	return r;
}

void phi_arena_detach(struct ph_arena *a)
{
	phi_arena_leave_seats(a);
	free(a);
}

// ---- one call ----

#define PATIENCE_NS INT64_C(2000000000)

int phi_arena_lock(struct arena_op *op)
{
	if (op->depth++ > 0)
		return 0;
	struct phi_lock *lock = &op->a->header->lock;
	int r = phi_lock_take(&op->hold, lock, PATIENCE_NS);
	if (r == -EOWNERDEAD) {
		// What it was being given is free for others only after it has been settled; and the lock tells of a
		// death before anybody else can see it.
		op->died = load_relaxed_u32(&lock->guarded32);
		r = phi_arena_reclaim(op, false);
		op->died = 0;
		if (r < 0)
			phi_lock_drop(&op->hold, lock);
	}
	if (r < 0)
		op->depth--;
	else
		phi_arena_sign_lock(op);
	return r;
}

void phi_arena_sign_lock(struct arena_op *op)
{
	compiler_barrier();
	store_relaxed_u32(&op->a->header->lock.guarded32, op->seat->number);
	compiler_barrier();
}

void phi_arena_unlock(struct arena_op *op)
{
	if (--op->depth > 0)
		return;
	compiler_barrier();
	store_relaxed_u32(&op->a->header->lock.guarded32, 0);
	compiler_barrier();
	phi_lock_drop(&op->hold, &op->a->header->lock);
}

// Who has no record of his own keeps the lock until phi_arena_end.
static int begin_shared(struct arena_op *op)
{
	int r = phi_arena_lock(op);
	if (r < 0)
		return r;
	r = phi_arena_own_record(op);
	if (!op->seat->shared)
		phi_arena_unlock(op);
	return r;
}

int phi_arena_begin(struct arena_op *op, struct ph_arena *a)
{
	op->a = a;
	op->depth = 0;
	op->died = 0;
	op->report = NULL;
	int r = phi_arena_seat(a, &op->seat);
	if (r < 0)
		return r;
	phi_enter(&op->hold);
	if (op->seat->shared)
		r = begin_shared(op);
	if (r < 0)
		phi_leave(&op->hold);
	return r;
}

void phi_arena_end(struct arena_op *op)
{
	if (op->seat->shared) {
		phi_arena_leave_slabs(op->a, op->seat); // without the lock it uses none
		phi_arena_unlock(op);
	}
	phi_leave(&op->hold);
}

// SPDX-License-Identifier: MIT
//
// What the dead were being given, under the arena's lock; and the check of the whole arena.
//
// A dead thread's record names a block only if it held the block's slab, or the lock, when it wrote that, and
// nobody was given the block since. So: the block is allocated and not in its place: it was the dead's, and is
// freed. It is freed while its slab is held, by the dead or by us, and a slab is let go only when the record is
// settled; so of two who settle it one after the other, the second finds a free block and not another's.
#include "shm/arena.h"

#include <sched.h>
#include <string.h>

#define RECORDS_MAX 4096
#define FREEZE_TRIES (1 << 14)

struct dead {
	uint64_t bits[RECORDS_MAX / 64];
	bool any;
};

static bool is_dead(const struct dead *d, uint32_t i)
{
	return (d->bits[i / 64] >> i % 64 & 1) != 0;
}

static void set_dead(struct dead *d, uint32_t i, bool dead)
{
	uint64_t bit = UINT64_C(1) << i % 64;
	d->bits[i / 64] = dead ? d->bits[i / 64] | bit : d->bits[i / 64] & ~bit;
	d->any |= dead;
}

// Who was being given something, or holds a slab: nobody else's death matters to the blocks.
static void find_busy(const struct ph_arena *a, struct dead *d)
{
	memset(d, 0, sizeof *d);
	for (uint32_t i = 0; i < a->records; i++)
		if (load_relaxed_u64(&a->record[i].block) != 0)
			set_dead(d, i, true);
	for (uint64_t page = 0; page < a->pages; page++) {
		uint32_t i = load_relaxed_u32(&a->slab[page].holder) - 1;
		if (i < a->records)
			set_dead(d, i, true);
	}
}

// Record 0 was its user's as long as he had the lock.
static void find_dead(const struct arena_op *op, struct dead *d, bool all)
{
	const struct ph_arena *a = op->a;
	struct dead busy;
	memset(d, 0, sizeof *d);
	find_busy(a, &busy);
	if (is_dead(&busy, 0))
		set_dead(d, 0, true);
	for (uint32_t i = 1; i < a->records; i++) {
		const struct shm_record *record = &a->record[i];
		if ((all || is_dead(&busy, i)) && record != op->seat->record &&
		    load_relaxed_u32(&record->tid) != 0 && phi_arena_record_dead(record))
			set_dead(d, i, true);
	}
	if (op->died > 1 && op->died - 1 < a->records && &a->record[op->died - 1] != op->seat->record)
		set_dead(d, op->died - 1, true);
}

// Nobody of the living who uses the number has it now: a record is given up only after its slabs.
static bool is_nobody(const struct arena_op *op, const struct dead *d, uint32_t holder)
{
	uint32_t i = holder - 1;
	if (holder == op->seat->number || i >= op->a->records || is_dead(d, i))
		return true;
	return i == 0 || load_relaxed_u32(&op->a->record[i].tid) == 0;
}

// Nobody is given a block of the slab from here until let_go_all.
static bool freeze(const struct arena_op *op, const struct dead *d, struct shm_slab *slab)
{
	for (int i = 0; i < FREEZE_TRIES; i++) {
		uint32_t holder = load_relaxed_u32(&slab->holder);
		if (holder == 0 && cas_acquire_u32(&slab->holder, 0, op->seat->number)) // HOLDER
			return true;
		if (holder != 0 && is_nobody(op, d, holder))
			return true;
		if (i % 64 == 63)
			sched_yield();
		cpu_relax();
	}
	return false;
}

static bool is_in_place(const struct ph_arena *a, const struct shm_record *record, uint64_t block)
{
	uint64_t where = load_relaxed_u64(&record->where);
	if (where == 0 || where > a->bytes - sizeof where || where % sizeof where != 0)
		return false;
	return load_acquire_u64((const uint64_t *)(a->base + where)) == block;
}

// False if somebody who lives keeps us from it.
static bool settle(const struct arena_op *op, const struct dead *d, struct shm_record *record)
{
	uint64_t block = load_relaxed_u64(&record->block);
	struct arena_block b;
	if (block == 0 || is_in_place(op->a, record, block) ||
	    phi_arena_find_block(op->a, block, &b) < 0)
		return true;
	if (b.slab != NULL && !freeze(op, d, b.slab))
		return false;
	if (!phi_arena_is_allocated(op->a, &b) || phi_arena_free_block(op->a, &b) < 0)
		return true;
	if (op->report != NULL) {
		op->report->reclaimed_blocks++;
		op->report->reclaimed_bytes += b.bytes;
	}
	return true;
}

static void settle_all(const struct arena_op *op, struct dead *d)
{
	for (uint32_t i = 0; i < op->a->records; i++) {
		struct shm_record *record = &op->a->record[i];
		if (!is_dead(d, i))
			continue;
		if (!settle(op, d, record))
			set_dead(d, i, false); // next time
		else
			store_relaxed_u64(&record->block, 0);
	}
	compiler_barrier();
}

// Any page: somebody may have died looking at a slab that is none any more.
static void let_go_all(const struct arena_op *op, const struct dead *d)
{
	for (uint64_t page = 0; page < op->a->pages; page++) {
		uint32_t *holder = &op->a->slab[page].holder;
		uint32_t v = load_relaxed_u32(holder);
		if (v != 0 && is_nobody(op, d, v))
			cas_acq_rel_u32(holder, v, 0); // HOLDER
	}
}

static void clear_records(const struct arena_op *op, const struct dead *d)
{
	for (uint32_t i = 1; i < op->a->records; i++)
		if (is_dead(d, i))
			store_release_u32(&op->a->record[i].tid, 0);
}

int phi_arena_reclaim(struct arena_op *op, bool all)
{
	struct dead d;
	find_dead(op, &d, all);
	if (!d.any)
		return 0;
	settle_all(op, &d);
	let_go_all(op, &d);
	clear_records(op, &d);
	return 0;
}

// ---- check ----

static uint64_t count_bits(uint64_t v)
{
	return (uint64_t)__builtin_popcountll(v);
}

// A slab with room that nobody will look at: its user died, or who freed a block in it.
static void offer(struct ph_arena *a, uint64_t page, uint64_t head)
{
	struct shm_slab *slab = &a->slab[page];
	uint32_t user = load_relaxed_u32(&slab->user) - 1;
	bool used = user > 0 && user < a->records && load_relaxed_u32(&a->record[user].tid) != 0;
	if (!phi_arena_has_room(slab))
		return;
	if (exchange_acq_rel_u32(&slab->full, 0) != 0 || !used)
		phi_arena_set_room(a, SHM_HEAD_CLASS(head), page);
}

static int count_slab(struct ph_arena *a, uint64_t page, uint64_t head, struct ph_arena_report *r)
{
	unsigned cls = SHM_HEAD_CLASS(head);
	uint64_t blocks = phi_arena_slab_blocks(a, cls, SHM_HEAD_PAGES(head));
	uint64_t room = 0;
	for (unsigned w = 0; w < SHM_SLAB_WORDS; w++) {
		uint64_t bits = phi_arena_free_bits(&a->slab[page], w);
		if ((bits & ~phi_arena_valid_bits(blocks, w)) != 0)
			return -EBADMSG;
		room += count_bits(bits);
	}
	r->free_bytes += room * a->class_bytes[cls];
	r->used_blocks += blocks - room;
	r->used_bytes += (blocks - room) * a->class_bytes[cls];
	if (room > 0 && r->largest_bytes < a->class_bytes[cls])
		r->largest_bytes = a->class_bytes[cls];
	offer(a, page, head);
	return 0;
}

static void count_pages(uint64_t head, struct ph_arena_report *r, uint64_t *in_a_row)
{
	uint64_t bytes = SHM_HEAD_PAGES(head) * SHM_PAGE;
	if (SHM_HEAD_KIND(head) == SHM_HEAD_RUN) {
		r->used_blocks++;
		r->used_bytes += bytes;
		return;
	}
	r->free_bytes += bytes;
	*in_a_row += bytes;
	if (r->largest_bytes < *in_a_row)
		r->largest_bytes = *in_a_row;
}

static int count(struct ph_arena *a, struct ph_arena_report *report)
{
	uint64_t head;
	uint64_t in_a_row = 0;
	for (uint64_t page = 0; page < a->pages; page += SHM_HEAD_PAGES(head)) {
		int r = phi_arena_head(a, page, &head);
		if (r == 0 && SHM_HEAD_KIND(head) == SHM_HEAD_SLAB)
			r = count_slab(a, page, head, report);
		if (r < 0)
			return r;
		if (SHM_HEAD_KIND(head) != SHM_HEAD_FREE)
			in_a_row = 0;
		if (SHM_HEAD_KIND(head) != SHM_HEAD_SLAB)
			count_pages(head, report, &in_a_row);
	}
	int64_t names = phi_arena_count_names(a);
	report->names = names < 0 ? 0 : (uint64_t)names;
	return names < 0 ? (int)names : 0;
}

static int check(struct arena_op *op, struct ph_arena_report *report)
{
	report->bytes = op->a->bytes;
	int r = phi_arena_reclaim(op, true);
	if (r == 0)
		r = phi_arena_retire(op);
	return r == 0 ? count(op->a, report) : r;
}

int phi_arena_check(struct ph_arena *a, struct ph_arena_report *report)
{
	struct arena_op op;
	struct ph_arena_report found = {0};
	int r = phi_arena_begin(&op, a);
	if (r < 0)
		return r;
	op.report = &found;
	r = phi_arena_lock(&op);
	if (r == 0) {
		r = check(&op, &found);
		phi_arena_unlock(&op);
	}
	phi_arena_end(&op);
	if (r == 0 && report != NULL)
		*report = found;
	return r;
}

// SPDX-License-Identifier: MIT
//
// Blocks: from a size to a block and back. Small ones come from slabs.
//
// Who allocates holds the slab for a few instructions: a compare-and-swap of slab->holder from 0 to his number,
// which nobody waits for (who finds it held goes to another slab). Whoever holds it is the only one who turns
// bits in `given`, so of a holder who died it is exactly known what he did. Freeing holds nothing: one
// compare-and-swap in `freed` is all of it.
//
// Pairs: HOLDER orders `given` between holders; FREED orders what the last user did with a block before what the
// next one does; FULL is the pair of who gives up a slab and of who frees a block in it.
#include "shm/arena.h"

#define TRIES (1 << 20) // of a compare-and-swap that others keep from succeeding

// ---- sizes ----

static inline unsigned class_of(size_t bytes)
{
	uint64_t last = (uint64_t)bytes - 1;
	if (last < 128)
		return (unsigned)(last >> 4);
	if (last >= 4096)
		return SHM_CLASSES - 1; // blocks of whole pages: of 8192 only
	unsigned log = 63 - (unsigned)__builtin_clzll(last);
	return 8 + (log - 7) * 4 + (unsigned)(last >> (log - 2) & 3);
}

static inline bool is_small(const struct ph_arena *a, size_t bytes)
{
	return bytes <= a->class_bytes[SHM_CLASSES - 1];
}

// ---- room: which slabs of a class are worth a look ----

void phi_arena_set_room(struct ph_arena *a, unsigned cls, uint64_t page)
{
	uint64_t *word = &a->room[cls * a->room_words + page / 64];
	uint64_t bit = UINT64_C(1) << page % 64;
	for (int i = 0; i < TRIES; i++) {
		uint64_t v = load_relaxed_u64(word);
		if ((v & bit) != 0 || cas_acq_rel_u64(word, v, v | bit))
			return;
	}
}

// Take a page off the word: 0..63, or -1.
static int take_bit(uint64_t *word)
{
	for (int i = 0; i < TRIES; i++) {
		uint64_t v = load_relaxed_u64(word);
		if (v == 0)
			return -1;
		if (cas_acq_rel_u64(word, v, v & (v - 1)))
			return __builtin_ctzll(v);
	}
	return -1;
}

// The next slab that has room, as far as one can know; it is nobody else's then.
static bool take_room(struct ph_arena *a, unsigned cls, struct arena_current *c)
{
	for (uint64_t w = 0; w < a->room_words; w++) {
		int bit = take_bit(&a->room[cls * a->room_words + w]);
		uint64_t page = w * 64 + (uint64_t)bit;
		if (bit < 0 || page >= a->pages)
			continue;
		uint64_t head;
		if (phi_arena_head(a, page, &head) == 0 && SHM_HEAD_KIND(head) == SHM_HEAD_SLAB &&
		    SHM_HEAD_CLASS(head) == cls) {
			*c = (struct arena_current){&a->slab[page], page, head};
			return true;
		}
	}
	return false;
}

// ---- one block of a slab that we hold ----

static inline uint64_t give_bit(struct ph_arena *a, struct arena_seat *seat,
                                const struct arena_current *c, unsigned w, uint64_t where)
{
	uint64_t given = load_relaxed_u64(&c->slab->given[w]);
	uint64_t room = ~(given ^ load_acquire_u64(&c->slab->freed[w])); // FREED
	if (room == 0)
		return 0;
	uint64_t bytes = a->class_bytes[SHM_HEAD_CLASS(c->head)];
	uint64_t from = (w * 64 + (uint64_t)__builtin_ctzll(room)) * bytes;
	if (__builtin_expect(from + bytes > SHM_HEAD_PAGES(c->head) * SHM_PAGE, 0))
		return 0; // a scribbled word
	uint64_t offset = phi_arena_page_offset(a, c->page) + from;
	phi_arena_intend(seat, offset, where);
	store_relaxed_u64(&c->slab->given[w], given ^ (room & -room)); // the block is allocated
	return offset;
}

static inline uint64_t give(struct ph_arena *a, struct arena_seat *seat,
                            const struct arena_current *c, uint64_t where)
{
	for (unsigned w = 0; w < SHM_SLAB_WORDS; w++) {
		uint64_t offset = give_bit(a, seat, c, w, where);
		if (offset != 0)
			return offset;
	}
	return 0;
}

// Give it up as full, unless a block was freed meanwhile. Who frees one turns its bit and then looks at
// `full`; here it is the other way round.
static uint64_t give_up(struct ph_arena *a, struct arena_seat *seat, struct arena_current *c,
                        uint64_t where)
{
	store_relaxed_u32(&c->slab->user, 0);
	store_relaxed_u32(&c->slab->full, 1);
	fence_seq_cst(); // FULL
	uint64_t offset = give(a, seat, c, where);
	if (offset == 0)
		return 0;
	store_relaxed_u32(&c->slab->full, 0);
	store_relaxed_u32(&c->slab->user, seat->number);
	return offset;
}

static inline bool hold_slab(struct arena_seat *seat, const struct ph_arena *a,
                             const struct arena_current *c)
{
	if (!cas_acquire_u32(&c->slab->holder, 0, seat->number)) // HOLDER
		return false;
	// It may have been retired, and made anew for another size.
	if (load_relaxed_u64(&a->head[c->page]) == c->head)
		return true;
	store_release_u32(&c->slab->holder, 0);
	return false;
}

static inline void let_go(const struct arena_current *c)
{
	store_release_u32(&c->slab->holder, 0); // HOLDER
}

// From the slab that this thread uses for the size; 0 and none if that has nothing.
static inline uint64_t from_current(struct ph_arena *a, struct arena_seat *seat, unsigned cls,
                                    uint64_t where)
{
	struct arena_current *c = &seat->current[cls];
	if (__builtin_expect(c->slab == NULL, 0))
		return 0;
	uint64_t offset = 0;
	if (__builtin_expect(hold_slab(seat, a, c), 1)) {
		offset = give(a, seat, c, where);
		if (__builtin_expect(offset == 0, 0))
			offset = give_up(a, seat, c, where);
		let_go(c);
	}
	if (__builtin_expect(offset == 0, 0))
		c->slab = NULL;
	return offset;
}

// ---- when the own slab has nothing ----

static uint64_t from_room(struct arena_op *op, unsigned cls, uint64_t where)
{
	struct arena_current *c = &op->seat->current[cls];
	for (uint64_t i = 0; i < op->a->pages && take_room(op->a, cls, c); i++) {
		store_relaxed_u32(&c->slab->user, op->seat->number);
		uint64_t offset = from_current(op->a, op->seat, cls, where);
		if (offset != 0)
			return offset;
	}
	c->slab = NULL;
	return 0;
}

static int from_new(struct arena_op *op, unsigned cls, uint64_t where, uint64_t *offset)
{
	struct arena_current *c = &op->seat->current[cls];
	int r = phi_arena_lock(op);
	if (r < 0)
		return r;
	r = phi_arena_take_slab(op, cls, c);
	if (r == 0) {
		*offset = give(op->a, op->seat, c, where);
		let_go(c);
	}
	phi_arena_unlock(op);
	return r;
}

// From any slab of blocks that are large enough, whoever uses it.
static int from_any(struct arena_op *op, unsigned cls, uint64_t where, uint64_t *offset)
{
	struct ph_arena *a = op->a;
	uint64_t head;
	for (uint64_t page = 0; page < a->pages; page += SHM_HEAD_PAGES(head)) {
		int r = phi_arena_head(a, page, &head);
		if (r < 0)
			return r;
		struct arena_current c = {&a->slab[page], page, head};
		if (SHM_HEAD_KIND(head) != SHM_HEAD_SLAB || SHM_HEAD_CLASS(head) < cls ||
		    !hold_slab(op->seat, a, &c))
			continue;
		*offset = give(a, op->seat, &c, where);
		let_go(&c);
		if (*offset != 0)
			return 0;
	}
	return -ENOMEM;
}

// No pages left: those of empty slabs, what the dead had, a larger block.
static int when_short(struct arena_op *op, unsigned cls, uint64_t where, uint64_t *offset)
{
	int r = phi_arena_lock(op);
	if (r < 0)
		return r;
	r = phi_arena_reclaim(op, false);
	if (r >= 0)
		r = phi_arena_retire(op);
	if (r >= 0)
		r = from_new(op, cls, where, offset);
	if (r == -ENOMEM)
		r = from_any(op, cls, where, offset);
	phi_arena_unlock(op);
	return r;
}

static int alloc_small(struct arena_op *op, unsigned cls, uint64_t where, uint64_t *offset)
{
	*offset = from_current(op->a, op->seat, cls, where);
	if (*offset == 0)
		*offset = from_room(op, cls, where);
	int r = *offset == 0 ? from_new(op, cls, where, offset) : 0;
	return r == -ENOMEM ? when_short(op, cls, where, offset) : r;
}

static int alloc_run(struct arena_op *op, size_t bytes, uint64_t where, uint64_t *offset)
{
	if (bytes > op->a->pages * SHM_PAGE)
		return -ENOMEM;
	uint64_t pages = ((uint64_t)bytes + SHM_PAGE - 1) / SHM_PAGE;
	int r = phi_arena_lock(op);
	if (r < 0)
		return r;
	r = phi_arena_take_run(op, pages, where, offset);
	if (r == -ENOMEM) {
		r = phi_arena_reclaim(op, false);
		if (r >= 0)
			r = phi_arena_retire(op);
		if (r >= 0)
			r = phi_arena_take_run(op, pages, where, offset);
	}
	phi_arena_unlock(op);
	return r;
}

// ---- allocate ----

int phi_arena_alloc_op(struct arena_op *op, size_t bytes, uint64_t where, uint64_t *offset)
{
	*offset = 0;
	if (is_small(op->a, bytes))
		return alloc_small(op, class_of(bytes), where, offset);
	return alloc_run(op, bytes, where, offset);
}

// The caller has it: from here on it is his to account for.
static inline void hand_over(const struct ph_arena *a, struct arena_seat *seat, uint64_t where,
                             uint64_t offset)
{
	if (where != 0)
		store_release_u64((uint64_t *)(a->base + where), offset);
	phi_arena_settled(seat);
}

static int alloc_slowly(struct ph_arena *a, size_t bytes, uint64_t where, uint64_t *offset)
{
	struct arena_op op;
	int r = phi_arena_begin(&op, a);
	if (r < 0)
		return r;
	r = phi_arena_alloc_op(&op, bytes, where, offset);
	if (r == 0)
		hand_over(a, op.seat, where, *offset);
	phi_arena_end(&op);
	return r;
}

int phi_arena_alloc(struct ph_arena *a, size_t bytes, uint64_t where, uint64_t *offset)
{
	struct arena_seat *seat;
	if (bytes == 0)
		return -EINVAL;
	int r = phi_arena_seat(a, &seat);
	if (r < 0)
		return r;
	uint64_t got = is_small(a, bytes) ? from_current(a, seat, class_of(bytes), where) : 0;
	if (__builtin_expect(got == 0, 0))
		return alloc_slowly(a, bytes, where, offset);
	hand_over(a, seat, where, got);
	*offset = got;
	return 0;
}

// ---- free ----

static inline int find_in_slab(const struct ph_arena *a, uint64_t in, struct arena_block *b)
{
	unsigned cls = SHM_HEAD_CLASS(b->head);
	uint64_t bytes = SHM_HEAD_PAGES(b->head) * SHM_PAGE;
	if (cls >= SHM_CLASSES || bytes > (uint64_t)SHM_SLAB_PAGES * SHM_PAGE ||
	    SHM_HEAD_PAGES(b->head) > a->pages - b->page)
		return -EBADMSG;
	uint64_t from = in - b->page * SHM_PAGE;
	uint64_t index = from * a->class_factor[cls] >> 32;
	b->bytes = a->class_bytes[cls];
	b->index = (uint32_t)index;
	b->slab = &a->slab[b->page];
	bool there = index * b->bytes == from && index < SHM_SLAB_BLOCKS && from + b->bytes <= bytes;
	return there ? 0 : -EINVAL;
}

static inline int find_block(const struct ph_arena *a, uint64_t offset, struct arena_block *b)
{
	uint64_t in = offset - a->data;
	if (offset < a->data || in >= a->pages * SHM_PAGE)
		return -EINVAL;
	b->page = in / SHM_PAGE;
	b->head = load_acquire_u64(&a->head[b->page]); // HEAD
	if (SHM_HEAD_KIND(b->head) == SHM_HEAD_INSIDE) {
		uint64_t back = SHM_HEAD_PAGES(b->head);
		if (back > b->page)
			return -EINVAL;
		b->page -= back;
		b->head = load_acquire_u64(&a->head[b->page]); // HEAD
		if (SHM_HEAD_KIND(b->head) != SHM_HEAD_SLAB || back >= SHM_HEAD_PAGES(b->head))
			return -EINVAL;
	}
	if (SHM_HEAD_KIND(b->head) == SHM_HEAD_SLAB)
		return find_in_slab(a, in, b);
	b->slab = NULL;
	b->bytes = SHM_HEAD_PAGES(b->head) * SHM_PAGE;
	if (SHM_HEAD_KIND(b->head) != SHM_HEAD_RUN || offset % SHM_PAGE != 0)
		return -EINVAL;
	return SHM_HEAD_PAGES(b->head) <= a->pages - b->page ? 0 : -EBADMSG;
}

int phi_arena_find_block(const struct ph_arena *a, uint64_t offset, struct arena_block *b)
{
	return find_block(a, offset, b);
}

bool phi_arena_is_allocated(const struct ph_arena *a, const struct arena_block *b)
{
	if (b->slab == NULL)
		return load_relaxed_u64(&a->head[b->page]) == b->head;
	return (phi_arena_free_bits(b->slab, b->index / 64) >> b->index % 64 & 1) == 0;
}

static inline int free_bit(const struct arena_block *b)
{
	uint64_t *word = &b->slab->freed[b->index / 64];
	uint64_t bit = UINT64_C(1) << b->index % 64;
	for (int i = 0; i < TRIES; i++) {
		uint64_t freed = load_relaxed_u64(word);
		if (((load_relaxed_u64(&b->slab->given[b->index / 64]) ^ freed) & bit) == 0)
			return -EINVAL;
		if (cas_acq_rel_u64(word, freed, freed ^ bit)) // FREED
			return 0;
	}
	return -EBADMSG;
}

static void announce_room(struct ph_arena *a, const struct arena_block *b)
{
	if (exchange_acq_rel_u32(&b->slab->full, 0) != 0)
		phi_arena_set_room(a, SHM_HEAD_CLASS(b->head), b->page);
}

static int free_run(struct ph_arena *a, const struct arena_block *b)
{
	uint64_t head = SHM_HEAD(SHM_HEAD_FREE, 0, SHM_HEAD_PAGES(b->head));
	return cas_acq_rel_u64(&a->head[b->page], b->head, head) ? 0 : -EINVAL;
}

static inline int free_block(struct ph_arena *a, const struct arena_block *b)
{
	if (b->slab == NULL)
		return free_run(a, b);
	int r = free_bit(b);
	if (r < 0)
		return r;
	fence_after_rmw(); // FULL
	if (__builtin_expect(load_relaxed_u32(&b->slab->full) != 0, 0))
		announce_room(a, b);
	return 0;
}

int phi_arena_free_block(struct ph_arena *a, const struct arena_block *b)
{
	return free_block(a, b);
}

int phi_arena_free(struct ph_arena *a, uint64_t offset)
{
	struct arena_block b;
	int r = find_block(a, offset, &b);
	return r < 0 ? r : free_block(a, &b);
}

#define HOLD_TRIES (1 << 14)

static bool hold_soon(struct arena_seat *seat, struct shm_slab *slab)
{
	for (int i = 0; i < HOLD_TRIES; i++) {
		if (cas_acquire_u32(&slab->holder, 0, seat->number)) // HOLDER
			return true;
		cpu_relax();
	}
	return false;
}

// As long as we hold the slab nobody is given the block again: of a death in between it can be told whether it
// was freed. Somebody who was stopped while he holds the slab is not waited for; then a death at the one
// instruction between the two loses the block.
void phi_arena_free_intended(struct arena_op *op)
{
	struct arena_block b;
	uint64_t offset = load_relaxed_u64(&op->seat->record->block);
	bool found = find_block(op->a, offset, &b) == 0 && b.slab != NULL;
	bool held = found && hold_soon(op->seat, b.slab);
	if (!held)
		phi_arena_settled(op->seat);
	if (found)
		free_block(op->a, &b);
	if (held) {
		phi_arena_settled(op->seat);
		store_release_u32(&b.slab->holder, 0); // HOLDER
	}
}

uint64_t phi_arena_usable(const struct ph_arena *a, uint64_t offset)
{
	struct arena_block b;
	if (find_block(a, offset, &b) < 0 || !phi_arena_is_allocated(a, &b))
		return 0;
	return b.bytes;
}

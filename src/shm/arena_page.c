// SPDX-License-Identifier: MIT
//
// Pages, under the arena's lock. The heads divide them into runs, and every change of that is one store into a
// head that counts; what a store makes count was written before:
//
//   merge    [FREE a][FREE b]    ->  [FREE a+b]         the first head
//   split    [FREE a+b]          ->  [RUN a][FREE b]    the second head, then the first
//   slab     [FREE a+b]          ->  [SLAB a][FREE b]   the second head, those inside, the bits; then the first
//   retire   [SLAB a]            ->  [FREE a]           the head, while the empty slab is held
//   free     [RUN a]             ->  [FREE a]           the head, by anybody, without the lock
//
// Neighbours are merged by who walks past them in search of pages. The search goes on where the last one ended.
// `cursor` must be a head that counts, so it moves to the first of a run before that swallows it.
#include "shm/arena.h"

#define HOLD_TRIES 1000

int phi_arena_head(const struct ph_arena *a, uint64_t page, uint64_t *head)
{
	uint64_t h = load_acquire_u64(&a->head[page]); // HEAD
	uint64_t pages = SHM_HEAD_PAGES(h);
	*head = h;
	if (pages == 0 || pages > a->pages - page)
		return -EBADMSG;
	switch (SHM_HEAD_KIND(h)) {
	case SHM_HEAD_FREE:
	case SHM_HEAD_RUN: return 0;
	case SHM_HEAD_SLAB:
		return SHM_HEAD_CLASS(h) < SHM_CLASSES && pages <= SHM_SLAB_PAGES ? 0 : -EBADMSG;
	default: return -EBADMSG;
	}
}

// All that is free from this page on becomes one run: its pages, or -EBADMSG.
static int64_t merge(struct ph_arena *a, uint64_t page, uint64_t head)
{
	uint64_t pages = SHM_HEAD_PAGES(head);
	while (page + pages < a->pages) {
		uint64_t next;
		int r = phi_arena_head(a, page + pages, &next);
		if (r < 0)
			return r;
		if (SHM_HEAD_KIND(next) != SHM_HEAD_FREE)
			break;
		if (load_relaxed_u64(&a->header->cursor) == page + pages)
			store_relaxed_u64(&a->header->cursor, page);
		pages += SHM_HEAD_PAGES(next);
	}
	compiler_barrier();
	if (pages != SHM_HEAD_PAGES(head))
		store_release_u64(&a->head[page], SHM_HEAD(SHM_HEAD_FREE, 0, pages)); // HEAD
	return (int64_t)pages;
}

struct found {
	uint64_t page;
	uint64_t pages; // `wanted` or more
};

static int search(struct ph_arena *a, uint64_t wanted, uint64_t from, uint64_t to, struct found *f)
{
	uint64_t pages;
	for (uint64_t page = from; page < to; page += pages) {
		uint64_t head;
		int r = phi_arena_head(a, page, &head);
		if (r < 0)
			return r;
		pages = SHM_HEAD_PAGES(head);
		if (SHM_HEAD_KIND(head) != SHM_HEAD_FREE)
			continue;
		int64_t merged = merge(a, page, head);
		if (merged < 0)
			return (int)merged;
		pages = (uint64_t)merged;
		*f = (struct found){page, pages};
		if (pages >= wanted)
			return 0;
	}
	return -ENOMEM;
}

static int find(struct ph_arena *a, uint64_t wanted, struct found *f)
{
	uint64_t cursor = load_relaxed_u64(&a->header->cursor);
	if (cursor >= a->pages)
		cursor = 0;
	int r = search(a, wanted, cursor, a->pages, f);
	return r == -ENOMEM ? search(a, wanted, 0, cursor, f) : r;
}

// The one store, and what it leaves behind the run.
static void commit(struct ph_arena *a, const struct found *f, uint64_t head)
{
	uint64_t next = f->page + SHM_HEAD_PAGES(head);
	store_release_u64(&a->head[f->page], head); // HEAD
	compiler_barrier();
	store_relaxed_u64(&a->header->cursor, next < a->pages ? next : 0);
}

static void cut_rest(struct ph_arena *a, const struct found *f, uint64_t pages)
{
	if (f->pages > pages)
		store_relaxed_u64(&a->head[f->page + pages], SHM_HEAD(SHM_HEAD_FREE, 0, f->pages - pages));
	compiler_barrier();
}

int phi_arena_take_run(struct arena_op *op, uint64_t pages, uint64_t where, uint64_t *offset)
{
	struct found f;
	int r = find(op->a, pages, &f);
	if (r < 0)
		return r;
	cut_rest(op->a, &f, pages);
	*offset = phi_arena_page_offset(op->a, f.page);
	phi_arena_intend(op->seat, *offset, where);
	commit(op->a, &f, SHM_HEAD(SHM_HEAD_RUN, 0, pages));
	return 0;
}

// ---- slabs ----

static uint64_t wasted(const struct ph_arena *a, unsigned cls, uint64_t pages)
{
	return pages * SHM_PAGE - phi_arena_slab_blocks(a, cls, pages) * a->class_bytes[cls];
}

static uint64_t fewest_pages(const struct ph_arena *a, unsigned cls)
{
	uint64_t pages = 1;
	while (pages < SHM_SLAB_PAGES &&
	       (pages * SHM_PAGE < a->class_bytes[cls] || wasted(a, cls, pages) * 8 > pages * SHM_PAGE))
		pages++;
	return pages;
}

// Many blocks, as far as the arena has room for slabs of all sizes.
static uint64_t good_pages(const struct ph_arena *a, unsigned cls)
{
	uint64_t most = a->pages < 512 ? 1 : a->pages < 4096 ? 4 : SHM_SLAB_PAGES;
	uint64_t fewest = fewest_pages(a, cls);
	for (uint64_t pages = most; pages > fewest; pages--)
		if (wasted(a, cls, pages) * 16 <= pages * SHM_PAGE)
			return pages;
	return fewest;
}

static int find_for_slab(struct ph_arena *a, unsigned cls, struct found *f, uint64_t *pages)
{
	*pages = good_pages(a, cls);
	int r = find(a, *pages, f);
	if (r != -ENOMEM)
		return r;
	*pages = fewest_pages(a, cls);
	return find(a, *pages, f);
}

// Somebody may look at what he remembers of an earlier slab here, for a few instructions; or died in them.
static bool hold_unused(struct arena_seat *seat, struct shm_slab *slab)
{
	for (int i = 0; i < HOLD_TRIES; i++) {
		if (cas_acquire_u32(&slab->holder, 0, seat->number)) // HOLDER
			return true;
		cpu_relax();
	}
	return false;
}

static void fill_slab(struct ph_arena *a, struct arena_seat *seat, unsigned cls, uint64_t page,
                      uint64_t pages)
{
	struct shm_slab *slab = &a->slab[page];
	uint64_t blocks = phi_arena_slab_blocks(a, cls, pages);
	for (unsigned w = 0; w < SHM_SLAB_WORDS; w++) {
		store_relaxed_u64(&slab->given[w], ~phi_arena_valid_bits(blocks, w));
		store_relaxed_u64(&slab->freed[w], 0);
	}
	store_relaxed_u32(&slab->full, 0);
	store_relaxed_u32(&slab->user, seat->number);
	for (uint64_t i = 1; i < pages; i++)
		store_relaxed_u64(&a->head[page + i], SHM_HEAD(SHM_HEAD_INSIDE, 0, i));
	compiler_barrier();
}

int phi_arena_take_slab(struct arena_op *op, unsigned cls, struct arena_current *made)
{
	struct ph_arena *a = op->a;
	struct found f;
	uint64_t pages;
	int r = find_for_slab(a, cls, &f, &pages);
	if (r == 0 && !hold_unused(op->seat, &a->slab[f.page]))
		r = -ENOMEM;
	if (r < 0)
		return r;
	cut_rest(a, &f, pages);
	fill_slab(a, op->seat, cls, f.page, pages);
	*made = (struct arena_current){&a->slab[f.page], f.page, SHM_HEAD(SHM_HEAD_SLAB, cls, pages)};
	commit(a, &f, made->head);
	return 0;
}

static bool is_empty(const struct ph_arena *a, uint64_t page, uint64_t head)
{
	uint64_t blocks = phi_arena_slab_blocks(a, SHM_HEAD_CLASS(head), SHM_HEAD_PAGES(head));
	for (unsigned w = 0; w < SHM_SLAB_WORDS; w++)
		if (phi_arena_free_bits(&a->slab[page], w) != phi_arena_valid_bits(blocks, w))
			return false;
	return true;
}

static void retire(struct arena_op *op, uint64_t page, uint64_t head)
{
	struct shm_slab *slab = &op->a->slab[page];
	if (!cas_acquire_u32(&slab->holder, 0, op->seat->number)) // HOLDER
		return;
	if (is_empty(op->a, page, head))
		store_release_u64(&op->a->head[page],
		                  SHM_HEAD(SHM_HEAD_FREE, 0, SHM_HEAD_PAGES(head))); // HEAD
	store_release_u32(&slab->holder, 0);                                     // HOLDER
}

int phi_arena_retire(struct arena_op *op)
{
	struct ph_arena *a = op->a;
	uint64_t head;
	for (uint64_t page = 0; page < a->pages; page += SHM_HEAD_PAGES(head)) {
		int r = phi_arena_head(a, page, &head);
		if (r < 0)
			return r;
		if (SHM_HEAD_KIND(head) == SHM_HEAD_SLAB && is_empty(a, page, head))
			retire(op, page, head);
	}
	return 0;
}

// SPDX-License-Identifier: MIT
//
// The directory: names for offsets. All of it under the arena's lock. An entry is linked by one store, into its
// bucket, and unlinked by one store, into whatever led to it. An entry that nothing leads to yet, or any more,
// stands in the record of who is at it, with the place from which it is to be led to.
#include "shm/arena.h"

#include <stdlib.h>
#include <string.h>

#define NAME_BYTES_MAX 255

static uint32_t hash_of(const char *name, size_t length)
{
	uint32_t h = 2166136261; // FNV-1a
	for (size_t i = 0; i < length; i++)
		h = (h ^ (uint8_t)name[i]) * 16777619;
	return h;
}

static int check_name(const char *name, size_t *length)
{
	*length = strnlen(name, NAME_BYTES_MAX + 1);
	if (*length == 0)
		return -EINVAL;
	return *length > NAME_BYTES_MAX ? -ENAMETOOLONG : 0;
}

// ---- a walk along a bucket ----

// An entry as read, once, and checked.
struct entry {
	uint64_t *link; // what leads to it
	uint64_t at;    // its offset; 0 = there is none
	uint64_t next;
	uint64_t offset;
	uint32_t hash;
	uint32_t length;
	const char *name; // in the arena
	uint64_t steps;
	uint64_t mark; // an entry passed before: coming there again is a circle
};

static int read_entry(const struct ph_arena *a, struct entry *e)
{
	struct arena_block b;
	if (e->at == 0)
		return 0;
	if (phi_arena_find_block(a, e->at, &b) < 0 || b.slab == NULL ||
	    b.bytes < sizeof(struct shm_name))
		return -EBADMSG;
	struct shm_name *n = (struct shm_name *)(a->base + e->at);
	e->next = load_relaxed_u64(&n->next);
	e->offset = load_relaxed_u64(&n->offset);
	e->hash = load_relaxed_u32(&n->hash);
	e->length = load_relaxed_u32(&n->length);
	e->name = n->name;
	if (e->length == 0 || e->length > NAME_BYTES_MAX || e->length + sizeof *n > b.bytes)
		return -EBADMSG;
	return 0;
}

static int first_entry(const struct ph_arena *a, uint32_t bucket, struct entry *e)
{
	*e = (struct entry){.link = &a->bucket[bucket & (a->buckets - 1)]};
	e->at = load_relaxed_u64(e->link);
	return read_entry(a, e);
}

static int next_entry(const struct ph_arena *a, struct entry *e)
{
	// The mark moves ahead in growing steps, so in a circle the walk runs into it.
	if (e->at == e->mark)
		return -EBADMSG;
	if ((e->steps & (e->steps - 1)) == 0)
		e->mark = e->at;
	e->steps++;
	e->link = &((struct shm_name *)(a->base + e->at))->next;
	e->at = e->next;
	return read_entry(a, e);
}

static int find_entry(const struct ph_arena *a, const char *name, size_t length, struct entry *e)
{
	uint32_t hash = hash_of(name, length);
	int r = first_entry(a, hash, e);
	while (r == 0 && e->at != 0) {
		if (e->hash == hash && e->length == length && memcmp(e->name, name, length) == 0)
			return 0;
		r = next_entry(a, e);
	}
	return r < 0 ? r : -ENOENT;
}

// ---- bind ----

// The entry is in our record; nothing leads to it.
static int make_entry(struct arena_op *op, const char *name, size_t length, uint64_t offset,
                      uint64_t *at)
{
	int r = phi_arena_alloc_op(op, sizeof(struct shm_name) + length, 0, at);
	if (r < 0)
		return r;
	struct shm_name *n = (struct shm_name *)(op->a->base + *at);
	store_relaxed_u64(&n->offset, offset);
	store_relaxed_u32(&n->hash, hash_of(name, length));
	store_relaxed_u32(&n->length, (uint32_t)length);
	memcpy(n->name, name, length);
	return 0;
}

static void link_entry(struct arena_op *op, uint32_t hash, uint64_t at)
{
	uint64_t *bucket = &op->a->bucket[hash & (op->a->buckets - 1)];
	struct shm_name *n = (struct shm_name *)(op->a->base + at);
	store_relaxed_u64(&n->next, load_relaxed_u64(bucket));
	store_relaxed_u64(&op->seat->record->where, (uint64_t)((uint8_t *)bucket - op->a->base));
	compiler_barrier();
	store_release_u64(bucket, at);
	phi_arena_settled(op->seat);
}

static int bind_locked(struct arena_op *op, const char *name, size_t length, uint64_t at)
{
	struct entry e;
	int r = find_entry(op->a, name, length, &e);
	if (r == -ENOENT)
		link_entry(op, hash_of(name, length), at);
	else
		phi_arena_free_intended(op);
	return r == -ENOENT ? 0 : r == 0 ? -EEXIST : r;
}

static int bind_new(struct arena_op *op, const char *name, size_t length, uint64_t offset)
{
	uint64_t at;
	int r = make_entry(op, name, length, offset, &at);
	if (r < 0)
		return r;
	r = phi_arena_lock(op);
	if (r < 0) {
		phi_arena_free_intended(op);
		return r;
	}
	r = bind_locked(op, name, length, at);
	phi_arena_unlock(op);
	return r;
}

int phi_arena_bind(struct ph_arena *a, const char *name, uint64_t offset)
{
	size_t length;
	struct arena_op op;
	int r = check_name(name, &length);
	if (r == 0 && (offset == 0 || offset >= a->bytes))
		r = -EINVAL;
	if (r == 0)
		r = phi_arena_begin(&op, a);
	if (r < 0)
		return r;
	r = bind_new(&op, name, length, offset);
	phi_arena_end(&op);
	return r;
}

// ---- find, unbind ----

static void unlink_entry(struct arena_op *op, const struct entry *e)
{
	phi_arena_intend(op->seat, e->at, (uint64_t)((uint8_t *)e->link - op->a->base));
	store_release_u64(e->link, e->next);
	phi_arena_free_intended(op);
}

static int look_up(struct ph_arena *a, const char *name, uint64_t *offset, bool unbind)
{
	size_t length;
	struct arena_op op;
	struct entry e;
	int r = check_name(name, &length);
	if (r == 0)
		r = phi_arena_begin(&op, a);
	if (r < 0)
		return r;
	r = phi_arena_lock(&op);
	if (r == 0) {
		r = find_entry(a, name, length, &e);
		if (r == 0 && unbind)
			unlink_entry(&op, &e);
		phi_arena_unlock(&op);
	}
	phi_arena_end(&op);
	if (r == 0)
		*offset = e.offset;
	return r;
}

int phi_arena_find(struct ph_arena *a, const char *name, uint64_t *offset)
{
	return look_up(a, name, offset, false);
}

int phi_arena_unbind(struct ph_arena *a, const char *name, uint64_t *offset)
{
	return look_up(a, name, offset, true);
}

// ---- all of them ----

int64_t phi_arena_count_names(struct ph_arena *a)
{
	int64_t n = 0;
	for (uint32_t i = 0; i < a->buckets; i++) {
		struct entry e;
		int r = first_entry(a, i, &e);
		for (; r == 0 && e.at != 0; r = next_entry(a, &e)) {
			struct arena_block b;
			if (phi_arena_find_block(a, e.at, &b) < 0 || !phi_arena_is_allocated(a, &b) ||
			    (e.hash & (a->buckets - 1)) != i)
				return -EBADMSG;
			n++;
		}
		if (r < 0)
			return r;
	}
	return n;
}

// What was copied out of one bucket, so that the callback runs without the lock.
struct copy {
	uint64_t offset;
	char name[NAME_BYTES_MAX + 1];
};

struct copies {
	struct copy *at;
	size_t count, room;
};

static int add_copy(struct copies *c, const struct entry *e)
{
	if (c->count == c->room) {
		size_t room = c->room == 0 ? 16 : c->room * 2;
		struct copy *at = realloc(c->at, room * sizeof *at);
		if (at == NULL)
			return -ENOMEM;
		c->at = at;
		c->room = room;
	}
	struct copy *copy = &c->at[c->count++];
	copy->offset = e->offset;
	memcpy(copy->name, e->name, e->length);
	copy->name[e->length] = '\0';
	return 0;
}

static int copy_bucket(struct ph_arena *a, uint32_t bucket, struct copies *c)
{
	struct arena_op op;
	struct entry e;
	c->count = 0;
	int r = phi_arena_begin(&op, a);
	if (r < 0)
		return r;
	r = phi_arena_lock(&op);
	if (r == 0) {
		r = first_entry(a, bucket, &e);
		while (r == 0 && e.at != 0) {
			r = add_copy(c, &e);
			if (r == 0)
				r = next_entry(a, &e);
		}
		phi_arena_unlock(&op);
	}
	phi_arena_end(&op);
	return r;
}

int phi_arena_names(struct ph_arena *a, int (*fn)(const char *name, uint64_t offset, void *arg),
                    void *arg, int *said)
{
	struct copies c = {NULL, 0, 0};
	int r = 0;
	for (uint32_t i = 0; i < a->buckets && r == 0 && *said == 0; i++) {
		if (load_relaxed_u64(&a->bucket[i]) == 0)
			continue;
		r = copy_bucket(a, i, &c);
		for (size_t k = 0; k < c.count && r == 0 && *said == 0; k++)
			*said = fn(c.at[k].name, c.at[k].offset, arg);
	}
	free(c.at);
	return r;
}

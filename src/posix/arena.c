// SPDX-License-Identifier: MIT
//
// The public calls of arenas: results as <posthaste/shm.h> says, and errno.
#include "shm/arena.h"

#include "posix/syscall.h"
#include "posthaste/shm.h"

int ph_arena_make(void *addr, size_t bytes)
{
	return (int)phi_result(phi_arena_make(addr, bytes));
}

struct ph_arena *ph_arena_attach(void *addr, size_t bytes)
{
	struct ph_arena *a;
	int r = phi_arena_attach(addr, bytes, &a);
	if (r == 0)
		return a;
	errno = -r;
	return NULL;
}

int ph_arena_detach(struct ph_arena *arena)
{
	phi_arena_detach(arena);
	return 0;
}

// An offset, or 0 and why.
static inline uint64_t offset_or_errno(int r, uint64_t offset)
{
	if (__builtin_expect(r == 0, 1))
		return offset;
	errno = -r;
	return 0;
}

uint64_t ph_arena_alloc(struct ph_arena *arena, size_t bytes)
{
	uint64_t offset;
	int r = phi_arena_alloc(arena, bytes, 0, &offset);
	return offset_or_errno(r, offset);
}

uint64_t ph_arena_alloc_to(struct ph_arena *arena, size_t bytes, uint64_t *where)
{
	uint64_t offset = 0;
	uint64_t place = (uint64_t)((uintptr_t)where - (uintptr_t)arena->base);
	bool inside =
		place >= arena->data && place <= arena->bytes - sizeof *where && place % sizeof *where == 0;
	int r = inside ? phi_arena_alloc(arena, bytes, place, &offset) : -EINVAL;
	return offset_or_errno(r, offset);
}

int ph_arena_free(struct ph_arena *arena, uint64_t offset)
{
	return (int)phi_result(phi_arena_free(arena, offset));
}

size_t ph_arena_usable(struct ph_arena *arena, uint64_t offset)
{
	uint64_t bytes = phi_arena_usable(arena, offset);
	if (bytes == 0)
		errno = EINVAL;
	return (size_t)bytes;
}

void *ph_arena_at(const struct ph_arena *arena, uint64_t offset)
{
	return offset != 0 && offset < arena->bytes ? arena->base + offset : NULL;
}

uint64_t ph_arena_offset(const struct ph_arena *arena, const void *at)
{
	uint64_t offset = (uint64_t)((uintptr_t)at - (uintptr_t)arena->base);
	return offset < arena->bytes ? offset : 0;
}

int ph_arena_bind(struct ph_arena *arena, const char *name, uint64_t offset)
{
	return (int)phi_result(phi_arena_bind(arena, name, offset));
}

uint64_t ph_arena_find(struct ph_arena *arena, const char *name)
{
	uint64_t offset = 0;
	int r = phi_arena_find(arena, name, &offset);
	return offset_or_errno(r, offset);
}

uint64_t ph_arena_unbind(struct ph_arena *arena, const char *name)
{
	uint64_t offset = 0;
	int r = phi_arena_unbind(arena, name, &offset);
	return offset_or_errno(r, offset);
}

int ph_arena_names(struct ph_arena *arena, int (*fn)(const char *name, uint64_t offset, void *arg),
                   void *arg)
{
	int said = 0;
	int r = phi_arena_names(arena, fn, arg, &said);
	return r < 0 ? (int)phi_result(r) : said;
}

int ph_arena_check(struct ph_arena *arena, struct ph_arena_report *report)
{
	return (int)phi_result(phi_arena_check(arena, report));
}

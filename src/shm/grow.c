// SPDX-License-Identifier: MIT
//
// An object in the address space: where it lies, how large it is, how it grows. As much address space as it may
// ever reach is mapped from the file at once, so growth is a matter of the file alone, and peers see it without
// a call. The file never becomes shorter by our hand.
#include "shm/shm.h"

#include "base/guard.h"
#include "core/file.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_BYTES ((size_t)2 << 20)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static size_t whole_pages(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	return (bytes + page - 1) & ~(page - 1);
}

static int prot_of(const struct shm_mapping *m)
{
	return m->flags & PH_SHM_RDONLY ? PROT_READ : PROT_READ | PROT_WRITE;
}

// Address space of its own, with what lies before and behind the aligned piece given back.
static uint8_t *find_aligned(size_t span)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	uint8_t *p = mmap(NULL, span + HUGE_BYTES, PROT_NONE, flags, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	size_t before = -(uintptr_t)p & (HUGE_BYTES - 1);
	if (before > 0)
		munmap(p, before);
	munmap(p + before + span, HUGE_BYTES - before);
	return p + before;
}

static int map_at(struct shm_mapping *m, uint8_t *at)
{
	int fixed = at == NULL ? 0 : MAP_FIXED;
	void *base = mmap(at, m->span, prot_of(m), MAP_SHARED | fixed, m->fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	m->base = base;
	return 0;
}

static int map_huge(struct shm_mapping *m)
{
	uint8_t *at = find_aligned(m->span);
	if (at == NULL)
		return -ENOMEM;
	int r = map_at(m, at);
	if (r < 0)
		munmap(at, m->span);
	else
		madvise(m->base, m->span, MADV_HUGEPAGE);
	return r;
}

int phi_shm_place(struct shm_mapping *m, size_t size)
{
	if (m->reach > SIZE_MAX / 4)
		return -ENOMEM;
	m->span = whole_pages(m->reach);
	int r = m->flags & PH_SHM_HUGE ? map_huge(m) : map_at(m, NULL);
	if (r == 0)
		r = phi_guard_add(m->base, whole_pages(size), &m->damaged);
	if (r < 0 && m->base != NULL) {
		munmap(m->base, m->span);
		m->base = NULL;
	}
	return r;
}

void phi_shm_displace(struct shm_mapping *m)
{
	if (m->base == NULL)
		return;
	phi_guard_remove(m->base);
	munmap(m->base, m->span);
	m->base = NULL;
}

// Where memory for the mapping's asking would be huge, it must come by the mapping: posix_fallocate knows of no advice.
void phi_shm_populate_huge(struct shm_mapping *m, size_t size)
{
	madvise(m->base, whole_pages(size), MADV_POPULATE_WRITE);
}

void phi_shm_collapse(struct shm_mapping *m, size_t size)
{
	size_t whole = size & ~(HUGE_BYTES - 1);
	if (whole > 0)
		madvise(m->base, whole, MADV_COLLAPSE);
}

// Not by a punched hole: the memory that is given back may be somebody else's before it is reserved again.
void phi_shm_zero(struct shm_mapping *m, size_t size)
{
	memset(m->base, 0, size);
}

// What the object has grown to is guarded from when it is known here.
int64_t phi_shm_size(struct shm_mapping *m)
{
	struct stat st;
	if (fstat(m->fd, &st) != 0)
		return -errno;
	size_t size = (uint64_t)st.st_size > m->reach ? m->reach : (size_t)st.st_size;
	phi_guard_extend(m->base, whole_pages(size));
	return (int64_t)size;
}

int phi_shm_grow(struct shm_mapping *m, size_t size)
{
	int64_t now = phi_shm_size(m);
	if (now < 0)
		return (int)now;
	if (size > m->reach)
		return -EINVAL;
	if (m->flags & PH_SHM_RDONLY)
		return -EACCES;
	int r = phi_file_reserve(m->fd, (size_t)now, size);
	if (r < 0)
		return r;
	phi_guard_extend(m->base, whole_pages(size));
	if (size > (size_t)now && (m->flags & PH_SHM_HUGE))
		phi_shm_collapse(m, size);
	return 0;
}

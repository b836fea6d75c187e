// SPDX-License-Identifier: MIT
//
// tests/hostile/fence.c - what the library maps of a file lies between two stretches of addresses that
// nobody may touch, so that a read or write beyond it ends in SIGSEGV instead of in a neighbour. Linked
// with --wrap=mmap --wrap=munmap; AddressSanitizer does not look after mappings.
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/types.h>

#define FENCE_BYTES ((size_t)256 << 20)

enum { MAPPINGS_MAX = 256 };

static pthread_mutex_t change = PTHREAD_MUTEX_INITIALIZER;
static void *fenced[MAPPINGS_MAX];

void *__real_mmap(void *addr, size_t bytes, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *addr, size_t bytes);
void *__wrap_mmap(void *addr, size_t bytes, int prot, int flags, int fd, off_t offset);
int __wrap_munmap(void *addr, size_t bytes);

// Exchange one entry of the table: whether there was one.
static int replace(void *from, void *to)
{
	int found = 0;
	pthread_mutex_lock(&change);
	for (int i = 0; i < MAPPINGS_MAX && !found; i++) {
		found = fenced[i] == from;
		if (found)
			fenced[i] = to;
	}
	pthread_mutex_unlock(&change);
	return found;
}

void *__wrap_mmap(void *addr, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	if (fd < 0 || addr != NULL)
		return __real_mmap(addr, bytes, prot, flags, fd, offset);
	const size_t page = 4096;
	const size_t rounded = (bytes + page - 1) / page * page;
	uint8_t *all = __real_mmap(NULL, rounded + 2 * FENCE_BYTES, PROT_NONE,
	                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (all == MAP_FAILED)
		return MAP_FAILED;
	void *inner = __real_mmap(all + FENCE_BYTES, bytes, prot, flags | MAP_FIXED, fd, offset);
	if (inner == MAP_FAILED || !replace(NULL, inner))
		__real_munmap(all, rounded + 2 * FENCE_BYTES);
	return inner;
}

int __wrap_munmap(void *addr, size_t bytes)
{
	const size_t page = 4096;
	const size_t rounded = (bytes + page - 1) / page * page;
	if (!replace(addr, NULL))
		return __real_munmap(addr, bytes);
	return __real_munmap((uint8_t *)addr - FENCE_BYTES, rounded + 2 * FENCE_BYTES);
}

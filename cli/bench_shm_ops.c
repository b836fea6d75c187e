// SPDX-License-Identifier: MIT
//
// The contestants of the room shm: the library's objects, and the system's in two ways. shm_open,
// ftruncate and mmap are what a program writes in three lines; where memory runs short it dies of SIGBUS
// at the first touch. With posix_fallocate the memory is there before it is mapped, as with the library.
#define _GNU_SOURCE
#include "bench_load.h"

#include <posthaste/shm.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define HUGE_PAGE ((size_t)2097152)

// What /dev/shm can hold twice without anybody noticing; in a container it may be small.
static bool can(const struct bench_case *c)
{
	struct statvfs fs;
	if (statvfs("/dev/shm", &fs) != 0 ||
	    (uint64_t)fs.f_bavail * fs.f_frsize < 2 * (uint64_t)c->size)
		return false;
	const long pages = sysconf(_SC_AVPHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
	return pages > 0 && bytes > 0 && (uint64_t)pages * (uint64_t)bytes >= 2 * (uint64_t)c->size;
}

static int attach(struct bench_end *end)
{
	(void)end; // each operation begins with nothing
	return 0;
}

// ---- the library ----

static int our_flags(const struct bench_end *end)
{
	return PH_SHM_CREATE | PH_SHM_EXCL | (end->c->huge ? PH_SHM_HUGE : 0);
}

static void *our_make(struct bench_end *end)
{
	return ph_shm_map(end->name, end->size, our_flags(end), 0600, 0);
}

static void *our_map(struct bench_end *end)
{
	return ph_shm_map(end->name, 0, 0, 0, 0);
}

static int our_unmap(struct bench_end *end, void *at)
{
	(void)end;
	return ph_shm_unmap(at);
}

static int our_remove(struct bench_end *end)
{
	return ph_shm_unlink(end->name);
}

static int our_create(struct bench_end *end)
{
	if (end->c->kind != BENCH_VISIT)
		return 0;
	void *at = our_make(end);
	return at ? our_unmap(end, at) : -1;
}

static void our_destroy(struct bench_end *end)
{
	ph_shm_unlink(end->name);
}

const struct bench_ops bench_shm_posthaste = {
	.name = "posthaste",
	.create = our_create,
	.destroy = our_destroy,
	.attach = attach,
	.make = our_make,
	.map = our_map,
	.unmap = our_unmap,
	.remove = our_remove,
	.can = can,
};

// ---- the system ----

static void *map_all(int fd, size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return at == MAP_FAILED ? NULL : at;
}

// Where a huge page can begin: in as much more address space, of which the rest is given back.
static void *map_huge(int fd, size_t bytes)
{
	char *room = mmap(NULL, bytes + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (room == MAP_FAILED)
		return NULL;
	const size_t before = (HUGE_PAGE - (uintptr_t)room % HUGE_PAGE) % HUGE_PAGE;
	char *at = room + before;
	if (before)
		munmap(room, before);
	munmap(at + bytes, HUGE_PAGE - before);
	if (mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		return NULL;
	madvise(at, bytes, MADV_HUGEPAGE);
	return at;
}

// As one thing; what was half made goes again.
static void *make(struct bench_end *end, bool reserve)
{
	const int fd = shm_open(end->name, O_CREAT | O_EXCL | O_RDWR, 0600);
	void *at = NULL;
	if (fd < 0)
		return NULL;
	if (ftruncate(fd, (off_t)end->size) == 0) {
		// Huge pages are given by the advice to the mapping, so the memory is reserved after it.
		at = end->c->huge ? map_huge(fd, end->size) : map_all(fd, end->size);
		if (at && reserve && (errno = posix_fallocate(fd, 0, (off_t)end->size)) != 0)
			at = NULL;
	}
	close(fd);
	return at;
}

static void *system_make(struct bench_end *end)
{
	return make(end, false);
}

static void *reserved_make(struct bench_end *end)
{
	return make(end, true);
}

static void *system_map(struct bench_end *end)
{
	struct stat st;
	void *at = NULL;
	const int fd = shm_open(end->name, O_RDWR, 0);
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0)
		at = map_all(fd, (size_t)st.st_size);
	close(fd);
	return at;
}

static int system_unmap(struct bench_end *end, void *at)
{
	return munmap(at, end->size);
}

static int system_remove(struct bench_end *end)
{
	return shm_unlink(end->name);
}

static int system_create(struct bench_end *end)
{
	if (end->c->kind != BENCH_VISIT)
		return 0;
	void *at = make(end, true);
	return at ? munmap(at, end->size) : -1;
}

static void system_destroy(struct bench_end *end)
{
	shm_unlink(end->name);
}

const struct bench_ops bench_shm_system = {
	.name = "shm_open",
	.create = system_create,
	.destroy = system_destroy,
	.attach = attach,
	.make = system_make,
	.map = system_map,
	.unmap = system_unmap,
	.remove = system_remove,
	.can = can,
};

// The second way differs in making only.
static bool reserved_can(const struct bench_case *c)
{
	return c->kind == BENCH_LIFE && can(c);
}

const struct bench_ops bench_shm_reserved = {
	.name = "fallocate",
	.create = system_create,
	.destroy = system_destroy,
	.attach = attach,
	.make = reserved_make,
	.map = system_map,
	.unmap = system_unmap,
	.remove = system_remove,
	.can = reserved_can,
};

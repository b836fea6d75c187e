// SPDX-License-Identifier: MIT
//
// What can be seen of an object, by those who have it mapped and from outside; and seals.
#include "shm/shm.h"

#include "base/atomic.h"
#include "base/descriptor.h"
#include "core/life.h"
#include "core/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_GET_SEALS 1034
#endif

#define SEALS                                                                       \
	(PH_SHM_SEAL_SEAL | PH_SHM_SEAL_SHRINK | PH_SHM_SEAL_GROW | PH_SHM_SEAL_WRITE | \
	 PH_SHM_SEAL_FUTURE_WRITE)

// A file of tmpfs that is no memfd says that it is sealed against seals.
int phi_shm_seals(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	if (seals < 0 || (fstat(fd, &st) == 0 && st.st_nlink > 0))
		return 0;
	return seals & SEALS;
}

// The kernel counts in kilobytes, for each piece of the address space.
static uint64_t huge_bytes(const struct shm_mapping *m)
{
	char line[512];
	uintptr_t begin = 0, end = 0;
	uint64_t kb, sum = 0;
	FILE *f = fopen("/proc/self/smaps", "re");
	if (f == NULL)
		return 0;
	while (fgets(line, sizeof line, f) != NULL) {
		unsigned long a, b;
		if (sscanf(line, "%lx-%lx ", &a, &b) == 2) {
			begin = a;
			end = b;
		} else if (begin >= (uintptr_t)m->base && end <= (uintptr_t)m->base + m->span &&
		           (sscanf(line, "ShmemPmdMapped: %lu", &a) == 1 ||
		            sscanf(line, "FilePmdMapped: %lu", &a) == 1)) {
			kb = a;
			sum += kb * 1024;
		}
	}
	fclose(f);
	return sum;
}

static int look_at(int fd, struct ph_shm_info *info)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return -errno;
	memset(info, 0, sizeof *info);
	info->bytes = (uint64_t)st.st_size;
	info->allocated = (uint64_t)st.st_blocks * 512;
	info->mapped = phi_life_attached(fd);
	info->reclaim = (st.st_mode & SHM_RECLAIMED) != 0;
	info->seals = phi_shm_seals(fd);
	info->mode = st.st_mode & 0777;
	info->uid = st.st_uid;
	info->gid = st.st_gid;
	return 0;
}

int phi_shm_info(struct shm_mapping *m, struct ph_shm_info *info)
{
	struct ph_shm_info found;
	int r = look_at(m->fd, &found);
	if (r < 0)
		return r;
	found.mapped = 1;
	found.damaged = load_relaxed_u32(&m->damaged) != 0;
	found.huge = huge_bytes(m);
	*info = found;
	return 0;
}

int phi_shm_look(const char *name, struct ph_shm_info *info)
{
	char file[NAME_MAX + 1];
	struct ph_shm_info found;
	struct stat st;
	int r = phi_shm_file(name, file);
	if (r < 0)
		return r;
	int dir = phi_namespace_open();
	if (dir < 0)
		return dir;
	int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	r = fd < 0 ? -errno : fstat(fd, &st) != 0 ? -errno : !S_ISREG(st.st_mode) ? -EINVAL : 0;
	phi_close(dir);
	if (r == 0)
		r = look_at(fd, &found);
	if (fd >= 0)
		phi_close(fd);
	if (r == 0)
		*info = found;
	return r;
}

// A view's description cannot write, and sealing asks for one that can.
static int open_to_seal(const struct shm_mapping *m)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/self/fd/%d", m->fd);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int phi_shm_seal(struct shm_mapping *m, int seals)
{
	struct stat st;
	if ((seals & ~SEALS) || m->file[0] != '\0' || fstat(m->fd, &st) != 0 || st.st_nlink > 0)
		return -EINVAL;
	int fd = m->flags & PH_SHM_RDONLY ? open_to_seal(m) : m->fd;
	if (fd < 0)
		return fd;
	int r = fcntl(fd, F_ADD_SEALS, seals) != 0 ? -errno : 0;
	if (fd != m->fd)
		phi_close(fd);
	return r;
}

// SPDX-License-Identifier: MIT
//
// Create: a nameless file, space reserved, content complete, then linked into place (file.h).
#include "core/region.h"

#include "base/descriptor.h"
#include "base/guard.h"
#include "base/random.h"
#include "core/file.h"
#include "core/life.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define POPULATE_UP_TO (2 << 20)

// Populating would reserve, or fault on, what was left out of the reservation.
static int map(struct phi_region *r, int prot, bool whole)
{
	int populate = whole && r->bytes <= POPULATE_UP_TO && (prot & PROT_WRITE) ? MAP_POPULATE : 0;
	struct stat st;
	if (fstat(r->fd, &st) != 0)
		return -errno;
	void *base = mmap(NULL, r->bytes, prot, MAP_SHARED | populate, r->fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	r->device = st.st_dev;
	r->inode = st.st_ino;
	r->base = base;
	r->damaged = 0;
	int e = phi_guard_add(base, r->bytes, &r->damaged);
	if (e < 0)
		munmap(base, r->bytes);
	return e;
}

bool phi_region_has_fd(const struct phi_region *r, int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && st.st_dev == r->device && st.st_ino == r->inode;
}

void phi_region_unmap(struct phi_region *r)
{
	phi_guard_remove(r->base);
	munmap(r->base, r->bytes);
	r->base = NULL;
}

static void fill_header(struct phi_region *r, const struct phi_region_plan *plan)
{
	struct phi_region_header *h = &r->header;
	memset(h, 0, sizeof *h);
	h->magic = PHI_REGION_MAGIC;
	h->kind = plan->kind;
	h->layout = plan->layout;
	h->bytes = plan->bytes;
	phi_random_id(h->id);
	h->pid_ns = phi_life_pid_ns();
	h->created_s = (int64_t)time(NULL);
	h->creator = getpid();
	memcpy(h->geometry, plan->geometry, sizeof h->geometry);
	strncpy(h->name, plan->name + 1, sizeof h->name - 1);
	memcpy(r->base, h, sizeof *h);
}

// The owner may always write what he is making, whatever mode he makes it with.
static void reopen_own(int fd)
{
	struct stat st;
	if (fstat(fd, &st) != 0 || fchmod(fd, 0600) != 0)
		return;
	phi_life_reopen(fd);
	fchmod(fd, st.st_mode & 0777);
}

static int fill(struct phi_region *r, const struct phi_region_plan *plan)
{
	r->bytes = plan->bytes;
	int e = phi_file_size(r->fd, plan->bytes, plan->reserved == 0 ? plan->bytes : plan->reserved);
	if (e == 0)
		e = map(r, PROT_READ | PROT_WRITE, plan->reserved == 0);
	if (e < 0)
		return e;
	fill_header(r, plan);
	plan->init(r->base, plan->arg);
	reopen_own(r->fd);
	return phi_life_attach(r->fd);
}

int phi_region_create(struct phi_region *r, int dir, const char *file,
                      const struct phi_region_plan *plan)
{
	char temp[PHI_FILE_TEMP];
	r->base = NULL;
	r->fd = phi_file_new(dir, plan->mode, temp);
	if (r->fd < 0)
		return r->fd;
	int e = fill(r, plan);
	if (e == 0)
		e = phi_file_link(r->fd, dir, temp, file);
	phi_file_drop_temp(dir, temp);
	if (e < 0) {
		if (r->base != NULL)
			phi_region_unmap(r);
		phi_close(r->fd);
	}
	return e;
}

static bool header_fits(const struct phi_region_header *h, const struct stat *st,
                        enum phi_kind kind, uint32_t layout, const char *name)
{
	return h->magic == PHI_REGION_MAGIC && h->kind == (uint32_t)kind && h->layout == layout &&
	       h->bytes == (uint64_t)st->st_size && h->bytes <= SIZE_MAX / 2 &&
	       memchr(h->name, 0, sizeof h->name) != NULL &&
	       (name == NULL || strcmp(h->name, name + 1) == 0);
}

static int check_file(struct phi_region *r, enum phi_kind kind, uint32_t layout, const char *name)
{
	struct stat st;
	if (fstat(r->fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	if (pread(r->fd, &r->header, sizeof r->header, 0) != (ssize_t)sizeof r->header)
		return -EBADMSG;
	if (!header_fits(&r->header, &st, kind, layout, name))
		return -EBADMSG;
	r->bytes = (size_t)r->header.bytes;
	return 0;
}

// Whether the file has the memory for all of its bytes.
static bool is_reserved(const struct phi_region *r)
{
	struct stat st;
	return fstat(r->fd, &st) == 0 && (uint64_t)st.st_blocks * 512 >= r->bytes;
}

static int attach(struct phi_region *r, bool observe)
{
	int e = map(r, observe ? PROT_READ : PROT_READ | PROT_WRITE, is_reserved(r));
	if (e < 0 || observe)
		return e;
	struct phi_region_header *live = (struct phi_region_header *)r->base;
	phi_life_reopen(r->fd); // where that fails (no /proc), a child may delay the news of a death
	e = phi_life_attach_ns(r->fd, &live->pid_ns);
	if (e < 0)
		phi_region_unmap(r);
	return e;
}

int phi_region_open(struct phi_region *r, int dir, const char *file, enum phi_kind kind,
                    uint32_t layout, const char *name, bool observe)
{
	int flags = (observe ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	r->fd = openat(dir, file, flags);
	if (r->fd < 0)
		return errno == EISDIR || errno == ENXIO ? -EBADMSG : -errno;
	int e = check_file(r, kind, layout, name);
	if (e == 0)
		e = attach(r, observe);
	if (e < 0)
		phi_close(r->fd);
	return e;
}

// SPDX-License-Identifier: MIT
//
// Looking on: no lock, no store, one read a value.
#include "pipe/pipe.h"

#include "base/descriptor.h"
#include "core/life.h"
#include "core/namespace.h"
#include "posthaste/pipe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void read_header(const struct phi_region *r, struct ph_pipe_info *info)
{
	const struct phi_region_header *h = &r->header;
	struct stat st;
	snprintf(info->name, sizeof info->name, "%s", h->name);
	info->device = h->geometry[0];
	info->inode = h->geometry[1];
	info->created_s = h->created_s;
	info->creator = h->creator;
	info->attached = phi_life_attached(r->fd);
	if (fstat(r->fd, &st) == 0) {
		info->uid = st.st_uid;
		info->gid = st.st_gid;
		info->mode = st.st_mode & 07777;
	}
}

static void read_sleepers(const struct pipe_control *c, struct ph_pipe_info *info)
{
	for (int i = 0; i < PIPE_SLEEPERS; i++) {
		uint32_t tid = load_relaxed_u32(&c->sleepers[i]);
		info->readers_asleep += tid != 0 && !phi_tid_dead(tid);
	}
	info->writers_asleep = load_relaxed_u32(&c->tx_asleep) != 0;
}

static void read_control(const struct phi_region *r, struct ph_pipe_info *info)
{
	const struct pipe_control *c = (const struct pipe_control *)(r->base + PHI_REGION_BODY);
	uint32_t flags = load_relaxed_u32(&c->flags);
	uint64_t head =
		load_acquire_u64(&c->head); // PIPE_HEAD; first, so that the difference is not negative
	uint64_t tail = load_acquire_u64(&c->tail); // PIPE_TAIL
	info->ring_size = phi_pipe_size(c);
	info->through_ring = tail;
	info->damaged = !phi_pipe_intact(c) || tail - head > PIPE_SIZE_MAX;
	info->ring_bytes = info->damaged ? 0 : tail - head;
	info->reader = (int32_t)phi_pipe_leaseholder(load_relaxed_u32(&c->lease));
	info->in_ring = info->reader != 0;
	info->polled = (flags & PIPE_POLLED) != 0;
	info->foreign = (flags & PIPE_FOREIGN) != 0;
	info->last_reader = load_relaxed_i32(&c->last_reader);
	info->last_writer = load_relaxed_i32(&c->last_writer);
	read_sleepers(c, info);
}

int phi_pipe_info(const char *file, struct ph_pipe_info *info)
{
	struct phi_region r;
	int dir = phi_namespace_open();
	if (dir < 0)
		return dir;
	int e = strchr(file, '/') != NULL
	            ? -ENOENT
	            : phi_region_open(&r, dir, file, PHI_KIND_PIPE, PIPE_LAYOUT, NULL, true);
	phi_close(dir);
	if (e < 0)
		return e;
	struct ph_pipe_info seen = {0};
	if (r.bytes == PIPE_BYTES) {
		read_header(&r, &seen);
		read_control(&r, &seen);
		*info = seen;
	} else {
		e = -EBADMSG;
	}
	phi_region_unmap(&r);
	phi_close(r.fd);
	return e;
}

int phi_pipe_info_of(int fd, struct ph_pipe_info *info)
{
	char file[PIPE_FILE_SIZE];
	struct stat st;
	if (fstat(fd, &st) != 0 || !S_ISFIFO(st.st_mode))
		return -EBADF;
	phi_pipe_file(false, st.st_dev, st.st_ino, file);
	int r = phi_pipe_info(file, info);
	if (r == 0 && info->device == st.st_dev)
		return 0;
	phi_pipe_file(true, st.st_dev, st.st_ino, file);
	return phi_pipe_info(file, info);
}

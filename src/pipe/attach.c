// SPDX-License-Identifier: MIT
//
// The ring's file: found by the pipe's inode, made if need be, removed by whoever finds that nobody has
// it mapped. No descriptor stays open for it: a mapping keeps the open file description it was made
// from, and with it the lock that says "attached", until the last process that inherited the mapping
// is gone, however it goes.
#include "pipe/pipe.h"

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/guard.h"
#include "core/file.h"
#include "core/namespace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROUNDS 1000
#define SWEEP_AT_MOST 256
#define SWEEP_EVERY 64
#define ENDING_NS 2000000

void phi_pipe_file(bool is_fifo, uint64_t device, uint64_t inode, char file[PIPE_FILE_SIZE])
{
	if (is_fifo)
		snprintf(file, PIPE_FILE_SIZE, "fifo.%" PRIx64 ".%" PRIu64, device, inode);
	else
		snprintf(file, PIPE_FILE_SIZE, "pipe.%" PRIu64, inode);
}

static void file_of(const struct pipe *p, char file[PIPE_FILE_SIZE])
{
	phi_pipe_file(p->is_fifo, p->device, p->inode, file);
}

int phi_pipe_sweep(int dir)
{
	int own = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = own < 0 ? NULL : fdopendir(own);
	if (d == NULL) {
		if (own >= 0)
			phi_close(own);
		return 0;
	}
	int removed = 0;
	int looked = 0;
	for (struct dirent *e = readdir(d); e != NULL && looked < SWEEP_AT_MOST; e = readdir(d)) {
		if (strncmp(e->d_name, "pipe.", 5) != 0 && strncmp(e->d_name, "fifo.", 5) != 0)
			continue;
		looked++;
		removed += phi_file_remove_unused(dir, e->d_name, NULL);
	}
	closedir(d);
	return removed;
}

// What processes killed in the past have left goes with the rings that a process makes.
static uint32_t rings_made;

void phi_pipe_sweep_again(void)
{
	store_relaxed_u32(&rings_made, 0);
}

static void sweep_now_and_then(int dir)
{
	uint32_t n = add_acq_rel_u32(&rings_made, 1);
	if ((n & (n - 1)) == 0 || n % SWEEP_EVERY == 0)
		phi_pipe_sweep(dir);
}

static void init_body(uint8_t *base, void *arg)
{
	(void)arg;
	((struct pipe_control *)(base + PHI_REGION_BODY))->stamp = PIPE_STAMP;
}

static int create(struct pipe *p, int dir, const char *file)
{
	char name[sizeof p->name + 1];
	uint64_t geometry[8] = {p->device, p->inode, p->is_fifo};
	snprintf(name, sizeof name, "/%s", p->name);
	struct phi_region_plan plan = {
		.kind = PHI_KIND_PIPE,
		.layout = PIPE_LAYOUT,
		.name = name,
		.bytes = PIPE_BYTES,
		.reserved = PIPE_PAGE,
		.geometry = geometry,
		.mode = 0600,
		.init = init_body,
	};
	sweep_now_and_then(dir);
	return phi_region_create(&p->region, dir, file, &plan);
}

static void let_region_go(struct pipe *p)
{
	phi_region_unmap(&p->region);
	phi_close(p->region.fd);
}

// Only a ring of this user is trusted with his bytes, and only one of the same pipe.
static bool is_ours(struct pipe *p)
{
	const uint64_t *g = p->region.header.geometry;
	struct stat st;
	return fstat(p->region.fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 077) == 0 &&
	       p->region.bytes == PIPE_BYTES && g[0] == p->device && g[1] == p->inode;
}

static int open_once(struct pipe *p, int dir, const char *file)
{
	// A pipe of the past may have had this number; but not if a relative has made a ring for this one.
	if (!(phi_description_flags(p->family) & FAMILY_RING))
		phi_file_remove_unused(dir, file, NULL);
	int r = phi_region_open(&p->region, dir, file, PHI_KIND_PIPE, PIPE_LAYOUT, NULL, false);
	if (r == -ENOENT) {
		r = create(p, dir, file);
		return r == -EEXIST ? -EAGAIN : r;
	}
	if (r < 0)
		return r;
	r = !is_ours(p) ? -EACCES : !phi_file_is_named(p->region.fd, dir, file) ? -EAGAIN : 0;
	if (r < 0)
		let_region_go(p);
	return r;
}

static int open_region(struct pipe *p)
{
	char file[PIPE_FILE_SIZE];
	file_of(p, file);
	int dir = phi_namespace_open();
	if (dir < 0)
		return dir;
	int r = -EAGAIN;
	for (int i = 0; r == -EAGAIN && i < ROUNDS; i++)
		r = open_once(p, dir, file);
	phi_close(dir);
	return r;
}

static int attach(struct pipe *p)
{
	if (sysconf(_SC_PAGESIZE) != PIPE_PAGE)
		return -ENOTSUP;
	int r = open_region(p);
	if (r < 0)
		return r;
	// From the descriptor that has the attached lock, so that the lock lives as long as the mapping.
	r = phi_mark_map(&p->mark, p->region.fd,
	                 PHI_REGION_BODY + offsetof(struct pipe_control, lease));
	if (r < 0) {
		let_region_go(p);
		return r;
	}
	phi_close(p->region.fd);
	p->region.fd = -1;
	p->data = p->region.base + PIPE_DATA_AT;
	phi_spin_init(&p->rx_spin);
	phi_spin_init(&p->tx_spin);
	store_release_ptr(&p->control, (uintptr_t)(p->region.base + PHI_REGION_BODY)); // PIPE_ATTACHED
	phi_description_raise(p->family, FAMILY_RING);
	return 0;
}

// What relatives have said before there was a ring to say it in.
static void publish(struct pipe *p)
{
	struct pipe_control *c = phi_pipe_control(p);
	uint32_t family = phi_description_flags(p->family);
	uint32_t flags =
		(family & FAMILY_POLLED ? PIPE_POLLED : 0) | (family & FAMILY_EXPORTED ? PIPE_EXPORTED : 0);
	if (flags != 0)
		phi_pipe_seal(p, flags);
	else if (phi_pipe_leased(load_acquire_u32(&c->lease)) &&
	         phi_pipe_kernel_bytes(phi_pipe_any_fd(p)) > 0)
		phi_pipe_seal(p, 0); // a stranger's, and older than what we shall write
}

int phi_pipe_attach(struct pipe *p)
{
	int state;
	if (phi_pipe_control(p) != NULL)
		return 0;
	if (load_relaxed_u32(&p->refused))
		return -EACCES;
	sigset_t signals;
	phi_pipe_lock_out_signals(&signals);
	pthread_mutex_lock(&p->change);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	int r = phi_pipe_control(p) != NULL ? 0 : attach(p);
	if (r == 0)
		publish(p);
	else
		store_relaxed_u32(&p->refused, 1);
	pthread_setcancelstate(state, NULL);
	pthread_mutex_unlock(&p->change);
	phi_pipe_let_signals_in(&signals);
	return r;
}

struct pipe_control *phi_pipe_ring_known(struct pipe *p)
{
	if (phi_pipe_control(p) == NULL && (phi_description_flags(p->family) & FAMILY_RING))
		phi_pipe_attach(p);
	return phi_pipe_control(p);
}

bool phi_pipe_begin_unknown(struct pipe *p, uint32_t *counter)
{
	if (phi_pipe_control(p) != NULL)
		return false;
	add_acq_rel_u32(counter, 1);
	fence_after_rmw(); // PIPE_GOERS, PIPE_SLEEPERS
	// Who is refused a ring counts as a stranger to those who have one.
	if (!(phi_description_flags(p->family) & FAMILY_RING) || load_relaxed_u32(&p->refused))
		return true;
	phi_pipe_end_unknown(counter);
	return false;
}

void phi_pipe_end_unknown(void *counter)
{
	add_acq_rel_u32(counter, UINT32_MAX);
}

int phi_pipe_reserve_memory(struct pipe *p, uint32_t size)
{
	char file[PIPE_FILE_SIZE];
	struct stat st;
	file_of(p, file);
	int dir = phi_namespace_open();
	if (dir < 0)
		return dir;
	int fd = openat(dir, file, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	phi_close(dir);
	if (fd < 0)
		return -errno;
	int r = -ENOENT;
	if (fstat(fd, &st) == 0 && st.st_dev == p->region.device && st.st_ino == p->region.inode)
		r = -posix_fallocate(fd, PIPE_DATA_AT, (off_t)size);
	phi_close(fd);
	return r;
}

void phi_pipe_poison(struct pipe *p)
{
	struct pipe_control *c = phi_pipe_control(p);
	store_relaxed_u32(&c->stamp, 0);
	store_relaxed_u32(&c->flags, PIPE_EXPORTED);
	store_relaxed_u32(&c->lease, 0);
	store_relaxed_u64(&c->head, load_relaxed_u64(&c->tail)); // what stood there is lost
	store_relaxed_u32(&p->refused, 1);
}

int phi_pipe_condemn(struct pipe *p)
{
	phi_pipe_poison(p);
	store_relaxed_u32(&p->told, 1);
	return -EBADMSG;
}

bool phi_pipe_was_damaged(struct pipe *p)
{
	const struct pipe_control *c = phi_pipe_control(p);
	return c != NULL && !phi_pipe_intact(c) && exchange_acq_rel_u32(&p->told, 1) == 0;
}

void phi_pipe_vanish(struct pipe *p)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
	const int prot = PROT_READ | PROT_WRITE;
	char file[PIPE_FILE_SIZE];
	if (mmap(p->region.base, p->region.bytes, prot, flags, -1, 0) == MAP_FAILED ||
	    !phi_mark_vanish(&p->mark))
		return;
	file_of(p, file);
	int dir = phi_namespace_open();
	if (dir >= 0) {
		phi_file_remove_unused(dir, file, NULL);
		phi_close(dir);
	}
}

void phi_pipe_lock_out_signals(sigset_t *before)
{
	sigset_t all;
	phi_guard_blockable(&all);
	pthread_sigmask(SIG_SETMASK, &all, before);
}

void phi_pipe_let_signals_in(const sigset_t *before)
{
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

// Whether the other side of the pipe is gone: then whoever still has the ring mapped is about to end,
// since a process lets go of its descriptors a moment before its memory.
static bool other_side_is_gone(int fd)
{
	struct pollfd pfd = {.fd = fd};
	return fd >= 0 && syscall(SYS_ppoll, &pfd, 1, &(struct timespec){0, 0}, NULL, 8) == 1;
}

void phi_pipe_detach(struct pipe *p, int fd)
{
	char file[PIPE_FILE_SIZE];
	if (phi_pipe_control(p) == NULL)
		return;
	store_release_ptr(&p->control, 0);
	phi_region_unmap(&p->region);
	phi_mark_unmap(&p->mark);
	file_of(p, file);
	int dir = phi_namespace_open();
	if (dir < 0)
		return;
	if (!phi_file_remove_unused(dir, file, NULL) && other_side_is_gone(fd)) {
		int64_t begin = phi_now_ns();
		while (!phi_file_remove_unused(dir, file, NULL) && phi_now_ns() - begin < ENDING_NS &&
		       faccessat(dir, file, F_OK, 0) == 0)
			sched_yield();
	}
	phi_close(dir);
}

// SPDX-License-Identifier: MIT
//
// Opening, closing, unlinking. Open plain first, then create exclusively, and go round while the two
// race with others: O_CREAT on another user's file is refused by fs.protected_regular even to root.
#include "mq/queue.h"

#include "base/descriptor.h"
#include "core/description.h"
#include "core/life.h"
#include "core/name.h"
#include "core/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROUNDS 1000
#define DEFAULT_DEPTH 10
#define DEFAULT_SIZE 8192

static void forked(struct phi_handle *h)
{
	struct mq_queue *q = (struct mq_queue *)h;
	pthread_mutex_init(&q->change, NULL);
	phi_mq_watches_forget(q);
	// Loans and their sign of life stay with the parent; the child must not keep it alive.
	int r = phi_region_has_fd(&q->region, q->region.fd) ? phi_life_reopen(q->region.fd) : -EBADF;
	if (r == 0)
		r = phi_life_attach(q->region.fd);
	q->holder = -1;
	q->shares_open = r < 0;
	store_relaxed_u32(&q->inside, 0); // those were other threads
}

static const struct phi_handle_ops ops = {forked, phi_mq_tokens_polled, phi_mq_glance};

static void init_body(uint8_t *base, void *arg)
{
	const struct mq_geometry *g = arg;
	struct mq_queue q = {.g = *g};
	q.c = (struct mq_control *)(base + PHI_REGION_BODY);
	q.ring = (uint32_t *)(base + g->ring_at);
	q.c->stamp = MQ_STAMP;
	q.c->free_tail = g->maxmsg;
	for (uint64_t i = 0; i < g->maxmsg; i++)
		q.ring[i] = (uint32_t)i;
	for (uint64_t i = 0; i < g->spares; i++)
		q.c->spare[i].slot = (uint32_t)(g->maxmsg + i);
	phi_mq_index_clear(&q);
}

// The default that the kernel's queues have on this machine.
static uint64_t kernel_default(const char *path, uint64_t otherwise)
{
	FILE *f = fopen(path, "re");
	unsigned long v = 0;
	if (f == NULL)
		return otherwise;
	int n = fscanf(f, "%lu", &v);
	fclose(f);
	return n == 1 && v > 0 ? v : otherwise;
}

static int wanted_geometry(struct mq_geometry *g, const struct mq_sizes *sizes)
{
	if (sizes != NULL)
		return phi_mq_geometry(g, sizes->maxmsg, sizes->msgsize);
	return phi_mq_geometry(g, kernel_default("/proc/sys/fs/mqueue/msg_default", DEFAULT_DEPTH),
	                       kernel_default("/proc/sys/fs/mqueue/msgsize_default", DEFAULT_SIZE));
}

static int create(struct mq_queue *q, int dir, const char *file, const char *name, unsigned mode,
                  const struct mq_sizes *sizes)
{
	uint64_t words[8];
	int r = wanted_geometry(&q->g, sizes);
	if (r < 0)
		return r;
	phi_mq_geometry_words(&q->g, words);
	struct phi_region_plan plan = {
		.kind = PHI_KIND_MQ,
		.layout = MQ_LAYOUT,
		.name = name,
		.bytes = (size_t)q->g.bytes,
		.geometry = words,
		.mode = (mode_t)(mode & 0777),
		.init = init_body,
		.arg = &q->g,
	};
	return phi_region_create(&q->region, dir, file, &plan);
}

static int check_geometry(struct mq_queue *q)
{
	uint64_t words[8];
	const uint64_t *have = q->region.header.geometry;
	if (phi_mq_geometry(&q->g, have[0], have[1]) < 0 || q->g.bytes != q->region.bytes)
		return -EBADMSG;
	phi_mq_geometry_words(&q->g, words);
	return memcmp(words, have, sizeof words) == 0 ? 0 : -EBADMSG;
}

int phi_mq_attach(struct mq_queue *q, int dir, const char *file, const char *name, bool observe)
{
	int r = phi_region_open(&q->region, dir, file, PHI_KIND_MQ, MQ_LAYOUT, name, observe);
	if (r < 0)
		return r;
	r = check_geometry(q);
	if (r == 0)
		phi_mq_point(q);
	if (r == 0 && !observe && !phi_mq_intact(q))
		r = -EBADMSG;
	if (r < 0) {
		phi_region_unmap(&q->region);
		phi_close(q->region.fd);
	}
	return r;
}

void phi_mq_point(struct mq_queue *q)
{
	uint8_t *base = q->region.base;
	q->c = (struct mq_control *)(base + PHI_REGION_BODY);
	q->ring = (uint32_t *)(base + q->g.ring_at);
	q->next = (uint32_t *)(base + q->g.next_at);
	q->blocks = (struct mq_block *)(base + q->g.blocks_at);
	q->slots = base + q->g.slots_at;
}

static int open_or_create(struct mq_queue *q, int dir, const char *name, int oflag, unsigned mode,
                          const struct mq_sizes *sizes)
{
	char file[NAME_MAX + 1];
	int r = phi_name_to_file(MQ_PREFIX, name, file);
	for (int i = 0; r == 0 && i < ROUNDS; i++) {
		bool must_create = (oflag & O_CREAT) && (oflag & O_EXCL);
		int e = must_create ? -ENOENT : phi_mq_attach(q, dir, file, name, false);
		if (e != -ENOENT || !(oflag & O_CREAT))
			return e;
		e = create(q, dir, file, name, mode, sizes);
		if (e == 0)
			phi_mq_point(q);
		if (e == -EINVAL && must_create && faccessat(dir, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return -EEXIST; // what it was to be like does not matter then
		if (e != -EEXIST || must_create)
			return e;
	}
	return r < 0 ? r : -EAGAIN;
}

static int publish(struct mq_queue *q, int oflag)
{
	int access = oflag & MQ_ACCESS;
	q->can_receive = access != O_WRONLY;
	q->can_send = access != O_RDONLY;
	q->holder = -1;
	phi_spin_init(&q->rx_spin);
	phi_spin_init(&q->tx_spin);
	pthread_mutex_init(&q->change, NULL);
	q->handle.kind = PHI_KIND_MQ;
	q->handle.fd = q->region.fd;
	q->handle.ops = &ops;
	q->handle.description = phi_description_new((oflag & O_NONBLOCK) != 0);
	if (q->handle.description == NULL)
		return -ENOMEM;
	int r = phi_handle_publish(&q->handle);
	if (r < 0)
		phi_description_put(q->handle.description);
	return r;
}

// The kernel gives the lowest number, which the directory had.
static void take_lowest(struct mq_queue *q)
{
	int low = fcntl(q->region.fd, F_DUPFD_CLOEXEC, 0);
	if (low < 0)
		return;
	bool lower = low < q->region.fd;
	phi_close(lower ? q->region.fd : low);
	if (lower)
		q->region.fd = low;
}

int phi_mq_open(const char *name, int oflag, unsigned mode, const struct mq_sizes *sizes,
                struct mq_queue **out)
{
	struct mq_queue *q = calloc(1, sizeof *q);
	if (q == NULL)
		return -ENOMEM;
	int dir = phi_namespace_open();
	int r = dir < 0 ? dir : open_or_create(q, dir, name, oflag, mode, sizes);
	if (dir >= 0)
		phi_close(dir);
	if (r == 0) {
		take_lowest(q);
		r = publish(q, oflag);
		if (r < 0) {
			phi_region_unmap(&q->region);
			phi_close(q->region.fd);
		}
	}
	if (r < 0)
		free(q);
	else
		*out = q;
	return r;
}

// The fifo of a queue that was polled goes with the last that has it open; what a killed process left,
// with the next sweep.
static void sweep(void)
{
	int dir = phi_namespace_open();
	if (dir < 0)
		return;
	phi_mq_tokens_sweep(dir);
	phi_close(dir);
}

static void take_apart(struct mq_queue *q)
{
	bool polled = load_relaxed_u32(&q->fifo) != 0;
	phi_mq_tokens_close(q);
	phi_description_put(q->handle.description);
	phi_region_unmap(&q->region);
	if (phi_region_has_fd(&q->region, q->region.fd))
		phi_close(q->region.fd);
	if (polled)
		sweep();
	pthread_mutex_destroy(&q->change);
	free(q);
}

// The number is free at once, even if others wait on the queue still: their file moves aside.
static void free_number(struct mq_queue *q)
{
	int number = q->handle.fd;
	if (q->fifo_is_public || !phi_region_has_fd(&q->region, number)) {
		phi_mq_tokens_unpublish(q);
		return;
	}
	int aside = phi_copy_aside(number);
	if (aside < 0)
		return; // the last who waits frees it
	q->region.fd = aside;
	phi_close(number);
}

void phi_mq_leave_inside(struct mq_queue *q)
{
	if (add_acq_rel_u32(&q->inside, UINT32_MAX) == MQ_CLOSED)
		take_apart(q);
}

int phi_mq_close(int fd)
{
	struct mq_queue *q = (struct mq_queue *)phi_handle_retire(fd, PHI_KIND_MQ);
	if (q == NULL)
		return -EBADF;
	struct mq_op op;
	phi_mq_begin(&op, q);
	op.nonblock = true;
	op.abstime = NULL;
	phi_mq_watches_end(&op);
	phi_mq_drop_loans(&op);
	phi_mq_end(&op, 0);
	add_acq_rel_u32(&q->inside, 1);
	if (add_acq_rel_u32(&q->inside, MQ_CLOSED) != (MQ_CLOSED | 1))
		free_number(q);
	phi_mq_leave_inside(q);
	return 0;
}

// POSIX knows no EPERM here: a sticky directory's refusal is EACCES.
static int unlink_file(int dir, const char *file)
{
	if (unlinkat(dir, file, 0) == 0)
		return 0;
	return errno == EPERM || errno == EISDIR ? -EACCES : -errno;
}

int phi_mq_unlink(const char *name)
{
	char file[NAME_MAX + 1];
	int r = phi_name_to_file(MQ_PREFIX, name, file);
	if (r < 0)
		return r;
	int dir = phi_namespace_open();
	if (dir < 0)
		return dir == -ENOENT ? -ENOENT : dir;
	r = unlink_file(dir, file);
	phi_mq_tokens_sweep(dir);
	phi_close(dir);
	return r;
}

static void close_fifo(struct phi_handle *h)
{
	struct mq_queue *q = (struct mq_queue *)h;
	if (h->kind != PHI_KIND_MQ)
		return;
	phi_mq_tokens_close(q);
}

// A process that ends without closing leaves no fifo behind, unless it is killed: then the next sweep
// finds it.
__attribute__((destructor)) static void sweep_at_exit(void)
{
	if (!load_relaxed_u32(&phi_mq_has_fifos))
		return;
	phi_handle_each(close_fifo);
	sweep();
}

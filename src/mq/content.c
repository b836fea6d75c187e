// SPDX-License-Identifier: MIT
//
// A look at what only a walk over all slots tells: how many bytes are queued. As info.c: no lock, no store, one
// read a value; but the time grows with the depth, so it is for who asks for this.
#include "mq/queue.h"

#include "base/descriptor.h"
#include "core/life.h"
#include "core/name.h"
#include "core/namespace.h"

#include <limits.h>
#include <stdlib.h>

#define WORD_BITS 64

static void mark(uint64_t *marked, uint32_t slot)
{
	marked[slot / WORD_BITS] |= UINT64_C(1) << slot % WORD_BITS;
}

// The slots that hold no message that a receive could take: free, or borrowed.
static void mark_others(const struct mq_queue *q, uint64_t tail, uint64_t *marked)
{
	uint64_t free_tail = load_acquire_u64(&q->c->free_tail); // FREE_TAIL
	for (uint64_t i = 0; i < q->g.maxmsg && tail + i != free_tail; i++) {
		uint32_t slot = load_relaxed_u32(phi_mq_ring_at(q, tail + i));
		if (slot < q->g.slots)
			mark(marked, slot);
	}
	for (uint32_t i = 0; i < MQ_BORROWS; i++) {
		uint32_t slot = load_relaxed_u32(&q->c->borrow[i].slot);
		if (slot < q->g.slots && phi_mq_borrow_valid(q, &q->c->borrow[i], tail))
			mark(marked, slot);
	}
}

static uint64_t sum_lengths(const struct mq_queue *q, uint64_t tail, const uint64_t *marked)
{
	uint64_t sum = 0;
	for (uint32_t slot = 0; slot < q->g.slots; slot++) {
		uint64_t seq = load_relaxed_u64(&phi_mq_slot(q, slot)->seq);
		uint64_t length = phi_mq_length(load_relaxed_u64(&phi_mq_slot(q, slot)->prio_len));
		bool out = (marked[slot / WORD_BITS] >> slot % WORD_BITS & 1) != 0;
		if (!out && seq != 0 && seq <= tail && length <= q->g.msgsize)
			sum += length;
	}
	return sum;
}

static int read_bytes(const struct mq_queue *q, struct mq_content *content)
{
	uint64_t tail = load_acquire_u64(&q->c->tail); // TAIL
	uint64_t *marked = calloc(q->g.slots / WORD_BITS + 1, sizeof *marked);
	if (marked == NULL)
		return -ENOMEM;
	mark_others(q, tail, marked);
	content->bytes = sum_lengths(q, tail, marked);
	content->damaged = !phi_mq_intact(q) || load_relaxed_u32(&q->region.damaged) != 0;
	free(marked);
	return 0;
}

static void read_notice(const struct mq_queue *q, struct mq_content *content)
{
	const struct mq_notice *n = &q->c->notice;
	uint32_t state = load_relaxed_u32(&n->state);
	if (MQ_NOTICE_STATE(state) == MQ_NOTICE_IDLE ||
	    !phi_life_holder(q->region.fd, MQ_NOTICE_HOLDER(state)))
		return;
	content->notify = (int)load_relaxed_u32(&n->how);
	content->signo = content->notify == SIGEV_SIGNAL ? load_relaxed_i32(&n->signo) : 0;
	content->notify_pid = load_relaxed_i32(&n->pid);
}

static int look(int dir, const char *file, const char *name, struct mq_content *content)
{
	struct mq_queue q = {0};
	struct mq_content seen = {0};
	int r = phi_mq_attach(&q, dir, file, name, true);
	if (r < 0)
		return r;
	r = read_bytes(&q, &seen);
	read_notice(&q, &seen);
	if (r == 0)
		*content = seen;
	phi_region_unmap(&q.region);
	phi_close(q.region.fd);
	return r;
}

int phi_mq_content(const char *name, struct mq_content *content)
{
	char file[NAME_MAX + 1];
	int r = phi_name_to_file(MQ_PREFIX, name, file);
	if (r < 0)
		return r;
	int dir = phi_namespace_open();
	if (dir < 0)
		return dir;
	r = look(dir, file, name, content);
	phi_close(dir);
	return r;
}

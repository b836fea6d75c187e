// SPDX-License-Identifier: MIT
//
// Looking on: no lock, no store, one read a value.
#include "mq/queue.h"

#include "base/descriptor.h"
#include "core/life.h"
#include "core/name.h"
#include "core/namespace.h"
#include "posthaste/mqueue.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t phi_mq_count(const struct mq_queue *q)
{
	// free_tail first: then the difference errs to "more free", and not below 0.
	uint64_t free_tail = load_acquire_u64(&q->c->free_tail); // FREE_TAIL
	uint64_t tail = load_acquire_u64(&q->c->tail);           // TAIL
	uint64_t out = free_tail - tail + load_relaxed_u32(&q->c->borrowed);
	if (out > q->g.maxmsg)
		return tail > free_tail ? q->g.maxmsg : 0;
	return q->g.maxmsg - out;
}

static int64_t age_ms(uint64_t then_ns, int32_t pid)
{
	if (pid == 0)
		return -1;
	int64_t age = (int64_t)((uint64_t)phi_now_coarse_ns() - then_ns);
	return age < 0 ? 0 : age / 1000000;
}

static void count_loans(const struct mq_queue *q, struct ph_mq_info *info)
{
	for (uint64_t i = 0; i < q->g.spares; i++)
		info->reserved += (load_relaxed_u64(&q->c->spare[i].claim) & MQ_CLAIM_HOLDER) != 0;
	for (int i = 0; i < MQ_BORROWS; i++)
		info->borrowed += load_relaxed_u32(&q->c->borrow[i].owner) != 0;
}

static void read_cursors(const struct mq_queue *q, struct ph_mq_info *info)
{
	const struct mq_control *c = q->c;
	uint64_t free_tail = load_acquire_u64(&c->free_tail); // FREE_TAIL
	uint64_t tail = load_acquire_u64(&c->tail);           // TAIL
	info->curmsgs = phi_mq_count(q);
	info->sent = tail;
	info->received = free_tail - q->g.maxmsg;
	info->last_sender = load_relaxed_i32(&c->tx_pid);
	info->last_receiver = load_relaxed_i32(&c->rx_pid);
	info->last_send_age_ms = age_ms(load_relaxed_u64(&c->tx_time), info->last_sender);
	info->last_receive_age_ms = age_ms(load_relaxed_u64(&c->rx_time), info->last_receiver);
	info->damaged = !phi_mq_intact(q) || load_relaxed_u32(&q->region.damaged) != 0;
}

static void read_waiting(const struct mq_queue *q, struct ph_mq_info *info)
{
	const struct mq_control *c = q->c;
	uint32_t notice = load_relaxed_u32(&c->notice.state);
	for (int i = 0; i < MQ_SLEEPERS; i++) {
		uint32_t tid = load_relaxed_u32(&c->sleeper[i].tid);
		bool sender = load_relaxed_u32(&c->sleeper[i].side) == MQ_SENDER;
		if (tid != 0 && !phi_tid_dead(tid))
			*(sender ? &info->senders_asleep : &info->receivers_asleep) += 1;
	}
	if (MQ_NOTICE_STATE(notice) != MQ_NOTICE_IDLE &&
	    phi_life_holder(q->region.fd, MQ_NOTICE_HOLDER(notice)))
		info->notify_pid = load_relaxed_i32(&c->notice.pid);
	info->subscribers = load_relaxed_u32(&c->watched) != 0 && info->notify_pid == 0;
	info->polled = load_relaxed_u32(&c->polled);
	info->attached = phi_life_attached(q->region.fd);
}

static void read_header(const struct mq_queue *q, struct ph_mq_info *info)
{
	const struct phi_region_header *h = &q->region.header;
	struct stat st;
	snprintf(info->name, sizeof info->name, "/%s", h->name);
	info->maxmsg = q->g.maxmsg;
	info->msgsize = q->g.msgsize;
	info->spares = q->g.spares;
	info->bytes = q->g.bytes;
	info->created_s = h->created_s;
	info->creator = h->creator;
	if (fstat(q->region.fd, &st) == 0) {
		info->uid = st.st_uid;
		info->gid = st.st_gid;
		info->mode = st.st_mode & 07777;
	}
}

static int look(struct mq_queue *q, int dir, const char *file, const char *name,
                struct ph_mq_info *info)
{
	int r = phi_mq_attach(q, dir, file, name, true);
	if (r < 0)
		return r;
	struct ph_mq_info seen = {0};
	read_header(q, &seen);
	read_cursors(q, &seen);
	read_waiting(q, &seen);
	count_loans(q, &seen);
	*info = seen;
	phi_region_unmap(&q->region);
	phi_close(q->region.fd);
	return 0;
}

int phi_mq_info(const char *name, struct ph_mq_info *info)
{
	char file[NAME_MAX + 1];
	int r = phi_name_to_file(MQ_PREFIX, name, file);
	if (r < 0)
		return r;
	int dir = phi_namespace_open();
	if (dir < 0)
		return dir;
	struct mq_queue q = {0};
	r = look(&q, dir, file, name, info);
	phi_close(dir);
	return r;
}

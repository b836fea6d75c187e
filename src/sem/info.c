// SPDX-License-Identifier: MIT
//
// A look from outside, without a lock and without a trace. Nothing that is read here is believed.
#include "sem/plain.h"

#include "base/descriptor.h"
#include "core/life.h"
#include "core/name.h"
#include "core/namespace.h"
#include "posthaste/semaphore.h"
#include "sync/lock.h"

#include <string.h>

static void look_at_holders(const struct sem *s, struct ph_sem_info *info)
{
	const struct sem_control *c = phi_sem_control(s);
	uint32_t slots = load_acquire_u32(&c->slots);
	for (uint32_t i = 0; i < slots && i < SEM_SLOTS; i++) {
		int32_t pid = load_acquire_i32(&phi_sem_table(s)[i].pid);
		uint32_t units = pid == 0 ? 0 : phi_sem_holds(s, i);
		if (units == 0)
			continue;
		struct ph_sem_holder *h = &info->held[info->held_count++];
		*h = (struct ph_sem_holder){pid, units, !phi_life_holder(s->region->fd, i)};
	}
	info->value = (unsigned)(load_relaxed_u64(&c->truth) & SEM_T_UNITS);
	info->returned = load_relaxed_u64(&c->returned);
	info->last_dead = load_relaxed_i32(&c->last_dead);
}

static void look_at_sleepers(const struct sem_control *c, struct ph_sem_info *info)
{
	for (int i = 0; i < SEM_SLEEPERS; i++) {
		const struct sem_sleeper *p = &c->sleeper[i];
		uint32_t tid = load_relaxed_u32(&p->tid);
		if (tid == 0 || phi_tid_dead(tid))
			continue;
		struct ph_sem_waiter *w = &info->waiter[info->waiter_count++];
		*w = (struct ph_sem_waiter){
			.pid = load_relaxed_i32(&p->pid),
			.tid = (pid_t)tid,
			.units = load_relaxed_u32(&p->units),
			.since_ns = (int64_t)load_relaxed_u64((const uint64_t *)&p->since_ns),
		};
	}
}

static void look(struct phi_region *r, struct ph_sem_info *info)
{
	const struct sem s = {.base = r->base, .region = r};
	const struct sem_control *c = phi_sem_control(&s);
	memset(info, 0, sizeof *info);
	info->holders = phi_sem_with_holders(r);
	info->creator = r->header.creator;
	info->created_s = r->header.created_s;
	info->value = phi_sem_units(load_relaxed_u32(&c->sem.word));
	if (info->holders)
		look_at_holders(&s, info);
	look_at_sleepers(c, info);
}

int phi_sem_info(const char *name, struct ph_sem_info *info)
{
	char file[NAME_MAX + 1];
	char whole[NAME_MAX + 2];
	int r = phi_name_lax(SEM_PREFIX, name, whole, file);
	if (r < 0)
		return r;
	int dir = phi_namespace_open();
	if (dir < 0)
		return dir;
	struct phi_region region = {0};
	r = phi_sem_attach(&region, dir, file, whole, true);
	phi_close(dir);
	if (r < 0)
		return r;
	look(&region, info);
	r = load_relaxed_u32(&region.damaged) ? -EBADMSG : 0;
	phi_sem_detach(&region);
	return r;
}

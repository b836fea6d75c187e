// SPDX-License-Identifier: MIT
//
// The lease: taken, taken over, dropped, sealed. docs/pipe.md, "The lease" and "Order". Its word is a mark
// (sync/mark.h) of the thread that has it.
#include "pipe/pipe.h"

#include "base/clock.h"
#include "base/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

// ---- the end of a lease ----

// Under W. Sleeping writers wait on the lease and the event: who has not gone to sleep yet finds the one
// changed; who sleeps is woken by the other, or, if this thread dies before, by `pending`. All within W,
// so that nobody takes a new lease, which would make `pending` silent.
static void end_lease(struct phi_hold *w, struct pipe_control *c)
{
	phi_lock_to_duty(w, &c->write, &c->lease);
	store_relaxed_u32(&c->seal_wanted, 0);
	uint32_t was = exchange_acq_rel_u32(&c->lease, 0); // PIPE_LEASE
	if ((was & LEASE_WAITERS) || load_relaxed_u32(&c->tx_asleep) != 0)
		phi_ring(&c->room_event, INT_MAX);
}

void phi_pipe_end_lease(struct pipe_both *b)
{
	if (load_relaxed_u32(&b->c->lease) == 0)
		return;
	end_lease(&b->w, b->c);
	store_relaxed_u32(&b->c->tx_asleep, 0);
}

void phi_pipe_raise_flags(struct pipe_control *c, uint32_t flags)
{
	if (flags != 0)
		store_release_u32(&c->flags, load_relaxed_u32(&c->flags) | flags);
}

// A dead one's is left: with it may go a flush to be repaired, which takes both locks.
void phi_pipe_seal(struct pipe *p, uint32_t flags)
{
	struct pipe_control *c = phi_pipe_control(p);
	struct phi_hold w;
	if (phi_pipe_lock_write(p, &w) < 0)
		return;
	phi_pipe_raise_flags(c, flags);
	if (phi_pipe_leased(load_relaxed_u32(&c->lease)))
		end_lease(&w, c);
	phi_lock_drop(&w, &c->write);
	phi_leave(&w);
}

// Under a lease the library puts nothing into the kernel's pipe, but what a handler has put there by force.
void phi_pipe_meet_stranger(struct pipe *p, int fd)
{
	struct pipe_control *c = phi_pipe_control(p);
	struct phi_hold w;
	if (phi_pipe_lock_write(p, &w) < 0)
		return;
	bool mine = phi_pipe_leaseholder(load_relaxed_u32(&c->lease)) == w.self->tid;
	if (mine && phi_pipe_kernel_bytes(fd) > 0) {
		if (load_relaxed_u32(&c->seal_wanted) == 0) {
			store_relaxed_u32(&c->strikes, load_relaxed_u32(&c->strikes) + 1);
			phi_pipe_raise_flags(c, PIPE_FOREIGN);
		}
		end_lease(&w, c);
	}
	phi_lock_drop(&w, &c->write);
	phi_leave(&w);
}

int phi_pipe_clear_dead(struct pipe *p, int fd)
{
	struct pipe_both b;
	int r = phi_pipe_lock_both(&b, p, fd, false);
	if (r < 0)
		return r;
	if (!phi_pipe_leased(load_relaxed_u32(&b.c->lease)))
		phi_pipe_end_lease(&b);
	phi_pipe_unlock_both(&b);
	return 0;
}

// The node is on the list before there is a lease, and not without one: another thread could not have it.
// A handler's read may take the lease as we give it up.
static void leave_list(struct pipe *p)
{
	const struct pipe_control *c = phi_pipe_control(p);
	uint32_t me = phi_self()->tid;
	if (phi_pipe_leaseholder(load_relaxed_u32(&c->lease)) == me)
		return;
	phi_mark_delist(&p->mark);
	if (phi_pipe_leaseholder(load_relaxed_u32(&c->lease)) == me && !phi_mark_enlist(&p->mark))
		phi_pipe_seal(p, 0);
}

int phi_pipe_drop_lease(struct pipe *p, int fd, bool anybody)
{
	struct pipe_both b;
	int r = phi_pipe_lock_both(&b, p, fd, false);
	if (r < 0)
		return r;
	bool empty = phi_pipe_ring_empty(b.c);
	uint32_t holder = load_relaxed_u32(&b.c->lease) & ~LEASE_WAITERS;
	bool ends = empty && (anybody || holder == b.w.self->tid || !phi_pipe_leased(holder));
	if (ends)
		phi_pipe_end_lease(&b);
	phi_pipe_unlock_both(&b);
	if (ends)
		leave_list(p);
	return empty;
}

// ---- the beginning of a lease ----

// Whether another thread of the library sleeps in the kernel's pipe, or may.
static bool others_sleep(const struct pipe *p, struct pipe_control *c, uint32_t me)
{
	if (load_relaxed_u32(&c->sleepers_beyond) != 0 ||
	    (load_acquire_u32(p->unknown_reads) & 0xffff) != 0)
		return true;
	for (int i = 0; i < PIPE_SLEEPERS; i++) {
		uint32_t tid = load_relaxed_u32(&c->sleepers[i]);
		if (tid == 0 || tid == me)
			continue;
		if (!phi_tid_dead(tid))
			return true;
		cas_acq_rel_u32(&c->sleepers[i], tid, 0);
	}
	return false;
}

// As large as the kernel's pipe is now: what stands there must fit, or it is cut in the middle of a record.
static uint32_t size_wanted(int fd)
{
	int bytes = fcntl(fd, F_GETPIPE_SZ);
	if (bytes < PIPE_SIZE_MIN)
		return 0;
	uint32_t size = PIPE_SIZE_MIN;
	while (size < PIPE_SIZE_MAX && size * 2 <= (uint32_t)bytes)
		size *= 2;
	return size;
}

// Under R and W, the ring empty, no lease, nobody in the way. The promise comes first: nobody sets out for
// the kernel's pipe any more, and who has is waited for.
static int take(struct pipe_both *b)
{
	struct pipe_control *c = b->c;
	phi_pipe_end_lease(b);                        // of a dead one
	store_release_u32(&c->lease, b->w.self->tid); // PIPE_LEASE
	fence_seq_cst();                              // PIPE_SLEEPERS, PIPE_GOERS
	if (others_sleep(b->p, c, b->w.self->tid) || !phi_pipe_drain_until_quiet(b, TAKE_PATIENCE_NS)) {
		phi_pipe_end_lease(b); // what is in the ring now comes first
		return 0;
	}
	phi_pipe_size_back(b);
	store_relaxed_u32(&b->p->had_lease, 1);
	store_relaxed_u32(&c->rx_cpu, phi_cpu());
	phi_pipe_set_time(&b->p->looked_ns, phi_now_coarse_ns());
	return 1;
}

// Without a lease: what stands in the kernel's pipe goes into the ring, which is empty, unless others
// are about to read it there.
int phi_pipe_fetch(struct pipe_end *e)
{
	struct pipe_control *c = phi_pipe_control(e->p);
	struct pipe_both b;
	int r = phi_pipe_prepare(e);
	if (r < 0 && r != -EBUSY)
		return r;
	r = phi_pipe_lock_both(&b, e->p, e->handle.fd, false);
	if (r < 0)
		return r;
	if (load_relaxed_u32(&c->lease) == 0 && load_relaxed_u32(&c->held) == 0 &&
	    load_relaxed_u32(&c->reserved) == 0 && phi_pipe_ring_empty(c) && phi_pipe_size(c) != 0) {
		phi_lock_to_duty(&b.w, &c->write, &c->lease);
		store_release_u32(&c->lease, LEASE_DIED); // PIPE_LEASE: nobody sets out or goes to sleep
		fence_seq_cst();                          // PIPE_SLEEPERS, PIPE_GOERS
		if (!others_sleep(e->p, c, b.w.self->tid))
			phi_pipe_drain_until_quiet(&b, TAKE_PATIENCE_NS);
		phi_pipe_end_lease(&b);
	}
	r = !phi_pipe_ring_empty(c);
	phi_pipe_unlock_both(&b);
	return r;
}

static bool may_take(const struct pipe_control *c)
{
	return !phi_pipe_leased(load_relaxed_u32(&c->lease)) && load_relaxed_u32(&c->flags) == 0 &&
	       phi_pipe_ring_empty(c) && load_relaxed_u32(&c->held) == 0 &&
	       load_relaxed_u32(&c->reserved) == 0;
}

// Without a lease, but with the memory for one.
int phi_pipe_prepare(struct pipe_end *e)
{
	if (!phi_pipe_leads_to(e->p, e->handle.fd))
		return -EBADF;
	struct pipe_control *c = phi_pipe_control(e->p);
	uint32_t size = size_wanted(e->handle.fd);
	if (size == 0)
		return -EINVAL;
	if (load_relaxed_u32(&c->size) == size)
		return 0;
	int r = phi_pipe_reserve_memory(e->p, size);
	if (r < 0)
		return r;
	struct pipe_both b;
	r = phi_pipe_lock_both(&b, e->p, e->handle.fd, false);
	if (r < 0)
		return r;
	bool fits = phi_pipe_ring_empty(c) && !phi_pipe_leased(load_relaxed_u32(&c->lease)) &&
	            load_relaxed_u32(&c->reserved) == 0 && load_relaxed_u32(&c->held) == 0;
	if (fits)
		store_relaxed_u32(&c->size, size);
	phi_pipe_unlock_both(&b);
	return fits ? 0 : -EBUSY;
}

// Whether this process could give back to the kernel's pipe what comes into the ring: not if it has dropped
// the right to, has no descriptor left, or there is no /proc.
static bool may_flush(int fd)
{
	int both = phi_pipe_open_both(fd);
	if (both < 0)
		return false;
	phi_close(both);
	return true;
}

static int take_listed(struct pipe_end *e)
{
	struct pipe *p = e->p;
	struct pipe_control *c = phi_pipe_control(p);
	struct pipe_both b;
	int r = phi_pipe_prepare(e);
	if (r == 0 && !may_flush(e->handle.fd))
		return 0;
	if (r == 0)
		r = phi_pipe_lock_both(&b, p, e->handle.fd, false);
	if (r < 0) {
		if (r == -ENOSPC || r == -EACCES || r == -EROFS || r == -ENOENT)
			store_relaxed_u32(&p->refused, 1); // no memory for it: the kernel's pipe has its own
		return r;
	}
	r = may_take(c) && phi_pipe_size(c) != 0 ? take(&b) : 0;
	phi_pipe_unlock_both(&b);
	return r;
}

static int take_lease(struct pipe_end *e)
{
	struct pipe_control *c = phi_pipe_control(e->p);
	if (!may_take(c) || others_sleep(e->p, c, phi_self()->tid) || !phi_mark_enlist(&e->p->mark))
		return 0;
	int r = take_listed(e);
	if (r != 1)
		leave_list(e->p);
	return r;
}

// On the way back from a read: what was read must not be lost to a cancellation.
int phi_pipe_take_lease(struct pipe_end *e)
{
	int state;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	int r = take_lease(e);
	pthread_setcancelstate(state, NULL);
	return r;
}

int phi_pipe_force_lease(int fd)
{
	struct pipe_end *e = phi_pipe_find(fd);
	if (e == NULL || !e->readable)
		return -EBADF;
	int r = phi_pipe_attach(e->p);
	return r < 0 ? r : phi_pipe_take_lease(e);
}

int phi_pipe_take_over(struct pipe *p, int fd)
{
	struct pipe_both b;
	bool listed = phi_mark_enlist(&p->mark);
	int r = phi_pipe_lock_both(&b, p, fd, false);
	if (r < 0) {
		if (listed)
			leave_list(p);
		return r;
	}
	bool mine = false;
	uint32_t old = load_relaxed_u32(&b.c->lease);
	// Sleepers wait on the word with their mark in it, and on the event. It may die, or be marked, as we look.
	while (listed && !mine && phi_pipe_leased(old)) {
		mine = cas_acq_rel_u32(&b.c->lease, old, b.w.self->tid | (old & LEASE_WAITERS));
		old = load_relaxed_u32(&b.c->lease);
	}
	if (!mine && phi_pipe_leased(old))
		phi_pipe_end_lease(&b);
	phi_pipe_unlock_both(&b);
	if (listed && !mine)
		leave_list(p);
	return 0;
}

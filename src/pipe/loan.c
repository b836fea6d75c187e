// SPDX-License-Identifier: MIT
//
// In place: room reserved at the ring's tail, and the ring's bytes looked at. Who holds either is named
// in `reserved` or `held`; the others of that side wait, and ask the kernel whether he lives. Where the
// pipe is the kernel's, a reservation is a buffer, and looking drains the kernel's pipe into the ring.
#include "pipe/pipe.h"

#include "base/futex.h"
#include "core/record.h"
#include "sync/asleep.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

// One thread's, in a list of the pipe's.
struct pipe_loan {
	struct pipe_loan *next;
	uint32_t tid;
	bool looks;     // else it reserves
	uint8_t *place; // of a reservation in a buffer, NULL = in the ring
	uint64_t at;    // position
	uint32_t size;  // of the ring, as it was when that was checked
	size_t bytes;
};

static struct pipe_loan **find(struct pipe *p, uint32_t tid, bool looks)
{
	struct pipe_loan **l = &p->loans;
	while (*l != NULL && ((*l)->tid != tid || (*l)->looks != looks))
		l = &(*l)->next;
	return l;
}

static bool has(struct pipe *p, bool looks)
{
	pthread_mutex_lock(&p->change);
	bool yes = *find(p, phi_self()->tid, looks) != NULL;
	pthread_mutex_unlock(&p->change);
	return yes;
}

static int note(struct pipe *p, const struct pipe_loan *loan)
{
	struct pipe_loan *l = malloc(sizeof *l);
	if (l == NULL)
		return -ENOMEM;
	*l = *loan;
	l->tid = phi_self()->tid;
	pthread_mutex_lock(&p->change);
	l->next = p->loans;
	p->loans = l;
	pthread_mutex_unlock(&p->change);
	return 0;
}

static struct pipe_loan *look_up(struct pipe *p, bool looks)
{
	pthread_mutex_lock(&p->change);
	struct pipe_loan *l = *find(p, phi_self()->tid, looks);
	pthread_mutex_unlock(&p->change);
	return l;
}

static void strike_off(struct pipe *p, bool looks)
{
	pthread_mutex_lock(&p->change);
	struct pipe_loan **l = find(p, phi_self()->tid, looks);
	struct pipe_loan *gone = *l;
	if (gone != NULL)
		*l = gone->next;
	pthread_mutex_unlock(&p->change);
	if (gone != NULL)
		free(gone->place);
	free(gone);
}

void phi_pipe_forget_loans(struct pipe *p)
{
	while (p->loans != NULL) {
		struct pipe_loan *l = p->loans;
		p->loans = l->next;
		free(l->place);
		free(l);
	}
}

// ---- room reserved ----

enum outcome { DONE, NO_LEASE, NO_ROOM, TAKEN };

// Under W.
static enum outcome reserve_here(struct pipe_control *c, uint32_t tid, size_t bytes,
                                 struct pipe_loan *loan)
{
	uint32_t size = phi_pipe_size(c);
	uint64_t tail = load_relaxed_u64(&c->tail);
	uint64_t used = tail - load_acquire_u64(&c->head); // PIPE_HEAD
	size_t need = bytes <= PIPE_ATOMIC_BYTES ? bytes : 1;
	if (!phi_pipe_leased(load_acquire_u32(&c->lease)) || used > size ||
	    load_relaxed_u32(&c->seal_wanted) != 0)
		return NO_LEASE;
	if (load_relaxed_u32(&c->reserved) != 0)
		return TAKEN;
	if (size - used < need)
		return NO_ROOM;
	loan->at = tail;
	loan->size = size;
	loan->bytes = bytes < size - used ? bytes : (size_t)(size - used);
	store_release_u32(&c->reserved, tid);
	return DONE;
}

static int reserve_in_ring(struct pipe_end *e, struct pipe_control *c, size_t bytes,
                           struct pipe_loan *loan)
{
	struct phi_hold h;
	int r = phi_pipe_lock_write(e->p, &h);
	if (r < 0)
		return r;
	enum outcome o = reserve_here(c, h.self->tid, bytes, loan);
	phi_lock_drop(&h, &c->write);
	phi_leave(&h);
	switch (o) {
	case DONE: return 1;
	case NO_ROOM: return phi_pipe_wait_room(e, bytes <= PIPE_ATOMIC_BYTES ? bytes : 1, false);
	case TAKEN:
		return phi_pipe_nonblock(e->handle.fd) ? -EAGAIN : phi_pipe_wait_holder(e->p, &c->reserved);
	case NO_LEASE: break;
	}
	if (phi_pipe_leased(load_relaxed_u32(&c->lease)))
		phi_pipe_seal(e->p, 0);
	else
		return phi_pipe_clear_dead(e->p, e->handle.fd);
	return 0;
}

static int make_place(struct pipe_end *e, struct pipe_loan *loan, size_t bytes)
{
	int r = phi_pipe_await_room(e->handle.fd); // as far as can be told before the write
	if (r < 0)
		return r;
	loan->bytes = bytes;
	loan->place = malloc(bytes);
	return loan->place == NULL ? -ENOMEM : 1;
}

static void give_back(struct pipe_control *c)
{
	if (exchange_acq_rel_u32(&c->reserved, 0) & PIPE_AWAITED)
		phi_futex_wake(&c->reserved, INT_MAX);
}

// There is no memory to remember it by.
static void undo(struct pipe *p, struct pipe_loan *loan)
{
	if (loan->place == NULL)
		give_back(phi_pipe_control(p));
	free(loan->place);
}

ssize_t phi_pipe_reserve(struct pipe_end *e, size_t bytes, struct iovec iov[2], int *count)
{
	struct pipe_loan loan = {.looks = false};
	if (bytes == 0)
		return -EINVAL;
	if (has(e->p, false))
		return -EBUSY;
	int r = 0;
	while (r == 0) {
		struct pipe_control *c = phi_pipe_ring_to_write(e);
		r = c == NULL ? make_place(e, &loan, bytes) : reserve_in_ring(e, c, bytes, &loan);
	}
	if (r == 1) {
		r = note(e->p, &loan);
		if (r < 0)
			undo(e->p, &loan);
	}
	if (r < 0)
		return r;
	if (loan.place != NULL) {
		iov[0] = (struct iovec){loan.place, loan.bytes};
		*count = 1;
	} else {
		*count = phi_pipe_pieces(e->p, loan.at, loan.size, loan.bytes, iov);
	}
	return (ssize_t)loan.bytes;
}

// 1 published; 0 there is no lease any more; -ESTALE somebody took us for dead; -EBADMSG it went to the
// guard's zeros.
static int publish(struct pipe *p, struct pipe_control *c, const struct pipe_loan *l, size_t bytes)
{
	struct phi_hold h;
	int r = phi_pipe_lock_write(p, &h);
	if (r < 0)
		return r;
	r = phi_pipe_damaged(p) ? -EBADMSG : phi_pipe_holder(&c->reserved) != l->tid ? -ESTALE : 0;
	if (r == 0 && phi_pipe_leased(load_acquire_u32(&c->lease))) {
		store_release_u64(&c->tail, l->at + bytes); // PIPE_TAIL
		r = 1;
	}
	phi_lock_drop(&h, &c->write);
	phi_leave(&h);
	return r;
}

static void *copy_out(struct pipe *p, const struct pipe_loan *l, size_t bytes)
{
	void *copy = malloc(bytes);
	struct iovec iov = {copy, bytes};
	struct pipe_bytes to = {.iov = &iov, .count = 1, .left = bytes};
	if (copy != NULL)
		phi_pipe_copy_out(p, l->at, l->size, &to, bytes);
	return copy;
}

static ssize_t commit_in_ring(struct pipe_end *e, const struct pipe_loan *l, size_t bytes)
{
	struct pipe_control *c = phi_pipe_control(e->p);
	ssize_t r = bytes == 0 ? 0 : publish(e->p, c, l, bytes);
	bool published = r == 1;
	void *copy = NULL;
	if (r == 0 && bytes > 0) {
		copy = copy_out(e->p, l, bytes);
		r = phi_pipe_damaged(e->p) ? -EBADMSG : copy == NULL ? -ENOMEM : 0;
	}
	// Readers cannot use the ring while we have room reserved there: first let go, then write.
	if (phi_pipe_holder(&c->reserved) == l->tid)
		give_back(c);
	if (r == -EBADMSG)
		phi_pipe_poison(e->p);
	if (r == 0 && bytes > 0) {
		struct iovec iov = {copy, bytes};
		r = phi_pipe_write(e, &iov, 1, load_relaxed_u32(&e->nosigpipe) != 0);
	}
	free(copy);
	return published ? (ssize_t)bytes : r;
}

ssize_t phi_pipe_commit(struct pipe_end *e, size_t bytes)
{
	struct pipe_loan *l = look_up(e->p, false);
	if (l == NULL)
		return -ESTALE;
	if (bytes > l->bytes)
		return -EINVAL;
	struct iovec iov = {l->place, bytes};
	ssize_t r = l->place == NULL ? commit_in_ring(e, l, bytes)
	            : bytes == 0     ? 0
	                             : phi_pipe_write(e, &iov, 1, load_relaxed_u32(&e->nosigpipe) != 0);
	strike_off(e->p, false);
	return r;
}

// ---- bytes looked at ----

// Under R: 1 held, 0 the ring is empty, -EBUSY somebody else holds it.
static int hold_here(struct pipe_control *c, uint32_t tid, struct pipe_loan *loan)
{
	uint32_t size = phi_pipe_size(c);
	uint64_t head = load_relaxed_u64(&c->head);
	uint64_t there = load_acquire_u64(&c->tail) - head; // PIPE_TAIL
	if (load_relaxed_u32(&c->held) != 0)
		return -EBUSY;
	if (there > size)
		return -EBADMSG;
	if (there == 0)
		return 0;
	loan->at = head;
	loan->size = size;
	loan->bytes = (size_t)there;
	store_release_u32(&c->held, tid);
	return 1;
}

static int hold_bytes(struct pipe_end *e, struct pipe_control *c, struct pipe_loan *loan)
{
	struct phi_hold h;
	int r = phi_pipe_lock_read(e->p, e->handle.fd, &h);
	if (r < 0)
		return r;
	r = hold_here(c, h.self->tid, loan);
	phi_lock_drop(&h, &c->read);
	phi_leave(&h);
	return r;
}

// Asleep until the kernel's pipe has bytes, known to those who think of the lease. 0, 1 = end of file.
static int await_bytes(struct pipe_end *e, struct pipe_control *c)
{
	struct pollfd pfd = {.fd = e->handle.fd, .events = POLLIN};
	uint32_t *volatile slot = phi_pipe_put_to_sleep(c, phi_self()->tid);
	volatile int r = 1;
	fence_seq_cst(); // PIPE_SLEEPERS
	pthread_cleanup_push(phi_pipe_wake_up, slot);
	if (load_relaxed_u32(&c->lease) == 0 && phi_pipe_ring_empty(c)) {
		struct phi_nap nap = phi_record_asleep(RECORD_pipe_peek, e->p->inode, false);
		r = phi_kernel_poll(&pfd, 1, NULL, NULL);
		phi_record_awake(&nap);
	}
	pthread_cleanup_pop(1);
	if (r > 0)
		sched_yield(); // others whom the same bytes have woken, in read(2), go first
	if (r < 0)
		return r;
	return (pfd.revents & (POLLIN | POLLHUP)) == POLLHUP;
}

// The ring is empty: 0 = look again, 1 = end of file, or -errno.
static int wait_bytes(struct pipe_end *e, struct pipe_control *c)
{
	bool mine = phi_pipe_leaseholder(load_relaxed_u32(&c->lease)) == phi_self()->tid;
	int r = mine ? phi_pipe_linger(e, c) : phi_pipe_drop_lease(e->p, e->handle.fd, true);
	if (r != -ENOMSG && (mine || r <= 0))
		return r;
	if (phi_pipe_kernel_bytes(e->handle.fd) > 0 && phi_pipe_lease_pays(e, c))
		phi_pipe_take_lease(e); // with what is there
	r = !phi_pipe_ring_empty(c);
	if (r == 0)
		r = phi_pipe_fetch(e);
	if (r != 0 || !phi_pipe_intact(c))
		return r < 0 ? r : 0;
	if (load_relaxed_u32(&c->reserved) != 0) // a writer's place stands in the way of fetching
		return phi_pipe_nonblock(e->handle.fd) ? -EAGAIN : phi_pipe_wait_holder(e->p, &c->reserved);
	if (phi_pipe_nonblock(e->handle.fd)) {
		struct pollfd pfd = {.fd = e->handle.fd, .events = POLLIN};
		syscall(SYS_ppoll, &pfd, 1, &(struct timespec){0, 0}, NULL, 8);
		return (pfd.revents & (POLLIN | POLLHUP)) == POLLHUP ? 1 : -EAGAIN;
	}
	return await_bytes(e, c);
}

ssize_t phi_pipe_peek(struct pipe_end *e, struct iovec iov[2], int *count)
{
	struct pipe_loan loan = {.looks = true};
	if (has(e->p, true))
		return -EBUSY;
	int r = phi_pipe_attach(e->p);
	if (r < 0)
		return -ENOTSUP;
	struct pipe_control *c = phi_pipe_control(e->p);
	for (;;) {
		if (phi_pipe_was_damaged(e->p))
			return -EBADMSG;
		if (!phi_pipe_intact(c))
			return -ENOTSUP;
		r = hold_bytes(e, c, &loan);
		if (r == 1)
			break;
		if (r == -EBADMSG)
			return phi_pipe_condemn(e->p);
		if (r == -EBUSY)
			r = phi_pipe_nonblock(e->handle.fd) ? -EAGAIN : phi_pipe_wait_holder(e->p, &c->held);
		else if (r == 0)
			r = wait_bytes(e, c);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	r = note(e->p, &loan);
	if (r < 0) {
		phi_pipe_consume(e, 0);
		return r;
	}
	*count = phi_pipe_pieces(e->p, loan.at, loan.size, loan.bytes, iov);
	return (ssize_t)loan.bytes;
}

static void let_others_hold(struct pipe_control *c)
{
	if (exchange_acq_rel_u32(&c->held, 0) & PIPE_AWAITED)
		phi_futex_wake(&c->held, INT_MAX);
}

// Under R.
static int take_held(struct pipe *p, uint32_t size, uint32_t tid, size_t bytes)
{
	struct pipe_control *c = phi_pipe_control(p);
	bool mine = phi_pipe_holder(&c->held) == tid;
	if (!phi_pipe_intact(c)) {
		if (mine)
			let_others_hold(c);
		return -EBADMSG;
	}
	if (!mine)
		return -ESTALE; // somebody took us for dead
	uint64_t head = load_relaxed_u64(&c->head) + bytes;
	if (phi_pipe_publish_head(p, head, size))
		phi_futex_wake(&c->room_event, INT_MAX);
	let_others_hold(c);
	return 0;
}

static int let_go(struct pipe_end *e, struct pipe_control *c, uint32_t size, size_t bytes)
{
	struct phi_hold h;
	int r = phi_pipe_lock_read(e->p, e->handle.fd, &h);
	if (r < 0)
		return r;
	r = take_held(e->p, size, h.self->tid, bytes);
	phi_lock_drop(&h, &c->read);
	phi_leave(&h);
	// Who polls looks for what is left in the kernel's pipe.
	if (load_relaxed_u32(&c->flags) != 0 && !phi_pipe_ring_empty(c))
		phi_pipe_leave_ring(e->p, e->handle.fd, 0, false);
	return r;
}

int phi_pipe_consume(struct pipe_end *e, size_t bytes)
{
	struct pipe_loan *l = look_up(e->p, true);
	struct pipe_control *c = phi_pipe_control(e->p);
	if (c == NULL || (l == NULL && bytes > 0))
		return -ESTALE;
	if (l != NULL && bytes > l->bytes)
		return -EINVAL;
	if (l == NULL && phi_pipe_holder(&c->held) != phi_self()->tid)
		return -ESTALE;
	if (phi_pipe_damaged(e->p))
		phi_pipe_poison(e->p); // what was looked at may be the guard's zeros
	int r = let_go(e, c, l == NULL ? PIPE_SIZE_MIN : l->size, bytes);
	strike_off(e->p, true);
	return r == -EBADMSG ? phi_pipe_condemn(e->p) : r;
}

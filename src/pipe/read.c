// SPDX-License-Identifier: MIT
//
// Reading: docs/pipe.md, "Read". What the ring has comes first; the wait for bytes is a spin on the
// ring's tail while this thread has the lease, and then the kernel's own.
#include "pipe/pipe.h"

#include "base/clock.h"
#include "core/record.h"
#include "sync/asleep.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#define LOOK_EVERY 64
#define ATTACH_AT_READS 16
#define LOOK_NS 1000000
#define GATHER_LOOKS 4
#define GATHER_PAUSES 48
#define GATHER_WORTH 4
#define GATHER_GAP_MAX 1024
#define SLOW_READ_NS 50000

enum outcome { GOT, EMPTY_MINE, EMPTY, OTHERS, HELD };

// ---- out of the ring ----

// Under R: what is there, as readers last saw it, and if that is nothing, as it is.
static uint64_t bytes_there(struct pipe_control *c, uint64_t head, uint32_t size)
{
	uint64_t there = c->read.guarded64 - head;
	if (there == 0 || there > size) {
		c->read.guarded64 = load_acquire_u64(&c->tail); // PIPE_TAIL
		there = c->read.guarded64 - head;
	}
	return there;
}

// Writers sleep, and a page is free. In full flow it is worth a system call only when half of the ring is;
// a reader that takes a little and then waits for an answer must wake them at once.
static bool worth_waking(struct pipe *p, uint64_t used, uint32_t size)
{
	if (used <= size / 2)
		return true;
	int64_t now = phi_now_ns();
	bool in_flow = now - phi_pipe_time(&p->slow_read_ns) < SLOW_READ_NS;
	phi_pipe_set_time(&p->slow_read_ns, now);
	return !in_flow && size - used >= PIPE_PAGE;
}

// Under R: the bytes up to `head` have been taken. The bump comes first, so that our death leaves a trace
// (sync/wait.h).
bool phi_pipe_publish_head(struct pipe *p, uint64_t head, uint32_t size)
{
	struct pipe_control *c = phi_pipe_control(p);
	bool wake = false;
	if (__builtin_expect(load_relaxed_u32(&c->tx_asleep) != 0, 0)) {
		wake = worth_waking(p, load_relaxed_u64(&c->tail) - head, size);
		if (wake) {
			store_relaxed_u32(&c->tx_asleep, 0);
			phi_bump(&c->room_event);
		}
	}
	store_release_u64(&c->head, head); // PIPE_HEAD
	return wake;
}

static bool take_out(struct pipe *p, struct pipe_control *c, struct pipe_bytes *to, uint32_t size,
                     uint64_t there)
{
	uint64_t head = load_relaxed_u64(&c->head);
	bool wake = false;
	for (;;) {
		size_t n = to->left < there ? to->left : (size_t)there;
		if (n > PIPE_PIECE_BYTES)
			n = PIPE_PIECE_BYTES;
		phi_pipe_copy_out(p, head, size, to, n);
		head += n;
		wake |= phi_pipe_publish_head(p, head, size);
		if (to->left == 0)
			return wake;
		there = bytes_there(c, head, size);
		if (there == 0 || there > size)
			return wake;
	}
}

// Without a lease, under R, so that nobody moves the tail; but somebody may have drained more into the ring
// since readers last saw it. The last record in the ring may go on in the kernel's pipe, and nobody is to
// read its other half: the ring looks empty only when we have it.
static int take_sealed(struct pipe_end *e, struct pipe_control *c, struct pipe_bytes *to,
                       uint32_t size)
{
	uint64_t head = load_relaxed_u64(&c->head);
	uint64_t tail = load_acquire_u64(&c->tail); // PIPE_TAIL
	if (tail - head > size)
		return -EBADMSG;
	size_t n = to->left < tail - head ? to->left : (size_t)(tail - head);
	phi_pipe_copy_out(e->p, head, size, to, n);
	if (to->left > 0 && !phi_pipe_damaged(e->p))
		phi_pipe_read_on(e->handle.fd, to);
	// Who ended a lease may have died before he woke those who slept beside it.
	if (__builtin_expect(load_relaxed_u32(&c->tx_asleep) != 0, 0)) {
		store_relaxed_u32(&c->tx_asleep, 0);
		phi_ring(&c->room_event, INT_MAX);
	}
	store_release_u64(&c->head, head + n); // PIPE_HEAD
	return 0;
}

static enum outcome look(struct pipe_control *c, uint32_t tid, uint32_t *size, uint64_t *there)
{
	uint32_t lease = load_acquire_u32(&c->lease); // PIPE_LEASE
	uint32_t holder = phi_pipe_leaseholder(lease);
	*size = phi_pipe_size(c);
	*there = bytes_there(c, load_relaxed_u64(&c->head), *size);
	if (load_relaxed_u32(&c->held) != 0)
		return HELD;
	if (holder == tid)
		return *there == 0 ? EMPTY_MINE : GOT;
	if (*there == 0)
		return EMPTY;
	return holder != 0 ? OTHERS : GOT;
}

static inline void note_reader(struct pipe_control *c, int32_t pid)
{
	uint32_t cpu = phi_cpu();
	if (load_relaxed_u32(&c->rx_cpu) != cpu)
		store_relaxed_u32(&c->rx_cpu, cpu);
	if (load_relaxed_i32(&c->last_reader) != pid)
		store_relaxed_i32(&c->last_reader, pid);
}

static enum outcome ring_read(struct pipe_end *e, struct pipe_control *c, struct pipe_bytes *to,
                              int *error)
{
	struct phi_hold h;
	uint32_t size;
	uint64_t there;
	bool wake = false;
	*error = phi_pipe_lock_read(e->p, e->handle.fd, &h);
	if (__builtin_expect(*error < 0, 0))
		return EMPTY;
	enum outcome o = look(c, h.self->tid, &size, &there);
	if (__builtin_expect(there > size, 0))
		*error = -EBADMSG;
	else if (__builtin_expect(o == GOT && load_relaxed_u32(&c->lease) != 0, 1))
		wake = take_out(e->p, c, to, size, there);
	else if (o == GOT)
		*error = take_sealed(e, c, to, size);
	if (o == GOT && phi_pipe_damaged(e->p))
		*error = -EBADMSG; // what we copied may be the guard's zeros
	note_reader(c, h.self->pid);
	// Within the lock: else somebody could take the lease over, and our death wake nobody.
	if (__builtin_expect(wake, 0))
		phi_wake(&c->room_event, INT_MAX);
	phi_lock_drop(&h, &c->read);
	phi_leave(&h);
	return o;
}

// ---- the kernel's pipe, beside a lease ----

// Now and then, in full flow: does a stranger wait to be read?
static void look_aside(struct pipe_end *e)
{
	int64_t now = phi_now_coarse_ns();
	if (now - phi_pipe_time(&e->p->looked_ns) < LOOK_NS)
		return;
	phi_pipe_set_time(&e->p->looked_ns, now);
	if (phi_pipe_kernel_bytes(e->handle.fd) > 0)
		phi_pipe_meet_stranger(e->p, e->handle.fd);
}

// A writer that is a little slower than we are would have every message fetched by itself, and each
// fetch slows it down. So where bytes come at once, pause until there are several messages; whether that
// helps is seen by what has come. Where it does not, as in a round trip, it is tried ever more rarely.
// True if there are bytes.
static bool let_gather(struct pipe *p, struct pipe_control *c, uint64_t head)
{
	uint64_t tail = load_relaxed_u64(&c->tail);
	for (int i = 0; tail == head && i < GATHER_LOOKS; i++) {
		cpu_relax();
		tail = load_relaxed_u64(&c->tail);
	}
	if (tail == head)
		return false;
	uint32_t skip = load_relaxed_u32(&p->gather_skip);
	if (skip > 0) {
		store_relaxed_u32(&p->gather_skip, skip - 1);
		return true;
	}
	for (int i = 0; i < GATHER_PAUSES; i++)
		cpu_relax();
	bool helps = load_relaxed_u64(&c->tail) - head >= GATHER_WORTH * (tail - head);
	uint32_t gap = load_relaxed_u32(&p->gather_gap);
	gap = helps ? 0 : gap < GATHER_GAP_MAX ? 2 * gap + 1 : gap;
	store_relaxed_u32(&p->gather_gap, gap);
	store_relaxed_u32(&p->gather_skip, gap);
	return true;
}

// The ring is empty and the lease ours: wait a little. 0 = look again; -ENOMSG = no use, and there is no
// lease any more.
int phi_pipe_linger(struct pipe_end *e, struct pipe_control *c)
{
	struct pipe *p = e->p;
	uint64_t head = load_relaxed_u64(&c->head);
	if (!e->nonblock &&
	    (let_gather(p, c, head) || phi_spin_while(&p->rx_spin, &c->tail, head, &c->tx_cpu, NULL)))
		return 0;
	int r = phi_pipe_drop_lease(p, e->handle.fd, false);
	return r == 1 ? -ENOMSG : r;
}

// ---- the kernel's pipe alone ----

uint32_t *phi_pipe_put_to_sleep(struct pipe_control *c, uint32_t tid)
{
	for (int i = 0; i < PIPE_SLEEPERS; i++)
		if (load_relaxed_u32(&c->sleepers[i]) == 0 && cas_acq_rel_u32(&c->sleepers[i], 0, tid))
			return &c->sleepers[i];
	store_relaxed_u32(&c->sleepers_beyond, 1);
	return NULL;
}

void phi_pipe_wake_up(void *slot)
{
	if (slot != NULL)
		store_release_u32(slot, 0);
}

static ssize_t plain_read(int fd, const struct iovec *iov, int count)
{
	struct phi_nap nap = phi_record_asleep(RECORD_read, phi_pipe_key(fd), false);
	ssize_t r = count == 1 ? phi_kernel_read(fd, iov->iov_base, iov->iov_len)
	                       : phi_kernel_readv(fd, iov, count);
	phi_record_awake(&nap);
	return r;
}

struct sleeper {
	struct pipe *p;
	uint32_t *slot;
};

static void rise(void *arg)
{
	struct sleeper *s = arg;
	phi_pipe_wake_up(s->slot);
	add_acq_rel_u32(&s->p->inside, UINT32_MAX);
}

// Known to those who think of taking the lease. 0 bytes and *again: somebody had it already.
static ssize_t read_asleep(struct pipe_end *e, struct pipe_control *c, const struct iovec *iov,
                           int count, bool *again)
{
	volatile ssize_t r = 0;
	struct sleeper s = {e->p, NULL};
	phi_pipe_inside(e->p);
	pthread_cleanup_push(rise, &s);
	s.slot = phi_pipe_put_to_sleep(c, phi_self()->tid);
	if (s.slot != NULL)
		fence_after_rmw(); // PIPE_SLEEPERS
	else
		fence_seq_cst();
	*again = load_relaxed_u32(&c->lease) != 0 || !phi_pipe_ring_empty(c);
	if (!*again)
		r = plain_read(e->handle.fd, iov, count);
	pthread_cleanup_pop(1);
	return r;
}

bool phi_pipe_lease_pays(struct pipe_end *e, struct pipe_control *c)
{
	struct pipe *p = e->p;
	return load_relaxed_u32(&c->writers) != 0 && load_relaxed_u32(&c->flags) == 0 &&
	       !load_relaxed_u32(&p->refused) && !phi_pipe_leased(load_relaxed_u32(&c->lease)) &&
	       !(phi_description_flags(p->family) & FAMILY_NO_LEASE) && !phi_pipe_stdio_has(e, true) &&
	       phi_spin_pays(&p->rx_spin, &c->tx_cpu);
}

static ssize_t read_unknown(struct pipe_end *e, const struct iovec *iov, int count, bool *again)
{
	volatile ssize_t r = 0;
	*again = !phi_pipe_begin_unknown(e->p, e->p->unknown_reads);
	if (*again) {
		sched_yield();
		return 0;
	}
	pthread_cleanup_push(phi_pipe_end_unknown, e->p->unknown_reads);
	r = plain_read(e->handle.fd, iov, count);
	pthread_cleanup_pop(1);
	return r;
}

static ssize_t kernel_read(struct pipe_end *e, const struct iovec *iov, int count, bool *again)
{
	struct pipe_control *c = phi_pipe_control(e->p);
	if (c == NULL)
		return read_unknown(e, iov, count, again);
	ssize_t r = read_asleep(e, c, iov, count, again);
	if (__builtin_expect(load_relaxed_u32(&c->asked_size) != 0, 0))
		phi_pipe_restore_size(e->p, e->handle.fd);
	if (r > 0 && phi_pipe_lease_pays(e, c))
		phi_pipe_take_lease(e);
	return r;
}

// ---- a read ----

// The ring, if there may be bytes in it, or a lease.
static struct pipe_control *ring_of(struct pipe_end *e)
{
	struct pipe *p = e->p;
	struct pipe_control *c = phi_pipe_control(p);
	if (c == NULL) {
		uint32_t family = phi_description_flags(p->family);
		bool known = (family & FAMILY_RING) != 0;
		// A ring costs some hundred reads of the kernel's pipe: not for a few lines of a child's.
		if (load_relaxed_u32(&p->refused) || ((family & FAMILY_NO_LEASE) && !known) ||
		    (!known && phi_pipe_count(&p->early_reads) < ATTACH_AT_READS) || phi_pipe_attach(p) < 0)
			return NULL;
		c = phi_pipe_control(p);
	}
	return load_relaxed_u32(&c->lease) == 0 && phi_pipe_ring_empty(c) ? NULL : c;
}

// One step: what it moved, -errno, or 0 = look again; -ENOMSG = it is the kernel's turn.
static ssize_t ring_step(struct pipe_end *e, struct pipe_control *c, struct pipe_bytes *to)
{
	int error = 0;
	size_t before = to->left;
	enum outcome o = ring_read(e, c, to, &error);
	if (__builtin_expect(error < 0, 0))
		return error == -EBADMSG ? phi_pipe_condemn(e->p) : error;
	switch (o) {
	case GOT:
		if (__builtin_expect(phi_pipe_count(&e->p->reads) % LOOK_EVERY == 0, 0))
			look_aside(e);
		return (ssize_t)(before - to->left);
	case EMPTY_MINE: return phi_pipe_linger(e, c);
	case OTHERS: return phi_pipe_take_over(e->p, e->handle.fd);
	case HELD:
		if (phi_pipe_holder(&c->held) == phi_self()->tid)
			return -EDEADLK;
		return phi_pipe_nonblock(e->handle.fd) ? -EAGAIN : phi_pipe_wait_holder(e->p, &c->held);
	case EMPTY: break;
	}
	// Nobody sleeps beside a lease, his own or another's.
	int r = phi_pipe_drop_lease(e->p, e->handle.fd, true);
	return r == 1 ? -ENOMSG : r;
}

// ---- the plain case in short: a small read, a lease of this thread, the lock free, one run ----

// Under R. The number of bytes; 0, and nothing done: take the long way.
static inline size_t take_plainly(struct pipe *p, struct pipe_control *c, uint32_t tid, void *to,
                                  size_t n)
{
	uint32_t size = phi_pipe_size(c);
	uint64_t head = load_relaxed_u64(&c->head);
	size_t at = (size_t)(head & (size - 1));
	uint64_t there = bytes_there(c, head, size);
	if (load_acquire_u32(&c->lease) != tid || there > size || // PIPE_LEASE
	    (load_relaxed_u64(&c->flush_to) | load_relaxed_u64(&c->drain_to)) != 0 ||
	    (load_relaxed_u32(&c->held) | load_relaxed_u32(&c->tx_asleep)) != 0)
		return 0;
	n = n < there ? n : (size_t)there;
	if (size - at < n)
		return 0;
	memcpy(to, p->data + at, n);
	// The long way says so.
	if (phi_pipe_damaged(p))
		return 0;
	store_release_u64(&c->head, head + n); // PIPE_HEAD
	return n;
}

static inline size_t read_plainly(struct pipe_end *e, struct pipe_control *c, void *to, size_t n)
{
	struct pipe *p = e->p;
	struct phi_hold h;
	size_t done = 0;
	phi_enter(&h);
	phi_set_pending(h.self, &c->read.word);
	if (__builtin_expect(cas_acquire_u32(&c->read.word, 0, h.self->tid), 1)) { // LOCK_ACQ
		done = take_plainly(p, c, h.self->tid, to, n);
		note_reader(c, h.self->pid);
		phi_lock_drop(&h, &c->read);
	}
	phi_leave(&h);
	if (done > 0 && __builtin_expect(phi_pipe_count(&p->reads) % LOOK_EVERY == 0, 0))
		look_aside(e);
	return done;
}

ssize_t phi_pipe_read(struct pipe_end *e, const struct iovec *iov, int count)
{
	struct pipe_control *ring = phi_pipe_control(e->p);
	if (count == 1 && iov->iov_len - 1 < PIPE_ATOMIC_BYTES && ring != NULL &&
	    load_relaxed_u32(&ring->lease) == phi_self()->tid) {
		size_t n = read_plainly(e, ring, iov->iov_base, iov->iov_len);
		if (n > 0)
			return (ssize_t)n;
	}
	struct pipe_bytes to;
	int bad = phi_pipe_bytes_of(&to, iov, count);
	if (bad < 0)
		return bad;
	if (to.left == 0)
		return plain_read(e->handle.fd, iov, count);
	for (;;) {
		if (phi_pipe_was_damaged(e->p))
			return -EBADMSG;
		struct pipe_control *c = ring_of(e);
		ssize_t r = c == NULL ? -ENOMSG : ring_step(e, c, &to);
		bool again = false;
		if (r == -ENOMSG)
			r = kernel_read(e, iov, count, &again);
		else
			again = r == 0;
		if (!again)
			return r;
	}
}

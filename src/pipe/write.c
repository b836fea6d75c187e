// SPDX-License-Identifier: MIT
//
// Writing: docs/pipe.md, "Write". With a lease into the ring, under W; else into the kernel's pipe, by
// the system call, which answers every question that hangs on the readers' number.
#include "pipe/pipe.h"

#include "base/clock.h"
#include "base/futex.h"
#include "core/record.h"
#include "sync/asleep.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define IDLE_NS 20000000
#define IDLE_LOOK_EVERY 64
#define ATTACH_AT_WRITES 64
#define HOLDER_SLICE_NS 20000000
#define HOLDER_PATIENCE_NS 2000000000

enum outcome { DONE, NO_LEASE, NO_ROOM, RESERVED };

bool phi_pipe_nonblock(int fd)
{
	return (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
}

size_t phi_pipe_kernel_bytes(int fd)
{
	int n = 0;
	return ioctl(fd, FIONREAD, &n) != 0 || n < 0 ? 0 : (size_t)n;
}

bool phi_pipe_stdio_has(const struct pipe_end *e, bool reading)
{
	int fd = e->handle.fd;
	if (fd > STDERR_FILENO || e->nostdio)
		return false;
	if (reading)
		return fd == STDIN_FILENO;
	return fd == STDERR_FILENO || (fd == STDOUT_FILENO && __fbufsize(stdout) != 0);
}

// ---- into the kernel's pipe ----

static ssize_t put_quietly(int fd, const struct iovec *iov, int count)
{
	sigset_t pipe_only, before, pending;
	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
	ssize_t r = phi_kernel_writev(fd, iov, count);
	if (r == -EPIPE && !sigismember(&pending, SIGPIPE))
		while (sigtimedwait(&pipe_only, NULL, &(struct timespec){0, 0}) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

ssize_t phi_pipe_put(int fd, struct pipe_bytes *bytes, size_t most, bool nosigpipe)
{
	struct iovec few[8];
	const struct iovec *iov = bytes->iov;
	int count = bytes->count;
	if (bytes->skip != 0 || bytes->left > most) {
		count = phi_pipe_bytes_iov(bytes, most, few, 8);
		iov = few;
	}
	struct phi_nap nap = phi_record_asleep(RECORD_write, phi_pipe_key(fd), false);
	ssize_t r = nosigpipe    ? put_quietly(fd, iov, count)
	            : count == 1 ? phi_kernel_write(fd, iov->iov_base, iov->iov_len)
	                         : phi_kernel_writev(fd, iov, count);
	phi_record_awake(&nap);
	if (r < 0)
		return r;
	phi_pipe_bytes_skip(bytes, (size_t)r);
	return r;
}

// ---- into the ring ----

// Under W: the room as writers last saw it, and if that is too little, as it is.
static uint64_t room_for(struct pipe_control *c, uint64_t tail, uint32_t size, size_t need)
{
	uint64_t used = tail - c->write.guarded64;
	if (used > size || size - used < need) {
		c->write.guarded64 = load_acquire_u64(&c->head); // PIPE_HEAD
		used = tail - c->write.guarded64;
	}
	return used > size ? UINT64_MAX : size - used;
}

static inline void note_cpu(struct pipe_control *c)
{
	uint32_t cpu = phi_cpu();
	if (load_relaxed_u32(&c->tx_cpu) != cpu)
		store_relaxed_u32(&c->tx_cpu, cpu);
}

static inline void note_pid(struct pipe_control *c, int32_t pid)
{
	if (load_relaxed_i32(&c->last_writer) != pid)
		store_relaxed_i32(&c->last_writer, pid);
}

static enum outcome put_in(struct pipe *p, struct pipe_control *c, struct pipe_bytes *bytes,
                           size_t need, int *error)
{
	uint32_t size = phi_pipe_size(c);
	uint64_t tail = load_relaxed_u64(&c->tail);
	if (__builtin_expect(!phi_pipe_leased(load_acquire_u32(&c->lease)) || size == 0 ||
	                         load_relaxed_u32(&c->seal_wanted) != 0,
	                     0))
		return NO_LEASE;
	if (__builtin_expect(load_relaxed_u32(&c->reserved) != 0, 0))
		return RESERVED;
	uint64_t room = room_for(c, tail, size, need);
	if (__builtin_expect(room == UINT64_MAX, 0)) {
		*error = -EBADMSG;
		return NO_LEASE;
	}
	if (room < need)
		return NO_ROOM;
	size_t n = bytes->left < room ? bytes->left : (size_t)room;
	if (n > PIPE_PIECE_BYTES)
		n = PIPE_PIECE_BYTES;
	struct pipe_bytes from = *bytes;
	phi_pipe_copy_in(p, tail, size, &from, n);
	if (phi_pipe_damaged(p)) { // they went to the guard's page, which no reader sees
		*error = -EBADMSG;
		return NO_LEASE;
	}
	*bytes = from;
	store_release_u64(&c->tail, tail + n); // PIPE_TAIL
	note_cpu(c);
	return DONE;
}

// A writer of the library looks now and then whether the leaseholder has moved at all.
static bool reader_is_idle(struct pipe *p, struct pipe_control *c)
{
	uint64_t head = load_relaxed_u64(&c->head);
	int64_t now = phi_now_coarse_ns();
	int64_t since = phi_pipe_time(&p->idle_since_ns);
	if (head != load_relaxed_u64(&p->idle_head) || since == 0) {
		store_relaxed_u64(&p->idle_head, head);
		phi_pipe_set_time(&p->idle_since_ns, now);
		return false;
	}
	return now - since > IDLE_NS;
}

static enum outcome ring_write(struct pipe *p, struct pipe_control *c, struct pipe_bytes *bytes,
                               size_t need, int *error)
{
	struct phi_hold h;
	int r = phi_pipe_lock_write(p, &h);
	if (__builtin_expect(r < 0, 0)) {
		*error = r;
		return NO_LEASE;
	}
	enum outcome o = put_in(p, c, bytes, need, error);
	note_pid(c, h.self->pid);
	phi_lock_drop(&h, &c->write);
	phi_leave(&h);
	return o;
}

// ---- waiting for room ----

static void ring_all(void *arg)
{
	struct pipe_control *c = arg;
	phi_ring(&c->room_event, INT_MAX);
}

// Under R: say so, unless there is room, or no lease: *as = the lease as it stands then, 0 = do not sleep.
static int announce(struct pipe *p, int fd, size_t need, uint32_t *event, uint32_t *as)
{
	struct pipe_control *c = phi_pipe_control(p);
	struct phi_hold h;
	uint32_t lease = 0;
	int r = phi_pipe_lock_read(p, fd, &h);
	if (r < 0)
		return r;
	uint64_t used = load_relaxed_u64(&c->tail) - load_relaxed_u64(&c->head);
	uint32_t size = phi_pipe_size(c);
	if (used <= size && size - used < need) {
		*event = load_acquire_u32(&c->room_event);
		store_relaxed_u32(&c->tx_asleep, 1);
		for (;;) {
			uint32_t v = load_acquire_u32(&c->lease);
			if (!phi_pipe_leased(v))
				break;
			lease = v | LEASE_WAITERS;
			if (v == lease || cas_acq_rel_u32(&c->lease, v, lease))
				break;
			lease = 0;
		}
	}
	phi_lock_drop(&h, &c->read);
	phi_leave(&h);
	*as = lease;
	return 0;
}

// A futex wait with a timeout is not restarted, but cannot look at the lease: that takes the timeout.
static int sleep_unrestarted(const struct phi_sleep *s)
{
	int r = phi_futex_wait(s->event, s->seen, IDLE_NS);
	pthread_testcancel();
	return r == -EINTR ? r : PHI_WOKEN;
}

static int sleep_for_room(struct pipe *p, int fd, size_t need, bool begun)
{
	struct pipe_control *c = phi_pipe_control(p);
	struct phi_deadline never = {.clock = -1};
	struct phi_hold h;
	struct phi_sleep s = {.event = &c->room_event,
	                      .deathword = &c->lease,
	                      .deadline = &never,
	                      .look_again_ns = IDLE_NS,
	                      .cancelled = ring_all,
	                      .arg = c};
	uint64_t head = load_relaxed_u64(&c->head);
	int r = announce(p, fd, need, &s.seen, &s.death_seen);
	if (r < 0 || s.death_seen == 0)
		return r;
	int64_t begin = phi_now_ns();
	phi_enter(&h);
	phi_duty(&h, &c->lease);
	struct phi_nap nap = phi_record_asleep(RECORD_write, p->inode, true);
	r = begun ? sleep_unrestarted(&s) : phi_sleep(&s);
	phi_record_awake(&nap);
	if (r == PHI_WOKEN_BY_DEATH)
		phi_ring(&c->room_event, INT_MAX);
	phi_leave(&h);
	// The clock alone woke us, and the leaseholder has not moved: the rest of the wait is the kernel's.
	if (r == PHI_WOKEN && head == load_relaxed_u64(&c->head) && phi_now_ns() - begin >= IDLE_NS)
		phi_pipe_leave_ring(p, fd, 0, false);
	return r < 0 ? r : 0;
}

int phi_pipe_wait_room(struct pipe_end *e, size_t need, bool begun)
{
	struct pipe_control *c = phi_pipe_control(e->p);
	uint64_t head = load_relaxed_u64(&c->head);
	uint64_t used = load_relaxed_u64(&c->tail) - head;
	if (used > phi_pipe_size(c))
		return 0;
	if (!e->nonblock && phi_spin_while(&e->p->tx_spin, &c->head, head, &c->rx_cpu, NULL))
		return 0;
	if (phi_pipe_nonblock(e->handle.fd))
		return -EAGAIN;
	return sleep_for_room(e->p, e->handle.fd, need, begun);
}

// Whether who holds a place in the ring does not live, or cannot have the ring; of whom neither can be
// told, that he keeps it too long.
static bool holder_is_gone(struct pipe *p, uint32_t tid)
{
	int64_t now = phi_now_ns();
	if (load_relaxed_u32(&p->awaited) != tid) {
		store_relaxed_u32(&p->awaited, tid);
		phi_pipe_set_time(&p->awaited_since_ns, now);
	}
	if (phi_tid_dead(tid))
		return true;
	int user = phi_pipe_is_user(p, tid);
	return user == 0 ||
	       (user < 0 && now - phi_pipe_time(&p->awaited_since_ns) > HOLDER_PATIENCE_NS);
}

// How long it takes is the other's matter; that it lives is asked for.
int phi_pipe_wait_holder(struct pipe *p, uint32_t *word)
{
	uint32_t held = load_relaxed_u32(word);
	uint32_t tid = held & ~PIPE_AWAITED;
	if (tid == 0)
		return 0;
	if (held == tid && !cas_acq_rel_u32(word, tid, tid | PIPE_AWAITED))
		return 0;
	held = tid | PIPE_AWAITED;
	struct phi_nap nap = phi_record_asleep(RECORD_write, p->inode, true);
	int r = phi_futex_wait(word, held, HOLDER_SLICE_NS);
	phi_record_awake(&nap);
	if (r == -EINTR)
		return r;
	if (r == -ETIMEDOUT && holder_is_gone(p, tid) && cas_acq_rel_u32(word, held, 0))
		phi_futex_wake(word, INT_MAX);
	pthread_testcancel();
	return 0;
}

// ---- a write ----

// Relatives that are not of the library write to this pipe: all of it goes by the kernel from now on.
static void mind_strangers(struct pipe *p)
{
	if (phi_pipe_attach(p) == 0 && !(load_relaxed_u32(&phi_pipe_control(p)->flags) & PIPE_FOREIGN))
		phi_pipe_seal(p, PIPE_FOREIGN);
}

// The ring, if writes go there.
struct pipe_control *phi_pipe_ring_to_write(struct pipe_end *e)
{
	struct pipe *p = e->p;
	uint32_t family = phi_description_flags(p->family);
	if (__builtin_expect(family & ~(uint32_t)FAMILY_RING, 0)) {
		if (family & FAMILY_LEFT_WRITING)
			mind_strangers(p);
	} else if (family && phi_pipe_control(p) == NULL) {
		phi_pipe_attach(p);
	}
	// The program that has the other end may be of the library, and have made a ring.
	if (__builtin_expect((family & FAMILY_LEFT_READING) && phi_pipe_control(p) == NULL, 0) &&
	    phi_pipe_count(&p->early_writes) == ATTACH_AT_WRITES)
		phi_pipe_attach(p);
	struct pipe_control *c = phi_pipe_control(p);
	if (c == NULL || load_relaxed_u32(&c->lease) == 0)
		return NULL;
	if (__builtin_expect(phi_pipe_stdio_has(e, false), 0)) {
		phi_pipe_seal(p, PIPE_FOREIGN);
		return NULL;
	}
	return c;
}

static void note_writer(struct pipe_control *c)
{
	if (load_relaxed_u32(&c->writers) == 0)
		store_relaxed_u32(&c->writers, 1);
	note_cpu(c);
}

struct goer {
	struct pipe *p;
	struct pipe_control *c;
	uint32_t *slot;
};

static void come_back(void *arg)
{
	struct goer *g = arg;
	phi_pipe_be_back(g->c, g->slot);
	add_acq_rel_u32(&g->p->inside, UINT32_MAX);
}

// Known to those who think of a lease. -ENOMSG: there is one, look again. By force: the ring's locks
// are this thread's own, below us on the stack; the next writer ends the lease.
static ssize_t put_known(struct pipe_end *e, struct pipe_control *c, struct pipe_bytes *bytes,
                         size_t most, bool nosigpipe, bool by_force)
{
	volatile ssize_t r = -ENOMSG;
	struct goer g = {e->p, c, NULL};
	note_writer(c);
	if (__builtin_expect(load_relaxed_u32(&c->asked_size) != 0, 0) && !by_force)
		phi_pipe_restore_size(e->p, e->handle.fd);
	phi_pipe_inside(e->p);
	g.slot = phi_pipe_go(c, phi_self()->tid);
	pthread_cleanup_push(come_back, &g);
	if (by_force) // before, for a leaseholder that looks meanwhile
		store_relaxed_u32(&c->seal_wanted, load_relaxed_u32(&c->lease) != 0);
	if (load_relaxed_u32(&c->lease) == 0 || by_force)
		r = phi_pipe_put(e->handle.fd, bytes, most, nosigpipe);
	if (by_force)
		store_relaxed_u32(&c->seal_wanted, load_relaxed_u32(&c->lease) != 0);
	pthread_cleanup_pop(1);
	return r;
}

// A relative has made a ring: look again.
static ssize_t attach_again(struct pipe *p)
{
	phi_pipe_attach(p);
	return -ENOMSG;
}

static ssize_t kernel_write(struct pipe_end *e, struct pipe_bytes *bytes, bool atomic,
                            bool nosigpipe, bool by_force)
{
	struct pipe *p = e->p;
	struct pipe_control *c = phi_pipe_control(p);
	size_t most = atomic ? bytes->left : PIPE_KERNEL_PIECE_BYTES;
	if (c != NULL)
		return put_known(e, c, bytes, most, nosigpipe, by_force);
	if (!phi_pipe_begin_unknown(p, p->unknown))
		return attach_again(p);
	volatile ssize_t r = 0;
	pthread_cleanup_push(phi_pipe_end_unknown, p->unknown);
	r = phi_pipe_put(e->handle.fd, bytes, most, nosigpipe);
	pthread_cleanup_pop(1);
	return r;
}

// One step: what it moved, or -errno; 0 = look again.
static ssize_t ring_step(struct pipe_end *e, struct pipe_control *c, struct pipe_bytes *bytes,
                         bool atomic, bool begun)
{
	int error = 0;
	size_t before = bytes->left;
	size_t need = atomic || before < PIPE_ATOMIC_BYTES ? before : PIPE_ATOMIC_BYTES;
	switch (ring_write(e->p, c, bytes, need, &error)) {
	case DONE:
		if ((phi_pipe_count(&e->p->writes) % IDLE_LOOK_EVERY) == 0 && reader_is_idle(e->p, c))
			phi_pipe_leave_ring(e->p, e->handle.fd, 0, false);
		return (ssize_t)(before - bytes->left);
	case NO_ROOM: return phi_pipe_wait_room(e, need, begun);
	case RESERVED:
		if (phi_pipe_holder(&c->reserved) == phi_self()->tid)
			return -EBUSY;
		return phi_pipe_nonblock(e->handle.fd) ? -EAGAIN : phi_pipe_wait_holder(e->p, &c->reserved);
	case NO_LEASE: break;
	}
	if (error == -EBADMSG)
		phi_pipe_poison(e->p);
	else if (error == 0 && phi_pipe_leased(load_relaxed_u32(&c->lease)))
		phi_pipe_seal(e->p, 0); // wanted, or it has no size
	else if (error == 0)
		error = phi_pipe_clear_dead(e->p, e->handle.fd);
	return error == -EBADMSG ? 0 : error;
}

// By the kernel: *whole says whether all that was asked for went in.
static ssize_t kernel_step(struct pipe_end *e, struct pipe_bytes *bytes, bool atomic,
                           bool nosigpipe, bool by_force, bool *whole)
{
	size_t asked = bytes->left;
	if (!atomic && asked > PIPE_KERNEL_PIECE_BYTES)
		asked = PIPE_KERNEL_PIECE_BYTES;
	ssize_t r = kernel_write(e, bytes, atomic, nosigpipe, by_force);
	*whole = r < 0 || (size_t)r == asked;
	return r == -ENOMSG ? 0 : r;
}

int phi_pipe_await_room(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};
	struct timespec now = {0, 0};
	struct phi_nap nap = phi_record_asleep(RECORD_write, phi_pipe_key(fd), false);
	int r = phi_kernel_poll(&pfd, 1, phi_pipe_nonblock(fd) ? &now : NULL, NULL);
	phi_record_awake(&nap);
	return r < 0 ? r : r == 0 ? -EAGAIN : 0;
}

// The plain case of a pipe that has no ring: nothing to remember between pieces.
static ssize_t write_unknown(struct pipe_end *e, const struct iovec *iov)
{
	volatile ssize_t r = 0;
	if (!phi_pipe_begin_unknown(e->p, e->p->unknown))
		return -ENOMSG;
	pthread_cleanup_push(phi_pipe_end_unknown, e->p->unknown);
	struct phi_nap nap = phi_record_asleep(RECORD_write, e->p->inode, false);
	r = phi_kernel_write(e->handle.fd, iov->iov_base, iov->iov_len);
	phi_record_awake(&nap);
	pthread_cleanup_pop(1);
	return r;
}

static inline bool has_no_ring(const struct pipe *p)
{
	return phi_pipe_control(p) == NULL && phi_description_flags(p->family) == 0;
}

// ---- the plain case in short: a small write, a lease, the lock free, room in one run ----

// Under W. False, and nothing done: take the long way.
static inline bool put_plainly(struct pipe *p, struct pipe_control *c, const void *from, size_t n)
{
	uint32_t size = phi_pipe_size(c);
	uint64_t tail = load_relaxed_u64(&c->tail);
	size_t at = (size_t)(tail & (size - 1));
	if (!phi_pipe_leased(load_acquire_u32(&c->lease)) || size == 0 || size - at < n ||
	    (load_relaxed_u32(&c->seal_wanted) | load_relaxed_u32(&c->reserved)) != 0)
		return false;
	uint64_t room = room_for(c, tail, size, n);
	if (room == UINT64_MAX || room < n)
		return false;
	memcpy(p->data + at, from, n);
	// The long way goes by the kernel.
	if (phi_pipe_damaged(p))
		return false;
	store_release_u64(&c->tail, tail + n); // PIPE_TAIL
	note_cpu(c);
	return true;
}

static inline bool write_plainly(struct pipe_end *e, struct pipe_control *c, const void *from,
                                 size_t n)
{
	struct pipe *p = e->p;
	struct phi_hold h;
	bool done = false;
	phi_enter(&h);
	phi_set_pending(h.self, &c->write.word);
	if (__builtin_expect(cas_acquire_u32(&c->write.word, 0, h.self->tid), 1)) { // LOCK_ACQ
		done = put_plainly(p, c, from, n);
		note_pid(c, h.self->pid);
		phi_lock_drop(&h, &c->write);
	}
	phi_leave(&h);
	if (done && __builtin_expect(phi_pipe_count(&p->writes) % IDLE_LOOK_EVERY == 0, 0) &&
	    reader_is_idle(p, c))
		phi_pipe_leave_ring(p, e->handle.fd, 0, false);
	return done;
}

// The ring, if writes go there and nothing else is to be thought of first.
static inline struct pipe_control *plain_ring(const struct pipe_end *e)
{
	struct pipe_control *c = phi_pipe_control(e->p);
	uint32_t family = phi_description_flags(e->p->family);
	bool plain = c != NULL && (family & ~(uint32_t)FAMILY_RING) == 0 &&
	             e->handle.fd > STDERR_FILENO && load_relaxed_u32(&c->lease) != 0;
	return plain ? c : NULL;
}

ssize_t phi_pipe_write(struct pipe_end *e, const struct iovec *iov, int count, bool nosigpipe)
{
	if (count == 1 && iov->iov_len - 1 < PIPE_ATOMIC_BYTES) {
		struct pipe_control *ring = plain_ring(e);
		if (ring != NULL && write_plainly(e, ring, iov->iov_base, iov->iov_len))
			return (ssize_t)iov->iov_len;
	}
	if (count == 1 && iov->iov_len <= PIPE_ATOMIC_BYTES && !nosigpipe && has_no_ring(e->p)) {
		ssize_t r = write_unknown(e, iov);
		if (r != -ENOMSG)
			return r;
	}
	struct pipe_bytes bytes;
	int bad = phi_pipe_bytes_of(&bytes, iov, count);
	if (bad < 0)
		return bad;
	size_t total = bytes.left;
	bool atomic = total <= PIPE_ATOMIC_BYTES;
	bool whole = true;
	for (;;) {
		struct pipe_control *c = total == 0 ? NULL : phi_pipe_ring_to_write(e);
		ssize_t r = c == NULL ? -ENOMSG : ring_step(e, c, &bytes, atomic, bytes.left < total);
		bool by_kernel = r == -ENOMSG || r == -EDEADLK;
		// Part of it is done, and write(2) would restart after a signal: wait by a call that does not.
		// What goes in then goes in before write(2) sleeps again.
		if (by_kernel && bytes.left < total && phi_pipe_await_room(e->handle.fd) < 0)
			return (ssize_t)(total - bytes.left);
		if (by_kernel)
			r = kernel_step(e, &bytes, atomic, nosigpipe, r == -EDEADLK, &whole);
		if (r < 0)
			return bytes.left < total ? (ssize_t)(total - bytes.left) : r;
		if (bytes.left == 0 || !whole)
			return (ssize_t)(total - bytes.left);
	}
}

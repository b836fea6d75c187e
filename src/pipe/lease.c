// SPDX-License-Identifier: MIT
//
// The lease: taken, taken over, dropped, sealed; and the flush. docs/pipe.md, "The lease" and "Order".
// Its word is on the robust list of the thread that has it, in a node on a page private to the process.
#include "pipe/pipe.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

// How long who holds both locks waits for writers on their way to the kernel's pipe: to take a lease,
// which can wait for another time; to flush, which cannot.
#define TAKE_PATIENCE_NS 50000
#define FLUSH_PATIENCE_NS 100000000
#define LOCK_PATIENCE_NS 1000000000

// ---- the robust list ----

static uintptr_t node_of(const struct pipe *p, const struct phi_self *s)
{
	const struct pipe_control *c = (const struct pipe_control *)(p->alias + PHI_REGION_BODY);
	uintptr_t node = (uintptr_t)&c->lease - s->robust_bias;
	uintptr_t page = (uintptr_t)p->alias + PIPE_PAGE;
	// The C libraries keep the way back in the word before.
	bool inside = node >= page + sizeof(uintptr_t) && node + sizeof(uintptr_t) <= page + PIPE_PAGE;
	return inside && sizeof(uintptr_t) == 8 ? node : 0;
}

#define AT(address) (*(uintptr_t *)(address))
#define BACK(node) AT((node) - sizeof(uintptr_t))
#define PLAIN(node) ((node) & ~(uintptr_t)1) // the mark of priority-inheriting mutexes off

// As the C library links its own mutexes: it walks and changes this list as well.
static bool enlist(struct pipe *p)
{
	struct phi_self *s = phi_self();
	if (p->enlisted_by == s->tid)
		return true;
	// Another thread's list may hold the node still; and nothing is linked before a lock that is
	// being taken, since it is unlinked by putting back what it found.
	if ((p->enlisted_by != 0 && !phi_tid_dead(p->enlisted_by)) || !s->registered ||
	    s->robust->pending != 0)
		return false;
	uintptr_t node = node_of(p, s);
	if (node == 0)
		return false;
	uintptr_t head = (uintptr_t)s->robust;
	uintptr_t first = s->robust->list;
	AT(node) = first;
	BACK(node) = head;
	compiler_barrier();
	if (PLAIN(first) != head)
		BACK(PLAIN(first)) = node;
	store_relaxed_ptr(&s->robust->list, node);
	p->enlisted_by = s->tid;
	return true;
}

void phi_pipe_delist(struct pipe *p)
{
	struct phi_self *s = phi_self();
	uintptr_t node = node_of(p, s);
	if (p->enlisted_by != s->tid || node == 0)
		return;
	uintptr_t next = AT(node);
	uintptr_t before = BACK(node);
	store_relaxed_ptr((uintptr_t *)before, next);
	compiler_barrier();
	if (PLAIN(next) != (uintptr_t)s->robust)
		BACK(PLAIN(next)) = before;
	p->enlisted_by = 0;
}

// ---- the locks ----

// A flush was begun and not finished: the kernel's pipe was empty before it, and no writer of the library
// has been there since.
static void repair_flush(struct pipe_control *c, int fd)
{
	uint64_t to = load_relaxed_u64(&c->flush_to);
	uint64_t n = to - load_relaxed_u64(&c->head);
	if (to != 0 && phi_pipe_kernel_bytes(fd) >= n && to == load_relaxed_u64(&c->tail))
		store_release_u64(&c->head, to); // PIPE_HEAD
	store_relaxed_u64(&c->flush_to, 0);
}

// A drain was: if the kernel's pipe has less than before, its bytes stand in the ring.
static void repair_drain(struct pipe_control *c, int fd)
{
	uint64_t to = load_relaxed_u64(&c->drain_to);
	uint64_t used = to - load_relaxed_u64(&c->head);
	if (to != 0 && phi_pipe_kernel_bytes(fd) < load_relaxed_u64(&c->drain_had) &&
	    used <= phi_pipe_size(c) && to - load_relaxed_u64(&c->tail) <= used)
		store_release_u64(&c->tail, to); // PIPE_TAIL
	store_relaxed_u64(&c->drain_to, 0);
}

static bool needs_repair(const struct pipe_control *c)
{
	return load_relaxed_u64(&c->flush_to) != 0 || load_relaxed_u64(&c->drain_to) != 0;
}

// Whether the thread's process has the ring mapped: nobody else can hold its locks. True if that cannot
// be told.
static bool is_user(const struct pipe *p, uint32_t tid)
{
	char path[32];
	char line[512];
	unsigned long inode;
	snprintf(path, sizeof path, "/proc/%" PRIu32 "/maps", tid);
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return true;
	bool found = false;
	while (!found && fgets(line, sizeof line, f) != NULL)
		found = sscanf(line, "%*s %*s %*s %*s %lu", &inode) == 1 && inode == p->region.inode;
	fclose(f);
	return found;
}

bool phi_pipe_is_user(const struct pipe *p, uint32_t tid)
{
	int state;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	bool yes = is_user(p, tid);
	pthread_setcancelstate(state, NULL);
	return yes;
}

// Who is stopped with a lock is waited for. A word that names a stranger was scribbled.
int phi_pipe_lock(const struct pipe *p, struct phi_hold *h, struct phi_lock *lock)
{
	for (;;) {
		int r = phi_lock_take(h, lock, LOCK_PATIENCE_NS);
		if (__builtin_expect(r != -EAGAIN, 1))
			return r;
		uint32_t word = load_relaxed_u32(&lock->word);
		uint32_t tid = word & (LEASE_DIED - 1);
		if (tid != 0 && !phi_pipe_is_user(p, tid))
			cas_acq_rel_u32(&lock->word, word, (word & LEASE_WAITERS) | LEASE_DIED);
	}
}

int phi_pipe_lock_read(struct pipe *p, int fd, struct phi_hold *h)
{
	struct pipe_control *c = phi_pipe_control(p);
	phi_enter(h);
	int r = phi_pipe_lock(p, h, &c->read);
	if (__builtin_expect(r < 0 && r != -EOWNERDEAD, 0)) {
		phi_leave(h);
		return r;
	}
	if (__builtin_expect(!needs_repair(c), 1))
		return 0;
	// Both locks' work was broken off, so both are taken to mend it.
	phi_lock_drop(h, &c->read);
	phi_leave(h);
	r = phi_pipe_clear_dead(p, fd);
	return r < 0 ? r : phi_pipe_lock_read(p, fd, h);
}

bool phi_pipe_in_vfork(void)
{
	return (uint32_t)syscall(SYS_gettid) != phi_self()->tid;
}

// A vfork child has no robust list.
static void be_yourself(struct pipe_both *b)
{
	static struct phi_robust_head none;
	if (!phi_pipe_in_vfork())
		return;
	b->self = *phi_self();
	b->self.tid = (uint32_t)syscall(SYS_gettid);
	b->self.robust = &none;
	b->r.self = b->w.self = &b->self;
	b->r.outer = b->w.outer = 0;
}

int phi_pipe_lock_both(struct pipe_both *b, struct pipe *p, int fd, bool leaving)
{
	b->p = p;
	b->fd = fd;
	b->c = phi_pipe_control(p);
	phi_enter(&b->r);
	phi_enter(&b->w);
	if (leaving)
		be_yourself(b);
	int r = phi_pipe_lock(p, &b->r, &b->c->read);
	if (r < 0 && r != -EOWNERDEAD) {
		phi_leave(&b->r);
		return r;
	}
	// The read lock on the list, `pending` free for the other.
	phi_lock_to_duty(&b->r, &b->c->read, &b->c->lease);
	r = phi_pipe_lock(p, &b->w, &b->c->write);
	if (r < 0 && r != -EOWNERDEAD) {
		phi_lock_drop(&b->r, &b->c->read);
		phi_leave(&b->r);
		return r;
	}
	if (needs_repair(b->c)) {
		repair_flush(b->c, fd);
		repair_drain(b->c, fd);
	}
	return 0;
}

void phi_pipe_unlock_both(struct pipe_both *b)
{
	phi_lock_drop(&b->w, &b->c->write);
	phi_lock_drop(&b->r, &b->c->read);
	phi_leave(&b->r);
}

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

static void end_lease_of_both(struct pipe_both *b)
{
	if (load_relaxed_u32(&b->c->lease) == 0)
		return;
	end_lease(&b->w, b->c);
	store_relaxed_u32(&b->c->tx_asleep, 0);
}

static void raise_flags(struct pipe_control *c, uint32_t flags)
{
	if (flags != 0)
		store_release_u32(&c->flags, load_relaxed_u32(&c->flags) | flags);
}

// A dead one's is left: with it may go a flush to be repaired, which takes both locks.
void phi_pipe_seal(struct pipe *p, uint32_t flags)
{
	struct pipe_control *c = phi_pipe_control(p);
	struct phi_hold w;
	phi_enter(&w);
	int r = phi_pipe_lock(p, &w, &c->write);
	if (r < 0 && r != -EOWNERDEAD) {
		phi_leave(&w);
		return;
	}
	raise_flags(c, flags);
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
	phi_enter(&w);
	int r = phi_pipe_lock(p, &w, &c->write);
	if (r < 0 && r != -EOWNERDEAD) {
		phi_leave(&w);
		return;
	}
	bool mine = phi_pipe_leaseholder(load_relaxed_u32(&c->lease)) == w.self->tid;
	if (mine && phi_pipe_kernel_bytes(fd) > 0) {
		if (load_relaxed_u32(&c->seal_wanted) == 0) {
			store_relaxed_u32(&c->strikes, load_relaxed_u32(&c->strikes) + 1);
			raise_flags(c, PIPE_FOREIGN);
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
		end_lease_of_both(&b);
	phi_pipe_unlock_both(&b);
	return 0;
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
		end_lease_of_both(&b);
	phi_pipe_unlock_both(&b);
	if (ends)
		phi_pipe_delist(p);
	return empty;
}

// ---- the kernel's pipe ----

// A FIFO has no reads that do not wait but through a description that is so.
static long read_through_own(int fd, const struct iovec *iov, int count)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int own = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (own < 0)
		return -1;
	long r = syscall(SYS_readv, own, iov, count);
	int e = errno;
	syscall(SYS_close, own);
	errno = e;
	return r;
}

// Under locks nothing may be a cancellation point: the bare system calls are none.
static ssize_t read_now(int fd, const struct iovec *iov, int count)
{
	long r = syscall(SYS_preadv2, fd, iov, count, -1L, -1L, RWF_NOWAIT);
	if (r < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL))
		r = read_through_own(fd, iov, count);
	return r < 0 ? -errno : r;
}

void phi_pipe_read_on(int fd, struct pipe_bytes *to)
{
	struct iovec iov[16];
	size_t there = phi_pipe_kernel_bytes(fd);
	if (there == 0)
		return;
	ssize_t n = read_now(fd, iov, phi_pipe_bytes_iov(to, there, iov, 16));
	if (n > 0)
		phi_pipe_bytes_skip(to, (size_t)n);
}

// Before and after the system call that moves bytes from the kernel's pipe into the ring: who repairs
// sees from the kernel's pipe whether it was made.
static void note_drain(struct pipe_control *c, uint64_t to, uint64_t had)
{
	compiler_barrier();
	store_relaxed_u64(&c->drain_had, had);
	compiler_barrier();
	store_relaxed_u64(&c->drain_to, to);
	compiler_barrier();
}

// Under R and W: what stands in the kernel's pipe goes behind the ring's bytes. Whether all of it did.
bool phi_pipe_drain(struct pipe_both *b)
{
	uint32_t size = phi_pipe_size(b->c);
	for (;;) {
		uint64_t tail = load_relaxed_u64(&b->c->tail);
		uint64_t used = tail - load_relaxed_u64(&b->c->head);
		size_t there = phi_pipe_kernel_bytes(b->fd);
		if (there == 0)
			return true;
		if (used >= size)
			return false;
		struct iovec iov[2];
		size_t n = there < size - used ? there : (size_t)(size - used);
		int count = phi_pipe_pieces(b->p, tail, size, n, iov);
		note_drain(b->c, tail + n, there);
		ssize_t r = read_now(b->fd, iov, count);
		if (r > 0)
			store_release_u64(&b->c->tail, tail + (uint64_t)r); // PIPE_TAIL
		note_drain(b->c, 0, 0);
		if (r <= 0)
			return r == 0 || r == -EAGAIN;
	}
}

// ---- writers on their way to the kernel's pipe ----

uint32_t *phi_pipe_go(struct pipe_control *c, uint32_t tid)
{
	for (uint32_t i = 0; i < PIPE_GOERS; i++) {
		uint32_t *slot = &c->goers[(tid + i) % PIPE_GOERS];
		if (load_relaxed_u32(slot) == 0 && cas_acq_rel_u32(slot, 0, tid)) {
			fence_seq_cst(); // PIPE_GOERS
			return slot;
		}
	}
	add_acq_rel_u32(&c->goers_beyond, 1);
	fence_seq_cst(); // PIPE_GOERS
	return NULL;
}

void phi_pipe_be_back(struct pipe_control *c, uint32_t *slot)
{
	if (slot != NULL)
		store_release_u32(slot, 0);
	else
		add_acq_rel_u32(&c->goers_beyond, UINT32_MAX);
}

static bool somebody_goes(const struct pipe *p, struct pipe_control *c, bool ask_whether_they_live)
{
	if ((load_acquire_u32(p->unknown) & 0xffff) != 0)
		return true;
	for (int i = 0; i < PIPE_GOERS; i++) {
		uint32_t tid = load_acquire_u32(&c->goers[i]);
		if (tid == 0)
			continue;
		if (!ask_whether_they_live || !phi_tid_dead(tid))
			return true;
		cas_acq_rel_u32(&c->goers[i], tid, 0);
	}
	return load_acquire_u32(&c->goers_beyond) != 0;
}

static void let_them_run(const struct pipe_control *c)
{
	if (load_relaxed_u32(&c->tx_cpu) == phi_cpu())
		syscall(SYS_sched_yield);
	else
		cpu_relax();
}

// Under R and W, with a lease, or a flush in progress: nobody sets out any more. Drain the kernel's
// pipe until those who had set out are back. Whether the kernel's pipe is empty then, and stays so, as
// far as the library goes.
static bool drain_until_quiet(struct pipe_both *b, int64_t patience_ns)
{
	int64_t begin = phi_now_ns();
	int64_t waited = 0;
	for (;;) {
		bool going = somebody_goes(b->p, b->c, waited >= TAKE_PATIENCE_NS); // before the last look
		if (!phi_pipe_drain(b))
			return false;
		if (!going)
			return true;
		if (waited > patience_ns)
			return false;
		let_them_run(b->c);
		waited = phi_now_ns() - begin;
	}
}

// ---- flush ----

// Under R and W, b->fd reads and writes the kernel's pipe, which is empty. `size` has been checked.
// Whether all of the ring went.
static bool pour(struct pipe_both *b, uint32_t size)
{
	struct pipe_control *c = b->c;
	uint64_t head = load_relaxed_u64(&c->head);
	uint64_t tail = load_relaxed_u64(&c->tail);
	if (tail - head > size)
		return false;
	struct iovec iov[2];
	int count = phi_pipe_pieces(b->p, head, size, (size_t)(tail - head), iov);
	store_relaxed_u64(&c->flush_to, tail);
	compiler_barrier();
	long r = syscall(SYS_writev, b->fd, iov, count);
	compiler_barrier();
	if (r > 0)
		store_release_u64(&c->head, head + (uint64_t)r); // PIPE_HEAD
	compiler_barrier();
	store_relaxed_u64(&c->flush_to, 0);
	return r == (long)(tail - head);
}

// The kernel's pipe shall hold so many bytes, until the next lease.
static bool make_room(struct pipe_both *b, uint64_t bytes)
{
	long room = syscall(SYS_fcntl, b->fd, F_GETPIPE_SZ);
	if (room < 0)
		return false;
	if ((uint64_t)room >= bytes)
		return true;
	if (syscall(SYS_fcntl, b->fd, F_SETPIPE_SZ, bytes) < 0)
		return false;
	if (load_relaxed_u32(&b->c->asked_size) == 0)
		store_relaxed_u32(&b->c->asked_size, (uint32_t)room);
	return true;
}

static uint64_t whole_pages(uint64_t bytes)
{
	return (bytes + PIPE_PAGE - 1) / PIPE_PAGE * PIPE_PAGE;
}

static void restore_size(struct pipe_both *b)
{
	uint32_t asked = load_relaxed_u32(&b->c->asked_size);
	if (asked != 0 && syscall(SYS_fcntl, b->fd, F_SETPIPE_SZ, asked) >= 0)
		store_relaxed_u32(&b->c->asked_size, 0);
}

void phi_pipe_restore_size(struct pipe *p, int fd)
{
	struct pipe_both b;
	if (phi_pipe_lock_both(&b, p, fd, false) < 0)
		return;
	restore_size(&b);
	phi_pipe_unlock_both(&b);
}

int phi_pipe_set_size(struct pipe *p, int fd, int bytes)
{
	struct pipe_both b;
	int r = phi_pipe_lock_both(&b, p, fd, false);
	if (r < 0)
		return r;
	long set = syscall(SYS_fcntl, fd, F_SETPIPE_SZ, bytes);
	r = set < 0 ? -errno : (int)set;
	if (set >= 0)
		store_relaxed_u32(&b.c->asked_size, 0);
	phi_pipe_unlock_both(&b);
	return r;
}

struct rest {
	uint8_t *bytes;
	size_t n, room;
};

static void save_rest(int fd, struct rest *rest)
{
	while (rest->n < rest->room) {
		long r = syscall(SYS_read, fd, rest->bytes + rest->n, rest->room - rest->n);
		if (r <= 0)
			break;
		rest->n += (size_t)r;
	}
}

// What can stand in the kernel's pipe until nobody is on his way there: what does, and what those who are
// have left to put in.
static size_t most_rest(struct pipe_both *b)
{
	size_t n = phi_pipe_kernel_bytes(b->fd);
	n += (load_relaxed_u32(b->p->unknown) & 0xffff) * (size_t)PIPE_KERNEL_PIECE_BYTES;
	for (int i = 0; i < PIPE_GOERS; i++)
		n += load_relaxed_u32(&b->c->goers[i]) != 0 ? PIPE_KERNEL_PIECE_BYTES : 0;
	return n;
}

// Writers asleep in the full pipe go on as it empties, and none may come between the ring and the rest.
// Whether none can any more.
static bool save_until_quiet(struct pipe_both *b, struct rest *rest)
{
	int64_t begin = phi_now_ns();
	bool going = true;
	while (going && rest->n < rest->room && phi_now_ns() - begin < FLUSH_PATIENCE_NS) {
		going = somebody_goes(b->p, b->c, phi_now_ns() - begin > TAKE_PATIENCE_NS);
		save_rest(b->fd, rest);
		if (going)
			syscall(SYS_sched_yield);
	}
	return !going;
}

// A stranger may have filled the room meanwhile: make more. Nobody may be waited for: who could read may
// be waiting for our locks.
static void put_rest_back(struct pipe_both *b, const struct rest *rest)
{
	for (size_t done = 0; done < rest->n;) {
		long r = syscall(SYS_write, b->fd, rest->bytes + done, rest->n - done);
		if (r > 0)
			done += (size_t)r;
		else if (errno != EAGAIN || !make_room(b, 2 * (uint64_t)syscall(SYS_fcntl, b->fd, F_GETPIPE_SZ)))
			break;
	}
}

// The ring is full, and bytes that come behind it stand in the kernel's pipe: out of the way with them
// for a moment. If this process dies in that moment, it has read them.
static void pour_before_rest(struct pipe_both *b, uint32_t size)
{
	struct rest rest = {.room = most_rest(b)};
	if (!make_room(b, whole_pages(size) + whole_pages(rest.room)))
		return; // it comes first, for readers of the library
	rest.bytes = mmap(NULL, rest.room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (rest.bytes == MAP_FAILED)
		return;
	if (save_until_quiet(b, &rest))
		pour(b, size);
	put_rest_back(b, &rest);
	munmap(rest.bytes, rest.room);
}

// The ring's bytes into the kernel's pipe, before what stands there. While it lasts the lease reads as
// that of a dead: nobody uses it, everybody comes for the locks to take it away, and if we die so it is.
static void flush(struct pipe_both *b)
{
	struct pipe_control *c = b->c;
	uint32_t size = phi_pipe_size(c);
	uint64_t used = load_relaxed_u64(&c->tail) - load_relaxed_u64(&c->head);
	if (used == 0 || used > size)
		return;
	char path[32];
	snprintf(path, sizeof path, "/proc/self/fd/%d", b->fd);
	int both = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (both < 0)
		return;
	int end = b->fd;
	b->fd = both;
	phi_lock_to_duty(&b->w, &c->write, &c->lease);
	uint32_t was = exchange_acq_rel_u32(&c->lease, LEASE_DIED); // PIPE_LEASE, PIPE_GOERS
	if ((was & LEASE_WAITERS) || load_relaxed_u32(&c->tx_asleep) != 0)
		phi_ring(&c->room_event, INT_MAX);
	fence_seq_cst();
	if (!drain_until_quiet(b, FLUSH_PATIENCE_NS)) {
		if (!(load_relaxed_u32(&c->flags) & PIPE_FOREIGN)) // who fills what we empty
			pour_before_rest(b, size);
	}
	else if (make_room(b, whole_pages(load_relaxed_u64(&c->tail) - load_relaxed_u64(&c->head))))
		pour(b, size);
	b->fd = end;
	syscall(SYS_close, both);
}

// Whether nobody living holds a place in the ring.
static bool vacant(uint32_t *word)
{
	uint32_t held = load_relaxed_u32(word);
	return held == 0 || (phi_tid_dead(held & ~PIPE_AWAITED) && cas_acq_rel_u32(word, held, 0));
}

int phi_pipe_leave_ring(struct pipe *p, int fd, uint32_t flags, bool leaving)
{
	struct pipe_both b;
	if (phi_pipe_control(p) == NULL)
		return 0;
	int r = phi_pipe_lock_both(&b, p, fd, leaving);
	if (r < 0)
		return r;
	raise_flags(b.c, flags);
	if (vacant(&b.c->held) && vacant(&b.c->reserved))
		flush(&b);
	end_lease_of_both(&b);
	phi_pipe_unlock_both(&b);
	return 0;
}

// ---- the beginning of a lease ----

// Whether another thread of the library sleeps in the kernel's pipe, or may.
static bool others_sleep(struct pipe_control *c, uint32_t me)
{
	if (load_relaxed_u32(&c->sleepers_beyond) != 0)
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

static uint32_t size_wanted(int fd, uint32_t asked)
{
	int bytes = asked != 0 ? (int)asked : fcntl(fd, F_GETPIPE_SZ);
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
	end_lease_of_both(b); // of a dead one
	store_release_u32(&c->lease, b->w.self->tid); // PIPE_LEASE
	fence_seq_cst();                              // PIPE_SLEEPERS, PIPE_GOERS
	if (others_sleep(c, b->w.self->tid) || !drain_until_quiet(b, TAKE_PATIENCE_NS)) {
		end_lease_of_both(b); // what is in the ring now comes first
		return 0;
	}
	restore_size(b);
	b->p->had_lease = true;
	store_relaxed_u32(&c->rx_cpu, phi_cpu());
	b->p->looked_ns = phi_now_coarse_ns();
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
		if (!others_sleep(c, b.w.self->tid))
			drain_until_quiet(&b, TAKE_PATIENCE_NS);
		end_lease_of_both(&b);
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
	struct pipe_control *c = phi_pipe_control(e->p);
	uint32_t size = size_wanted(e->handle.fd, load_relaxed_u32(&c->asked_size));
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

static int take_lease(struct pipe_end *e)
{
	struct pipe *p = e->p;
	struct pipe_control *c = phi_pipe_control(p);
	if (!may_take(c) || others_sleep(c, phi_self()->tid) || !enlist(p))
		return 0;
	struct pipe_both b;
	int r = phi_pipe_prepare(e);
	if (r == 0 && phi_pipe_kernel_bytes(e->handle.fd) > phi_pipe_size(c) / 2)
		return 0; // writers wait there; it would not all fit
	if (r == 0)
		r = phi_pipe_lock_both(&b, p, e->handle.fd, false);
	if (r < 0) {
		if (r == -ENOSPC || r == -EACCES || r == -EROFS || r == -ENOENT)
			p->refused = true; // no memory for it: the kernel's pipe has its own
		return r;
	}
	r = may_take(c) && phi_pipe_size(c) != 0 ? take(&b) : 0;
	phi_pipe_unlock_both(&b);
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
	bool listed = enlist(p);
	int r = phi_pipe_lock_both(&b, p, fd, false);
	if (r < 0)
		return r;
	for (;;) {
		uint32_t old = load_relaxed_u32(&b.c->lease);
		if (!phi_pipe_leased(old))
			break;
		if (!listed) {
			end_lease_of_both(&b);
			break;
		}
		// Sleepers wait on the word with their mark in it, and on the event.
		if (cas_acq_rel_u32(&b.c->lease, old, b.w.self->tid | (old & LEASE_WAITERS)))
			break;
	}
	phi_pipe_unlock_both(&b);
	return 0;
}

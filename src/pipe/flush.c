// SPDX-License-Identifier: MIT
//
// The ring's bytes into the kernel's pipe, for those who look only there. docs/pipe.md, "Flush".
#include "pipe/pipe.h"

#include "base/clock.h"
#include "base/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// How long writers on their way are waited for: a flush cannot be put off.
#define FLUSH_PATIENCE_NS 2000000000
// The kernel's pipe is not made larger than twice this.
#define ROOM_MAX (4 << 20)
#define REST_AMPLE_BYTES ((size_t)PIPE_SIZE_MAX)

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

void phi_pipe_size_back(struct pipe_both *b)
{
	uint32_t asked = load_relaxed_u32(&b->c->asked_size);
	if (asked != 0 && (syscall(SYS_fcntl, b->fd, F_SETPIPE_SZ, asked) >= 0 || errno != EBUSY))
		store_relaxed_u32(&b->c->asked_size, 0);
}

void phi_pipe_restore_size(struct pipe *p, int fd)
{
	struct pipe_both b;
	if (phi_pipe_lock_both(&b, p, fd, false) < 0)
		return;
	phi_pipe_size_back(&b);
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

// What stood in the kernel's pipe behind the ring's bytes.
struct rest {
	uint8_t *bytes;
	size_t n, room;
};

// Under R and W, b->fd reads and writes the kernel's pipe, which is empty. `size` has been checked. One
// system call for all, so that nobody reads half of a record at the seam. The bytes that went.
static size_t pour_once(struct pipe_both *b, uint64_t head, uint64_t tail, const struct rest *rest)
{
	struct pipe_control *c = b->c;
	struct iovec iov[3];
	int count = 0;
	if (tail != head)
		count = phi_pipe_pieces(b->p, head, b->size, (size_t)(tail - head), iov);
	iov[count] = (struct iovec){rest->bytes, rest->n};
	store_relaxed_u64(&c->flush_to, tail);
	compiler_barrier();
	long r = syscall(SYS_writev, b->fd, iov, count + 1);
	bool lost = r < 0 && errno == EFAULT; // there is no ring: a system call raises no SIGBUS
	compiler_barrier();
	size_t went = r < 0 ? 0 : (size_t)r;
	size_t of_ring = went < tail - head ? went : (size_t)(tail - head);
	store_release_u64(&c->head, head + of_ring); // PIPE_HEAD
	compiler_barrier();
	store_relaxed_u64(&c->flush_to, 0);
	if (lost)
		phi_pipe_poison(b->p);
	return went;
}

// A stranger may have filled the room meanwhile: make more. Nobody may be waited for: who could read may
// be waiting for our locks.
static void pour(struct pipe_both *b, uint64_t head, uint64_t tail, struct rest rest)
{
	if (tail - head > b->size)
		return; // damaged
	for (;;) {
		size_t went = pour_once(b, head, tail, &rest);
		size_t of_ring = went < tail - head ? went : (size_t)(tail - head);
		head = phi_pipe_intact(b->c) ? head + of_ring : tail;
		if (went > of_ring) {
			rest.bytes += went - of_ring;
			rest.n -= went - of_ring;
		}
		if (head == tail && rest.n == 0)
			return;
		long room = syscall(SYS_fcntl, b->fd, F_GETPIPE_SZ);
		if (went == 0 && (room <= 0 || room >= ROOM_MAX || !make_room(b, 2 * (uint64_t)room)))
			return;
	}
}

// Whether the kernel's pipe was empty at the end.
static bool save_rest(int fd, struct rest *rest)
{
	while (rest->n < rest->room) {
		long r = syscall(SYS_read, fd, rest->bytes + rest->n, rest->room - rest->n);
		if (r <= 0)
			return true;
		rest->n += (size_t)r;
	}
	return phi_pipe_kernel_bytes(fd) == 0;
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
	bool quiet = false;
	while (!quiet && rest->n < rest->room && phi_now_ns() - begin < FLUSH_PATIENCE_NS) {
		bool going = phi_pipe_somebody_goes(b->p, b->c, phi_now_ns() - begin);
		quiet = save_rest(b->fd, rest) && !going;
		if (!quiet)
			phi_pipe_let_others_run(phi_now_ns() - begin);
	}
	return quiet;
}

// Whether the kernel's pipe can be made to hold the ring and `rest->room` bytes. It stays as it is until it
// is empty: strangers would fill it while we read, with more than there is room for.
static bool may_pour(struct pipe_both *b, uint32_t size, struct rest *rest)
{
	long before = syscall(SYS_fcntl, b->fd, F_GETPIPE_SZ);
	size_t ample = REST_AMPLE_BYTES - size; // for a stranger's, who fills what we empty
	rest->room = most_rest(b);
	if (rest->room < ample && make_room(b, REST_AMPLE_BYTES))
		rest->room = ample;
	else if (!make_room(b, whole_pages(size) + whole_pages(rest->room)))
		return false;
	syscall(SYS_fcntl, b->fd, F_SETPIPE_SZ, before);
	return true;
}

// The ring is full, and bytes that come behind it stand in the kernel's pipe: out of the way with them
// for a moment. If this process dies in that moment, it has read them.
static void pour_before_rest(struct pipe_both *b, uint32_t size)
{
	struct rest rest = {0};
	if (!may_pour(b, size, &rest))
		return; // the ring comes first, for readers of the library
	rest.bytes = mmap(NULL, rest.room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (rest.bytes == MAP_FAILED)
		return;
	bool quiet = save_until_quiet(b, &rest);
	uint64_t head = load_relaxed_u64(&b->c->head);
	// Where a writer may still come between, the rest goes back, and the ring stays.
	uint64_t tail = quiet ? load_relaxed_u64(&b->c->tail) : head;
	make_room(b, whole_pages(tail - head) + whole_pages(rest.n));
	pour(b, head, tail, rest);
	munmap(rest.bytes, rest.room);
}

int phi_pipe_open_both(int fd)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

// The ring's bytes into the kernel's pipe, before what stands there. While it lasts the lease reads as
// that of a dead: nobody uses it, everybody comes for the locks to take it away, and if we die so it is.
static void flush(struct pipe_both *b, bool strangers)
{
	struct pipe_control *c = b->c;
	uint32_t size = phi_pipe_size(c);
	uint64_t used = load_relaxed_u64(&c->tail) - load_relaxed_u64(&c->head);
	if (used == 0 || used > size || !phi_pipe_leads_to(b->p, b->fd))
		return;
	int both = phi_pipe_open_both(b->fd);
	if (both < 0)
		return;
	int end = b->fd;
	b->size = size;
	b->fd = both;
	phi_lock_to_duty(&b->w, &c->write, &c->lease);
	uint32_t was = exchange_acq_rel_u32(&c->lease, LEASE_DIED); // PIPE_LEASE, PIPE_GOERS
	if ((was & LEASE_WAITERS) || load_relaxed_u32(&c->tx_asleep) != 0)
		phi_ring(&c->room_event, INT_MAX);
	fence_seq_cst();
	if (!phi_pipe_drain_until_quiet(b, FLUSH_PATIENCE_NS)) {
		if (!strangers) // who fill what we empty
			pour_before_rest(b, size);
	} else if (make_room(b, whole_pages(load_relaxed_u64(&c->tail) - load_relaxed_u64(&c->head))))
		pour(b, load_relaxed_u64(&c->head), load_relaxed_u64(&c->tail), (struct rest){NULL, 0, 0});
	b->fd = end;
	phi_close(both);
}

// Beside a lease the library puts nothing into the kernel's pipe, but what a handler has put there by force.
static bool met_strangers(struct pipe_both *b)
{
	const struct pipe_control *c = b->c;
	bool met = phi_pipe_leased(load_relaxed_u32(&c->lease)) && phi_pipe_kernel_bytes(b->fd) > 0 &&
	           load_relaxed_u32(&c->seal_wanted) == 0;
	if (met)
		phi_pipe_raise_flags(b->c, PIPE_FOREIGN);
	return met || (load_relaxed_u32(&c->flags) & PIPE_FOREIGN) != 0;
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
	bool strangers = met_strangers(&b); // writers; before the readers who now come
	phi_pipe_raise_flags(b.c, flags);
	// Where strangers' bytes stand behind the ring's, who polls, and who reads the ring first, is served as it is.
	bool served = strangers && (flags & (PIPE_FOREIGN | PIPE_EXPORTED)) == 0 &&
	              phi_pipe_kernel_bytes(b.fd) > 0;
	if (!served && vacant(&b.c->held) && vacant(&b.c->reserved))
		flush(&b, strangers);
	phi_pipe_end_lease(&b);
	phi_pipe_unlock_both(&b);
	return 0;
}

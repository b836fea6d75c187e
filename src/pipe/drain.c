// SPDX-License-Identifier: MIT
//
// The kernel's pipe, as who holds both locks uses it: read without waiting, drained into the ring, and
// quiet, when no writer of the library is on his way there.
#include "pipe/pipe.h"

#include "base/clock.h"
#include "base/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UNKNOWN_PATIENCE_NS 100000000
#define YIELD_FOR_NS 1000000
#define SLICE_NS 1000000

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

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
	phi_close(own);
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
		if (r == -EFAULT)
			phi_pipe_poison(b->p); // there is no ring: a system call raises no SIGBUS
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
			fence_after_rmw(); // PIPE_GOERS
			return slot;
		}
	}
	add_acq_rel_u32(&c->goers_beyond, 1);
	fence_after_rmw(); // PIPE_GOERS
	return NULL;
}

void phi_pipe_be_back(struct pipe_control *c, uint32_t *slot)
{
	if (slot != NULL)
		store_release_u32(slot, 0);
	else
		add_acq_rel_u32(&c->goers_beyond, UINT32_MAX);
}

bool phi_pipe_somebody_goes(const struct pipe *p, struct pipe_control *c, int64_t waited_ns)
{
	// A call that no ring knows of cannot be asked whether it lives.
	if ((load_acquire_u32(p->unknown) & 0xffff) != 0 && waited_ns < UNKNOWN_PATIENCE_NS)
		return true;
	for (int i = 0; i < PIPE_GOERS; i++) {
		uint32_t tid = load_acquire_u32(&c->goers[i]);
		if (tid == 0)
			continue;
		if (waited_ns < TAKE_PATIENCE_NS)
			return true;
		if (tid == phi_self()->tid)
			continue; // this thread's, below a handler's on the stack: it comes later in any case
		if (!phi_tid_dead(tid))
			return true;
		cas_acq_rel_u32(&c->goers[i], tid, 0);
	}
	return load_acquire_u32(&c->goers_beyond) != 0 && waited_ns < UNKNOWN_PATIENCE_NS;
}

void phi_pipe_let_others_run(int64_t waited_ns)
{
	if (waited_ns < YIELD_FOR_NS)
		syscall(SYS_sched_yield);
	else
		syscall(SYS_ppoll, NULL, 0, &(struct timespec){0, SLICE_NS}, NULL, 8);
}

static void let_them_run(const struct pipe_control *c, int64_t waited_ns)
{
	if (waited_ns < YIELD_FOR_NS && load_relaxed_u32(&c->tx_cpu) != phi_cpu())
		cpu_relax();
	else
		phi_pipe_let_others_run(waited_ns);
}

// Under R and W, with a lease, or a flush in progress: nobody sets out any more. Drain the kernel's
// pipe until those who had set out are back. Whether the kernel's pipe is empty then, and stays so, as
// far as the library goes.
bool phi_pipe_drain_until_quiet(struct pipe_both *b, int64_t patience_ns)
{
	int64_t begin = phi_now_ns();
	int64_t waited = 0;
	for (;;) {
		bool going = phi_pipe_somebody_goes(b->p, b->c, waited); // before the last look
		if (!phi_pipe_drain(b))
			return false;
		if (!going)
			return true;
		if (waited > patience_ns)
			return false;
		let_them_run(b->c, waited);
		waited = phi_now_ns() - begin;
	}
}

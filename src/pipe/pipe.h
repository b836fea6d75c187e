// SPDX-License-Identifier: MIT
//
// The private side of a pipe, and what the files of this room share. Read docs/pipe.md first, then
// layout.h, this, write.c and read.c; lease.c is what makes the two safe.
#ifndef PHI_PIPE_PIPE_H
#define PHI_PIPE_PIPE_H

#include "core/description.h"
#include "core/handle.h"
#include "core/region.h"
#include "pipe/layout.h"
#include "sync/lock.h"
#include "sync/mark.h"
#include "sync/spin.h"
#include "sync/wait.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define PIPE_ATOMIC_BYTES 4096 // PIPE_BUF
// Longer reads and writes go in pieces, so that both sides copy at the same time.
#define PIPE_PIECE_BYTES 16384
// Into the kernel's pipe: between two pieces a writer looks for a lease.
#define PIPE_KERNEL_PIECE_BYTES 65536

// What relatives by fork tell each other of a pipe (core/description).
#define FAMILY_RING 2         // there is a ring: attach
#define FAMILY_POLLED 4       // somebody polls an end
#define FAMILY_LEFT_READING 8 // the end to read from went with an exec
#define FAMILY_LEFT_WRITING 16
#define FAMILY_EXPORTED 32
// Why there is no lease any more, whatever ring there is.
#define FAMILY_NO_LEASE (FAMILY_POLLED | FAMILY_LEFT_READING | FAMILY_EXPORTED)

#define PIPE_FILE_SIZE 64

struct pipe_loan;

// One per process and pipe, for all its descriptors.
struct pipe {
	uintptr_t control; // struct pipe_control *, 0 until attached; set last
	uint8_t *data;
	uint32_t *family;
	uint32_t *unknown; // low half: writes of the family that no ring knows of, in the kernel's pipe
	uint32_t *unknown_reads; // reads, likewise
	struct phi_spin rx_spin, tx_spin;
	uint64_t device, inode;
	bool is_fifo;
	uint32_t refused; // no ring for this process: do not try again
	uint32_t told;    // 1 = a reader has heard that the ring is damaged
	uint32_t inside;  // calls in the slow paths
	uint32_t insider; // thread of the first of them
	uint32_t insiders_differ;
	uint32_t had_lease;   // since the process began
	int64_t looked_ns;    // when a leaseholder last looked there
	uint32_t gather_gap;  // how many reads to let pass between two tries to let messages gather
	uint32_t gather_skip; // how many of them are left
	uint32_t early_reads, early_writes; // before there was a ring
	uint32_t reads, writes;             // counts for what is done now and then
	uint64_t idle_head;                 // as a writer saw it at idle_since_ns
	int64_t idle_since_ns;
	uint32_t awaited; // thread that is waited for, as it holds a place in the ring
	int64_t awaited_since_ns;
	int64_t slow_read_ns; // when this process last read while writers slept
	struct phi_region region;
	struct phi_mark mark; // the lease, on the control page mapped once more
	uint32_t ends;        // descriptors of this process
	struct pipe *next;
	pthread_mutex_t change;  // guards attaching and what stands below
	struct pipe_loan *loans; // of one thread each
	char name[256];          // for display
};

// One per descriptor.
struct pipe_end {
	struct phi_handle handle;
	struct pipe *p;
	struct pipe_end *all_next; // of all ever made
	bool readable, writable;
	bool nonblock; // as far as we were told; only to decide whether to spin
	bool nostdio;  // stdio does not use this number
	uint32_t nosigpipe;
};

// Counts and times that are private to the process, racy between its threads.
static inline uint32_t phi_pipe_count(uint32_t *n)
{
	uint32_t v = load_relaxed_u32(n) + 1;
	store_relaxed_u32(n, v);
	return v;
}

static inline int64_t phi_pipe_time(const int64_t *t)
{
	return (int64_t)load_relaxed_u64((const uint64_t *)t);
}

static inline void phi_pipe_set_time(int64_t *t, int64_t v)
{
	store_relaxed_u64((uint64_t *)t, (uint64_t)v);
}

static inline struct pipe_end *phi_pipe_find(int fd)
{
	return (struct pipe_end *)phi_handle_find(fd, PHI_KIND_PIPE);
}

// By which it is known in a recording.
static inline uint64_t phi_pipe_key(int fd)
{
	const struct pipe_end *e = phi_pipe_find(fd);
	return e == NULL ? 0 : e->p->inode;
}

static inline struct pipe_control *phi_pipe_control(const struct pipe *p)
{
	return (struct pipe_control *)load_acquire_ptr(&p->control); // PIPE_ATTACHED
}

// In the lease, beside the thread (layout.h).
#define LEASE_WAITERS 0x80000000U
#define LEASE_DIED 0x40000000U

// Whether it names a living thread.
static inline bool phi_pipe_leased(uint32_t lease)
{
	uint32_t tid = lease & ~LEASE_WAITERS;
	return tid != 0 && tid < LEASE_DIED;
}

// 0 = none.
static inline uint32_t phi_pipe_leaseholder(uint32_t lease)
{
	return phi_pipe_leased(lease) ? lease & ~LEASE_WAITERS : 0;
}

static inline bool phi_pipe_ring_empty(const struct pipe_control *c)
{
	return load_acquire_u64(&c->tail) == load_acquire_u64(&c->head); // PIPE_TAIL, PIPE_HEAD
}

// The size of the ring as it stands there, or 0 if that cannot be.
static inline uint32_t phi_pipe_size(const struct pipe_control *c)
{
	uint32_t size = load_relaxed_u32(&c->size);
	bool fits = size >= PIPE_SIZE_MIN && size <= PIPE_SIZE_MAX && (size & (size - 1)) == 0;
	return fits ? size : 0;
}

// The bytes to be read or written: pieces, and how much of them has been done.
struct pipe_bytes {
	const struct iovec *iov;
	int count;
	size_t skip; // of the first piece
	size_t left;
};

// Who has reserved, or holds what he looks at: a thread, and whether others wait for him.
#define PIPE_AWAITED 0x80000000U
static inline uint32_t phi_pipe_holder(const uint32_t *word)
{
	return load_relaxed_u32(word) & ~PIPE_AWAITED;
}

// Whether this process has met damage: bytes copied since may be the guard's zeros, or have gone to them.
static inline bool phi_pipe_damaged(const struct pipe *p)
{
	compiler_barrier(); // the guard, a handler below our accesses, says so
	return __builtin_expect(load_relaxed_u32(&p->region.damaged) != 0, 0);
}

// Whether nobody has.
static inline bool phi_pipe_intact(const struct pipe_control *c)
{
	return __builtin_expect(load_relaxed_u32(&c->stamp) == PIPE_STAMP, 1);
}

// ---- attach.c ----

// The name of the ring's file in the namespace directory.
void phi_pipe_file(bool is_fifo, uint64_t device, uint64_t inode, char file[PIPE_FILE_SIZE]);
// Map the pipe's ring, made if need be: 0; or -errno, and then this process uses the kernel's pipe.
int phi_pipe_attach(struct pipe *p);
// The ring, attached if a relative has made one; NULL if there is none.
struct pipe_control *phi_pipe_ring_known(struct pipe *p);
// A call uses the kernel's pipe without a ring: true if it may, else attach first. `counter` is p->unknown
// or p->unknown_reads; it ends with phi_pipe_end_unknown(counter).
bool phi_pipe_begin_unknown(struct pipe *p, uint32_t *counter);
void phi_pipe_end_unknown(void *counter);
// Reserve memory for `size` bytes of the ring.
int phi_pipe_reserve_memory(struct pipe *p, uint32_t size);
// The ring is damaged: nothing is to be reached through it any more.
void phi_pipe_poison(struct pipe *p);
// The same by a reader, who hears of it now: -EBADMSG.
int phi_pipe_condemn(struct pipe *p);
// Whether a reader of this process has yet to hear of it: true once.
bool phi_pipe_was_damaged(struct pipe *p);
// The process ends: private zeros take the ring's place, so that its other threads may go on to their end,
// and the file is removed if nobody else has it mapped.
void phi_pipe_vanish(struct pipe *p);
// Nobody in this process has the pipe any more; `fd` is the last end, about to be closed, or -1.
void phi_pipe_detach(struct pipe *p, int fd);
// Around what must not be interrupted by a handler that does the same.
void phi_pipe_lock_out_signals(sigset_t *before);
void phi_pipe_let_signals_in(const sigset_t *before);
// Remove what nobody has mapped from the namespace directory `dir`; how many files.
int phi_pipe_sweep(int dir);
void phi_pipe_sweep_again(void);

// ---- locks.c ----

// R and W together, with the call's hold on each.
struct pipe_both {
	struct phi_hold r, w;
	struct phi_self self; // of a vfork child
	struct pipe *p;
	struct pipe_control *c;
	int fd;        // any end, to ask the kernel by
	uint32_t size; // of the ring, checked, while it is flushed
};

// R: 0, -EDEADLK. `fd` is any end. Ends with phi_lock_drop and phi_leave, as W does.
int phi_pipe_lock_read(struct pipe *p, int fd, struct phi_hold *h);
// W: 0, -EDEADLK.
int phi_pipe_lock_write(const struct pipe *p, struct phi_hold *h);
// Both; `leaving`: perhaps in a vfork child.
int phi_pipe_lock_both(struct pipe_both *b, struct pipe *p, int fd, bool leaving);
void phi_pipe_unlock_both(struct pipe_both *b);
// Whether the thread can be one of the ring's users: 1, 0, -1 = it does not say.
int phi_pipe_is_user(const struct pipe *p, uint32_t tid);

// ---- lease.c ----

// How long a lease waits for writers on their way to the kernel's pipe: it can be taken another time.
#define TAKE_PATIENCE_NS 50000

// Memory for a ring as large as the kernel's pipe: 0 or -errno.
int phi_pipe_prepare(struct pipe_end *e);
// Take the lease for this thread, with what stands in the kernel's pipe: 1 taken, 0 not, or -errno.
int phi_pipe_take_lease(struct pipe_end *e);
// For tests: the same whatever the spin policy says, attached if need be.
int phi_pipe_force_lease(int fd);
// This thread takes the lease over from another one: 0 or -errno.
int phi_pipe_take_over(struct pipe *p, int fd);
// Without a lease, what stands in the kernel's pipe goes into the empty ring: 1 there is something, 0, -errno.
int phi_pipe_fetch(struct pipe_end *e);
// The lease of this thread (with `anybody`, any) ends, if the ring is empty: 1; 0 it is not empty.
int phi_pipe_drop_lease(struct pipe *p, int fd, bool anybody);
// A writer ends the lease: the ring stays as it is.
void phi_pipe_seal(struct pipe *p, uint32_t flags);
// Bytes stand in the kernel's pipe beside this thread's lease: a stranger's, unless that has changed.
void phi_pipe_meet_stranger(struct pipe *p, int fd);
// A lease that names nobody living is taken away: 0 or -EDEADLK.
int phi_pipe_clear_dead(struct pipe *p, int fd);
// Under both locks: a lease ends, whoever has it.
void phi_pipe_end_lease(struct pipe_both *b);
// Under W: reasons to leave everything to the kernel.
void phi_pipe_raise_flags(struct pipe_control *c, uint32_t flags);

// ---- drain.c ----

// Under R, without a lease, the ring being empty: go on reading in the kernel's pipe, without waiting.
void phi_pipe_read_on(int fd, struct pipe_bytes *to);
// Under both locks: what stands in the kernel's pipe goes into the ring; whether all of it did.
bool phi_pipe_drain(struct pipe_both *b);
// Under both locks, with a lease or a flush in progress: nobody sets out any more. Drain the kernel's pipe
// until those who had set out are back: whether it is empty then, and stays so as far as the library goes.
bool phi_pipe_drain_until_quiet(struct pipe_both *b, int64_t patience_ns);
// A thread that is about to write to the kernel's pipe says so, and takes it back. NULL: there are too
// many, they are counted.
uint32_t *phi_pipe_go(struct pipe_control *c, uint32_t tid);
void phi_pipe_be_back(struct pipe_control *c, uint32_t *slot);
// Whether a writer of the library is on his way to the kernel's pipe, to somebody who has waited so long.
bool phi_pipe_somebody_goes(const struct pipe *p, struct pipe_control *c, int64_t waited_ns);
// While waiting for them.
void phi_pipe_let_others_run(int64_t waited_ns);

// ---- flush.c ----

// The lease ends, and the ring goes into the kernel's pipe behind `fd`, an end to read from; flags
// (PIPE_POLLED ...) are set for good.
int phi_pipe_leave_ring(struct pipe *p, int fd, uint32_t flags, bool leaving);
// The pipe behind `fd` once more, to read and write without waiting; or -1.
int phi_pipe_open_both(int fd);
// After a flush that made the kernel's pipe larger: as it was, if its content allows. Under both locks, and
// by itself.
void phi_pipe_size_back(struct pipe_both *b);
void phi_pipe_restore_size(struct pipe *p, int fd);
// F_SETPIPE_SZ: bytes, or -errno.
int phi_pipe_set_size(struct pipe *p, int fd, int bytes);

// ---- read.c: -errno or a count ----

ssize_t phi_pipe_read(struct pipe_end *e, const struct iovec *iov, int count);
// Under R: the ring's bytes up to `head` have been taken; whether writers must be woken, before R goes.
bool phi_pipe_publish_head(struct pipe *p, uint64_t head, uint32_t size);
// The ring is empty and the lease ours: wait a little. 0 = look again; -ENOMSG = no use, and there is no
// lease any more.
int phi_pipe_linger(struct pipe_end *e, struct pipe_control *c);
// Whether a reader, back from the kernel's pipe, had better take the lease.
bool phi_pipe_lease_pays(struct pipe_end *e, struct pipe_control *c);
// Register as asleep in the kernel's pipe (a slot, or NULL), and be awake again.
uint32_t *phi_pipe_put_to_sleep(struct pipe_control *c, uint32_t tid);
void phi_pipe_wake_up(void *slot);

// ---- write.c: -errno or a count ----

ssize_t phi_pipe_write(struct pipe_end *e, const struct iovec *iov, int count, bool nosigpipe);
// The ring that a write goes to now, or NULL.
struct pipe_control *phi_pipe_ring_to_write(struct pipe_end *e);
// Into the kernel's pipe, with or without SIGPIPE.
ssize_t phi_pipe_put(int fd, struct pipe_bytes *bytes, size_t most, bool nosigpipe);
// Wait until the ring has room for `need` bytes, or there is no lease: 0, -EINTR, -EAGAIN, -EDEADLK. With
// `begun`, part of the call is done, and a signal ends the wait whatever SA_RESTART says.
int phi_pipe_wait_room(struct pipe_end *e, size_t need, bool begun);
// Wait until the kernel's pipe has room, as far as can be told before the write: 0, -EAGAIN, -EINTR.
int phi_pipe_await_room(int fd);
// Wait for a thread that holds a place in the ring (`word` names it) to let go or die. 0, -EINTR.
int phi_pipe_wait_holder(struct pipe *p, uint32_t *word);
// Whether stdio may have the descriptor as well: then our bytes go the same way as its, by the kernel.
bool phi_pipe_stdio_has(const struct pipe_end *e, bool reading);
// Whether the descriptor is O_NONBLOCK now.
bool phi_pipe_nonblock(int fd);
size_t phi_pipe_kernel_bytes(int fd);

// A call enters the slow paths.
static inline void phi_pipe_inside(struct pipe *p)
{
	uint32_t tid = phi_self()->tid;
	if (add_acq_rel_u32(&p->inside, 1) == 1) {
		store_relaxed_u32(&p->insider, tid);
		store_relaxed_u32(&p->insiders_differ, 0);
	} else if (load_relaxed_u32(&p->insider) != tid) {
		store_relaxed_u32(&p->insiders_differ, 1);
	}
}

// ---- bytes.c ----

int phi_pipe_bytes_of(struct pipe_bytes *b, const struct iovec *iov, int count);
// Copy n bytes between the ring and the caller's pieces, and step on.
void phi_pipe_copy_in(const struct pipe *p, uint64_t pos, uint32_t size, struct pipe_bytes *from,
                      size_t n);
void phi_pipe_copy_out(const struct pipe *p, uint64_t pos, uint32_t size, struct pipe_bytes *to,
                       size_t n);
// The ring's bytes [pos, pos + n) as one or two pieces.
int phi_pipe_pieces(const struct pipe *p, uint64_t pos, uint32_t size, size_t n,
                    struct iovec iov[2]);
// The next pieces of the caller's, up to `most` bytes; how many.
int phi_pipe_bytes_iov(const struct pipe_bytes *b, size_t most, struct iovec *iov, int room);
void phi_pipe_bytes_skip(struct pipe_bytes *b, size_t n);

// ---- ends.c ----

// Take a descriptor in: the pipe that it leads to, if it is one. NULL: it is none of ours, or memory is
// short; it is marked then. `name` may be NULL; made: by ph_pipe, so nobody else knows of it.
struct pipe_end *phi_pipe_adopt(int fd, const char *name, bool made);
// Whether the number still leads to the pipe: it may have been closed behind our back, and used again.
bool phi_pipe_leads_to(const struct pipe *p, int fd);
// Any of this process's descriptors of the pipe.
int phi_pipe_any_fd(const struct pipe *p);
// The descriptor is about to be closed, or replaced.
void phi_pipe_release(int fd);
// The process is about to become another program, or to start one that gets its descriptors; with `all`,
// even those with FD_CLOEXEC.
void phi_pipe_leaving(bool all);
// The process ends: what it has promised to read goes back to the kernel, and rings that nobody else has
// mapped are removed.
void phi_pipe_exit(void);

// ---- loan.c ----

ssize_t phi_pipe_reserve(struct pipe_end *e, size_t bytes, struct iovec iov[2], int *count);
ssize_t phi_pipe_commit(struct pipe_end *e, size_t bytes);
ssize_t phi_pipe_peek(struct pipe_end *e, struct iovec iov[2], int *count);
int phi_pipe_consume(struct pipe_end *e, size_t bytes);
void phi_pipe_forget_loans(struct pipe *p);

// ---- info.c ----

struct ph_pipe_info;
int phi_pipe_info(const char *file, struct ph_pipe_info *info);
int phi_pipe_info_of(int fd, struct ph_pipe_info *info);

#endif

// SPDX-License-Identifier: MIT
//
// R and W: who waits for them, what a holder's death leaves to mend. docs/pipe.md, "What repairs what".
#include "pipe/pipe.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOCK_PATIENCE_NS 1000000000
#define LOCK_ROUNDS 2 // for one of whom nothing can be learned

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

// Whether the thread's process has the ring mapped: nobody else can hold its locks.
static int is_user(const struct pipe *p, uint32_t tid)
{
	char path[32];
	char line[512];
	unsigned long inode;
	snprintf(path, sizeof path, "/proc/%" PRIu32 "/maps", tid);
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return -1;
	bool found = false;
	while (!found && fgets(line, sizeof line, f) != NULL)
		found = sscanf(line, "%*s %*s %*s %*s %lu", &inode) == 1 && inode == p->region.inode;
	fclose(f);
	return found;
}

int phi_pipe_is_user(const struct pipe *p, uint32_t tid)
{
	int state;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	int yes = is_user(p, tid);
	pthread_setcancelstate(state, NULL);
	return yes;
}

// Who is stopped with a lock is waited for. A word that names a stranger was scribbled.
static int take(const struct pipe *p, struct phi_hold *h, struct phi_lock *lock)
{
	for (int rounds = 1;; rounds++) {
		int r = phi_lock_take(h, lock, LOCK_PATIENCE_NS);
		if (__builtin_expect(r != -EAGAIN, 1))
			return r;
		uint32_t word = load_relaxed_u32(&lock->word);
		uint32_t tid = word & (LEASE_DIED - 1);
		int user = tid == 0 ? 1 : phi_pipe_is_user(p, tid);
		if (user == 0 || (user < 0 && rounds >= LOCK_ROUNDS))
			cas_acq_rel_u32(&lock->word, word, (word & LEASE_WAITERS) | LEASE_DIED);
	}
}

int phi_pipe_lock_read(struct pipe *p, int fd, struct phi_hold *h)
{
	struct pipe_control *c = phi_pipe_control(p);
	phi_enter(h);
	int r = take(p, h, &c->read);
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

int phi_pipe_lock_write(const struct pipe *p, struct phi_hold *h)
{
	phi_enter(h);
	int r = take(p, h, &phi_pipe_control(p)->write);
	if (__builtin_expect(r == 0 || r == -EOWNERDEAD, 1))
		return 0; // what the dead had not published was not written
	phi_leave(h);
	return r;
}

// A vfork child has no robust list.
static void be_yourself(struct pipe_both *b)
{
	static struct phi_robust_head none;
	if (!phi_in_vfork())
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
	int r = take(p, &b->r, &b->c->read);
	if (r < 0 && r != -EOWNERDEAD) {
		phi_leave(&b->r);
		return r;
	}
	// The read lock on the list, `pending` free for the other.
	phi_lock_to_duty(&b->r, &b->c->read, &b->c->lease);
	r = take(p, &b->w, &b->c->write);
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

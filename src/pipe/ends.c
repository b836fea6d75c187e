// SPDX-License-Identifier: MIT
//
// From descriptors to pipes: taking them in, letting them go, over fork, poll and exec. The list of a
// process's pipes only grows, and an entry is used again when its last descriptor is gone: so it may be
// walked without a lock, in a signal handler or a vfork child as well.
#include "pipe/pipe.h"

#include "base/fork.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uintptr_t pipes; // struct pipe *
static pthread_mutex_t change = PTHREAD_MUTEX_INITIALIZER;
static struct pipe_end *all_ends; // under change; p == NULL: to be used again

static struct pipe *first_pipe(void)
{
	return (struct pipe *)load_acquire_ptr(&pipes); // PIPE_LIST
}

static struct pipe *find_pipe(uint64_t device, uint64_t inode)
{
	for (struct pipe *p = first_pipe(); p != NULL; p = p->next)
		if (load_relaxed_u32(&p->ends) > 0 && p->inode == inode && p->device == device)
			return p;
	return NULL;
}

// ---- fork ----

static void hold(void)
{
	pthread_mutex_lock(&change);
}

static void let_go(void)
{
	pthread_mutex_unlock(&change);
}

// The lease is the parent's, and so is every thread but this one.
static void be_child(void)
{
	for (struct pipe *p = first_pipe(); p != NULL; p = p->next) {
		pthread_mutex_init(&p->change, NULL);
		phi_mark_forget(&p->mark);
		p->inside = 0;
		p->had_lease = 0;
		phi_pipe_forget_loans(p);
	}
	phi_pipe_sweep_again();
	let_go();
}

static void arrange_for_fork(void)
{
	static const struct phi_fork_steps steps = {hold, let_go, be_child};
	phi_fork_arrange(&steps);
}

static void forked(struct phi_handle *h)
{
	(void)h; // be_child does it for each pipe
}

// ---- poll ----

// From now on all bytes are where the kernel sees them.
static int polled(struct phi_handle *h)
{
	struct pipe_end *e = (struct pipe_end *)h;
	struct pipe *p = e->p;
	phi_description_raise(p->family, FAMILY_POLLED);
	struct pipe_control *c = phi_pipe_ring_known(p);
	if (c == NULL || ((load_relaxed_u32(&c->flags) & PIPE_POLLED) &&
	                  load_relaxed_u32(&c->lease) == 0 && phi_pipe_ring_empty(c)))
		return 0;
	int r = phi_pipe_leave_ring(p, h->fd, PIPE_POLLED, false);
	return r == -EDEADLK ? 0 : r;
}

static const struct phi_handle_ops ops = {forked, polled, NULL};

// ---- pipes ----

static void strike_off(uint32_t *slots, int n, uint32_t tid)
{
	for (int i = 0; i < n; i++)
		if (load_relaxed_u32(&slots[i]) == tid)
			store_release_u32(&slots[i], 0);
}

static void leave_open_call(struct pipe *p)
{
	struct pipe_control *c = phi_pipe_control(p);
	store_relaxed_u32(&p->inside, 0);
	if (c != NULL) {
		strike_off(c->sleepers, PIPE_SLEEPERS, phi_self()->tid);
		strike_off(c->goers, PIPE_GOERS, phi_self()->tid);
	}
}

// Whether nothing of the pipe's past stands in the way of unmapping it, or of using the entry again.
static bool may_bury(struct pipe *p)
{
	// A handler that jumps out of a call leaves it open.
	if (load_acquire_u32(&p->inside) != 0 && load_relaxed_u32(&p->insiders_differ) == 0 &&
	    load_relaxed_u32(&p->insider) == phi_self()->tid)
		leave_open_call(p);
	if (load_acquire_u32(&p->inside) != 0)
		return false;
	phi_mark_delist(&p->mark);
	return phi_mark_is_free(&p->mark);
}

static void bury(struct pipe *p, int fd)
{
	if (phi_pipe_control(p) != NULL && may_bury(p)) {
		phi_pipe_forget_loans(p);
		phi_pipe_detach(p, fd);
	}
}

static struct pipe *unused_pipe(void)
{
	for (struct pipe *p = first_pipe(); p != NULL; p = p->next) {
		if (load_relaxed_u32(&p->ends) != 0)
			continue;
		bury(p, -1);
		if (phi_pipe_control(p) == NULL && load_acquire_u32(&p->inside) == 0)
			return p;
	}
	return NULL;
}

static struct pipe *new_pipe(void)
{
	struct pipe *p = unused_pipe();
	if (p != NULL)
		return p;
	p = calloc(1, sizeof *p);
	if (p != NULL) {
		pthread_mutex_init(&p->change, NULL);
		p->next = first_pipe();
		store_release_ptr(&pipes, (uintptr_t)p); // PIPE_LIST
	}
	return p;
}

static void name_pipe(struct pipe *p, const char *name)
{
	if (name != NULL)
		snprintf(p->name, sizeof p->name, "%s", name);
	else
		snprintf(p->name, sizeof p->name, "%s:[%" PRIu64 "]", p->is_fifo ? "fifo" : "pipe",
		         p->inode);
}

static bool is_named_fifo(int fd)
{
	char path[32], target[8];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(path, target, sizeof target);
	return n > 5 ? memcmp(target, "pipe:", 5) != 0 : n > 0;
}

static struct pipe *take_in(int fd, const struct stat *st, const char *name, bool made)
{
	struct pipe *p = find_pipe(st->st_dev, st->st_ino);
	if (p != NULL)
		return p;
	p = new_pipe();
	uint32_t *family = p == NULL ? NULL : phi_description_new(false);
	uint32_t *writes = family == NULL ? NULL : phi_description_new(false);
	uint32_t *reads = writes == NULL ? NULL : phi_description_new(false);
	if (reads == NULL) {
		if (writes != NULL)
			phi_description_free(writes);
		if (family != NULL)
			phi_description_put(family);
		return NULL;
	}
	p->family = family;
	p->unknown = writes;
	p->unknown_reads = reads;
	p->had_lease = 0;
	p->device = st->st_dev;
	p->inode = st->st_ino;
	p->is_fifo = !made && (name != NULL || is_named_fifo(fd));
	p->refused = p->told = 0;
	p->reads = p->writes = p->early_reads = p->early_writes = 0;
	p->idle_since_ns = 0;
	name_pipe(p, name);
	return p;
}

// ---- descriptors ----

static struct pipe_end *new_end(void)
{
	struct pipe_end *e = all_ends;
	while (e != NULL && e->p != NULL)
		e = e->all_next;
	if (e != NULL)
		return e;
	e = calloc(1, sizeof *e);
	if (e != NULL) {
		e->all_next = all_ends;
		all_ends = e;
	}
	return e;
}

static void drop_end(struct pipe_end *e)
{
	struct pipe *p = e->p;
	pthread_mutex_lock(&change);
	uint32_t *unknown = p->unknown;
	uint32_t *unknown_reads = p->unknown_reads;
	bool last = phi_description_put(p->family);
	store_relaxed_u32(&p->ends, p->ends - 1);
	if (p->ends == 0)
		bury(p, e->handle.fd);
	if (last) {
		phi_description_free(unknown);
		phi_description_free(unknown_reads);
	}
	e->p = NULL;
	pthread_mutex_unlock(&change);
}

static struct pipe_end *make_end(int fd, const struct stat *st, int flags, const char *name,
                                 bool made)
{
	struct pipe_end *e = NULL;
	pthread_mutex_lock(&change);
	struct pipe *p = take_in(fd, st, name, made);
	if (p != NULL)
		e = new_end();
	if (e != NULL) {
		int access = flags & 3; // O_ACCMODE has more bits in musl
		if (p->ends > 0)
			phi_description_get(p->family);
		store_relaxed_u32(&p->ends, p->ends + 1);
		e->handle = (struct phi_handle){PHI_KIND_PIPE, fd, p->family, &ops};
		e->p = p;
		e->readable = access != O_WRONLY;
		e->writable = access != O_RDONLY;
		e->nonblock = (flags & O_NONBLOCK) != 0;
		e->nosigpipe = 0;
		e->nostdio = false;
	}
	pthread_mutex_unlock(&change);
	return e;
}

// What the table says of a number that was closed behind our back.
static void forget_number(int fd)
{
	struct phi_handle *h = phi_handle_retire(fd, PHI_KIND_PIPE);
	if (h != NULL)
		drop_end((struct pipe_end *)h);
}

static struct pipe_end *adopt(int fd, const char *name, bool made)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct stat st;
	pthread_once(&once, arrange_for_fork);
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fstat(fd, &st) != 0 || phi_in_vfork())
		return NULL;
	forget_number(fd);
	struct pipe_end *e = NULL;
	if (S_ISFIFO(st.st_mode) && !(flags & O_DIRECT))
		e = make_end(fd, &st, flags, name, made);
	if (e != NULL && phi_handle_publish(&e->handle) < 0) {
		drop_end(e);
		e = NULL;
	}
	if (e == NULL)
		phi_handle_mark_foreign(fd);
	else if (!made)
		phi_pipe_attach(e->p); // others may know of it, and have a ring
	return e;
}

struct pipe_end *phi_pipe_adopt(int fd, const char *name, bool made)
{
	sigset_t signals;
	phi_pipe_lock_out_signals(&signals);
	struct pipe_end *e = adopt(fd, name, made);
	phi_pipe_let_signals_in(&signals);
	return e;
}

bool phi_pipe_leads_to(const struct pipe *p, int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) && st.st_ino == p->inode &&
	       st.st_dev == p->device;
}

int phi_pipe_any_fd(const struct pipe *p)
{
	for (struct pipe_end *e = all_ends; e != NULL; e = e->all_next)
		if (e->p == p)
			return e->handle.fd;
	return -1;
}

// A reader that goes, with the lease or with bytes that only he knows of.
static void leave_reading(struct pipe_end *e)
{
	struct pipe *p = e->p;
	struct pipe_control *c = phi_pipe_control(p);
	if (c == NULL || !e->readable)
		return;
	uint32_t lease = load_relaxed_u32(&c->lease);
	uint32_t holder = phi_pipe_leaseholder(lease);
	bool mine = holder != 0 && holder == load_relaxed_u32(&p->mark.by);
	if (mine || (load_relaxed_u32(&p->had_lease) && holder == 0 && !phi_pipe_ring_empty(c)))
		phi_pipe_leave_ring(p, e->handle.fd, 0, false);
}

void phi_pipe_release(int fd)
{
	struct pipe_end *e = phi_pipe_find(fd);
	if (phi_handle_unknown(fd) || phi_in_vfork())
		return; // a vfork child's descriptors are its own, the table is its parent's
	phi_handle_unmark(fd);
	if (e == NULL)
		return;
	sigset_t signals;
	phi_pipe_lock_out_signals(&signals);
	leave_reading(e);
	forget_number(fd);
	phi_pipe_let_signals_in(&signals);
}

// ---- another program, and the end ----

static void leave_with(int fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fstat(fd, &st) != 0 || !S_ISFIFO(st.st_mode))
		return;
	struct pipe *p = find_pipe(st.st_dev, st.st_ino);
	if (p == NULL)
		return;
	bool reads = (flags & 3) != O_WRONLY;
	bool writes = (flags & 3) != O_RDONLY;
	phi_description_raise(p->family,
	                      (reads ? FAMILY_LEFT_READING : 0) | (writes ? FAMILY_LEFT_WRITING : 0));
	struct pipe_control *c = phi_in_vfork() ? phi_pipe_control(p) : phi_pipe_ring_known(p);
	if (c == NULL)
		return;
	if (reads)
		phi_pipe_leave_ring(p, fd, PIPE_FOREIGN, true);
	else if (load_relaxed_u32(&c->lease) != 0)
		store_relaxed_u32(&c->seal_wanted, 1);
}

static void leave_if_open(int fd, bool all)
{
	int flags = fcntl(fd, F_GETFD);
	if (flags >= 0 && (all || !(flags & FD_CLOEXEC)))
		leave_with(fd);
}

static void leave_open_end(struct phi_handle *h)
{
	if (h->kind == PHI_KIND_PIPE && h->fd > STDERR_FILENO)
		leave_if_open(h->fd, false);
}

static void leave_any_end(struct phi_handle *h)
{
	if (h->kind == PHI_KIND_PIPE && h->fd > STDERR_FILENO)
		leave_if_open(h->fd, true);
}

// The standard descriptors whatever the table says: a vfork child has put there what it likes.
void phi_pipe_leaving(bool all)
{
	if (first_pipe() == NULL)
		return;
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		leave_if_open(fd, all);
	phi_handle_each(all ? leave_any_end : leave_open_end);
}

static void return_lease(struct phi_handle *h)
{
	if (h->kind == PHI_KIND_PIPE)
		leave_reading((struct pipe_end *)h);
}

void phi_pipe_exit(void)
{
	if (first_pipe() == NULL || phi_in_vfork())
		return;
	phi_handle_each(return_lease);
	for (struct pipe *p = first_pipe(); p != NULL; p = p->next)
		if (phi_pipe_control(p) != NULL)
			phi_pipe_vanish(p);
}

// SPDX-License-Identifier: MIT
//
// Named semaphores: opening, closing, unlinking, and the registry that finds an open one by its address. Its
// entries stay when they are no longer used, so that a signal handler can look one up without a lock.
#include "sem/sem.h"

#include "base/descriptor.h"
#include "base/fork.h"
#include "core/handle.h"
#include "core/life.h"
#include "core/name.h"
#include "core/namespace.h"
#include "posthaste/semaphore.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS 1000
#define BUCKETS 64

static uintptr_t buckets[BUCKETS]; // -> struct sem
static pthread_mutex_t change = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static uintptr_t *bucket_of(uintptr_t address)
{
	return &buckets[(address / SEM_PAGE) % BUCKETS];
}

static inline struct sem *first_in(uintptr_t *bucket)
{
	return (struct sem *)load_acquire_ptr(bucket); // SEM_REGISTRY
}

struct sem *phi_sem_find(const struct sem_word *word)
{
	uintptr_t address = (uintptr_t)word;
	for (struct sem *s = first_in(bucket_of(address)); s != NULL; s = s->next)
		if (load_acquire_ptr(&s->address) == address) // SEM_REGISTRY
			return s;
	return NULL;
}

// ---- fork ----

static void before_fork(void)
{
	pthread_mutex_lock(&change);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&change);
}

// What the parent holds must not live on in the child's copy of the descriptor.
static void make_own(struct sem *s)
{
	const struct phi_region *r = s->region;
	if (phi_region_has_fd(r, r->fd) && phi_life_reopen(r->fd) == 0)
		phi_life_attach(r->fd);
	phi_sem_forked(s);
}

static void after_fork_child(void)
{
	for (int i = 0; i < BUCKETS; i++)
		for (struct sem *s = first_in(&buckets[i]); s != NULL; s = s->next)
			if (load_relaxed_ptr(&s->address) != 0)
				make_own(s);
	pthread_mutex_unlock(&change);
}

static void arrange_for_fork(void)
{
	static const struct phi_fork_steps steps = {before_fork, after_fork, after_fork_child};
	phi_handle_arrange_for_fork(); // the guard is held still
	phi_fork_arrange(&steps);
}

// ---- the file ----

struct beginning {
	uint32_t units;
	bool holders;
};

static void init_body(uint8_t *base, void *arg)
{
	const struct beginning *b = arg;
	struct sem_control *c = (struct sem_control *)(base + PHI_REGION_BODY);
	c->stamp = SEM_STAMP;
	c->sem.kind = b->holders ? SEM_HOLDERS : SEM_NAMED;
	if (b->holders)
		c->truth = b->units;
	else
		c->sem.word = b->units;
}

static int create(struct phi_region *r, int dir, const char *file, const char *name, unsigned mode,
                  struct beginning *b)
{
	const uint64_t geometry[8] = {b->holders};
	if (b->units > (b->holders ? PH_SEM_HOLDERS_VALUE_MAX : SEM_UNITS_MAX))
		return -EINVAL;
	struct phi_region_plan plan = {
		.kind = PHI_KIND_SEM,
		.layout = SEM_LAYOUT,
		.name = name,
		.bytes = b->holders ? SEM_HOLDERS_BYTES : SEM_PLAIN_BYTES,
		.reserved = b->holders ? SEM_MARKS_AT : 0,
		.geometry = geometry,
		.mode = (mode_t)(mode & 0777),
		.init = init_body,
		.arg = b,
	};
	return phi_region_create(r, dir, file, &plan);
}

void phi_sem_detach(struct phi_region *r)
{
	phi_region_unmap(r);
	if (phi_region_has_fd(r, r->fd))
		phi_close(r->fd);
}

static bool intact(const struct phi_region *r)
{
	const struct sem_control *c = (const struct sem_control *)(r->base + PHI_REGION_BODY);
	uint32_t kind = phi_sem_with_holders(r) ? SEM_HOLDERS : SEM_NAMED;
	return load_relaxed_u32(&c->stamp) == SEM_STAMP && load_relaxed_u32(&c->sem.kind) == kind;
}

int phi_sem_attach(struct phi_region *r, int dir, const char *file, const char *name, bool observe)
{
	int e = phi_region_open(r, dir, file, PHI_KIND_SEM, SEM_LAYOUT, name, observe);
	if (e < 0)
		return e;
	uint64_t bytes = phi_sem_with_holders(r) ? SEM_HOLDERS_BYTES : SEM_PLAIN_BYTES;
	if (r->bytes == bytes && intact(r))
		return 0;
	phi_sem_detach(r);
	return -EBADMSG;
}

static int open_or_create(struct phi_region *r, int dir, const char *file, const char *name,
                          int oflag, unsigned mode, unsigned value)
{
	struct beginning b = {value, (oflag & PH_SEM_HOLDERS) != 0};
	bool must_create = (oflag & O_CREAT) && (oflag & O_EXCL);
	for (int i = 0; i < ROUNDS; i++) {
		int e = must_create ? -ENOENT : phi_sem_attach(r, dir, file, name, false);
		if (e != -ENOENT || !(oflag & O_CREAT))
			return e;
		e = create(r, dir, file, name, mode, &b);
		if (e != -EEXIST || must_create)
			return e;
	}
	return -EAGAIN;
}

// ---- the registry ----

// An entry for this address: one that is no longer used, or a new one.
static struct sem *new_entry(uintptr_t address)
{
	uintptr_t *bucket = bucket_of(address);
	for (struct sem *s = first_in(bucket); s != NULL; s = s->next)
		if (load_relaxed_ptr(&s->address) == 0)
			return s;
	struct sem *s = calloc(1, sizeof *s);
	if (s == NULL)
		return NULL;
	s->next = first_in(bucket);
	store_release_ptr(bucket, (uintptr_t)s); // SEM_REGISTRY
	return s;
}

static struct sem *open_already(const struct phi_region *r)
{
	for (int i = 0; i < BUCKETS; i++)
		for (struct sem *s = first_in(&buckets[i]); s != NULL; s = s->next)
			if (load_relaxed_ptr(&s->address) != 0 && s->region->device == r->device &&
			    s->region->inode == r->inode)
				return s;
	return NULL;
}

static int enter(struct phi_region *r, struct sem **out)
{
	uintptr_t address = (uintptr_t)(r->base + PHI_REGION_BODY);
	struct sem *s = new_entry(address);
	if (s == NULL)
		return -ENOMEM;
	s->region = r;
	s->base = r->base;
	s->opens = 1;
	s->tells = 0;
	s->slot = -1;
	s->marked = 0;
	s->mark = (struct phi_mark){0};
	pthread_mutex_init(&s->change, NULL);
	store_release_ptr(&s->address, address); // SEM_REGISTRY
	*out = s;
	return 0;
}

static void leave(struct sem *s)
{
	struct phi_region *r = s->region;
	if (phi_sem_with_holders(r))
		phi_sem_stop_holding(s);
	store_release_ptr(&s->address, 0); // SEM_REGISTRY
	phi_sem_detach(r);
	free(r);
}

// A region that was just opened becomes this process's semaphore, if it is not already.
static int admit(struct phi_region *r, int oflag, struct sem **out)
{
	if ((oflag & PH_SEM_HOLDERS) && !phi_sem_with_holders(r))
		return -EINVAL;
	struct sem *s = open_already(r);
	if (s == NULL) {
		int e = enter(r, &s);
		if (e < 0)
			return e;
		int slot = phi_sem_with_holders(r) ? phi_sem_become_holder(s) : 0;
		if (slot < 0) {
			store_release_ptr(&s->address, 0);
			return slot;
		}
	} else {
		s->opens++;
		phi_sem_detach(r);
		free(r);
	}
	if (oflag & PH_SEM_OWNERDEAD)
		store_relaxed_u32(&s->tells, 1);
	*out = s;
	return 0;
}

static int open_at(int dir, const char *file, const char *name, int oflag, unsigned mode,
                   unsigned value, struct sem_word **out)
{
	struct sem *s;
	struct phi_region *r = calloc(1, sizeof *r);
	if (r == NULL)
		return -ENOMEM;
	int e = open_or_create(r, dir, file, name, oflag, mode, value);
	if (e < 0) {
		free(r);
		return e;
	}
	r->fd = phi_move_aside(r->fd);
	pthread_mutex_lock(&change);
	e = admit(r, oflag, &s);
	pthread_mutex_unlock(&change);
	if (e == 0) {
		*out = (struct sem_word *)load_relaxed_ptr(&s->address);
	} else {
		phi_sem_detach(r);
		free(r);
	}
	return e;
}

int phi_sem_open(const char *name, int oflag, unsigned mode, unsigned value, struct sem_word **out)
{
	char file[NAME_MAX + 1];
	char whole[NAME_MAX + 2];
	int r = phi_name_lax(SEM_PREFIX, name, whole, file);
	if (r < 0)
		return r;
	pthread_once(&fork_once, arrange_for_fork);
	int dir = phi_namespace_open();
	if (dir < 0)
		return dir;
	r = open_at(dir, file, whole, oflag, mode, value, out);
	phi_close(dir);
	return r;
}

int phi_sem_close(struct sem_word *word)
{
	pthread_mutex_lock(&change);
	struct sem *s = phi_sem_find(word);
	if (s != NULL && --s->opens == 0)
		leave(s);
	pthread_mutex_unlock(&change);
	return s == NULL ? -EINVAL : 0;
}

int phi_sem_unlink(const char *name)
{
	char file[NAME_MAX + 1];
	char whole[NAME_MAX + 2];
	int r = phi_name_lax(SEM_PREFIX, name, whole, file);
	if (r < 0)
		return r;
	int dir = phi_namespace_open();
	if (dir < 0)
		return dir;
	// POSIX knows no EPERM here: a sticky directory's refusal is EACCES.
	r = unlinkat(dir, file, 0) == 0 ? 0 : errno == EPERM || errno == EISDIR ? -EACCES : -errno;
	phi_close(dir);
	return r;
}

// SPDX-License-Identifier: MIT
//
// The one list of what fork does to this library: before, the table is held still and every open
// description counts the child in; in the child, each handle is made its own.
#include "core/handle.h"

#include "base/fork.h"
#include "base/guard.h"
#include "core/description.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>

uintptr_t phi_fd_table[PHI_FD_BLOCKS];
uint32_t phi_handle_count;

static struct phi_handle foreign; // of no kind
#define FOREIGN ((uintptr_t)&foreign)

static pthread_mutex_t change = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

void phi_handle_each(void (*fn)(struct phi_handle *))
{
	for (int b = 0; b < PHI_FD_BLOCKS; b++) {
		uintptr_t *block = (uintptr_t *)load_acquire_ptr(&phi_fd_table[b]);
		for (int i = 0; block != NULL && i < PHI_FD_BLOCK; i++) {
			struct phi_handle *h = (struct phi_handle *)load_acquire_ptr(&block[i]);
			if (h != NULL && h != &foreign)
				fn(h);
		}
	}
}

static void count_child_in(struct phi_handle *h)
{
	phi_description_get(h->description);
}

static void make_own(struct phi_handle *h)
{
	h->ops->forked(h);
}

static void before_fork(void)
{
	pthread_mutex_lock(&change);
	phi_guard_hold();
	phi_description_hold();
	if (load_relaxed_u32(&phi_handle_count) > 0)
		phi_handle_each(count_child_in);
}

static void let_go(void)
{
	phi_description_let_go();
	phi_guard_let_go();
	pthread_mutex_unlock(&change);
}

static void after_fork_child(void)
{
	let_go();
	if (load_relaxed_u32(&phi_handle_count) > 0)
		phi_handle_each(make_own);
}

static void arrange_for_fork(void)
{
	static const struct phi_fork_steps steps = {before_fork, let_go, after_fork_child};
	phi_fork_arrange(&steps);
}

void phi_handle_arrange_for_fork(void)
{
	pthread_once(&fork_once, arrange_for_fork);
}

// The place of a descriptor in the table; NULL where there is none yet.
static uintptr_t *place_of(int fd)
{
	if (fd < 0 || fd >= PHI_FD_BLOCKS * PHI_FD_BLOCK)
		return NULL;
	uintptr_t *block = (uintptr_t *)load_acquire_ptr(&phi_fd_table[fd / PHI_FD_BLOCK]);
	return block == NULL ? NULL : &block[fd % PHI_FD_BLOCK];
}

struct phi_handle *phi_handle_any(int fd)
{
	uintptr_t *place = load_relaxed_u32(&phi_handle_count) == 0 ? NULL : place_of(fd);
	uintptr_t h = place == NULL ? 0 : load_acquire_ptr(place);
	return h == FOREIGN ? NULL : (struct phi_handle *)h;
}

// Not malloc, which is not async-signal-safe.
static uintptr_t *make_place(int fd)
{
	uintptr_t *slot = &phi_fd_table[fd / PHI_FD_BLOCK];
	if (load_acquire_ptr(slot) == 0) {
		size_t bytes = PHI_FD_BLOCK * sizeof(uintptr_t);
		void *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (block == MAP_FAILED)
			return NULL;
		if (!cas_acq_rel_ptr(slot, 0, (uintptr_t)block))
			munmap(block, bytes);
	}
	return place_of(fd);
}

bool phi_handle_unknown(int fd)
{
	uintptr_t *place = place_of(fd);
	return place == NULL || load_relaxed_ptr(place) == 0;
}

void phi_handle_mark_foreign(int fd)
{
	if (fd < 0 || fd >= PHI_FD_BLOCKS * PHI_FD_BLOCK)
		return;
	uintptr_t *place = make_place(fd);
	if (place != NULL)
		cas_acq_rel_ptr(place, 0, FOREIGN);
}

void phi_handle_unmark(int fd)
{
	uintptr_t *place = place_of(fd);
	if (place != NULL && load_relaxed_ptr(place) == FOREIGN)
		cas_acq_rel_ptr(place, FOREIGN, 0);
}

int phi_handle_publish(struct phi_handle *h)
{
	if (h->fd >= PHI_FD_BLOCKS * PHI_FD_BLOCK)
		return -EMFILE;
	phi_handle_arrange_for_fork();
	pthread_mutex_lock(&change);
	uintptr_t *place = make_place(h->fd);
	if (place != NULL) {
		uintptr_t before = exchange_acq_rel_ptr(place, (uintptr_t)h);
		if (before == 0 || before == FOREIGN)
			store_relaxed_u32(&phi_handle_count, phi_handle_count + 1);
	}
	pthread_mutex_unlock(&change);
	return place == NULL ? -ENOMEM : 0;
}

struct phi_handle *phi_handle_retire(int fd, enum phi_kind kind)
{
	pthread_mutex_lock(&change);
	struct phi_handle *h = phi_handle_find(fd, kind);
	if (h != NULL) {
		store_release_ptr(place_of(fd), 0);
		store_relaxed_u32(&phi_handle_count, phi_handle_count - 1);
	}
	pthread_mutex_unlock(&change);
	return h;
}

// SPDX-License-Identifier: MIT
//
// The one list of what fork does to this library: before, the table is held still and every open
// description counts the child in; in the child, each handle is made its own.
#include "core/handle.h"

#include "base/guard.h"
#include "core/description.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

uintptr_t phi_fd_table[PHI_FD_BLOCKS];
uint32_t phi_handle_count;

static pthread_mutex_t change = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

void phi_handle_each(void (*fn)(struct phi_handle *))
{
	for (int b = 0; b < PHI_FD_BLOCKS; b++) {
		uintptr_t *block = (uintptr_t *)load_acquire_ptr(&phi_fd_table[b]);
		for (int i = 0; block != NULL && i < PHI_FD_BLOCK; i++) {
			struct phi_handle *h = (struct phi_handle *)load_acquire_ptr(&block[i]);
			if (h != NULL)
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
	pthread_atfork(before_fork, let_go, after_fork_child);
}

struct phi_handle *phi_handle_any(int fd)
{
	if (load_relaxed_u32(&phi_handle_count) == 0 || fd < 0 || fd >= PHI_FD_BLOCKS * PHI_FD_BLOCK)
		return NULL;
	uintptr_t *block = (uintptr_t *)load_acquire_ptr(&phi_fd_table[fd / PHI_FD_BLOCK]);
	return block == NULL ? NULL : (struct phi_handle *)load_acquire_ptr(&block[fd % PHI_FD_BLOCK]);
}

static uintptr_t *block_for(int fd)
{
	uintptr_t *slot = &phi_fd_table[fd / PHI_FD_BLOCK];
	uintptr_t *block = (uintptr_t *)load_acquire_ptr(slot);
	if (block == NULL) {
		block = calloc(PHI_FD_BLOCK, sizeof *block);
		store_release_ptr(slot, (uintptr_t)block);
	}
	return block;
}

int phi_handle_publish(struct phi_handle *h)
{
	if (h->fd >= PHI_FD_BLOCKS * PHI_FD_BLOCK)
		return -EMFILE;
	pthread_once(&fork_once, arrange_for_fork);
	pthread_mutex_lock(&change);
	uintptr_t *block = block_for(h->fd);
	if (block != NULL) {
		if (block[h->fd % PHI_FD_BLOCK] == 0)
			store_relaxed_u32(&phi_handle_count, phi_handle_count + 1);
		store_release_ptr(&block[h->fd % PHI_FD_BLOCK], (uintptr_t)h);
	}
	pthread_mutex_unlock(&change);
	return block == NULL ? -ENOMEM : 0;
}

struct phi_handle *phi_handle_retire(int fd, enum phi_kind kind)
{
	pthread_mutex_lock(&change);
	struct phi_handle *h = phi_handle_find(fd, kind);
	if (h != NULL) {
		uintptr_t *block = (uintptr_t *)phi_fd_table[fd / PHI_FD_BLOCK];
		store_release_ptr(&block[fd % PHI_FD_BLOCK], 0);
		store_relaxed_u32(&phi_handle_count, phi_handle_count - 1);
	}
	pthread_mutex_unlock(&change);
	return h;
}

// SPDX-License-Identifier: MIT
//
// From descriptor numbers to open objects: the private side of an open. A handle is the first member of
// the room's own struct; `kind` says which.
#ifndef PHI_CORE_HANDLE_H
#define PHI_CORE_HANDLE_H

#include "base/atomic.h"
#include "core/layout.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct phi_handle {
	enum phi_kind kind;
	int fd;                // the public descriptor
	uint32_t *description; // never NULL
	const struct phi_handle_ops *ops;
};

struct phi_handle_ops {
	// In a forked child, before fork returns there: make the handle the child's own.
	void (*forked)(struct phi_handle *h);
	// Somebody is about to poll the descriptor: 0 or -errno.
	int (*polled)(struct phi_handle *h);
	// What a poll that does not wait would say, as POLLIN | POLLOUT; -1 = ask the kernel. NULL = always do.
	int (*glance)(struct phi_handle *h);
};

#define PHI_FD_BLOCK 1024
#define PHI_FD_BLOCKS 1024

extern uintptr_t phi_fd_table[PHI_FD_BLOCKS]; // -> uintptr_t[PHI_FD_BLOCK] -> struct phi_handle
extern uint32_t phi_handle_count;

// The handle of a descriptor, or NULL.
static inline struct phi_handle *phi_handle_find(int fd, enum phi_kind kind)
{
	if (__builtin_expect((unsigned)fd >= PHI_FD_BLOCKS * PHI_FD_BLOCK, 0))
		return NULL;
	const uintptr_t *block = (const uintptr_t *)load_acquire_ptr(&phi_fd_table[fd / PHI_FD_BLOCK]);
	if (__builtin_expect(block == NULL, 0))
		return NULL;
	struct phi_handle *h = (struct phi_handle *)load_acquire_ptr(&block[fd % PHI_FD_BLOCK]);
	return h != NULL && h->kind == kind ? h : NULL;
}

// Any kind. Cheap where the process has no handle at all.
struct phi_handle *phi_handle_any(int fd);

// A descriptor that was looked at and is none of ours, so that nobody looks again; what phi_handle_any
// and phi_handle_find hide. Lock-free: poll, which must be async-signal-safe, marks.
void phi_handle_mark_foreign(int fd);
void phi_handle_unmark(int fd);
// Whether nothing is known of the descriptor.
bool phi_handle_unknown(int fd);

// All of them, of any kind.
void phi_handle_each(void (*fn)(struct phi_handle *));

// What publishing sees to by itself. For a room without handles whose objects are guarded (base/guard.h).
void phi_handle_arrange_for_fork(void);

// Publish under h->fd: 0, -ENOMEM, -EMFILE (a number beyond the table). A stale entry of the same number
// (the program closed the descriptor behind our back) is replaced.
int phi_handle_publish(struct phi_handle *h);
// Take out: the handle if this call removed it, else NULL (somebody else did).
struct phi_handle *phi_handle_retire(int fd, enum phi_kind kind);

#endif

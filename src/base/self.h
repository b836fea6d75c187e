// SPDX-License-Identifier: MIT
//
// Who am I: the calling thread's kernel tid and robust-list head, cached, and right again after any
// kind of fork. A page that the kernel wipes in every forked child (MADV_WIPEONFORK) tells that the
// cache is the parent's; pthread_atfork would miss a raw clone. The child of a vfork finds its parent's cache, and
// leaves nothing of its own in it.
#ifndef PHI_BASE_SELF_H
#define PHI_BASE_SELF_H

#include "base/atomic.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// The kernel's struct robust_list_head.
struct phi_robust_head {
	uintptr_t list;
	long futex_offset;
	uintptr_t pending;
};

struct phi_self {
	uint32_t generation; // of the process, as in *phi_fork_word, when the rest was filled in
	uint32_t tid;
	int32_t pid;
	struct phi_robust_head *robust; // never NULL: see self.c
	uintptr_t robust_bias;          // futex_offset, as an unsigned addend
	bool registered;                // the kernel knows of `robust`
};

extern __thread struct phi_self phi_self_cache;
extern uintptr_t phi_fork_word; // uint32_t *, replaced once at the first use

void phi_self_refresh(void);

static inline struct phi_self *phi_self(void)
{
	struct phi_self *s = &phi_self_cache;
	if (__builtin_expect(
			s->generation != load_relaxed_u32((uint32_t *)load_acquire_ptr(&phi_fork_word)), 0))
		phi_self_refresh();
	return s;
}

// A number that differs between a process and any child it forks.
uint32_t phi_process_generation(void);

// Whether this is the child of a vfork, by the kernel's word: in its parent's memory, with descriptors, dispositions and a
// mask of its own. One system call.
bool phi_in_vfork(void);

// What the kernel shall handle if this thread dies now: mark the word if it names this thread, and
// wake one waiter if it names nobody. NULL: nothing. The result is the previous setting.
static inline uintptr_t phi_set_pending(struct phi_self *s, const void *word)
{
	uintptr_t old = s->robust->pending;
	compiler_barrier();
	store_relaxed_ptr(&s->robust->pending, word == NULL ? 0 : (uintptr_t)word - s->robust_bias);
	compiler_barrier();
	return old;
}

static inline void phi_restore_pending(struct phi_self *s, uintptr_t old)
{
	compiler_barrier();
	store_relaxed_ptr(&s->robust->pending, old);
	compiler_barrier();
}

#endif

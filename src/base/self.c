// SPDX-License-Identifier: MIT
//
// Reading next: sync/lock.c, which is what `pending` is for.
#include "base/self.h"

#include "base/fork.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

// A generation that no process has: the first call asks.
__thread struct phi_self phi_self_cache = {.generation = UINT32_MAX};

// Until the page exists, and where it cannot.
static uint32_t no_page;
uintptr_t phi_fork_word = (uintptr_t)&no_page;

static uint32_t *fork_word(void)
{
	return (uint32_t *)load_acquire_ptr(&phi_fork_word); // FORK_WORD
}

static uint32_t generations; // private; survives fork with the parent's value, so children count on
static int32_t home_pid;     // whose memory this is
static pthread_once_t page_once = PTHREAD_ONCE_INIT;

#ifdef __GLIBC__
// Which has done so already.
static void forget_robust_list(void)
{
}
#else
// The child owns none of the parent's robust words, but musl would link its own behind them: into pages that
// are about to be unmapped.
static void forget_robust_list(void)
{
	struct phi_self *s = &phi_self_cache;
	if (s->generation == UINT32_MAX || !s->registered)
		return;
	s->robust->list = (uintptr_t)s->robust;
	s->robust->pending = 0;
}
#endif

// Emulators accept the advice and do not follow it; for fork itself this serves as well. The next generation begins here, not
// with the first use: that might be in the child of a vfork.
static void forget_in_child(void)
{
	store_relaxed_u32(fork_word(), 0);
	forget_robust_list();
	phi_process_generation();
}

static void make_page(void)
{
	static const struct phi_fork_steps steps = {.in_child = forget_in_child};
	phi_fork_arrange(&steps);
	long size = sysconf(_SC_PAGESIZE);
	void *page =
		mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return;
	if (madvise(page, (size_t)size, MADV_WIPEONFORK) != 0) {
		munmap(page, (size_t)size);
		return;
	}
	store_release_ptr(&phi_fork_word, (uintptr_t)page); // FORK_WORD
}

// glibc registers a robust list for each thread at its start, musl at the first lock of a robust mutex that
// processes share. The thread keeps whatever was registered: replacing it would disarm the program's own
// robust mutexes.
static void make_libc_register(void)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t m;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED); // else musl needs no list
	if (pthread_mutex_init(&m, &attr) == 0) {
		if (pthread_mutex_lock(&m) == 0)
			pthread_mutex_unlock(&m);
		pthread_mutex_destroy(&m);
	}
	pthread_mutexattr_destroy(&attr);
}

static struct phi_robust_head *registered_head(void)
{
	struct phi_robust_head *head = NULL;
	size_t len = 0;
	if (syscall(SYS_get_robust_list, 0, &head, &len) != 0 || len != sizeof *head)
		return NULL;
	return head;
}

// A thread without any (vfork and raw clone children, emulators): its death goes unmarked, and lock
// waiters find out by asking for the owner. A private head keeps the code free of branches.
static __thread struct phi_robust_head unregistered;

static struct phi_robust_head *robust_head(void)
{
	struct phi_robust_head *head = registered_head();
	if (head == NULL) {
		make_libc_register();
		head = registered_head();
	}
	return head != NULL ? head : &unregistered;
}

uint32_t phi_process_generation(void)
{
	pthread_once(&page_once, make_page);
	uint32_t g = load_relaxed_u32(fork_word());
	if (g != 0)
		return g;
	// First use in this process: one thread wins, the others read its number.
	uint32_t mine = add_acq_rel_u32(&generations, 1);
	store_relaxed_i32(&home_pid, (int32_t)syscall(SYS_getpid));
	if (!cas_acq_rel_u32(fork_word(), 0, mine))
		mine = load_relaxed_u32(fork_word());
	return mine;
}

bool phi_in_vfork(void)
{
	phi_process_generation();
	return (int32_t)syscall(SYS_getpid) != load_relaxed_i32(&home_pid);
}

__attribute__((constructor)) static void at_start(void)
{
	phi_process_generation();
}

void phi_self_refresh(void)
{
	struct phi_self *s = &phi_self_cache;
	uint32_t g = phi_process_generation();
	s->tid = (uint32_t)syscall(SYS_gettid);
	s->pid = (int32_t)syscall(SYS_getpid);
	s->robust = robust_head();
	s->robust_bias = (uintptr_t)s->robust->futex_offset;
	s->registered = s->robust != &unregistered;
	s->generation = s->pid == load_relaxed_i32(&home_pid) ? g : UINT32_MAX;
}

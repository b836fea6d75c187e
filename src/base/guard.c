// SPDX-License-Identifier: MIT
//
// The table is read by the signal handler, so it is only ever changed by single stores: an entry is
// valid while `base` is set, `base` is set last and cleared first, entries are never freed.
#include "base/guard.h"

#include "base/atomic.h"
#include "base/self.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static uintptr_t table; // struct phi_guarded *
static pthread_mutex_t change = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction before;
static uintptr_t page_bytes; // set before the first entry is published

static struct phi_guarded *first(void)
{
	return (struct phi_guarded *)load_acquire_ptr(&table); // GUARD_TABLE
}

// Whether the process has it, and is not a child of the one that had.
static bool is_here(const struct phi_guarded *g)
{
	uint32_t generation = load_relaxed_u32(&g->generation);
	return generation == 0 ||
	       generation == load_relaxed_u32((uint32_t *)load_acquire_ptr(&phi_fork_word));
}

static struct phi_guarded *find(uintptr_t addr)
{
	for (struct phi_guarded *g = first(); g != NULL; g = g->next) {
		uintptr_t base = load_acquire_ptr(&g->base); // GUARD_ENTRY
		if (base != 0 && addr >= base && addr - base < load_relaxed_ptr(&g->bytes) && is_here(g))
			return g;
	}
	return NULL;
}

static void pass_on(int sig, siginfo_t *info, void *context)
{
	if ((before.sa_flags & SA_SIGINFO) && before.sa_sigaction != NULL) {
		before.sa_sigaction(sig, info, context);
	} else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
		before.sa_handler(sig);
	} else if (before.sa_handler != SIG_IGN || info->si_code > 0) {
		// Back at the faulting instruction, the kernel does what it always did.
		struct sigaction dfl = {.sa_handler = SIG_DFL};
		sigaction(sig, &dfl, NULL);
		if (info->si_code <= 0)
			raise(sig);
	}
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	int saved = errno;
	struct phi_guarded *g = info->si_code > 0 ? find((uintptr_t)info->si_addr) : NULL;
	if (g == NULL) {
		pass_on(sig, info, context);
	} else {
		uintptr_t from = (uintptr_t)info->si_addr & ~(page_bytes - 1);
		size_t bytes = load_relaxed_ptr(&g->bytes) - (from - load_relaxed_ptr(&g->base));
		store_relaxed_u32(g->damaged, 1);
		void *zeros = mmap((void *)from, bytes, PROT_READ | PROT_WRITE,
		                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
		if (zeros == MAP_FAILED)
			abort();
	}
	errno = saved;
}

static void install(void)
{
	struct sigaction now;
	if (sigaction(SIGBUS, NULL, &now) != 0)
		return;
	if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_sigbus)
		return;
	before = now;
	struct sigaction ours = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
	ours.sa_sigaction = on_sigbus;
	sigemptyset(&ours.sa_mask);
	sigaction(SIGBUS, &ours, NULL);
}

bool phi_guard_chain(const struct sigaction *act, struct sigaction *old)
{
	struct sigaction now;
	pthread_mutex_lock(&change);
	bool installed = sigaction(SIGBUS, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) &&
	                 now.sa_sigaction == on_sigbus;
	if (installed && old != NULL)
		*old = before;
	if (installed && act != NULL)
		before = *act;
	pthread_mutex_unlock(&change);
	return installed;
}

static struct phi_guarded *unused_entry(void)
{
	for (struct phi_guarded *g = first(); g != NULL; g = g->next)
		if (load_relaxed_ptr(&g->base) == 0 && load_relaxed_u32(&g->generation) == 0)
			return g;
	struct phi_guarded *g = calloc(1, sizeof *g);
	if (g != NULL) {
		g->next = first();
		store_release_ptr(&table, (uintptr_t)g); // GUARD_TABLE
	}
	return g;
}

static void fill(struct phi_guarded *g, void *base, size_t bytes, uint32_t *damaged)
{
	page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
	store_relaxed_ptr(&g->bytes, bytes);
	g->damaged = damaged;
	store_release_ptr(&g->base, (uintptr_t)base); // GUARD_ENTRY
	install();
}

int phi_guard_add_own(struct phi_guarded *g, void *base, size_t bytes, uint32_t *damaged)
{
	if (pthread_mutex_trylock(&change) != 0)
		return -EBUSY;
	bool listed = load_relaxed_u32(&g->generation) != 0;
	store_release_ptr(&g->base, 0); // GUARD_ENTRY
	store_relaxed_u32(&g->generation, phi_process_generation());
	if (!listed) {
		g->next = first();
		store_release_ptr(&table, (uintptr_t)g); // GUARD_TABLE
	}
	fill(g, base, bytes, damaged);
	pthread_mutex_unlock(&change);
	return 0;
}

int phi_guard_add(void *base, size_t bytes, uint32_t *damaged)
{
	pthread_mutex_lock(&change);
	struct phi_guarded *g = unused_entry();
	if (g != NULL)
		fill(g, base, bytes, damaged);
	pthread_mutex_unlock(&change);
	return g == NULL ? -ENOMEM : 0;
}

void phi_guard_extend(void *base, size_t bytes)
{
	pthread_mutex_lock(&change);
	for (struct phi_guarded *g = first(); g != NULL; g = g->next)
		if (load_relaxed_ptr(&g->base) == (uintptr_t)base && g->bytes < bytes)
			store_relaxed_ptr(&g->bytes, bytes);
	pthread_mutex_unlock(&change);
}

void phi_guard_remove(void *base)
{
	pthread_mutex_lock(&change);
	for (struct phi_guarded *g = first(); g != NULL; g = g->next)
		if (load_relaxed_ptr(&g->base) == (uintptr_t)base)
			store_release_ptr(&g->base, 0);
	pthread_mutex_unlock(&change);
}

void phi_guard_blockable(sigset_t *set)
{
	static const int faults[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP};
	sigfillset(set);
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
		sigdelset(set, faults[i]);
}

void phi_guard_hold(void)
{
	pthread_mutex_lock(&change);
}

void phi_guard_let_go(void)
{
	pthread_mutex_unlock(&change);
}

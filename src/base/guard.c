// SPDX-License-Identifier: MIT
//
// The table is read by the signal handler, so it is only ever changed by single stores: an entry is
// valid while `base` is set, `base` is set last and cleared first, entries are never freed.
#include "base/guard.h"

#include "base/atomic.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct guarded {
	uintptr_t base;
	uintptr_t bytes; // may grow
	uint32_t *damaged;
	struct guarded *next; // set before the entry is published
};

static uintptr_t table; // struct guarded *
static pthread_mutex_t change = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction before;
static uintptr_t page_bytes; // set before the first entry is published

static struct guarded *first(void)
{
	return (struct guarded *)load_acquire_ptr(&table); // GUARD_TABLE
}

static struct guarded *find(uintptr_t addr)
{
	for (struct guarded *g = first(); g != NULL; g = g->next) {
		uintptr_t base = load_acquire_ptr(&g->base); // GUARD_ENTRY
		if (base != 0 && addr >= base && addr - base < load_relaxed_ptr(&g->bytes))
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
	struct guarded *g = info->si_code > 0 ? find((uintptr_t)info->si_addr) : NULL;
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

static struct guarded *unused_entry(void)
{
	for (struct guarded *g = first(); g != NULL; g = g->next)
		if (load_relaxed_ptr(&g->base) == 0)
			return g;
	struct guarded *g = calloc(1, sizeof *g);
	if (g != NULL) {
		g->next = first();
		store_release_ptr(&table, (uintptr_t)g); // GUARD_TABLE
	}
	return g;
}

int phi_guard_add(void *base, size_t bytes, uint32_t *damaged)
{
	pthread_mutex_lock(&change);
	page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
	struct guarded *g = unused_entry();
	if (g != NULL) {
		store_relaxed_ptr(&g->bytes, bytes);
		g->damaged = damaged;
		store_release_ptr(&g->base, (uintptr_t)base); // GUARD_ENTRY
		install();
	}
	pthread_mutex_unlock(&change);
	return g == NULL ? -ENOMEM : 0;
}

void phi_guard_extend(void *base, size_t bytes)
{
	pthread_mutex_lock(&change);
	for (struct guarded *g = first(); g != NULL; g = g->next)
		if (load_relaxed_ptr(&g->base) == (uintptr_t)base && g->bytes < bytes)
			store_relaxed_ptr(&g->bytes, bytes);
	pthread_mutex_unlock(&change);
}

void phi_guard_remove(void *base)
{
	pthread_mutex_lock(&change);
	for (struct guarded *g = first(); g != NULL; g = g->next)
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

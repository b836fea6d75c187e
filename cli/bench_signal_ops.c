// SPDX-License-Identifier: MIT
//
// The two contestants of the room signal: the library's calls and the system's, which have the same prototypes.
//
// The check for handlers that wait for a safe point (signal/safepoint.h) is inlined into every call of the library, so
// it is measured by itself: the same empty call, with the check and without.
#define _GNU_SOURCE
#include "bench_load.h"

#include "signal/safepoint.h"

#include <posthaste/signal.h>

#include <signal.h>

// A process has its signals anyway.
static int create(struct bench_end *end)
{
	(void)end;
	return 0;
}

static void destroy(struct bench_end *end)
{
	(void)end;
}

static bool all_but_check(const struct bench_case *c)
{
	return c->kind != BENCH_CHECK;
}

static __attribute__((noinline)) int64_t bare_call(int64_t x)
{
	__asm__ volatile("" : "+r"(x));
	return x;
}

static __attribute__((noinline)) int64_t checked_call(int64_t x)
{
	return PHI_SAFELY(({
		__asm__ volatile("" : "+r"(x));
		x;
	}));
}

static void call(uint64_t n, bool checked)
{
	if (checked)
		for (uint64_t i = 0; i < n; i++)
			checked_call((int64_t)i);
	else
		for (uint64_t i = 0; i < n; i++)
			bare_call((int64_t)i);
}

const struct bench_ops bench_signal_posthaste = {
	.name = "posthaste",
	.create = create,
	.destroy = destroy,
	.queue = ph_sigqueue,
	.kill = ph_kill,
	.take = ph_sigwaitinfo,
	.handle = ph_sigaction,
	.call = call,
};

const struct bench_ops bench_signal_kernel = {
	.name = "kernel",
	.create = create,
	.destroy = destroy,
	.queue = sigqueue,
	.kill = kill,
	.take = sigwaitinfo,
	.handle = sigaction,
	.can = all_but_check,
};

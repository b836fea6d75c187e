// SPDX-License-Identifier: MIT
#include "base/futex.h"

#include "base/call.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

// Linux's struct futex_waitv and flag; older headers (and musl's) lack them.
struct waitv {
	uint64_t val;
	uint64_t uaddr;
	uint32_t flags;
	uint32_t reserved;
};
#define WAITV_U32 0x02

int phi_futex_wait(uint32_t *word, uint32_t value, int64_t timeout_ns)
{
	struct timespec ts = {timeout_ns / 1000000000, timeout_ns % 1000000000};
	long r = syscall(SYS_futex, word, FUTEX_WAIT, value, timeout_ns < 0 ? NULL : &ts, NULL, 0);
	return r < 0 ? -errno : 0;
}

int phi_futex_wait_unless(const uint32_t *due, uint32_t *word, uint32_t value, int64_t timeout_ns)
{
	struct timespec ts = {timeout_ns / 1000000000, timeout_ns % 1000000000};
	const struct phi_call c = {SYS_futex,
	                           {(long)word, FUTEX_WAIT, value, timeout_ns < 0 ? 0 : (long)&ts}};
	bool refused;
	return (int)phi_call_unless(due, &c, &refused);
}

int phi_futex_wait_any(const struct phi_futex_word *words, int n,
                       const struct phi_deadline *deadline)
{
	struct waitv w[PHI_FUTEX_WORDS_MAX];
	bool timed = deadline->clock >= 0;
	for (int i = 0; i < n; i++)
		w[i] = (struct waitv){words[i].value, (uintptr_t)words[i].word, WAITV_U32, 0};
	long r = syscall(SYS_futex_waitv, w, n, 0, timed ? &deadline->at : NULL,
	                 timed ? deadline->clock : CLOCK_MONOTONIC);
	return r < 0 ? -errno : (int)r;
}

int phi_futex_wake(uint32_t *word, int n)
{
	long r = syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0);
	return r < 0 ? 0 : (int)r;
}

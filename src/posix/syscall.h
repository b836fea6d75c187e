// SPDX-License-Identifier: MIT
//
// What the files of the facade share: results, and system calls as libc makes them. Every call ends with its result here,
// and so at a safe point for handlers of signals.
#ifndef PHI_POSIX_SYSCALL_H
#define PHI_POSIX_SYSCALL_H

#include "base/descriptor.h"
#include "core/record.h"
#include "signal/safepoint.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline int64_t phi_result(int64_t r)
{
	phi_safepoint_ask(r);
	if (r >= 0)
		return r;
	errno = (int)-r;
	return -1;
}

// The same for an operation that is recorded, and told of by a probe of its name.
#define PHI_DONE(op, key, call)               \
	({                                        \
		const int64_t done_ = (call);         \
		const uint64_t key_ = (key);          \
		PHI_PROBE(op, key_, done_);           \
		phi_record(RECORD_##op, key_, done_); \
		phi_result(done_);                    \
	})

// One that may sleep: PHI_MAY_SLEEP comes before it.
#define PHI_MAY_SLEEP const uint64_t before_ = phi_record_slept_ns
#define PHI_OVER(op, key, call)                              \
	({                                                       \
		const int64_t over_ = (call);                        \
		const uint64_t key_ = (key);                         \
		PHI_PROBE(op, key_, over_);                          \
		phi_record_after(RECORD_##op, key_, over_, before_); \
		phi_result(over_);                                   \
	})

#ifdef PHI_TSAN
#define PHI_CLOSE(fd) close(fd)
#else
#define PHI_CLOSE(fd) ((int)phi_enter_kernel(SYS_close, fd, 0, 0, 0, 0, 0))
#endif

// A blocking call: a cancellation point.
static inline long phi_enter_kernel(long number, long a, long b, long c, long d, long e, long f)
{
	int type;
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	long r = syscall(number, a, b, c, d, e, f);
	pthread_setcanceltype(type, NULL);
	return r;
}

#endif

// SPDX-License-Identifier: MIT
//
// The recorder: each thread notes its last operations where `posthaste trace` finds them, also after the process was
// killed. docs/trace.md tells what a recording holds, and what its times mean; the bytes are drawn in layout.h.
//
// To note an operation is three plain stores, two of them into the thread's own ring. Its number is taken first: a signal handler that
// records in between takes the next. So a kill or a handler at any instruction leaves at most the entry that was
// being written, and readers see by the numbers in it that it is not whole.
#ifndef PHI_CORE_RECORD_H
#define PHI_CORE_RECORD_H

#include "base/atomic.h"
#include "base/self.h"
#include "core/layout.h"
#include "core/operations.h"
#include "core/probe.h"

#include <stdbool.h>
#include <stdint.h>

// One thread's place, in memory that is private and that the kernel wipes in every forked child: there, as in a thread that
// has none yet, `due` is 0.
struct phi_recorder {
	uint64_t next;     // number of the entry that comes next
	uint64_t due;      // that one is timed at the latest, and the ring does not wrap before
	uintptr_t entries; // entry n stands n times its size from here
	struct record_thread *shown; // NULL = has no ring
	int64_t timed_ns;            // the last time,
	uint64_t timed;              // and the number behind it
	uint64_t mask;
	uintptr_t ring;
};

extern __thread struct phi_recorder *phi_recorder;

// With a time, and how much of it was sleep. Makes the recording, and the thread's ring, if need be.
void phi_record_timed(enum record_op op, uint64_t key, int64_t result, uint64_t slept_ns);

// An operation is over. Async-signal-safe; errno is left alone.
static inline void phi_record(enum record_op op, uint64_t key, int64_t result)
{
	struct phi_recorder *t = phi_recorder;
	uint64_t n = load_relaxed_u64(&t->next);
	if (__builtin_expect(n >= t->due, 0)) {
		phi_record_timed(op, key, result, 0);
		return;
	}
	store_relaxed_u64(&t->next, n + 1);
	compiler_barrier(); // a handler takes another number
	struct record_entry *e = (struct record_entry *)(t->entries + n * sizeof *e);
	store_relaxed_u64(&e->object, key << 16 | (uint16_t)n);
	store_release_u64(&e->outcome, // RECORD_ENTRY
	                  (uint64_t)result << 24 | (uint64_t)op << 16 | (uint16_t)n);
}

// ---- operations that may sleep ----

// What this thread has slept in operations so far.
extern __thread uint64_t phi_record_slept_ns;

// One is over, and before it began phi_record_slept_ns was `before`.
static inline void phi_record_after(enum record_op op, uint64_t key, int64_t result,
                                    uint64_t before)
{
	uint64_t slept = phi_record_slept_ns - before;
	if (__builtin_expect(slept != 0, 0))
		phi_record_timed(op, key, result, slept);
	else
		phi_record(op, key, result);
}

// The thread is about to sleep in this operation, and has slept: meanwhile others can see it. By the kernel's tick where the
// call might as well return at once (`exact` false).
struct phi_nap {
	bool exact;
	uint32_t outer_op; // of what a handler has interrupted asleep
	uint64_t outer_key;
	int64_t since_ns, outer_ns;
};
struct phi_nap phi_record_asleep(enum record_op op, uint64_t key, bool exact);
void phi_record_awake(const struct phi_nap *nap);

// ---- objects ----

// What entries with this key are called from now on; and that no more are to come.
void phi_record_know(enum record_kind kind, uint64_t key, const char *name);
void phi_record_forget(enum record_kind kind, uint64_t key);

// The key of an object that is known by its name only.
uint64_t phi_record_key_of(const char *name);

static inline uint64_t phi_record_signal(int pid, int signo)
{
	return (uint64_t)(uint32_t)signo << 32 | (uint32_t)pid;
}

// ---- over fork, exec and exit ----

// The process ends, or becomes another program: nothing stays.
void phi_record_exit(void);

// Remove recordings of processes that have ended: all but the newest `keep`. How many.
int phi_record_sweep(int dir, int keep);

#endif

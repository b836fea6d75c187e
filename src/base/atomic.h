// SPDX-License-Identifier: MIT
//
// Atomic access to words, the memory order in the function's name. Nothing else in the tree names a
// memory order. `relaxed` on shared memory means: one load or store, no promise about its neighbours.
#ifndef PHI_BASE_ATOMIC_H
#define PHI_BASE_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#define PHI_ATOMIC(T, S)                                                           \
	static inline T load_relaxed_##S(const T *p)                                   \
	{                                                                              \
		return __atomic_load_n(p, __ATOMIC_RELAXED);                               \
	}                                                                              \
	static inline T load_acquire_##S(const T *p)                                   \
	{                                                                              \
		return __atomic_load_n(p, __ATOMIC_ACQUIRE);                               \
	}                                                                              \
	static inline void store_relaxed_##S(T *p, T v)                                \
	{                                                                              \
		__atomic_store_n(p, v, __ATOMIC_RELAXED);                                  \
	}                                                                              \
	static inline void store_release_##S(T *p, T v)                                \
	{                                                                              \
		__atomic_store_n(p, v, __ATOMIC_RELEASE);                                  \
	}                                                                              \
	static inline T exchange_acq_rel_##S(T *p, T v)                                \
	{                                                                              \
		return __atomic_exchange_n(p, v, __ATOMIC_ACQ_REL);                        \
	}                                                                              \
	static inline T add_acq_rel_##S(T *p, T v)                                     \
	{                                                                              \
		return __atomic_add_fetch(p, v, __ATOMIC_ACQ_REL);                         \
	}                                                                              \
	static inline T and_acq_rel_##S(T *p, T v)                                     \
	{                                                                              \
		return __atomic_and_fetch(p, v, __ATOMIC_ACQ_REL);                         \
	}                                                                              \
	static inline T or_acq_rel_##S(T *p, T v)                                      \
	{                                                                              \
		return __atomic_or_fetch(p, v, __ATOMIC_ACQ_REL);                          \
	}                                                                              \
	static inline bool cas_acquire_##S(T *p, T expect, T v)                        \
	{                                                                              \
		return __atomic_compare_exchange_n(p, &expect, v, false, __ATOMIC_ACQUIRE, \
		                                   __ATOMIC_RELAXED);                      \
	}                                                                              \
	static inline bool cas_release_##S(T *p, T expect, T v)                        \
	{                                                                              \
		return __atomic_compare_exchange_n(p, &expect, v, false, __ATOMIC_RELEASE, \
		                                   __ATOMIC_RELAXED);                      \
	}                                                                              \
	static inline bool cas_acq_rel_##S(T *p, T expect, T v)                        \
	{                                                                              \
		return __atomic_compare_exchange_n(p, &expect, v, false, __ATOMIC_ACQ_REL, \
		                                   __ATOMIC_RELAXED);                      \
	}

PHI_ATOMIC(uint32_t, u32)
PHI_ATOMIC(uint64_t, u64)
PHI_ATOMIC(int32_t, i32)
PHI_ATOMIC(uintptr_t, ptr)

#undef PHI_ATOMIC

static inline uint16_t load_relaxed_u16(const uint16_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline void store_relaxed_u16(uint16_t *p, uint16_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}

// Order against what this thread's own death or signal handler sees: the compiled order is enough.
static inline void compiler_barrier(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void fence_seq_cst(void)
{
#ifdef __SANITIZE_THREAD__ // which does not know fences
	static uint32_t word;
	__atomic_fetch_add(&word, 1, __ATOMIC_SEQ_CST);
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

// The same, directly after a read-modify-write, which is a full fence by itself on some machines.
static inline void fence_after_rmw(void)
{
#if defined(__x86_64__) || defined(__i386__)
	compiler_barrier();
#else
	fence_seq_cst();
#endif
}

static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb" ::: "memory");
#else
	compiler_barrier();
#endif
}

#endif

// SPDX-License-Identifier: MIT
//
// libposthaste-preload.so - the library underneath an unmodified program (docs/run.md). It defines the C library's
// own names, so that the dynamic linker binds the program to them, and decides for each call whose object it is
// about: this library's, or one that the C library has made, which goes on to the C library.
#ifndef PHI_PRELOAD_H
#define PHI_PRELOAD_H

#include "base/atomic.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <unistd.h>

#define PHI_PUBLIC __attribute__((visibility("default")))

// Of fortified programs.
extern mqd_t __mq_open_2(const char *name, int oflag);
extern ssize_t __read_chk(int fd, void *buf, size_t bytes, size_t room);

// ---- modes.c: what the environment asks for ----

enum phi_part {
	PHI_PART_MQ = 1,
	PHI_PART_SEM = 2,
	PHI_PART_SHM = 4,
};

// Whether new objects of this kind are the library's (POSTHASTE_ONLY).
bool phi_takes(enum phi_part part);

// ---- mq.c ----

// To the kernel, closing any descriptor of a queue ends the process's registration there.
int phi_close_queue(int fd);

// ---- trace.c: POSTHASTE_LOG ----

extern uint32_t phi_tracing; // A: there is a file for the traces

// Write down a call and how it ended: the result, which is handed through, with errno as it was. -1 is a failure.
__attribute__((format(printf, 2, 3))) int64_t phi_trace(int64_t result, const char *call, ...);

static inline bool phi_traces(void)
{
	return __builtin_expect(load_relaxed_u32(&phi_tracing) != 0, 0);
}

// The call's result, written down if somebody wants to know.
#define PHI_TRACED(r, ...) \
	(phi_traces() ? (__typeof__(r))phi_trace((int64_t)(r), __VA_ARGS__) : (r))

// ---- next.c: who would have been called without us, the C library as a rule ----

// clang-format off
#define PHI_NEXT_LIST(X) \
	X(mq_open) X(mq_close) X(mq_unlink) X(mq_send) X(mq_timedsend) X(mq_receive) \
	X(mq_timedreceive) X(mq_notify) X(mq_getattr) X(mq_setattr) X(__mq_open_2) \
	X(sem_init) X(sem_destroy) X(sem_open) X(sem_close) X(sem_unlink) X(sem_wait) \
	X(sem_trywait) X(sem_timedwait) X(sem_clockwait) X(sem_post) X(sem_getvalue) \
	X(shm_open) X(shm_unlink) \
	X(close) X(close_range) X(closefrom) X(fcntl) X(fcntl64) \
	X(read) X(__read_chk) X(lseek) X(lseek64) \
	X(poll) X(ppoll) X(select) X(pselect) X(epoll_ctl)
// clang-format on

struct phi_next {
#define X(function) __typeof__(&(function)) function;
	PHI_NEXT_LIST(X)
#undef X
};

const struct phi_next *phi_next(void);

// ---- symbol.c ----

typedef void *phi_dlsym(void *handle, const char *name);
phi_dlsym *phi_next_dlsym(void);

#endif

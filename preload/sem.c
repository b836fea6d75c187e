// SPDX-License-Identifier: MIT
//
// Semaphores. An unnamed one is the library's if its sem_t says so: `kind` stands where the C library keeps a word
// of its own that is never such a value. All others - zeroed, never made, made by a program that runs without the
// library - are the C library's, and behave as ever.
#include "preload.h"

#include "posthaste/semaphore.h"
#include "sem/sem.h"

#include <limits.h>
#include <stdarg.h>
#include <string.h>

static inline bool is_ours(const sem_t *sem)
{
	uint32_t kind = load_relaxed_u32(&((const struct sem_word *)sem)->kind);
	return __builtin_expect(kind - SEM_PRIVATE <= SEM_HOLDERS - SEM_PRIVATE, 1);
}

// The usual case, in which the library's call is all there is to do.
static inline bool goes_on(const sem_t *sem)
{
	return is_ours(sem) && !phi_traces();
}

static int fail(int error)
{
	errno = error;
	return -1;
}

// ---- unnamed ----

PHI_PUBLIC int sem_init(sem_t *sem, int pshared, unsigned int value)
{
	int r = phi_takes(PHI_PART_SEM) ? ph_sem_init(sem, pshared, value)
	                                : phi_next()->sem_init(sem, pshared, value);
	return PHI_TRACED(r, "sem_init(%p, %d, %u)", (void *)sem, pshared, value);
}

// The C library's does nothing, and programs rely on it: each process destroys the semaphore that all share.
PHI_PUBLIC int sem_destroy(sem_t *sem)
{
	int r = is_ours(sem) ? 0 : phi_next()->sem_destroy(sem);
	return PHI_TRACED(r, "sem_destroy(%p)", (void *)sem);
}

// ---- named ----

// The C library puts "sem." in front of a name, and finds it too long accordingly.
#define PREFIX_BYTES 4

static int name_error(const char *name, int beyond)
{
	size_t length = strlen(name + strspn(name, "/"));
	return length > NAME_MAX ? beyond : length > NAME_MAX - PREFIX_BYTES ? ENAMETOOLONG : 0;
}

static sem_t *open_ours(const char *name, int oflag, mode_t mode, unsigned value)
{
	int error = name_error(name, EINVAL);
	if (error == 0)
		return ph_sem_open(name, oflag & (O_CREAT | O_EXCL), mode, value);
	errno = error;
	return SEM_FAILED;
}

PHI_PUBLIC sem_t *sem_open(const char *name, int oflag, ...)
{
	mode_t mode = 0;
	unsigned value = 0;
	sem_t *sem;
	if (oflag & O_CREAT) {
		va_list args;
		va_start(args, oflag);
		mode = va_arg(args, mode_t);
		value = va_arg(args, unsigned);
		va_end(args);
	}
	if (phi_takes(PHI_PART_SEM))
		sem = open_ours(name, oflag, mode, value);
	else
		sem = phi_next()->sem_open(name, oflag, mode, value);
	if (phi_traces() && sem == SEM_FAILED)
		phi_trace(-1, "sem_open(\"%s\", %#x, %#o, %u)", name, (unsigned)oflag, mode, value);
	else if (phi_traces())
		phi_trace(0, "sem_open(\"%s\", %#x, %#o, %u) at %p", name, (unsigned)oflag, mode, value,
		          (void *)sem);
	return sem;
}

// One that is closed already must not be looked at.
PHI_PUBLIC int sem_close(sem_t *sem)
{
	int r = ph_sem_close(sem);
	if (r != 0 && errno == EINVAL)
		r = phi_next()->sem_close(sem);
	return PHI_TRACED(r, "sem_close(%p)", (void *)sem);
}

static int unlink_ours(const char *name)
{
	int error = name_error(name, ENOENT);
	return error == 0 ? ph_sem_unlink(name) : fail(error);
}

PHI_PUBLIC int sem_unlink(const char *name)
{
	int r = phi_takes(PHI_PART_SEM) ? unlink_ours(name) : phi_next()->sem_unlink(name);
	return PHI_TRACED(r, "sem_unlink(\"%s\")", name);
}

// ---- units ----

// The C library looks at the time before the semaphore.
static bool is_time(const struct timespec *t)
{
	return t->tv_nsec >= 0 && t->tv_nsec < 1000000000;
}

PHI_PUBLIC int sem_wait(sem_t *sem)
{
	if (goes_on(sem))
		return ph_sem_wait(sem);
	int r = is_ours(sem) ? ph_sem_wait(sem) : phi_next()->sem_wait(sem);
	return PHI_TRACED(r, "sem_wait(%p)", (void *)sem);
}

PHI_PUBLIC int sem_trywait(sem_t *sem)
{
	if (goes_on(sem))
		return ph_sem_trywait(sem);
	int r = is_ours(sem) ? ph_sem_trywait(sem) : phi_next()->sem_trywait(sem);
	return PHI_TRACED(r, "sem_trywait(%p)", (void *)sem);
}

PHI_PUBLIC int sem_timedwait(sem_t *sem, const struct timespec *abstime)
{
	int r = !is_ours(sem)       ? phi_next()->sem_timedwait(sem, abstime)
	        : !is_time(abstime) ? fail(EINVAL)
	                            : ph_sem_timedwait(sem, abstime);
	return PHI_TRACED(r, "sem_timedwait(%p, %lld.%09ld)", (void *)sem, (long long)abstime->tv_sec,
	                  abstime->tv_nsec);
}

PHI_PUBLIC int sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *abstime)
{
	bool valid = is_time(abstime) && (clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC);
	int r = !is_ours(sem) ? phi_next()->sem_clockwait(sem, clock, abstime)
	        : !valid      ? fail(EINVAL)
	                      : ph_sem_clockwait(sem, clock, abstime);
	return PHI_TRACED(r, "sem_clockwait(%p, %d, %lld.%09ld)", (void *)sem, (int)clock,
	                  (long long)abstime->tv_sec, abstime->tv_nsec);
}

PHI_PUBLIC int sem_post(sem_t *sem)
{
	if (goes_on(sem))
		return ph_sem_post(sem);
	int r = is_ours(sem) ? ph_sem_post(sem) : phi_next()->sem_post(sem);
	return PHI_TRACED(r, "sem_post(%p)", (void *)sem);
}

PHI_PUBLIC int sem_getvalue(sem_t *sem, int *value)
{
	int r = is_ours(sem) ? ph_sem_getvalue(sem, value) : phi_next()->sem_getvalue(sem, value);
	return PHI_TRACED(r, "sem_getvalue(%p) of %d", (void *)sem, r == 0 ? *value : 0);
}

// Programs rely on a timed wait to end at any handler, as the C library's does.
__attribute__((constructor)) static void at_start(void)
{
	phi_sem_set_interruptible();
}

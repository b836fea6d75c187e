// SPDX-License-Identifier: MIT
//
// The public calls of semaphores: which kind it is, errno, cancellation. What happens inside is src/sem; what
// each call promises stands in the header.
#include "posthaste/semaphore.h"

#include "posix/syscall.h"
#include "sem/plain.h"

#include <fcntl.h>
#include <stdarg.h>

_Static_assert(sizeof(struct sem_word) <= sizeof(sem_t), "a semaphore fits the C library's type");
_Static_assert(SEM_UNITS_MAX == SEM_VALUE_MAX, "the most units");

static inline struct sem_word *word_of(sem_t *sem)
{
	return (struct sem_word *)sem;
}

static inline int result(int r)
{
	return (int)phi_result(r);
}

// By which it is known in a recording: where it is.
static inline uint64_t key_of(const void *sem)
{
	return (uintptr_t)sem;
}

// One that is not plain has holders, or is none of ours: *s is NULL then, and the result says why.
static int find(const struct sem_word *w, struct sem **s)
{
	*s = phi_sem_find(w);
	if (*s == NULL)
		return -EINVAL;
	if (load_relaxed_u32(&w->kind) == SEM_HOLDERS && phi_sem_with_holders((*s)->region))
		return 0;
	*s = NULL;
	return -EBADMSG;
}

// The same for calls that are for holders only.
static int find_with_holders(sem_t *sem, struct sem **s)
{
	return phi_sem_is_plain(word_of(sem)) ? -EINVAL : find(word_of(sem), s);
}

// ---- unnamed ----

int ph_sem_init(sem_t *sem, int pshared, unsigned int value)
{
	struct sem_word *w = word_of(sem);
	if (value > SEM_VALUE_MAX)
		return result(-EINVAL);
	w->deathword = 0;
	w->cpu = 0;
	store_relaxed_u32(&w->word, value);
	store_release_u32(&w->kind, pshared ? SEM_SHARED : SEM_PRIVATE);
	return (int)PHI_DONE(sem_init, key_of(w), 0);
}

int ph_sem_destroy(sem_t *sem)
{
	struct sem_word *w = word_of(sem);
	if (load_relaxed_u32(&w->kind) - SEM_PRIVATE > SEM_SHARED - SEM_PRIVATE)
		return result(-EINVAL);
	store_relaxed_u32(&w->kind, 0);
	return (int)PHI_DONE(sem_destroy, key_of(w), 0);
}

// ---- named ----

sem_t *ph_sem_open(const char *name, int oflag, ...)
{
	unsigned mode = 0;
	unsigned value = 0;
	if (oflag & O_CREAT) {
		va_list args;
		va_start(args, oflag);
		mode = va_arg(args, unsigned); // NOLINT(clang-analyzer-valist.Uninitialized): it is not
		value = va_arg(args, unsigned);
		va_end(args);
	}
	int state;
	struct sem_word *w;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	int r = phi_sem_open(name, oflag, mode, value, &w);
	pthread_setcancelstate(state, NULL);
	uint64_t key = r < 0 ? phi_record_key_of(name) : key_of(w);
	phi_record_know(RECORD_OF_SEM, key, name);
	return PHI_DONE(sem_open, key, r) == 0 ? (sem_t *)w : SEM_FAILED;
}

int ph_sem_close(sem_t *sem)
{
	int state;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	int r = phi_sem_close(word_of(sem));
	pthread_setcancelstate(state, NULL);
	phi_record_forget(RECORD_OF_SEM, key_of(sem));
	return (int)PHI_DONE(sem_close, key_of(sem), r);
}

int ph_sem_unlink(const char *name)
{
	int state;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	int r = phi_sem_unlink(name);
	pthread_setcancelstate(state, NULL);
	uint64_t key = phi_record_key_of(name);
	phi_record_know(RECORD_OF_SEM, key, name);
	// What cannot be a name does not exist.
	return (int)PHI_DONE(sem_unlink, key, r == -EINVAL ? -ENOENT : r);
}

// ---- waiting ----

static int take_held(struct sem_word *w, const struct sem_wait *wait)
{
	struct sem *s;
	int r = find(w, &s);
	return r < 0 ? r : phi_sem_take(s, wait);
}

static __attribute__((noinline)) int wait_not_plainly(struct sem_word *w, clockid_t clock,
                                                      const struct timespec *abstime)
{
	const struct sem_wait wait = {clock, abstime, 1};
	PHI_MAY_SLEEP;
	return (int)PHI_OVER(
		sem_wait, key_of(w),
		PHI_SAFELY(phi_sem_is_plain(w) ? phi_sem_wait_slow(w, &wait) : take_held(w, &wait)));
}

// The plain case, a cancellation point all the same.
static inline bool wait_plainly(struct sem_word *w)
{
	pthread_testcancel();
	return __builtin_expect(phi_sem_is_plain(w) && phi_sem_try_plain(w), 1);
}

int ph_sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *abstime)
{
	if (wait_plainly(word_of(sem)))
		return (int)PHI_DONE(sem_wait, key_of(sem), 0);
	return wait_not_plainly(word_of(sem), clock, abstime);
}

int ph_sem_wait(sem_t *sem)
{
	if (wait_plainly(word_of(sem)))
		return (int)PHI_DONE(sem_wait, key_of(sem), 0);
	return wait_not_plainly(word_of(sem), CLOCK_REALTIME, NULL);
}

int ph_sem_timedwait(sem_t *sem, const struct timespec *abstime)
{
	return ph_sem_clockwait(sem, CLOCK_REALTIME, abstime);
}

int ph_sem_trywait(sem_t *sem)
{
	struct sem_word *w = word_of(sem);
	if (__builtin_expect(phi_sem_is_plain(w), 1))
		return (int)PHI_DONE(sem_trywait, key_of(w), phi_sem_try_plain(w) ? 0 : -EAGAIN);
	struct sem *s;
	int r = find(w, &s);
	return (int)PHI_DONE(sem_trywait, key_of(w), r < 0 ? r : phi_sem_try_take(s, 1));
}

int ph_sem_take(sem_t *sem, unsigned int units, clockid_t clock, const struct timespec *abstime)
{
	const struct sem_wait wait = {clock, abstime, units};
	struct sem *s;
	pthread_testcancel();
	int r = find_with_holders(sem, &s);
	if (r == 0 && (units == 0 || units > PH_SEM_HOLDERS_VALUE_MAX))
		r = -EINVAL;
	PHI_MAY_SLEEP;
	return (int)PHI_OVER(sem_take, key_of(sem), r < 0 ? r : PHI_SAFELY(phi_sem_take(s, &wait)));
}

// ---- giving ----

static int give(struct sem_word *w, unsigned units)
{
	struct sem *s;
	int r = find(w, &s);
	if (r == 0 && (units == 0 || units > PH_SEM_HOLDERS_VALUE_MAX))
		r = -EINVAL;
	return r < 0 ? r : phi_sem_give(s, units);
}

int ph_sem_post(sem_t *sem)
{
	struct sem_word *w = word_of(sem);
	int r = __builtin_expect(phi_sem_is_plain(w), 1) ? phi_sem_post_plain(w) : give(w, 1);
	if (__builtin_expect(r == 0, 1))
		return (int)PHI_DONE(sem_post, key_of(w), 0);
	return (int)PHI_DONE(sem_post, key_of(w), r);
}

int ph_sem_give(sem_t *sem, unsigned int units)
{
	int r = phi_sem_is_plain(word_of(sem)) ? -EINVAL : give(word_of(sem), units);
	return (int)PHI_DONE(sem_give, key_of(sem), r);
}

// ---- looking ----

int ph_sem_getvalue(sem_t *sem, int *sval)
{
	struct sem_word *w = word_of(sem);
	struct sem *s;
	int r = 0;
	if (phi_sem_is_plain(w))
		*sval = (int)phi_sem_units(load_relaxed_u32(&w->word));
	else if ((r = find(w, &s)) == 0)
		*sval = phi_sem_there(s);
	return result(r);
}

int ph_sem_held(sem_t *sem)
{
	struct sem *s;
	int r = find_with_holders(sem, &s);
	return r < 0 ? result(r) : phi_sem_held(s);
}

int ph_sem_info(const char *name, struct ph_sem_info *info)
{
	int state;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	int r = phi_sem_info(name, info);
	pthread_setcancelstate(state, NULL);
	return result(r);
}

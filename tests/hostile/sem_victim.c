// SPDX-License-Identifier: MIT
//
// tests/hostile/sem_victim.c - see sem_victim.h.
#include "sem_victim.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "runner.h"

// ---- calls ----

static struct timespec in_us(unsigned us)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += us * 1000L;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

static void begins(struct sem_victim *v, const char *call)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	atomic_store(&v->diary->call, call);
	atomic_store(&v->diary->since_ns, (int64_t)t.tv_sec * 1000000000 + t.tv_nsec);
}

// EINVAL is what a semaphore is told to be that is none any more; EBADMSG a damaged one.
static bool ended(struct sem_victim *v, long result, const int *errors)
{
	const int e = errno;
	atomic_store(&v->diary->since_ns, 0);
	atomic_fetch_add(&v->diary->calls, 1);
	if (result >= 0)
		return true;
	if (e == EBADMSG || e == EINVAL) {
		atomic_fetch_add(&v->diary->refused, 1);
		return false;
	}
	for (; *errors != 0; errors++)
		if (e == *errors)
			return false;
	test_failed(__FILE__, __LINE__, "%s fails as documented (%s); the attack: %s",
	            atomic_load(&v->diary->call), strerror(e), v->diary->note);
}

#define ERRORS(...) ((const int[]){__VA_ARGS__, 0})

// A slot may have to be asked for, and somebody may be in the way.
#define WAIT_ERRORS EOVERFLOW, EAGAIN, ETIMEDOUT, EOWNERDEAD, ENOBUFS, ENOMEM, ENOSPC

static bool try_it(struct sem_victim *v)
{
	begins(v, "trywait");
	return ended(v, ph_sem_trywait(v->sem), ERRORS(WAIT_ERRORS));
}

static bool wait_shortly(struct sem_victim *v)
{
	const struct timespec deadline = in_us(50);
	begins(v, "clockwait");
	return ended(v, ph_sem_clockwait(v->sem, CLOCK_MONOTONIC, &deadline), ERRORS(WAIT_ERRORS));
}

static bool post_it(struct sem_victim *v)
{
	begins(v, "post");
	return ended(v, ph_sem_post(v->sem), ERRORS(EOVERFLOW));
}

static bool take_two(struct sem_victim *v)
{
	const struct timespec deadline = in_us(50);
	begins(v, "take");
	return ended(v, ph_sem_take(v->sem, 2, CLOCK_MONOTONIC, &deadline), ERRORS(WAIT_ERRORS));
}

static bool give_two(struct sem_victim *v)
{
	begins(v, "give");
	return ended(v, ph_sem_give(v->sem, 2), ERRORS(EOVERFLOW));
}

static bool look_at_value(struct sem_victim *v)
{
	int value = -1;
	begins(v, "getvalue");
	const bool there = ended(v, ph_sem_getvalue(v->sem, &value), ERRORS(0));
	CHECK(!there || value >= 0);
	return there;
}

static bool look_at_held(struct sem_victim *v)
{
	begins(v, "held");
	const int n = ph_sem_held(v->sem);
	CHECK(n <= (int)PH_SEM_HOLDERS_VALUE_MAX);
	return ended(v, n, ERRORS(0));
}

static bool look_from_outside(struct sem_victim *v)
{
	static struct ph_sem_info info;
	if (v->name == NULL)
		return true;
	begins(v, "info");
	if (!ended(v, ph_sem_info(v->name, &info), ERRORS(ENOENT)))
		return false;
	CHECK(info.held_count <= PH_SEM_HOLDERS_MAX);
	CHECK(info.waiter_count <= sizeof(info.waiter) / sizeof(info.waiter[0]));
	return true;
}

static bool open_and_close(struct sem_victim *v)
{
	if (v->name == NULL)
		return true;
	begins(v, "open");
	sem_t *again = ph_sem_open(v->name, PH_SEM_OWNERDEAD);
	if (!ended(v, again == SEM_FAILED ? -1 : 0, ERRORS(EAGAIN, ENOENT, ENOBUFS, EXDEV)))
		return false;
	begins(v, "close");
	return ended(v, ph_sem_close(again), ERRORS(0));
}

static bool (*const calls[])(struct sem_victim *) = {
	look_at_value, try_it,       post_it,           wait_shortly,   take_two,
	give_two,      look_at_held, look_from_outside, open_and_close,
};

enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

void sem_victim_do_everything(struct sem_victim *v)
{
	for (int i = 0; i < CALLS; i++)
		calls[i](v);
}

static void attach(struct sem_victim *v)
{
	begins(v, "open");
	v->sem = ph_sem_open(v->name, 0);
	v->attached = ended(v, v->sem == SEM_FAILED ? -1 : 0, ERRORS(EAGAIN, ENOENT, ENOBUFS, EXDEV));
}

void sem_victim_do_something(struct sem_victim *v)
{
	if (!v->attached) {
		attach(v);
		return;
	}
	v->random = v->random * UINT64_C(6364136223846793005) + 1442695040888963407;
	if (calls[(v->random >> 33) % CALLS](v) || v->name == NULL || (errno != EBADMSG))
		return;
	begins(v, "close");
	ended(v, ph_sem_close(v->sem), ERRORS(0));
	v->attached = false;
}

void sem_victim_begin(struct sem_victim *v, const char *name, struct diary *diary)
{
	*v = (struct sem_victim){.name = name, .diary = diary, .random = 1};
	v->sem = ph_sem_open(name, 0);
	CHECK(v->sem != SEM_FAILED);
	v->attached = true;
}

void sem_victim_end(struct sem_victim *v)
{
	if (v->attached)
		CHECK_OK(ph_sem_close(v->sem));
}

void sem_victim_main(void *arg)
{
	const struct victim_job *job = arg;
	struct sem_victim v;
	sem_victim_begin(&v, job->name, job->diary);
	v.random = job->seed;
	while (!atomic_load(&job->diary->stop)) {
		sem_victim_do_something(&v);
		if (!v.attached)
			sched_yield();
	}
	sem_victim_end(&v);
}

static void one_works(const char *name, int oflag)
{
	int value;
	sem_t *s = ph_sem_open(name, O_CREAT | O_EXCL | oflag, 0600, 2);
	CHECK(s != SEM_FAILED);
	CHECK_OK(ph_sem_wait(s));
	CHECK_OK(ph_sem_trywait(s));
	CHECK_ERR(ph_sem_trywait(s), EAGAIN);
	CHECK_OK(ph_sem_post(s));
	CHECK_OK(ph_sem_getvalue(s, &value));
	CHECK_EQ(value, 1);
	CHECK_OK(ph_sem_close(s));
	CHECK_OK(ph_sem_unlink(name));
}

void semaphore_works(const char *name)
{
	one_works(name, 0);
	one_works(name, PH_SEM_HOLDERS);
}

// ---- the file ----

void sem_region_open(struct sem_region *r, const char *name)
{
	char path[512];
	struct stat st;
	snprintf(path, sizeof path, "%s/" SEM_PREFIX "%s", getenv("POSTHASTE_DIR"),
	         name + (name[0] == '/'));
	r->fd = (int)CHECK_OK(open(path, O_RDWR | O_CLOEXEC));
	CHECK_OK(fstat(r->fd, &st));
	r->bytes = (size_t)st.st_size < SEM_MARKS_AT + 2 * SEM_PAGE ? (size_t)st.st_size
	                                                            : SEM_MARKS_AT + 2 * SEM_PAGE;
	r->map = mmap(NULL, r->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	CHECK(r->map != MAP_FAILED);
	r->c = (struct sem_control *)(void *)(r->map + PHI_REGION_BODY);
	r->image = malloc(r->bytes);
	CHECK(r->image != NULL);
	sem_region_remember(r);
}

void sem_region_close(struct sem_region *r)
{
	free(r->image);
	CHECK_OK(munmap(r->map, r->bytes));
	CHECK_OK(close(r->fd));
}

void sem_region_remember(struct sem_region *r)
{
	memcpy(r->image, r->map, r->bytes);
}

void sem_region_restore(struct sem_region *r)
{
	memcpy(r->map, r->image, r->bytes);
}

static size_t add(uint32_t *fields, size_t n, uint64_t from, uint64_t bytes)
{
	for (uint64_t at = from; at < from + bytes; at += 4)
		if (n < SEM_FIELDS_MAX)
			fields[n++] = (uint32_t)at;
	return n;
}

size_t sem_region_fields(const struct sem_region *r, uint32_t fields[SEM_FIELDS_MAX])
{
	const uint64_t lock = PHI_REGION_BODY + offsetof(struct sem_control, reap);
	size_t n = add(fields, 0, 0, sizeof(struct phi_region_header));
	n = add(fields, n, PHI_REGION_BODY, offsetof(struct sem_control, reap));
	n = add(fields, n, lock + 4, sizeof(struct phi_lock) - 4 + 16);
	n = add(fields, n, PHI_REGION_BODY + offsetof(struct sem_control, sleeper),
	        2 * sizeof(struct sem_sleeper));
	if (r->bytes <= SEM_PAGE)
		return n;
	n = add(fields, n, SEM_TABLE_AT, 3 * sizeof(struct sem_slot));
	n = add(fields, n, SEM_MARKS_AT - sizeof(struct sem_slot), sizeof(struct sem_slot));
	return add(fields, n, SEM_MARK_AT(0), 16);
}

uint64_t sem_value(uint64_t own, int i)
{
	const uint64_t values[SEM_VALUES] = {
		0,
		1,
		2,
		own + 1,
		own - 1,
		own ^ 0x10000,
		own ^ 0x20000,
		0xffff,
		SEM_UNITS_MAX,
		SEM_AWAITED,
		UINT32_MAX,
		UINT64_MAX,
		0x40000000 | own,
		0x3ffffff0, // a thread that there cannot be
		SEM_SHARED,
		SEM_NAMED,
		SEM_HOLDERS,
		(UINT64_C(512) << SEM_T_SLOT_SHIFT) | (UINT64_C(0xffff) << SEM_T_HELD_SHIFT),
		(UINT64_C(513) << SEM_T_SLOT_SHIFT) | own,
		(UINT64_C(2) << SEM_T_SLOT_SHIFT) | (UINT64_C(3) << SEM_T_HELD_SHIFT) | SEM_T_AWAITED,
	};
	return values[i];
}

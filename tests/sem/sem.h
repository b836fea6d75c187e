// SPDX-License-Identifier: MIT
//
// tests/sem/sem.h - what the tests of semaphores share: making one for a test, short checked calls, waiting
// until a peer sleeps, memory shared with children, a thread that makes one call.
//
// Everything is written in POSIX names, so that the posix_*.c files can be built against the C library's
// semaphores as well; tests of the library's own calls include <posthaste/posix.h> before this file.
#ifndef TESTS_SEM_SEM_H
#define TESTS_SEM_SEM_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runner.h"

enum { NOBODY = 65534 };

// The loops that only repeat are shorter where each step costs a multiple.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__) || !defined(__x86_64__)
enum { SLOWER = 10 };
#else
enum { SLOWER = 1 };
#endif

// Zeroed memory that forked children share.
static inline void *share(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

// ---- one semaphore ----

static inline sem_t *make_named_of(const char *name, int oflag, unsigned value)
{
	sem_t *sem = sem_open(name, O_CREAT | O_EXCL | oflag, 0600, value);

	if (sem == SEM_FAILED)
		test_failed(__FILE__, __LINE__, "%s can be made: %s", name, strerror(errno));
	return sem;
}

static inline sem_t *make_named(unsigned value)
{
	return make_named_of(test_name(), 0, value);
}

static inline sem_t *open_named(void)
{
	sem_t *sem = sem_open(test_name(), 0);

	if (sem == SEM_FAILED)
		test_failed(__FILE__, __LINE__, "it can be opened: %s", strerror(errno));
	return sem;
}

static inline void drop_named(sem_t *sem)
{
	CHECK_OK(sem_close(sem));
	CHECK_OK(sem_unlink(test_name()));
}

// sem_open failed, and so.
#define CHECK_NO_SEM(call, err) CHECK_ERR((call) == SEM_FAILED ? -1 : 0, err)

// One that threads and forked children use.
static inline sem_t *make_shared(unsigned value)
{
	sem_t *sem = share(sizeof(*sem));

	CHECK_OK(sem_init(sem, 1, value));
	return sem;
}

static inline void drop_shared(sem_t *sem)
{
	CHECK_OK(sem_destroy(sem));
	CHECK_OK(munmap(sem, sizeof(*sem)));
}

static inline int units_of(sem_t *sem)
{
	int value = -12345;

	CHECK_OK(sem_getvalue(sem, &value));
	return value;
}

// Take and give with patience for signals.
static inline void take(sem_t *sem)
{
	while (sem_wait(sem) == -1)
		CHECK_EQ(errno, EINTR);
}

static inline void give(sem_t *sem, int units)
{
	for (int i = 0; i < units; i++)
		CHECK_OK(sem_post(sem));
}

// ---- time ----

static inline struct timespec on_clock(clockid_t clock, long ms)
{
	struct timespec t;

	CHECK_OK(clock_gettime(clock, &t));
	const long ns = t.tv_nsec + ms % 1000 * 1000000;
	t.tv_sec += ms / 1000 + (ns >= 1000000000) - (ns < 0);
	t.tv_nsec = (ns + 1000000000) % 1000000000;
	return t;
}

static inline struct timespec in_ms(long ms)
{
	return on_clock(CLOCK_REALTIME, ms);
}

static inline bool has_passed(clockid_t clock, const struct timespec *when)
{
	struct timespec now;

	CHECK_OK(clock_gettime(clock, &now));
	return now.tv_sec > when->tv_sec ||
	       (now.tv_sec == when->tv_sec && now.tv_nsec >= when->tv_nsec);
}

// ---- peers ----

static inline bool counted(void *arg)
{
	const atomic_int *const *p = arg;

	return atomic_load(p[0]) >= atomic_load(p[1]);
}

// Wait until a counter (shared memory, or a thread's) has reached a value.
static inline void wait_count(atomic_int *counter, int value)
{
	atomic_int want = value;
	atomic_int *pair[2] = {counter, &want};

	test_wait_until(counted, pair);
}

static inline bool is_stopped(void *arg)
{
	char path[64];
	char line[256] = "";
	bool stopped = false;

	snprintf(path, sizeof(path), "/proc/%d/status", *(pid_t *)arg);
	FILE *f = fopen(path, "re");
	CHECK(f != NULL);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, "State:", 6) == 0)
			stopped = strchr(line, 'T') != NULL;
	fclose(f);
	return stopped;
}

static inline void stop(pid_t pid)
{
	CHECK_OK(kill(pid, SIGSTOP));
	test_wait_until(is_stopped, &pid);
}

// A child that takes one unit, and ends.
static inline void take_one(void *arg)
{
	take(arg);
}

static inline pid_t fork_taker(sem_t *sem)
{
	pid_t pid = test_fork(take_one, sem);

	test_wait_asleep(pid);
	return pid;
}

// A thread that makes one call and keeps what came of it.
struct worker {
	pthread_t thread;
	atomic_int tid; // 0 until the thread is about to make its call
	sem_t *sem;
	clockid_t clock;
	struct timespec deadline;
	int result; // of the call
	int error;  // errno after it
	atomic_int done;
};

static inline void at_the_call(struct worker *w)
{
	atomic_store(&w->tid, gettid());
}

static inline void keep(struct worker *w, int result)
{
	w->result = result;
	w->error = result == -1 ? errno : 0;
	atomic_store(&w->done, 1);
}

static inline void *work_wait(void *arg)
{
	struct worker *w = arg;

	at_the_call(w);
	keep(w, sem_wait(w->sem));
	return NULL;
}

static inline void *work_timedwait(void *arg)
{
	struct worker *w = arg;

	at_the_call(w);
	keep(w, sem_timedwait(w->sem, &w->deadline));
	return NULL;
}

static inline void *work_clockwait(void *arg)
{
	struct worker *w = arg;

	at_the_call(w);
	keep(w, sem_clockwait(w->sem, w->clock, &w->deadline));
	return NULL;
}

static inline void start(struct worker *w, void *(*fn)(void *), sem_t *sem)
{
	w->sem = sem;
	atomic_store(&w->tid, 0);
	atomic_store(&w->done, 0);
	CHECK_EQ(pthread_create(&w->thread, NULL, fn, w), 0);
}

static inline void wait_thread_asleep(struct worker *w)
{
	wait_count(&w->tid, 1);
	test_wait_asleep(atomic_load(&w->tid));
}

static inline void start_and_block(struct worker *w, void *(*fn)(void *), sem_t *sem)
{
	start(w, fn, sem);
	wait_thread_asleep(w);
}

static inline void *finish(struct worker *w)
{
	void *value;

	CHECK_EQ(pthread_join(w->thread, &value), 0);
	return value;
}

static inline void expect_taken(struct worker *w)
{
	CHECK(finish(w) == NULL);
	CHECK_EQ(w->result, 0);
}

static inline void expect_failed(struct worker *w, int error)
{
	CHECK(finish(w) == NULL);
	CHECK_EQ(w->result, -1);
	CHECK_EQ(w->error, error);
}

// ---- users ----

static inline void need_root(void)
{
	if (geteuid() != 0)
		SKIP("needs root to act as a second user");
}

// Let another user reach the names of this test (the C library's have no directory of the test's own).
static inline void open_namespace_to_all(void)
{
#ifndef TEST_KERNEL
	CHECK_OK(chmod(getenv("POSTHASTE_DIR"), 01777));
#endif
}

static inline void become_nobody(void)
{
	CHECK_OK(setresgid(NOBODY, NOBODY, NOBODY));
	CHECK_OK(setresuid(NOBODY, NOBODY, NOBODY));
}

#endif

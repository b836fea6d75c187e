// SPDX-License-Identifier: MIT
//
// tests/mq/queue.h - what the tests of message queues share: making a queue for one test, short
// checked sends and receives, waiting until a peer sleeps, memory shared with children.
//
// Everything is written in POSIX names, so that the posix_*.c files can be built against the kernel's
// queues as well; tests of the library's own calls include <posthaste/posix.h> before this file.
#ifndef TESTS_MQ_QUEUE_H
#define TESTS_MQ_QUEUE_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <pthread.h>
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

enum { SMALL = 64 }; // bytes of a message where the size does not matter

// A deep queue: what the kernel allows without privilege, or more.
#ifdef TEST_KERNEL
enum { DEEP = 10 };
#else
enum { DEEP = 64 };
#endif

static inline mqd_t make_named(const char *name, long depth, long size)
{
	struct mq_attr attr = {.mq_maxmsg = depth, .mq_msgsize = size};
	mqd_t q = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);

	CHECK_OK(q);
	return q;
}

static inline mqd_t make_queue(long depth, long size)
{
	return make_named(test_name(), depth, size);
}

static inline mqd_t open_queue(int oflag)
{
	mqd_t q = mq_open(test_name(), oflag);

	CHECK_OK(q);
	return q;
}

static inline void drop_queue(mqd_t q)
{
	CHECK_OK(mq_close(q));
	CHECK_OK(mq_unlink(test_name()));
}

// Send text without its terminator.
static inline void put(mqd_t q, const char *text, unsigned prio)
{
	CHECK_OK(mq_send(q, text, strlen(text), prio));
}

// Receive and insist on what comes.
static inline void expect(mqd_t q, const char *text, unsigned prio)
{
	char buf[8192 + 1];
	unsigned got = 12345678;
	ssize_t len = mq_receive(q, buf, sizeof(buf) - 1, &got);

	CHECK_OK(len);
	buf[len < 0 ? 0 : len] = 0;
	CHECK_EQ(len, strlen(text));
	CHECK(strcmp(buf, text) == 0);
	CHECK_EQ(got, prio);
}

static inline void set_nonblock(mqd_t q, bool on)
{
	struct mq_attr attr = {.mq_flags = on ? O_NONBLOCK : 0};

	CHECK_OK(mq_setattr(q, &attr, NULL));
}

static inline long current(mqd_t q)
{
	struct mq_attr attr;

	CHECK_OK(mq_getattr(q, &attr));
	return attr.mq_curmsgs;
}

static inline void expect_empty(mqd_t q)
{
	char buf[8192];
	struct mq_attr old;
	struct mq_attr attr = {.mq_flags = O_NONBLOCK};

	CHECK_EQ(current(q), 0);
	CHECK_OK(mq_setattr(q, &attr, &old));
	CHECK_ERR(mq_receive(q, buf, sizeof(buf), NULL), EAGAIN);
	CHECK_OK(mq_setattr(q, &old, NULL));
}

// Send or receive one number, for tests that count.
static inline void put_number(mqd_t q, uint64_t number, unsigned prio)
{
	CHECK_OK(mq_send(q, (const char *)&number, sizeof(number), prio));
}

static inline uint64_t take_number(mqd_t q)
{
	union {
		char bytes[SMALL];
		uint64_t number;
	} buf;

	CHECK_EQ(mq_receive(q, buf.bytes, sizeof(buf), NULL), sizeof(buf.number));
	return buf.number;
}

// A time from now on the clock, which may lie in the past.
static inline struct timespec on_clock(clockid_t clock, long ms)
{
	struct timespec t;

	CHECK_OK(clock_gettime(clock, &t));
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	} else if (t.tv_nsec < 0) {
		t.tv_sec--;
		t.tv_nsec += 1000000000;
	}
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

// Zeroed memory that forked children share.
static inline void *share(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

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

// A thread that does one call on a queue and keeps what came of it.
struct worker {
	pthread_t thread;
	atomic_int tid; // 0 until the thread is about to make its call
	mqd_t q;
	struct timespec deadline;
	unsigned prio;
	long result; // of the call
	int error;   // errno after it
	char buf[8192];
	atomic_int done;
};

// The thread's side: say that the next thing done is the call.
static inline void at_the_call(struct worker *w)
{
	atomic_store(&w->tid, gettid());
}

static inline void keep(struct worker *w, long result)
{
	w->result = result;
	w->error = result == -1 ? errno : 0;
	atomic_store(&w->done, 1);
}

static inline void *work_receive(void *arg)
{
	struct worker *w = arg;

	at_the_call(w);
	keep(w, mq_receive(w->q, w->buf, sizeof(w->buf), &w->prio));
	return NULL;
}

static inline void *work_send(void *arg)
{
	struct worker *w = arg;

	at_the_call(w);
	keep(w, mq_send(w->q, w->buf, strlen(w->buf), w->prio));
	return NULL;
}

static inline void *work_timedreceive(void *arg)
{
	struct worker *w = arg;

	at_the_call(w);
	keep(w, mq_timedreceive(w->q, w->buf, sizeof(w->buf), &w->prio, &w->deadline));
	return NULL;
}

static inline void *work_timedsend(void *arg)
{
	struct worker *w = arg;

	at_the_call(w);
	keep(w, mq_timedsend(w->q, w->buf, strlen(w->buf), w->prio, &w->deadline));
	return NULL;
}

static inline void start(struct worker *w, void *(*fn)(void *), mqd_t q)
{
	w->q = q;
	atomic_store(&w->tid, 0);
	atomic_store(&w->done, 0);
	CHECK_EQ(pthread_create(&w->thread, NULL, fn, w), 0);
}

static inline void wait_thread_asleep(struct worker *w)
{
	wait_count(&w->tid, 1);
	test_wait_asleep(atomic_load(&w->tid));
}

static inline void start_and_block(struct worker *w, void *(*fn)(void *), mqd_t q)
{
	start(w, fn, q);
	wait_thread_asleep(w);
}

static inline void *finish(struct worker *w)
{
	void *value;

	CHECK_EQ(pthread_join(w->thread, &value), 0);
	return value;
}

// Let another user reach the names of this test (the kernel's have no directory of the test's own).
static inline void open_namespace_to_all(void)
{
#ifndef TEST_KERNEL
	CHECK_OK(chmod(getenv("POSTHASTE_DIR"), 01777));
#endif
}

enum { NOBODY = 65534 };

static inline void become_nobody(void)
{
	CHECK_OK(setresgid(NOBODY, NOBODY, NOBODY));
	CHECK_OK(setresuid(NOBODY, NOBODY, NOBODY));
}

#endif

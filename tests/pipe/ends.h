// SPDX-License-Identifier: MIT
//
// tests/pipe/ends.h - what the tests of pipes and FIFOs share: making a pipe for one test, short checked
// reads and writes, streams whose bytes say where they belong, waiting until a peer sleeps.
//
// Everything is written in POSIX names, so that the posix_*.c files can be built against the kernel's
// pipes as well. A pipe is an int p[2], and p[R], p[W] are its ends. A corner case is worth little on a
// pipe that nobody has used yet: send_flow and take_flow bring two processes into full flow first.
#ifndef TESTS_PIPE_ENDS_H
#define TESTS_PIPE_ENDS_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runner.h"

enum { R, W };

#ifdef __has_feature
#define HAS_FEATURE(name) __has_feature(name)
#else
#define HAS_FEATURE(name) 0
#endif
#if defined(__SANITIZE_THREAD__) || HAS_FEATURE(thread_sanitizer)
enum { SLOWER = 10 };
#else
enum { SLOWER = 1 };
#endif

// Records of a flow: enough that both sides run side by side for a while.
enum { FLOW = 30000 / SLOWER, SHORT_FLOW = 10000 / SLOWER };

static inline void make_pipe(int p[2])
{
	CHECK_OK(pipe(p));
}

static inline void drop_pipe(const int p[2])
{
	CHECK_OK(close(p[R]));
	CHECK_OK(close(p[W]));
}

// Keep one end and close the other.
static inline int only(const int p[2], int end)
{
	CHECK_OK(close(p[!end]));
	return p[end];
}

static inline void set_flag(int fd, int flag, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	CHECK_OK(flags);
	CHECK_OK(fcntl(fd, F_SETFL, on ? flags | flag : flags & ~flag));
}

static inline void set_nonblock(int fd, bool on)
{
	set_flag(fd, O_NONBLOCK, on);
}

static inline int available(int fd)
{
	int bytes = -1;

	CHECK_OK(ioctl(fd, FIONREAD, &bytes));
	return bytes;
}

static inline size_t capacity(int fd)
{
	return (size_t)CHECK_OK(fcntl(fd, F_GETPIPE_SZ));
}

// How much may be in before a blocking write of much sleeps, in capacities: for a moment the library may
// have one in its ring and another one in the kernel's pipe.
#ifdef TEST_KERNEL
enum { HOLDS = 1 };
#else
enum { HOLDS = 2 };
#endif

/* ---- text ---- */

static inline void put(int fd, const char *text)
{
	CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
}

// The next bytes are this text, and one read gives them.
static inline void expect(int fd, const char *text)
{
	char buf[4096];
	size_t length = strlen(text);

	CHECK_EQ(read(fd, buf, length), length);
	CHECK(memcmp(buf, text, length) == 0);
}

static inline void expect_eof(int fd)
{
	char c;

	CHECK_EQ(read(fd, &c, 1), 0);
}

// Empty, and somebody may still write.
static inline void expect_empty(int fd)
{
	int flags = (int)CHECK_OK(fcntl(fd, F_GETFL));
	char c;

	CHECK_OK(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
	CHECK_ERR(read(fd, &c, 1), EAGAIN);
	CHECK_OK(fcntl(fd, F_SETFL, flags));
}

/* ---- streams: the byte at each position is known ---- */

static inline unsigned char byte_at(uint64_t position)
{
	return (unsigned char)(position * 167 + (position >> 8) * 59 + (position >> 16) * 13);
}

static inline void fill_pattern(void *buf, size_t bytes, uint64_t position)
{
	unsigned char *b = buf;

	for (size_t i = 0; i < bytes; i++)
		b[i] = byte_at(position + i);
}

static inline bool has_pattern(const void *buf, size_t bytes, uint64_t position)
{
	const unsigned char *b = buf;

	for (size_t i = 0; i < bytes; i++)
		if (b[i] != byte_at(position + i))
			return false;
	return true;
}

enum { CHUNK_MAX = 1 << 20 };

static inline char *chunk_buffer(void)
{
	static _Thread_local char *buf;

	if (!buf)
		buf = malloc(CHUNK_MAX);
	CHECK(buf != NULL);
	return buf;
}

// One blocking write of `bytes` bytes of the stream.
static inline void put_chunk(int fd, size_t bytes, uint64_t position)
{
	char *buf = chunk_buffer();

	fill_pattern(buf, bytes, position);
	CHECK_EQ(write(fd, buf, bytes), bytes);
}

// Exactly `bytes` bytes of the stream, by as many reads as it takes.
static inline void take_chunk(int fd, size_t bytes, uint64_t position)
{
	char *buf = chunk_buffer();

	for (size_t got = 0; got < bytes;) {
		ssize_t n = read(fd, buf, bytes - got < CHUNK_MAX ? bytes - got : CHUNK_MAX);
		CHECK_OK(n);
		CHECK(n > 0);
		CHECK(has_pattern(buf, (size_t)n, position + got));
		got += (size_t)n;
	}
}

/* ---- records of one number ---- */

static inline void put_number(int fd, uint64_t number)
{
	CHECK_EQ(write(fd, &number, sizeof(number)), sizeof(number));
}

static inline uint64_t take_number(int fd)
{
	uint64_t number = UINT64_MAX;

	CHECK_EQ(read(fd, &number, sizeof(number)), sizeof(number));
	return number;
}

static inline void send_flow(int fd, uint64_t first, int count)
{
	for (int i = 0; i < count; i++)
		put_number(fd, first + (uint64_t)i);
}

static inline void take_flow(int fd, uint64_t first, int count)
{
	for (int i = 0; i < count; i++)
		CHECK_EQ(take_number(fd), first + (uint64_t)i);
}

// A child that sends or takes one flow on the pipe, and ends.
struct flow {
	const int *p;
	uint64_t first;
	int count;
};

static inline void be_flow_writer(void *arg)
{
	const struct flow *flow = arg;

	send_flow(only(flow->p, W), flow->first, flow->count);
}

static inline void be_flow_reader(void *arg)
{
	const struct flow *flow = arg;

	take_flow(only(flow->p, R), flow->first, flow->count);
}

// Bring the pipe into full flow from or to a child that is gone afterwards.
static inline void flow_from_child(const int p[2], int count)
{
	struct flow flow = {p, 0, count};
	pid_t pid = test_fork(be_flow_writer, &flow);

	take_flow(p[R], 0, count);
	test_join(pid);
}

static inline void flow_to_child(const int p[2], int count)
{
	struct flow flow = {p, 0, count};
	pid_t pid = test_fork(be_flow_reader, &flow);

	send_flow(p[W], 0, count);
	test_join(pid);
}

/* ---- filling and emptying without sleeping ---- */

// Write pieces of the stream until the next one finds no room at all; the sum of what went in.
static inline size_t fill_up(int fd, size_t piece, uint64_t position)
{
	char *buf = chunk_buffer();
	size_t sum = 0;

	set_nonblock(fd, true);
	for (;;) {
		fill_pattern(buf, piece, position + sum);
		ssize_t n = write(fd, buf, piece);
		if (n == -1)
			break;
		CHECK(n > 0);
		sum += (size_t)n;
	}
	CHECK_EQ(errno, EAGAIN);
	set_nonblock(fd, false);
	return sum;
}

/* ---- SIGPIPE ---- */

static inline void ignore_sigpipe(void)
{
	CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
}

enum { NOBODY = 65534 };

static inline void become_nobody(void)
{
	CHECK_OK(setresgid(NOBODY, NOBODY, NOBODY));
	CHECK_OK(setresuid(NOBODY, NOBODY, NOBODY));
}

/* ---- waiting for a state ---- */

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

static inline bool fd_holds(void *arg)
{
	const int *fd_and_bytes = arg;

	return available(fd_and_bytes[0]) >= fd_and_bytes[1];
}

// Wait until the pipe holds at least so many bytes.
static inline void wait_available(int fd, int bytes)
{
	int pair[2] = {fd, bytes};

	test_wait_until(fd_holds, pair);
}

/* ---- a thread that does one call and keeps what came of it ---- */

struct worker {
	pthread_t thread;
	atomic_int tid; // 0 until the thread is about to make its call
	int fd;
	size_t bytes;
	uint64_t position; // of what is written
	char *buf;         // of what was read
	long result;       // of the call
	int error;         // errno after it
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

static inline void *work_read(void *arg)
{
	struct worker *w = arg;

	at_the_call(w);
	keep(w, read(w->fd, w->buf, w->bytes));
	return NULL;
}

static inline void *work_write(void *arg)
{
	struct worker *w = arg;

	fill_pattern(w->buf, w->bytes, w->position);
	at_the_call(w);
	keep(w, write(w->fd, w->buf, w->bytes));
	return NULL;
}

static inline void start(struct worker *w, void *(*fn)(void *), int fd, size_t bytes)
{
	w->fd = fd;
	w->bytes = bytes;
	w->buf = malloc(bytes);
	CHECK(w->buf != NULL);
	atomic_store(&w->tid, 0);
	atomic_store(&w->done, 0);
	CHECK_EQ(pthread_create(&w->thread, NULL, fn, w), 0);
}

static inline void wait_thread_asleep(struct worker *w)
{
	wait_count(&w->tid, 1);
	test_wait_asleep(atomic_load(&w->tid));
}

static inline void start_and_block(struct worker *w, void *(*fn)(void *), int fd, size_t bytes)
{
	start(w, fn, fd, bytes);
	wait_thread_asleep(w);
}

// The buffer is gone afterwards; look into it with finish_with.
static inline void *finish_with(struct worker *w, const char *text)
{
	void *value;

	CHECK_EQ(pthread_join(w->thread, &value), 0);
	if (text) {
		CHECK_EQ(w->result, strlen(text));
		CHECK(memcmp(w->buf, text, strlen(text)) == 0);
	}
	free(w->buf);
	return value;
}

static inline void *finish(struct worker *w)
{
	return finish_with(w, NULL);
}

/* ---- children that must be alive for the corner to be tested ---- */

// Child processes announce where they are in a shared word, and go on when the parent says so.
struct steps {
	atomic_int reached; // by the child
	atomic_int allowed; // by the parent
};

static inline void reach(struct steps *s, int step)
{
	atomic_store(&s->reached, step);
}

static inline void reach_and_wait(struct steps *s, int step)
{
	atomic_store(&s->reached, step);
	wait_count(&s->allowed, step);
}

static inline void allow(struct steps *s, int step)
{
	atomic_store(&s->allowed, step);
}

static inline void sleep_for_ever(void)
{
	for (;;)
		pause();
}

#endif

// SPDX-License-Identifier: MIT
//
// tests/pipe/loop.h - a hundred pipes at once for the tests of event loops: processes that write records to
// all of them in turn, and what the loop's reader has got of each.
#ifndef TESTS_PIPE_LOOP_H
#define TESTS_PIPE_LOOP_H

#include "flow.h"

enum { PIPES = 100, EACH = 300 }; // records of each writer in each pipe
enum { WARM = 2000 }; // and of writer 0 in every tenth before that, if the test asks for it

struct loop {
	int writers;
	struct ends end[PIPES];
	struct records in[PIPES];
	int ended; // pipes that were read up to the end of file
	bool warm;
	uint64_t turn; // chooses the size of the next read
	int writer;
	write_call *call;
	pid_t pid[WRITERS_MAX];
};

static const struct shape loop_shape = {.size = 500, .vary = true};

static inline void write_one(const struct loop *l, int i, uint32_t n)
{
	unsigned char buf[RECORD_MAX];
	const size_t size = record_make(loop_shape, (unsigned)l->writer, n, buf);

	CHECK_EQ(l->call(l->end[i].w, buf, size), size);
}

static inline uint32_t warm_records(const struct loop *l, int writer, int i)
{
	return l->warm && writer == 0 && i % 10 == 0 ? WARM : 0;
}

static inline void write_to_all(void *arg)
{
	const struct loop *l = arg;

	for (int i = 0; i < PIPES; i++)
		CHECK_OK(close(l->end[i].r));
	for (int i = 0; i < PIPES; i++)
		for (uint32_t n = 0; n < warm_records(l, l->writer, i); n++)
			write_one(l, i, n);
	for (uint32_t n = 0; n < EACH; n++)
		for (int i = 0; i < PIPES; i++)
			write_one(l, i, warm_records(l, l->writer, i) + n);
	for (int i = 0; i < PIPES; i++)
		CHECK_OK(close(l->end[i].w));
}

// Some pipes have been in full flow between these processes before the loop comes to them.
static inline void warm_some(struct loop *l)
{
	char buf[3000];

	for (int i = 0; i < PIPES; i++)
		while (l->in[i].next[0] + 100 < warm_records(l, 0, i)) {
			const ssize_t n = read(l->end[i].r, buf, 1 + mix(l->turn++) % sizeof(buf));
			CHECK(n > 0);
			CHECK(records_feed(&l->in[i], buf, (size_t)n));
		}
}

// Make the pipes, and start `own` writers of the library and `strangers` others.
static inline struct loop *start_loop_as(bool warm, int own, int strangers)
{
	struct loop *l = calloc(1, sizeof(*l));

	CHECK(l != NULL);
	l->warm = warm;
	for (int i = 0; i < PIPES; i++) {
		l->end[i] = make_pipe();
		l->in[i].shape = loop_shape;
	}
	while (l->writers < own + strangers) {
		l->writer = l->writers;
		l->call = l->writers < own ? write : raw_write;
		l->pid[l->writers++] = test_fork(write_to_all, l);
	}
	for (int i = 0; i < PIPES; i++)
		CHECK_OK(close(l->end[i].w));
	if (warm)
		warm_some(l);
	return l;
}

static inline struct loop *start_loop(int own, int strangers)
{
	return start_loop_as(false, own, strangers);
}

static inline struct loop *start_warm_loop(int own, int strangers)
{
	return start_loop_as(true, own, strangers);
}

static inline void set_nonblock(int fd)
{
	CHECK_OK(fcntl(fd, F_SETFL, CHECK_OK(fcntl(fd, F_GETFL)) | O_NONBLOCK));
}

// One read that does not block. False: the pipe is empty now, or has ended.
static inline bool read_some(struct loop *l, int i)
{
	char buf[7000];
	const ssize_t n = read(l->end[i].r, buf, 1 + mix(l->turn++) % sizeof(buf));

	if (n < 0)
		CHECK_EQ(errno, EAGAIN);
	else if (n == 0)
		l->ended++;
	else
		CHECK(records_feed(&l->in[i], buf, (size_t)n));
	return n > 0;
}

static inline void end_loop(struct loop *l)
{
	CHECK_EQ(l->ended, PIPES);
	for (int i = 0; i < PIPES; i++) {
		l->in[i].next[0] -= warm_records(l, 0, i);
		CHECK(records_complete(&l->in[i], (unsigned)l->writers, EACH));
	}
	for (int i = 0; i < l->writers; i++)
		test_join(l->pid[i]);
	free(l);
}

#endif

// SPDX-License-Identifier: MIT
//
// tests/pipe/fifo.h - FIFOs for one test: names in a temporary directory of its own, and openers that wait.
#ifndef TESTS_PIPE_FIFO_H
#define TESTS_PIPE_FIFO_H

#include "ends.h"

static char fifo_dir[PATH_MAX - 64];
static char fifo_path[PATH_MAX]; // "fifo" in that directory

static inline const char *in_dir(const char *name)
{
	static char path[4][PATH_MAX];
	static int next;
	char *p = path[next++ % 4];

	snprintf(p, PATH_MAX, "%s/%s", fifo_dir, name);
	return p;
}

// Anybody may reach what is in the directory; the modes of the FIFOs decide.
static inline void make_dir(void)
{
	const char *base = getenv("TMPDIR");

	snprintf(fifo_dir, sizeof(fifo_dir), "%s/posthaste-fifo-XXXXXX", base ? base : "/tmp");
	CHECK(mkdtemp(fifo_dir) != NULL);
	CHECK_OK(chmod(fifo_dir, 0755));
	snprintf(fifo_path, sizeof(fifo_path), "%s/fifo", fifo_dir);
}

static inline void drop_dir(void)
{
	CHECK_OK(rmdir(fifo_dir));
}

static inline void make_fifo(void)
{
	make_dir();
	CHECK_OK(mkfifo(fifo_path, 0600));
}

static inline void drop_fifo(void)
{
	CHECK_OK(unlink(fifo_path));
	drop_dir();
}

static inline int open_fifo(int flags)
{
	return (int)CHECK_OK(open(fifo_path, flags));
}

// Both ends in this process, without waiting for anybody.
static inline void open_both(int p[2])
{
	p[R] = open_fifo(O_RDONLY | O_NONBLOCK);
	p[W] = open_fifo(O_WRONLY);
	set_nonblock(p[R], false);
}

// A worker that opens: `bytes` are the flags, the result is the descriptor.
static inline void *work_open(void *arg)
{
	struct worker *w = arg;

	at_the_call(w);
	keep(w, open(fifo_path, (int)w->bytes));
	return NULL;
}

static inline void start_open(struct worker *w, int flags)
{
	start(w, work_open, -1, (size_t)flags);
}

static inline void start_open_and_block(struct worker *w, int flags)
{
	start_open(w, flags);
	wait_thread_asleep(w);
}

static inline int finish_open(struct worker *w)
{
	finish(w);
	CHECK(w->result >= 0);
	return (int)w->result;
}

// Children that open by name, use what they get for one flow, and end.
static inline void write_flow_by_name(void *arg)
{
	send_flow(open_fifo(O_WRONLY), 0, *(int *)arg);
}

static inline void read_flow_by_name(void *arg)
{
	int fd = open_fifo(O_RDONLY);

	take_flow(fd, 0, *(int *)arg);
}

#endif

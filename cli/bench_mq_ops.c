// SPDX-License-Identifier: MIT
//
// The two contestants of the room mq: the library's queues and the kernel's.
//
// The kernel limits depth, message size and memory per user. Where a wish is refused, create takes
// the most that is granted and says so in `end`, and the report states it.
#define _GNU_SOURCE
#include "bench_load.h"

#include <posthaste/mqueue.h>

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define KERNEL_USUAL_DEPTH 10
#define KERNEL_MAX_DEPTH 65536
#define KERNEL_MAX_SIZE 16777216
#define CREATE (O_CREAT | O_EXCL | O_RDWR)

static struct mq_attr attr_of(const struct bench_end *end)
{
	struct mq_attr attr;
	memset(&attr, 0, sizeof(attr));
	attr.mq_maxmsg = (long)end->depth;
	attr.mq_msgsize = (long)end->size;
	return attr;
}

static int our_create(struct bench_end *end)
{
	struct mq_attr attr = attr_of(end);
	const mqd_t mq = ph_mq_open(end->name, CREATE, 0600, &attr);
	return mq == (mqd_t)-1 ? -1 : ph_mq_close(mq);
}

static void our_destroy(struct bench_end *end)
{
	ph_mq_unlink(end->name);
}

static int our_attach(struct bench_end *end)
{
	end->fd = (int)ph_mq_open(end->name, O_RDWR);
	end->state = calloc(1, sizeof(struct ph_mq_loan));
	return end->fd < 0 || !end->state ? -1 : 0;
}

static int our_send(struct bench_end *end, const void *data, size_t len, unsigned prio)
{
	return ph_mq_send(end->fd, data, len, prio);
}

static ssize_t our_receive(struct bench_end *end, void *data, size_t room, unsigned *prio)
{
	return ph_mq_receive(end->fd, data, room, prio);
}

static void *our_reserve(struct bench_end *end)
{
	struct ph_mq_loan *loan = end->state;
	return ph_mq_reserve(end->fd, loan) == 0 ? loan->data : NULL;
}

static int our_commit(struct bench_end *end, size_t len, unsigned prio)
{
	return ph_mq_commit(end->fd, end->state, len, prio);
}

static const void *our_borrow(struct bench_end *end, size_t *len)
{
	struct ph_mq_loan *loan = end->state;
	if (ph_mq_borrow(end->fd, loan) != 0)
		return NULL;
	*len = loan->size;
	return loan->data;
}

static int our_release(struct bench_end *end)
{
	return ph_mq_release(end->fd, end->state);
}

const struct bench_ops bench_mq_posthaste = {
	.name = "posthaste",
	.create = our_create,
	.destroy = our_destroy,
	.attach = our_attach,
	.send = our_send,
	.receive = our_receive,
	.reserve = our_reserve,
	.commit = our_commit,
	.borrow = our_borrow,
	.release = our_release,
};

static size_t kernel_limit(const char *what, size_t otherwise)
{
	char path[64];
	size_t value = otherwise;
	snprintf(path, sizeof(path), "/proc/sys/fs/mqueue/%s", what);
	FILE *f = fopen(path, "r");
	if (!f)
		return otherwise;
	if (fscanf(f, "%zu", &value) != 1)
		value = otherwise;
	fclose(f);
	return value;
}

static void set_kernel_limit(const char *what, size_t value)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/sys/fs/mqueue/%s", what);
	FILE *f = fopen(path, "w");
	if (!f)
		return;
	fprintf(f, "%zu\n", value);
	fclose(f);
}

// As much as this user may have, without touching the machine's settings: the limits of depth and
// size belong to an IPC namespace, and one of our own has its own. Only root can make one.
static void raise_limits(void)
{
	static bool done;
	const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
	struct rlimit now;
	if (done)
		return;
	done = true;
	if (setrlimit(RLIMIT_MSGQUEUE, &all) != 0 && getrlimit(RLIMIT_MSGQUEUE, &now) == 0) {
		now.rlim_cur = now.rlim_max;
		setrlimit(RLIMIT_MSGQUEUE, &now);
	}
	if (unshare(CLONE_NEWIPC) != 0)
		return;
	set_kernel_limit("msg_max", KERNEL_MAX_DEPTH);
	set_kernel_limit("msgsize_max", KERNEL_MAX_SIZE);
}

static mqd_t try_create(const struct bench_end *end)
{
	struct mq_attr attr = attr_of(end);
	return mq_open(end->name, CREATE, 0600, &attr);
}

// Refused as too large, rather than for another reason.
static bool too_large(void)
{
	return errno == EINVAL || errno == EMFILE || errno == ENOMEM;
}

// The next smaller depth to ask for.
static size_t less(size_t depth, size_t least)
{
	if (depth > KERNEL_MAX_DEPTH)
		return KERNEL_MAX_DEPTH;
	return depth / 2 > least ? depth / 2 : least;
}

static int kernel_create(struct bench_end *end)
{
	raise_limits();
	const size_t max_size = kernel_limit("msgsize_max", 8192);
	mqd_t mq = try_create(end);
	while (mq == (mqd_t)-1 && too_large() && end->depth > KERNEL_USUAL_DEPTH) {
		end->depth = less(end->depth, KERNEL_USUAL_DEPTH);
		mq = try_create(end);
	}
	if (mq == (mqd_t)-1 && too_large() && end->size > max_size) {
		end->size = max_size;
		mq = try_create(end);
	}
	return mq == (mqd_t)-1 ? -1 : mq_close(mq);
}

static void kernel_destroy(struct bench_end *end)
{
	mq_unlink(end->name);
}

static int kernel_attach(struct bench_end *end)
{
	end->fd = (int)mq_open(end->name, O_RDWR);
	return end->fd < 0 ? -1 : 0;
}

static int kernel_send(struct bench_end *end, const void *data, size_t len, unsigned prio)
{
	return mq_send(end->fd, data, len, prio);
}

static ssize_t kernel_receive(struct bench_end *end, void *data, size_t room, unsigned *prio)
{
	return mq_receive(end->fd, data, room, prio);
}

const struct bench_ops bench_mq_kernel = {
	.name = "kernel",
	.create = kernel_create,
	.destroy = kernel_destroy,
	.attach = kernel_attach,
	.send = kernel_send,
	.receive = kernel_receive,
};

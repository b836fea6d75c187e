// SPDX-License-Identifier: MIT
//
// tests/mq/mq_habits.c - queues, semaphores and shared memory under <posthaste/posix.h> as other people write: tables of
// functions, members of the same names, a layer of one's own with variable arguments.
#include <posthaste/posix.h>

#include "queue.h"

#include <poll.h>
#include <stdarg.h>

static const struct {
	mqd_t (*mq_open)(const char *, int, ...);
	int (*mq_send)(mqd_t, const char *, size_t, unsigned);
	sem_t *(*sem_open)(const char *, int, ...);
	int (*sem_wait)(sem_t *);
	int (*shm_open)(const char *, int, mode_t);
} calls = {mq_open, mq_send, sem_open, &sem_wait, (shm_open)};

TEST(tables_of_functions_are_the_librarys)
{
	CHECK(calls.mq_open == ph_mq_open);
	CHECK(calls.mq_send == ph_mq_send);
	CHECK(calls.sem_open == ph_sem_open);
	CHECK(calls.sem_wait == ph_sem_wait);
	CHECK(calls.shm_open == ph_shm_open);
}

static mqd_t own_open(const char *name, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
	struct mq_attr *attr = flags & O_CREAT ? va_arg(args, struct mq_attr *) : NULL;
	va_end(args);
	return flags & O_CREAT ? mq_open(name, flags, mode, attr) : mq_open(name, flags);
}

TEST(a_layer_of_the_programs_own_passes_everything_on)
{
	struct mq_attr attr = {.mq_maxmsg = 100, .mq_msgsize = 10};
	mqd_t q = (mqd_t)CHECK_OK(own_open(test_name(), O_RDWR | O_CREAT | O_EXCL, 0600, &attr));
	mqd_t other = (mqd_t)CHECK_OK(own_open(test_name(), O_RDONLY));

	CHECK_OK(mq_getattr(other, &attr));
	CHECK_EQ(attr.mq_maxmsg, 100);
	CHECK_OK(mq_close(other));
	CHECK_OK(mq_close(q));
	CHECK_OK(mq_unlink(test_name()));
}

static bool is_polled(void)
{
	struct ph_mq_info info;
	CHECK_OK(ph_mq_info(test_name(), &info));
	return info.polled;
}

TEST(a_poll_that_does_not_wait_leaves_the_queue_as_it_is)
{
	mqd_t q = make_queue(1, SMALL);
	struct pollfd p[2] = {{(int)q, POLLIN | POLLOUT, 0}, {-1, POLLIN, 77}};

	CHECK_EQ(poll(p, 2, 0), 1);
	CHECK_EQ(p[0].revents, POLLOUT);
	CHECK_EQ(p[1].revents, 0);
	put(q, "x", 0);
	CHECK_EQ(poll(p, 2, 0), 1);
	CHECK_EQ(p[0].revents, POLLIN);
	p[0].events = POLLOUT;
	CHECK_EQ(poll(p, 2, 0), 0);
	CHECK(!is_polled());
	p[0].events = POLLIN;
	CHECK_EQ(poll(p, 1, 1000), 1);
	CHECK(is_polled());
	CHECK_EQ(poll(p, 1, 0), 1);
	CHECK_EQ(p[0].revents, POLLIN);
	drop_queue(q);
}

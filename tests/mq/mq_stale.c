// SPDX-License-Identifier: MIT
//
// tests/mq/mq_stale.c - a program that closes a queue's descriptor with close(2), as many do on Linux, and
// gets its number again for another file. Whatever the library still believes of that number, it must not
// touch the other file.
//
// The tests run in children: the mapping of a queue closed in this way stays until the process ends.
#include <posthaste/posix.h>

#include "readiness.h"

// A pipe whose reading end has the number that was a queue's.
struct reused {
	mqd_t q;
	int fds[2];
};

static struct reused reuse(void)
{
	struct reused r = {.q = make_queue(2, SMALL)};

	CHECK_OK(mq_unlink(test_name()));
	CHECK_OK(close(r.q));
	int fds[2];
	CHECK_OK(pipe(fds));
	r.fds[1] = (int)CHECK_OK(fcntl(fds[1], F_DUPFD_CLOEXEC, 20));
	CHECK_OK(dup2(fds[0], r.q));
	r.fds[0] = r.q;
	for (int i = 0; i < 2; i++)
		if (fds[i] != r.q)
			CHECK_OK(close(fds[i]));
	return r;
}

static void expect_the_pipe(const struct reused *r)
{
	char byte = 0;

	CHECK_EQ(fcntl(r->q, F_GETFL) & O_ACCMODE, O_RDONLY);
	CHECK_EQ(write(r->fds[1], "p", 1), 1);
	CHECK_EQ(read(r->fds[0], &byte, 1), 1);
	CHECK_EQ(byte, 'p');
}

static void poll_the_number(void *arg)
{
	(void)arg;
	struct reused r = reuse();
	CHECK_EQ(ready(BY_POLL, r.q, POLLIN, 0), 0);
	expect_the_pipe(&r);
	CHECK_EQ(write(r.fds[1], "x", 1), 1);
	for (enum how how = 0; how < HOWS; how++)
		CHECK_EQ(ready(how, r.q, POLLIN, 0), POLLIN);
}

TEST(poll_of_a_number_that_was_a_queue_looks_at_the_other_file)
{
	test_join(test_fork(poll_the_number, NULL));
}

static void use_the_pipe(void *arg)
{
	expect_the_pipe(arg);
}

static void fork_with_the_number(void *arg)
{
	(void)arg;
	struct reused r = reuse();
	test_join(test_fork(use_the_pipe, &r));
	expect_the_pipe(&r);
}

TEST(child_inherits_the_other_file_under_a_number_that_was_a_queue)
{
	test_join(test_fork(fork_with_the_number, NULL));
}

static void open_under_the_number(void *arg)
{
	(void)arg;
	mqd_t old = make_queue(2, SMALL);
	put(old, "old", 0);
	CHECK_OK(mq_unlink(test_name()));
	CHECK_OK(close(old));
	mqd_t q = make_queue(3, SMALL);
	CHECK_EQ(q, old);
	CHECK_EQ(current(q), 0);
	put(q, "new", 1);
	expect_ready(q, POLLIN | POLLOUT);
	expect(q, "new", 1);
	drop_queue(q);
	CHECK_ERR(mq_send(q, "x", 1, 0), EBADF);
}

TEST(queue_opened_under_a_number_that_was_another_queue_is_the_new_one)
{
	test_join(test_fork(open_under_the_number, NULL));
}

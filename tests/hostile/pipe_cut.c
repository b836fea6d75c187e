// SPDX-License-Identifier: MIT
//
// tests/hostile/pipe_cut.c - the file of a ring in use is cut behind its control page. Nobody takes the
// zeros that the guard puts there for bytes of the stream: a reader hears EBADMSG, once, whatever call
// meets the damage first, and from then on the kernel's pipe carries the bytes, in order.
#include <posthaste/posthaste.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>

#include "pipe/pipe.h"
#include "pipe_ring.h"
#include "pipe_victim.h"
#include "runner.h"

enum { R, W, SMALL = 100, LONG = 30000 };

static uint8_t sent[LONG], got[LONG];

// A pipe with a lease: writes go to the ring.
static void make(int fds[2])
{
	CHECK_OK(ph_pipe2(fds, O_NONBLOCK | O_CLOEXEC));
	pipe_lease(fds[R]);
	memset(sent, 'x', sizeof(sent));
	memset(got, 0, sizeof(got));
}

static void put(const int fds[2], size_t bytes)
{
	CHECK_EQ(ph_write(fds[W], sent, bytes), bytes);
}

static void cut(const int fds[2])
{
	const int fd = (int)CHECK_OK(open(ring_path(fds[R]), O_RDWR | O_CLOEXEC));
	CHECK_OK(ftruncate(fd, PIPE_PAGE));
	CHECK_OK(close(fd));
}

static void expect_bytes(const int fds[2], size_t bytes)
{
	CHECK_EQ(ph_read(fds[R], got, sizeof(got)), bytes);
	CHECK(memcmp(got, sent, bytes) == 0);
}

// The reader has heard of it.
static void goes_on(const int fds[2])
{
	pipe_carries(fds);
	CHECK(phi_pipe_force_lease(fds[R]) <= 0);
	pipe_carries(fds);
	CHECK_OK(ph_close(fds[R]));
	CHECK_OK(ph_close(fds[W]));
	pipe_works();
}

static void read_after_cut(size_t written, size_t wanted)
{
	int fds[2];
	make(fds);
	put(fds, written);
	cut(fds);
	CHECK_ERR(ph_read(fds[R], got, wanted), EBADMSG);
	goes_on(fds);
}

TEST(a_reader_hears_that_the_ring_was_cut)
{
	read_after_cut(SMALL, SMALL);
	read_after_cut(SMALL, 1);
	read_after_cut(SMALL, sizeof(got));
	read_after_cut(LONG, sizeof(got));
}

TEST(a_reader_of_a_sealed_ring_that_was_cut_keeps_what_stands_behind_it)
{
	int fds[2];
	make(fds);
	put(fds, SMALL);
	phi_pipe_seal(phi_pipe_find(fds[R])->p, 0);
	put(fds, 2 * SMALL);
	cut(fds);
	CHECK_ERR(ph_read(fds[R], got, sizeof(got)), EBADMSG);
	expect_bytes(fds, 2 * SMALL);
	goes_on(fds);
}

static void write_after_cut(size_t before, size_t bytes)
{
	int fds[2];
	make(fds);
	if (before > 0)
		put(fds, before);
	cut(fds);
	put(fds, bytes);
	CHECK_ERR(ph_read(fds[R], got, sizeof(got)), EBADMSG);
	expect_bytes(fds, bytes);
	goes_on(fds);
}

TEST(what_is_written_after_the_cut_goes_by_the_kernel)
{
	write_after_cut(0, SMALL);
	write_after_cut(SMALL, SMALL);
	write_after_cut(0, LONG);
	write_after_cut(SMALL, LONG);
}

static void put_small(void *fds)
{
	put(fds, SMALL);
}

TEST(a_reader_hears_of_damage_that_another_process_has_met)
{
	int fds[2];
	make(fds);
	put(fds, SMALL);
	cut(fds);
	test_join(test_fork(put_small, fds));
	CHECK_ERR(ph_read(fds[R], got, sizeof(got)), EBADMSG);
	expect_bytes(fds, SMALL);
	goes_on(fds);
}

TEST(who_looked_at_a_ring_that_was_cut_takes_nothing)
{
	int fds[2], count;
	struct iovec iov[2];
	make(fds);
	put(fds, SMALL);
	CHECK_EQ(ph_pipe_peek(fds[R], iov, &count), SMALL);
	cut(fds);
	memcpy(got, iov[0].iov_base, iov[0].iov_len);
	CHECK_ERR(ph_pipe_consume(fds[R], SMALL), EBADMSG);
	CHECK_ERR(ph_pipe_consume(fds[R], SMALL), ESTALE);
	CHECK_ERR(ph_pipe_peek(fds[R], iov, &count), ENOTSUP);
	goes_on(fds);
}

TEST(who_looks_at_a_ring_that_was_cut_hears_of_it)
{
	int fds[2], count;
	struct iovec iov[2];
	make(fds);
	cut(fds);
	put(fds, SMALL);
	CHECK_ERR(ph_pipe_peek(fds[R], iov, &count), EBADMSG);
	CHECK_ERR(ph_pipe_peek(fds[R], iov, &count), ENOTSUP);
	expect_bytes(fds, SMALL);
	goes_on(fds);
}

// Looking fetches from the kernel's pipe, by a system call, which the guard does not see.
TEST(who_fetches_into_a_ring_that_was_cut_hears_of_it)
{
	int fds[2], count;
	struct iovec iov[2];
	make(fds);
	CHECK_EQ(phi_pipe_drop_lease(phi_pipe_find(fds[R])->p, fds[R], false), 1);
	put(fds, SMALL);
	cut(fds);
	CHECK_ERR(ph_pipe_peek(fds[R], iov, &count), EBADMSG);
	CHECK_ERR(ph_pipe_peek(fds[R], iov, &count), ENOTSUP);
	expect_bytes(fds, SMALL);
	goes_on(fds);
}

static void commit_after_cut(bool leased)
{
	int fds[2], count;
	struct iovec iov[2];
	make(fds);
	CHECK_EQ(ph_pipe_reserve(fds[W], SMALL, iov, &count), SMALL);
	if (!leased)
		phi_pipe_seal(phi_pipe_find(fds[R])->p, 0);
	cut(fds);
	memset(iov[0].iov_base, 'x', iov[0].iov_len);
	CHECK_ERR(ph_pipe_commit(fds[W], SMALL), EBADMSG);
	CHECK_ERR(ph_pipe_commit(fds[W], SMALL), ESTALE);
	put(fds, SMALL);
	CHECK_ERR(ph_read(fds[R], got, sizeof(got)), EBADMSG);
	expect_bytes(fds, SMALL);
	goes_on(fds);
}

TEST(what_was_filled_in_a_ring_that_was_cut_is_not_committed)
{
	commit_after_cut(true);
	commit_after_cut(false);
}

TEST(a_reader_who_leaves_a_ring_that_was_cut_hears_of_it)
{
	int fds[2];
	make(fds);
	put(fds, SMALL);
	cut(fds);
	CHECK_OK(ph_export(fds[R]));
	put(fds, 2 * SMALL);
	CHECK_ERR(ph_read(fds[R], got, sizeof(got)), EBADMSG);
	expect_bytes(fds, 2 * SMALL);
	goes_on(fds);
}

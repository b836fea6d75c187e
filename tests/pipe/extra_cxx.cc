// SPDX-License-Identifier: MIT
//
// tests/pipe/extra_cxx.cc - the header of pipes in C++: it compiles, links as C, and the POSIX names map.
#include <posthaste/posix.h>

#include <cstring>

#include "runner.h"

TEST(posix_names_of_pipes_work_in_cxx)
{
	int fds[2];
	char buf[8];
	int bytes = 0;

	CHECK_OK(pipe(fds));
	CHECK_EQ(write(fds[1], "hello", 5), 5);
	CHECK_OK(ioctl(fds[0], FIONREAD, &bytes));
	CHECK_EQ(bytes, 5);
	CHECK_EQ(read(fds[0], buf, sizeof(buf)), 5);
	CHECK(std::memcmp(buf, "hello", 5) == 0);
	CHECK_OK(close(fds[0]));
	CHECK_OK(close(fds[1]));
}

TEST(addresses_of_pipe_functions_can_be_taken_in_cxx)
{
	ssize_t (*reader)(int, void *, size_t) = read;
	ssize_t (*writer)(int, const void *, size_t) = &write;
	int fds[2];
	char c = 0;

	CHECK_OK(pipe2(fds, O_CLOEXEC));
	CHECK_EQ(writer(fds[1], "x", 1), 1);
	CHECK_EQ(reader(fds[0], &c, 1), 1);
	CHECK_EQ(c, 'x');
	CHECK_OK(close(fds[0]));
	CHECK_OK(close(fds[1]));
}

TEST(own_calls_of_pipes_work_in_cxx)
{
	int fds[2];
	struct iovec iov[2] = {};
	struct ph_pipe_info info = {};
	int count = 0;

	CHECK_OK(ph_pipe(fds));
	CHECK_EQ(ph_pipe_reserve(fds[1], 8, iov, &count), 8);
	CHECK_EQ(count, 1);
	std::memcpy(iov[0].iov_base, "in place", 8);
	CHECK_EQ(ph_pipe_commit(fds[1], 8), 8);
	CHECK_EQ(ph_pipe_peek(fds[0], iov, &count), 8);
	CHECK(std::memcmp(iov[0].iov_base, "in place", 8) == 0);
	CHECK_OK(ph_pipe_consume(fds[0], 8));
	CHECK_OK(ph_fcntl(fds[1], PH_F_SETNOSIGPIPE, 1));
	CHECK_EQ(ph_write_nosignal(fds[1], "x", 1), 1);
	CHECK_OK(ph_export(fds[1]));
	if (ph_pipe_info(fds[0], &info) < 0)
		CHECK_EQ(errno, ENOENT);
	CHECK_OK(ph_close(fds[0]));
	CHECK_OK(ph_close(fds[1]));
}

// SPDX-License-Identifier: MIT
//
// tests/pipe/loan.h - writing by reserve and commit, reading by peek and consume, checked.
#ifndef TESTS_PIPE_LOAN_H
#define TESTS_PIPE_LOAN_H

#include "flow.h"

struct loan {
	struct iovec iov[2];
	int count;
	size_t bytes;
};

static inline void check_pieces(const struct loan *l)
{
	size_t sum = 0;

	CHECK(l->count >= 1 && l->count <= 2);
	for (int i = 0; i < l->count; i++) {
		CHECK(l->iov[i].iov_base != NULL && l->iov[i].iov_len > 0);
		sum += l->iov[i].iov_len;
	}
	CHECK_EQ(sum, l->bytes);
}

static inline struct loan reserve(int fd, size_t bytes)
{
	struct loan l;

	l.bytes = (size_t)CHECK_OK(ph_pipe_reserve(fd, bytes, l.iov, &l.count));
	CHECK(l.bytes >= 1 && l.bytes <= bytes);
	CHECK(bytes > PIPE_BUF || l.bytes == bytes);
	check_pieces(&l);
	return l;
}

static inline void loan_fill(const struct loan *l, const void *data, size_t bytes)
{
	const size_t first = bytes < l->iov[0].iov_len ? bytes : l->iov[0].iov_len;

	memcpy(l->iov[0].iov_base, data, first);
	if (bytes > first)
		memcpy(l->iov[1].iov_base, (const char *)data + first, bytes - first);
}

// A write by way of a reservation.
static inline ssize_t write_in_place(int fd, const void *data, size_t bytes)
{
	const struct loan l = reserve(fd, bytes);

	loan_fill(&l, data, l.bytes);
	return ph_pipe_commit(fd, l.bytes);
}

// What is there; bytes 0 at the end of file.
static inline struct loan peek(int fd)
{
	struct loan l;

	l.bytes = (size_t)CHECK_OK(ph_pipe_peek(fd, l.iov, &l.count));
	if (l.bytes)
		check_pieces(&l);
	return l;
}

static inline void loan_copy(const struct loan *l, void *buf, size_t bytes)
{
	const size_t first = bytes < l->iov[0].iov_len ? bytes : l->iov[0].iov_len;

	CHECK(bytes <= l->bytes);
	memcpy(buf, l->iov[0].iov_base, first);
	if (bytes > first)
		memcpy((char *)buf + first, l->iov[1].iov_base, bytes - first);
}

static inline void expect_view(const struct loan *l, const char *text)
{
	char buf[100];

	CHECK_EQ(l->bytes, strlen(text));
	loan_copy(l, buf, l->bytes);
	CHECK(memcmp(buf, text, l->bytes) == 0);
}

// A read by way of a look.
static inline ssize_t read_in_place(int fd, void *buf, size_t bytes)
{
	const struct loan l = peek(fd);
	const size_t n = bytes < l.bytes ? bytes : l.bytes;

	if (n == 0)
		return 0;
	loan_copy(&l, buf, n);
	CHECK_OK(ph_pipe_consume(fd, n));
	return (ssize_t)n;
}

// The same for a record that must not be divided: a look may end where the ring does, a read goes on.
static inline ssize_t read_whole_in_place(int fd, void *buf, size_t bytes)
{
	const struct loan l = peek(fd);

	if (l.bytes == 0)
		return 0;
	if (l.bytes >= bytes)
		loan_copy(&l, buf, bytes);
	CHECK_OK(ph_pipe_consume(fd, l.bytes >= bytes ? bytes : 0));
	return l.bytes >= bytes ? (ssize_t)bytes : read(fd, buf, bytes);
}

static inline void put(int fd, const char *text)
{
	CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
}

static inline void expect(int fd, const char *text)
{
	char buf[100];

	CHECK_EQ(read(fd, buf, sizeof(buf)), strlen(text));
	CHECK(memcmp(buf, text, strlen(text)) == 0);
}

static inline void set_nonblock(int fd, bool on)
{
	const int flags = (int)CHECK_OK(fcntl(fd, F_GETFL));

	CHECK_OK(fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
}

static inline void expect_empty(int fd)
{
	char byte;

	set_nonblock(fd, true);
	CHECK_ERR(read(fd, &byte, 1), EAGAIN);
	set_nonblock(fd, false);
}

#endif

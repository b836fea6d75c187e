// SPDX-License-Identifier: MIT
//
// tests/pipe/posix_vector.c - readv and writev: as one read, one write, of all the pieces together.
#include "ends.h"

TEST(writev_gathers_and_readv_scatters)
{
	int p[2];
	char a[3], b[5], c[10];
	struct iovec out[3] = {{"abc", 3}, {"defgh", 5}, {"ij", 2}};
	struct iovec in[3] = {{a, 3}, {b, 5}, {c, 10}};

	make_pipe(p);
	CHECK_EQ(writev(p[W], out, 3), 10);
	CHECK_EQ(available(p[R]), 10);
	CHECK_EQ(readv(p[R], in, 3), 10);
	CHECK(memcmp(a, "abc", 3) == 0 && memcmp(b, "defgh", 5) == 0 && memcmp(c, "ij", 2) == 0);
	CHECK_EQ(writev(p[W], out, 3), 10);
	expect(p[R], "abcdefghij");
	put(p[W], "klmnopqrst");
	CHECK_EQ(readv(p[R], in, 3), 10);
	CHECK(memcmp(a, "klm", 3) == 0 && memcmp(c, "st", 2) == 0);
	drop_pipe(p);
}

TEST(empty_pieces_are_passed_over)
{
	int p[2];
	char a[2], b[2];
	struct iovec out[5] = {{NULL, 0}, {"ab", 2}, {NULL, 0}, {"cd", 2}, {NULL, 0}};
	struct iovec in[4] = {{a, 2}, {NULL, 0}, {b, 2}, {NULL, 0}};

	make_pipe(p);
	CHECK_EQ(writev(p[W], out, 5), 4);
	CHECK_EQ(readv(p[R], in, 4), 4);
	CHECK(memcmp(a, "ab", 2) == 0 && memcmp(b, "cd", 2) == 0);
	drop_pipe(p);
}

TEST(no_pieces_and_no_bytes_are_nothing)
{
	int p[2];
	struct iovec none[2] = {{NULL, 0}, {NULL, 0}};

	make_pipe(p);
	CHECK_EQ(writev(p[W], none, 0), 0);
	CHECK_EQ(writev(p[W], none, 2), 0);
	CHECK_EQ(readv(p[R], none, 0), 0);
	CHECK_EQ(readv(p[R], none, 2), 0);
	expect_empty(p[R]);
	drop_pipe(p);
}

TEST(invalid_vectors_are_einval)
{
	int p[2];
	char c;
	static struct iovec iov[IOV_MAX + 1];
	volatile int negative = -1; // or the compiler sees through it

	make_pipe(p);
	put(p[W], "kept");
	CHECK_ERR(readv(p[R], iov, negative), EINVAL);
	CHECK_ERR(writev(p[W], iov, negative), EINVAL);
	CHECK_ERR(readv(p[R], iov, IOV_MAX + 1), EINVAL);
	CHECK_ERR(writev(p[W], iov, IOV_MAX + 1), EINVAL);
	iov[0] = (struct iovec){&c, 1};
	iov[1] = (struct iovec){&c, (size_t)SSIZE_MAX + 1};
	CHECK_ERR(readv(p[R], iov, 2), EINVAL);
	CHECK_ERR(writev(p[W], iov, 2), EINVAL);
	CHECK_EQ(available(p[R]), 4);
	drop_pipe(p);
}

TEST(as_many_pieces_as_iov_max)
{
	int p[2];
	static char out_bytes[IOV_MAX], in_bytes[IOV_MAX];
	static struct iovec out[IOV_MAX], in[IOV_MAX];

	make_pipe(p);
	fill_pattern(out_bytes, IOV_MAX, 0);
	for (int i = 0; i < IOV_MAX; i++) {
		out[i] = (struct iovec){out_bytes + i, 1};
		in[i] = (struct iovec){in_bytes + i, 1};
	}
	for (int round = 0; round < 100; round++) {
		CHECK_EQ(writev(p[W], out, IOV_MAX), IOV_MAX);
		memset(in_bytes, 0, IOV_MAX);
		CHECK_EQ(readv(p[R], in, IOV_MAX), IOV_MAX);
		CHECK(has_pattern(in_bytes, IOV_MAX, 0));
	}
	drop_pipe(p);
}

TEST(readv_takes_what_there_is)
{
	int p[2];
	char a[4], b[4] = "old";
	struct iovec in[2] = {{a, 4}, {b, 4}};

	make_pipe(p);
	put(p[W], "abc");
	CHECK_EQ(readv(p[R], in, 2), 3);
	CHECK(memcmp(a, "abc", 3) == 0);
	CHECK(strcmp(b, "old") == 0);
	drop_pipe(p);
}

TEST(vectors_follow_nonblock)
{
	int p[2];
	char *buf = chunk_buffer();
	struct iovec out[2] = {{buf, 2048}, {buf + 2048, 2048}};
	struct iovec large[2] = {{buf, 2048}, {buf + 2048, 60000}};

	make_pipe(p);
	const size_t full = fill_up(p[W], 4096, 0);
	set_nonblock(p[R], true);
	set_nonblock(p[W], true);
	CHECK_ERR(writev(p[W], out, 2), EAGAIN);
	take_chunk(p[R], 4095, 0);
	CHECK_ERR(writev(p[W], out, 2), EAGAIN);
	take_chunk(p[R], 1, 4095);
	fill_pattern(buf, 4096, full);
	CHECK_EQ(writev(p[W], out, 2), 4096);
	take_chunk(p[R], 8192, 4096);
	fill_pattern(buf, 70000, full + 4096);
	CHECK_EQ(writev(p[W], large, 2), 8192);
	take_chunk(p[R], full, 12288);
	CHECK_ERR(readv(p[R], out, 2), EAGAIN);
	drop_pipe(p);
}

TEST(vectors_follow_the_end)
{
	int p[2], q[2];
	char c;
	struct iovec one = {&c, 1};

	ignore_sigpipe();
	make_pipe(p);
	make_pipe(q);
	int in = only(p, R), out = only(q, W);
	CHECK_EQ(readv(in, &one, 1), 0);
	CHECK_ERR(writev(out, &one, 1), EPIPE);
	CHECK_OK(close(in));
	CHECK_OK(close(out));
}

/* ---- between processes ---- */

enum { WRITERS = 4, RECORDS = 20000, PIECES = 4 };

struct party {
	const int *p;
	uint32_t number;
};

// A record of four numbers, each a piece of its own.
static void write_records(void *arg)
{
	struct party *party = arg;
	int fd = only(party->p, W);

	for (uint32_t i = 1; i <= RECORDS; i++) {
		uint32_t a = party->number, b = i, c = a ^ b, d = a + b;
		struct iovec out[PIECES] = {{&a, 4}, {&b, 4}, {&c, 4}, {&d, 4}};
		CHECK_EQ(writev(fd, out, PIECES), 16);
	}
}

TEST(gathered_records_of_many_writers_stay_whole)
{
	int p[2];
	struct party party[WRITERS];
	pid_t pid[WRITERS];
	uint32_t last[WRITERS] = {0};

	make_pipe(p);
	for (uint32_t i = 0; i < WRITERS; i++) {
		party[i] = (struct party){p, i};
		pid[i] = test_fork(write_records, &party[i]);
	}
	CHECK_OK(close(p[W]));
	for (int i = 0; i < WRITERS * RECORDS; i++) {
		uint32_t a, b, c, d;
		struct iovec in[PIECES] = {{&a, 4}, {&b, 4}, {&c, 4}, {&d, 4}};
		CHECK_EQ(readv(p[R], in, PIECES), 16);
		CHECK(a < WRITERS && c == (a ^ b) && d == a + b);
		CHECK_EQ(b, last[a] + 1);
		last[a] = b;
	}
	expect_eof(p[R]);
	for (int i = 0; i < WRITERS; i++)
		test_join(pid[i]);
	CHECK_OK(close(p[R]));
}

static void write_large_vectors(void *arg)
{
	const int *p = arg;
	char *buf = chunk_buffer();
	struct iovec out[3] = {{buf, 100000}, {buf + 100000, 1}, {buf + 100001, 199999}};
	int fd = only(p, W);

	for (uint64_t at = 0; at < 60 * 300000; at += 300000) {
		fill_pattern(buf, 300000, at);
		CHECK_EQ(writev(fd, out, 3), 300000);
	}
}

TEST(vectors_larger_than_the_pipe_go_in_whole)
{
	int p[2];
	char *buf = chunk_buffer();
	struct iovec in[3] = {{buf, 7}, {buf + 7, 3000}, {buf + 3007, 30000}};
	uint64_t at = 0;

	make_pipe(p);
	pid_t pid = test_fork(write_large_vectors, p);
	CHECK_OK(close(p[W]));
	for (ssize_t n; (n = readv(p[R], in, 3)) != 0; at += (uint64_t)n) {
		CHECK_OK(n);
		CHECK(has_pattern(buf, (size_t)n, at));
	}
	CHECK_EQ(at, 60 * 300000);
	test_join(pid);
	CHECK_OK(close(p[R]));
}

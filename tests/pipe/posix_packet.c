// SPDX-License-Identifier: MIT
//
// tests/pipe/posix_packet.c - O_DIRECT: each write of up to PIPE_BUF bytes is a packet, which one read takes
// whole; what the reader has no room for is lost; a larger write is several packets. pipe(2).
#include "ends.h"

static void make_packets(int p[2])
{
	CHECK_OK(pipe2(p, O_DIRECT));
}

TEST(flag_is_the_write_ends)
{
	int p[2];

	make_packets(p);
	CHECK_EQ(fcntl(p[R], F_GETFL) & O_DIRECT, 0);
	CHECK(fcntl(p[W], F_GETFL) & O_DIRECT);
	drop_pipe(p);
}

TEST(each_read_takes_one_packet)
{
	int p[2];
	char buf[100];

	make_packets(p);
	put(p[W], "one");
	put(p[W], "second");
	put(p[W], "3");
	CHECK_EQ(read(p[R], buf, sizeof(buf)), 3);
	CHECK_EQ(read(p[R], buf, sizeof(buf)), 6);
	CHECK(memcmp(buf, "second", 6) == 0);
	CHECK_EQ(read(p[R], buf, sizeof(buf)), 1);
	expect_empty(p[R]);
	drop_pipe(p);
}

TEST(rest_of_a_packet_is_lost)
{
	int p[2];

	make_packets(p);
	put(p[W], "a long packet");
	put(p[W], "next");
	expect(p[R], "a long");
	expect(p[R], "next");
	drop_pipe(p);
}

TEST(packet_of_pipe_buf_is_one_and_more_is_several)
{
	int p[2];
	char *buf = chunk_buffer();

	make_packets(p);
	put_chunk(p[W], PIPE_BUF, 0);
	CHECK_EQ(read(p[R], buf, CHUNK_MAX), PIPE_BUF);
	CHECK(has_pattern(buf, PIPE_BUF, 0));
	put_chunk(p[W], 10000, 0);
	CHECK_EQ(read(p[R], buf, CHUNK_MAX), 4096);
	CHECK_EQ(read(p[R], buf, CHUNK_MAX), 4096);
	CHECK_EQ(read(p[R], buf, CHUNK_MAX), 10000 - 8192);
	expect_empty(p[R]);
	drop_pipe(p);
}

TEST(empty_packets_do_not_exist)
{
	int p[2];

	make_packets(p);
	CHECK_EQ(write(p[W], "", 0), 0);
	put(p[W], "x");
	expect(p[R], "x");
	expect_empty(p[R]);
	drop_pipe(p);
}

TEST(read_into_several_buffers_takes_one_packet)
{
	int p[2];
	char a[4], b[100];
	struct iovec iov[2] = {{a, sizeof(a)}, {b, sizeof(b)}};

	make_packets(p);
	put(p[W], "a packet");
	put(p[W], "another");
	CHECK_EQ(readv(p[R], iov, 2), 8);
	CHECK(memcmp(a, "a pa", 4) == 0 && memcmp(b, "cket", 4) == 0);
	expect(p[R], "another");
	drop_pipe(p);
}

TEST(flag_may_be_set_later_and_cleared)
{
	int p[2];
	char buf[100];

	make_pipe(p);
	put(p[W], "stream");
	expect(p[R], "stream");
	set_flag(p[W], O_DIRECT, true);
	put(p[W], "packet");
	put(p[W], "more");
	CHECK_EQ(read(p[R], buf, sizeof(buf)), 6);
	CHECK(memcmp(buf, "packet", 6) == 0);
	CHECK_EQ(read(p[R], buf, sizeof(buf)), 4);
	set_flag(p[W], O_DIRECT, false);
	put(p[W], "ab");
	put(p[W], "cd");
	CHECK_EQ(read(p[R], buf, sizeof(buf)), 4);
	drop_pipe(p);
}

// A pipe that has carried a stream at full speed changes to packets: none is joined to another.
TEST(flag_set_after_full_flow_makes_packets)
{
	int p[2];
	char buf[100];

	make_pipe(p);
	flow_from_child(p, FLOW);
	set_flag(p[W], O_DIRECT, true);
	put(p[W], "packet");
	put(p[W], "more");
	CHECK_EQ(read(p[R], buf, sizeof(buf)), 6);
	CHECK_EQ(read(p[R], buf, sizeof(buf)), 4);
	drop_pipe(p);
}

enum { PACKETS = 30000 };

static void write_packets(void *arg)
{
	const int *p = arg;
	char buf[200];
	int fd = only(p, W);

	for (int i = 0; i < PACKETS; i++) {
		const size_t bytes = 4 + (size_t)i % 190;
		memset(buf, i, sizeof(buf));
		memcpy(buf, &i, 4);
		CHECK_EQ(write(fd, buf, bytes), bytes);
	}
}

TEST(packets_stream_between_processes)
{
	int p[2], number;
	char buf[4096];

	make_packets(p);
	pid_t pid = test_fork(write_packets, p);
	CHECK_OK(close(p[W]));
	for (int i = 0; i < PACKETS; i++) {
		CHECK_EQ(read(p[R], buf, sizeof(buf)), 4 + i % 190);
		memcpy(&number, buf, 4);
		CHECK_EQ(number, i);
	}
	expect_eof(p[R]);
	test_join(pid);
	CHECK_OK(close(p[R]));
}

TEST(sleeping_writer_of_packets_is_woken_by_one_read)
{
	int p[2];
	char buf[4096];
	struct worker w = {0};
	size_t packets = 0;

	make_packets(p);
	set_nonblock(p[W], true);
	while (write(p[W], "x", 1) == 1)
		packets++;
	CHECK_EQ(packets, capacity(p[W]) / 4096);
	set_nonblock(p[W], false);
	start_and_block(&w, work_write, p[W], 100);
	CHECK_EQ(read(p[R], buf, sizeof(buf)), 1);
	finish(&w);
	CHECK_EQ(w.result, 100);
	while (--packets)
		CHECK_EQ(read(p[R], buf, sizeof(buf)), 1);
	CHECK_EQ(read(p[R], buf, sizeof(buf)), 100);
	drop_pipe(p);
}

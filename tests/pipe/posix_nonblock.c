// SPDX-License-Identifier: MIT
//
// tests/pipe/posix_nonblock.c - O_NONBLOCK: a read never waits, a write of up to PIPE_BUF bytes is made whole
// or not at all, a larger one as far as there is room; the flag belongs to the open file description; a
// pipe holds exactly the bytes that F_GETPIPE_SZ says.
#include "ends.h"

static void make_nonblock(int p[2])
{
	CHECK_OK(pipe2(p, O_NONBLOCK));
}

/* ---- reading ---- */

TEST(nonblocking_read_of_an_empty_pipe_is_eagain)
{
	int p[2];
	char buf[10] = "untouched";

	make_nonblock(p);
	CHECK_ERR(read(p[R], buf, sizeof(buf)), EAGAIN);
	CHECK(strcmp(buf, "untouched") == 0);
	put(p[W], "x");
	CHECK_EQ(read(p[R], buf, sizeof(buf)), 1);
	CHECK_ERR(read(p[R], buf, sizeof(buf)), EAGAIN);
	drop_pipe(p);
}

TEST(nonblocking_read_tells_the_end_of_file_from_empty)
{
	int p[2];
	char c;

	make_nonblock(p);
	CHECK_ERR(read(p[R], &c, 1), EAGAIN);
	CHECK_OK(close(p[W]));
	CHECK_EQ(read(p[R], &c, 1), 0);
	CHECK_OK(close(p[R]));
}

/* ---- writing ---- */

TEST(nonblocking_writes_fill_the_pipe_to_its_capacity)
{
	int p[2];

	make_nonblock(p);
	const size_t size = capacity(p[W]);
	for (size_t piece = 1; piece <= 8192; piece *= 2) {
		CHECK_EQ(fill_up(p[W], piece, 0), size);
		CHECK_EQ(available(p[R]), size);
		set_nonblock(p[W], true);
		CHECK_ERR(write(p[W], "x", 1), EAGAIN);
		take_chunk(p[R], size, 0);
	}
	drop_pipe(p);
}

TEST(nonblocking_write_up_to_pipe_buf_is_all_or_eagain)
{
	int p[2];

	make_nonblock(p);
	const size_t full = fill_up(p[W], 4096, 0);
	set_nonblock(p[W], true);
	CHECK_ERR(write(p[W], chunk_buffer(), 4096), EAGAIN);
	take_chunk(p[R], 2000, 0);
	CHECK_ERR(write(p[W], chunk_buffer(), 4096), EAGAIN);
	CHECK_ERR(write(p[W], chunk_buffer(), 2097), EAGAIN);
	CHECK_EQ(available(p[R]), full - 2000);
	take_chunk(p[R], 2096, 2000);
	put_chunk(p[W], 4096, full);
	CHECK_ERR(write(p[W], "x", 1), EAGAIN);
	take_chunk(p[R], full, 4096);
	drop_pipe(p);
}

TEST(nonblocking_write_above_pipe_buf_is_partial)
{
	int p[2];
	char *buf = chunk_buffer();

	make_nonblock(p);
	const size_t size = capacity(p[W]);
	fill_pattern(buf, CHUNK_MAX, 0);
	CHECK_EQ(write(p[W], buf, CHUNK_MAX), size);
	CHECK_ERR(write(p[W], buf, CHUNK_MAX), EAGAIN);
	take_chunk(p[R], 12288, 0);
	fill_pattern(buf, CHUNK_MAX, size);
	CHECK_EQ(write(p[W], buf, 4097 * 4), 12288);
	take_chunk(p[R], size, 12288);
	drop_pipe(p);
}

TEST(write_that_fits_is_not_partial)
{
	int p[2];

	make_nonblock(p);
	const size_t size = capacity(p[W]);
	for (int i = 0; i < 100; i++) {
		put_chunk(p[W], size, 0);
		take_chunk(p[R], size, 0);
	}
	drop_pipe(p);
}

/* ---- after full flow between two processes ---- */

struct peer {
	int p[2];
	struct steps steps;
};

static void read_and_pause(void *arg)
{
	struct peer *peer = arg;
	int fd = only(peer->p, R);

	take_flow(fd, 0, FLOW);
	reach_and_wait(&peer->steps, 1);
	take_chunk(fd, capacity(fd), 0);
	reach_and_wait(&peer->steps, 2);
	take_chunk(fd, capacity(fd), 0);
	expect_eof(fd);
}

// The reader who has kept up so far does something else. No more than the capacity goes in, and soon.
TEST(capacity_is_exact_while_the_reader_pauses_after_full_flow)
{
	struct peer *peer = share(sizeof(*peer));

	make_pipe(peer->p);
	pid_t pid = test_fork(read_and_pause, peer);
	int fd = only(peer->p, W);
	send_flow(fd, 0, FLOW);
	wait_count(&peer->steps.reached, 1);
	CHECK_EQ(fill_up(fd, 64, 0), capacity(fd));
	CHECK_EQ(available(fd), capacity(fd));
	allow(&peer->steps, 1);
	wait_count(&peer->steps.reached, 2);
	set_nonblock(fd, true);
	fill_pattern(chunk_buffer(), CHUNK_MAX, 0);
	CHECK_EQ(write(fd, chunk_buffer(), CHUNK_MAX), capacity(fd));
	allow(&peer->steps, 2);
	CHECK_OK(close(fd));
	test_join(pid);
}

static void write_and_pause(void *arg)
{
	struct peer *peer = arg;
	int fd = only(peer->p, W);

	for (int i = 1; i <= 50; i++) {
		send_flow(fd, 0, SHORT_FLOW);
		reach_and_wait(&peer->steps, i);
	}
}

TEST(empty_is_eagain_while_the_writer_pauses_after_full_flow)
{
	struct peer *peer = share(sizeof(*peer));

	make_pipe(peer->p);
	pid_t pid = test_fork(write_and_pause, peer);
	int fd = only(peer->p, R);
	for (int i = 1; i <= 50; i++) {
		take_flow(fd, 0, SHORT_FLOW);
		expect_empty(fd);
		allow(&peer->steps, i);
	}
	expect_eof(fd);
	test_join(pid);
	CHECK_OK(close(fd));
}

/* ---- the flag ---- */

TEST(the_two_ends_have_a_flag_each)
{
	int p[2];
	char c;

	make_pipe(p);
	set_nonblock(p[R], true);
	CHECK_EQ(fcntl(p[W], F_GETFL) & O_NONBLOCK, 0);
	CHECK_ERR(read(p[R], &c, 1), EAGAIN);
	fill_up(p[W], 4096, 0);
	struct worker w = {0};
	start_and_block(&w, work_write, p[W], 10);
	take_chunk(p[R], 4096, 0);
	finish(&w);
	CHECK_EQ(w.result, 10);
	drop_pipe(p);
}

TEST(duplicates_share_the_flag)
{
	int p[2];
	char c;

	make_pipe(p);
	int second = (int)CHECK_OK(dup(p[R]));
	set_nonblock(second, true);
	CHECK_ERR(read(p[R], &c, 1), EAGAIN);
	CHECK_OK(close(second));
	CHECK(fcntl(p[R], F_GETFL) & O_NONBLOCK);
	CHECK_ERR(read(p[R], &c, 1), EAGAIN);
	set_nonblock(p[R], false);
	struct worker w;
	start_and_block(&w, work_read, p[R], 10);
	put(p[W], "blocking");
	finish_with(&w, "blocking");
	drop_pipe(p);
}

static void change_the_flag(void *arg)
{
	struct peer *peer = arg;

	for (int i = 1; i <= 100; i++) {
		set_nonblock(peer->p[R], i % 2);
		reach_and_wait(&peer->steps, i);
	}
}

TEST(flag_set_by_one_process_is_seen_by_another)
{
	struct peer *peer = share(sizeof(*peer));

	make_pipe(peer->p);
	flow_from_child(peer->p, FLOW);
	pid_t pid = test_fork(change_the_flag, peer);
	for (int i = 1; i <= 100; i++) {
		struct worker w;
		char c;
		wait_count(&peer->steps.reached, i);
		if (i % 2) {
			CHECK_ERR(read(peer->p[R], &c, 1), EAGAIN);
		} else {
			start_and_block(&w, work_read, peer->p[R], 1);
			put(peer->p[W], "x");
			finish_with(&w, "x");
		}
		allow(&peer->steps, i);
	}
	test_join(pid);
	drop_pipe(peer->p);
}

TEST(flag_takes_effect_for_calls_that_begin_later)
{
	int p[2];
	struct worker w;

	make_pipe(p);
	start_and_block(&w, work_read, p[R], 10);
	set_nonblock(p[R], true);
	wait_thread_asleep(&w);
	put(p[W], "x");
	finish_with(&w, "x");
	drop_pipe(p);
}

/* ---- nobody waits, nothing is lost ---- */

enum { PIECES = 40000 / SLOWER };

static void write_without_waiting(void *arg)
{
	const int *p = arg;
	int fd = only(p, W);

	for (uint64_t i = 0; i < PIECES;) {
		ssize_t n = write(fd, &i, sizeof(i));
		if (n == -1) {
			CHECK_EQ(errno, EAGAIN);
			sched_yield();
		} else {
			CHECK_EQ(n, sizeof(i));
			i++;
		}
	}
}

TEST(nonblocking_writer_and_reader_lose_nothing)
{
	int p[2];

	make_nonblock(p);
	pid_t pid = test_fork(write_without_waiting, p);
	CHECK_OK(close(p[W]));
	for (uint64_t i = 0, number; i < PIECES;) {
		ssize_t n = read(p[R], &number, sizeof(number));
		if (n == -1) {
			CHECK_EQ(errno, EAGAIN);
			sched_yield();
		} else {
			CHECK_EQ(n, sizeof(number));
			CHECK_EQ(number, i++);
		}
	}
	test_join(pid);
	expect_eof(p[R]);
	CHECK_OK(close(p[R]));
}

static void write_partially(void *arg)
{
	const int *p = arg;
	char *buf = chunk_buffer();
	int fd = only(p, W);

	for (uint64_t at = 0; at < (16 << 20);) {
		const size_t bytes = (16 << 20) - at < 70000 ? (size_t)((16 << 20) - at) : 70000;
		fill_pattern(buf, bytes, at);
		ssize_t n = write(fd, buf, bytes);
		if (n == -1) {
			CHECK_EQ(errno, EAGAIN);
			sched_yield();
		} else {
			at += (uint64_t)n;
		}
	}
}

TEST(partial_writes_lose_nothing)
{
	int p[2];

	make_pipe(p);
	set_nonblock(p[W], true);
	pid_t pid = test_fork(write_partially, p);
	CHECK_OK(close(p[W]));
	take_chunk(p[R], 16 << 20, 0);
	expect_eof(p[R]);
	test_join(pid);
	CHECK_OK(close(p[R]));
}

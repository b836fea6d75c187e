// SPDX-License-Identifier: MIT
//
// tests/pipe/posix_bytes.c - a pipe as a stream of bytes: what is read is what was written, in order, in
// pieces that need not be the writer's; wrap-around, large totals, and calls for no bytes at all.
#include "ends.h"

TEST(pipe_gives_a_read_end_and_a_write_end)
{
	int p[2] = {-1, -1};

	make_pipe(p);
	CHECK(p[R] >= 0 && p[W] >= 0 && p[R] != p[W]);
	CHECK_EQ(fcntl(p[R], F_GETFL) & O_ACCMODE, O_RDONLY);
	CHECK_EQ(fcntl(p[W], F_GETFL) & O_ACCMODE, O_WRONLY);
	put(p[W], "hello");
	expect(p[R], "hello");
	drop_pipe(p);
}

TEST(pipe_takes_the_lowest_free_numbers_read_end_first)
{
	int lowest = (int)CHECK_OK(dup(0));
	int p[2];

	CHECK_OK(close(lowest));
	make_pipe(p);
	CHECK_EQ(p[R], lowest);
	CHECK_EQ(p[W], lowest + 1);
	drop_pipe(p);
}

TEST(pipe2_sets_the_flags_on_both_ends)
{
	int p[2];

	CHECK_OK(pipe2(p, O_NONBLOCK | O_CLOEXEC));
	for (int end = R; end <= W; end++) {
		CHECK(fcntl(p[end], F_GETFL) & O_NONBLOCK);
		CHECK_EQ(fcntl(p[end], F_GETFD), FD_CLOEXEC);
	}
	drop_pipe(p);
	CHECK_OK(pipe2(p, 0));
	for (int end = R; end <= W; end++) {
		CHECK_EQ(fcntl(p[end], F_GETFL) & O_NONBLOCK, 0);
		CHECK_EQ(fcntl(p[end], F_GETFD), 0);
	}
	drop_pipe(p);
}

TEST(boundaries_of_writes_are_not_kept)
{
	int p[2];
	char buf[16];

	make_pipe(p);
	put(p[W], "abc");
	put(p[W], "defg");
	CHECK_EQ(read(p[R], buf, sizeof(buf)), 7);
	CHECK(memcmp(buf, "abcdefg", 7) == 0);
	put(p[W], "abcdefg");
	expect(p[R], "ab");
	expect(p[R], "cde");
	expect(p[R], "fg");
	drop_pipe(p);
}

TEST(read_gives_what_there_is_and_does_not_wait_for_more)
{
	int p[2];
	char buf[4096];

	make_pipe(p);
	put(p[W], "x");
	CHECK_EQ(read(p[R], buf, sizeof(buf)), 1);
	CHECK_EQ(buf[0], 'x');
	put(p[W], "yz");
	CHECK_EQ(read(p[R], buf, sizeof(buf)), 2);
	drop_pipe(p);
}

TEST(read_leaves_the_rest_of_the_buffer_alone)
{
	int p[2];
	char buf[64];

	make_pipe(p);
	memset(buf, '-', sizeof(buf));
	put(p[W], "four");
	CHECK_EQ(read(p[R], buf + 8, 40), 4);
	for (size_t i = 0; i < sizeof(buf); i++)
		CHECK(i >= 8 && i < 12 ? buf[i] == "four"[i - 8] : buf[i] == '-');
	drop_pipe(p);
}

TEST(read_of_no_bytes_returns_at_once)
{
	int p[2];

	make_pipe(p);
	CHECK_EQ(read(p[R], NULL, 0), 0);
	put(p[W], "kept");
	CHECK_EQ(read(p[R], NULL, 0), 0);
	CHECK_EQ(available(p[R]), 4);
	expect(p[R], "kept");
	drop_pipe(p);
}

TEST(write_of_no_bytes_writes_nothing)
{
	int p[2];

	make_pipe(p);
	CHECK_EQ(write(p[W], NULL, 0), 0);
	CHECK_EQ(write(p[W], "", 0), 0);
	CHECK_EQ(available(p[R]), 0);
	expect_empty(p[R]);
	fill_up(p[W], 4096, 0);
	CHECK_EQ(write(p[W], "", 0), 0);
	CHECK_OK(close(p[R]));
	CHECK_EQ(write(p[W], "", 0), 0);
	CHECK_OK(close(p[W]));
}

TEST(every_byte_value_passes)
{
	int p[2];
	unsigned char sent[256], got[256];

	make_pipe(p);
	for (int i = 0; i < 256; i++)
		sent[i] = (unsigned char)i;
	for (int round = 0; round < 1000; round++) {
		CHECK_EQ(write(p[W], sent, 256), 256);
		CHECK_EQ(read(p[R], got, 256), 256);
		CHECK(memcmp(sent, got, 256) == 0);
	}
	drop_pipe(p);
}

/* ---- wrap-around: every size at ever changing positions, by one process ---- */

TEST(pieces_of_all_sizes_wrap_around)
{
	int p[2];
	uint64_t position = 0;

	make_pipe(p);
	for (size_t bytes = 1; bytes <= 4097; bytes += bytes < 130 ? 1 : 61) {
		for (int i = 0; i < 40; i++, position += bytes) {
			put_chunk(p[W], bytes, position);
			take_chunk(p[R], bytes, position);
		}
	}
	expect_empty(p[R]);
	drop_pipe(p);
}

TEST(full_pipe_wraps_around_at_every_step)
{
	int p[2];
	uint64_t in = 0, out = 0;

	make_pipe(p);
	in += fill_up(p[W], 4096, 0);
	CHECK_EQ(in, capacity(p[W]));
	for (int i = 0; i < 300; i++) {
		take_chunk(p[R], 4096, out);
		out += 4096;
		put_chunk(p[W], 4096, in);
		in += 4096;
	}
	take_chunk(p[R], (size_t)(in - out), out);
	expect_empty(p[R]);
	drop_pipe(p);
}

/* ---- two processes ---- */

enum { STREAM_BYTES = 48 << 20 };

struct stream {
	const int *p;
	size_t total, piece; // piece 0: of changing size
};

static size_t next_piece(const struct stream *s, uint64_t position)
{
	const size_t left = s->total - (size_t)position;
	const size_t piece = s->piece ? s->piece : position * 2654435761u % 9000 + 1;

	return piece < left ? piece : left;
}

static void be_stream_writer(void *arg)
{
	const struct stream *s = arg;
	int fd = only(s->p, W);

	for (uint64_t at = 0; at < s->total;) {
		const size_t piece = next_piece(s, at);
		put_chunk(fd, piece, at);
		at += piece;
	}
}

// Read in pieces of a size that has nothing to do with the writer's, to the end of file.
static void stream(size_t total, size_t written, size_t taken)
{
	int p[2];
	struct stream s = {p, total / SLOWER, written};
	char *buf = chunk_buffer();
	uint64_t at = 0;

	make_pipe(p);
	pid_t pid = test_fork(be_stream_writer, &s);
	CHECK_OK(close(p[W]));
	for (ssize_t n; (n = read(p[R], buf, taken)) != 0; at += (size_t)n) {
		CHECK_OK(n);
		CHECK(has_pattern(buf, (size_t)n, at));
	}
	CHECK_EQ(at, s.total);
	test_join(pid);
	CHECK_OK(close(p[R]));
}

TEST(stream_of_single_bytes)
{
	stream(300000, 1, 1);
}

TEST(stream_of_single_bytes_read_in_large_pieces)
{
	stream(600000, 1, 65536);
}

TEST(stream_of_64_byte_pieces)
{
	stream(8 << 20, 64, 64);
}

TEST(stream_of_odd_pieces_read_in_other_odd_pieces)
{
	stream(8 << 20, 77, 131);
}

TEST(stream_of_pages)
{
	stream(STREAM_BYTES, 4096, 4096);
}

TEST(stream_of_changing_pieces)
{
	stream(STREAM_BYTES, 0, 5000);
}

TEST(stream_of_pieces_larger_than_the_pipe)
{
	stream(STREAM_BYTES, 1 << 20, 1 << 20);
}

TEST(large_pieces_read_in_small_ones)
{
	stream(4 << 20, 1 << 20, 100);
}

/* ---- two pipes, strictly alternating ---- */

struct duplex {
	int to[2], back[2];
	int rounds;
};

static void answer(void *arg)
{
	struct duplex *d = arg;
	int in = only(d->to, R), out = only(d->back, W);

	for (int i = 0; i < d->rounds; i++)
		put_number(out, take_number(in) + 1);
}

TEST(question_and_answer_alternate)
{
	struct duplex d = {.rounds = FLOW};

	make_pipe(d.to);
	make_pipe(d.back);
	pid_t pid = test_fork(answer, &d);
	int out = only(d.to, W), in = only(d.back, R);
	for (int i = 0; i < d.rounds; i++) {
		put_number(out, (uint64_t)i);
		CHECK_EQ(take_number(in), i + 1);
	}
	test_join(pid);
	expect_eof(in);
	CHECK_OK(close(in));
	CHECK_OK(close(out));
}

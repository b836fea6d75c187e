// SPDX-License-Identifier: MIT
//
// tests/pipe/torture_bulk.c - a lot of bytes through one pipe, and the wrap of the ring at every offset: what
// comes out is what went in. TEST_FULL sends more than 4 GiB, so that no counter of 32 bits will do.
#include <posthaste/posix.h>

#include "flow.h"

static bool full(void)
{
	return getenv("TEST_FULL") != NULL;
}

// Words that count from 0: quick to make and to check.
static void fill_words(uint64_t *words, uint64_t at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		words[i] = at + i;
}

struct bulk {
	struct ends ends;
	uint64_t words;
	size_t most; // words of one write or read
};

static void write_words(void *arg)
{
	const struct bulk *b = arg;
	uint64_t *buf = malloc(b->most * 8);

	CHECK(buf != NULL);
	CHECK_OK(close(b->ends.r));
	for (uint64_t at = 0, n; at < b->words; at += n) {
		n = 1 + mix(at) % b->most;
		n = n < b->words - at ? n : b->words - at;
		fill_words(buf, at, n);
		CHECK_EQ(write(b->ends.w, buf, n * 8), n * 8);
	}
	CHECK_OK(close(b->ends.w));
	free(buf);
}

static void read_words(const struct bulk *b)
{
	const size_t size = b->most * 8;
	char *buf = malloc(size + 8);
	size_t have = 0; // bytes of a word that is not complete
	uint64_t at = 0;
	ssize_t n;

	CHECK(buf != NULL);
	while ((n = read(b->ends.r, buf + have, size - have)) > 0) {
		have += (size_t)n;
		for (size_t i = 0; i < have / 8; i++, at++)
			CHECK_EQ(((const uint64_t *)(const void *)buf)[i], at);
		memmove(buf, buf + have / 8 * 8, have % 8);
		have %= 8;
	}
	CHECK_EQ(n, 0);
	CHECK_EQ(have, 0);
	CHECK_EQ(at, b->words);
	free(buf);
}

static void send(uint64_t bytes, size_t most, int pipe_size)
{
	struct bulk b = {make_pipe(), bytes / 8, most / 8};

	if (pipe_size)
		CHECK_OK(fcntl(b.ends.w, F_SETPIPE_SZ, pipe_size));
	pid_t pid = test_fork(write_words, &b);
	CHECK_OK(close(b.ends.w));
	read_words(&b);
	CHECK_OK(close(b.ends.r));
	test_join(pid);
}

TEST(many_bytes_in_large_pieces)
{
	send(full() ? (5ULL << 30) : 300 * MIB, 1 << 20, 0);
}

TEST(many_bytes_in_small_pieces)
{
	send(full() ? (1ULL << 30) : 20 * MIB, 200, 0);
}

TEST(many_bytes_through_a_large_pipe)
{
	send(full() ? (5ULL << 30) : 300 * MIB, 1 << 20, 1 << 20);
}

TEST(many_bytes_through_a_small_pipe)
{
	send(full() ? (1ULL << 30) : 50 * MIB, 30000, 4096);
}

/* ---- the wrap ---- */

// In step: a write of `step` bytes and its read, for so long that every offset of the ring has been the first
// byte of one, as far as `step` reaches it.
struct steps {
	struct ends there, back;
	uint64_t bytes;
	size_t step;
};

static void echo_steps(void *arg)
{
	const struct steps *s = arg;

	for (uint64_t at = 0; at < s->bytes; at += s->step) {
		read_pattern(s->there.r, at, at + s->step);
		CHECK_EQ(write(s->back.w, "", 1), 1);
	}
	drop_pipe(s->there);
	drop_pipe(s->back);
}

static void wrap(size_t step, uint64_t steps)
{
	struct steps s = {make_pipe(), make_pipe(), step * steps, step};
	char byte, *data = malloc(step);

	CHECK(data != NULL);
	CHECK_OK(fcntl(s.there.w, F_SETPIPE_SZ, 4096));
	pid_t pid = test_fork(echo_steps, &s);
	for (uint64_t at = 0; at < s.bytes; at += step) {
		pattern_fill(data, at, step);
		CHECK_EQ(write(s.there.w, data, step), step);
		CHECK_EQ(read(s.back.r, &byte, 1), 1);
	}
	test_join(pid);
	free(data);
	drop_pipe(s.there);
	drop_pipe(s.back);
}

// An odd step meets every offset of a ring of 4096 bytes in 4096 steps.
TEST(ring_wraps_at_every_offset)
{
	static const size_t steps[] = {1, 3, 7, 63, 65, 1021, 2047, 4095, 4096};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		wrap(steps[i], 2 * 4096 + 1);
}

TEST(ring_wraps_under_writes_larger_than_it)
{
	wrap(5001, 4096 + 1);
	wrap(70001, 300);
}

// Out of step: reads and writes of all sizes against each other.
TEST(sizes_of_writes_and_reads_drift_against_each_other)
{
	for (size_t most = 1; most < 70000; most = most * 3 + 1) {
		struct ends e = make_pipe();
		struct party p = {.ends = e, .to = most < 100 ? 300 * KIB : 8 * MIB, .most = most};
		pid_t pid = test_fork(be_pattern_writer, &p);
		char *buf = malloc(100000);

		CHECK(buf != NULL);
		CHECK_OK(close(e.w));
		for (uint64_t at = 0; at < p.to;) {
			const ssize_t n =
				read(e.r, buf, 1 + mix(at + most) % (2 * most < 100000 ? 2 * most : 100000));
			CHECK(n > 0);
			CHECK(pattern_match(buf, at, (size_t)n));
			at += (uint64_t)n;
		}
		expect_end(e.r);
		free(buf);
		CHECK_OK(close(e.r));
		test_join(pid);
	}
}

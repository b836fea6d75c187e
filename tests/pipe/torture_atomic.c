// SPDX-License-Identifier: MIT
//
// tests/pipe/torture_atomic.c - many writers, many sizes, several readers: no write of up to PIPE_BUF bytes
// is ever torn, no read ever shares bytes with another, nothing is lost or comes twice.
#include <posthaste/posix.h>

#include "flow.h"

#include <sys/uio.h>

// TEST_FULL makes every torture longer.
static uint32_t scaled(uint32_t n)
{
	return getenv("TEST_FULL") ? n * 10 : n;
}

/* ---- one reader: sizes may vary, since it sees where each record begins ---- */

static void write_in_pieces(void *arg)
{
	const struct party *p = arg;
	unsigned char buf[RECORD_MAX];

	CHECK_OK(close(p->ends.r));
	for (uint32_t n = 0; n < p->count; n++) {
		const size_t size = record_make(p->shape, p->writer, n, buf);
		const size_t a = size / 3, b = size / 2;
		const struct iovec iov[3] = {{buf, a}, {buf + a, b - a}, {buf + b, size - b}};
		CHECK_EQ(writev(p->ends.w, iov, 3), size);
	}
	CHECK_OK(close(p->ends.w));
}

// With O_NONBLOCK: all or nothing; polls, or asks again.
static void write_without_blocking(void *arg)
{
	const struct party *p = arg;
	unsigned char buf[RECORD_MAX];

	CHECK_OK(close(p->ends.r));
	CHECK_OK(fcntl(p->ends.w, F_SETFL, O_NONBLOCK));
	for (uint32_t n = 0; n < p->count;) {
		const size_t size = record_make(p->shape, p->writer, n, buf);
		const ssize_t done = write(p->ends.w, buf, size);
		if (done < 0)
			CHECK_EQ(errno, EAGAIN);
		else
			CHECK_EQ(done, size);
		n += done > 0;
	}
	CHECK_OK(close(p->ends.w));
}

typedef void body(void *party);

static void many_into_one(body *const writer[], unsigned writers, struct shape shape,
                          uint32_t count)
{
	struct ends e = make_pipe();
	struct party p = {.ends = e, .writer = writers, .count = count, .shape = shape};
	pid_t pid[WRITERS_MAX + 1];

	pid[WRITERS_MAX] = test_fork(be_record_reader, &p);
	for (unsigned w = 0; w < writers; w++) {
		p.writer = w;
		pid[w] = test_fork(writer[w], &p);
	}
	drop_pipe(e);
	for (unsigned w = 0; w < writers; w++)
		test_join(pid[w]);
	test_join(pid[WRITERS_MAX]);
}

static void many_of_a_kind(body *kind, unsigned writers, struct shape shape, uint32_t count)
{
	body *writer[WRITERS_MAX];

	for (unsigned w = 0; w < writers; w++)
		writer[w] = kind;
	many_into_one(writer, writers, shape, scaled(count));
}

TEST(sixteen_writers_of_all_sizes)
{
	many_of_a_kind(be_record_writer, 16, (struct shape){PIPE_BUF, true}, 3000);
}

TEST(sixteen_writers_of_small_sizes)
{
	many_of_a_kind(be_record_writer, 16, (struct shape){20, true}, 10000);
}

TEST(sixteen_writers_of_single_bytes)
{
	many_of_a_kind(be_record_writer, 16, (struct shape){1, false}, 10000);
}

TEST(sixteen_writers_of_the_largest_atomic_size)
{
	many_of_a_kind(be_record_writer, 16, (struct shape){PIPE_BUF, false}, 2000);
}

TEST(sixteen_writers_of_odd_sizes)
{
	static const unsigned sizes[] = {3, 63, 65, 1023, 1361, 2049, 4095};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		many_of_a_kind(be_record_writer, 16, (struct shape){sizes[i], false}, 800);
}

TEST(sixteen_writers_of_several_pieces)
{
	many_of_a_kind(write_in_pieces, 16, (struct shape){PIPE_BUF, true}, 2000);
}

TEST(writers_who_block_and_who_do_not)
{
	// Each with a description of its own would be better for O_NONBLOCK: see the FIFO below.
	many_of_a_kind(write_without_blocking, 4, (struct shape){PIPE_BUF, true}, 3000);
}

TEST(writers_of_all_kinds)
{
	body *const writer[] = {be_record_writer,     write_in_pieces, be_raw_record_writer,
	                        be_record_writer,     write_in_pieces, be_raw_record_writer,
	                        be_raw_record_writer, be_record_writer};

	many_into_one(writer, 8, (struct shape){PIPE_BUF, true}, scaled(3000));
}

// Over a FIFO each has a description, and so O_NONBLOCK, of its own.
struct by_name {
	const char *path;
	struct party p;
	body *body;
};

static void open_and_write(void *arg)
{
	struct by_name *b = arg;

	b->p.ends = (struct ends){
		(int)CHECK_OK(open("/dev/null", O_RDONLY | O_CLOEXEC)),
		(int)CHECK_OK(open(b->path, O_WRONLY | O_CLOEXEC)),
	};
	b->body(&b->p);
}

TEST(writers_who_block_and_who_do_not_meet_at_a_fifo)
{
	struct by_name b = {
		place("fifo"),
		{.count = scaled(3000), .shape = {PIPE_BUF, true}},
		NULL,
	};
	struct records r = {.shape = b.p.shape};
	pid_t pid[6];

	CHECK_OK(mkfifo(b.path, 0600));
	const int both = (int)CHECK_OK(open(b.path, O_RDWR | O_CLOEXEC));
	for (unsigned w = 0; w < 6; w++) {
		b.p.writer = w;
		b.body = w % 2 ? write_without_blocking : be_record_writer;
		pid[w] = test_fork(open_and_write, &b);
	}
	char buf[10000];
	for (uint64_t turn = 0, done = 0; done < 6; turn++) {
		const ssize_t n = read(both, buf, 1 + mix(turn) % sizeof(buf));
		CHECK(n > 0);
		CHECK(records_feed(&r, buf, (size_t)n));
		for (done = 0; done < 6 && r.next[done] == b.p.count; done++)
			;
	}
	CHECK(records_complete(&r, 6, b.p.count));
	for (unsigned w = 0; w < 6; w++)
		test_join(pid[w]);
	CHECK_OK(close(both));
	drop_place("fifo");
	drop_place(NULL);
}

/* ---- three readers: one size, so that each read is one record ---- */

enum { READERS = 3, COUNT_MAX = 60000 };

struct shared {
	struct ends ends;
	struct shape shape;
	unsigned writers;
	uint32_t count;
	unsigned char (*seen)[COUNT_MAX]; // [writer][record]: how often; below 8 bytes, [writer][0..15]
	atomic_uint *small;               // [writer]: records of less than 8 bytes
};

static void judge(const struct shared *s, const unsigned char *buf, uint32_t last[WRITERS_MAX])
{
	unsigned char want[RECORD_MAX];
	const unsigned writer = buf[0] >> 4;
	uint32_t n;

	CHECK(writer < s->writers);
	if (s->shape.size < 8) { // it has no number in it
		atomic_fetch_add(&s->small[writer], 1);
		return;
	}
	memcpy(&n, buf + 1, sizeof(n));
	CHECK(n < s->count);
	record_make(s->shape, writer, n, want);
	CHECK(memcmp(buf, want, s->shape.size) == 0);
	CHECK(n + 1 > last[writer]); // those that one reader gets are in order
	last[writer] = n + 1;
	s->seen[writer][n]++;
}

static void read_whole_records(void *arg)
{
	const struct shared *s = arg;
	uint32_t last[WRITERS_MAX] = {0};
	unsigned char buf[RECORD_MAX];
	ssize_t n;

	CHECK_OK(close(s->ends.w));
	while ((n = read(s->ends.r, buf, s->shape.size)) > 0) {
		CHECK_EQ(n, s->shape.size);
		judge(s, buf, last);
	}
	CHECK_EQ(n, 0);
	CHECK_OK(close(s->ends.r));
}

static void check_shared(const struct shared *s)
{
	for (unsigned w = 0; w < s->writers; w++) {
		if (s->shape.size < 8)
			CHECK_EQ(atomic_load(&s->small[w]), s->count);
		for (uint32_t n = 0; s->shape.size >= 8 && n < s->count; n++)
			CHECK_EQ(s->seen[w][n], 1);
	}
}

static void many_into_three(unsigned writers, unsigned size, uint32_t count)
{
	struct shared s = {make_pipe(), {size, false}, writers, count, NULL, NULL};
	struct party p = {.ends = s.ends, .count = count, .shape = s.shape};
	pid_t pid[READERS + WRITERS_MAX];

	s.seen = share(writers * sizeof(*s.seen));
	s.small = share(sizeof(atomic_uint) * WRITERS_MAX);
	for (unsigned i = 0; i < READERS; i++)
		pid[i] = test_fork(read_whole_records, &s);
	for (unsigned w = 0; w < writers; w++) {
		p.writer = w;
		pid[READERS + w] = test_fork(be_record_writer, &p);
	}
	drop_pipe(s.ends);
	for (unsigned i = 0; i < READERS + writers; i++)
		test_join(pid[i]);
	check_shared(&s);
	CHECK_OK(munmap(s.seen, writers * sizeof(*s.seen)));
	CHECK_OK(munmap(s.small, sizeof(atomic_uint) * WRITERS_MAX));
}

TEST(sixteen_writers_and_three_readers_of_each_size)
{
	static const unsigned sizes[] = {1, 2, 7, 8, 64, 100, 511, 1000, 2048, 3000, 4095, 4096};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		many_into_three(16, sizes[i], scaled(500));
}

TEST(one_writer_and_three_readers)
{
	many_into_three(1, 64, COUNT_MAX);
	many_into_three(1, 4096, scaled(5000));
}

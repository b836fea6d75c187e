// SPDX-License-Identifier: MIT
//
// tests/pipe/posix_atomic.c - writes of up to PIPE_BUF bytes are not mixed with others', however many
// writers, sizes and readers there are; larger ones may be mixed, but nothing is lost; and what one reader
// takes is in one piece of the stream.
//
// A record carries its writer, its number and its length, and a body that follows from them, so that a
// reader who takes records by any means can tell whether each is whole, and in its writer's order.
#include "ends.h"

enum { WRITERS_MAX = 8 };

struct head {
	uint16_t bytes; // of the record, head included
	uint16_t writer;
	uint32_t number; // from 1
};

struct load {
	int p[2];
	int writers, readers;
	int each;
	size_t (*size)(const struct load *l, uint32_t number);
	size_t fixed;
	atomic_llong got[WRITERS_MAX]; // sum of the numbers
	atomic_int count[WRITERS_MAX];
};

struct party {
	struct load *load;
	int number;
};

static unsigned char body_byte(const struct head *h, size_t i)
{
	return (unsigned char)(h->writer * 31 + h->number * 7 + i);
}

static void make_record(char *buf, size_t bytes, int writer, uint32_t number)
{
	const struct head h = {(uint16_t)bytes, (uint16_t)writer, number};

	memcpy(buf, &h, sizeof(h));
	for (size_t i = sizeof(h); i < bytes; i++)
		buf[i] = (char)body_byte(&h, i);
}

// Check one whole record that stands in buf, and note it.
static void account(struct load *l, const char *buf, uint32_t last[WRITERS_MAX])
{
	struct head h;

	memcpy(&h, buf, sizeof(h));
	CHECK(h.writer < l->writers);
	CHECK(h.number > last[h.writer] && h.number <= (uint32_t)l->each);
	CHECK_EQ(h.bytes, l->size(l, h.number));
	for (size_t i = sizeof(h); i < h.bytes; i++)
		CHECK((unsigned char)buf[i] == body_byte(&h, i));
	last[h.writer] = h.number;
	atomic_fetch_add(&l->got[h.writer], h.number);
	atomic_fetch_add(&l->count[h.writer], 1);
}

static size_t size_fixed(const struct load *l, uint32_t number)
{
	(void)number;
	return l->fixed;
}

static size_t size_any(const struct load *l, uint32_t number)
{
	(void)l;
	return sizeof(struct head) + number * 2654435761u % (PIPE_BUF - sizeof(struct head) + 1);
}

static size_t size_mostly_small(const struct load *l, uint32_t number)
{
	return number % 16 ? sizeof(struct head) + number % 40 : size_any(l, number);
}

static void be_writer(void *arg)
{
	struct party *party = arg;
	struct load *l = party->load;
	char buf[PIPE_BUF];
	int fd = only(l->p, W);

	for (uint32_t number = 1; number <= (uint32_t)l->each; number++) {
		const size_t bytes = l->size(l, number);
		make_record(buf, bytes, party->number, number);
		CHECK_EQ(write(fd, buf, bytes), bytes);
	}
}

// The only reader may take any number of bytes, and cuts the records out himself.
static void take_by_stream(struct load *l, int fd)
{
	static char buf[65536];
	uint32_t last[WRITERS_MAX] = {0};
	size_t held = 0;

	for (;;) {
		const ssize_t n = read(fd, buf + held, sizeof(buf) - held);
		CHECK_OK(n);
		if (n == 0)
			break;
		held += (size_t)n;
		size_t at = 0;
		for (uint16_t bytes; held - at >= sizeof(struct head); at += bytes) {
			memcpy(&bytes, buf + at, sizeof(bytes));
			CHECK(bytes >= sizeof(struct head));
			if (held - at < bytes)
				break;
			account(l, buf + at, last);
		}
		held -= at;
		memmove(buf, buf + at, held);
	}
	CHECK_EQ(held, 0);
}

// One of several readers takes one record of the fixed size with each read.
static void be_reader(void *arg)
{
	struct party *party = arg;
	struct load *l = party->load;
	uint32_t last[WRITERS_MAX] = {0};
	char buf[PIPE_BUF];
	int fd = only(l->p, R);
	ssize_t n;

	while ((n = read(fd, buf, l->fixed)) != 0) {
		CHECK_EQ(n, l->fixed);
		account(l, buf, last);
	}
}

static void run(struct load wanted)
{
	struct load *l = share(sizeof(*l));
	struct party party[2 * WRITERS_MAX];
	pid_t pid[2 * WRITERS_MAX];
	int parties = 0;

	*l = wanted;
	make_pipe(l->p);
	for (int i = 0; i < l->writers; i++, parties++) {
		party[parties] = (struct party){l, i};
		pid[parties] = test_fork(be_writer, &party[parties]);
	}
	for (int i = 0; i < l->readers; i++, parties++) {
		party[parties] = (struct party){l, i};
		pid[parties] = test_fork(be_reader, &party[parties]);
	}
	CHECK_OK(close(l->p[W]));
	if (!l->readers)
		take_by_stream(l, l->p[R]);
	for (int i = 0; i < parties; i++)
		test_join(pid[i]);
	for (int i = 0; i < l->writers; i++) {
		CHECK_EQ(l->count[i], l->each);
		CHECK_EQ(l->got[i], (long long)l->each * (l->each + 1) / 2);
	}
	expect_eof(l->p[R]);
	CHECK_OK(close(l->p[R]));
}

TEST(small_records_of_many_writers_stay_whole)
{
	run((struct load){.writers = 8, .each = 20000, .size = size_fixed, .fixed = 8});
	run((struct load){.writers = 8, .each = 20000, .size = size_fixed, .fixed = 61});
}

TEST(records_of_all_sizes_up_to_pipe_buf_stay_whole)
{
	run((struct load){.writers = 8, .each = 6000, .size = size_any});
}

TEST(small_records_stay_whole_among_large_ones)
{
	run((struct load){.writers = 8, .each = 15000, .size = size_mostly_small});
}

TEST(records_of_exactly_pipe_buf_stay_whole)
{
	run((struct load){.writers = 8, .each = 4000, .size = size_fixed, .fixed = PIPE_BUF});
}

TEST(two_writers_one_reader)
{
	run((struct load){.writers = 2, .each = 60000, .size = size_mostly_small});
}

TEST(one_writer_many_readers)
{
	run((struct load){.writers = 1, .readers = 6, .each = 60000, .size = size_fixed, .fixed = 16});
}

TEST(many_writers_many_readers)
{
	run((struct load){.writers = 4, .readers = 4, .each = 20000, .size = size_fixed, .fixed = 64});
}

TEST(many_writers_and_readers_of_pages)
{
	run((struct load){.writers = 4, .readers = 4, .each = 5000, .size = size_fixed, .fixed = 4096});
}

/* ---- larger than PIPE_BUF: mixed perhaps, lost never ---- */

enum { LARGE_WRITERS = 4, LARGE = 30000, LARGE_EACH = 200 };

static void write_large(void *arg)
{
	struct party *party = arg;
	char *buf = chunk_buffer();
	int fd = only(party->load->p, W);

	memset(buf, 'A' + party->number, LARGE);
	for (int i = 0; i < LARGE_EACH; i++)
		CHECK_EQ(write(fd, buf, LARGE), LARGE);
}

TEST(large_writes_of_many_writers_lose_nothing)
{
	struct load l = {.writers = LARGE_WRITERS};
	struct party party[LARGE_WRITERS];
	pid_t pid[LARGE_WRITERS];
	size_t count[LARGE_WRITERS] = {0};
	char *buf = chunk_buffer();

	make_pipe(l.p);
	for (int i = 0; i < LARGE_WRITERS; i++) {
		party[i] = (struct party){&l, i};
		pid[i] = test_fork(write_large, &party[i]);
	}
	CHECK_OK(close(l.p[W]));
	for (ssize_t n; (n = read(l.p[R], buf, 5000)) != 0;) {
		CHECK_OK(n);
		for (ssize_t i = 0; i < n; i++) {
			CHECK(buf[i] >= 'A' && buf[i] < 'A' + LARGE_WRITERS);
			count[buf[i] - 'A']++;
		}
	}
	for (int i = 0; i < LARGE_WRITERS; i++) {
		test_join(pid[i]);
		CHECK_EQ(count[i], LARGE * LARGE_EACH);
	}
	CHECK_OK(close(l.p[R]));
}

// SPDX-License-Identifier: MIT
//
// tests/pipe/thread_posix_stream.c - threads of one process at both ends of a pipe: every record arrives
// once, whole, and in its writer's order as any one reader sees it. Threads see one mapping, so
// ThreadSanitizer sees every race.
#include "ends.h"

enum { PARTIES_MAX = 8 };

struct record {
	uint32_t writer, number;
	uint64_t check;
};

struct stream {
	int p[2];
	int writers, readers;
	uint32_t each;
	bool own; // a descriptor for each thread
	atomic_int got[PARTIES_MAX];
	atomic_llong sum[PARTIES_MAX];
};

struct party {
	struct stream *s;
	int number, fd;
	pthread_t thread;
};

static uint64_t check_of(const struct record *r)
{
	return (r->writer + 1) * 0x9e3779b97f4a7c15u ^ r->number * 0xff51afd7ed558ccdu;
}

static void *be_writer(void *arg)
{
	struct party *me = arg;

	for (uint32_t i = 1; i <= me->s->each; i++) {
		struct record r = {(uint32_t)me->number, i, 0};
		r.check = check_of(&r);
		CHECK_EQ(write(me->fd, &r, sizeof(r)), sizeof(r));
	}
	if (me->s->own)
		CHECK_OK(close(me->fd));
	return NULL;
}

static void *be_reader(void *arg)
{
	struct party *me = arg;
	struct stream *s = me->s;
	uint32_t last[PARTIES_MAX] = {0};
	struct record r;
	ssize_t n;

	while ((n = read(me->fd, &r, sizeof(r))) != 0) {
		CHECK_EQ(n, sizeof(r));
		CHECK(r.writer < (uint32_t)s->writers && r.check == check_of(&r));
		CHECK(r.number > last[r.writer]);
		last[r.writer] = r.number;
		atomic_fetch_add(&s->got[r.writer], 1);
		atomic_fetch_add(&s->sum[r.writer], r.number);
	}
	if (s->own)
		CHECK_OK(close(me->fd));
	return NULL;
}

static void enlist(struct stream *s, struct party *party, int count, int end, void *(*fn)(void *))
{
	for (int i = 0; i < count; i++) {
		party[i] = (struct party){s, i, s->own ? dup(s->p[end]) : s->p[end], 0};
		CHECK_OK(party[i].fd);
		CHECK_EQ(pthread_create(&party[i].thread, NULL, fn, &party[i]), 0);
	}
}

static void join(struct party *party, int count)
{
	for (int i = 0; i < count; i++)
		CHECK_EQ(pthread_join(party[i].thread, NULL), 0);
}

static void run(struct stream s)
{
	struct party writer[PARTIES_MAX], reader[PARTIES_MAX];

	s.each /= SLOWER;
	make_pipe(s.p);
	enlist(&s, reader, s.readers, R, be_reader);
	enlist(&s, writer, s.writers, W, be_writer);
	join(writer, s.writers);
	CHECK_OK(close(s.p[W]));
	join(reader, s.readers);
	for (int i = 0; i < s.writers; i++) {
		CHECK_EQ(s.got[i], s.each);
		CHECK_EQ(s.sum[i], (long long)s.each * (s.each + 1) / 2);
	}
	expect_eof(s.p[R]);
	CHECK_OK(close(s.p[R]));
}

TEST(one_writer_one_reader)
{
	run((struct stream){.writers = 1, .readers = 1, .each = 200000});
}

TEST(many_writers_one_reader)
{
	run((struct stream){.writers = 6, .readers = 1, .each = 20000});
}

TEST(one_writer_many_readers)
{
	run((struct stream){.writers = 1, .readers = 6, .each = 60000});
}

TEST(many_writers_many_readers)
{
	run((struct stream){.writers = 4, .readers = 4, .each = 20000});
}

TEST(many_writers_many_readers_with_a_descriptor_each)
{
	run((struct stream){.writers = 4, .readers = 4, .each = 20000, .own = true});
}

/* ---- large pieces ---- */

enum { LARGE_TOTAL = (64 << 20) / SLOWER, LARGE_PIECE = 100000 };

static void *write_large(void *arg)
{
	const int fd = *(int *)arg;

	for (uint64_t at = 0; at < LARGE_TOTAL;) {
		const size_t left = LARGE_TOTAL - (size_t)at;
		const size_t piece = left < LARGE_PIECE ? left : LARGE_PIECE;
		put_chunk(fd, piece, at);
		at += piece;
	}
	free(chunk_buffer());
	return NULL;
}

TEST(large_pieces_between_threads)
{
	int p[2];
	pthread_t thread;

	make_pipe(p);
	CHECK_EQ(pthread_create(&thread, NULL, write_large, &p[W]), 0);
	take_chunk(p[R], LARGE_TOTAL, 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	expect_empty(p[R]);
	drop_pipe(p);
}

/* ---- question and answer ---- */

struct duplex {
	int to[2], back[2];
};

static void *answer(void *arg)
{
	const struct duplex *d = arg;
	uint64_t number;

	while (read(d->to[R], &number, 8) == 8)
		put_number(d->back[W], number + 1);
	return NULL;
}

TEST(threads_alternate)
{
	struct duplex d;
	pthread_t thread;

	make_pipe(d.to);
	make_pipe(d.back);
	CHECK_EQ(pthread_create(&thread, NULL, answer, &d), 0);
	for (int i = 0; i < FLOW; i++) {
		put_number(d.to[W], (uint64_t)i);
		CHECK_EQ(take_number(d.back[R]), i + 1);
	}
	CHECK_OK(close(d.to[W]));
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_OK(close(d.to[R]));
	drop_pipe(d.back);
}

/* ---- pipes made and closed by many threads at once ---- */

static void *make_use_and_close(void *arg)
{
	for (uint64_t i = 0; i < 2000 / SLOWER; i++) {
		int p[2];
		make_pipe(p);
		put_number(p[W], i);
		const int r = (int)CHECK_OK(dup(p[R]));
		CHECK_OK(close(p[R]));
		CHECK_EQ(take_number(r), i);
		CHECK_OK(close(p[W]));
		expect_eof(r);
		CHECK_OK(close(r));
	}
	return arg;
}

TEST(threads_make_use_and_close_pipes_at_once)
{
	pthread_t thread[PARTIES_MAX];

	for (int i = 0; i < PARTIES_MAX; i++)
		CHECK_EQ(pthread_create(&thread[i], NULL, make_use_and_close, NULL), 0);
	for (int i = 0; i < PARTIES_MAX; i++)
		CHECK_EQ(pthread_join(thread[i], NULL), 0);
}

// The last writing thread ends with its thread: no end of file, since the descriptor is the process's.
static void *write_and_end(void *arg)
{
	send_flow(*(int *)arg, 0, SHORT_FLOW);
	return NULL;
}

TEST(end_of_a_thread_is_no_end_of_file)
{
	int p[2];
	pthread_t thread;

	make_pipe(p);
	for (int i = 0; i < 20; i++) {
		CHECK_EQ(pthread_create(&thread, NULL, write_and_end, &p[W]), 0);
		take_flow(p[R], 0, SHORT_FLOW);
		CHECK_EQ(pthread_join(thread, NULL), 0);
		expect_empty(p[R]);
	}
	drop_pipe(p);
}

static void *read_and_end(void *arg)
{
	take_flow(*(int *)arg, 0, SHORT_FLOW);
	return NULL;
}

TEST(end_of_a_reading_thread_is_no_epipe)
{
	int p[2];
	pthread_t thread;

	make_pipe(p);
	for (int i = 0; i < 20; i++) {
		CHECK_EQ(pthread_create(&thread, NULL, read_and_end, &p[R]), 0);
		send_flow(p[W], 0, SHORT_FLOW);
		CHECK_EQ(pthread_join(thread, NULL), 0);
		put(p[W], "goes on");
		expect(p[R], "goes on");
	}
	drop_pipe(p);
}

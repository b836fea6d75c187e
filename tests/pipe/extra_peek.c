// SPDX-License-Identifier: MIT
//
// tests/pipe/extra_peek.c - ph_pipe_peek and ph_pipe_consume: bytes that are read in place, in the kernel's
// pipe and in the ring; who waits for them, and what becomes of them when their holder dies or forks.
#include <posthaste/posix.h>

#include "loan.h"

/* ---- the call, on a quiet pipe ---- */

TEST(what_is_looked_at_stays_until_it_is_consumed)
{
	struct ends e = make_pipe();

	put(e.w, "hello");
	struct loan l = peek(e.r);
	expect_view(&l, "hello");
	CHECK_OK(ph_pipe_consume(e.r, 0));
	l = peek(e.r);
	expect_view(&l, "hello");
	CHECK_OK(ph_pipe_consume(e.r, 2));
	l = peek(e.r);
	expect_view(&l, "llo");
	CHECK_OK(ph_pipe_consume(e.r, 3));
	expect_empty(e.r);
	drop_pipe(e);
}

TEST(what_was_left_is_read_by_read)
{
	struct ends e = make_pipe();

	put(e.w, "hello");
	struct loan l = peek(e.r);
	CHECK_OK(ph_pipe_consume(e.r, 1));
	put(e.w, " world");
	char buf[20];
	size_t n = 0;
	while (n < 10) // in one read or two
		n += (size_t)CHECK_OK(read(e.r, buf + n, sizeof(buf) - n));
	CHECK_EQ(n, 10);
	CHECK(memcmp(buf, "ello world", 10) == 0);
	CHECK_EQ(l.bytes, 5);
	drop_pipe(e);
}

TEST(end_of_file_is_seen)
{
	struct ends e = make_pipe();
	struct loan l;

	put(e.w, "last");
	CHECK_OK(close(e.w));
	l = peek(e.r);
	expect_view(&l, "last");
	CHECK_OK(ph_pipe_consume(e.r, 4));
	for (int i = 0; i < 3; i++)
		CHECK_EQ(peek(e.r).bytes, 0);
	CHECK_OK(close(e.r));
}

TEST(errors_of_peek)
{
	struct ends e = make_pipe();
	struct loan l = {.count = 77};
	const int file = make_catch();

	CHECK_ERR(ph_pipe_peek(e.w, l.iov, &l.count), EBADF);
	CHECK_ERR(ph_pipe_peek(file, l.iov, &l.count), EBADF);
	CHECK_ERR(ph_pipe_peek(-1, l.iov, &l.count), EBADF);
	CHECK_ERR(ph_pipe_consume(e.r, 0), ESTALE);
	set_nonblock(e.r, true);
	CHECK_ERR(ph_pipe_peek(e.r, l.iov, &l.count), EAGAIN);
	CHECK_EQ(l.count, 77);
	put(e.w, "text");
	l = peek(e.r);
	struct loan m = {.count = 77};
	CHECK_ERR(ph_pipe_peek(e.r, m.iov, &m.count), EBUSY);
	CHECK_ERR(ph_pipe_consume(e.r, 5), EINVAL);
	expect_view(&l, "text");
	CHECK_OK(ph_pipe_consume(e.r, 4));
	CHECK_ERR(ph_pipe_consume(e.r, 0), ESTALE);
	CHECK_EQ(m.count, 77);
	drop_pipe(e);
	CHECK_OK(close(file));
}

static void write_later(void *arg)
{
	const struct ends *e = arg;

	put(e->w, "late");
	drop_pipe(*e);
}

struct sleeper {
	int fd;
	atomic_int tid;
	struct loan loan;
};

static void *peek_in_a_thread(void *arg)
{
	struct sleeper *s = arg;

	atomic_store(&s->tid, gettid());
	s->loan = peek(s->fd);
	CHECK_OK(ph_pipe_consume(s->fd, s->loan.bytes));
	return NULL;
}

TEST(peek_sleeps_until_something_is_written)
{
	struct ends e = make_pipe();
	struct sleeper s = {.fd = e.r};
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, peek_in_a_thread, &s), 0);
	wait_count(&s.tid, 1);
	test_wait_asleep(atomic_load(&s.tid));
	test_join(test_fork(write_later, &e));
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(s.loan.bytes, 4);
	drop_pipe(e);
}

/* ---- others ---- */

struct other {
	struct ends ends;
	atomic_int *state;
	uint64_t from, to;
};

static void meddle(void *arg)
{
	const struct other *o = arg;

	CHECK_ERR(ph_pipe_consume(o->ends.r, 1), ESTALE);
	drop_pipe(o->ends);
}

TEST(child_does_not_have_what_its_parent_looks_at)
{
	struct other o = {.ends = make_pipe()};

	put(o.ends.w, "text");
	struct loan l = peek(o.ends.r);
	test_join(test_fork(meddle, &o));
	expect_view(&l, "text");
	CHECK_OK(ph_pipe_consume(o.ends.r, 4));
	expect_empty(o.ends.r);
	drop_pipe(o.ends);
}

static void read_the_rest(void *arg)
{
	const struct other *o = arg;

	CHECK_OK(close(o->ends.w));
	atomic_store(o->state, 1);
	read_pattern(o->ends.r, o->from, o->to);
	expect_end(o->ends.r);
	CHECK_OK(close(o->ends.r));
}

// Another reader waits until the look is over, and then gets what was left.
TEST(other_reader_gets_what_was_left)
{
	for (int round = 0; round < 20; round++) {
		struct other o = {make_pipe(), share(sizeof(atomic_int)), 300, 2000};
		write_pattern(o.ends.w, 0, 1000, 1000);
		struct loan l = peek(o.ends.r);
		CHECK_EQ(l.bytes, 1000);
		pid_t pid = test_fork(read_the_rest, &o);
		wait_count(o.state, 1);
		CHECK(pattern_match(l.iov[0].iov_base, 0, l.iov[0].iov_len));
		CHECK_OK(ph_pipe_consume(o.ends.r, 300));
		write_pattern(o.ends.w, 1000, 2000, 1000);
		drop_pipe(o.ends);
		test_join(pid);
	}
}

/* ---- in full flow ---- */

static void be_writer(void *arg)
{
	be_endless_writer(arg);
}

static void look_in_full_flow(size_t most, uint64_t bytes)
{
	struct ends e = make_pipe();
	struct party p = {.ends = e, .until = make_until(), .most = most};
	pid_t pid = test_fork(be_writer, &p);
	uint64_t at = 0;

	CHECK_OK(close(e.w));
	atomic_store(p.until, bytes);
	for (unsigned turn = 0; at < bytes; turn++) {
		const struct loan l = peek(e.r);
		uint64_t seen = at;
		CHECK(l.bytes > 0);
		for (int i = 0; i < l.count; seen += l.iov[i++].iov_len)
			CHECK(pattern_match(l.iov[i].iov_base, seen, l.iov[i].iov_len));
		const size_t part = mix(turn) % (l.bytes + 1);
		CHECK_OK(ph_pipe_consume(e.r, turn % 3 ? l.bytes : part));
		at += turn % 3 ? l.bytes : part;
		if (turn % 5 == 0 && at < bytes) {
			char buf[1000];
			const ssize_t n = read(e.r, buf, sizeof(buf));
			CHECK(n > 0);
			CHECK(pattern_match(buf, at, (size_t)n));
			at += (uint64_t)n;
		}
	}
	CHECK_EQ(peek(e.r).bytes, 0);
	test_join(pid);
	CHECK_OK(close(e.r));
}

TEST(looks_in_full_flow_see_every_byte)
{
	look_in_full_flow(300, 10 * MIB);
	look_in_full_flow(5000, 40 * MIB);
	look_in_full_flow(70000, 100 * MIB);
}

static void write_in_place_all(void *arg)
{
	const struct party *p = arg;
	char buf[20000];
	uint64_t n;

	CHECK_OK(close(p->ends.r));
	for (uint64_t at = 0; at < p->to; at += n) {
		n = 1 + mix(at) % sizeof(buf);
		n = n < p->to - at ? n : p->to - at;
		pattern_fill(buf, at, n);
		n = (uint64_t)CHECK_OK(write_in_place(p->ends.w, buf, n));
	}
	CHECK_OK(close(p->ends.w));
}

TEST(both_sides_work_in_place)
{
	struct ends e = make_pipe();
	struct party p = {.ends = e, .to = 40 * MIB};
	pid_t pid = test_fork(write_in_place_all, &p);
	char buf[30000];
	uint64_t at = 0;
	ssize_t n;

	CHECK_OK(close(e.w));
	while ((n = read_in_place(e.r, buf, sizeof(buf))) > 0) {
		CHECK(pattern_match(buf, at, (size_t)n));
		at += (uint64_t)n;
	}
	CHECK_EQ(at, p.to);
	test_join(pid);
	CHECK_OK(close(e.r));
}

// Readers in place and ordinary ones share records of one size: each is read once.
enum { SHARED = 60000, SIZE = 64, READERS = 4 };

struct sharing {
	struct ends ends;
	unsigned char *seen;
	bool in_place;
};

static void share_records(void *arg)
{
	const struct sharing *s = arg;
	const struct shape shape = {.size = SIZE};
	unsigned char buf[SIZE], want[RECORD_MAX];
	uint32_t n;

	CHECK_OK(close(s->ends.w));
	while ((s->in_place ? read_whole_in_place : read)(s->ends.r, buf, SIZE) == SIZE) {
		memcpy(&n, buf + 1, sizeof(n));
		CHECK(n < SHARED);
		record_make(shape, 0, n, want);
		CHECK(memcmp(buf, want, SIZE) == 0);
		s->seen[n]++;
	}
	expect_end(s->ends.r);
	CHECK_OK(close(s->ends.r));
}

TEST(readers_in_place_and_others_share_a_stream)
{
	struct sharing s = {.ends = make_pipe(), .seen = share(SHARED)};
	pid_t pid[READERS];

	for (int i = 0; i < READERS; i++) {
		s.in_place = i % 2;
		pid[i] = test_fork(share_records, &s);
	}
	CHECK_OK(close(s.ends.r));
	CHECK(write_records(write, s.ends.w, (struct shape){.size = SIZE}, 0, SHARED));
	CHECK_OK(close(s.ends.w));
	for (int i = 0; i < READERS; i++)
		test_join(pid[i]);
	for (int n = 0; n < SHARED; n++)
		CHECK_EQ(s.seen[n], 1);
}

/* ---- death ---- */

// Reads up to some byte, looks, says so, and stays.
static void look_and_stay(void *arg)
{
	const struct other *o = arg;

	CHECK_OK(close(o->ends.w));
	if (o->from)
		read_pattern(o->ends.r, 0, o->from);
	const struct loan l = peek(o->ends.r);
	CHECK(pattern_match(l.iov[0].iov_base, o->from, l.iov[0].iov_len));
	atomic_store(o->state, 1);
	for (;;)
		pause();
}

// A look takes nothing: when its holder dies, a reader that is left gets every byte.
static void kill_a_holder(uint64_t read_before)
{
	struct other o = {make_pipe(), share(sizeof(atomic_int)), read_before, 0};
	struct party p = {.ends = o.ends, .until = make_until(), .most = 500};
	pid_t holder = test_fork(look_and_stay, &o);
	pid_t writer = test_fork(be_endless_writer, &p);

	CHECK_OK(close(o.ends.w));
	wait_count(o.state, 1);
	atomic_store(p.until, read_before + MIB);
	test_kill(holder);
	read_pattern(o.ends.r, read_before, read_before + MIB);
	expect_end(o.ends.r);
	test_join(writer);
	CHECK_OK(close(o.ends.r));
}

TEST(killed_holder_has_taken_nothing)
{
	for (int round = 0; round < 10; round++)
		kill_a_holder(0);
}

TEST(holder_killed_in_full_flow_has_taken_nothing)
{
	for (int round = 0; round < 10; round++)
		kill_a_holder(4 * MIB);
}

static void write_until_epipe(void *arg)
{
	const struct ends *e = arg;
	char buf[300] = "";

	signal(SIGPIPE, SIG_IGN);
	CHECK_OK(close(e->r));
	while (write(e->w, buf, sizeof(buf)) > 0)
		;
	CHECK_EQ(errno, EPIPE);
	CHECK_OK(close(e->w));
}

static void read_look_and_stay(void *arg)
{
	const struct other *o = arg;
	char buf[500];

	CHECK_OK(close(o->ends.w));
	for (uint64_t n = 0; n < o->from; n += sizeof(buf))
		CHECK(read(o->ends.r, buf, sizeof(buf)) > 0);
	peek(o->ends.r);
	atomic_store(o->state, 1);
	for (;;)
		pause();
}

TEST(killed_holder_who_was_the_last_reader_is_epipe)
{
	for (int round = 0; round < 10; round++) {
		struct other o = {make_pipe(), share(sizeof(atomic_int)), round % 2 ? 4 * MIB : 0, 0};
		pid_t holder = test_fork(read_look_and_stay, &o);
		pid_t writer = test_fork(write_until_epipe, &o.ends);

		drop_pipe(o.ends);
		wait_count(o.state, 1);
		test_kill(holder);
		test_join(writer);
	}
}

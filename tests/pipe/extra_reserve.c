// SPDX-License-Identifier: MIT
//
// tests/pipe/extra_reserve.c - ph_pipe_reserve and ph_pipe_commit: room that is filled in place, in the
// kernel's pipe and in the ring; who waits for it, and what becomes of it when its holder dies or forks.
#include <posthaste/posix.h>

#include "loan.h"

/* ---- the call, on a quiet pipe ---- */

TEST(what_is_committed_is_read)
{
	struct ends e = make_pipe();
	struct loan l = reserve(e.w, 5);

	loan_fill(&l, "hello", 5);
	expect_empty(e.r);
	CHECK_EQ(ph_pipe_commit(e.w, 5), 5);
	expect(e.r, "hello");
	drop_pipe(e);
}

TEST(less_than_was_reserved_may_be_committed)
{
	struct ends e = make_pipe();
	struct loan l = reserve(e.w, 4096);

	loan_fill(&l, "some", 4);
	CHECK_EQ(ph_pipe_commit(e.w, 4), 4);
	put(e.w, " more");
	expect(e.r, "some more");
	drop_pipe(e);
}

TEST(commit_of_nothing_gives_all_back)
{
	struct ends e = make_pipe();

	for (int i = 0; i < 100; i++) {
		struct loan l = reserve(e.w, 4096);
		loan_fill(&l, "garbage", 7);
		CHECK_EQ(ph_pipe_commit(e.w, 0), 0);
		expect_empty(e.r);
	}
	put(e.w, "text");
	expect(e.r, "text");
	drop_pipe(e);
}

TEST(errors_of_reserve)
{
	struct ends e = make_pipe();
	struct loan l = {.count = 77};
	const int file = make_catch();

	CHECK_ERR(ph_pipe_reserve(e.w, 0, l.iov, &l.count), EINVAL);
	CHECK_ERR(ph_pipe_reserve(e.r, 1, l.iov, &l.count), EBADF);
	CHECK_ERR(ph_pipe_reserve(file, 1, l.iov, &l.count), EBADF);
	CHECK_ERR(ph_pipe_reserve(-1, 1, l.iov, &l.count), EBADF);
	CHECK_ERR(ph_pipe_commit(e.w, 1), ESTALE);
	CHECK_ERR(ph_pipe_commit(e.w, 0), ESTALE);
	reserve(e.w, 10);
	CHECK_ERR(ph_pipe_reserve(e.w, 1, l.iov, &l.count), EBUSY);
	CHECK_ERR(ph_pipe_commit(e.w, 11), EINVAL);
	CHECK_EQ(ph_pipe_commit(e.w, 0), 0);
	CHECK_ERR(ph_pipe_commit(e.w, 0), ESTALE);
	CHECK_EQ(l.count, 77);
	expect_empty(e.r);
	drop_pipe(e);
	CHECK_OK(close(file));
}

TEST(full_pipe_has_no_room_to_reserve)
{
	struct ends e = make_pipe();
	struct loan l;
	char page[4096] = "";

	set_nonblock(e.w, true);
	while (write(e.w, page, sizeof(page)) > 0)
		;
	CHECK_ERR(ph_pipe_reserve(e.w, 1, l.iov, &l.count), EAGAIN);
	CHECK_EQ(read(e.r, page, sizeof(page)), sizeof(page));
	l = reserve(e.w, sizeof(page));
	loan_fill(&l, page, sizeof(page));
	CHECK_EQ(ph_pipe_commit(e.w, sizeof(page)), sizeof(page));
	CHECK_ERR(ph_pipe_reserve(e.w, 1, l.iov, &l.count), EAGAIN);
	drop_pipe(e);
}

TEST(more_than_an_atomic_write_is_reserved_as_far_as_there_is_room)
{
	struct ends e = make_pipe();
	const size_t size = 1 << 20;
	char *data = malloc(size), *back = malloc(size);
	uint64_t at = 0;

	CHECK(data && back);
	for (int round = 0; round < 30; round++) {
		struct loan l = reserve(e.w, size);
		pattern_fill(data, at, l.bytes);
		loan_fill(&l, data, l.bytes);
		const size_t part = l.bytes < 60000 ? l.bytes : 60000;
		CHECK_EQ(ph_pipe_commit(e.w, part), part);
		read_pattern(e.r, at, at + part);
		at += part;
	}
	free(data);
	free(back);
	drop_pipe(e);
}

TEST(commit_without_a_reader_is_epipe)
{
	struct ends e = make_pipe();

	signal(SIGPIPE, SIG_IGN);
	reserve(e.w, 10);
	CHECK_OK(close(e.r));
	CHECK_ERR(ph_pipe_commit(e.w, 10), EPIPE);
	CHECK_ERR(ph_pipe_commit(e.w, 10), ESTALE); // it is gone
	CHECK_OK(close(e.w));
}

/* ---- others ---- */

struct other {
	struct ends ends;
	atomic_int *state;
	int then;
};

static void write_text(void *arg)
{
	const struct other *o = arg;

	put(o->ends.w, "other");
	atomic_store(o->state, 1);
	drop_pipe(o->ends);
}

// Another process's write waits, or at least what it writes is not amidst the reservation.
TEST(what_others_write_meanwhile_stays_apart)
{
	for (int round = 0; round < 20; round++) {
		struct other o = {make_pipe(), share(sizeof(atomic_int)), 0};
		struct loan l = reserve(o.ends.w, 4);
		char buf[20];
		pid_t pid = test_fork(write_text, &o);

		loan_fill(&l, "mine", 4);
		CHECK_EQ(ph_pipe_commit(o.ends.w, 4), 4);
		test_join(pid);
		CHECK_EQ(read(o.ends.r, buf, sizeof(buf)), 9);
		CHECK(memcmp(buf, "mineother", 9) == 0 || memcmp(buf, "othermine", 9) == 0);
		drop_pipe(o.ends);
	}
}

static void *write_text_in_a_thread(void *arg)
{
	const struct other *o = arg;

	put(o->ends.w, "other");
	return NULL;
}

TEST(other_thread_of_the_process_writes_apart)
{
	struct other o = {.ends = make_pipe()};
	struct loan l = reserve(o.ends.w, 4);
	pthread_t thread;
	char buf[20];

	CHECK_EQ(pthread_create(&thread, NULL, write_text_in_a_thread, &o), 0);
	loan_fill(&l, "mine", 4);
	CHECK_EQ(ph_pipe_commit(o.ends.w, 4), 4);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(read(o.ends.r, buf, sizeof(buf)), 9);
	CHECK(memcmp(buf, "mineother", 9) == 0 || memcmp(buf, "othermine", 9) == 0);
	drop_pipe(o.ends);
}

static void meddle(void *arg)
{
	const struct other *o = arg;

	CHECK_ERR(ph_pipe_commit(o->ends.w, 4), ESTALE);
	drop_pipe(o->ends);
}

TEST(child_does_not_have_its_parents_reservation)
{
	struct other o = {.ends = make_pipe()};
	struct loan l = reserve(o.ends.w, 4);

	loan_fill(&l, "mine", 4);
	test_join(test_fork(meddle, &o));
	CHECK_EQ(ph_pipe_commit(o.ends.w, 4), 4);
	expect(o.ends.r, "mine");
	drop_pipe(o.ends);
}

/* ---- in full flow ---- */

// Writes records by reservation; every seventh goes by an ordinary write.
static ssize_t write_either_way(int fd, const void *data, size_t bytes)
{
	static unsigned turn;

	return (++turn % 7 ? write_in_place : write)(fd, data, bytes);
}

static void write_records_in_place(void *arg)
{
	const struct party *p = arg;

	CHECK_OK(close(p->ends.r));
	CHECK(write_records(write_either_way, p->ends.w, p->shape, p->writer, p->count));
	CHECK_OK(close(p->ends.w));
}

static void flow_in_place(unsigned own, unsigned others, unsigned strangers, uint32_t count)
{
	struct ends e = make_pipe();
	struct party p = {.ends = e, .count = count, .shape = {.size = 3000, .vary = true}};
	pid_t pid[WRITERS_MAX + 1];
	unsigned n = 0;

	p.writer = own + others + strangers;
	pid[WRITERS_MAX] = test_fork(be_record_reader, &p);
	for (; n < own + others + strangers; n++) {
		p.writer = n;
		pid[n] = test_fork(n < own            ? write_records_in_place
		                   : n < own + others ? be_record_writer
		                                      : be_raw_record_writer,
		                   &p);
	}
	drop_pipe(e);
	while (n--)
		test_join(pid[n]);
	test_join(pid[WRITERS_MAX]);
}

TEST(one_writer_reserves_in_full_flow)
{
	flow_in_place(1, 0, 0, 100000);
}

TEST(many_writers_reserve_at_the_same_time)
{
	flow_in_place(5, 0, 0, 10000);
}

TEST(writers_who_reserve_and_others_write_at_the_same_time)
{
	flow_in_place(2, 2, 0, 10000);
	flow_in_place(2, 2, 2, 10000);
}

// Bring a pipe into full flow to a child that reads, then return with the flow going on.
static pid_t start_reader(struct party *p)
{
	return test_fork(be_record_reader, p);
}

TEST(holder_in_full_flow_gives_back_and_commits_less)
{
	struct ends e = make_pipe();
	struct party p = {.ends = e, .writer = 1, .count = 60000, .shape = {.size = 800, .vary = true}};
	unsigned char record[RECORD_MAX], garbage[RECORD_MAX] = "";
	pid_t pid = start_reader(&p);

	CHECK_OK(close(e.r));
	for (uint32_t n = 0; n < p.count; n++) {
		const size_t size = record_make(p.shape, 0, n, record);
		struct loan l = reserve(e.w, 4096);
		loan_fill(&l, garbage, sizeof(garbage));
		if (n % 3 == 0) {
			CHECK_EQ(ph_pipe_commit(e.w, 0), 0);
			l = reserve(e.w, size);
		}
		loan_fill(&l, record, size);
		CHECK_EQ(ph_pipe_commit(e.w, size), size);
	}
	CHECK_OK(close(e.w));
	test_join(pid);
}

/* ---- death ---- */

// Writes some records, reserves, says so, and stays.
static void reserve_and_stay(void *arg)
{
	const struct other *o = arg;
	const struct shape shape = {.size = 64};
	unsigned char garbage[4096];

	CHECK_OK(close(o->ends.r));
	CHECK(write_records(write, o->ends.w, shape, 1, (uint32_t)o->then));
	struct loan l = reserve(o->ends.w, sizeof(garbage));
	memset(garbage, 0xee, sizeof(garbage));
	loan_fill(&l, garbage, sizeof(garbage));
	atomic_store(o->state, 1);
	for (;;)
		pause();
}

static void kill_a_holder(int records, bool by_exec_of_another)
{
	struct other o = {make_pipe(), share(sizeof(atomic_int)), records};
	struct records r = {.shape = {.size = 64}};
	pid_t holder = test_fork(reserve_and_stay, &o);
	struct party p = {.ends = o.ends, .count = 3000, .shape = r.shape};
	pid_t writer;
	unsigned char buf[64];

	while (r.next[1] < (uint32_t)records) {
		CHECK_EQ(read(o.ends.r, buf, sizeof(buf)), sizeof(buf));
		CHECK(records_feed(&r, buf, sizeof(buf)));
	}
	wait_count(o.state, 1);
	writer = by_exec_of_another ? start_peer(-1, o.ends.w, "peer", "write 0 3000 64")
	                            : test_fork(be_record_writer, &p);
	CHECK_OK(close(o.ends.w));
	test_kill(holder);
	read_records(o.ends.r, &r);
	CHECK_EQ(r.next[0], 3000);
	CHECK_EQ(r.next[1], records);
	test_join(writer);
	CHECK_OK(close(o.ends.r));
}

TEST(killed_holder_is_in_nobodys_way)
{
	for (int round = 0; round < 10; round++)
		kill_a_holder(0, round % 2);
}

TEST(holder_killed_in_full_flow_is_in_nobodys_way)
{
	for (int round = 0; round < 10; round++)
		kill_a_holder(30000, round % 2);
}

// The last writer dies with a reservation: the end of file comes, and nothing before it.
TEST(killed_holder_who_was_the_last_writer_is_the_end_of_file)
{
	for (int round = 0; round < 10; round++) {
		struct other o = {make_pipe(), share(sizeof(atomic_int)), round % 2 ? 30000 : 0};
		struct records r = {.shape = {.size = 64}};
		pid_t holder = test_fork(reserve_and_stay, &o);
		unsigned char buf[64];

		CHECK_OK(close(o.ends.w));
		while (r.next[1] < (uint32_t)o.then) {
			CHECK_EQ(read(o.ends.r, buf, sizeof(buf)), sizeof(buf));
			CHECK(records_feed(&r, buf, sizeof(buf)));
		}
		wait_count(o.state, 1);
		test_kill(holder);
		expect_end(o.ends.r);
		CHECK_OK(close(o.ends.r));
	}
}

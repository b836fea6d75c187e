// SPDX-License-Identifier: MIT
//
// tests/pipe/posix_poll.c - what poll, ppoll, select, pselect and epoll see of either end in every state,
// what wakes who sleeps in them, and all of it on pipes through which bytes have just been flowing fast.
#include "readiness.h"

/* ---- the states ---- */

TEST(readiness_follows_the_fill)
{
	int p[2];

	make_pipe(p);
	for (int round = 0; round < 3; round++) {
		expect_ready(p[R], 0);
		expect_ready(p[W], POLLOUT);
		put(p[W], "x");
		expect_ready(p[R], POLLIN);
		expect_ready(p[W], POLLOUT);
		expect(p[R], "x");
		const size_t full = fill_up(p[W], 4096, 0);
		expect_ready(p[R], POLLIN);
		expect_ready(p[W], 0);
		take_chunk(p[R], 4096, 0);
		expect_ready(p[R], POLLIN);
		expect_ready(p[W], POLLOUT);
		take_chunk(p[R], full - 4096, 4096);
	}
	drop_pipe(p);
}

TEST(end_of_file_is_pollhup_and_with_bytes_pollin_too)
{
	int p[2];

	make_pipe(p);
	put(p[W], "x");
	CHECK_OK(close(p[W]));
	expect_ready(p[R], POLLIN | POLLHUP);
	expect(p[R], "x");
	expect_ready(p[R], POLLHUP);
	expect_eof(p[R]);
	expect_ready(p[R], POLLHUP);
	CHECK_OK(close(p[R]));
}

TEST(write_end_without_a_reader_is_pollerr)
{
	int p[2];

	make_pipe(p);
	CHECK_OK(close(p[R]));
	expect_ready(p[W], POLLOUT | POLLERR);
	CHECK_OK(close(p[W]));
	make_pipe(p);
	fill_up(p[W], 4096, 0);
	CHECK_OK(close(p[R]));
	expect_ready(p[W], POLLERR);
	CHECK_OK(close(p[W]));
}

TEST(number_that_is_not_open_is_pollnval)
{
	struct pollfd p = {.fd = 777, .events = POLLIN};

	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(p.revents, POLLNVAL);
}

/* ---- on a pipe in full flow: a new one each time, since who polls may slow it down for good ---- */

struct family {
	int p[2];
	struct steps steps;
};

enum { ROUNDS = 10, LEFT = 100 };

static struct family *make_family(void)
{
	struct family *f = share(sizeof(*f));

	make_pipe(f->p);
	return f;
}

static void drop_family(struct family *f, pid_t child, int fd)
{
	test_join(child);
	CHECK_OK(close(fd));
	CHECK_OK(munmap(f, sizeof(*f)));
}

static void write_flow_and_wait(void *arg)
{
	struct family *f = arg;
	int fd = only(f->p, W);

	send_flow(fd, 0, SHORT_FLOW);
	reach_and_wait(&f->steps, 1);
}

static void see_what_a_flow_left(enum how how)
{
	struct family *f = make_family();
	pid_t pid = test_fork(write_flow_and_wait, f);
	int fd = only(f->p, R);

	take_flow(fd, 0, SHORT_FLOW - LEFT);
	wait_count(&f->steps.reached, 1);
	CHECK_EQ(ready(how, fd, NOW), POLLIN);
	take_flow(fd, SHORT_FLOW - LEFT, LEFT - 1);
	CHECK_EQ(ready(how, fd, NOW), POLLIN);
	take_flow(fd, SHORT_FLOW - 1, 1);
	CHECK_EQ(ready(how, fd, NOW), 0);
	allow(&f->steps, 1);
	CHECK_EQ(ready(how, fd, FOR_EVER), as_seen(how, POLLHUP));
	expect_eof(fd);
	drop_family(f, pid, fd);
}

// Bytes that flowed in fast and are not read yet are seen, and so is that there are no more.
TEST(bytes_left_by_a_flow_are_readable_and_then_gone)
{
	for (int i = 0; i < ROUNDS * HOWS; i++)
		see_what_a_flow_left((enum how)(i % HOWS));
}

static void write_flow_then_one(void *arg)
{
	const struct family *f = arg;
	int fd = only(f->p, W);

	send_flow(fd, 0, SHORT_FLOW);
	for (int i = 0; i < 3; i++) {
		test_wait_asleep(getppid());
		put_number(fd, 12345);
	}
	test_wait_asleep(getppid());
}

static void sleep_until_a_write(enum how how)
{
	struct family *f = make_family();
	pid_t pid = test_fork(write_flow_then_one, f);
	int fd = only(f->p, R);

	take_flow(fd, 0, SHORT_FLOW);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(ready(how, fd, FOR_EVER) & POLLIN, POLLIN);
		CHECK_EQ(take_number(fd), 12345);
	}
	CHECK_EQ(ready(how, fd, FOR_EVER), as_seen(how, POLLHUP));
	drop_family(f, pid, fd);
}

TEST(sleeper_in_poll_is_woken_by_a_write_after_full_flow)
{
	for (int i = 0; i < ROUNDS * HOWS; i++)
		sleep_until_a_write((enum how)(i % HOWS));
}

static void read_flow_then_full(void *arg)
{
	struct family *f = arg;
	int fd = only(f->p, R);

	take_flow(fd, 0, SHORT_FLOW);
	for (int i = 1; i <= 3; i++) {
		test_wait_asleep(getppid());
		take_chunk(fd, 65536, 0);
		reach(&f->steps, i);
	}
	wait_count(&f->steps.allowed, 1);
	test_wait_asleep(getppid());
}

static void sleep_until_a_read(enum how how)
{
	struct family *f = make_family();
	pid_t pid = test_fork(read_flow_then_full, f);
	int fd = only(f->p, W);

	send_flow(fd, 0, SHORT_FLOW);
	for (int i = 1; i <= 3; i++) {
		put_chunk(fd, 65536, 0);
		CHECK_EQ(ready(how, fd, FOR_EVER), POLLOUT);
		wait_count(&f->steps.reached, i);
	}
	CHECK(fill_up(fd, 4096, 0) >= 65536);
	CHECK_EQ(ready(how, fd, NOW), 0);
	allow(&f->steps, 1);
	CHECK_EQ(ready(how, fd, FOR_EVER), as_seen(how, POLLERR));
	drop_family(f, pid, fd);
}

TEST(sleeper_in_poll_is_woken_by_a_read_after_full_flow)
{
	for (int i = 0; i < ROUNDS * HOWS; i++)
		sleep_until_a_read((enum how)(i % HOWS));
}

/* ---- the end, seen by poll ---- */

static void write_for_ever(void *arg)
{
	const struct family *f = arg;
	int fd = only(f->p, W);

	for (uint64_t i = 0;; i++)
		put_number(fd, i);
}

static void read_for_ever(void *arg)
{
	const struct family *f = arg;
	int fd = only(f->p, R);

	for (;;)
		take_number(fd);
}

TEST(killed_writer_is_seen_as_pollhup)
{
	for (enum how how = 0; how < HOWS; how++) {
		for (int i = 0; i < ROUNDS; i++) {
			struct family f;
			make_pipe(f.p);
			pid_t pid = test_fork(write_for_ever, &f);
			int fd = only(f.p, R);
			take_flow(fd, 0, SHORT_FLOW);
			test_kill(pid);
			CHECK(ready(how, fd, NOW) & as_seen(how, POLLHUP));
			for (uint64_t next = SHORT_FLOW, got; read(fd, &got, 8) == 8; next++)
				CHECK_EQ(got, next);
			CHECK_EQ(ready(how, fd, NOW), as_seen(how, POLLHUP));
			CHECK_OK(close(fd));
		}
	}
}

TEST(killed_reader_is_seen_as_pollerr)
{
	ignore_sigpipe();
	for (enum how how = 0; how < HOWS; how++) {
		for (int i = 0; i < ROUNDS; i++) {
			struct family f;
			make_pipe(f.p);
			pid_t pid = test_fork(read_for_ever, &f);
			int fd = only(f.p, W);
			send_flow(fd, 0, SHORT_FLOW);
			test_kill(pid);
			CHECK(ready(how, fd, NOW) & as_seen(how, POLLERR));
			CHECK_ERR(write(fd, "x", 1), EPIPE);
			CHECK_OK(close(fd));
		}
	}
}

/* ---- who polls is neither the reader nor the writer ---- */

static void take_when_told(void *arg)
{
	struct family *f = arg;
	int fd = only(f->p, R);

	take_flow(fd, 0, SHORT_FLOW);
	reach_and_wait(&f->steps, 1);
	CHECK_EQ(take_number(fd), 12345);
}

static void poll_beside(void *arg)
{
	const struct family *f = arg;

	CHECK_EQ(ready(BY_POLL, f->p[R], FOR_EVER), POLLIN);
}

TEST(third_process_sees_by_poll_what_two_others_exchange)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct family *f = make_family();
		pid_t reader = test_fork(take_when_told, f);
		send_flow(f->p[W], 0, SHORT_FLOW);
		wait_count(&f->steps.reached, 1);
		pid_t poller = test_fork(poll_beside, f);
		CHECK_OK(close(f->p[R]));
		test_wait_asleep(poller);
		put_number(f->p[W], 12345);
		test_join(poller);
		allow(&f->steps, 1);
		drop_family(f, reader, f->p[W]);
	}
}

/* ---- poll and then read, for a whole stream ---- */

static void stream_by(enum how how)
{
	int p[2];
	struct flow flow = {p, 0, FLOW};

	make_pipe(p);
	pid_t pid = test_fork(be_flow_writer, &flow);
	int fd = only(p, R);
	for (uint64_t i = 0; i < FLOW;) {
		CHECK(ready(how, fd, FOR_EVER) & POLLIN);
		CHECK_EQ(take_number(fd), i++);
	}
	test_join(pid);
	CHECK_EQ(ready(how, fd, FOR_EVER), as_seen(how, POLLHUP));
	CHECK_OK(close(fd));
}

TEST(reader_that_polls_before_each_read_gets_the_stream)
{
	for (enum how how = 0; how < HOWS; how++)
		stream_by(how);
}

TEST(writer_that_polls_before_each_write_gets_the_stream_through)
{
	int p[2];
	struct flow flow = {p, 0, FLOW};

	make_pipe(p);
	pid_t pid = test_fork(be_flow_reader, &flow);
	int fd = only(p, W);
	set_nonblock(fd, true);
	for (uint64_t i = 0; i < FLOW;) {
		CHECK_EQ(ready(i % 2 ? BY_POLL : BY_SELECT, fd, FOR_EVER) & POLLOUT, POLLOUT);
		while (i < FLOW && write(fd, &i, 8) == 8)
			i++;
	}
	test_join(pid);
	CHECK_OK(close(fd));
}

TEST(timeout_is_kept)
{
	int p[2];
	struct pollfd entry = {.events = POLLIN};
	struct timespec before, after;

	make_pipe(p);
	flow_from_child(p, FLOW);
	entry.fd = p[R];
	CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &before));
	CHECK_EQ(poll(&entry, 1, 50), 0);
	CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &after));
	CHECK((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 >= 49);
	drop_pipe(p);
}

// SPDX-License-Identifier: MIT
//
// tests/pipe/posix_fifo_flow.c - processes that meet at a FIFO by its name: clients that come and go, many at
// either end, both directions, ends that are killed in full flow.
#include "fifo.h"

/* ---- many ---- */

enum { CLIENTS = 200 };

static void be_client(void *arg)
{
	int fd = open_fifo(O_WRONLY);

	put_number(fd, *(uint64_t *)arg);
}

// The classic server: it holds a write end itself, so that it never sees the end of file.
TEST(server_serves_clients_that_come_and_go)
{
	bool seen[CLIENTS] = {false};
	pid_t pid[CLIENTS];

	make_fifo();
	int in = open_fifo(O_RDONLY | O_NONBLOCK), keep_open = open_fifo(O_WRONLY);
	set_nonblock(in, false);
	for (uint64_t i = 0; i < CLIENTS; i++)
		pid[i] = test_fork(be_client, &i);
	for (int i = 0; i < CLIENTS; i++) {
		const uint64_t number = take_number(in);
		CHECK(number < CLIENTS && !seen[number]);
		seen[number] = true;
	}
	for (int i = 0; i < CLIENTS; i++)
		test_join(pid[i]);
	expect_empty(in);
	CHECK_OK(close(keep_open));
	expect_eof(in);
	CHECK_OK(close(in));
	drop_fifo();
}

enum { WRITERS = 6, EACH = 10000 };

static void write_numbered(void *arg)
{
	const uint64_t writer = *(uint64_t *)arg;
	int fd = open_fifo(O_WRONLY);

	send_flow(fd, writer << 32, EACH);
}

TEST(many_writers_meet_one_reader_by_name)
{
	uint64_t next[WRITERS] = {0}, got;
	pid_t pid[WRITERS];
	ssize_t n;

	make_fifo();
	for (uint64_t i = 0; i < WRITERS; i++)
		pid[i] = test_fork(write_numbered, &i);
	int both = open_fifo(O_RDWR), in = open_fifo(O_RDONLY);
	for (int left = WRITERS * EACH; left; left--) {
		got = take_number(in);
		CHECK(got >> 32 < WRITERS);
		CHECK_EQ(got & UINT32_MAX, next[got >> 32]++);
	}
	for (int i = 0; i < WRITERS; i++)
		test_join(pid[i]);
	CHECK_OK(close(both));
	n = read(in, &got, 8);
	CHECK_EQ(n, 0);
	CHECK_OK(close(in));
	drop_fifo();
}

static void take_increasing(void *arg)
{
	atomic_int *taken = arg;
	int fd = open_fifo(O_RDONLY);
	uint64_t last = 0, got;
	ssize_t n;

	while ((n = read(fd, &got, 8)) != 0) {
		CHECK_EQ(n, 8);
		CHECK(got > last);
		last = got;
		atomic_fetch_add(taken, 1);
	}
}

TEST(many_readers_meet_one_writer_by_name)
{
	atomic_int *taken = share(sizeof(*taken));
	pid_t pid[WRITERS];

	make_fifo();
	for (int i = 0; i < WRITERS; i++)
		pid[i] = test_fork(take_increasing, taken);
	for (int i = 0; i < WRITERS; i++)
		test_wait_asleep(pid[i]);
	int out = open_fifo(O_WRONLY);
	send_flow(out, 1, 2 * FLOW);
	CHECK_OK(close(out));
	for (int i = 0; i < WRITERS; i++)
		test_join(pid[i]);
	CHECK_EQ(atomic_load(taken), 2 * FLOW);
	drop_fifo();
}

/* ---- O_RDWR between processes ---- */

static void answer_by_name(void *arg)
{
	int in = open_fifo(O_RDWR);

	(void)arg;
	strcpy(fifo_path, in_dir("back"));
	int out = open_fifo(O_RDWR);
	for (int i = 0; i < SHORT_FLOW; i++)
		put_number(out, take_number(in) + 1);
}

TEST(question_and_answer_by_two_fifos_opened_for_both)
{
	make_fifo();
	int out = open_fifo(O_RDWR);
	CHECK_OK(mkfifo(in_dir("back"), 0600));
	int in = (int)CHECK_OK(open(in_dir("back"), O_RDWR));
	pid_t pid = test_fork(answer_by_name, NULL);
	for (int i = 0; i < SHORT_FLOW; i++) {
		put_number(out, (uint64_t)i);
		CHECK_EQ(take_number(in), i + 1);
	}
	test_join(pid);
	CHECK_OK(close(in));
	CHECK_OK(close(out));
	CHECK_OK(unlink(in_dir("back")));
	drop_fifo();
}

/* ---- killed in full flow ---- */

static void read_for_ever(void *arg)
{
	int fd = open_fifo(O_RDONLY);

	(void)arg;
	for (;;)
		take_number(fd);
}

TEST(first_write_after_waitpid_of_the_killed_reader_is_epipe)
{
	ignore_sigpipe();
	make_fifo();
	for (int i = 0; i < 50; i++) {
		pid_t pid = test_fork(read_for_ever, NULL);
		int out = open_fifo(O_WRONLY);
		send_flow(out, 0, SHORT_FLOW + i * 7);
		test_kill(pid);
		CHECK_ERR(write(out, "x", 1), EPIPE);
		CHECK_OK(close(out));
	}
	drop_fifo();
}

static void write_for_ever(void *arg)
{
	int fd = open_fifo(O_WRONLY);

	(void)arg;
	for (uint64_t i = 0;; i++)
		put_number(fd, i);
}

TEST(killed_writer_leaves_whole_records_and_the_end_of_file)
{
	make_fifo();
	for (int i = 0; i < 50; i++) {
		pid_t pid = test_fork(write_for_ever, NULL);
		int in = open_fifo(O_RDONLY);
		uint64_t next = SHORT_FLOW + (uint64_t)i * 7, got;
		take_flow(in, 0, (int)next);
		test_kill(pid);
		while (read(in, &got, 8) == 8)
			CHECK_EQ(got, next++);
		expect_eof(in);
		CHECK_OK(close(in));
	}
	drop_fifo();
}

// SPDX-License-Identifier: MIT
//
// tests/pipe/posix_killed.c - kill -9 in full flow: as soon as waitpid has returned, the first write gives
// EPIPE if the killed one was the last reader, and what a killed writer has put in is whole and is followed
// by the end of file if he was the last. Survivors go on with their peers.
#include "ends.h"

enum { ROUNDS = 50 };

struct pair {
	int p[2], q[2];
	size_t bytes;
	struct steps steps;
};

static void read_for_ever(void *arg)
{
	const struct pair *pair = arg;
	char *buf = chunk_buffer();
	int fd = only(pair->p, R);

	for (;;)
		if (CHECK_OK(read(fd, buf, pair->bytes)) == 0)
			return;
}

static void write_for_ever(void *arg)
{
	const struct pair *pair = arg;
	char *buf = chunk_buffer();
	int fd = only(pair->p, W);

	memset(buf, 'x', pair->bytes);
	for (;;)
		CHECK_EQ(write(fd, buf, pair->bytes), pair->bytes);
}

static int records_of(size_t bytes, int round)
{
	return (int)((bytes < 4096 ? SHORT_FLOW : bytes < 65536 ? SHORT_FLOW / 10 : 40)) + round * 7;
}

static void write_records(int fd, size_t bytes, int count)
{
	char *buf = chunk_buffer();

	memset(buf, 'x', bytes);
	for (int i = 0; i < count; i++)
		CHECK_EQ(write(fd, buf, bytes), bytes);
}

/* ---- the only reader ---- */

static void kill_the_reader(size_t bytes)
{
	ignore_sigpipe();
	for (int round = 0; round < ROUNDS; round++) {
		struct pair pair = {.bytes = bytes};
		make_pipe(pair.p);
		pid_t pid = test_fork(read_for_ever, &pair);
		CHECK_OK(close(pair.p[R]));
		write_records(pair.p[W], bytes, records_of(bytes, round));
		test_kill(pid);
		CHECK_ERR(write(pair.p[W], "x", 1), EPIPE);
		CHECK_OK(close(pair.p[W]));
	}
}

TEST(first_write_after_waitpid_of_the_killed_reader_is_epipe)
{
	kill_the_reader(8);
}

TEST(first_write_after_waitpid_of_a_killed_reader_of_pages_is_epipe)
{
	kill_the_reader(4096);
}

TEST(first_write_after_waitpid_of_a_killed_reader_of_much_is_epipe)
{
	kill_the_reader(100000);
}

TEST(large_first_write_after_waitpid_of_the_killed_reader_is_epipe)
{
	ignore_sigpipe();
	for (int round = 0; round < ROUNDS; round++) {
		struct pair pair = {.bytes = 64};
		make_pipe(pair.p);
		pid_t pid = test_fork(read_for_ever, &pair);
		CHECK_OK(close(pair.p[R]));
		write_records(pair.p[W], 64, records_of(64, round));
		test_kill(pid);
		CHECK_ERR(write(pair.p[W], chunk_buffer(), 300000), EPIPE);
		CHECK_OK(close(pair.p[W]));
	}
}

// The writer is a child that is told of the death by a word in shared memory, not by its own waitpid.
static void write_until_told(void *arg)
{
	struct pair *pair = arg;
	int fd = only(pair->p, W);

	ignore_sigpipe();
	write_records(fd, 8, SHORT_FLOW);
	reach_and_wait(&pair->steps, 1);
	CHECK_ERR(write(fd, "x", 1), EPIPE);
}

TEST(writer_that_is_told_of_the_readers_death_gets_epipe)
{
	for (int round = 0; round < ROUNDS; round++) {
		struct pair *pair = share(sizeof(*pair));
		pair->bytes = 8;
		make_pipe(pair->p);
		pid_t reader = test_fork(read_for_ever, pair);
		pid_t writer = test_fork(write_until_told, pair);
		drop_pipe(pair->p);
		wait_count(&pair->steps.reached, 1);
		test_kill(reader);
		allow(&pair->steps, 1);
		test_join(writer);
		CHECK_OK(munmap(pair, sizeof(*pair)));
	}
}

static void stop_reading(void *arg)
{
	struct pair *pair = arg;
	int fd = only(pair->p, R);

	for (int i = 0; i < SHORT_FLOW; i++)
		take_number(fd);
	reach(&pair->steps, 1);
	sleep_for_ever();
}

// Page after page, to the first error.
static void *work_write_on(void *arg)
{
	struct worker *w = arg;
	ssize_t n;

	memset(w->buf, 'x', w->bytes);
	at_the_call(w);
	do
		n = write(w->fd, w->buf, w->bytes);
	while (n == (ssize_t)w->bytes);
	keep(w, n);
	return NULL;
}

TEST(writer_asleep_on_the_full_pipe_gets_epipe_when_the_reader_is_killed)
{
	ignore_sigpipe();
	for (int round = 0; round < ROUNDS; round++) {
		struct pair *pair = share(sizeof(*pair));
		struct worker w = {0};
		make_pipe(pair->p);
		pid_t pid = test_fork(stop_reading, pair);
		CHECK_OK(close(pair->p[R]));
		send_flow(pair->p[W], 0, SHORT_FLOW);
		wait_count(&pair->steps.reached, 1);
		fill_up(pair->p[W], 4096, 0);
		start_and_block(&w, work_write_on, pair->p[W], 4096);
		test_kill(pid);
		finish(&w);
		CHECK_EQ(w.result, -1);
		CHECK_EQ(w.error, EPIPE);
		CHECK_OK(close(pair->p[W]));
		CHECK_OK(munmap(pair, sizeof(*pair)));
	}
}

/* ---- the only writer ---- */

// The rest of what a killed writer of records has written, to the end: whole records only.
static void drain_records(int fd, size_t bytes)
{
	char *buf = chunk_buffer();
	size_t sum = 0;

	for (ssize_t n; (n = read(fd, buf, CHUNK_MAX)) != 0; sum += (size_t)n)
		CHECK_OK(n);
	CHECK_EQ(sum % bytes, 0);
	expect_eof(fd);
}

static void kill_the_writer(size_t bytes)
{
	char *buf = chunk_buffer();

	for (int round = 0; round < ROUNDS; round++) {
		struct pair pair = {.bytes = bytes};
		make_pipe(pair.p);
		pid_t pid = test_fork(write_for_ever, &pair);
		CHECK_OK(close(pair.p[W]));
		for (int i = 0; i < records_of(bytes, round); i++)
			CHECK_EQ(read(pair.p[R], buf, bytes), bytes);
		test_kill(pid);
		drain_records(pair.p[R], bytes);
		CHECK_OK(close(pair.p[R]));
	}
}

TEST(killed_writer_leaves_whole_records_and_the_end_of_file)
{
	kill_the_writer(8);
	kill_the_writer(72);
}

TEST(killed_writer_of_pages_leaves_whole_pages_and_the_end_of_file)
{
	kill_the_writer(4096);
}

static void number_for_ever(void *arg)
{
	const struct pair *pair = arg;
	int fd = only(pair->p, W), told = only(pair->q, W);

	for (uint64_t i = 0;; i++) {
		put_number(fd, i);
		if (i % 1000 == 0)
			put_number(told, i);
	}
}

// What a write has returned for is read, although its writer is dead.
TEST(what_a_killed_writer_has_reported_as_written_is_there)
{
	for (int round = 0; round < ROUNDS; round++) {
		struct pair pair = {.bytes = 8};
		uint64_t number = 0, reported = 0, buf;
		make_pipe(pair.p);
		make_pipe(pair.q);
		pid_t pid = test_fork(number_for_ever, &pair);
		CHECK_OK(close(pair.p[W]));
		CHECK_OK(close(pair.q[W]));
		for (; number < (uint64_t)SHORT_FLOW + 100; number++)
			CHECK_EQ(take_number(pair.p[R]), number);
		test_kill(pid);
		while (read(pair.q[R], &buf, 8) == 8)
			reported = buf;
		for (; read(pair.p[R], &buf, 8) == 8; number++)
			CHECK_EQ(buf, number);
		CHECK(number > reported);
		CHECK_OK(close(pair.p[R]));
		CHECK_OK(close(pair.q[R]));
	}
}

/* ---- one of several ---- */

// The survivor reads records in increasing order, to the end; what the killed one had is missing.
static void read_increasing(void *arg)
{
	const struct pair *pair = arg;
	int fd = only(pair->p, R);
	uint64_t last = 0, got;
	ssize_t n;

	while ((n = read(fd, &got, 8)) != 0) {
		CHECK_EQ(n, 8);
		CHECK(got > last);
		last = got;
	}
	CHECK_EQ(last, (uint64_t)2 * SHORT_FLOW);
}

TEST(killed_reader_leaves_the_pipe_to_the_other_reader)
{
	for (int round = 0; round < ROUNDS; round++) {
		struct pair pair = {.bytes = 8};
		make_pipe(pair.p);
		pid_t victim = test_fork(read_for_ever, &pair);
		pid_t survivor = test_fork(read_increasing, &pair);
		CHECK_OK(close(pair.p[R]));
		send_flow(pair.p[W], 1, SHORT_FLOW);
		test_kill(victim);
		send_flow(pair.p[W], 1 + SHORT_FLOW, SHORT_FLOW);
		CHECK_OK(close(pair.p[W]));
		test_join(survivor);
	}
}

TEST(killed_writer_leaves_the_pipe_to_the_other_writer)
{
	for (int round = 0; round < ROUNDS; round++) {
		struct pair pair = {.bytes = 8};
		int marks = 0;
		char buf[8];
		make_pipe(pair.p);
		pid_t victim = test_fork(write_for_ever, &pair);
		for (int i = 0; i < SHORT_FLOW; i++)
			CHECK_EQ(read(pair.p[R], buf, 8), 8);
		test_kill(victim);
		for (int i = 0; i < 10; i++) {
			while (available(pair.p[R]) > 32768)
				CHECK_EQ(read(pair.p[R], buf, 8), 8);
			put(pair.p[W], "survivor");
		}
		while (marks < 10) {
			CHECK_EQ(read(pair.p[R], buf, 8), 8);
			bool mark = memcmp(buf, "survivor", 8) == 0;
			CHECK(mark || (marks == 0 && memcmp(buf, "xxxxxxxx", 8) == 0));
			marks += mark;
		}
		expect_empty(pair.p[R]);
		drop_pipe(pair.p);
	}
}

TEST(all_readers_killed_at_once_is_epipe)
{
	ignore_sigpipe();
	for (int round = 0; round < ROUNDS; round++) {
		struct pair pair = {.bytes = 8};
		pid_t pid[3];
		make_pipe(pair.p);
		for (int i = 0; i < 3; i++)
			pid[i] = test_fork(read_for_ever, &pair);
		CHECK_OK(close(pair.p[R]));
		send_flow(pair.p[W], 0, SHORT_FLOW);
		for (int i = 0; i < 3; i++)
			test_kill(pid[i]);
		CHECK_ERR(write(pair.p[W], "x", 1), EPIPE);
		CHECK_OK(close(pair.p[W]));
	}
}

/* ---- stopped, not dead ---- */

static bool is_stopped(void *arg)
{
	siginfo_t info = {0};

	return waitid(P_PID, (id_t) * (pid_t *)arg, &info, WSTOPPED | WNOHANG) == 0 && info.si_pid;
}

static void stop(pid_t pid)
{
	CHECK_OK(kill(pid, SIGSTOP));
	test_wait_until(is_stopped, &pid);
}

TEST(writer_sleeps_while_the_reader_is_stopped_and_goes_on_with_him)
{
	struct pair pair = {.bytes = 8};
	struct worker w = {0};

	make_pipe(pair.p);
	pid_t pid = test_fork(read_for_ever, &pair);
	CHECK_OK(close(pair.p[R]));
	for (int round = 0; round < 20; round++) {
		send_flow(pair.p[W], 0, SHORT_FLOW);
		stop(pid);
		start_and_block(&w, work_write, pair.p[W], 4 * 65536);
		CHECK_EQ(atomic_load(&w.done), 0);
		CHECK_OK(kill(pid, SIGCONT));
		finish(&w);
		CHECK_EQ(w.result, 4 * 65536);
	}
	CHECK_OK(close(pair.p[W]));
	test_join(pid);
}

TEST(reader_that_is_killed_while_stopped_is_gone_too)
{
	ignore_sigpipe();
	for (int round = 0; round < ROUNDS; round++) {
		struct pair pair = {.bytes = 8};
		make_pipe(pair.p);
		pid_t pid = test_fork(read_for_ever, &pair);
		CHECK_OK(close(pair.p[R]));
		send_flow(pair.p[W], 0, SHORT_FLOW);
		stop(pid);
		test_kill(pid);
		CHECK_ERR(write(pair.p[W], "x", 1), EPIPE);
		CHECK_OK(close(pair.p[W]));
	}
}

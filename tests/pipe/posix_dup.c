// SPDX-License-Identifier: MIT
//
// tests/pipe/posix_dup.c - duplicates: the same end under another number; a number that is duplicated onto
// closes what it was, which may be the last end of another pipe; standard input and output.
#include "ends.h"

TEST(duplicate_has_the_lowest_free_number_and_no_cloexec)
{
	int p[2];

	CHECK_OK(pipe2(p, O_CLOEXEC));
	int second = (int)CHECK_OK(dup(p[R]));
	CHECK_EQ(second, p[W] + 1);
	CHECK_EQ(fcntl(second, F_GETFD), 0);
	CHECK_EQ(fcntl(p[R], F_GETFD), FD_CLOEXEC);
	CHECK_OK(close(second));
	drop_pipe(p);
}

TEST(both_numbers_reach_the_same_bytes)
{
	int p[2];

	make_pipe(p);
	int r = (int)CHECK_OK(dup(p[R])), w = (int)CHECK_OK(dup(p[W]));
	put(p[W], "ab");
	put(w, "cd");
	expect(r, "a");
	expect(p[R], "bc");
	expect(r, "d");
	CHECK_OK(close(r));
	CHECK_OK(close(w));
	drop_pipe(p);
}

TEST(dup2_takes_a_free_number)
{
	int p[2];

	make_pipe(p);
	CHECK_EQ(dup2(p[R], 300), 300);
	CHECK_EQ(fcntl(300, F_GETFD), 0);
	put(p[W], "there");
	expect(300, "there");
	CHECK_OK(close(300));
	drop_pipe(p);
}

TEST(dup2_onto_itself_changes_nothing)
{
	int p[2];

	CHECK_OK(pipe2(p, O_CLOEXEC));
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(dup2(p[R], p[R]), p[R]);
		CHECK_EQ(dup2(p[W], p[W]), p[W]);
	}
	CHECK_EQ(fcntl(p[R], F_GETFD), FD_CLOEXEC);
	put(p[W], "same");
	expect(p[R], "same");
	drop_pipe(p);
}

TEST(dup3_sets_cloexec_and_refuses_itself)
{
	int p[2];

	make_pipe(p);
	CHECK_EQ(dup3(p[R], 300, O_CLOEXEC), 300);
	CHECK_EQ(fcntl(300, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(dup3(p[R], 300, 0), 300);
	CHECK_EQ(fcntl(300, F_GETFD), 0);
	CHECK_ERR(dup3(p[R], p[R], 0), EINVAL);
	CHECK_ERR(dup3(p[R], 301, O_NONBLOCK), EINVAL);
	CHECK_ERR(fcntl(301, F_GETFD), EBADF);
	CHECK_OK(close(300));
	drop_pipe(p);
}

TEST(failed_duplicates_leave_the_target_open)
{
	int p[2];

	make_pipe(p);
	CHECK_ERR(dup(-1), EBADF);
	CHECK_ERR(dup2(-1, p[R]), EBADF);
	CHECK_ERR(dup2(333, p[R]), EBADF);
	CHECK_ERR(dup2(p[R], -1), EBADF);
	CHECK_ERR(dup3(333, p[R], 0), EBADF);
	put(p[W], "open");
	expect(p[R], "open");
	drop_pipe(p);
}

/* ---- onto the end of another pipe ---- */

TEST(duplicating_onto_the_last_write_end_ends_that_pipe)
{
	int p[2], q[2];

	make_pipe(p);
	make_pipe(q);
	put(q[W], "rest");
	CHECK_EQ(dup2(p[W], q[W]), q[W]);
	expect(q[R], "rest");
	expect_eof(q[R]);
	put(q[W], "into p");
	expect(p[R], "into p");
	drop_pipe(p);
	drop_pipe(q);
}

TEST(duplicating_onto_the_last_read_end_breaks_that_pipe)
{
	int p[2], q[2];

	ignore_sigpipe();
	make_pipe(p);
	make_pipe(q);
	CHECK_EQ(dup2(p[R], q[R]), q[R]);
	CHECK_ERR(write(q[W], "x", 1), EPIPE);
	put(p[W], "from p");
	expect(q[R], "from p");
	drop_pipe(p);
	drop_pipe(q);
}

TEST(duplicating_one_end_onto_the_other_of_the_same_pipe)
{
	int p[2];

	ignore_sigpipe();
	make_pipe(p);
	put(p[W], "rest");
	CHECK_EQ(dup2(p[R], p[W]), p[W]);
	CHECK_ERR(write(p[W], "x", 1), EBADF);
	expect(p[W], "rest");
	expect_eof(p[R]);
	drop_pipe(p);
}

// A number that is one pipe's, then another's, in full flow each time.
TEST(number_changes_its_pipe_after_full_flow)
{
	int p[2], q[2];

	make_pipe(p);
	flow_from_child(p, SHORT_FLOW);
	for (int i = 0; i < 20; i++) {
		make_pipe(q);
		flow_from_child(q, SHORT_FLOW);
		put(q[W], "q's");
		CHECK_EQ(dup2(q[R], p[R]), p[R]);
		CHECK_EQ(dup2(q[W], p[W]), p[W]);
		drop_pipe(q);
		expect(p[R], "q's");
		flow_to_child(p, SHORT_FLOW);
		expect_empty(p[R]);
	}
	drop_pipe(p);
}

TEST(number_is_a_file_after_it_was_a_pipe)
{
	char c;

	for (int i = 0; i < 20; i++) {
		int p[2];
		make_pipe(p);
		flow_from_child(p, SHORT_FLOW);
		CHECK_OK(close(p[R]));
		int file = open("/dev/zero", O_RDONLY);
		CHECK_EQ(file, p[R]);
		CHECK_EQ(read(file, &c, 1), 1);
		CHECK_EQ(c, 0);
		CHECK_OK(close(file));
		CHECK_OK(close(p[W]));
	}
}

/* ---- a descriptor moves while its peer streams ---- */

TEST(reader_moves_from_number_to_number_in_full_flow)
{
	int p[2], fd;
	struct flow flow = {p, 0, FLOW};

	make_pipe(p);
	pid_t pid = test_fork(be_flow_writer, &flow);
	CHECK_OK(close(p[W]));
	fd = p[R];
	for (uint64_t i = 0; i < FLOW; i++) {
		CHECK_EQ(take_number(fd), i);
		if (i % 100 == 0) {
			int next = 100 + (int)(i / 100 % 7);
			CHECK_EQ(dup2(fd, next), next);
			if (next != fd)
				CHECK_OK(close(fd));
			fd = next;
		}
	}
	expect_eof(fd);
	CHECK_OK(close(fd));
	test_join(pid);
}

TEST(reader_reads_by_many_numbers_in_full_flow)
{
	int p[2], fd[8];
	struct flow flow = {p, 0, FLOW};

	make_pipe(p);
	pid_t pid = test_fork(be_flow_writer, &flow);
	CHECK_OK(close(p[W]));
	for (int i = 0; i < 8; i++)
		fd[i] = (int)CHECK_OK(dup(p[R]));
	for (uint64_t i = 0; i < FLOW; i++)
		CHECK_EQ(take_number(fd[i % 8]), i);
	for (int i = 0; i < 8; i++)
		CHECK_OK(close(fd[i]));
	expect_eof(p[R]);
	CHECK_OK(close(p[R]));
	test_join(pid);
}

/* ---- standard input and output ---- */

struct plumbing {
	int in[2], out[2];
};

static void double_all_numbers(void *arg)
{
	const struct plumbing *pl = arg;
	uint64_t number;
	ssize_t n;

	CHECK_EQ(dup2(pl->in[R], 0), 0);
	CHECK_EQ(dup2(pl->out[W], 1), 1);
	drop_pipe(pl->in);
	drop_pipe(pl->out);
	while ((n = read(0, &number, 8)) != 0) {
		CHECK_EQ(n, 8);
		put_number(1, number * 2);
	}
}

static void feed_numbers(void *arg)
{
	const struct plumbing *pl = arg;

	drop_pipe(pl->out);
	send_flow(only(pl->in, W), 0, FLOW);
}

TEST(ends_work_as_standard_input_and_output)
{
	struct plumbing pl;

	make_pipe(pl.in);
	make_pipe(pl.out);
	pid_t filter = test_fork(double_all_numbers, &pl);
	pid_t source = test_fork(feed_numbers, &pl);
	drop_pipe(pl.in);
	CHECK_OK(close(pl.out[W]));
	for (uint64_t i = 0; i < FLOW; i++)
		CHECK_EQ(take_number(pl.out[R]), i * 2);
	expect_eof(pl.out[R]);
	test_join(filter);
	test_join(source);
	CHECK_OK(close(pl.out[R]));
}

static void stream_by_numbers_0_and_1(void *arg)
{
	const struct plumbing *pl = arg;

	for (int i = 0; i < 10; i++) {
		int saved = (int)CHECK_OK(dup(1));
		CHECK_EQ(dup2(pl->out[W], 1), 1);
		send_flow(1, 0, SHORT_FLOW);
		CHECK_EQ(dup2(saved, 1), 1);
		CHECK_OK(close(saved));
	}
}

// What a shell's builtin does: number 1 is the pipe for a while and then what it was.
TEST(number_1_is_a_pipe_for_a_while_and_then_what_it_was)
{
	struct plumbing pl = {{-1, -1}, {-1, -1}};
	struct stat before, after;

	make_pipe(pl.out);
	CHECK_OK(fstat(1, &before));
	pid_t pid = test_fork(stream_by_numbers_0_and_1, &pl);
	for (int i = 0; i < 10; i++)
		take_flow(pl.out[R], 0, SHORT_FLOW);
	test_join(pid);
	CHECK_OK(fstat(1, &after));
	CHECK(before.st_ino == after.st_ino && before.st_dev == after.st_dev);
	drop_pipe(pl.out);
}

/* ---- many descriptors ---- */

TEST(many_pipes_at_once)
{
	enum { PIPES = 200 };
	static int p[PIPES][2];

	for (int i = 0; i < PIPES; i++)
		make_pipe(p[i]);
	for (int round = 0; round < 20; round++) {
		for (uint64_t i = 0; i < PIPES; i++)
			put_number(p[i][W], i);
		for (uint64_t i = PIPES; i-- > 0;)
			CHECK_EQ(take_number(p[i][R]), i);
	}
	for (int i = 0; i < PIPES; i++)
		drop_pipe(p[i]);
}

TEST(pipes_come_and_go)
{
	for (uint64_t i = 0; i < 3000; i++) {
		int p[2];
		make_pipe(p);
		put_number(p[W], i);
		if (i % 2)
			CHECK_EQ(take_number(p[R]), i);
		drop_pipe(p);
	}
}

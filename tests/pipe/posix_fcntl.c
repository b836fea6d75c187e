// SPDX-License-Identifier: MIT
//
// tests/pipe/posix_fcntl.c - what can be asked of a pipe and set: the status flags, the flags of a
// descriptor, duplicates by fcntl, the size with bytes inside, FIONREAD in every state, fstat.
#include "ends.h"

/* ---- status flags ---- */

TEST(getfl_tells_the_access_mode_and_setfl_does_not_change_it)
{
	int p[2];

	make_pipe(p);
	CHECK_EQ(fcntl(p[R], F_GETFL) & O_ACCMODE, O_RDONLY);
	CHECK_OK(fcntl(p[R], F_SETFL, O_RDWR | O_NONBLOCK));
	CHECK_EQ(fcntl(p[R], F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY | O_NONBLOCK);
	CHECK_OK(fcntl(p[W], F_SETFL, O_NONBLOCK));
	CHECK_EQ(fcntl(p[W], F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_WRONLY | O_NONBLOCK);
	CHECK_OK(fcntl(p[W], F_SETFL, 0));
	CHECK_EQ(fcntl(p[W], F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_WRONLY);
	drop_pipe(p);
}

/* ---- flags of the descriptor ---- */

TEST(descriptor_flags_are_not_shared_by_duplicates)
{
	int p[2];

	make_pipe(p);
	int second = (int)CHECK_OK(dup(p[R]));
	CHECK_EQ(fcntl(second, F_GETFD), 0);
	CHECK_OK(fcntl(second, F_SETFD, FD_CLOEXEC));
	CHECK_EQ(fcntl(second, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(p[R], F_GETFD), 0);
	CHECK_OK(fcntl(second, F_SETFD, 0));
	CHECK_EQ(fcntl(second, F_GETFD), 0);
	CHECK_OK(close(second));
	drop_pipe(p);
}

TEST(dupfd_takes_the_lowest_number_from_the_given_one)
{
	int p[2];

	make_pipe(p);
	CHECK_OK(fcntl(p[R], F_SETFD, FD_CLOEXEC));
	CHECK_EQ(fcntl(p[R], F_DUPFD, 200), 200);
	CHECK_EQ(fcntl(p[W], F_DUPFD, 200), 201);
	CHECK_EQ(fcntl(p[W], F_DUPFD_CLOEXEC, 200), 202);
	CHECK_EQ(fcntl(200, F_GETFD), 0);
	CHECK_EQ(fcntl(202, F_GETFD), FD_CLOEXEC);
	drop_pipe(p);
	put(201, "by another number");
	expect(200, "by another number");
	CHECK_OK(close(201));
	expect_empty(200);
	CHECK_OK(close(202));
	expect_eof(200);
	CHECK_OK(close(200));
}

TEST(dupfd_out_of_range_is_einval)
{
	int p[2];

	make_pipe(p);
	CHECK_ERR(fcntl(p[R], F_DUPFD, -1), EINVAL);
	CHECK_ERR(fcntl(p[R], F_DUPFD, 1 << 30), EINVAL);
	CHECK_ERR(fcntl(p[R], F_DUPFD_CLOEXEC, -1), EINVAL);
	drop_pipe(p);
}

/* ---- size ---- */

TEST(default_size_is_sixteen_pages)
{
	int p[2];

	make_pipe(p);
	CHECK_EQ(fcntl(p[R], F_GETPIPE_SZ), 65536);
	CHECK_EQ(fcntl(p[W], F_GETPIPE_SZ), 65536);
	drop_pipe(p);
}

TEST(size_is_rounded_up_to_a_power_of_two_of_pages)
{
	const int wanted[][2] = {{1, 4096},      {4096, 4096},     {4097, 8192},
	                         {10000, 16384}, {100000, 131072}, {1 << 20, 1 << 20}};
	int p[2];

	make_pipe(p);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		CHECK_EQ(fcntl(p[i % 2], F_SETPIPE_SZ, wanted[i][0]), wanted[i][1]);
		CHECK_EQ(capacity(p[R]), wanted[i][1]);
		CHECK_EQ(capacity(p[W]), wanted[i][1]);
		CHECK_EQ(fill_up(p[W], 4096, 0), wanted[i][1]);
		CHECK_EQ(available(p[R]), wanted[i][1]);
		take_chunk(p[R], (size_t)wanted[i][1], 0);
	}
	drop_pipe(p);
}

TEST(bytes_stay_when_the_size_grows)
{
	int p[2];

	make_pipe(p);
	const size_t full = fill_up(p[W], 4096, 0);
	CHECK_EQ(fcntl(p[W], F_SETPIPE_SZ, 4 * full), 4 * full);
	CHECK_EQ(available(p[R]), full);
	CHECK_EQ(fill_up(p[W], 4096, full), 3 * full);
	take_chunk(p[R], 4 * full, 0);
	drop_pipe(p);
}

TEST(bytes_stay_when_the_size_shrinks_and_they_fit)
{
	int p[2];

	make_pipe(p);
	put_chunk(p[W], 8192, 0);
	CHECK_EQ(fcntl(p[W], F_SETPIPE_SZ, 8192), 8192);
	CHECK_EQ(available(p[R]), 8192);
	set_nonblock(p[W], true);
	CHECK_ERR(write(p[W], "x", 1), EAGAIN);
	take_chunk(p[R], 8192, 0);
	drop_pipe(p);
}

TEST(shrinking_below_what_is_inside_is_ebusy)
{
	int p[2];

	make_pipe(p);
	put_chunk(p[W], 8193, 0);
	CHECK_ERR(fcntl(p[W], F_SETPIPE_SZ, 8192), EBUSY);
	CHECK_EQ(capacity(p[W]), 65536);
	take_chunk(p[R], 8193, 0);
	CHECK_EQ(fcntl(p[W], F_SETPIPE_SZ, 8192), 8192);
	drop_pipe(p);
}

TEST(growing_wakes_a_sleeping_writer)
{
	int p[2];
	struct worker w = {0};

	make_pipe(p);
	const size_t full = fill_up(p[W], 4096, 0);
	w.position = full;
	start_and_block(&w, work_write, p[W], full);
	CHECK_OK(fcntl(p[R], F_SETPIPE_SZ, 2 * full));
	finish(&w);
	CHECK_EQ(w.result, full);
	take_chunk(p[R], 2 * full, 0);
	drop_pipe(p);
}

struct peer {
	int p[2];
	struct steps steps;
};

static void write_at_all_sizes(void *arg)
{
	struct peer *peer = arg;
	int fd = only(peer->p, W);

	for (int i = 1; i <= 9; i++) {
		send_flow(fd, 0, SHORT_FLOW);
		put_chunk(fd, 500000, 0);
		reach_and_wait(&peer->steps, 2 * i - 1);
		CHECK_EQ(fill_up(fd, 64, 0), 4096u << (i - 1));
		reach_and_wait(&peer->steps, 2 * i);
	}
}

// Each time the two have been in full flow; the size is exact again.
TEST(size_may_change_between_flows)
{
	struct peer *peer = share(sizeof(*peer));

	make_pipe(peer->p);
	pid_t pid = test_fork(write_at_all_sizes, peer);
	int fd = only(peer->p, R);
	for (int i = 1; i <= 9; i++) {
		const size_t size = 4096u << (i - 1);
		take_flow(fd, 0, SHORT_FLOW);
		take_chunk(fd, 500000, 0);
		wait_count(&peer->steps.reached, 2 * i - 1);
		CHECK_EQ(fcntl(fd, F_SETPIPE_SZ, size), size);
		allow(&peer->steps, 2 * i - 1);
		wait_count(&peer->steps.reached, 2 * i);
		CHECK_EQ(available(fd), size);
		take_chunk(fd, size, 0);
		allow(&peer->steps, 2 * i);
	}
	test_join(pid);
	expect_eof(fd);
	CHECK_OK(close(fd));
}

static void write_through(void *arg)
{
	const int *p = arg;
	int fd = only(p, W);

	for (uint64_t at = 0; at < 40u << 20; at += 5000)
		put_chunk(fd, 5000, at);
}

TEST(size_may_change_in_full_flow)
{
	int p[2];
	const uint64_t total = ((40u << 20) + 4999) / 5000 * 5000;

	make_pipe(p);
	pid_t pid = test_fork(write_through, p);
	CHECK_OK(close(p[W]));
	for (uint64_t at = 0, step = 0; at < total; step++) {
		const size_t bytes = total - at < 100000 ? (size_t)(total - at) : 100000;
		if (fcntl(p[R], F_SETPIPE_SZ, 4096 << (step * 5 % 9)) == -1)
			CHECK_EQ(errno, EBUSY);
		take_chunk(p[R], bytes, at);
		at += bytes;
	}
	expect_eof(p[R]);
	test_join(pid);
	CHECK_OK(close(p[R]));
}

TEST(size_zero_is_a_page_and_no_size_is_einval)
{
	int p[2];

	make_pipe(p);
	CHECK_ERR(fcntl(p[R], F_SETPIPE_SZ, -1), EINVAL);
	CHECK_EQ(capacity(p[R]), 65536);
	CHECK_EQ(fcntl(p[R], F_SETPIPE_SZ, 0), 4096);
	CHECK_EQ(capacity(p[W]), 4096);
	drop_pipe(p);
}

static void ask_for_too_much(void *arg)
{
	const int *p = arg;

	become_nobody();
	CHECK_ERR(fcntl(p[W], F_SETPIPE_SZ, 1 << 30), EPERM);
	CHECK_EQ(capacity(p[W]), 65536);
	CHECK_EQ(fill_up(p[W], 4096, 0), 65536);
	take_chunk(p[R], 65536, 0);
}

TEST(size_above_the_limit_is_eperm_without_privilege)
{
	int p[2];

	if (geteuid() != 0)
		SKIP("only root can become somebody else");
	make_pipe(p);
	test_join(test_fork(ask_for_too_much, p));
	drop_pipe(p);
}

/* ---- FIONREAD ---- */

TEST(fionread_counts_on_both_ends)
{
	int p[2];

	make_pipe(p);
	CHECK_EQ(available(p[R]), 0);
	CHECK_EQ(available(p[W]), 0);
	put(p[W], "abc");
	put(p[W], "de");
	CHECK_EQ(available(p[R]), 5);
	CHECK_EQ(available(p[W]), 5);
	expect(p[R], "abcd");
	CHECK_EQ(available(p[R]), 1);
	CHECK_OK(close(p[W]));
	CHECK_EQ(available(p[R]), 1);
	expect(p[R], "e");
	CHECK_EQ(available(p[R]), 0);
	CHECK_OK(close(p[R]));
}

TEST(fionread_of_a_full_pipe_and_of_one_without_a_reader)
{
	int p[2];

	make_pipe(p);
	const size_t full = fill_up(p[W], 1000, 0) / 1000 * 1000;
	CHECK_EQ(available(p[R]), full);
	CHECK_OK(close(p[R]));
	CHECK_EQ(available(p[W]), full);
	CHECK_OK(close(p[W]));
}

static void write_and_wait(void *arg)
{
	struct peer *peer = arg;
	int fd = only(peer->p, W);

	for (int i = 1; i <= 50; i++) {
		send_flow(fd, 0, SHORT_FLOW);
		reach_and_wait(&peer->steps, i);
	}
}

// What was written fast and is not read yet counts, wherever it stands.
TEST(fionread_counts_after_full_flow)
{
	struct peer *peer = share(sizeof(*peer));

	make_pipe(peer->p);
	pid_t pid = test_fork(write_and_wait, peer);
	int fd = only(peer->p, R);
	for (int i = 1; i <= 50; i++) {
		const int left = i * 20;
		take_flow(fd, 0, SHORT_FLOW - left);
		wait_count(&peer->steps.reached, i);
		CHECK_EQ(available(fd), left * 8);
		for (int k = left; k; k--) {
			CHECK_EQ(take_number(fd), SHORT_FLOW - k);
			CHECK_EQ(available(fd), (k - 1) * 8);
		}
		allow(&peer->steps, i);
	}
	test_join(pid);
	CHECK_OK(close(fd));
}

/* ---- fstat ---- */

TEST(fstat_says_fifo_of_the_same_inode_at_both_ends)
{
	int p[2], q[2];
	struct stat r, w, other;

	make_pipe(p);
	make_pipe(q);
	CHECK_OK(fstat(p[R], &r));
	CHECK_OK(fstat(p[W], &w));
	CHECK_OK(fstat(q[R], &other));
	CHECK(S_ISFIFO(r.st_mode) && S_ISFIFO(w.st_mode));
	CHECK_EQ(r.st_mode & 0777, 0600);
	CHECK_EQ(r.st_uid, geteuid());
	CHECK_EQ(r.st_gid, getegid());
	CHECK(r.st_ino == w.st_ino && r.st_dev == w.st_dev);
	CHECK(other.st_ino != r.st_ino);
	put(p[W], "x");
	CHECK_OK(fstat(p[R], &r));
	CHECK_EQ(r.st_size, 0);
	drop_pipe(p);
	drop_pipe(q);
}

TEST(pipes_cannot_be_positioned)
{
	int p[2];
	char c;

	make_pipe(p);
	put(p[W], "x");
	CHECK_ERR(lseek(p[R], 0, SEEK_SET), ESPIPE);
	CHECK_ERR(lseek(p[W], 0, SEEK_CUR), ESPIPE);
	CHECK_ERR(pread(p[R], &c, 1, 0), ESPIPE);
	CHECK_ERR(pwrite(p[W], &c, 1, 0), ESPIPE);
	CHECK_ERR(ftruncate(p[W], 0), EINVAL);
	CHECK_ERR(fsync(p[W]), EINVAL);
	expect(p[R], "x");
	drop_pipe(p);
}

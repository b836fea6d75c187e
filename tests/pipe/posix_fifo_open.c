// SPDX-License-Identifier: MIT
//
// tests/pipe/posix_fifo_open.c - opening a FIFO: a reader waits for a writer and a writer for a reader, unless
// they say O_NONBLOCK or O_RDWR; what ends the wait; which opens are refused. fifo(7), open(2).
#include "fifo.h"

/* ---- the rendezvous ---- */

TEST(reader_waits_for_a_writer)
{
	struct worker w;

	make_fifo();
	for (int i = 0; i < 50; i++) {
		start_open_and_block(&w, O_RDONLY);
		int out = open_fifo(O_WRONLY);
		int in = finish_open(&w);
		put(out, "hello");
		expect(in, "hello");
		CHECK_OK(close(out));
		expect_eof(in);
		CHECK_OK(close(in));
	}
	drop_fifo();
}

TEST(writer_waits_for_a_reader)
{
	struct worker w;

	make_fifo();
	for (int i = 0; i < 50; i++) {
		start_open_and_block(&w, O_WRONLY);
		int in = open_fifo(O_RDONLY);
		int out = finish_open(&w);
		put(out, "hello");
		expect(in, "hello");
		CHECK_OK(close(in));
		CHECK_OK(close(out));
	}
	drop_fifo();
}

TEST(one_writer_lets_all_waiting_readers_in)
{
	struct worker w[4];

	make_fifo();
	for (int i = 0; i < 4; i++)
		start_open_and_block(&w[i], O_RDONLY);
	int out = open_fifo(O_WRONLY);
	for (int i = 0; i < 4; i++) {
		int in = finish_open(&w[i]);
		put(out, "x");
		expect(in, "x");
		CHECK_OK(close(in));
	}
	CHECK_OK(close(out));
	drop_fifo();
}

TEST(one_reader_lets_all_waiting_writers_in)
{
	struct worker w[4];

	make_fifo();
	for (int i = 0; i < 4; i++)
		start_open_and_block(&w[i], O_WRONLY);
	int in = open_fifo(O_RDONLY);
	for (int i = 0; i < 4; i++) {
		int out = finish_open(&w[i]);
		put(out, "x");
		expect(in, "x");
		CHECK_OK(close(out));
	}
	expect_eof(in);
	CHECK_OK(close(in));
	drop_fifo();
}

static void open_and_close(void *arg)
{
	CHECK_OK(close(open_fifo(*(int *)arg)));
}

// A peer that is gone again before the waiting one has woken has been there all the same.
TEST(peer_that_opens_and_closes_at_once_ends_the_wait)
{
	const int flags[2] = {O_RDONLY, O_WRONLY};

	make_fifo();
	for (int i = 0; i < 100; i++) {
		pid_t pid = test_fork(open_and_close, (void *)&flags[i % 2]);
		if (i % 3)
			test_wait_asleep(pid);
		CHECK_OK(close(open_fifo(flags[(i + 1) % 2])));
		test_join(pid);
	}
	drop_fifo();
}

static void write_once(void *arg)
{
	int fd = open_fifo(O_WRONLY);

	(void)arg;
	put(fd, "all I had to say");
}

// Opened, written, closed before the reader has come back from his open: the bytes are there.
TEST(bytes_of_a_writer_that_is_gone_at_once_are_read)
{
	make_fifo();
	for (int i = 0; i < 200; i++) {
		pid_t pid = test_fork(write_once, NULL);
		int in = open_fifo(O_RDONLY);
		expect(in, "all I had to say");
		expect_eof(in);
		CHECK_OK(close(in));
		test_join(pid);
	}
	drop_fifo();
}

TEST(unrelated_opens_of_both_kinds_meet_while_streaming)
{
	int count = FLOW;

	make_fifo();
	pid_t writer = test_fork(write_flow_by_name, &count);
	pid_t reader = test_fork(read_flow_by_name, &count);
	test_join(writer);
	test_join(reader);
	drop_fifo();
}

/* ---- without waiting ---- */

TEST(nonblocking_reader_opens_at_once_and_reads_end_of_file)
{
	char c;

	make_fifo();
	int in = open_fifo(O_RDONLY | O_NONBLOCK);
	CHECK_EQ(read(in, &c, 1), 0);
	int out = open_fifo(O_WRONLY);
	CHECK_ERR(read(in, &c, 1), EAGAIN);
	put(out, "x");
	expect(in, "x");
	CHECK_OK(close(out));
	CHECK_EQ(read(in, &c, 1), 0);
	CHECK_OK(close(in));
	drop_fifo();
}

TEST(nonblocking_writer_needs_a_reader)
{
	make_fifo();
	CHECK_ERR(open(fifo_path, O_WRONLY | O_NONBLOCK), ENXIO);
	int in = open_fifo(O_RDONLY | O_NONBLOCK);
	int out = open_fifo(O_WRONLY | O_NONBLOCK);
	CHECK(fcntl(out, F_GETFL) & O_NONBLOCK);
	put(out, "x");
	expect(in, "x");
	CHECK_OK(close(in));
	CHECK_ERR(open(fifo_path, O_WRONLY | O_NONBLOCK), ENXIO);
	CHECK_OK(close(out));
	drop_fifo();
}

TEST(nonblocking_writer_does_not_find_a_writer)
{
	struct worker w;

	make_fifo();
	start_open_and_block(&w, O_WRONLY);
	CHECK_ERR(open(fifo_path, O_WRONLY | O_NONBLOCK), ENXIO);
	CHECK_OK(close(open_fifo(O_RDONLY)));
	CHECK_OK(close(finish_open(&w)));
	drop_fifo();
}

TEST(waiting_reader_counts_as_a_reader)
{
	struct worker w;

	make_fifo();
	start_open_and_block(&w, O_RDONLY);
	int out = open_fifo(O_WRONLY | O_NONBLOCK);
	int in = finish_open(&w);
	put(out, "x");
	expect(in, "x");
	CHECK_OK(close(in));
	CHECK_OK(close(out));
	drop_fifo();
}

TEST(read_write_opens_at_once_and_is_its_own_peer)
{
	make_fifo();
	int both = open_fifo(O_RDWR);
	CHECK_EQ(fcntl(both, F_GETFL) & O_ACCMODE, O_RDWR);
	put(both, "to myself");
	expect(both, "to myself");
	expect_empty(both);
	int in = open_fifo(O_RDONLY), out = open_fifo(O_WRONLY);
	put(out, "x");
	expect(both, "x");
	CHECK_OK(close(out));
	put(both, "y");
	expect(in, "y");
	expect_empty(in);
	CHECK_OK(close(both));
	expect_eof(in);
	CHECK_OK(close(in));
	drop_fifo();
}

TEST(flags_of_open_are_the_descriptors)
{
	make_fifo();
	int in = open_fifo(O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	CHECK_EQ(fcntl(in, F_GETFD), FD_CLOEXEC);
	CHECK(fcntl(in, F_GETFL) & O_NONBLOCK);
	int out = open_fifo(O_WRONLY | O_APPEND | O_TRUNC | O_CREAT);
	CHECK_EQ(fcntl(out, F_GETFD), 0);
	put(out, "kept");
	int second = open_fifo(O_WRONLY | O_TRUNC);
	expect(in, "kept");
	CHECK_OK(close(in));
	CHECK_OK(close(out));
	CHECK_OK(close(second));
	drop_fifo();
}

/* ---- what else ends the wait ---- */

static atomic_int handled;

static void count_signal(int sig)
{
	(void)sig;
	atomic_fetch_add(&handled, 1);
}

static void interrupt(struct worker *w, int flags)
{
	struct sigaction sa = {.sa_handler = count_signal, .sa_flags = flags};
	const int before = atomic_load(&handled);

	CHECK_OK(sigaction(SIGUSR1, &sa, NULL));
	CHECK_EQ(pthread_kill(w->thread, SIGUSR1), 0);
	wait_count(&handled, before + 1);
}

TEST(handler_ends_the_wait_with_eintr)
{
	make_fifo();
	for (int mode = O_RDONLY; mode <= O_WRONLY; mode++) {
		struct worker w;
		start_open_and_block(&w, mode);
		interrupt(&w, 0);
		finish(&w);
		CHECK_EQ(w.result, -1);
		CHECK_EQ(w.error, EINTR);
	}
	CHECK_ERR(open(fifo_path, O_WRONLY | O_NONBLOCK), ENXIO);
	drop_fifo();
}

TEST(handler_with_sa_restart_does_not_end_the_wait)
{
	make_fifo();
	for (int mode = O_RDONLY; mode <= O_WRONLY; mode++) {
		struct worker w;
		start_open_and_block(&w, mode);
		for (int i = 0; i < 3; i++) {
			interrupt(&w, SA_RESTART);
			wait_thread_asleep(&w);
		}
		int other = open_fifo(mode == O_RDONLY ? O_WRONLY : O_RDONLY);
		CHECK_OK(close(finish_open(&w)));
		CHECK_OK(close(other));
	}
	drop_fifo();
}

TEST(waiting_open_can_be_cancelled)
{
	make_fifo();
	for (int mode = O_RDONLY; mode <= O_WRONLY; mode++) {
		struct worker w;
		start_open_and_block(&w, mode);
		CHECK_EQ(pthread_cancel(w.thread), 0);
		CHECK(finish(&w) == PTHREAD_CANCELED);
	}
	CHECK_ERR(open(fifo_path, O_WRONLY | O_NONBLOCK), ENXIO);
	drop_fifo();
}

static void open_for_ever(void *arg)
{
	open_fifo(*(int *)arg);
}

TEST(killed_while_waiting_is_nobodys_peer)
{
	make_fifo();
	for (int i = 0; i < 40; i++) {
		int mode = i % 2 ? O_RDONLY : O_WRONLY;
		struct worker w;
		pid_t pid = test_fork(open_for_ever, &mode);
		test_wait_asleep(pid);
		test_kill(pid);
		CHECK_ERR(open(fifo_path, O_WRONLY | O_NONBLOCK), ENXIO);
		start_open_and_block(&w, i % 2 ? O_WRONLY : O_RDONLY);
		int other = open_fifo(mode);
		CHECK_OK(close(finish_open(&w)));
		CHECK_OK(close(other));
	}
	drop_fifo();
}

/* ---- names ---- */

TEST(opens_that_are_refused)
{
	make_fifo();
	CHECK_ERR(open(in_dir("missing"), O_RDONLY), ENOENT);
	CHECK_ERR(open(in_dir("fifo/below"), O_RDONLY), ENOTDIR);
	CHECK_ERR(open(fifo_path, O_RDONLY | O_DIRECTORY), ENOTDIR);
	CHECK_ERR(open(fifo_path, O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	CHECK_OK(symlink(fifo_path, in_dir("link")));
	CHECK_ERR(open(in_dir("link"), O_RDWR | O_NOFOLLOW), ELOOP);
	CHECK_OK(unlink(in_dir("link")));
	drop_fifo();
}

TEST(names_of_one_fifo_meet)
{
	make_fifo();
	CHECK_OK(symlink(fifo_path, in_dir("link")));
	CHECK_OK(link(fifo_path, in_dir("second")));
	int both = open_fifo(O_RDWR);
	int by_symlink = (int)CHECK_OK(open(in_dir("link"), O_RDONLY));
	int by_link = (int)CHECK_OK(open(in_dir("second"), O_WRONLY));
	put(by_link, "x");
	expect(by_symlink, "x");
	put(by_link, "y");
	expect(both, "y");
	CHECK_OK(close(by_symlink));
	CHECK_OK(close(by_link));
	CHECK_OK(close(both));
	CHECK_OK(unlink(in_dir("link")));
	CHECK_OK(unlink(in_dir("second")));
	drop_fifo();
}

TEST(openat_is_relative_to_its_directory)
{
	make_fifo();
	int dir = (int)CHECK_OK(open(fifo_dir, O_RDONLY | O_DIRECTORY));
	int in = (int)CHECK_OK(openat(dir, "fifo", O_RDONLY | O_NONBLOCK));
	int out = (int)CHECK_OK(openat(AT_FDCWD, fifo_path, O_WRONLY));
	put(out, "x");
	expect(in, "x");
	CHECK_ERR(openat(dir, "missing", O_RDONLY), ENOENT);
	CHECK_ERR(openat(-5, "fifo", O_RDONLY), EBADF);
	CHECK_ERR(openat(in, "fifo", O_RDONLY), ENOTDIR);
	CHECK_OK(close(in));
	CHECK_OK(close(out));
	CHECK_OK(close(dir));
	drop_fifo();
}

TEST(open_of_other_files_is_plain)
{
	char buf[8];
	struct stat st;

	make_dir();
	int file = (int)CHECK_OK(open(in_dir("file"), O_RDWR | O_CREAT | O_EXCL, 0640));
	CHECK_OK(fstat(file, &st));
	CHECK(S_ISREG(st.st_mode));
	put(file, "content");
	CHECK_OK(close(file));
	file = (int)CHECK_OK(open(in_dir("file"), O_RDONLY));
	CHECK_EQ(read(file, buf, sizeof(buf)), 7);
	CHECK_OK(close(file));
	CHECK_OK(unlink(in_dir("file")));
	drop_dir();
}

// SPDX-License-Identifier: MIT
//
// tests/pipe/posix_end.c - the end of a pipe: end of file when the last writer is gone, EPIPE and SIGPIPE
// when the last reader is, whichever way he goes, exactly then and not before, asleep or running.
// Killed peers in full flow are in posix_killed.c.
#include "ends.h"

/* ---- within one process ---- */

TEST(end_of_file_comes_after_the_last_byte_and_stays)
{
	int p[2];

	make_pipe(p);
	put(p[W], "rest");
	CHECK_OK(close(p[W]));
	expect(p[R], "rest");
	for (int i = 0; i < 3; i++)
		expect_eof(p[R]);
	CHECK_OK(close(p[R]));
}

TEST(duplicate_of_the_write_end_keeps_the_pipe_open)
{
	int p[2];

	make_pipe(p);
	int second = (int)CHECK_OK(dup(p[W]));
	CHECK_OK(close(p[W]));
	expect_empty(p[R]);
	put(second, "still");
	expect(p[R], "still");
	CHECK_OK(close(second));
	expect_eof(p[R]);
	CHECK_OK(close(p[R]));
}

TEST(duplicate_of_the_read_end_keeps_the_pipe_open)
{
	int p[2];

	ignore_sigpipe();
	make_pipe(p);
	int second = (int)CHECK_OK(dup(p[R]));
	CHECK_OK(close(p[R]));
	put(p[W], "still");
	expect(second, "still");
	CHECK_OK(close(second));
	CHECK_ERR(write(p[W], "x", 1), EPIPE);
	CHECK_OK(close(p[W]));
}

TEST(bytes_that_nobody_has_read_do_not_delay_epipe)
{
	int p[2];

	ignore_sigpipe();
	make_pipe(p);
	put(p[W], "unread");
	CHECK_OK(close(p[R]));
	CHECK_ERR(write(p[W], "x", 1), EPIPE);
	CHECK_OK(close(p[W]));
}

TEST(epipe_on_a_full_pipe_and_with_nonblock)
{
	int p[2];

	ignore_sigpipe();
	make_pipe(p);
	fill_up(p[W], 4096, 0);
	CHECK_OK(close(p[R]));
	CHECK_ERR(write(p[W], "x", 1), EPIPE);
	set_nonblock(p[W], true);
	CHECK_ERR(write(p[W], "x", 1), EPIPE);
	CHECK_ERR(write(p[W], chunk_buffer(), 100000), EPIPE);
	CHECK_OK(close(p[W]));
}

/* ---- SIGPIPE ---- */

static atomic_int pipes_broken;

static void count_sigpipe(int sig)
{
	CHECK_EQ(sig, SIGPIPE);
	atomic_fetch_add(&pipes_broken, 1);
}

static void catch_sigpipe(void)
{
	struct sigaction sa = {.sa_handler = count_sigpipe, .sa_flags = SA_RESTART};

	CHECK_OK(sigaction(SIGPIPE, &sa, NULL));
}

TEST(each_write_without_a_reader_raises_sigpipe)
{
	int p[2];

	catch_sigpipe();
	make_pipe(p);
	CHECK_OK(close(p[R]));
	for (int i = 1; i <= 5; i++) {
		CHECK_ERR(write(p[W], "x", 1), EPIPE);
		CHECK_EQ(atomic_load(&pipes_broken), i);
	}
	CHECK_EQ(write(p[W], "", 0), 0);
	CHECK_EQ(atomic_load(&pipes_broken), 5);
	CHECK_OK(close(p[W]));
}

TEST(blocked_sigpipe_stays_pending)
{
	int p[2];
	sigset_t set, pending;

	catch_sigpipe();
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
	make_pipe(p);
	CHECK_OK(close(p[R]));
	CHECK_ERR(write(p[W], "x", 1), EPIPE);
	CHECK_EQ(atomic_load(&pipes_broken), 0);
	CHECK_OK(sigpending(&pending));
	CHECK(sigismember(&pending, SIGPIPE));
	CHECK_OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
	CHECK_EQ(atomic_load(&pipes_broken), 1);
	CHECK_OK(close(p[W]));
}

static void write_for_ever(void *arg)
{
	const int *p = arg;
	int fd = only(p, W);

	for (uint64_t i = 0;; i++)
		put_number(fd, i);
}

TEST(sigpipe_kills_who_does_nothing_about_it)
{
	int p[2], status;

	make_pipe(p);
	pid_t pid = test_fork(write_for_ever, p);
	CHECK_OK(close(p[W]));
	take_flow(p[R], 0, FLOW);
	CHECK_OK(close(p[R]));
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGPIPE);
}

TEST(large_write_that_loses_its_reader_tells_what_was_in_and_raises_sigpipe)
{
	int p[2];
	struct worker w = {0};

	catch_sigpipe();
	make_pipe(p);
	start_and_block(&w, work_write, p[W], 1 << 20);
	take_chunk(p[R], 100000, 0);
	wait_thread_asleep(&w);
	CHECK_OK(close(p[R]));
	finish(&w);
	CHECK(w.result >= 100000 && w.result < 1 << 20);
	CHECK_EQ(atomic_load(&pipes_broken), 1);
	CHECK_ERR(write(p[W], "x", 1), EPIPE);
	CHECK_OK(close(p[W]));
}

/* ---- between processes: every way to go ---- */

enum how { BY_CLOSE, BY_DUP2, BY_EXIT, BY_EXIT_AT_ONCE, BY_SIGKILL, BY_EXEC, HOWS };

enum { ROUNDS = 30 };

struct end {
	int p[2];
	enum how how;
	int sleeping; // 1: go when the parent sleeps, 0: at once
	pid_t parent;
};

// Give the end up. Those ways that leave the process alive leave it alive, without the end.
static void go(struct end *e, int fd)
{
	if (e->sleeping)
		test_wait_asleep(e->parent);
	if (e->how == BY_CLOSE)
		CHECK_OK(close(fd));
	if (e->how == BY_DUP2)
		CHECK_EQ(dup2(2, fd), fd);
	if (e->how == BY_EXIT)
		exit(0);
	if (e->how == BY_EXIT_AT_ONCE)
		_exit(0);
	if (e->how == BY_SIGKILL)
		raise(SIGKILL);
	if (e->how == BY_EXEC) {
		CHECK_OK(fcntl(fd, F_SETFD, FD_CLOEXEC));
		execlp("sleep", "sleep", "100", (char *)NULL);
		_exit(2);
	}
	sleep_for_ever();
}

static void write_and_go(void *arg)
{
	struct end *e = arg;
	int fd = only(e->p, W);

	send_flow(fd, 0, SHORT_FLOW);
	go(e, fd);
}

static void read_and_go(void *arg)
{
	struct end *e = arg;
	int fd = only(e->p, R);

	take_flow(fd, 0, SHORT_FLOW);
	go(e, fd);
}

static void lose_writer(enum how how, int sleeping)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct end e = {.how = how, .sleeping = sleeping, .parent = getpid()};
		make_pipe(e.p);
		pid_t pid = test_fork(write_and_go, &e);
		CHECK_OK(close(e.p[W]));
		take_flow(e.p[R], 0, SHORT_FLOW);
		expect_eof(e.p[R]);
		expect_eof(e.p[R]);
		test_kill(pid);
		CHECK_OK(close(e.p[R]));
	}
}

TEST(end_of_file_when_the_writer_closes)
{
	lose_writer(BY_CLOSE, 0);
}

TEST(end_of_file_when_the_writer_duplicates_another_onto_it)
{
	lose_writer(BY_DUP2, 0);
}

TEST(end_of_file_when_the_writer_exits)
{
	lose_writer(BY_EXIT, 0);
	lose_writer(BY_EXIT_AT_ONCE, 0);
}

TEST(end_of_file_when_the_writer_is_killed)
{
	lose_writer(BY_SIGKILL, 0);
}

TEST(end_of_file_when_the_writers_exec_closes_it)
{
	lose_writer(BY_EXEC, 0);
}

TEST(sleeping_reader_gets_end_of_file_whichever_way_the_writer_goes)
{
	for (enum how how = 0; how < HOWS; how++)
		lose_writer(how, 1);
}

// Write until there is an error; what it is, is known.
static void write_until_epipe(int fd, size_t bytes)
{
	char *buf = chunk_buffer();
	ssize_t n;

	do
		n = write(fd, buf, bytes);
	while (n > 0);
	CHECK_EQ(n, -1);
	CHECK_EQ(errno, EPIPE);
	CHECK_ERR(write(fd, buf, 1), EPIPE);
}

static void lose_reader(enum how how, int sleeping)
{
	ignore_sigpipe();
	for (int i = 0; i < ROUNDS; i++) {
		struct end e = {.how = how, .sleeping = sleeping, .parent = getpid()};
		make_pipe(e.p);
		pid_t pid = test_fork(read_and_go, &e);
		CHECK_OK(close(e.p[R]));
		send_flow(e.p[W], 0, SHORT_FLOW);
		write_until_epipe(e.p[W], i % 2 ? 64 : 4096);
		test_kill(pid);
		CHECK_OK(close(e.p[W]));
	}
}

TEST(epipe_when_the_reader_closes)
{
	lose_reader(BY_CLOSE, 0);
}

TEST(epipe_when_the_reader_duplicates_another_onto_it)
{
	lose_reader(BY_DUP2, 0);
}

TEST(epipe_when_the_reader_exits)
{
	lose_reader(BY_EXIT, 0);
	lose_reader(BY_EXIT_AT_ONCE, 0);
}

TEST(epipe_when_the_reader_is_killed)
{
	lose_reader(BY_SIGKILL, 0);
}

TEST(epipe_when_the_readers_exec_closes_it)
{
	lose_reader(BY_EXEC, 0);
}

TEST(sleeping_writer_gets_epipe_whichever_way_the_reader_goes)
{
	for (enum how how = 0; how < HOWS; how++)
		lose_reader(how, 1);
}

/* ---- not before the last one is gone ---- */

struct family {
	int p[2];
	struct steps steps;
};

static void hold_the_write_end(void *arg)
{
	struct family *f = arg;
	int fd = only(f->p, W);

	send_flow(fd, 0, SHORT_FLOW);
	reach_and_wait(&f->steps, 1);
	put(fd, "last words");
}

TEST(end_of_file_waits_for_the_last_of_several_processes)
{
	struct family *f = share(sizeof(*f));

	make_pipe(f->p);
	pid_t pid = test_fork(hold_the_write_end, f);
	CHECK_OK(close(f->p[W]));
	take_flow(f->p[R], 0, SHORT_FLOW);
	expect_empty(f->p[R]);
	allow(&f->steps, 1);
	expect(f->p[R], "last words");
	expect_eof(f->p[R]);
	test_join(pid);
	CHECK_OK(close(f->p[R]));
}

static void hold_the_read_end(void *arg)
{
	struct family *f = arg;
	int fd = only(f->p, R);

	take_flow(fd, 0, SHORT_FLOW);
	reach_and_wait(&f->steps, 1);
	expect(fd, "last words");
}

TEST(epipe_waits_for_the_last_of_several_processes)
{
	struct family *f = share(sizeof(*f));

	ignore_sigpipe();
	make_pipe(f->p);
	pid_t pid = test_fork(hold_the_read_end, f);
	send_flow(f->p[W], 0, SHORT_FLOW);
	wait_count(&f->steps.reached, 1);
	CHECK_OK(close(f->p[R]));
	put(f->p[W], "last words");
	allow(&f->steps, 1);
	test_join(pid);
	CHECK_ERR(write(f->p[W], "x", 1), EPIPE);
	CHECK_OK(close(f->p[W]));
}

// Who has both ends himself waits for himself: no end of file, no EPIPE.
TEST(own_other_end_counts)
{
	int p[2];
	struct worker w;

	make_pipe(p);
	flow_from_child(p, FLOW);
	expect_empty(p[R]);
	start_and_block(&w, work_read, p[R], 10);
	put(p[W], "own");
	finish_with(&w, "own");
	drop_pipe(p);
}

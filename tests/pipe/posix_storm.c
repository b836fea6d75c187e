// SPDX-License-Identifier: MIT
//
// tests/pipe/posix_storm.c - a storm of signals while a pipe streams: nothing is lost or doubled, with SA_RESTART
// and without, and what a handler writes goes between the writes that it interrupts.
#include "ends.h"

#include <sys/time.h>

static atomic_int handled;

static void count_signal(int sig)
{
	(void)sig;
	atomic_fetch_add(&handled, 1);
}

static void handle_by(int sig, void (*fn)(int), int flags)
{
	struct sigaction sa = {.sa_handler = fn, .sa_flags = flags};

	CHECK_OK(sigaction(sig, &sa, NULL));
}

static void signal_every(int us)
{
	const struct itimerval often = {{0, us}, {0, us}};

	CHECK_OK(setitimer(ITIMER_REAL, &often, NULL));
}

static void storm(bool on)
{
	signal_every(on ? 100 : 0);
}

enum { STORM = 300000 / SLOWER };

static void write_in_a_storm(void *arg)
{
	const int *p = arg;
	int fd = only(p, W);

	handle_by(SIGALRM, count_signal, SA_RESTART);
	storm(true);
	send_flow(fd, 0, STORM);
	storm(false);
}

TEST(stream_in_a_storm_of_signals_with_sa_restart)
{
	int p[2];

	handle_by(SIGALRM, count_signal, SA_RESTART);
	make_pipe(p);
	pid_t pid = test_fork(write_in_a_storm, p);
	CHECK_OK(close(p[W]));
	storm(true);
	take_flow(p[R], 0, STORM);
	storm(false);
	expect_eof(p[R]);
	CHECK_OK(close(p[R]));
	while (waitpid(pid, NULL, 0) == -1)
		CHECK_EQ(errno, EINTR);
}

static void write_and_retry(void *arg)
{
	const int *p = arg;
	int fd = only(p, W);

	handle_by(SIGALRM, count_signal, 0);
	storm(true);
	for (uint64_t i = 0; i < STORM; i++)
		while (write(fd, &i, 8) == -1)
			CHECK_EQ(errno, EINTR);
	storm(false);
}

TEST(stream_in_a_storm_of_signals_with_eintr)
{
	int p[2], status;
	uint64_t got;

	handle_by(SIGALRM, count_signal, 0);
	make_pipe(p);
	pid_t pid = test_fork(write_and_retry, p);
	CHECK_OK(close(p[W]));
	storm(true);
	for (uint64_t i = 0; i < STORM; i++) {
		while (read(p[R], &got, 8) == -1)
			CHECK_EQ(errno, EINTR);
		CHECK_EQ(got, i);
	}
	storm(false);
	expect_eof(p[R]);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	CHECK_OK(close(p[R]));
}

static int self_pipe[2];
static uint64_t extra;
enum { EXTRA = 1 << 30 };

// Records of the handler's own, numbered from EXTRA, between those that it interrupts.
static void write_extra(int sig)
{
	const int saved = errno;
	const uint64_t record = EXTRA + extra;

	(void)sig;
	CHECK_EQ(write(self_pipe[W], &record, 8), 8);
	extra++;
	errno = saved;
}

static void write_with_extras(void *arg)
{
	(void)arg;
	CHECK_OK(close(self_pipe[R]));
	handle_by(SIGALRM, write_extra, SA_RESTART);
	storm(true);
	send_flow(self_pipe[W], 0, STORM);
	storm(false);
	put_number(self_pipe[W], extra);
}

TEST(write_of_a_handler_goes_between_those_it_interrupts)
{
	uint64_t plain = 0, extras = 0, got;

	make_pipe(self_pipe);
	pid_t pid = test_fork(write_with_extras, NULL);
	CHECK_OK(close(self_pipe[W]));
	while (plain < STORM) {
		got = take_number(self_pipe[R]);
		if (got >= EXTRA)
			CHECK_EQ(got, EXTRA + extras++);
		else
			CHECK_EQ(got, plain++);
	}
	while ((got = take_number(self_pipe[R])) >= EXTRA)
		CHECK_EQ(got, EXTRA + extras++);
	CHECK_EQ(got, extras);
	CHECK(extras > 0);
	test_join(pid);
	expect_eof(self_pipe[R]);
	CHECK_OK(close(self_pipe[R]));
}

// The self-pipe of an event loop: never full, never waited for, written by the handler only.
static void write_one_to_self(int sig)
{
	const int saved = errno;

	(void)sig;
	if (write(self_pipe[W], "!", 1) == 1)
		atomic_fetch_add(&handled, 1);
	errno = saved;
}

TEST(self_pipe_beside_a_stream)
{
	int p[2], read_back = 0;
	char buf[64];
	struct flow flow = {p, 0, STORM};

	CHECK_OK(pipe2(self_pipe, O_NONBLOCK));
	make_pipe(p);
	pid_t pid = test_fork(be_flow_writer, &flow);
	handle_by(SIGALRM, write_one_to_self, SA_RESTART);
	storm(true);
	for (uint64_t i = 0; i < STORM; i++) {
		CHECK_EQ(take_number(p[R]), i);
		if (i % 1000 == 0)
			for (ssize_t n; (n = read(self_pipe[R], buf, sizeof(buf))) > 0;)
				read_back += (int)n;
	}
	storm(false);
	for (ssize_t n; (n = read(self_pipe[R], buf, sizeof(buf))) > 0;)
		read_back += (int)n;
	CHECK_EQ(read_back, atomic_load(&handled));
	test_join(pid);
	drop_pipe(p);
	drop_pipe(self_pipe);
}

// dup, dup2, pipe, fcntl, fstat and close are async-signal-safe: the handler does them whatever its thread
// is doing, also the same, also with the same pipe.
static void juggle(int sig)
{
	const int saved = errno;
	struct stat st;
	int q[2];

	(void)sig;
	const int copy = (int)CHECK_OK(dup(self_pipe[W]));
	CHECK_EQ(dup2(copy, 150), 150);
	CHECK_OK(fcntl(150, F_GETFL));
	CHECK_OK(fstat(150, &st));
	CHECK(S_ISFIFO(st.st_mode));
	CHECK_EQ(write(copy, "!", 1), 1);
	make_pipe(q);
	put(q[W], "own");
	expect(q[R], "own");
	drop_pipe(q);
	CHECK_OK(close(150));
	CHECK_OK(close(copy));
	atomic_fetch_add(&handled, 1);
	errno = saved;
}

static void take_one_of_self(void)
{
	char c = 0;

	if (available(self_pipe[R]) > 0)
		CHECK_EQ(read(self_pipe[R], &c, 1), 1);
}

TEST(handler_may_duplicate_and_close_whatever_its_thread_does)
{
	make_pipe(self_pipe);
	handle_by(SIGALRM, juggle, SA_RESTART);
	signal_every(2000); // or the handlers leave no time between them
	for (int i = 0; i < 5000 / SLOWER; i++) {
		int p[2];
		make_pipe(p);
		CHECK_EQ(dup2(self_pipe[R], 160), 160);
		put_number(p[W], (uint64_t)i);
		CHECK_EQ(take_number(p[R]), i);
		CHECK_OK(close(160));
		drop_pipe(p);
		take_one_of_self();
	}
	storm(false);
	while (available(self_pipe[R]) > 0)
		take_one_of_self();
	CHECK(atomic_load(&handled) > 0);
	drop_pipe(self_pipe);
}

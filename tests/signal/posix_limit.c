// SPDX-License-Identifier: MIT
//
// tests/signal/posix_limit.c - SIGPIPE from pipes that nobody reads, and the signals of resource limits: SIGXCPU
// and SIGXFSZ.
#include "signals.h"

#include <sys/socket.h>

/* ---- SIGPIPE ---- */

// The end to write to of a pipe that nobody can read.
static int broken_pipe(void)
{
	int p[2];

	CHECK_OK(pipe(p));
	CHECK_OK(close(p[0]));
	return p[1];
}

static int broken_socket(void)
{
	int pair[2];

	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	CHECK_OK(close(pair[0]));
	return pair[1];
}

TEST(write_that_nobody_can_read_raises_sigpipe)
{
	note_signal(SIGPIPE);
	for (int i = 1; i <= 10; i++) {
		const int fd = i % 2 ? broken_pipe() : broken_socket();
		CHECK_ERR(write(fd, "x", 1), EPIPE);
		CHECK_EQ(atomic_load(&noted), i);
		CHECK_EQ(notes[i - 1].sig, SIGPIPE);
		CHECK_OK(close(fd));
	}
}

TEST(ignored_sigpipe_leaves_the_error)
{
	const int fd = broken_pipe();

	dispose(SIGPIPE, SIG_IGN);
	CHECK_ERR(write(fd, "x", 1), EPIPE);
	CHECK(!is_pending(SIGPIPE));
	CHECK_OK(close(fd));
}

TEST(blocked_sigpipe_is_pending_for_the_thread_that_wrote)
{
	const int fd = broken_pipe();

	block(SET(SIGPIPE));
	for (int i = 0; i < 3; i++) {
		CHECK_ERR(write(fd, "x", 1), EPIPE);
		CHECK(is_pending(SIGPIPE));
		CHECK_EQ(take(SET(SIGPIPE)).si_signo, SIGPIPE);
		CHECK(!is_pending(SIGPIPE));
	}
	CHECK_OK(close(fd));
}

static void *write_as_thread(void *arg)
{
	CHECK_ERR(write(*(int *)arg, "x", 1), EPIPE);
	CHECK(is_pending(SIGPIPE));
	expect_none(SET(SIGUSR1));
	return NULL;
}

TEST(sigpipe_of_one_thread_is_not_pending_for_another)
{
	int fd = broken_pipe();
	pthread_t thread;

	block(SET(SIGPIPE, SIGUSR1));
	CHECK_EQ(pthread_create(&thread, NULL, write_as_thread, &fd), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK(!is_pending(SIGPIPE));
	CHECK_OK(close(fd));
}

static void write_by_default(void *arg)
{
	dispose(SIGPIPE, SIG_DFL);
	const ssize_t n = write(*(int *)arg, "x", 1);
	_exit(n == 1);
}

TEST(sigpipe_ends_who_does_nothing_about_it)
{
	int fd = broken_pipe();

	expect_killed(test_fork(write_by_default, &fd), SIGPIPE);
	CHECK_OK(close(fd));
}

/* ---- limits ---- */

static int make_file(void)
{
	char name[] = "/tmp/posthaste-limit-XXXXXX";
	const int fd = (int)CHECK_OK(mkstemp(name));
	const struct rlimit limit = {1000, 1000};

	CHECK_OK(unlink(name));
	CHECK_OK(setrlimit(RLIMIT_FSIZE, &limit));
	return fd;
}

static void write_too_much(void *arg)
{
	static const char bytes[1000];
	const int fd = make_file();
	const bool ignored = arg != NULL;

	dispose(SIGXFSZ, SIG_DFL);
	if (ignored)
		dispose(SIGXFSZ, SIG_IGN);
	CHECK_EQ(write(fd, bytes, 1000), 1000);
	CHECK_ERR(write(fd, bytes, 1), EFBIG);
	CHECK_OK(close(fd));
	CHECK(ignored);
}

static void write_too_much_and_handle(void *arg)
{
	static const char bytes[1000];
	const int fd = make_file();

	(void)arg;
	note_signal(SIGXFSZ);
	CHECK_EQ(write(fd, bytes, 1000), 1000);
	for (int i = 1; i <= 3; i++) {
		CHECK_ERR(write(fd, bytes, 1), EFBIG);
		CHECK_EQ(atomic_load(&noted), i);
	}
	CHECK_OK(close(fd));
}

TEST(file_beyond_the_limit_is_sigxfsz)
{
	const struct rlimit none = {0, 0};

	CHECK_OK(setrlimit(RLIMIT_CORE, &none));
	expect_killed(test_fork(write_too_much, NULL), SIGXFSZ);
	test_join(test_fork(write_too_much, ""));
	test_join(test_fork(write_too_much_and_handle, NULL));
}

static void burn(void)
{
	static volatile unsigned long work;

	while (atomic_load(&noted) == 0)
		for (int i = 0; i < 1000; i++)
			work = work + 1;
}

static void use_up_time(void *arg)
{
	const struct rlimit limit = {1, 10};

	(void)arg;
	note_signal(SIGXCPU);
	CHECK_OK(setrlimit(RLIMIT_CPU, &limit));
	burn();
	CHECK_EQ(notes[0].sig, SIGXCPU);
}

TEST(time_beyond_the_limit_is_sigxcpu)
{
	test_join(test_fork(use_up_time, NULL));
}

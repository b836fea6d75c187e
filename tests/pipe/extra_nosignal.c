// SPDX-License-Identifier: MIT
//
// tests/pipe/extra_nosignal.c - writes that raise no SIGPIPE: by the call, by the descriptor. The disposition
// of the signal is the default one, so that one too many ends the test.
#include <posthaste/posix.h>

#include "line_pipe.h"

static struct ends make_pipe_without_reader(void)
{
	struct ends e = make_pipe();

	CHECK_OK(close(e.r));
	return e;
}

static void write_byte(void *arg)
{
	const int *fd = arg;

	signal(SIGPIPE, SIG_DFL);
	if (write(*fd, "x", 1) < 0)
		_exit(errno == EPIPE ? 10 : 11);
}

enum fate { WRITES, HEARS_EPIPE, IS_KILLED, ELSE };

// What happens to a child that writes a byte?
static enum fate try_write(int fd)
{
	int status;
	pid_t pid = test_fork(write_byte, &fd);

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGPIPE ? IS_KILLED : ELSE;
	return WEXITSTATUS(status) == 10 ? HEARS_EPIPE : WEXITSTATUS(status) == 0 ? WRITES : ELSE;
}

TEST(write_without_a_reader_kills)
{
	struct ends e = make_pipe_without_reader();

	CHECK_EQ(try_write(e.w), IS_KILLED);
	CHECK_OK(close(e.w));
}

TEST(write_nosignal_without_a_reader_is_epipe)
{
	struct ends e = make_pipe_without_reader();

	CHECK_ERR(ph_write_nosignal(e.w, "x", 1), EPIPE);
	CHECK_EQ(try_write(e.w), IS_KILLED);
	CHECK_OK(close(e.w));
}

TEST(write_nosignal_writes_as_write_does)
{
	struct ends e = make_pipe();
	char buf[8];

	CHECK_EQ(ph_write_nosignal(e.w, "text", 4), 4);
	CHECK_EQ(ph_write_nosignal(e.w, "", 0), 0);
	CHECK_EQ(read(e.r, buf, sizeof(buf)), 4);
	CHECK(memcmp(buf, "text", 4) == 0);
	CHECK_ERR(ph_write_nosignal(e.r, "x", 1), EBADF);
	CHECK_ERR(ph_write_nosignal(-1, "x", 1), EBADF);
	drop_pipe(e);
}

// A signal that was pending already is not taken away.
TEST(write_nosignal_leaves_a_pending_sigpipe)
{
	struct ends e = make_pipe_without_reader();
	sigset_t set, pending;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
	CHECK_ERR(ph_write_nosignal(e.w, "x", 1), EPIPE);
	CHECK_OK(sigpending(&pending));
	CHECK(!sigismember(&pending, SIGPIPE));
	CHECK_OK(raise(SIGPIPE));
	CHECK_ERR(ph_write_nosignal(e.w, "x", 1), EPIPE);
	CHECK_OK(sigpending(&pending));
	CHECK(sigismember(&pending, SIGPIPE));
	CHECK_OK(close(e.w));
}

TEST(descriptor_can_be_set_to_raise_none)
{
	struct ends e = make_pipe_without_reader();
	const struct iovec iov = {"x", 1};

	CHECK_EQ(fcntl(e.w, PH_F_GETNOSIGPIPE), 0);
	CHECK_OK(fcntl(e.w, PH_F_SETNOSIGPIPE, 1));
	CHECK_EQ(fcntl(e.w, PH_F_GETNOSIGPIPE), 1);
	CHECK_ERR(write(e.w, "x", 1), EPIPE);
	CHECK_ERR(writev(e.w, &iov, 1), EPIPE);
	CHECK_EQ(try_write(e.w), HEARS_EPIPE); // a child has it as its parent had
	CHECK_OK(fcntl(e.w, PH_F_SETNOSIGPIPE, 0));
	CHECK_EQ(fcntl(e.w, PH_F_GETNOSIGPIPE), 0);
	CHECK_EQ(try_write(e.w), IS_KILLED);
	CHECK_OK(close(e.w));
}

TEST(setting_belongs_to_the_number_alone)
{
	struct ends e = make_pipe_without_reader();
	const int other = (int)CHECK_OK(dup(e.w));

	CHECK_OK(fcntl(e.w, PH_F_SETNOSIGPIPE, 1));
	CHECK_EQ(fcntl(other, PH_F_GETNOSIGPIPE), 0);
	CHECK_EQ(try_write(e.w), HEARS_EPIPE);
	CHECK_EQ(try_write(other), IS_KILLED);
	CHECK_OK(close(other));
	CHECK_OK(close(e.w));
}

TEST(setting_ends_with_the_descriptor)
{
	struct ends e = make_pipe_without_reader();
	const int number = e.w;

	CHECK_OK(fcntl(e.w, PH_F_SETNOSIGPIPE, 1));
	CHECK_OK(close(e.w));
	e = make_pipe_without_reader();
	CHECK_OK(dup2(e.w, number + 10));
	CHECK_OK(dup2(e.w, number));
	CHECK_EQ(fcntl(number, PH_F_GETNOSIGPIPE), 0);
	CHECK_EQ(try_write(number), IS_KILLED);
	CHECK_OK(close(number + 10));
	if (e.w != number)
		CHECK_OK(close(e.w));
	CHECK_OK(close(number));
}

// The last reader leaves in full flow, whose bytes may go through the ring.
struct leaving {
	struct ends ends;
	int fd_of; // 1: the descriptor is set; 0: the call is
};

static void write_until_epipe(void *arg)
{
	const struct leaving *l = arg;
	char buf[300] = "";
	ssize_t n;

	CHECK_OK(close(l->ends.r));
	if (l->fd_of)
		CHECK_OK(fcntl(l->ends.w, PH_F_SETNOSIGPIPE, 1));
	do
		n = (l->fd_of ? write : ph_write_nosignal)(l->ends.w, buf, sizeof(buf));
	while (n == sizeof(buf));
	CHECK_EQ(n, -1);
	CHECK_EQ(errno, EPIPE);
	CHECK_OK(close(l->ends.w));
}

TEST(reader_that_leaves_in_full_flow_raises_none)
{
	for (int round = 0; round < 20; round++) {
		struct leaving l = {make_pipe(), round % 2};
		struct warming warm = {0};
		char buf[400];
		pid_t pid = test_fork(write_until_epipe, &l);

		CHECK_OK(close(l.ends.w));
		while (!is_warm(&warm, l.ends.r))
			CHECK(read(l.ends.r, buf, sizeof(buf)) > 0);
		CHECK_OK(close(l.ends.r));
		test_join(pid);
	}
}

// Asleep on the full pipe when the last reader goes.
TEST(sleeping_writer_hears_epipe_without_a_signal)
{
	for (int round = 0; round < 20; round++) {
		struct leaving l = {make_pipe(), round % 2};
		pid_t pid = test_fork(write_until_epipe, &l);

		CHECK_OK(close(l.ends.w));
		test_wait_asleep(pid);
		CHECK_OK(close(l.ends.r));
		test_join(pid);
	}
}

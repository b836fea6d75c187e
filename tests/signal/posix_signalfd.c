// SPDX-License-Identifier: MIT
//
// tests/signal/posix_signalfd.c - signals read from a descriptor: what is in it, several at once, polling, blocking,
// inheritance; and signals that were there before the descriptor was.
#include "signals.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/time.h>

static int open_fd(sigset_t set, int flags)
{
	block(set);
	return (int)CHECK_OK(signalfd(-1, &set, SFD_CLOEXEC | flags));
}

static struct signalfd_siginfo read_one(int fd)
{
	struct signalfd_siginfo info;
	ssize_t n;

	while ((n = read(fd, &info, sizeof(info))) == -1)
		CHECK_EQ(errno, EINTR);
	CHECK_EQ(n, sizeof(info));
	return info;
}

static void expect_read(int fd, int sig, int value)
{
	const struct signalfd_siginfo info = read_one(fd);

	CHECK_EQ(info.ssi_signo, sig);
	CHECK_EQ(info.ssi_int, value);
	CHECK_EQ(info.ssi_code, SI_QUEUE);
	CHECK_EQ(info.ssi_pid, getpid());
	CHECK_EQ(info.ssi_uid, getuid());
}

static void expect_empty(int fd)
{
	struct signalfd_siginfo info;

	CHECK_ERR(read(fd, &info, sizeof(info)), EAGAIN);
}

static bool is_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	CHECK_OK(poll(&p, 1, 0));
	return p.revents & POLLIN;
}

TEST(blocked_signals_are_read)
{
	const int fd = open_fd(SET(SIGUSR1, RT0), SFD_NONBLOCK);

	expect_empty(fd);
	for (int i = 0; i < 10; i++) {
		send_self(one_of_kind(i % KINDS), i);
		CHECK(is_readable(fd));
		expect_read(fd, one_of_kind(i % KINDS), i);
		expect_empty(fd);
		CHECK(!is_readable(fd));
		CHECK(!is_pending(one_of_kind(i % KINDS)));
	}
	CHECK_OK(close(fd));
}

TEST(standard_signals_merge_and_others_queue)
{
	const int fd = open_fd(SET(SIGUSR1, RT0, RT1), SFD_NONBLOCK);

	for (int i = 0; i < 5; i++) {
		send_self(RT1, i);
		send_self(RT0, i);
		send_self(SIGUSR1, i);
	}
	expect_read(fd, SIGUSR1, 0);
	for (int i = 0; i < 5; i++)
		expect_read(fd, RT0, i);
	for (int i = 0; i < 5; i++)
		expect_read(fd, RT1, i);
	expect_empty(fd);
	CHECK_OK(close(fd));
}

TEST(one_read_takes_several)
{
	const int fd = open_fd(SET(RT0, SIGUSR1), SFD_NONBLOCK);
	struct signalfd_siginfo info[8];

	for (int i = 0; i < 5; i++)
		send_self(RT0, i);
	CHECK_EQ(read(fd, info, sizeof(info)), 5 * sizeof(info[0]));
	for (int i = 0; i < 5; i++)
		CHECK(info[i].ssi_signo == (uint32_t)RT0 && info[i].ssi_int == i);
	for (int i = 0; i < 20; i++)
		send_self(RT0, i);
	send_self(SIGUSR1, 100);
	CHECK_EQ(read(fd, info, sizeof(info) - 1), 7 * sizeof(info[0]));
	CHECK(info[0].ssi_signo == SIGUSR1 && info[6].ssi_int == 5);
	CHECK_ERR(read(fd, info, sizeof(info[0]) - 1), EINVAL);
	CHECK_EQ(read(fd, info, sizeof(info)), 8 * sizeof(info[0]));
	CHECK_EQ(read(fd, info, sizeof(info)), 6 * sizeof(info[0]));
	CHECK_EQ(info[5].ssi_int, 19);
	CHECK_OK(close(fd));
}

TEST(signals_from_before_the_descriptor_are_read_first)
{
	block(SET(RT0, SIGUSR1));
	note_signal(RT0);
	for (int i = 0; i < 5; i++)
		send_self(RT0, i);
	send_self(SIGUSR1, 9);
	const int fd = open_fd(SET(RT0, SIGUSR1), SFD_NONBLOCK);
	for (int i = 5; i < 10; i++)
		send_self(RT0, i);
	CHECK(is_readable(fd));
	expect_read(fd, SIGUSR1, 9);
	for (int i = 0; i < 10; i++)
		expect_read(fd, RT0, i);
	expect_empty(fd);
	CHECK_OK(close(fd));
}

TEST(signals_can_be_taken_and_handled_beside_a_descriptor)
{
	const int fd = open_fd(SET(RT0, RT1), SFD_NONBLOCK);

	note_signal(RT1);
	send_self(RT0, 1);
	send_self(RT0, 2);
	send_self(RT1, 3);
	take_value(SET(RT0), RT0, 1);
	unblock(SET(RT1)); // handled: not to be read any more
	CHECK_EQ(atomic_load(&noted), 1);
	expect_note(0, RT1, 3);
	expect_read(fd, RT0, 2);
	expect_empty(fd);
	CHECK_OK(close(fd));
}

TEST(signals_are_taken_and_handled_when_the_descriptor_is_closed)
{
	const int fd = open_fd(SET(RT0, RT1), SFD_NONBLOCK);

	note_signal(RT1);
	for (int i = 0; i < 3; i++) {
		send_self(RT0, i);
		send_self(RT1, i);
	}
	expect_read(fd, RT0, 0);
	CHECK_OK(close(fd));
	send_self(RT0, 3);
	send_self(RT1, 3);
	for (int i = 1; i < 4; i++)
		take_value(SET(RT0), RT0, i);
	expect_none(SET(RT0));
	unblock(SET(RT1));
	CHECK_EQ(atomic_load(&noted), 4);
	for (int i = 0; i < 4; i++)
		expect_note(i, RT1, i);
}

TEST(set_of_a_descriptor_can_be_changed)
{
	const int fd = open_fd(SET(RT0), SFD_NONBLOCK);
	const sigset_t other = SET(RT1, SIGUSR1);

	block(other);
	send_self(RT0, 1);
	send_self(RT1, 2);
	CHECK_EQ(signalfd(fd, &other, 0), fd);
	expect_read(fd, RT1, 2);
	expect_empty(fd);
	CHECK(is_pending(RT0));
	take_value(SET(RT0), RT0, 1);
	CHECK_OK(close(fd));
}

TEST(two_descriptors_share_the_signals)
{
	const int first = open_fd(SET(RT0, RT1), SFD_NONBLOCK);
	const int second = open_fd(SET(RT0), SFD_NONBLOCK);

	send_self(RT0, 1);
	send_self(RT0, 2);
	send_self(RT1, 3);
	CHECK(is_readable(first) && is_readable(second));
	expect_read(second, RT0, 1);
	expect_read(first, RT0, 2);
	CHECK(!is_readable(second));
	expect_empty(second);
	expect_read(first, RT1, 3);
	CHECK_OK(close(first));
	CHECK_OK(close(second));
}

/* ---- waiting ---- */

struct sender {
	pid_t to;
	int sig, count;
};

static void send_many(void *arg)
{
	const struct sender *s = arg;

	for (int i = 0; i < s->count; i++)
		send_value(s->to, s->sig, i);
}

TEST(read_waits_for_signals_of_another_process)
{
	const int fd = open_fd(SET(RT0, SIGUSR1), 0);

	for (int i = 0; i < KINDS; i++) {
		struct sender s = {getpid(), one_of_kind(i), i == 0 ? 1 : 1000};
		const pid_t pid = test_fork(send_many, &s);
		for (int n = 0; n < s.count; n++) {
			const struct signalfd_siginfo info = read_one(fd);
			CHECK(info.ssi_signo == (uint32_t)s.sig && info.ssi_int == n);
			CHECK_EQ(info.ssi_pid, pid);
		}
		test_join(pid);
	}
	CHECK_OK(close(fd));
}

TEST(poll_and_epoll_wait_for_signals)
{
	const int fd = open_fd(SET(RT0, SIGUSR1), SFD_NONBLOCK);
	const int ep = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = 5};
	struct pollfd p = {.fd = fd, .events = POLLIN};

	CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
	CHECK_EQ(epoll_wait(ep, &event, 1, 0), 0);
	for (int i = 0; i < 20; i++) {
		struct sender s = {getpid(), one_of_kind(i % KINDS), 1};
		const pid_t pid = test_fork(send_many, &s);
		if (i / KINDS % 2)
			CHECK_EQ(poll(&p, 1, 60000), 1);
		else
			CHECK_EQ(epoll_wait(ep, &event, 1, 60000), 1);
		CHECK_EQ(event.data.u32, 5);
		CHECK_EQ(read_one(fd).ssi_pid, pid);
		expect_empty(fd);
		test_join(pid);
	}
	CHECK_OK(close(ep));
	CHECK_OK(close(fd));
}

TEST(handler_ends_a_read_without_sa_restart)
{
	const int fd = open_fd(SET(RT0), 0);
	const struct itimerval often = {{0, 2000}, {0, 2000}};
	const struct itimerval off = {{0, 0}, {0, 0}};
	struct signalfd_siginfo info;

	note_signal(SIGALRM);
	CHECK_OK(setitimer(ITIMER_REAL, &often, NULL));
	CHECK_ERR(read(fd, &info, sizeof(info)), EINTR);
	CHECK_OK(setitimer(ITIMER_REAL, &off, NULL));
	CHECK(atomic_load(&noted) > 0);
	CHECK_OK(close(fd));
}

/* ---- inheritance ---- */

struct child {
	struct stage stage;
	int fd;
};

static void read_own_signals(void *arg)
{
	struct child *c = arg;

	expect_empty(c->fd); // the parent's are not its own
	send_self(RT0, 7);
	expect_read(c->fd, RT0, 7);
	arrive(&c->stage);
	wait_count(&c->stage.go, 1);
	const struct signalfd_siginfo info = read_one(c->fd);
	CHECK_EQ(info.ssi_int, 8);
	CHECK_EQ(info.ssi_pid, getppid());
	expect_empty(c->fd);
}

TEST(forked_child_reads_its_own_signals)
{
	struct child *c = share(sizeof(*c));

	c->fd = open_fd(SET(RT0), SFD_NONBLOCK);
	send_self(RT0, 1);
	const pid_t pid = fork_ready(read_own_signals, &c->stage);
	send_value(pid, RT0, 8);
	atomic_store(&c->stage.go, 1);
	test_join(pid);
	expect_read(c->fd, RT0, 1);
	expect_empty(c->fd);
	CHECK_OK(close(c->fd));
}

/* ---- refused ---- */

TEST(arguments_that_make_no_sense_are_refused)
{
	const sigset_t set = SET(RT0);
	const int fd = open_fd(SET(RT0), 0);
	int p[2];

	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	CHECK_ERR(signalfd(-1, &set, 0x12345), EINVAL);
	CHECK_ERR(signalfd(9999, &set, 0), EBADF);
	CHECK_OK(pipe(p));
	CHECK_ERR(signalfd(p[0], &set, 0), EINVAL);
	CHECK_OK(close(p[0]));
	CHECK_OK(close(p[1]));
	CHECK_OK(close(fd));
	const int plain = (int)CHECK_OK(signalfd(-1, &set, 0));
	CHECK(!(fcntl(plain, F_GETFD) & FD_CLOEXEC));
	CHECK(!(fcntl(plain, F_GETFL) & O_NONBLOCK));
	CHECK_OK(close(plain));
}

TEST(sigkill_and_sigstop_in_the_set_are_passed_over)
{
	const int fd = open_fd(all_signals(), SFD_NONBLOCK);

	send_self(RT0, 1);
	expect_read(fd, RT0, 1);
	expect_empty(fd);
	CHECK_OK(close(fd));
}

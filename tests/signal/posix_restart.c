// SPDX-License-Identifier: MIT
//
// tests/signal/posix_restart.c - what a handler does to the kernel's blocking calls: EINTR without SA_RESTART, going on
// with it where POSIX says so, and ignored or blocked signals and stops disturb nobody.
#include "signals.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/socket.h>

struct sleeper;

struct call {
	const char *name;
	long (*make)(struct sleeper *s);
	bool restarts; // after a handler with SA_RESTART
};

struct sleeper {
	pthread_t thread;
	atomic_int tid, done;
	const struct call *call;
	int pair[2]; // of sockets: the call sleeps on the first
	int pipe_end, ep, locked;
	pid_t child;
	long result;
	int error;
};

static const struct timespec long_time = {100, 0};

static long call_nanosleep(struct sleeper *s)
{
	(void)s;
	return nanosleep(&long_time, NULL);
}

// This one returns the error's number.
static long call_clock_nanosleep(struct sleeper *s)
{
	(void)s;
	errno = clock_nanosleep(CLOCK_MONOTONIC, 0, &long_time, NULL);
	return errno ? -1 : 0;
}

static long call_poll(struct sleeper *s)
{
	struct pollfd p = {.fd = s->pair[0], .events = POLLIN};

	return poll(&p, 1, 100000);
}

static long call_ppoll(struct sleeper *s)
{
	struct pollfd p = {.fd = s->pair[0], .events = POLLIN};

	return ppoll(&p, 1, &long_time, NULL);
}

static long call_select(struct sleeper *s)
{
	struct timeval tv = {100, 0};
	fd_set set;

	FD_ZERO(&set);
	FD_SET(s->pair[0], &set);
	return select(s->pair[0] + 1, &set, NULL, NULL, &tv);
}

static long call_epoll_wait(struct sleeper *s)
{
	struct epoll_event event;

	return epoll_wait(s->ep, &event, 1, 100000);
}

static long call_read(struct sleeper *s)
{
	char byte;

	return read(s->pipe_end, &byte, 1);
}

static long call_recv(struct sleeper *s)
{
	char byte;

	return recv(s->pair[0], &byte, 1, 0);
}

static long call_waitpid(struct sleeper *s)
{
	return waitpid(s->child, NULL, 0) == s->child ? 1 : -1;
}

static long call_wait(struct sleeper *s)
{
	return wait(NULL) == s->child ? 1 : -1;
}

static long call_waitid(struct sleeper *s)
{
	siginfo_t info;

	return waitid(P_PID, (id_t)s->child, &info, WEXITED) == 0 ? 1 : -1;
}

static long call_flock(struct sleeper *s)
{
	return flock(s->locked, LOCK_EX) == 0 ? 1 : -1;
}

static const struct call calls[] = {
	{"nanosleep", call_nanosleep, false},
	{"clock_nanosleep", call_clock_nanosleep, false},
	{"poll", call_poll, false},
	{"ppoll", call_ppoll, false},
	{"select", call_select, false},
	{"epoll_wait", call_epoll_wait, false},
	{"read", call_read, true},
	{"recv", call_recv, true},
	{"waitpid", call_waitpid, true},
	{"wait", call_wait, true},
	{"waitid", call_waitid, true},
	{"flock", call_flock, true},
};

enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

/* ---- what they sleep on, and its end ---- */

struct world {
	struct stage *stage;
	int pair[2], pipe[2], ep, lock[2];
	pid_t child;
};

static void live_until_go(void *arg)
{
	struct stage *s = arg;

	wait_count(&s->go, 1);
	_exit(0);
}

static struct world make_world(void)
{
	struct world w = {.stage = share(sizeof(struct stage))};
	struct epoll_event event = {.events = EPOLLIN};
	char name[] = "/tmp/posthaste-restart-XXXXXX";

	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, w.pair));
	CHECK_OK(syscall(SYS_pipe2, w.pipe, O_CLOEXEC)); // the kernel's own
	w.ep = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
	CHECK_OK(epoll_ctl(w.ep, EPOLL_CTL_ADD, w.pair[0], &event));
	w.lock[0] = (int)CHECK_OK(mkstemp(name));
	w.lock[1] = (int)CHECK_OK(open(name, O_RDWR | O_CLOEXEC));
	CHECK_OK(unlink(name));
	CHECK_OK(flock(w.lock[0], LOCK_EX));
	w.child = test_fork(live_until_go, w.stage);
	return w;
}

static void end_sleep(const struct world *w)
{
	CHECK_EQ(send(w->pair[1], "x", 1, 0), 1);
	CHECK_EQ(syscall(SYS_write, w->pipe[1], "x", 1), 1);
	CHECK_OK(flock(w->lock[0], LOCK_UN));
	atomic_store(&w->stage->go, 1);
}

static void drop_world(const struct world *w)
{
	for (int i = 0; i < 2; i++) {
		CHECK_OK(close(w->pair[i]));
		CHECK_OK(close(w->pipe[i]));
		CHECK_OK(close(w->lock[i]));
	}
	CHECK_OK(close(w->ep));
	kill(w->child, SIGKILL);
	waitpid(w->child, NULL, 0);
}

static void *make_call(void *arg)
{
	struct sleeper *s = arg;

	unblock(SET(SIGUSR1, RT0));
	atomic_store(&s->tid, gettid());
	s->result = s->call->make(s);
	s->error = s->result == -1 ? errno : 0;
	atomic_store(&s->done, 1);
	return NULL;
}

static struct sleeper sleeper_in(const struct world *w, const struct call *call)
{
	return (struct sleeper){.call = call,
	                        .pair = {w->pair[0], w->pair[1]},
	                        .pipe_end = w->pipe[0],
	                        .ep = w->ep,
	                        .locked = w->lock[1],
	                        .child = w->child};
}

// Everybody else blocks what the sleeper does not, so that signals to the process reach the sleeper.
static void start(struct sleeper *s, const struct call *call, const struct world *w)
{
	*s = sleeper_in(w, call);
	block(SET(SIGUSR1, RT0));
	CHECK_EQ(pthread_create(&s->thread, NULL, make_call, s), 0);
	wait_count(&s->tid, 1);
	test_wait_asleep(atomic_load(&s->tid));
}

static void expect_end(struct sleeper *s, int error)
{
	CHECK_EQ(pthread_join(s->thread, NULL), 0);
	if (s->error != error || (error == 0 && s->result != 1))
		test_failed(__FILE__, __LINE__, "%s ends with %d (%ld, %s)", s->call->name, error,
		            s->result, strerror(s->error));
}

/* ---- handlers ---- */

static void send_to_sleeper(const struct sleeper *s, int sig, int way)
{
	if (way == 0)
		CHECK_EQ(pthread_kill(s->thread, sig), 0);
	else if (way == 1)
		CHECK_OK(kill(getpid(), sig));
	else
		send_self(sig, 1);
}

TEST(handler_without_sa_restart_ends_every_call_with_eintr)
{
	const struct world w = make_world();

	for (int i = 0; i < CALLS; i++) {
		for (int n = 0; n < 3 * KINDS; n++) {
			struct sleeper s;
			forget_notes();
			note_signal(one_of_kind(n % KINDS));
			start(&s, &calls[i], &w);
			send_to_sleeper(&s, one_of_kind(n % KINDS), n / KINDS);
			expect_end(&s, EINTR);
			CHECK_EQ(atomic_load(&noted), 1);
		}
	}
	drop_world(&w);
}

TEST(handler_with_sa_restart_lets_those_go_on_that_can)
{
	for (int i = 0; i < CALLS; i++) {
		const struct world w = make_world();
		struct sleeper s;
		for (int n = 0; n < 3 * KINDS; n++) {
			const bool last = n == 3 * KINDS - 1;
			forget_notes();
			handle(one_of_kind(n % KINDS), note, SA_RESTART);
			if (n == 0 || !calls[i].restarts)
				start(&s, &calls[i], &w);
			send_to_sleeper(&s, one_of_kind(n % KINDS), n / KINDS);
			wait_count(&noted, 1);
			if (!calls[i].restarts) {
				expect_end(&s, EINTR);
				continue;
			}
			test_wait_asleep(atomic_load(&s.tid));
			CHECK_EQ(atomic_load(&s.done), 0);
			if (!last)
				continue;
			end_sleep(&w);
			expect_end(&s, 0);
		}
		drop_world(&w);
	}
}

// The first of two handlers that run says nothing: one without SA_RESTART among them ends the call.
TEST(one_handler_without_sa_restart_is_enough)
{
	const struct world w = make_world();
	struct sleeper s;

	handle(SIGUSR1, note, SA_RESTART);
	handle(RT0, note, 0);
	start(&s, &calls[6], &w);
	CHECK_EQ(pthread_kill(s.thread, SIGUSR1), 0);
	wait_count(&noted, 1);
	test_wait_asleep(atomic_load(&s.tid));
	CHECK_EQ(atomic_load(&s.done), 0);
	CHECK_EQ(pthread_kill(s.thread, RT0), 0);
	expect_end(&s, EINTR);
	drop_world(&w);
}

/* ---- signals that disturb nobody ---- */

TEST(ignored_and_blocked_signals_do_not_end_a_call)
{
	for (int i = 0; i < CALLS; i++) {
		const struct world w = make_world();
		struct sleeper s;
		dispose(SIGUSR2, SIG_IGN);
		dispose(RT1, SIG_IGN);
		note_signal(RT2);
		block(SET(RT2, SIGHUP));
		start(&s, &calls[i], &w);
		for (int n = 0; n < 10; n++) {
			CHECK_EQ(pthread_kill(s.thread, SIGUSR2), 0);
			CHECK_EQ(pthread_kill(s.thread, RT1), 0);
			CHECK_EQ(pthread_kill(s.thread, RT2), 0);
			CHECK_EQ(pthread_kill(s.thread, SIGHUP), 0);
			CHECK_EQ(pthread_kill(s.thread, SIGWINCH), 0);
		}
		test_wait_asleep(atomic_load(&s.tid));
		CHECK_EQ(atomic_load(&s.done), 0);
		if (i < 2) { // nothing else ends it
			note_signal(SIGUSR1);
			CHECK_EQ(pthread_kill(s.thread, SIGUSR1), 0);
			expect_end(&s, EINTR);
		} else {
			end_sleep(&w);
			expect_end(&s, 0);
		}
		CHECK_EQ(atomic_exchange(&noted, 0), i < 2);
		atomic_store(&notes_begun, 0);
		drop_world(&w);
	}
}

struct stopped {
	struct stage stage;
	int call;
};

static void make_call_in_child(void *arg)
{
	struct stopped *p = arg;
	const struct world w = make_world();
	struct sleeper s = sleeper_in(&w, &calls[p->call]);

	note_signal(RT0);
	arrive(&p->stage);
	s.result = s.call->make(&s);
	CHECK(s.result == -1 && errno == EINTR);
	CHECK_EQ(atomic_load(&noted), 1); // by RT0, not by the stop
	drop_world(&w);
}

TEST(stop_and_continue_do_not_end_a_call)
{
	static const int those[] = {0, 1, 2, 4, 6, 7, 8, 11}; // not epoll_wait, which Linux ends

	for (int i = 0; i < 8; i++) {
		struct stopped *p = share(sizeof(*p));
		p->call = those[i];
		const pid_t pid = fork_ready(make_call_in_child, &p->stage);
		test_wait_asleep(pid);
		CHECK_OK(kill(pid, SIGSTOP));
		expect_stopped(pid, SIGSTOP);
		CHECK_OK(kill(pid, SIGCONT));
		expect_continued(pid);
		test_wait_asleep(pid);
		send_value(pid, RT0, 1);
		test_join(pid);
	}
}

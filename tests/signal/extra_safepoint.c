// SPDX-License-Identifier: MIT
//
// tests/signal/extra_safepoint.c - handlers with PH_SA_SAFEPOINT run when a call of the library returns and at no other
// time; calls that sleep end for them, or go on with SA_RESTART; order, masks, one-shot, nesting, calls that are not
// async-signal-safe.
#include "crowd.h"

#include <fcntl.h>
#include <poll.h>
#include <posthaste/posthaste.h>
#include <sys/select.h>
#include <sys/socket.h>

#define SIG (SIGRTMIN + 3)

static atomic_int runs, order[64], depth_now, depth_most;

static void count_run(int sig)
{
	const int n = atomic_fetch_add(&runs, 1);

	if (n < 64)
		atomic_store(&order[n], sig);
}

static void handle_at(int sig, void (*fn)(int), int flags, sigset_t mask)
{
	struct sigaction sa = {.sa_handler = fn, .sa_flags = PH_SA_SAFEPOINT | flags, .sa_mask = mask};

	CHECK_OK(ph_sigaction(sig, &sa, NULL));
}

static sigset_t no_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	return set;
}

static void queue_to_self(int sig, int value)
{
	CHECK_OK(ph_sigqueue(getpid(), sig, (union sigval){.sival_int = value}));
}

static void send_past_the_library(int sig)
{
	CHECK_OK((int)syscall(SYS_kill, getpid(), sig));
}

// ---- when they run ----

TEST(handler_runs_at_dispatch_and_not_before)
{
	handle_at(SIGUSR1, count_run, 0, no_signals());
	send_past_the_library(SIGUSR1);
	for (int i = 0; i < 1000; i++)
		sched_yield();
	CHECK_EQ(atomic_load(&runs), 0);
	CHECK_EQ(ph_sigdispatch(), 1);
	CHECK_EQ(atomic_load(&runs), 1);
	CHECK_EQ(ph_sigdispatch(), 0);
	CHECK_EQ(atomic_load(&runs), 1);
}

TEST(handler_runs_when_any_call_of_the_library_returns)
{
	int value;
	sem_t sem;
	sigset_t set;

	handle_at(SIGUSR1, count_run, 0, no_signals());
	CHECK_OK(ph_sem_init(&sem, 0, 1));
	send_past_the_library(SIGUSR1);
	CHECK_OK(ph_sem_wait(&sem));
	CHECK_EQ(atomic_load(&runs), 1);
	send_past_the_library(SIGUSR1);
	CHECK_OK(ph_sem_getvalue(&sem, &value) + ph_sem_post(&sem));
	CHECK_EQ(atomic_load(&runs), 2);
	send_past_the_library(SIGUSR1);
	CHECK_OK(ph_sigpending(&set));
	CHECK_EQ(atomic_load(&runs), 3);
	CHECK_OK(ph_kill(getpid(), SIGUSR1)); // its own return is a safe point, too
	CHECK_EQ(atomic_load(&runs), 4);
	CHECK_OK(ph_sem_destroy(&sem));
}

TEST(lowest_number_is_first_and_each_queued_one_runs)
{
	const sigset_t none = no_signals();

	handle_at(SIG, count_run, 0, none);
	handle_at(SIG + 1, count_run, 0, none);
	handle_at(SIGUSR1, count_run, 0, none);
	block(SIG);
	for (int i = 0; i < 2; i++) {
		send_by_kernel(getpid(), SIG + 1, i);
		send_by_kernel(getpid(), SIG, i);
	}
	send_past_the_library(SIGUSR1);
	CHECK_EQ(ph_sigdispatch(), 3);
	unblock(SIG);
	ph_sigdispatch();
	const int expected[] = {SIGUSR1, SIG + 1, SIG + 1, SIG, SIG};
	CHECK_EQ(atomic_load(&runs), 5);
	for (int i = 0; i < 5; i++)
		CHECK_EQ(atomic_load(&order[i]), expected[i]);
}

// ---- masks, nesting, one-shot ----

static void send_both_within(int sig)
{
	const int depth = atomic_fetch_add(&depth_now, 1) + 1;

	if (depth > atomic_load(&depth_most))
		atomic_store(&depth_most, depth);
	count_run(sig);
	if (atomic_load(&runs) < 4) {
		send_past_the_library(SIGUSR1);
		send_past_the_library(SIGUSR2);
	}
	atomic_fetch_sub(&depth_now, 1);
}

TEST(handler_is_not_entered_again_within_itself)
{
	handle_at(SIGUSR1, send_both_within, 0, set_of(SIGUSR2));
	handle_at(SIGUSR2, send_both_within, 0, set_of(SIGUSR1));
	send_past_the_library(SIGUSR1);
	while (ph_sigdispatch() > 0)
		;
	CHECK(atomic_load(&runs) >= 4);
	CHECK_EQ(atomic_load(&depth_most), 1);
}

static sigset_t mask_within;

static void look_at_mask(int sig)
{
	(void)sig;
	CHECK_OK(ph_sigprocmask(SIG_BLOCK, NULL, &mask_within));
}

TEST(mask_is_the_handlers_within_and_the_old_one_after)
{
	sigset_t after;

	handle_at(SIGUSR1, look_at_mask, 0, set_of(SIGTERM));
	block(SIGHUP);
	send_past_the_library(SIGUSR1);
	CHECK_EQ(ph_sigdispatch(), 1);
	CHECK(sigismember(&mask_within, SIGUSR1) && sigismember(&mask_within, SIGTERM) &&
	      sigismember(&mask_within, SIGHUP));
	CHECK_OK(ph_sigprocmask(SIG_BLOCK, NULL, &after));
	CHECK(!sigismember(&after, SIGUSR1) && !sigismember(&after, SIGTERM) &&
	      sigismember(&after, SIGHUP));
}

TEST(one_shot_handler_runs_once_and_is_gone)
{
	struct sigaction sa;

	handle_at(SIGWINCH, count_run, (int)SA_RESETHAND, no_signals()); // ignored by default
	send_past_the_library(SIGWINCH);
	CHECK_EQ(ph_sigdispatch(), 1);
	CHECK_OK(ph_sigaction(SIGWINCH, NULL, &sa));
	CHECK(sa.sa_handler == SIG_DFL);
	send_past_the_library(SIGWINCH);
	CHECK_EQ(ph_sigdispatch(), 0);
	CHECK_EQ(atomic_load(&runs), 1);
}

static void use_everything(int sig)
{
	void *p = malloc(1000);
	const mqd_t q = ph_mq_open(test_name(), O_CREAT | O_RDWR, 0600, NULL);

	CHECK(p != NULL && q != -1);
	CHECK_OK(ph_mq_send(q, "x", 1, 0));
	CHECK_OK(ph_mq_close(q));
	free(p);
	count_run(sig);
}

TEST(handler_may_call_anything)
{
	handle_at(SIGUSR1, use_everything, 0, no_signals());
	for (int i = 0; i < 50; i++) {
		const mqd_t q = ph_mq_open(test_name(), O_CREAT | O_RDWR | O_NONBLOCK, 0600, NULL);
		char buf[8192];
		CHECK(q != -1);
		send_past_the_library(SIGUSR1);
		while (ph_mq_receive(q, buf, sizeof buf, NULL) != -1)
			;
		CHECK_EQ(errno, EAGAIN);
		CHECK_OK(ph_mq_close(q));
	}
	CHECK_EQ(atomic_load(&runs), 50);
	CHECK_OK(ph_mq_unlink(test_name()));
}

// ---- calls that sleep ----

struct sleeper {
	atomic_int tid, done, result, error;
	int (*call)(struct sleeper *s);
	sem_t sem;
	mqd_t q;
	int pipe[2];
};

static int sleep_for_unit(struct sleeper *s)
{
	return ph_sem_wait(&s->sem);
}

static int sleep_for_message(struct sleeper *s)
{
	char buf[8192];

	return ph_mq_receive(s->q, buf, sizeof buf, NULL) >= 0 ? 0 : -1;
}

static int sleep_for_bytes(struct sleeper *s)
{
	char byte;

	return ph_read(s->pipe[0], &byte, 1) == 1 ? 0 : -1;
}

static int sleep_for_signal(struct sleeper *s)
{
	const sigset_t set = set_of(SIG + 2);
	siginfo_t info;

	(void)s;
	return ph_sigwaitinfo(&set, &info) == SIG + 2 ? 0 : -1;
}

static void *sleep_in_call(void *arg)
{
	struct sleeper *s = arg;

	atomic_store(&s->tid, (int)gettid());
	const int r = s->call(s);
	atomic_store(&s->error, errno);
	atomic_store(&s->result, r);
	atomic_store(&s->done, 1);
	return NULL;
}

static void make(struct sleeper *s, int (*call)(struct sleeper *))
{
	memset(s, 0, sizeof *s);
	s->call = call;
	CHECK_OK(ph_sem_init(&s->sem, 0, 0));
	s->q = ph_mq_open(test_name(), O_CREAT | O_RDWR, 0600, NULL);
	CHECK(s->q != -1);
	CHECK_OK(ph_pipe(s->pipe));
}

static void unmake(struct sleeper *s)
{
	CHECK_OK(ph_sem_destroy(&s->sem));
	CHECK_OK(ph_mq_close(s->q));
	CHECK_OK(ph_mq_unlink(test_name()));
	CHECK_OK(ph_close(s->pipe[0]));
	CHECK_OK(ph_close(s->pipe[1]));
}

static void serve(struct sleeper *s)
{
	CHECK_OK(ph_sem_post(&s->sem));
	CHECK_OK(ph_mq_send(s->q, "x", 1, 0));
	CHECK_EQ(ph_write(s->pipe[1], "x", 1), 1);
	queue_to_self(SIG + 2, 1);
}

static int (*const sleeps[])(struct sleeper *) = {sleep_for_unit, sleep_for_message,
                                                  sleep_for_signal, sleep_for_bytes};

enum { SLEEPS = sizeof sleeps / sizeof sleeps[0] };

static bool has_run(void *arg)
{
	return atomic_load(&runs) >= *(const int *)arg;
}

static void wait_for_runs(int n)
{
	test_wait_until(has_run, &n);
}

TEST(sleeping_call_ends_with_eintr_after_the_handler)
{
	for (int i = 0; i < SLEEPS; i++) {
		struct sleeper s;
		pthread_t thread;
		block(SIG + 2);
		make(&s, sleeps[i]);
		atomic_store(&runs, 0);
		handle_at(SIGUSR1, count_run, 0, no_signals());
		CHECK_EQ(pthread_create(&thread, NULL, sleep_in_call, &s), 0);
		while (atomic_load(&s.tid) == 0)
			sched_yield();
		test_wait_asleep(atomic_load(&s.tid));
		CHECK_EQ(ph_pthread_kill(thread, SIGUSR1), 0);
		CHECK_EQ(pthread_join(thread, NULL), 0);
		CHECK_EQ(atomic_load(&runs), 1);
		CHECK_EQ(atomic_load(&s.result), -1);
		CHECK_EQ(atomic_load(&s.error), EINTR);
		unmake(&s);
	}
}

TEST(sleeping_call_goes_on_after_a_handler_with_sa_restart)
{
	for (int i = 0; i < SLEEPS; i++) {
		struct sleeper s;
		pthread_t thread;
		block(SIG + 2);
		make(&s, sleeps[i]);
		atomic_store(&runs, 0);
		handle_at(SIGUSR1, count_run, SA_RESTART, no_signals());
		CHECK_EQ(pthread_create(&thread, NULL, sleep_in_call, &s), 0);
		for (int n = 1; n <= 5; n++) {
			while (atomic_load(&s.tid) == 0)
				sched_yield();
			test_wait_asleep(atomic_load(&s.tid));
			CHECK_EQ(ph_pthread_kill(thread, SIGUSR1), 0);
			if (sleeps[i] == sleep_for_signal) // waiting for signals is never restarted (signal(7))
				break;
			wait_for_runs(n);
		}
		if (sleeps[i] == sleep_for_signal)
			wait_for_runs(1);
		else
			CHECK_EQ(atomic_load(&s.done), 0);
		serve(&s);
		CHECK_EQ(pthread_join(thread, NULL), 0);
		if (sleeps[i] != sleep_for_signal)
			CHECK_EQ(atomic_load(&s.result), 0);
		unmake(&s);
		const sigset_t set = set_of(SIG + 2);
		const struct timespec none = {0, 0};
		ph_sigtimedwait(&set, NULL, &none);
	}
}

// The signal comes at any moment before or in the sleep: never is the call left asleep beside it. (Each single moment:
// tests/kill/safe_points.c.)
static atomic_int ball;

static void *call_again_and_again(void *arg)
{
	struct sleeper *s = arg;

	atomic_store(&s->tid, (int)gettid());
	for (;;) {
		atomic_fetch_add(&ball, 1);
		if (s->call(s) == 0)
			return NULL; // served: the end
		if (errno != EINTR)
			return s;
	}
}

TEST(signal_right_before_the_sleep_is_not_slept_through)
{
	enum { ROUNDS = 2000 / SLOWER };
	for (int i = 0; i < SLEEPS; i++) {
		struct sleeper s;
		pthread_t thread;
		void *bad;
		block(SIG + 2);
		make(&s, sleeps[i]);
		atomic_store(&runs, 0);
		atomic_store(&ball, 0);
		handle_at(SIGUSR1, count_run, 0, no_signals());
		CHECK_EQ(pthread_create(&thread, NULL, call_again_and_again, &s), 0);
		for (int n = 1; n <= ROUNDS; n++) {
			while (atomic_load(&ball) < n) // about to call
				sched_yield();
			for (volatile int k = 0; k < n % 64 * 20; k++)
				;
			CHECK_EQ(ph_pthread_kill(thread, SIGUSR1), 0);
			while (atomic_load(&runs) < n)
				sched_yield();
		}
		serve(&s);
		CHECK_EQ(pthread_join(thread, &bad), 0);
		CHECK(bad == NULL);
		CHECK_EQ(atomic_load(&runs), ROUNDS);
		unmake(&s);
		const sigset_t set = set_of(SIG + 2);
		const struct timespec none = {0, 0};
		ph_sigtimedwait(&set, NULL, &none);
	}
}

// ---- cancellation ----

static sigset_t mask_at_end;

static void look_at_end(void *arg)
{
	(void)arg;
	CHECK_EQ(ph_pthread_sigmask(SIG_BLOCK, NULL, &mask_at_end), 0);
}

static void *call_until_cancelled(void *arg)
{
	struct sleeper *s = arg;

	atomic_store(&s->tid, (int)gettid());
	pthread_cleanup_push(look_at_end, NULL);
	s->call(s);
	pthread_cleanup_pop(1);
	return NULL;
}

static int sleep_for_handler(struct sleeper *s)
{
	const sigset_t none = no_signals();

	(void)s;
	return ph_sigsuspend(&none);
}

TEST(cancelled_call_leaves_no_signal_blocked)
{
	int (*const all[])(struct sleeper *) = {sleep_for_unit, sleep_for_message, sleep_for_signal,
	                                        sleep_for_bytes, sleep_for_handler};

	handle_at(SIGUSR1, count_run, 0, no_signals());
	handle_at(SIGUSR2, count_run, SA_RESTART, no_signals());
	block(SIG + 2);
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		struct sleeper s;
		pthread_t thread;
		void *end;
		make(&s, all[i]);
		CHECK_EQ(pthread_create(&thread, NULL, call_until_cancelled, &s), 0);
		while (atomic_load(&s.tid) == 0)
			sched_yield();
		test_wait_asleep(atomic_load(&s.tid));
		CHECK_EQ(pthread_cancel(thread), 0);
		CHECK_EQ(pthread_join(thread, &end), 0);
		CHECK(end == PTHREAD_CANCELED);
		for (int sig = 1; sig < SIGRTMIN; sig++)
			CHECK(sig >= 32 || sigismember(&mask_at_end, sig) == 0);
		if (all[i] != sleep_for_handler) // which has changed the mask itself
			CHECK(sigismember(&mask_at_end, SIG + 2) == 1);
		unmake(&s);
	}
}

// ---- calls that need not sleep ----

TEST(call_that_need_not_sleep_is_not_interrupted)
{
	int fds[2], sockets[2];
	char buf[8];
	struct pollfd p;
	fd_set set;
	struct timeval long_time = {1000, 0};
	const sigset_t waited = set_of(SIG + 2);

	block(SIG + 2);
	handle_at(SIGUSR1, count_run, 0, no_signals());
	CHECK_OK(ph_pipe(fds));
	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	send_past_the_library(SIGUSR1);
	CHECK_EQ(ph_write(fds[1], "abc", 3), 3);
	CHECK_EQ(atomic_load(&runs), 1);
	send_past_the_library(SIGUSR1);
	CHECK_EQ(ph_write(sockets[1], "abc", 3), 3);
	send_past_the_library(SIGUSR1);
	CHECK_EQ(ph_read(fds[0], buf, sizeof buf), 3);
	send_past_the_library(SIGUSR1);
	CHECK_EQ(ph_read(sockets[0], buf, sizeof buf), 3);
	CHECK_EQ(atomic_load(&runs), 4);
	p = (struct pollfd){fds[1], POLLOUT, 0};
	send_past_the_library(SIGUSR1);
	CHECK_EQ(poll(&p, 1, -1), 1);
	FD_ZERO(&set);
	FD_SET(fds[1], &set);
	send_past_the_library(SIGUSR1);
	CHECK_EQ(select(fds[1] + 1, NULL, &set, NULL, &long_time), 1);
	CHECK_EQ(atomic_load(&runs), 6);
	queue_to_self(SIG + 2, 7);
	send_past_the_library(SIGUSR1);
	CHECK_EQ(ph_sigwaitinfo(&waited, NULL), SIG + 2);
	CHECK_EQ(atomic_load(&runs), 7);
	CHECK_OK(ph_fcntl(fds[0], F_SETFL, O_NONBLOCK));
	send_past_the_library(SIGUSR1);
	CHECK_ERR(ph_read(fds[0], buf, sizeof buf), EAGAIN);
	send_past_the_library(SIGUSR1);
	CHECK_OK(ph_close(fds[0]) + ph_close(fds[1]));
	CHECK_EQ(atomic_load(&runs), 9);
	CHECK_OK(close(sockets[0]) + close(sockets[1]));
}

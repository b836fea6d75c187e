// SPDX-License-Identifier: MIT
//
// tests/signal/posix_handler.c - what handlers may do: every call that POSIX lists for them, errno as they leave it,
// signals to others and to themselves; and that they interrupt computation and memory allocation at any place.
#include "signals.h"

/* ---- errno ---- */

static void save_errno(int sig)
{
	const int saved = errno;

	(void)sig;
	CHECK_ERR(kill(getpid(), 1000), EINVAL);
	errno = saved;
}

// Sent by the system call itself, which leaves errno alone when it succeeds.
TEST(errno_is_kept_by_a_handler_that_keeps_it)
{
	for (int i = 0; i < KINDS; i++) {
		dispose(one_of_kind(i), save_errno);
		send_self(one_of_kind(i), 1);
		for (int n = 1; n <= 10; n++) {
			errno = 12345;
			CHECK_EQ(syscall(SYS_tgkill, getpid(), gettid(), one_of_kind(i)), 0);
			CHECK_EQ(errno, 12345);
		}
	}
}

/* ---- the calls of POSIX's list ---- */

static volatile int calls_made;

static void make_calls(int sig, siginfo_t *info, void *context)
{
	struct sigaction sa, old;
	sigset_t set;

	note(sig, info, context);
	CHECK_OK(sigaction(SIGUSR2, NULL, &sa));
	CHECK_OK(sigaction(SIGUSR2, &sa, &old));
	CHECK_OK(sigemptyset(&set));
	CHECK_OK(sigfillset(&set));
	CHECK_OK(sigdelset(&set, SIGUSR2));
	CHECK_OK(sigaddset(&set, SIGUSR2));
	CHECK_EQ(sigismember(&set, SIGUSR2), 1);
	CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &set));
	CHECK_EQ(sigismember(&set, sig), 1);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &set), 0);
	CHECK_OK(sigpending(&set));
	CHECK_OK(kill(getpid(), 0));
	CHECK_OK(raise(SIGUSR2));
	CHECK_OK(kill(getpid(), SIGUSR2));
	send_self(RT2, calls_made);
	CHECK_EQ(pthread_kill(pthread_self(), SIGUSR2), 0);
	alarm(0);
	calls_made = calls_made + 1;
}

TEST(handler_makes_all_calls_that_posix_lists)
{
	note_signal(SIGUSR2);
	note_signal(RT2);
	for (int i = 0; i < KINDS; i++) {
		handle(one_of_kind(i), make_calls, 0);
		for (int n = 0; n < 100; n++)
			send_self(one_of_kind(i), n);
		block(SET(RT0));
		for (int n = 0; n < 100; n++)
			send_self(RT0, n);
		handle(RT0, make_calls, 0);
		unblock(SET(RT0));
	}
	CHECK_EQ(calls_made, 100 + 100 + 200);
	CHECK_EQ(atomic_load(&noted), calls_made * 5);
	for (int i = 0, next = 0; i < atomic_load(&noted); i++)
		if (notes[i].sig == RT2)
			CHECK_EQ(notes[i].value, next++);
}

static void suspend_inside(int sig, siginfo_t *info, void *context)
{
	const sigset_t mask = SET(SIGUSR1, RT0);

	note(sig, info, context);
	block(SET(RT2));
	send_self(RT2, info->si_value.sival_int);
	CHECK_ERR(sigsuspend(&mask), EINTR);
	CHECK(is_blocked(RT2) && is_blocked(sig));
}

TEST(handler_may_wait_for_another_signal)
{
	note_signal(RT2);
	for (int i = 0; i < KINDS; i++) {
		forget_notes();
		handle(one_of_kind(i), suspend_inside, 0);
		for (int n = 0; n < 20; n++) {
			send_self(one_of_kind(i), n);
			CHECK_EQ(atomic_load(&noted), 2 * (n + 1));
			expect_note(2 * n + 1, RT2, n);
			CHECK(!is_blocked(RT2));
		}
	}
}

static void take_inside(int sig, siginfo_t *info, void *context)
{
	note(sig, info, context);
	for (int i = 0; i < 3; i++) {
		send_self(RT2, i);
		take_value(SET(RT2), RT2, i);
	}
	expect_none(SET(RT2));
}

TEST(handler_may_take_signals)
{
	block(SET(RT2));
	for (int i = 0; i < KINDS; i++) {
		forget_notes();
		handle(one_of_kind(i), take_inside, 0);
		block(SET(one_of_kind(i)));
		for (int n = 0; n < 20; n++)
			send_self(one_of_kind(i), n);
		unblock(SET(one_of_kind(i)));
		CHECK_EQ(atomic_load(&noted), i == 0 ? 1 : 20);
	}
}

/* ---- first calls from inside ---- */

struct pair {
	struct stage stage;
	pid_t parent;
	atomic_int rounds;
};

static struct pair *ours;

// The first that this process ever sends to another one.
static void answer_inside(int sig, siginfo_t *info, void *context)
{
	note(sig, info, context);
	send_value(ours->parent, RT1, info->si_value.sival_int);
}

static void answer_from_the_handler(void *arg)
{
	ours = arg;
	handle(RT0, answer_inside, 0);
	arrive(&ours->stage);
	compute_until(&noted, 100);
}

TEST(handler_answers_another_process)
{
	struct pair *p = share(sizeof(*p));

	block(SET(RT1));
	p->parent = getpid();
	const pid_t pid = fork_ready(answer_from_the_handler, &p->stage);
	for (int i = 0; i < 100; i++) {
		send_value(pid, RT0, i);
		const siginfo_t info = take(SET(RT1));
		CHECK_EQ(info.si_value.sival_int, i);
		CHECK_EQ(info.si_pid, pid);
	}
	test_join(pid);
}

static void set_up_inside(int sig, siginfo_t *info, void *context)
{
	note(sig, info, context);
	note_signal(RT1);
	send_self(RT1, 8);
	block(SET(RT2));
	send_self(RT2, 9);
	take_value(SET(RT2), RT2, 9);
}

static void set_up_first_inside(void *arg)
{
	(void)arg;
	handle(SIGUSR1, set_up_inside, 0);
	CHECK_OK(raise(SIGUSR1));
	expect_note(1, RT1, 8);
	send_self(RT1, 10);
	expect_note(2, RT1, 10);
}

TEST(first_use_of_other_signals_may_be_inside_a_handler)
{
	test_join(test_fork(set_up_first_inside, NULL));
}

/* ---- at any place ---- */

// Send without end, a few ahead of the handlers, and a few in each round of what they interrupt: who sends faster than they
// handle would leave it no time.
static void ring_back(void *arg)
{
	enum { AHEAD = 8, EACH_ROUND = 64 };
	struct pair *p = arg;
	int round = -1, left = 0;

	for (int i = 0; !atomic_load(&p->stage.over);) {
		if (round != atomic_load(&p->rounds))
			left = EACH_ROUND;
		round = atomic_load(&p->rounds);
		if (left == 0 || i - atomic_load(&p->stage.count) > AHEAD) {
			sched_yield();
			continue;
		}
		CHECK_OK(kill(p->parent, SIGUSR1));
		send_value(p->parent, RT0, i++);
		left--;
	}
}

static void count_handled(int sig, siginfo_t *info, void *context)
{
	note(sig, info, context);
	if (sig == RT0)
		atomic_fetch_add(&ours->stage.count, 1);
	if (atomic_load(&notes_begun) > NOTES / 2)
		forget_notes();
}

static unsigned long sum_of(const unsigned char *bytes, int n)
{
	unsigned long sum = 0;

	for (int i = 0; i < n; i++)
		sum += bytes[i];
	return sum;
}

// Computation with numbers of every kind, and memory from malloc: a handler between any two instructions.
TEST(handlers_interrupt_computation_and_harm_nothing)
{
	struct pair *p = share(sizeof(*p));
	double x = 1;
	unsigned long total = 0;

	ours = p;
	handle(SIGUSR1, count_handled, 0);
	handle(RT0, count_handled, 0);
	p->parent = getpid();
	const pid_t pid = test_fork(ring_back, p);
	for (int i = 0; i < 20000 || atomic_load(&p->stage.count) < 100; i++) {
		unsigned char *bytes = malloc(64 + (size_t)i % 512);
		CHECK(bytes != NULL);
		memset(bytes, i & 0xff, 64);
		total += sum_of(bytes, 64) - 64UL * (i & 0xff);
		free(bytes);
		x = x * 1.0000001 / 1.0000001;
		errno = i;
		CHECK_EQ(errno, i);
		atomic_fetch_add(&p->rounds, 1);
	}
	atomic_store(&p->stage.over, 1);
	dispose(SIGUSR1, SIG_IGN);
	dispose(RT0, SIG_IGN);
	test_join(pid);
	CHECK_EQ(total, 0);
	CHECK(x > 0.999 && x < 1.001);
}

// The library's own calls, interrupted all the time by handlers that make them too.
static void use_the_library(int sig, siginfo_t *info, void *context)
{
	count_handled(sig, info, context);
	CHECK_OK(raise(SIGUSR2));
	is_pending(RT2);
	send_self(RT1, info->si_value.sival_int);
}

TEST(calls_are_interrupted_by_handlers_that_make_the_same_calls)
{
	struct pair *p = share(sizeof(*p));

	ours = p;
	handle(SIGUSR1, use_the_library, 0);
	handle(RT0, use_the_library, 0);
	handle(RT1, count_handled, 0);
	handle(SIGUSR2, count_handled, 0);
	p->parent = getpid();
	const pid_t pid = test_fork(ring_back, p);
	block(SET(RT2));
	for (int i = 0; i < 3000 / SLOWER || atomic_load(&p->stage.count) < 100; i++) {
		send_self(RT2, i);
		CHECK(is_pending(RT2));
		block(SET(RT1));
		take_value(SET(RT2), RT2, i);
		dispose(SIGHUP, i % 2 ? SIG_IGN : SIG_DFL);
		unblock(SET(RT1));
		atomic_fetch_add(&p->rounds, 1);
	}
	atomic_store(&p->stage.over, 1);
	dispose(SIGUSR1, SIG_IGN);
	dispose(RT0, SIG_IGN);
	test_join(pid);
}

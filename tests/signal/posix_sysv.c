// SPDX-License-Identifier: MIT
//
// tests/signal/posix_sysv.c - the older calls: signal as the BSDs have it, siginterrupt, and sigset with its
// relatives of System V.
#include "signals.h"

#include <sys/socket.h>

// They are deprecated, and there.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static atomic_int handled;
static int blocked_inside;

static void count(int sig)
{
	blocked_inside = is_blocked(sig);
	atomic_fetch_add(&handled, 1);
}

static void count_otherwise(int sig)
{
	(void)sig;
	atomic_fetch_add(&handled, 100);
}

static int flags_of(int sig)
{
	struct sigaction sa;

	CHECK_OK(sigaction(sig, NULL, &sa));
	return sa.sa_flags;
}

/* ---- signal ---- */

TEST(signal_returns_what_was_before)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		CHECK(signal(sig, count) == SIG_DFL);
		CHECK(signal(sig, SIG_IGN) == count);
		CHECK(signal(sig, count_otherwise) == SIG_IGN);
		CHECK(signal(sig, SIG_DFL) == count_otherwise);
		CHECK(disposition_of(sig) == SIG_DFL);
	}
}

TEST(handler_of_signal_stays_and_restarts_and_is_not_nested)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		atomic_store(&handled, 0);
		CHECK(signal(sig, count) == SIG_DFL);
		CHECK(flags_of(sig) & SA_RESTART);
		CHECK(!(flags_of(sig) & (SA_RESETHAND | SA_NODEFER | SA_SIGINFO)));
		for (int n = 1; n <= 3; n++) {
			CHECK_OK(raise(sig));
			CHECK_EQ(atomic_load(&handled), n);
			CHECK_EQ(blocked_inside, 1);
			CHECK(!is_blocked(sig));
			CHECK(disposition_of(sig) == count);
		}
	}
}

TEST(signal_and_sigaction_tell_of_each_other)
{
	struct sigaction sa;

	note_signal(RT0);
	CHECK_OK(sigaction(RT0, NULL, &sa));
	CHECK((void *)signal(RT0, count) == (void *)sa.sa_sigaction);
	send_self(RT0, 1);
	CHECK_EQ(atomic_load(&handled), 1);
	CHECK_EQ(atomic_load(&noted), 0);
	dispose(RT0, count_otherwise);
	CHECK(!(flags_of(RT0) & SA_RESTART));
	send_self(RT0, 1);
	CHECK_EQ(atomic_load(&handled), 101);
}

/* ---- siginterrupt ---- */

TEST(siginterrupt_changes_whether_calls_are_restarted)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		CHECK(signal(sig, count) == SIG_DFL);
		CHECK_OK(siginterrupt(sig, 1));
		CHECK(!(flags_of(sig) & SA_RESTART));
		CHECK(disposition_of(sig) == count);
		CHECK_OK(siginterrupt(sig, 0));
		CHECK(flags_of(sig) & SA_RESTART);
		CHECK(disposition_of(sig) == count);
	}
}

struct reader {
	int fd;
	atomic_int tid;
	ssize_t result;
	int error;
};

static void *read_one(void *arg)
{
	struct reader *r = arg;
	char byte;

	atomic_store(&r->tid, gettid());
	r->result = recv(r->fd, &byte, 1, 0);
	r->error = errno;
	return NULL;
}

// A reader that a handler interrupts: does its call go on?
static bool goes_on(int sig)
{
	struct reader r = {0};
	pthread_t thread;
	int pair[2];

	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	r.fd = pair[0];
	atomic_store(&handled, 0);
	CHECK_EQ(pthread_create(&thread, NULL, read_one, &r), 0);
	wait_count(&r.tid, 1);
	test_wait_asleep(atomic_load(&r.tid));
	CHECK_EQ(pthread_kill(thread, sig), 0);
	wait_count(&handled, 1);
	CHECK_EQ(send(pair[1], "x", 1, 0), 1);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_OK(close(pair[0]));
	CHECK_OK(close(pair[1]));
	CHECK(r.result == 1 || r.error == EINTR);
	return r.result == 1;
}

TEST(siginterrupt_lets_a_handler_interrupt)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		CHECK(signal(sig, count) == SIG_DFL);
		CHECK(goes_on(sig));
		CHECK_OK(siginterrupt(sig, 1));
		CHECK(!goes_on(sig));
		CHECK_OK(siginterrupt(sig, 0));
		CHECK(goes_on(sig));
	}
}

/* ---- System V ---- */

TEST(sigset_sets_a_disposition_and_unblocks)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		atomic_store(&handled, 0);
		CHECK(sigset(sig, count) == SIG_DFL);
		CHECK_OK(raise(sig));
		CHECK_EQ(atomic_load(&handled), 1);
		CHECK_EQ(blocked_inside, 1);
		CHECK(sigset(sig, SIG_HOLD) == count);
		CHECK(is_blocked(sig));
		CHECK(disposition_of(sig) == count);
		CHECK_OK(raise(sig));
		CHECK_EQ(atomic_load(&handled), 1);
		CHECK(sigset(sig, count_otherwise) == SIG_HOLD);
		CHECK(!is_blocked(sig));
		CHECK_EQ(atomic_load(&handled), 101);
		CHECK(sigset(sig, SIG_DFL) == count_otherwise);
	}
}

TEST(sighold_and_sigrelse_block_and_unblock)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		atomic_store(&handled, 0);
		CHECK(sigset(sig, count) == SIG_DFL);
		CHECK_OK(sighold(sig));
		CHECK(is_blocked(sig));
		CHECK_OK(raise(sig));
		CHECK(is_pending(sig));
		CHECK_EQ(atomic_load(&handled), 0);
		CHECK_OK(sigrelse(sig));
		CHECK_EQ(atomic_load(&handled), 1);
		CHECK(!is_blocked(sig));
	}
}

TEST(sigignore_ignores)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		CHECK(sigset(sig, count) == SIG_DFL);
		CHECK_OK(sigignore(sig));
		CHECK(disposition_of(sig) == SIG_IGN);
		CHECK_OK(raise(sig));
		CHECK_EQ(atomic_load(&handled), 0);
	}
}

TEST(sigpause_unblocks_one_signal_and_waits)
{
	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		atomic_store(&handled, 0);
		CHECK(signal(sig, count) == SIG_DFL);
		CHECK(signal(SIGUSR2, count_otherwise) != SIG_ERR);
		block(SET(sig, SIGUSR2));
		CHECK_OK(raise(SIGUSR2));
		CHECK_OK(raise(sig));
		CHECK_ERR(sigpause(sig), EINTR);
		CHECK_EQ(atomic_load(&handled), 1);
		CHECK(is_blocked(sig));
		CHECK(is_pending(SIGUSR2));
		unblock(SET(sig, SIGUSR2));
	}
}

TEST(older_calls_refuse_what_is_no_signal)
{
	static const int no_signal[] = {-1, 65, 1000};

	for (int i = 0; i < 3; i++) {
		CHECK_ERR(siginterrupt(no_signal[i], 1), EINVAL);
		CHECK(sigset(no_signal[i], SIG_IGN) == SIG_ERR);
		CHECK_EQ(errno, EINVAL);
		CHECK_ERR(sighold(no_signal[i]), EINVAL);
		CHECK_ERR(sigrelse(no_signal[i]), EINVAL);
		CHECK_ERR(sigignore(no_signal[i]), EINVAL);
		CHECK_ERR(sigpause(no_signal[i]), EINVAL);
	}
	CHECK_ERR(sigignore(SIGKILL), EINVAL);
	CHECK(sigset(SIGSTOP, SIG_IGN) == SIG_ERR);
	CHECK_EQ(errno, EINVAL);
}

// SPDX-License-Identifier: MIT
//
// tests/signal/signals.h - what the tests of signals share: sets, handlers that note what they got, sending,
// children and the states they are waited for in, memory shared with them, users.
//
// Everything is written in POSIX names, so that the posix_*.c files can be built against the kernel's own
// signals as well. No test waits for time to pass: a signal that must not have come is shown not to have come
// by a later one that has.
#ifndef TESTS_SIGNAL_SIGNALS_H
#define TESTS_SIGNAL_SIGNALS_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runner.h"

enum { NOBODY = 65534, NOTES = 30000 };

// The loops that only repeat are shorter where each step costs a multiple.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__) || !defined(__x86_64__)
enum { SLOWER = 10 };
#else
enum { SLOWER = 1 };
#endif

// Two real-time signals, and a third.
#define RT0 SIGRTMIN
#define RT1 (SIGRTMIN + 1)
#define RT2 (SIGRTMIN + 2)

// What holds for both kinds of signals is tried with one of each.
enum { KINDS = 2 };

static inline int one_of_kind(int kind)
{
	return kind == 0 ? SIGUSR1 : RT0;
}

// Zeroed memory that forked children share.
static inline void *share(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

// ---- sets and masks ----

// A set of the signals of a list that ends with 0.
static inline sigset_t set_of_list(const int *list)
{
	sigset_t set;

	CHECK_OK(sigemptyset(&set));
	for (; *list; list++)
		CHECK_OK(sigaddset(&set, *list));
	return set;
}

#define SET(...) set_of_list((const int[]){__VA_ARGS__, 0})
#define NO_SIGNALS SET(0)

static inline sigset_t all_signals(void)
{
	sigset_t set;

	CHECK_OK(sigfillset(&set));
	return set;
}

static inline void change_mask(int how, sigset_t set)
{
	CHECK_OK(sigprocmask(how, &set, NULL));
}

static inline void block(sigset_t set)
{
	change_mask(SIG_BLOCK, set);
}

static inline void unblock(sigset_t set)
{
	change_mask(SIG_UNBLOCK, set);
}

static inline bool is_blocked(int sig)
{
	sigset_t mask;

	CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &mask));
	return sigismember(&mask, sig) == 1;
}

static inline bool is_pending(int sig)
{
	sigset_t set;

	CHECK_OK(sigpending(&set));
	return sigismember(&set, sig) == 1;
}

static inline bool nothing_is_pending(void)
{
	for (int sig = 1; sig <= SIGRTMAX; sig++)
		if ((sig < 32 || sig >= SIGRTMIN) && is_pending(sig))
			return false;
	return true;
}

static inline bool pends(void *arg)
{
	return is_pending(*(int *)arg);
}

static inline void wait_pending(int sig)
{
	test_wait_until(pends, &sig);
}

// ---- handlers, and what they note ----

struct note {
	int sig, code, value, status;
	pid_t pid, tid;
	uid_t uid;
};

static struct note notes[NOTES];
static atomic_int notes_begun, noted; // noted: complete ones

static inline void note(int sig, siginfo_t *info, void *context)
{
	const int i = atomic_fetch_add(&notes_begun, 1);

	(void)context;
	if (i < NOTES) {
		notes[i] = (struct note){.sig = sig,
		                         .code = info->si_code,
		                         .value = info->si_value.sival_int,
		                         .pid = info->si_pid,
		                         .uid = info->si_uid,
		                         .tid = gettid()};
		if (sig == SIGCHLD)
			notes[i].status = info->si_status;
		if (info->si_signo != sig)
			_exit(99);
	}
	atomic_fetch_add(&noted, 1);
}

static inline void forget_notes(void)
{
	atomic_store(&notes_begun, 0);
	atomic_store(&noted, 0);
}

typedef void info_handler(int sig, siginfo_t *info, void *context);

static inline void handle_masked(int sig, info_handler *fn, int flags, sigset_t mask)
{
	struct sigaction sa = {.sa_flags = SA_SIGINFO | flags, .sa_mask = mask};

	sa.sa_sigaction = fn;
	CHECK_OK(sigaction(sig, &sa, NULL));
}

static inline void handle(int sig, info_handler *fn, int flags)
{
	handle_masked(sig, fn, flags, NO_SIGNALS);
}

static inline void note_signal(int sig)
{
	handle(sig, note, 0);
}

// The same for many, each handler with all others blocked: they run one after the other.
static inline void note_one_by_one(sigset_t set)
{
	for (int sig = 1; sig <= SIGRTMAX; sig++)
		if (sigismember(&set, sig) == 1)
			handle_masked(sig, note, 0, all_signals());
}

static inline void dispose(int sig, void (*disposition)(int))
{
	struct sigaction sa = {.sa_handler = disposition};

	CHECK_OK(sigemptyset(&sa.sa_mask));
	CHECK_OK(sigaction(sig, &sa, NULL));
}

static inline void (*disposition_of(int sig))(int)
{
	struct sigaction sa;

	CHECK_OK(sigaction(sig, NULL, &sa));
	return sa.sa_handler;
}

static inline bool reached(void *arg)
{
	const atomic_int *const *p = arg;

	return atomic_load(p[0]) >= atomic_load(p[1]);
}

// Wait until a counter (a thread's, or in shared memory) has reached a value.
static inline void wait_count(atomic_int *counter, int value)
{
	atomic_int want = value;
	atomic_int *pair[2] = {counter, &want};

	test_wait_until(reached, pair);
}

static inline void expect_note(int i, int sig, int value)
{
	CHECK(i < atomic_load(&noted));
	CHECK_EQ(notes[i].sig, sig);
	CHECK_EQ(notes[i].value, value);
}

// ---- sending ----

static inline union sigval value_of(int value)
{
	return (union sigval){.sival_int = value};
}

static inline void send_value(pid_t pid, int sig, int value)
{
	CHECK_OK(sigqueue(pid, sig, value_of(value)));
}

static inline void send_self(int sig, int value)
{
	send_value(getpid(), sig, value);
}

static inline void send_to_thread(pthread_t thread, int sig, int value)
{
	const int error = pthread_sigqueue(thread, sig, value_of(value));

	if (error == ENOSYS)
		SKIP("this C library does not queue signals to threads");
	CHECK_EQ(error, 0);
}

// ---- taking ----

// Being stopped and continued ends the kernel's sigwaitinfo.
static inline siginfo_t take(sigset_t set)
{
	siginfo_t info = {0};
	int sig;

	while ((sig = sigwaitinfo(&set, &info)) == -1)
		CHECK_EQ(errno, EINTR);
	CHECK_EQ(info.si_signo, sig);
	return info;
}

static inline void take_value(sigset_t set, int sig, int value)
{
	const siginfo_t info = take(set);

	CHECK_EQ(info.si_signo, sig);
	CHECK_EQ(info.si_value.sival_int, value);
}

static inline void expect_none(sigset_t set)
{
	const struct timespec now = {0, 0};

	CHECK_ERR(sigtimedwait(&set, NULL, &now), EAGAIN);
}

// ---- processes ----

static inline int end_of(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		CHECK_EQ(errno, EINTR);
	return status;
}

static inline void expect_killed(pid_t pid, int sig)
{
	const int status = end_of(pid);

	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), sig);
}

static inline void expect_exit(pid_t pid, int code)
{
	const int status = end_of(pid);

	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), code);
}

static inline void expect_stopped(pid_t pid, int sig)
{
	int status = 0;

	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status));
	CHECK_EQ(WSTOPSIG(status), sig);
}

static inline void expect_continued(pid_t pid)
{
	int status = 0;

	CHECK_EQ(waitpid(pid, &status, WCONTINUED), pid);
	CHECK(WIFCONTINUED(status));
}

// Memory to tell each other how far one is.
struct stage {
	atomic_int ready, go, count, over;
	pid_t pid;
};

static inline void arrive(struct stage *s)
{
	atomic_fetch_add(&s->ready, 1);
}

// Wait for the go without sleeping in any call: here signals meet a computing process.
static inline void compute_until(atomic_int *counter, int value)
{
	while (atomic_load(counter) < value)
		sched_yield();
}

static inline pid_t fork_ready(void (*fn)(void *), struct stage *s)
{
	const int before = atomic_load(&s->ready);
	const pid_t pid = test_fork(fn, s);

	wait_count(&s->ready, before + 1);
	return pid;
}

// ---- users ----

static inline void need_root(void)
{
	if (geteuid() != 0)
		SKIP("needs root to act as a second user");
}

// Let another user reach the names of this test.
static inline void open_namespace_to_all(void)
{
	CHECK_OK(chmod(getenv("POSTHASTE_DIR"), 01777));
}

static inline void become(uid_t real, uid_t effective, uid_t saved)
{
	CHECK_OK(setresuid(real, effective, saved));
}

#endif

// SPDX-License-Identifier: MIT
//
// tests/signal/crowd.h - what the floods share: senders that number what they send, and the receiver's book, in
// which each number may come once, and those of one sender in their order.
//
// A sender that finds the queue full tries again, so what does not come was lost.
#ifndef TESTS_SIGNAL_CROWD_H
#define TESTS_SIGNAL_CROWD_H

#include <posthaste/signal.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runner.h"

// The loops that only repeat are shorter where each step costs a multiple.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__) || !defined(__x86_64__)
enum { SLOWER = 10 };
#else
enum { SLOWER = 1 };
#endif

enum { SENDERS_MAX = 8, NUMBER_BITS = 20 };

// In memory that all processes of the test share.
struct crowd {
	pid_t target;
	int signo;
	int each;          // how many a sender sends
	atomic_int joined; // senders, which number themselves
	atomic_int ready;
	atomic_int full; // how often a sender was told so
	atomic_int received;
	atomic_int next[SENDERS_MAX]; // the number that must come now
};

static inline void *share(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static inline sigset_t set_of(int signo)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	return set;
}

static inline void block(int signo)
{
	const sigset_t set = set_of(signo);

	CHECK_OK(ph_sigprocmask(SIG_BLOCK, &set, NULL));
}

static inline void unblock(int signo)
{
	const sigset_t set = set_of(signo);

	CHECK_OK(ph_sigprocmask(SIG_UNBLOCK, &set, NULL));
}

// ---- senders ----

static inline int send_by_library(pid_t target, int signo, int number)
{
	return ph_sigqueue(target, signo, (union sigval){.sival_int = number});
}

// Past the library: the kernel's own call.
static inline int send_by_kernel(pid_t target, int signo, int number)
{
	siginfo_t info;

	memset(&info, 0, sizeof info);
	info.si_signo = signo;
	info.si_code = SI_QUEUE;
	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_int = number;
	return (int)syscall(SYS_rt_sigqueueinfo, target, signo, &info);
}

static inline void send_all_by(struct crowd *c, int (*send)(pid_t, int, int))
{
	const int me = atomic_fetch_add(&c->joined, 1);

	for (int i = 0; i < c->each; i++)
		while (send(c->target, c->signo, me << NUMBER_BITS | i) != 0) {
			CHECK_EQ(errno, EAGAIN);
			atomic_fetch_add(&c->full, 1);
			sched_yield();
		}
}

static inline void send_all(void *arg)
{
	send_all_by(arg, send_by_library);
}

static inline void send_all_by_kernel(void *arg)
{
	send_all_by(arg, send_by_kernel);
}

static inline struct crowd *new_crowd(int signo, int each)
{
	struct crowd *c = share(sizeof *c);

	c->target = getpid();
	c->signo = signo;
	c->each = each / SLOWER;
	return c;
}

static inline void start_senders(struct crowd *c, pid_t *pids, int n)
{
	for (int i = 0; i < n; i++)
		pids[i] = test_fork(send_all, c);
}

static inline void join_all(const pid_t *pids, int n)
{
	for (int i = 0; i < n; i++)
		test_join(pids[i]);
}

// ---- the book: async-signal-safe ----

static inline void enter_in_book(struct crowd *c, const siginfo_t *info)
{
	const int sender = info->si_value.sival_int >> NUMBER_BITS;
	const int number = info->si_value.sival_int & ((1 << NUMBER_BITS) - 1);

	if (sender < 0 || sender >= SENDERS_MAX || info->si_signo != c->signo ||
	    info->si_code != SI_QUEUE)
		test_failed(__FILE__, __LINE__, "nobody has sent signal %d, code %d, value %x, pid %d",
		            info->si_signo, info->si_code, (unsigned)info->si_value.sival_int,
		            info->si_pid);
	const int expected = atomic_fetch_add(&c->next[sender], 1);
	if (number != expected)
		test_failed(__FILE__, __LINE__, "sender %d: number %d comes before %d", sender, number,
		            expected);
	atomic_fetch_add(&c->received, 1);
}

static inline bool all_received(void *arg)
{
	struct crowd *c = arg;

	return atomic_load(&c->received) >= atomic_load(&c->ready);
}

// Nothing is left, and nothing came twice.
static inline void expect_no_more(const struct crowd *c)
{
	const sigset_t set = set_of(c->signo);
	const struct timespec none = {0, 0};

	block(c->signo);
	CHECK_ERR(ph_sigtimedwait(&set, NULL, &none), EAGAIN);
}

#endif

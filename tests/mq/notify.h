// SPDX-License-Identifier: MIT
//
// tests/mq/notify.h - registering for notification, awaiting the signal, asking who is registered.
//
// Delivery may lag behind the send that causes it, so "did not fire" is never shown by waiting. It is
// shown by the registration, which firing uses up at once: another process asks for it and gets EBUSY.
#ifndef TESTS_MQ_NOTIFY_H
#define TESTS_MQ_NOTIFY_H

#include "queue.h"

enum { SIGNAL_WAIT_S = 20 };

static inline void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
}

static inline int register_signal(mqd_t q, int sig, int value)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = sig};

	block_signals();
	event.sigev_value.sival_int = value;
	return mq_notify(q, &event);
}

static inline int register_none(mqd_t q)
{
	struct sigevent event = {.sigev_notify = SIGEV_NONE};

	return mq_notify(q, &event);
}

static inline siginfo_t await_signal(int sig)
{
	const struct timespec limit = {.tv_sec = SIGNAL_WAIT_S};
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	CHECK_EQ(sigtimedwait(&set, &info, &limit), sig);
	return info;
}

static inline bool is_pending(int sig)
{
	sigset_t set;

	CHECK_OK(sigpending(&set));
	return sigismember(&set, sig);
}

static inline void try_to_register(void *arg)
{
	atomic_int *free_to_take = arg;
	mqd_t q = open_queue(O_RDWR);

	if (register_none(q) == 0)
		atomic_store(free_to_take, 1);
	else
		CHECK_EQ(errno, EBUSY);
	CHECK_OK(mq_notify(q, NULL));
	CHECK_OK(mq_close(q));
}

// Is any process registered? Asked from a child, which leaves the answer as it was.
static inline bool is_registered(void)
{
	atomic_int *free_to_take = share(sizeof(*free_to_take));

	test_join(test_fork(try_to_register, free_to_take));
	bool answer = !atomic_load(free_to_take);
	CHECK_OK(munmap(free_to_take, sizeof(*free_to_take)));
	return answer;
}

static inline void send_hello(void *arg)
{
	(void)arg;
	mqd_t q = open_queue(O_WRONLY);
	put(q, "hello", 1);
	CHECK_OK(mq_close(q));
}

#endif

// SPDX-License-Identifier: MIT
//
// tests/mq/mq_subscribe.c - subscriptions: any number, not used up, blocked receivers or not.
//
// Several arrivals may merge into one event but never into none, so these tests either let one arrival be
// seen before they cause the next, or count only that the last one was noticed.
#include <posthaste/posix.h>

#include "queue.h"

enum { SIGNAL_WAIT_S = 20 };

static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	for (int sig = SIGRTMIN; sig < SIGRTMIN + 4; sig++)
		sigaddset(&set, sig);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
}

static int subscribe(mqd_t q, int sig, int value)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = sig};

	block_signals();
	event.sigev_value.sival_int = value;
	int number = ph_mq_subscribe(q, &event);
	CHECK_OK(number);
	CHECK(number >= 0);
	return number;
}

static siginfo_t await_signal(int sig)
{
	const struct timespec limit = {.tv_sec = SIGNAL_WAIT_S};
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	CHECK_EQ(sigtimedwait(&set, &info, &limit), sig);
	return info;
}

static void send_hello(void *arg)
{
	(void)arg;
	mqd_t q = open_queue(O_WRONLY);
	put(q, "hello", 1);
}

TEST(event_says_that_a_queue_spoke_and_carries_the_value)
{
	mqd_t q = make_queue(2, SMALL);

	int number = subscribe(q, SIGRTMIN, 4711);
	test_join(test_fork(send_hello, NULL));
	siginfo_t info = await_signal(SIGRTMIN);
	CHECK_EQ(info.si_code, SI_MESGQ);
	CHECK_EQ(info.si_value.sival_int, 4711);
	CHECK_OK(ph_mq_unsubscribe(q, number));
	drop_queue(q);
}

TEST(subscription_is_not_used_up)
{
	mqd_t q = make_queue(2, SMALL);

	int number = subscribe(q, SIGRTMIN, 1);
	for (int i = 0; i < 50; i++) {
		put(q, "again", 0);
		await_signal(SIGRTMIN);
		expect(q, "again", 0);
	}
	CHECK_OK(ph_mq_unsubscribe(q, number));
	drop_queue(q);
}

TEST(several_subscriptions_of_one_process_all_get_the_event)
{
	mqd_t q = make_queue(2, SMALL);
	mqd_t other = open_queue(O_RDONLY);
	int one = subscribe(q, SIGRTMIN, 1);
	int two = subscribe(q, SIGRTMIN + 1, 2);
	int three = subscribe(other, SIGRTMIN + 2, 3);

	CHECK(one != two);
	for (int i = 0; i < 10; i++) {
		put(q, "x", 0);
		CHECK_EQ(await_signal(SIGRTMIN).si_value.sival_int, 1);
		CHECK_EQ(await_signal(SIGRTMIN + 1).si_value.sival_int, 2);
		CHECK_EQ(await_signal(SIGRTMIN + 2).si_value.sival_int, 3);
		expect(q, "x", 0);
	}
	CHECK_OK(ph_mq_unsubscribe(q, one));
	put(q, "x", 0);
	CHECK_EQ(await_signal(SIGRTMIN + 1).si_value.sival_int, 2);
	CHECK_EQ(await_signal(SIGRTMIN + 2).si_value.sival_int, 3);
	CHECK_OK(ph_mq_unsubscribe(q, two));
	CHECK_OK(ph_mq_unsubscribe(other, three));
	CHECK_OK(mq_close(other));
	drop_queue(q);
}

struct audience {
	atomic_int ready;
	atomic_int heard;
	int rounds;
};

static void listen(void *arg)
{
	struct audience *audience = arg;

	mqd_t q = open_queue(O_RDONLY);
	subscribe(q, SIGRTMIN, 1);
	atomic_fetch_add(&audience->ready, 1);
	for (int i = 0; i < audience->rounds; i++) {
		await_signal(SIGRTMIN);
		atomic_fetch_add(&audience->heard, 1);
	}
}

TEST(subscribers_in_many_processes_all_get_every_event)
{
	enum { LISTENERS = 12 };
	struct audience *audience = share(sizeof(*audience));
	mqd_t q = make_queue(2, SMALL);
	pid_t pid[LISTENERS];

	audience->rounds = 10;
	for (int i = 0; i < LISTENERS; i++)
		pid[i] = test_fork(listen, audience);
	wait_count(&audience->ready, LISTENERS);
	for (int i = 1; i <= audience->rounds; i++) {
		put(q, "x", 0);
		wait_count(&audience->heard, i * LISTENERS);
		CHECK_EQ(audience->heard, i * LISTENERS);
		expect(q, "x", 0);
	}
	for (int i = 0; i < LISTENERS; i++)
		test_join(pid[i]);
	drop_queue(q);
}

TEST(killed_subscriber_harms_nobody)
{
	struct audience *audience = share(sizeof(*audience));
	mqd_t q = make_queue(2, SMALL);

	audience->rounds = 1000;
	int number = subscribe(q, SIGRTMIN, 1);
	for (int i = 1; i <= 10; i++) {
		pid_t pid = test_fork(listen, audience);
		wait_count(&audience->ready, i);
		test_kill(pid);
		put(q, "x", 0);
		await_signal(SIGRTMIN);
		expect(q, "x", 0);
	}
	CHECK_OK(ph_mq_unsubscribe(q, number));
	drop_queue(q);
}

TEST(event_comes_though_a_receiver_is_blocked)
{
	mqd_t q = make_queue(2, SMALL);

	int number = subscribe(q, SIGRTMIN, 1);
	for (int i = 0; i < 10; i++) {
		struct worker w;
		start_and_block(&w, work_receive, q);
		put(q, "x", 0);
		finish(&w);
		CHECK_EQ(w.result, 1);
		await_signal(SIGRTMIN);
	}
	CHECK_OK(ph_mq_unsubscribe(q, number));
	drop_queue(q);
}

TEST(subscription_and_notification_do_not_get_in_each_others_way)
{
	mqd_t q = make_queue(2, SMALL);
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1};

	int number = subscribe(q, SIGRTMIN, 1);
	CHECK_OK(mq_notify(q, &event));
	CHECK_ERR(mq_notify(q, &event), EBUSY);
	put(q, "x", 0);
	await_signal(SIGRTMIN);
	await_signal(SIGRTMIN + 1);
	expect(q, "x", 0);
	put(q, "y", 0);
	await_signal(SIGRTMIN);
	CHECK_OK(mq_notify(q, &event));
	CHECK_OK(ph_mq_unsubscribe(q, number));
	expect(q, "y", 0);
	put(q, "z", 0);
	await_signal(SIGRTMIN + 1);
	drop_queue(q);
}

static atomic_int calls;

static void count_call(union sigval value)
{
	atomic_fetch_add(&calls, value.sival_int);
}

TEST(sigev_thread_runs_the_function_for_each_event)
{
	mqd_t q = make_queue(2, SMALL);
	struct sigevent event = {.sigev_notify = SIGEV_THREAD};

	event.sigev_notify_function = count_call;
	event.sigev_value.sival_int = 1;
	int number = ph_mq_subscribe(q, &event);
	CHECK_OK(number);
	for (int i = 1; i <= 20; i++) {
		put(q, "x", 0);
		wait_count(&calls, i);
		CHECK_EQ(calls, i);
		expect(q, "x", 0);
	}
	CHECK_OK(ph_mq_unsubscribe(q, number));
	drop_queue(q);
}

TEST(ended_subscription_gets_nothing_more)
{
	mqd_t q = make_queue(2, SMALL);
	sigset_t set;

	int number = subscribe(q, SIGRTMIN, 1);
	int witness = subscribe(q, SIGRTMIN + 1, 1);
	CHECK_OK(ph_mq_unsubscribe(q, number));
	put(q, "x", 0);
	await_signal(SIGRTMIN + 1);
	expect(q, "x", 0);
	put(q, "x", 0);
	await_signal(SIGRTMIN + 1);
	CHECK_OK(sigpending(&set));
	CHECK(!sigismember(&set, SIGRTMIN));
	CHECK_OK(ph_mq_unsubscribe(q, witness));
	drop_queue(q);
}

TEST(close_ends_the_subscriptions_of_the_descriptor)
{
	mqd_t q = make_queue(2, SMALL);
	mqd_t other = open_queue(O_RDWR);
	sigset_t set;

	subscribe(other, SIGRTMIN, 1);
	int witness = subscribe(q, SIGRTMIN + 1, 1);
	CHECK_OK(mq_close(other));
	put(q, "x", 0);
	await_signal(SIGRTMIN + 1);
	CHECK_OK(sigpending(&set));
	CHECK(!sigismember(&set, SIGRTMIN));
	CHECK_OK(ph_mq_unsubscribe(q, witness));
	drop_queue(q);
}

static void end_the_parents(void *arg)
{
	const int *pair = arg;

	CHECK_ERR(ph_mq_unsubscribe(pair[0], pair[1]), EINVAL);
	CHECK_OK(mq_close(pair[0]));
}

TEST(child_neither_inherits_nor_ends_the_parents_subscription)
{
	mqd_t q = make_queue(2, SMALL);
	int pair[2] = {q, subscribe(q, SIGRTMIN, 1)};

	test_join(test_fork(end_the_parents, pair));
	put(q, "x", 0);
	await_signal(SIGRTMIN);
	CHECK_OK(ph_mq_unsubscribe(q, pair[1]));
	drop_queue(q);
}

TEST(number_that_is_no_subscription_is_einval)
{
	mqd_t q = make_queue(2, SMALL);
	int number = subscribe(q, SIGRTMIN, 1);

	CHECK_ERR(ph_mq_unsubscribe(q, -1), EINVAL);
	CHECK_ERR(ph_mq_unsubscribe(q, 1000000), EINVAL);
	CHECK_OK(ph_mq_unsubscribe(q, number));
	CHECK_ERR(ph_mq_unsubscribe(q, number), EINVAL);
	CHECK_ERR(ph_mq_unsubscribe(-1, number), EBADF);
	drop_queue(q);
}

TEST(event_that_is_not_valid_is_einval)
{
	mqd_t q = make_queue(2, SMALL);
	struct sigevent event = {.sigev_notify = SIGEV_NONE};

	CHECK_ERR(ph_mq_subscribe(q, &event), EINVAL);
	event.sigev_notify = SIGEV_SIGNAL;
	event.sigev_signo = 65;
	CHECK_ERR(ph_mq_subscribe(q, &event), EINVAL);
	event.sigev_notify = 99;
	CHECK_ERR(ph_mq_subscribe(q, &event), EINVAL);
	event.sigev_notify = SIGEV_SIGNAL;
	event.sigev_signo = SIGUSR1;
	CHECK_ERR(ph_mq_subscribe(-1, &event), EBADF);
	drop_queue(q);
}

TEST(one_process_may_hold_many_subscriptions)
{
	enum { MANY = 40 };
	mqd_t q = make_queue(2, SMALL);
	int number[MANY];
	bool seen[MANY] = {false};

	for (int i = 0; i < MANY; i++)
		number[i] = subscribe(q, SIGRTMIN, i);
	put(q, "x", 0);
	for (int i = 0; i < MANY; i++) {
		int value = await_signal(SIGRTMIN).si_value.sival_int;
		CHECK(value >= 0 && value < MANY && !seen[value]);
		seen[value] = true;
	}
	for (int i = 0; i < MANY; i++)
		CHECK_OK(ph_mq_unsubscribe(q, number[i]));
	drop_queue(q);
}

enum { MESSAGES = 5000 };

static void send_all(void *arg)
{
	mqd_t q = open_queue(O_WRONLY);

	(void)arg;
	for (uint64_t i = 0; i < MESSAGES; i++)
		put_number(q, i, 0);
}

// Events may merge, but the arrival at the queue that was just emptied is never merged away.
TEST(draining_at_each_event_misses_nothing)
{
	mqd_t q = make_queue(4, SMALL);
	union {
		char bytes[SMALL];
		uint64_t number;
	} buf;
	uint64_t next = 0;

	set_nonblock(q, true);
	int number = subscribe(q, SIGRTMIN, 1);
	pid_t pid = test_fork(send_all, NULL);
	while (next < MESSAGES) {
		await_signal(SIGRTMIN);
		while (mq_receive(q, buf.bytes, sizeof(buf), NULL) != -1)
			CHECK_EQ(buf.number, next++);
		CHECK_EQ(errno, EAGAIN);
	}
	test_join(pid);
	CHECK_OK(ph_mq_unsubscribe(q, number));
	drop_queue(q);
}

TEST(commit_is_an_arrival)
{
	mqd_t q = make_queue(4, SMALL);
	struct ph_mq_loan loan;

	int number = subscribe(q, SIGRTMIN, 1);
	CHECK_OK(ph_mq_reserve(q, &loan));
	CHECK_OK(ph_mq_commit(q, &loan, 0, 0));
	await_signal(SIGRTMIN);
	CHECK_OK(ph_mq_unsubscribe(q, number));
	drop_queue(q);
}

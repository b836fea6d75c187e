// SPDX-License-Identifier: MIT
//
// tests/mq/posix_cancel.c - cancellation: which calls are cancellation points, that a cancelled call has
// done nothing, and that the queue works afterwards.
#include "queue.h"

#include <poll.h>
#include <sched.h>

static void expect_cancelled(struct worker *w)
{
	CHECK(finish(w) == PTHREAD_CANCELED);
	CHECK_EQ(atomic_load(&w->done), 0);
}

TEST(blocked_receiver_can_be_cancelled_and_takes_nothing)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w;

	start_and_block(&w, work_receive, q);
	CHECK_EQ(pthread_cancel(w.thread), 0);
	expect_cancelled(&w);
	put(q, "after", 2);
	CHECK_EQ(current(q), 1);
	expect(q, "after", 2);
	drop_queue(q);
}

TEST(blocked_sender_can_be_cancelled_and_sends_nothing)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w = {.buf = "never"};

	put(q, "full", 0);
	start_and_block(&w, work_send, q);
	CHECK_EQ(pthread_cancel(w.thread), 0);
	expect_cancelled(&w);
	expect(q, "full", 0);
	expect_empty(q);
	put(q, "after", 0);
	expect(q, "after", 0);
	drop_queue(q);
}

TEST(blocked_timed_calls_can_be_cancelled)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w = {.buf = "never", .deadline = in_ms(50000)};

	start_and_block(&w, work_timedreceive, q);
	CHECK_EQ(pthread_cancel(w.thread), 0);
	expect_cancelled(&w);
	put(q, "full", 0);
	start_and_block(&w, work_timedsend, q);
	CHECK_EQ(pthread_cancel(w.thread), 0);
	expect_cancelled(&w);
	expect(q, "full", 0);
	expect_empty(q);
	drop_queue(q);
}

TEST(cancelled_receivers_leave_the_wake_up_to_the_others)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w[3];

	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 3; i++)
			start_and_block(&w[i], work_receive, q);
		CHECK_EQ(pthread_cancel(w[0].thread), 0);
		CHECK_EQ(pthread_cancel(w[1].thread), 0);
		expect_cancelled(&w[0]);
		expect_cancelled(&w[1]);
		put(q, "yours", 0);
		CHECK(finish(&w[2]) == NULL);
		CHECK_EQ(w[2].result, 5);
	}
	drop_queue(q);
}

static mqd_t busy;
static atomic_int over;

static void *receive_for_ever(void *arg)
{
	char buf[SMALL];

	for (;;)
		CHECK_OK(mq_receive(busy, buf, sizeof(buf), NULL));
	return arg;
}

static void *keep_sending(void *arg)
{
	while (!atomic_load(&over)) {
		struct timespec soon = in_ms(5);
		if (mq_timedsend(busy, "x", 1, 0, &soon) == -1)
			CHECK_EQ(errno, ETIMEDOUT);
	}
	return arg;
}

TEST(cancelling_busy_receivers_leaves_a_working_queue)
{
	pthread_t sender;

	busy = make_queue(2, SMALL);
	CHECK_EQ(pthread_create(&sender, NULL, keep_sending, NULL), 0);
	for (int i = 0; i < 200; i++) {
		pthread_t victim;
		void *value;
		CHECK_EQ(pthread_create(&victim, NULL, receive_for_ever, NULL), 0);
		if (i % 2)
			sched_yield();
		CHECK_EQ(pthread_cancel(victim), 0);
		CHECK_EQ(pthread_join(victim, &value), 0);
		CHECK(value == PTHREAD_CANCELED);
	}
	atomic_store(&over, 1);
	CHECK_EQ(pthread_join(sender, NULL), 0);
	while (current(busy))
		expect(busy, "x", 0);
	put(busy, "after", 1);
	expect(busy, "after", 1);
	drop_queue(busy);
}

/* ---- a cancellation that is pending ---- */

static atomic_int passed;

static void *cancelled_before_send(void *arg)
{
	mqd_t q = *(mqd_t *)arg;

	CHECK_EQ(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL), 0);
	CHECK_EQ(pthread_cancel(pthread_self()), 0);
	CHECK_EQ(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL), 0);
	mq_send(q, "never", 5, 0);
	atomic_store(&passed, 1);
	return NULL;
}

static void *cancelled_before_receive(void *arg)
{
	mqd_t q = *(mqd_t *)arg;
	char buf[SMALL];

	CHECK_EQ(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL), 0);
	CHECK_EQ(pthread_cancel(pthread_self()), 0);
	CHECK_EQ(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL), 0);
	mq_receive(q, buf, sizeof(buf), NULL);
	atomic_store(&passed, 1);
	return NULL;
}

static void run_to_its_cancellation(void *(*fn)(void *), mqd_t q)
{
	pthread_t thread;
	void *value;

	CHECK_EQ(pthread_create(&thread, NULL, fn, &q), 0);
	CHECK_EQ(pthread_join(thread, &value), 0);
	CHECK(value == PTHREAD_CANCELED);
	CHECK_EQ(atomic_load(&passed), 0);
}

TEST(pending_cancellation_acts_in_send_though_there_is_room)
{
	mqd_t q = make_queue(1, SMALL);

	run_to_its_cancellation(cancelled_before_send, q);
	expect_empty(q);
	drop_queue(q);
}

TEST(pending_cancellation_acts_in_receive_though_there_is_a_message)
{
	mqd_t q = make_queue(1, SMALL);

	put(q, "kept", 4);
	run_to_its_cancellation(cancelled_before_receive, q);
	CHECK_EQ(current(q), 1);
	expect(q, "kept", 4);
	drop_queue(q);
}

static void *use_what_is_no_cancellation_point(void *arg)
{
	struct mq_attr attr = {0};
	struct sigevent event = {.sigev_notify = SIGEV_NONE};

	CHECK_EQ(pthread_cancel(pthread_self()), 0);
	mqd_t q = mq_open(test_name(), O_RDWR);
	mq_getattr(q, &attr);
	mq_setattr(q, &attr, NULL);
	mq_notify(q, &event);
	mq_notify(q, NULL);
	mq_close(q);
	mq_unlink(test_name());
	atomic_store((atomic_int *)arg, 1);
	pthread_testcancel();
	return NULL;
}

TEST(pending_cancellation_does_not_act_in_the_other_calls)
{
	mqd_t q = make_queue(1, SMALL);
	atomic_int through = 0;
	pthread_t thread;
	void *value;

	CHECK_EQ(pthread_create(&thread, NULL, use_what_is_no_cancellation_point, &through), 0);
	CHECK_EQ(pthread_join(thread, &value), 0);
	CHECK(value == PTHREAD_CANCELED);
	CHECK_EQ(atomic_load(&through), 1);
	CHECK_OK(mq_close(q));
	CHECK_ERR(mq_unlink(test_name()), ENOENT);
}

/* ---- cancellation disabled, and what runs in a cleanup handler ---- */

static void *receive_uncancellably(void *arg)
{
	struct worker *w = arg;

	CHECK_EQ(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL), 0);
	work_receive(w);
	CHECK_EQ(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL), 0);
	pthread_testcancel();
	return NULL;
}

TEST(disabled_cancellation_waits_until_it_is_enabled)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w;

	start_and_block(&w, receive_uncancellably, q);
	CHECK_EQ(pthread_cancel(w.thread), 0);
	wait_thread_asleep(&w);
	put(q, "still here", 0);
	CHECK(finish(&w) == PTHREAD_CANCELED);
	CHECK_EQ(w.result, 10);
	drop_queue(q);
}

static void *send_uncancellably(void *arg)
{
	struct worker *w = arg;

	CHECK_EQ(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL), 0);
	work_send(w);
	return NULL;
}

TEST(disabled_cancellation_lets_a_blocked_sender_finish)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w = {.buf = "second"};

	put(q, "first", 0);
	start_and_block(&w, send_uncancellably, q);
	CHECK_EQ(pthread_cancel(w.thread), 0);
	wait_thread_asleep(&w);
	expect(q, "first", 0);
	CHECK(finish(&w) == NULL);
	CHECK_EQ(w.result, 0);
	expect(q, "second", 0);
	drop_queue(q);
}

static void leave_a_note(void *arg)
{
	struct worker *w = arg;

	CHECK_OK(mq_send(w->q, "cleaned up", 10, 1));
	expect(w->q, "cleaned up", 1);
	CHECK_OK(mq_send(w->q, "note", 4, 2));
}

static void *receive_with_cleanup(void *arg)
{
	pthread_cleanup_push(leave_a_note, arg);
	work_receive(arg);
	pthread_cleanup_pop(0);
	return NULL;
}

TEST(cleanup_handler_may_use_the_same_queue)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w;

	start_and_block(&w, receive_with_cleanup, q);
	CHECK_EQ(pthread_cancel(w.thread), 0);
	expect_cancelled(&w);
	expect(q, "note", 2);
	drop_queue(q);
}

#ifndef TEST_KERNEL
// A cancellation and a message at the same moment: the message is received or stays, never both and
// never neither. The C library's wrapper of the kernel's call can lose it, so this is not asked there.
static void race_a_send(mqd_t q)
{
	for (int round = 0; round < 2000; round++) {
		struct worker w;
		start(&w, work_receive, q);
		if (round % 2)
			wait_thread_asleep(&w);
		put(q, "one", 0);
		CHECK_EQ(pthread_cancel(w.thread), 0);
		bool cancelled = finish(&w) == PTHREAD_CANCELED;
		CHECK_EQ(current(q), cancelled && !atomic_load(&w.done) ? 1 : 0);
		if (current(q))
			expect(q, "one", 0);
	}
}

TEST(cancellation_that_races_a_send_never_loses_the_message)
{
	mqd_t q = make_queue(1, SMALL);

	race_a_send(q);
	drop_queue(q);
}

static void race_a_receive(mqd_t q)
{
	for (int round = 0; round < 2000; round++) {
		struct worker w = {.buf = "second"};
		put(q, "first", 1);
		start(&w, work_send, q);
		if (round % 2)
			wait_thread_asleep(&w);
		expect(q, "first", 1);
		CHECK_EQ(pthread_cancel(w.thread), 0);
		bool cancelled = finish(&w) == PTHREAD_CANCELED;
		CHECK_EQ(current(q), cancelled && !atomic_load(&w.done) ? 0 : 1);
		if (current(q))
			expect(q, "second", 0);
	}
}

TEST(cancellation_that_races_a_receive_never_doubles_the_message)
{
	mqd_t q = make_queue(1, SMALL);

	race_a_receive(q);
	drop_queue(q);
}

// Keeping poll informed takes system calls; none of them may become a cancellation point.
TEST(cancellation_that_races_on_a_polled_queue_loses_and_doubles_nothing)
{
	mqd_t q = make_queue(1, SMALL);
	struct pollfd p = {.fd = q, .events = POLLIN | POLLOUT};

	CHECK_EQ(poll(&p, 1, 0), 1);
	race_a_send(q);
	race_a_receive(q);
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(p.revents, POLLOUT);
	drop_queue(q);
}

// The cancellation comes while the call runs, wherever that is: a call that returned has sent.
static void *exchange_for_ever(void *arg)
{
	struct worker *w = arg;

	for (;;) {
		CHECK_OK(mq_send(w->q, "x", 1, 0));
		CHECK_OK(mq_receive(w->q, w->buf, sizeof(w->buf), NULL));
	}
	return NULL;
}

TEST(cancellation_at_any_moment_leaves_the_polled_queue_whole)
{
	mqd_t q = make_queue(2, SMALL);
	struct pollfd p = {.fd = q, .events = POLLIN | POLLOUT};

	CHECK_EQ(poll(&p, 1, 0), 1);
	for (int round = 0; round < 500; round++) {
		struct worker w;
		start(&w, exchange_for_ever, q);
		for (volatile int i = 0; i < round * 20; i++)
			;
		CHECK_EQ(pthread_cancel(w.thread), 0);
		CHECK(finish(&w) == PTHREAD_CANCELED);
		// Cancelled between the two calls or within the second, before it took the message.
		if (current(q))
			expect(q, "x", 0);
		CHECK_EQ(current(q), 0);
		CHECK_EQ(poll(&p, 1, 0), 1);
		CHECK_EQ(p.revents, POLLOUT);
	}
	drop_queue(q);
}
#endif

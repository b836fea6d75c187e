// SPDX-License-Identifier: MIT
//
// tests/mq/mq_handler.c - a signal handler that itself uses the library, while its thread sleeps in a call.
#include <posthaste/posix.h>

#include "queue.h"

static mqd_t common;
static atomic_int handled;
static char heard[SMALL];

static void handle(void (*fn)(int), int flags)
{
	struct sigaction sa = {.sa_handler = fn, .sa_flags = flags};

	CHECK_OK(sigaction(SIGUSR1, &sa, NULL));
}

static void send_from_handler(int sig)
{
	(void)sig;
	CHECK_OK(mq_send(common, "from the handler", 16, 3));
	atomic_fetch_add(&handled, 1);
}

TEST(handler_sends_the_message_its_own_thread_waits_for)
{
	struct worker w;

	common = make_queue(1, SMALL);
	handle(send_from_handler, SA_RESTART);
	for (int i = 0; i < 20; i++) {
		start_and_block(&w, work_receive, common);
		CHECK_EQ(pthread_kill(w.thread, SIGUSR1), 0);
		finish(&w);
		CHECK_EQ(w.result, 16);
		CHECK_EQ(w.prio, 3);
	}
	drop_queue(common);
}

static void receive_from_handler(int sig)
{
	(void)sig;
	CHECK_OK(mq_receive(common, heard, sizeof(heard), NULL));
	atomic_fetch_add(&handled, 1);
}

TEST(handler_makes_the_room_its_own_thread_waits_for)
{
	struct worker w = {.buf = "second"};

	common = make_queue(1, SMALL);
	handle(receive_from_handler, SA_RESTART);
	put(common, "first", 0);
	start_and_block(&w, work_send, common);
	CHECK_EQ(pthread_kill(w.thread, SIGUSR1), 0);
	finish(&w);
	CHECK_EQ(w.result, 0);
	CHECK(memcmp(heard, "first", 5) == 0);
	expect(common, "second", 0);
	drop_queue(common);
}

static void open_and_close(int sig)
{
	(void)sig;
	mqd_t q = open_queue(O_RDWR | O_NONBLOCK);
	struct timespec soon = in_ms(1);
	char buf[SMALL];
	CHECK_ERR(mq_receive(q, buf, sizeof(buf), NULL), EAGAIN);
	CHECK_ERR(mq_timedreceive(common, buf, sizeof(buf), NULL, &soon), ETIMEDOUT);
	CHECK_OK(mq_close(q));
	atomic_fetch_add(&handled, 1);
}

TEST(handler_may_wait_in_the_library_while_its_thread_sleeps_there)
{
	struct worker w;

	common = make_queue(1, SMALL);
	handle(open_and_close, SA_RESTART);
	start_and_block(&w, work_receive, common);
	for (int i = 1; i <= 5; i++) {
		CHECK_EQ(pthread_kill(w.thread, SIGUSR1), 0);
		wait_count(&handled, i);
		wait_thread_asleep(&w);
	}
	put(common, "at last", 0);
	finish(&w);
	CHECK_EQ(w.result, 7);
	drop_queue(common);
}

TEST(handler_without_sa_restart_sends_and_the_call_ends_one_way_or_the_other)
{
	struct worker w;

	common = make_queue(1, SMALL);
	handle(send_from_handler, 0);
	start_and_block(&w, work_receive, common);
	CHECK_EQ(pthread_kill(w.thread, SIGUSR1), 0);
	finish(&w);
	if (w.result == -1) {
		CHECK_EQ(w.error, EINTR);
		expect(common, "from the handler", 3);
	}
	expect_empty(common);
	drop_queue(common);
}

// Leaving the call by longjmp from the handler is not promised; cancellation from a handler is.
static void cancel_own_thread(int sig)
{
	(void)sig;
	CHECK_EQ(pthread_cancel(pthread_self()), 0);
	atomic_fetch_add(&handled, 1);
}

TEST(handler_that_cancels_its_own_sleeping_thread)
{
	struct worker w;

	common = make_queue(1, SMALL);
	handle(cancel_own_thread, SA_RESTART);
	start_and_block(&w, work_receive, common);
	CHECK_EQ(pthread_kill(w.thread, SIGUSR1), 0);
	CHECK(finish(&w) == PTHREAD_CANCELED);
	put(common, "after", 0);
	expect(common, "after", 0);
	drop_queue(common);
}

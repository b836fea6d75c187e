// SPDX-License-Identifier: MIT
//
// tests/mq/mq_peek.c - looking at the next message without taking it.
#include <posthaste/posix.h>

#include "queue.h"

static void expect_peek(mqd_t q, const char *text, unsigned prio)
{
	char buf[SMALL] = "";
	unsigned got = 12345678;
	ssize_t len = ph_mq_peek(q, buf, sizeof(buf), &got);

	CHECK_EQ(len, strlen(text));
	CHECK(memcmp(buf, text, strlen(text)) == 0);
	CHECK_EQ(got, prio);
}

TEST(peek_shows_what_a_receive_would_take_and_leaves_it)
{
	mqd_t q = make_queue(4, SMALL);

	put(q, "low", 1);
	expect_peek(q, "low", 1);
	put(q, "high", 7);
	expect_peek(q, "high", 7);
	put(q, "high too", 7);
	for (int i = 0; i < 10; i++)
		expect_peek(q, "high", 7);
	CHECK_EQ(current(q), 3);
	expect(q, "high", 7);
	expect_peek(q, "high too", 7);
	expect(q, "high too", 7);
	expect_peek(q, "low", 1);
	expect(q, "low", 1);
	drop_queue(q);
}

TEST(peek_at_an_empty_queue_is_eagain_and_never_blocks)
{
	mqd_t q = make_queue(1, SMALL);
	char buf[SMALL];

	CHECK_ERR(ph_mq_peek(q, buf, sizeof(buf), NULL), EAGAIN);
	drop_queue(q);
}

TEST(peek_judges_as_receive_does)
{
	mqd_t q = make_queue(1, SMALL);
	mqd_t writer = open_queue(O_WRONLY);
	mqd_t reader = open_queue(O_RDONLY);
	char buf[SMALL];

	put(q, "x", 0);
	CHECK_ERR(ph_mq_peek(writer, buf, sizeof(buf), NULL), EBADF);
	CHECK_ERR(ph_mq_peek(-1, buf, sizeof(buf), NULL), EBADF);
	CHECK_ERR(ph_mq_peek(q, buf, sizeof(buf) - 1, NULL), EMSGSIZE);
	CHECK_EQ(ph_mq_peek(reader, buf, sizeof(buf), NULL), 1);
	CHECK_OK(mq_close(writer));
	CHECK_OK(mq_close(reader));
	drop_queue(q);
}

TEST(peek_makes_no_room_for_a_blocked_sender)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w = {.buf = "second"};

	put(q, "first", 0);
	start_and_block(&w, work_send, q);
	expect_peek(q, "first", 0);
	wait_thread_asleep(&w);
	expect(q, "first", 0);
	finish(&w);
	CHECK_EQ(w.result, 0);
	expect_peek(q, "second", 0);
	drop_queue(q);
}

TEST(peek_does_not_see_a_borrowed_message)
{
	mqd_t q = make_queue(2, SMALL);
	struct ph_mq_loan loan;
	char buf[SMALL];

	put(q, "best", 9);
	put(q, "next", 1);
	CHECK_OK(ph_mq_borrow(q, &loan));
	expect_peek(q, "next", 1);
	CHECK_OK(ph_mq_cancel(q, &loan));
	expect_peek(q, "best", 9);
	expect(q, "best", 9);
	expect(q, "next", 1);
	CHECK_ERR(ph_mq_peek(q, buf, sizeof(buf), NULL), EAGAIN);
	drop_queue(q);
}

TEST(peek_shows_a_message_of_length_zero)
{
	mqd_t q = make_queue(2, SMALL);

	CHECK_OK(mq_send(q, "", 0, 3));
	expect_peek(q, "", 3);
	drop_queue(q);
}

static void keep_moving(void *arg)
{
	atomic_int *over = arg;
	mqd_t q = open_queue(O_RDWR | O_NONBLOCK);
	char body[SMALL];

	for (unsigned i = 0; !atomic_load(over); i++) {
		memset(body, (int)(i % 256), sizeof(body));
		CHECK_OK(mq_send(q, body, 1 + i % SMALL, i % 5));
		CHECK_OK(mq_receive(q, body, sizeof(body), NULL));
	}
}

TEST(peek_while_messages_come_and_go_shows_whole_messages)
{
	mqd_t q = make_queue(2, SMALL);
	atomic_int *over = share(sizeof(*over));
	char buf[SMALL];

	pid_t pid = test_fork(keep_moving, over);
	for (int seen = 0; seen < 5000;) {
		ssize_t len = ph_mq_peek(q, buf, sizeof(buf), NULL);
		if (len == -1) {
			CHECK_EQ(errno, EAGAIN);
			continue;
		}
		for (ssize_t i = 1; i < len; i++)
			CHECK(buf[i] == buf[0]);
		CHECK_EQ(len, 1 + (unsigned char)buf[0] % SMALL);
		seen++;
	}
	atomic_store(over, 1);
	test_join(pid);
	drop_queue(q);
}

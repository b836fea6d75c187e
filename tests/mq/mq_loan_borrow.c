// SPDX-License-Identifier: MIT
//
// tests/mq/mq_loan_borrow.c - receiving in place: borrow the next message, then release it. Putting it
// back is in mq_loan.c.
#include <posthaste/posix.h>

#include "loan.h"

TEST(borrowed_message_is_the_one_a_receive_would_take)
{
	mqd_t q = make_queue(4, SMALL);

	put(q, "low", 1);
	put(q, "high", 5);
	struct ph_mq_loan loan = borrow(q, "high", 5);
	CHECK_EQ(current(q), 1);
	CHECK_EQ(info().borrowed, 1);
	expect(q, "low", 1);
	CHECK_OK(ph_mq_release(q, &loan));
	CHECK_EQ(info().borrowed, 0);
	expect_empty(q);
	expect_capacity(q, 4);
	drop_queue(q);
}

TEST(borrowed_message_counts_against_the_depth_until_released)
{
	mqd_t q = make_queue(2, SMALL);

	put(q, "one", 0);
	put(q, "two", 0);
	struct ph_mq_loan loan = borrow(q, "one", 0);
	set_nonblock(q, true);
	CHECK_ERR(mq_send(q, "x", 1, 0), EAGAIN);
	CHECK_OK(ph_mq_release(q, &loan));
	put(q, "three", 0);
	CHECK_ERR(mq_send(q, "x", 1, 0), EAGAIN);
	expect(q, "two", 0);
	expect(q, "three", 0);
	expect_capacity(q, 2);
	drop_queue(q);
}

TEST(release_wakes_a_blocked_sender)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w = {.buf = "second"};

	put(q, "first", 0);
	struct ph_mq_loan loan = borrow(q, "first", 0);
	start_and_block(&w, work_send, q);
	CHECK(memcmp(loan.data, "first", 5) == 0);
	CHECK_OK(ph_mq_release(q, &loan));
	finish(&w);
	CHECK_EQ(w.result, 0);
	expect(q, "second", 0);
	drop_queue(q);
}

static void *borrow_and_release(void *arg)
{
	struct worker *w = arg;
	struct ph_mq_loan loan;

	at_the_call(w);
	keep(w, ph_mq_borrow(w->q, &loan));
	if (w->result == 0) {
		w->prio = loan.prio;
		memcpy(w->buf, loan.data, loan.size);
		w->buf[loan.size] = 0;
		CHECK_OK(ph_mq_release(w->q, &loan));
	}
	return NULL;
}

TEST(borrow_blocks_until_a_message_arrives)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w;

	start_and_block(&w, borrow_and_release, q);
	put(q, "hello", 3);
	finish(&w);
	CHECK_EQ(w.result, 0);
	CHECK_EQ(w.prio, 3);
	CHECK(strcmp(w.buf, "hello") == 0);
	drop_queue(q);
}

TEST(borrow_from_an_empty_queue_fails_as_receive_does)
{
	mqd_t q = make_queue(1, SMALL);
	mqd_t writer = open_queue(O_WRONLY);
	struct timespec soon = on_clock(CLOCK_MONOTONIC, 20);
	struct ph_mq_loan loan = {.ticket = 77};

	CHECK_ERR(ph_mq_clockborrow(q, &loan, CLOCK_MONOTONIC, &soon), ETIMEDOUT);
	CHECK(has_passed(CLOCK_MONOTONIC, &soon));
	set_nonblock(q, true);
	CHECK_ERR(ph_mq_borrow(q, &loan), EAGAIN);
	CHECK_ERR(ph_mq_borrow(writer, &loan), EBADF);
	CHECK_ERR(ph_mq_borrow(-1, &loan), EBADF);
	CHECK_EQ(loan.ticket, 77);
	CHECK_OK(mq_close(writer));
	drop_queue(q);
}

TEST(blocked_borrower_can_be_cancelled)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w;

	start_and_block(&w, borrow_and_release, q);
	CHECK_EQ(pthread_cancel(w.thread), 0);
	CHECK(finish(&w) == PTHREAD_CANCELED);
	put(q, "after", 0);
	expect(q, "after", 0);
	drop_queue(q);
}

TEST(borrowed_message_stays_unchanged_while_others_pass)
{
	mqd_t q = make_queue(3, SMALL);

	put(q, "keep me", 9);
	struct ph_mq_loan loan = borrow(q, "keep me", 9);
	for (uint64_t i = 0; i < 1000; i++) {
		put_number(q, i, 0);
		CHECK_EQ(take_number(q), i);
	}
	CHECK(memcmp(loan.data, "keep me", 7) == 0);
	CHECK_OK(ph_mq_release(q, &loan));
	expect_capacity(q, 3);
	drop_queue(q);
}

TEST(borrows_are_limited)
{
	enum { MORE = PH_MQ_BORROWS + 5 };
	mqd_t q = make_queue(MORE, SMALL);
	struct ph_mq_loan loan[PH_MQ_BORROWS];
	struct ph_mq_loan extra;

	for (uint64_t i = 0; i < MORE; i++)
		put_number(q, i, 0);
	for (int i = 0; i < PH_MQ_BORROWS; i++)
		CHECK_OK(ph_mq_borrow(q, &loan[i]));
	CHECK_ERR(ph_mq_borrow(q, &extra), ENOBUFS);
	CHECK_EQ(take_number(q), PH_MQ_BORROWS);
	CHECK_OK(ph_mq_release(q, &loan[7]));
	CHECK_OK(ph_mq_borrow(q, &loan[7]));
	CHECK_EQ(*(uint64_t *)loan[7].data, PH_MQ_BORROWS + 1);
	for (int i = 0; i < PH_MQ_BORROWS; i++)
		CHECK_OK(ph_mq_release(q, &loan[i]));
	for (uint64_t i = PH_MQ_BORROWS + 2; i < MORE; i++)
		CHECK_EQ(take_number(q), i);
	expect_capacity(q, MORE);
	drop_queue(q);
}

TEST(borrowed_message_is_used_up_by_release)
{
	mqd_t q = make_queue(2, SMALL);

	put(q, "once", 0);
	struct ph_mq_loan loan = borrow(q, "once", 0);
	struct ph_mq_loan copy = loan;
	CHECK_OK(ph_mq_release(q, &loan));
	CHECK_ERR(ph_mq_release(q, &copy), ESTALE);
	CHECK_ERR(ph_mq_cancel(q, &copy), ESTALE);
	expect_capacity(q, 2);
	drop_queue(q);
}

TEST(old_loan_does_not_release_a_later_one_of_the_same_record)
{
	mqd_t q = make_queue(2, SMALL);

	put(q, "old", 0);
	struct ph_mq_loan old = borrow(q, "old", 0);
	struct ph_mq_loan copy = old;
	CHECK_OK(ph_mq_release(q, &old));
	put(q, "new", 0);
	struct ph_mq_loan new = borrow(q, "new", 0);
	CHECK_ERR(ph_mq_release(q, &copy), ESTALE);
	CHECK_EQ(info().borrowed, 1);
	CHECK_OK(ph_mq_release(q, &new));
	drop_queue(q);
}

TEST(loan_of_one_kind_cannot_be_ended_as_the_other)
{
	mqd_t q = make_queue(2, SMALL);
	struct ph_mq_loan room = reserve_text(q, "room");

	put(q, "message", 0);
	struct ph_mq_loan message = borrow(q, "message", 0);
	CHECK_ERR(ph_mq_release(q, &room), ESTALE);
	CHECK_ERR(ph_mq_commit(q, &message, 1, 0), ESTALE);
	CHECK_OK(ph_mq_release(q, &message));
	CHECK_OK(ph_mq_commit(q, &room, 4, 0));
	expect(q, "room", 0);
	expect_capacity(q, 2);
	drop_queue(q);
}

TEST(made_up_loan_is_estale)
{
	mqd_t q = make_queue(2, SMALL);
	char data[SMALL];

	for (uint32_t cell = 0; cell < 200; cell++) {
		struct ph_mq_loan loan = {data, sizeof(data), 0, cell * cell * cell, cell};
		CHECK_ERR(ph_mq_release(q, &loan), ESTALE);
		CHECK_ERR(ph_mq_cancel(q, &loan), ESTALE);
		CHECK_ERR(ph_mq_commit(q, &loan, 1, 0), ESTALE);
	}
	struct ph_mq_loan far = {data, sizeof(data), 0, UINT32_MAX, UINT64_MAX};
	CHECK_ERR(ph_mq_release(q, &far), ESTALE);
	expect_capacity(q, 2);
	drop_queue(q);
}

TEST(loan_of_another_queue_is_estale)
{
	mqd_t q = make_queue(2, SMALL);
	mqd_t other = make_named(test_name_of("other"), 2, SMALL);

	put(q, "mine", 0);
	put(other, "theirs", 0);
	struct ph_mq_loan mine = borrow(q, "mine", 0);
	struct ph_mq_loan copy = mine;
	CHECK_ERR(ph_mq_release(other, &copy), ESTALE);
	CHECK_OK(ph_mq_release(q, &mine));
	expect(other, "theirs", 0);
	CHECK_OK(mq_close(other));
	CHECK_OK(mq_unlink(test_name_of("other")));
	drop_queue(q);
}

// SPDX-License-Identifier: MIT
//
// tests/mq/mq_loan_reserve.c - sending in place: reserve a room, fill it, commit it or give it back.
// Receiving in place is in mq_loan_borrow.c, both together in mq_loan.c.
#include <posthaste/posix.h>

#include "loan.h"

TEST(committed_message_is_received_like_any_other)
{
	mqd_t q = make_queue(4, SMALL);
	struct ph_mq_loan loan = reserve_text(q, "in place");

	CHECK_EQ(loan.size, SMALL);
	CHECK_EQ(current(q), 0);
	put(q, "copied", 5);
	CHECK_OK(ph_mq_commit(q, &loan, 8, 9));
	CHECK_EQ(current(q), 2);
	expect(q, "in place", 9);
	expect(q, "copied", 5);
	expect_capacity(q, 4);
	drop_queue(q);
}

TEST(place_in_the_order_is_given_by_commit_not_by_reserve)
{
	mqd_t q = make_queue(4, SMALL);
	struct ph_mq_loan one = reserve_text(q, "one");
	struct ph_mq_loan two = reserve_text(q, "two");

	put(q, "zero", 1);
	CHECK_OK(ph_mq_commit(q, &two, 3, 1));
	CHECK_OK(ph_mq_commit(q, &one, 3, 1));
	expect(q, "zero", 1);
	expect(q, "two", 1);
	expect(q, "one", 1);
	drop_queue(q);
}

TEST(reserved_room_takes_none_of_the_depth)
{
	mqd_t q = make_queue(2, SMALL);
	struct ph_mq_loan one = reserve(q);
	struct ph_mq_loan two = reserve(q);

	CHECK_EQ(info().reserved, 2);
	expect_capacity(q, 2);
	CHECK_OK(ph_mq_cancel(q, &one));
	CHECK_OK(ph_mq_cancel(q, &two));
	CHECK_EQ(info().reserved, 0);
	expect_capacity(q, 2);
	drop_queue(q);
}

TEST(reserve_works_on_a_full_queue)
{
	mqd_t q = make_queue(1, SMALL);

	put(q, "full", 0);
	struct ph_mq_loan loan = reserve_text(q, "next");
	set_nonblock(q, true);
	CHECK_ERR(ph_mq_commit(q, &loan, 4, 3), EAGAIN);
	expect(q, "full", 0);
	CHECK_OK(ph_mq_commit(q, &loan, 4, 3));
	expect(q, "next", 3);
	drop_queue(q);
}

static void *commit_loan(void *arg)
{
	struct worker *w = arg;
	struct ph_mq_loan loan = reserve_text(w->q, "second");

	at_the_call(w);
	keep(w, ph_mq_commit(w->q, &loan, 6, 2));
	return NULL;
}

TEST(commit_blocks_until_there_is_room)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w;

	put(q, "first", 1);
	start_and_block(&w, commit_loan, q);
	expect(q, "first", 1);
	finish(&w);
	CHECK_EQ(w.result, 0);
	expect(q, "second", 2);
	expect_capacity(q, 1);
	drop_queue(q);
}

TEST(commit_that_times_out_keeps_the_reservation)
{
	mqd_t q = make_queue(1, SMALL);
	struct timespec soon = on_clock(CLOCK_MONOTONIC, 20);

	put(q, "full", 0);
	struct ph_mq_loan loan = reserve_text(q, "later");
	CHECK_ERR(ph_mq_clockcommit(q, &loan, 5, 1, CLOCK_MONOTONIC, &soon), ETIMEDOUT);
	CHECK(has_passed(CLOCK_MONOTONIC, &soon));
	expect(q, "full", 0);
	CHECK_OK(ph_mq_clockcommit(q, &loan, 5, 1, CLOCK_MONOTONIC, &soon));
	expect(q, "later", 1);
	drop_queue(q);
}

TEST(commit_wakes_a_blocked_receiver)
{
	mqd_t q = make_queue(1, SMALL);
	struct ph_mq_loan loan = reserve_text(q, "hello");
	struct worker w;

	start_and_block(&w, work_receive, q);
	CHECK_OK(ph_mq_commit(q, &loan, 5, 4));
	finish(&w);
	CHECK_EQ(w.result, 5);
	CHECK_EQ(w.prio, 4);
	drop_queue(q);
}

TEST(commit_that_is_refused_keeps_the_reservation)
{
	mqd_t q = make_queue(1, SMALL);
	struct ph_mq_loan loan = reserve_text(q, "good");

	CHECK_ERR(ph_mq_commit(q, &loan, SMALL + 1, 0), EMSGSIZE);
	CHECK_ERR(ph_mq_commit(q, &loan, 4, PH_MQ_PRIO_MAX), EINVAL);
	expect_empty(q);
	CHECK_OK(ph_mq_commit(q, &loan, 4, 0));
	expect(q, "good", 0);
	drop_queue(q);
}

TEST(reservation_is_used_up_by_commit)
{
	mqd_t q = make_queue(4, SMALL);
	struct ph_mq_loan loan = reserve_text(q, "once");
	struct ph_mq_loan copy = loan;

	CHECK_OK(ph_mq_commit(q, &loan, 4, 0));
	CHECK_ERR(ph_mq_commit(q, &copy, 4, 0), ESTALE);
	CHECK_ERR(ph_mq_cancel(q, &copy), ESTALE);
	CHECK_EQ(current(q), 1);
	drop_queue(q);
}

TEST(cancelled_reservation_cannot_be_committed)
{
	mqd_t q = make_queue(4, SMALL);
	struct ph_mq_loan loan = reserve_text(q, "never");
	struct ph_mq_loan copy = loan;

	CHECK_OK(ph_mq_cancel(q, &loan));
	CHECK_ERR(ph_mq_commit(q, &copy, 5, 0), ESTALE);
	CHECK_ERR(ph_mq_cancel(q, &copy), ESTALE);
	// Another reservation of the same room does not revive the old one.
	struct ph_mq_loan next = reserve(q);
	CHECK_ERR(ph_mq_commit(q, &copy, 5, 0), ESTALE);
	CHECK_OK(ph_mq_cancel(q, &next));
	expect_empty(q);
	drop_queue(q);
}

TEST(reservations_are_as_many_as_the_queue_has_spares)
{
	mqd_t q = make_queue(4, SMALL);
	struct ph_mq_loan loan[17];
	const uint64_t spares = info().spares;

	CHECK(spares >= 2 && spares <= 16);
	for (uint64_t i = 0; i < spares; i++) {
		loan[i] = reserve(q);
		memset(loan[i].data, (int)i, SMALL);
	}
	CHECK_ERR(ph_mq_reserve(q, &loan[16]), ENOBUFS);
	expect_capacity(q, 4);
	for (uint64_t i = 0; i < spares; i++)
		for (int k = 0; k < SMALL; k++)
			CHECK_EQ(((char *)loan[i].data)[k], i);
	CHECK_OK(ph_mq_cancel(q, &loan[0]));
	loan[0] = reserve(q);
	CHECK_ERR(ph_mq_reserve(q, &loan[16]), ENOBUFS);
	// A commit hands the room over and frees a spare as well.
	CHECK_OK(ph_mq_commit(q, &loan[1], 1, 0));
	loan[1] = reserve(q);
	CHECK_ERR(ph_mq_reserve(q, &loan[16]), ENOBUFS);
	for (uint64_t i = 0; i < spares; i++)
		CHECK_OK(ph_mq_cancel(q, &loan[i]));
	drop_queue(q);
}

TEST(reserve_needs_a_descriptor_for_writing)
{
	mqd_t q = make_queue(1, SMALL);
	mqd_t reader = open_queue(O_RDONLY);
	mqd_t writer = open_queue(O_WRONLY);
	struct ph_mq_loan loan;

	CHECK_ERR(ph_mq_reserve(reader, &loan), EBADF);
	CHECK_ERR(ph_mq_reserve(-1, &loan), EBADF);
	CHECK_OK(ph_mq_reserve(writer, &loan));
	CHECK_OK(ph_mq_commit(writer, &loan, 0, 0));
	CHECK_OK(mq_close(reader));
	CHECK_OK(mq_close(writer));
	expect(q, "", 0);
	drop_queue(q);
}

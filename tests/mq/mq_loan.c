// SPDX-License-Identifier: MIT
//
// tests/mq/mq_loan.c - messages in place: reserve and commit, borrow and release, and undoing either.
//
// The invariant: a loan never costs a slot. Whatever was reserved, committed, borrowed, released and
// cancelled, afterwards the queue takes exactly its depth. What happens when the holder of a loan dies
// or forks is in mq_loan_death.c.
#include <posthaste/posix.h>

#include "readiness.h"

static struct ph_mq_loan reserve(mqd_t q)
{
	struct ph_mq_loan loan;

	memset(&loan, 0x5a, sizeof(loan));
	CHECK_OK(ph_mq_reserve(q, &loan));
	return loan;
}

static struct ph_mq_loan reserve_text(mqd_t q, const char *text)
{
	struct ph_mq_loan loan = reserve(q);

	CHECK(loan.size >= strlen(text));
	memcpy(loan.data, text, strlen(text));
	return loan;
}

static struct ph_mq_loan borrow(mqd_t q, const char *text, unsigned prio)
{
	struct ph_mq_loan loan;

	memset(&loan, 0x5a, sizeof(loan));
	CHECK_OK(ph_mq_borrow(q, &loan));
	CHECK_EQ(loan.size, strlen(text));
	CHECK(memcmp(loan.data, text, loan.size) == 0);
	CHECK_EQ(loan.prio, prio);
	return loan;
}

static struct ph_mq_info info(void)
{
	struct ph_mq_info i;

	CHECK_OK(ph_mq_info(test_name(), &i));
	return i;
}

// The queue takes exactly its depth and gives it back.
static void expect_capacity(mqd_t q, int depth)
{
	set_nonblock(q, true);
	for (int i = 0; i < depth; i++)
		put_number(q, (uint64_t)i, 0);
	CHECK_ERR(mq_send(q, "x", 1, 0), EAGAIN);
	for (int i = 0; i < depth; i++)
		CHECK_EQ(take_number(q), i);
	set_nonblock(q, false);
	expect_empty(q);
}

/* ---- reserve and commit ---- */

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

/* ---- borrow and release ---- */

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

/* ---- undo ---- */

TEST(cancelled_borrow_puts_the_message_back_in_its_place)
{
	mqd_t q = make_queue(6, SMALL);

	put(q, "first", 5);
	put(q, "second", 5);
	put(q, "lower", 4);
	struct ph_mq_loan one = borrow(q, "first", 5);
	struct ph_mq_loan two = borrow(q, "second", 5);
	put(q, "third", 5);
	CHECK_OK(ph_mq_cancel(q, &two));
	CHECK_OK(ph_mq_cancel(q, &one));
	CHECK_EQ(current(q), 4);
	expect(q, "first", 5);
	expect(q, "second", 5);
	expect(q, "third", 5);
	expect(q, "lower", 4);
	expect_capacity(q, 6);
	drop_queue(q);
}

TEST(cancelled_borrow_wakes_a_blocked_receiver)
{
	mqd_t q = make_queue(2, SMALL);
	struct worker w;

	put(q, "only", 3);
	struct ph_mq_loan loan = borrow(q, "only", 3);
	start_and_block(&w, work_receive, q);
	CHECK_OK(ph_mq_cancel(q, &loan));
	finish(&w);
	CHECK_EQ(w.result, 4);
	CHECK_EQ(w.prio, 3);
	drop_queue(q);
}

TEST(close_drops_reservations_and_gives_borrowed_messages_back)
{
	mqd_t q = make_queue(3, SMALL);
	mqd_t holder = open_queue(O_RDWR);
	struct ph_mq_info i;

	put(q, "first", 1);
	put(q, "second", 1);
	reserve(holder);
	borrow(holder, "first", 1);
	i = info();
	CHECK_EQ(i.reserved, 1);
	CHECK_EQ(i.borrowed, 1);
	CHECK_OK(mq_close(holder));
	i = info();
	CHECK_EQ(i.reserved, 0);
	CHECK_EQ(i.borrowed, 0);
	expect(q, "first", 1);
	expect(q, "second", 1);
	expect_capacity(q, 3);
	drop_queue(q);
}

TEST(close_with_a_borrowed_message_wakes_a_blocked_receiver)
{
	mqd_t q = make_queue(1, SMALL);
	mqd_t holder = open_queue(O_RDWR);
	struct worker w;

	put(q, "only", 0);
	borrow(holder, "only", 0);
	start_and_block(&w, work_receive, q);
	CHECK_OK(mq_close(holder));
	finish(&w);
	CHECK_EQ(w.result, 4);
	drop_queue(q);
}

/* ---- threads of the holder ---- */

static void *borrow_and_end(void *arg)
{
	struct worker *w = arg;
	struct ph_mq_loan loan;

	CHECK_OK(ph_mq_borrow(w->q, &loan));
	memcpy(w->buf, &loan, sizeof(loan));
	return NULL;
}

TEST(loan_belongs_to_the_process_and_outlives_the_thread_that_took_it)
{
	mqd_t q = make_queue(2, SMALL);
	struct ph_mq_loan loan;
	struct worker w;

	put(q, "kept", 0);
	start(&w, borrow_and_end, q);
	finish(&w);
	memcpy(&loan, w.buf, sizeof(loan));
	expect_empty(q);
	CHECK_EQ(info().borrowed, 1);
	CHECK(memcmp(loan.data, "kept", 4) == 0);
	CHECK_OK(ph_mq_release(q, &loan));
	expect_capacity(q, 2);
	drop_queue(q);
}

/* ---- much of it ---- */

TEST(no_slot_is_lost_over_many_loans)
{
	mqd_t q = make_queue(3, SMALL);
	uint64_t in = 0;
	uint64_t out = 0;
	unsigned seed = 5;

	while (out < 20000) {
		struct ph_mq_loan loan;
		if (in - out == 3 || (in > out && rand_r(&seed) % 2)) {
			CHECK_OK(ph_mq_borrow(q, &loan));
			CHECK_EQ(*(uint64_t *)loan.data, out);
			bool undo = rand_r(&seed) % 4 == 0;
			CHECK_OK(undo ? ph_mq_cancel(q, &loan) : ph_mq_release(q, &loan));
			out += !undo;
		} else {
			loan = reserve(q);
			*(uint64_t *)loan.data = in;
			bool undo = rand_r(&seed) % 4 == 0;
			CHECK_OK(undo ? ph_mq_cancel(q, &loan)
				      : ph_mq_commit(q, &loan, sizeof(in), 0));
			in += !undo;
		}
	}
	while (out < in)
		CHECK_EQ(take_number(q), out++);
	expect_capacity(q, 3);
	drop_queue(q);
}

TEST(committed_messages_of_every_length_are_borrowed_whole)
{
	enum { SIZE = 200 };
	mqd_t q = make_queue(1, SIZE);

	for (size_t len = 0; len <= SIZE; len++) {
		struct ph_mq_loan loan = reserve(q);
		CHECK_EQ(loan.size, SIZE);
		memset(loan.data, (int)len, len);
		CHECK_OK(ph_mq_commit(q, &loan, len, (unsigned)len));
		CHECK_OK(ph_mq_borrow(q, &loan));
		CHECK_EQ(loan.size, len);
		CHECK_EQ(loan.prio, len);
		for (size_t i = 0; i < len; i++)
			CHECK_EQ(((unsigned char *)loan.data)[i], len);
		CHECK_OK(ph_mq_release(q, &loan));
	}
	drop_queue(q);
}

TEST(message_in_place_is_aligned_for_any_type)
{
	mqd_t q = make_queue(3, 13);
	struct ph_mq_loan loan[2] = {reserve(q), reserve(q)};

	for (int i = 0; i < 2; i++) {
		CHECK_EQ((uintptr_t)loan[i].data % _Alignof(max_align_t), 0);
		CHECK_OK(ph_mq_commit(q, &loan[i], 13, 0));
		CHECK_OK(ph_mq_borrow(q, &loan[i]));
		CHECK_EQ((uintptr_t)loan[i].data % _Alignof(max_align_t), 0);
		CHECK_OK(ph_mq_release(q, &loan[i]));
	}
	drop_queue(q);
}

/* ---- readiness ---- */

TEST(readiness_follows_loans)
{
	mqd_t q = make_queue(1, SMALL);
	struct ph_mq_loan loan = reserve_text(q, "x");

	expect_ready(q, POLLOUT);
	CHECK_OK(ph_mq_commit(q, &loan, 1, 0));
	expect_ready(q, POLLIN);
	loan = borrow(q, "x", 0);
	expect_ready(q, 0);
	CHECK_OK(ph_mq_cancel(q, &loan));
	expect_ready(q, POLLIN);
	loan = borrow(q, "x", 0);
	expect_ready(q, 0);
	CHECK_OK(ph_mq_release(q, &loan));
	expect_ready(q, POLLOUT);
	drop_queue(q);
}

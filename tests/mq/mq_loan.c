// SPDX-License-Identifier: MIT
//
// tests/mq/mq_loan.c - loans of both kinds: undoing them by cancel or close, threads of the holder,
// many in a row, and what poll says meanwhile. What happens when the holder dies, forks or execs is in
// mq_loan_death.c.
#include <posthaste/posix.h>

#include "loan.h"
#include "readiness.h"

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
			CHECK_OK(undo ? ph_mq_cancel(q, &loan) : ph_mq_commit(q, &loan, sizeof(in), 0));
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
	mqd_t q = make_queue(2, SMALL);
	struct ph_mq_loan loan = reserve_text(q, "x");

	expect_ready(q, POLLOUT);
	CHECK_OK(ph_mq_commit(q, &loan, 1, 0));
	expect_ready(q, POLLIN | POLLOUT);
	loan = borrow(q, "x", 0);
	expect_ready(q, POLLOUT);
	put(q, "y", 0);
	expect_ready(q, POLLIN);
	CHECK_OK(ph_mq_cancel(q, &loan));
	expect_ready(q, POLLIN);
	loan = borrow(q, "x", 0);
	expect_ready(q, POLLIN);
	CHECK_OK(ph_mq_release(q, &loan));
	expect_ready(q, POLLIN | POLLOUT);
	expect(q, "y", 0);
	expect_ready(q, POLLOUT);
	drop_queue(q);
}

// No kernel object of use here can be neither readable nor writable, so when everything is borrowed the
// descriptor stays writable.
TEST(queue_that_is_borrowed_whole_is_not_readable)
{
	mqd_t q = make_queue(1, SMALL);

	put(q, "x", 0);
	struct ph_mq_loan loan = borrow(q, "x", 0);
	for (enum how how = 0; how < HOWS; how++)
		CHECK_EQ(ready(how, q, POLLIN, 0), 0);
	CHECK_OK(ph_mq_cancel(q, &loan));
	expect_ready(q, POLLIN);
	loan = borrow(q, "x", 0);
	CHECK_OK(ph_mq_release(q, &loan));
	expect_ready(q, POLLOUT);
	drop_queue(q);
}

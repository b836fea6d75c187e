// SPDX-License-Identifier: MIT
//
// tests/mq/loan.h - taking checked loans, and the invariant of all loan tests: whatever was reserved,
// committed, borrowed, released, cancelled or lost with its holder, the queue takes exactly its depth.
#ifndef TESTS_MQ_LOAN_H
#define TESTS_MQ_LOAN_H

#include "queue.h"

static inline struct ph_mq_loan reserve(mqd_t q)
{
	struct ph_mq_loan loan;

	memset(&loan, 0x5a, sizeof(loan));
	CHECK_OK(ph_mq_reserve(q, &loan));
	return loan;
}

static inline struct ph_mq_loan reserve_text(mqd_t q, const char *text)
{
	struct ph_mq_loan loan = reserve(q);

	CHECK(loan.size >= strlen(text));
	memcpy(loan.data, text, strlen(text));
	return loan;
}

static inline struct ph_mq_loan borrow(mqd_t q, const char *text, unsigned prio)
{
	struct ph_mq_loan loan;

	memset(&loan, 0x5a, sizeof(loan));
	CHECK_OK(ph_mq_borrow(q, &loan));
	CHECK_EQ(loan.size, strlen(text));
	CHECK(memcmp(loan.data, text, loan.size) == 0);
	CHECK_EQ(loan.prio, prio);
	return loan;
}

static inline struct ph_mq_info info(void)
{
	struct ph_mq_info i;

	CHECK_OK(ph_mq_info(test_name(), &i));
	return i;
}

// The queue takes exactly its depth and gives it back.
static inline void expect_capacity(mqd_t q, int depth)
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

#endif

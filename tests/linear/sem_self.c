// SPDX-License-Identifier: MIT
//
// tests/linear/sem_self.c - does the judge of a semaphore's histories see what is wrong, and accept what only
// looks so?
#include "runner.h"
#include "sem_history.h"

// An operation by kind and units, and when it was called and returned.
#define OP(kind, units, from, to) \
	{                             \
		kind, 0, units, from, to  \
	}

// Begin with so many units, of at most 3.
#define CHECK_HISTORY(expected, begin, ...)                                        \
	do {                                                                           \
		const struct sem_op ops[] = {__VA_ARGS__};                                 \
		CHECK_EQ(judge(begin, ops, sizeof(ops) / sizeof(ops[0])), SEM_##expected); \
	} while (0)

static enum sem_verdict judge(int64_t begin, const struct sem_op *ops, size_t n)
{
	struct sem_history h = {.begin = begin, .most = 3, .n = (unsigned)n};
	memcpy(h.ops, ops, n * sizeof(*ops));
	return sem_history_check(&h);
}

TEST(a_sequential_history_is_accepted)
{
	CHECK_HISTORY(LINEARIZABLE, 1, OP(OP_POST, 2, 1, 2), OP(OP_VALUE, 3, 3, 4),
	              OP(OP_POST_FULL, 1, 5, 6), OP(OP_TAKE, 2, 7, 8), OP(OP_TAKE_EMPTY, 2, 9, 10),
	              OP(OP_TAKE, 1, 11, 12), OP(OP_TAKE_EMPTY, 1, 13, 14), OP(OP_VALUE, 0, 15, 16));
}

TEST(overlapping_operations_may_take_effect_in_either_order)
{
	CHECK_HISTORY(LINEARIZABLE, 0, OP(OP_TAKE, 1, 1, 10), OP(OP_POST, 1, 5, 9));
	CHECK_HISTORY(LINEARIZABLE, 0, OP(OP_TAKE_EMPTY, 1, 1, 10), OP(OP_POST, 1, 2, 9));
	CHECK_HISTORY(LINEARIZABLE, 1, OP(OP_VALUE, 2, 1, 10), OP(OP_POST, 1, 2, 9),
	              OP(OP_VALUE, 1, 2, 9));
	CHECK_HISTORY(LINEARIZABLE, 3, OP(OP_POST_FULL, 1, 1, 10), OP(OP_TAKE, 2, 2, 9));
}

TEST(a_unit_taken_twice_is_rejected)
{
	CHECK_HISTORY(NOT_LINEARIZABLE, 0, OP(OP_POST, 1, 1, 2), OP(OP_TAKE, 1, 1, 5),
	              OP(OP_TAKE, 1, 1, 6));
	CHECK_HISTORY(NOT_LINEARIZABLE, 2, OP(OP_TAKE, 2, 1, 5), OP(OP_TAKE, 1, 1, 6));
}

TEST(a_lost_unit_is_rejected)
{
	CHECK_HISTORY(NOT_LINEARIZABLE, 0, OP(OP_POST, 1, 1, 2), OP(OP_TAKE_EMPTY, 1, 3, 4));
	CHECK_HISTORY(NOT_LINEARIZABLE, 0, OP(OP_POST, 1, 1, 5), OP(OP_POST, 1, 1, 5),
	              OP(OP_VALUE, 1, 6, 7));
}

TEST(a_take_before_its_post_is_rejected)
{
	CHECK_HISTORY(NOT_LINEARIZABLE, 0, OP(OP_TAKE, 1, 1, 2), OP(OP_POST, 1, 3, 4));
}

TEST(half_of_several_units_is_rejected)
{
	CHECK_HISTORY(NOT_LINEARIZABLE, 2, OP(OP_TAKE, 2, 1, 10), OP(OP_VALUE, 1, 2, 3));
	CHECK_HISTORY(NOT_LINEARIZABLE, 0, OP(OP_POST, 2, 1, 10), OP(OP_VALUE, 1, 2, 3));
	CHECK_HISTORY(NOT_LINEARIZABLE, 2, OP(OP_TAKE_EMPTY, 2, 1, 10), OP(OP_POST, 1, 2, 3));
}

TEST(a_value_that_goes_back_is_rejected)
{
	CHECK_HISTORY(NOT_LINEARIZABLE, 0, OP(OP_POST, 1, 1, 20), OP(OP_VALUE, 1, 2, 3),
	              OP(OP_VALUE, 0, 4, 5));
}

TEST(overflow_while_there_is_room_and_more_than_there_may_be_are_rejected)
{
	CHECK_HISTORY(NOT_LINEARIZABLE, 2, OP(OP_POST_FULL, 1, 1, 2));
	CHECK_HISTORY(NOT_LINEARIZABLE, 2, OP(OP_POST, 2, 1, 2));
	CHECK_HISTORY(NOT_LINEARIZABLE, 3, OP(OP_POST, 1, 1, 2), OP(OP_TAKE, 1, 3, 4));
}

TEST(many_overlapping_operations_are_judged_quickly)
{
	struct sem_history h = {.most = 1000};
	for (unsigned round = 0; round < 5; round++) {
		const int64_t t = 100 * round;
		for (unsigned i = 0; i < 6; i++)
			h.ops[h.n++] = (struct sem_op){OP_POST, 0, i + 1, t, t + 10};
		for (unsigned i = 0; i < 6; i++)
			h.ops[h.n++] = (struct sem_op){OP_TAKE, 0, i + 1, t, t + 10};
	}
	h.ops[h.n++] = (struct sem_op){OP_VALUE, 0, 0, 900, 901};
	CHECK_EQ(sem_history_check(&h), SEM_LINEARIZABLE);
	h.ops[h.n++] = (struct sem_op){OP_VALUE, 0, 1, 902, 903};
	CHECK_EQ(sem_history_check(&h), SEM_NOT_LINEARIZABLE);
}

// SPDX-License-Identifier: MIT
//
// tests/linear/self.c - does the judge of histories see what is wrong, and accept what only looks so?
#include "history.h"
#include "runner.h"

#define CHECK_HISTORY(expected, depth, ...)                                  \
	do {                                                                     \
		const struct op ops[] = {__VA_ARGS__};                               \
		CHECK_EQ(judge(depth, ops, sizeof(ops) / sizeof(ops[0])), expected); \
	} while (0)

// An operation by kind, value, priority, and when it was called and returned.
#define OP(kind, value, prio, from, to) \
	{                                   \
		kind, prio, value, from, to, 0  \
	}

static enum verdict judge(unsigned depth, const struct op *ops, size_t n)
{
	struct history h = {.depth = depth, .strict = true, .n = (unsigned)n};
	memcpy(h.ops, ops, n * sizeof(*ops));
	const enum verdict verdict = history_check(&h);
	h.strict = false; // accepts no less
	CHECK(verdict == NOT_LINEARIZABLE || history_check(&h) == verdict);
	return verdict;
}

TEST(a_sequential_history_is_accepted)
{
	CHECK_HISTORY(LINEARIZABLE, 2, OP(OP_SEND, 1, 0, 1, 2), OP(OP_SEND, 2, 5, 3, 4),
	              OP(OP_SEND_FULL, 0, 0, 5, 6), OP(OP_PEEK, 2, 5, 7, 8),
	              OP(OP_RECEIVE, 2, 5, 9, 10), OP(OP_RECEIVE, 1, 0, 11, 12),
	              OP(OP_RECEIVE_EMPTY, 0, 0, 13, 14));
}

TEST(overlapping_operations_may_take_effect_in_either_order)
{
	CHECK_HISTORY(LINEARIZABLE, 1, OP(OP_SEND, 1, 0, 5, 20), OP(OP_RECEIVE, 1, 0, 1, 18),
	              OP(OP_SEND, 2, 0, 1, 30), OP(OP_RECEIVE_EMPTY, 0, 0, 2, 19),
	              OP(OP_RECEIVE, 2, 0, 31, 32));
	CHECK_HISTORY(LINEARIZABLE, 2, OP(OP_SEND, 1, 0, 1, 10), OP(OP_SEND, 2, 0, 1, 10),
	              OP(OP_RECEIVE, 2, 0, 11, 12), OP(OP_RECEIVE, 1, 0, 13, 14));
}

TEST(a_lower_priority_before_a_higher_one_is_rejected)
{
	CHECK_HISTORY(NOT_LINEARIZABLE, 2, OP(OP_SEND, 1, 0, 1, 2), OP(OP_SEND, 2, 5, 3, 4),
	              OP(OP_RECEIVE, 1, 0, 5, 6), OP(OP_RECEIVE, 2, 5, 7, 8));
}

TEST(a_later_message_before_an_earlier_one_of_its_priority_is_rejected)
{
	CHECK_HISTORY(NOT_LINEARIZABLE, 2, OP(OP_SEND, 1, 3, 1, 2), OP(OP_SEND, 2, 3, 3, 4),
	              OP(OP_RECEIVE, 2, 3, 5, 6), OP(OP_RECEIVE, 1, 3, 7, 8));
}

TEST(a_message_received_twice_is_rejected)
{
	CHECK_HISTORY(NOT_LINEARIZABLE, 2, OP(OP_SEND, 1, 0, 1, 2), OP(OP_RECEIVE, 1, 0, 1, 5),
	              OP(OP_RECEIVE, 1, 0, 1, 6));
}

TEST(a_message_that_was_never_sent_is_rejected)
{
	CHECK_HISTORY(NOT_LINEARIZABLE, 2, OP(OP_SEND, 1, 0, 1, 2), OP(OP_RECEIVE, 2, 0, 3, 4));
}

TEST(a_lost_message_is_rejected)
{
	CHECK_HISTORY(NOT_LINEARIZABLE, 2, OP(OP_SEND, 1, 0, 1, 2), OP(OP_RECEIVE_EMPTY, 0, 0, 3, 4));
}

TEST(a_receive_before_its_send_is_rejected)
{
	CHECK_HISTORY(NOT_LINEARIZABLE, 2, OP(OP_RECEIVE, 1, 0, 1, 2), OP(OP_SEND, 1, 0, 3, 4));
}

TEST(more_messages_than_the_depth_are_rejected)
{
	CHECK_HISTORY(NOT_LINEARIZABLE, 1, OP(OP_SEND, 1, 0, 1, 2), OP(OP_SEND, 2, 0, 3, 4));
}

TEST(full_while_there_is_room_is_rejected)
{
	CHECK_HISTORY(NOT_LINEARIZABLE, 2, OP(OP_SEND, 1, 0, 1, 2), OP(OP_SEND_FULL, 0, 0, 3, 4));
}

TEST(a_borrowed_message_keeps_its_room_until_its_release)
{
	CHECK_HISTORY(LINEARIZABLE, 1, OP(OP_SEND, 1, 0, 1, 2), OP(OP_BORROW, 1, 0, 3, 4),
	              OP(OP_SEND_FULL, 0, 0, 5, 6), OP(OP_RECEIVE_EMPTY, 0, 0, 7, 8),
	              OP(OP_RELEASE, 0, 0, 9, 10), OP(OP_SEND, 2, 0, 11, 12));
	CHECK_HISTORY(NOT_LINEARIZABLE, 1, OP(OP_SEND, 1, 0, 1, 2), OP(OP_BORROW, 1, 0, 3, 4),
	              OP(OP_SEND, 2, 0, 5, 6), OP(OP_RELEASE, 0, 0, 9, 10));
}

TEST(a_message_being_received_keeps_its_room_unless_strict)
{
	struct history h = {.depth = 2,
	                    .n = 4,
	                    .ops = {OP(OP_SEND, 1, 0, 1, 2), OP(OP_RECEIVE, 1, 0, 3, 20),
	                            OP(OP_SEND, 2, 5, 4, 5), OP(OP_SEND_FULL, 0, 0, 6, 7)}};
	CHECK_EQ(history_check(&h), LINEARIZABLE);
	h.strict = true;
	CHECK_EQ(history_check(&h), NOT_LINEARIZABLE);
	h.strict = false;
	h.ops[1].returned_ns = 5; // the receive returned before the look for room
	CHECK_EQ(history_check(&h), NOT_LINEARIZABLE);
}

// Six sends at once have 720 orders, and the wrong one comes to light at the very end.
TEST(many_overlapping_operations_are_judged_quickly)
{
	struct history h = {.depth = 6};
	for (unsigned round = 0; round < 4; round++) {
		const int64_t t = 100 * round;
		for (unsigned i = 0; i < 6; i++)
			h.ops[h.n++] = (struct op){OP_SEND, 0, round * 6 + i + 1, t, t + 10, 0};
		for (unsigned i = 6; i > 0; i--)
			h.ops[h.n++] = (struct op){OP_RECEIVE, 0, round * 6 + i, t + 20, t + 30, 0};
	}
	CHECK_EQ(history_check(&h), LINEARIZABLE);
	h.ops[h.n++] = (struct op){OP_RECEIVE, 0, 1, 400, 410, 0};
	CHECK_EQ(history_check(&h), NOT_LINEARIZABLE);
}

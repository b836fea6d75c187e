// SPDX-License-Identifier: MIT
//
// tests/mq/posix_poll_load.c - poll and select on busy queues. A wake-up that is missed would hang these.
#include "readiness.h"

enum { MESSAGES = 20000 };

static void send_by_poll(void *arg)
{
	const uint64_t first = *(uint64_t *)arg;
	mqd_t q = open_queue(O_WRONLY | O_NONBLOCK);

	for (uint64_t i = first; i < first + MESSAGES;) {
		if (mq_send(q, (char *)&i, sizeof(i), 0) == 0) {
			i++;
			continue;
		}
		CHECK_EQ(errno, EAGAIN);
		ready(BY_POLL, q, POLLOUT, FOR_EVER);
	}
}

// Receives until `count` have come; the sum is the result.
static uint64_t receive_by(enum how how, mqd_t q, int count)
{
	uint64_t sum = 0;

	while (count) {
		union {
			char bytes[SMALL];
			uint64_t number;
		} buf;
		if (mq_receive(q, buf.bytes, sizeof(buf), NULL) == -1) {
			CHECK_EQ(errno, EAGAIN);
			ready(how, q, POLLIN, FOR_EVER);
			continue;
		}
		sum += buf.number;
		count--;
	}
	return sum;
}

TEST(polling_sender_and_polling_receiver_miss_no_wake_up)
{
	mqd_t q = make_queue(2, SMALL);
	uint64_t first = 1;

	set_nonblock(q, true);
	pid_t pid = test_fork(send_by_poll, &first);
	CHECK_EQ(receive_by(BY_POLL, q, MESSAGES), (uint64_t)MESSAGES * (MESSAGES + 1) / 2);
	test_join(pid);
	expect_empty(q);
	drop_queue(q);
}

TEST(two_polling_senders_and_a_selecting_receiver_miss_no_wake_up)
{
	mqd_t q = make_queue(3, SMALL);
	uint64_t first[2] = {1, MESSAGES + 1};
	const uint64_t all = 2 * MESSAGES;

	set_nonblock(q, true);
	pid_t one = test_fork(send_by_poll, &first[0]);
	pid_t two = test_fork(send_by_poll, &first[1]);
	CHECK_EQ(receive_by(BY_SELECT, q, 2 * MESSAGES), all * (all + 1) / 2);
	test_join(one);
	test_join(two);
	drop_queue(q);
}

// One side polls, the other blocks in the call itself.
TEST(polling_sender_and_blocking_receiver_miss_no_wake_up)
{
	mqd_t q = make_queue(2, SMALL);
	uint64_t first = 0;

	pid_t pid = test_fork(send_by_poll, &first);
	for (uint64_t i = 0; i < MESSAGES; i++)
		CHECK_EQ(take_number(q), i);
	test_join(pid);
	drop_queue(q);
}

static void send_by_blocking(void *arg)
{
	mqd_t q = open_queue(O_WRONLY);

	(void)arg;
	for (uint64_t i = 1; i <= MESSAGES; i++)
		put_number(q, i, 0);
}

TEST(blocking_sender_and_polling_receiver_miss_no_wake_up)
{
	mqd_t q = make_queue(2, SMALL);

	set_nonblock(q, true);
	pid_t pid = test_fork(send_by_blocking, NULL);
	CHECK_EQ(receive_by(BY_PPOLL, q, MESSAGES), (uint64_t)MESSAGES * (MESSAGES + 1) / 2);
	test_join(pid);
	drop_queue(q);
}

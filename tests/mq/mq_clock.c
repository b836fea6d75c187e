// SPDX-License-Identifier: MIT
//
// tests/mq/mq_clock.c - deadlines on a clock of the caller's choice. What both clocks share with the
// POSIX calls (order of checks, nothing taken on a time-out) is asked here once per clock.
#include <posthaste/posix.h>

#include "queue.h"

static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC};

TEST(receive_times_out_at_its_deadline_on_either_clock)
{
	mqd_t q = make_queue(1, SMALL);
	char buf[SMALL];

	for (int i = 0; i < 2; i++) {
		struct timespec t = on_clock(clocks[i], 20);
		CHECK_ERR(ph_mq_clockreceive(q, buf, sizeof(buf), NULL, clocks[i], &t), ETIMEDOUT);
		CHECK(has_passed(clocks[i], &t));
	}
	drop_queue(q);
}

TEST(send_times_out_at_its_deadline_on_either_clock)
{
	mqd_t q = make_queue(1, SMALL);

	put(q, "full", 0);
	for (int i = 0; i < 2; i++) {
		struct timespec t = on_clock(clocks[i], 20);
		CHECK_ERR(ph_mq_clocksend(q, "x", 1, 0, clocks[i], &t), ETIMEDOUT);
		CHECK(has_passed(clocks[i], &t));
	}
	CHECK_EQ(current(q), 1);
	drop_queue(q);
}

TEST(deadline_in_the_past_does_not_matter_when_nothing_blocks)
{
	mqd_t q = make_queue(1, SMALL);
	const struct timespec epoch = {0, 0};
	char buf[SMALL];
	unsigned prio;

	for (int i = 0; i < 2; i++) {
		CHECK_OK(ph_mq_clocksend(q, "x", 1, 5, clocks[i], &epoch));
		CHECK_ERR(ph_mq_clocksend(q, "x", 1, 5, clocks[i], &epoch), ETIMEDOUT);
		CHECK_EQ(ph_mq_clockreceive(q, buf, sizeof(buf), &prio, clocks[i], &epoch), 1);
		CHECK_EQ(prio, 5);
		CHECK_ERR(ph_mq_clockreceive(q, buf, sizeof(buf), &prio, clocks[i], &epoch), ETIMEDOUT);
	}
	drop_queue(q);
}

TEST(deadline_or_clock_that_is_not_valid_is_einval_only_when_it_would_block)
{
	mqd_t q = make_queue(1, SMALL);
	const struct timespec bad = {.tv_sec = 1, .tv_nsec = 1000000000};
	const struct timespec good = on_clock(CLOCK_MONOTONIC, 50000);
	const clockid_t other = CLOCK_PROCESS_CPUTIME_ID;
	char buf[SMALL];

	CHECK_ERR(ph_mq_clockreceive(q, buf, sizeof(buf), NULL, CLOCK_MONOTONIC, &bad), EINVAL);
	CHECK_ERR(ph_mq_clockreceive(q, buf, sizeof(buf), NULL, other, &good), EINVAL);
	CHECK_ERR(ph_mq_clockreceive(q, buf, sizeof(buf), NULL, 12345, &good), EINVAL);
	CHECK_OK(ph_mq_clocksend(q, "x", 1, 0, CLOCK_MONOTONIC, &bad));
	CHECK_ERR(ph_mq_clocksend(q, "x", 1, 0, CLOCK_MONOTONIC, &bad), EINVAL);
	CHECK_ERR(ph_mq_clocksend(q, "x", 1, 0, other, &good), EINVAL);
	CHECK_EQ(ph_mq_clockreceive(q, buf, sizeof(buf), NULL, other, &bad), 1);
	CHECK_OK(ph_mq_clocksend(q, "x", 1, 0, other, &good));
	drop_queue(q);
}

static void *receive_without_deadline(void *arg)
{
	struct worker *w = arg;

	at_the_call(w);
	keep(w, ph_mq_clockreceive(w->q, w->buf, sizeof(w->buf), &w->prio, CLOCK_MONOTONIC, NULL));
	return NULL;
}

static void *send_without_deadline(void *arg)
{
	struct worker *w = arg;

	at_the_call(w);
	keep(w, ph_mq_clocksend(w->q, "second", 6, 2, CLOCK_MONOTONIC, NULL));
	return NULL;
}

TEST(null_means_no_deadline)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w;

	start_and_block(&w, receive_without_deadline, q);
	put(q, "first", 1);
	finish(&w);
	CHECK_EQ(w.result, 5);
	put(q, "first", 1);
	start_and_block(&w, send_without_deadline, q);
	expect(q, "first", 1);
	finish(&w);
	CHECK_EQ(w.result, 0);
	expect(q, "second", 2);
	drop_queue(q);
}

static void *receive_by_monotonic(void *arg)
{
	struct worker *w = arg;

	w->deadline = on_clock(CLOCK_MONOTONIC, 50000);
	at_the_call(w);
	keep(w,
	     ph_mq_clockreceive(w->q, w->buf, sizeof(w->buf), &w->prio, CLOCK_MONOTONIC, &w->deadline));
	return NULL;
}

TEST(message_before_a_monotonic_deadline_is_received)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w;

	start_and_block(&w, receive_by_monotonic, q);
	put(q, "in time", 6);
	finish(&w);
	CHECK_EQ(w.result, 7);
	CHECK_EQ(w.prio, 6);
	drop_queue(q);
}

TEST(other_errors_are_the_posix_calls)
{
	mqd_t q = make_queue(1, SMALL);
	mqd_t reader = open_queue(O_RDONLY | O_NONBLOCK);
	const struct timespec past = {0, 0};
	char buf[SMALL + 1] = {0};

	CHECK_ERR(ph_mq_clocksend(reader, "x", 1, 0, CLOCK_MONOTONIC, &past), EBADF);
	CHECK_ERR(ph_mq_clocksend(q, buf, SMALL + 1, 0, CLOCK_MONOTONIC, &past), EMSGSIZE);
	CHECK_ERR(ph_mq_clocksend(q, "x", 1, PH_MQ_PRIO_MAX, CLOCK_MONOTONIC, &past), EINVAL);
	CHECK_ERR(ph_mq_clockreceive(q, buf, SMALL - 1, NULL, CLOCK_MONOTONIC, &past), EMSGSIZE);
	CHECK_ERR(ph_mq_clockreceive(reader, buf, SMALL, NULL, CLOCK_MONOTONIC, &past), EAGAIN);
	CHECK_OK(mq_close(reader));
	drop_queue(q);
}

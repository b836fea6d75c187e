// SPDX-License-Identifier: MIT
//
// tests/mq/posix_wait.c - blocking and deadlines: who sleeps, what wakes exactly whom, and when a
// deadline is looked at. Signals and cancellation have files of their own.
#include "queue.h"

/* ---- blocking ---- */

TEST(receive_blocks_until_a_message_arrives)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w;

	start_and_block(&w, work_receive, q);
	put(q, "hello", 3);
	finish(&w);
	CHECK_EQ(w.result, 5);
	CHECK_EQ(w.prio, 3);
	CHECK(memcmp(w.buf, "hello", 5) == 0);
	drop_queue(q);
}

TEST(send_blocks_until_there_is_room)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w = {.buf = "second", .prio = 9};

	put(q, "first", 1);
	start_and_block(&w, work_send, q);
	CHECK_EQ(current(q), 1);
	expect(q, "first", 1);
	finish(&w);
	CHECK_EQ(w.result, 0);
	expect(q, "second", 9);
	drop_queue(q);
}

static void receive_hello(void *arg)
{
	(void)arg;
	mqd_t q = open_queue(O_RDONLY);
	expect(q, "hello", 2);
}

TEST(receiver_in_another_process_is_woken)
{
	mqd_t q = make_queue(1, SMALL);

	for (int i = 0; i < 50; i++) {
		pid_t pid = test_fork(receive_hello, NULL);
		test_wait_asleep(pid);
		put(q, "hello", 2);
		test_join(pid);
	}
	drop_queue(q);
}

static void send_second(void *arg)
{
	(void)arg;
	mqd_t q = open_queue(O_WRONLY);
	put(q, "second", 8);
}

TEST(sender_in_another_process_is_woken)
{
	mqd_t q = make_queue(1, SMALL);

	for (int i = 0; i < 50; i++) {
		put(q, "first", 1);
		pid_t pid = test_fork(send_second, NULL);
		test_wait_asleep(pid);
		expect(q, "first", 1);
		test_join(pid);
		expect(q, "second", 8);
	}
	drop_queue(q);
}

enum { CROWD = 4 };

static int count_done(struct worker *w)
{
	int done = 0;

	for (int i = 0; i < CROWD; i++)
		done += atomic_load(&w[i].done);
	return done;
}

struct crowd {
	struct worker *w;
	int want;
};

static bool crowd_is_done(void *arg)
{
	struct crowd *crowd = arg;

	return count_done(crowd->w) >= crowd->want;
}

static bool all_others_sleep(struct worker *w)
{
	for (int i = 0; i < CROWD; i++)
		if (!atomic_load(&w[i].done) && !test_task_sleeps(w[i].tid))
			return false;
	return true;
}

static bool crowd_is_asleep(void *arg)
{
	return all_others_sleep(((struct crowd *)arg)->w);
}

TEST(send_wakes_one_of_several_receivers)
{
	mqd_t q = make_queue(CROWD, SMALL);
	struct worker w[CROWD];
	struct crowd crowd = {w, 0};

	for (int i = 0; i < CROWD; i++)
		start_and_block(&w[i], work_receive, q);
	for (int i = 1; i <= CROWD; i++) {
		put(q, "one", 0);
		crowd.want = i;
		test_wait_until(crowd_is_done, &crowd);
		test_wait_until(crowd_is_asleep, &crowd);
		CHECK_EQ(count_done(w), i);
		CHECK_EQ(current(q), 0);
	}
	for (int i = 0; i < CROWD; i++) {
		finish(&w[i]);
		CHECK_EQ(w[i].result, 3);
	}
	drop_queue(q);
}

TEST(receive_wakes_one_of_several_senders)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w[CROWD];
	struct crowd crowd = {w, 0};

	put(q, "full", 0);
	for (int i = 0; i < CROWD; i++) {
		strcpy(w[i].buf, "more");
		w[i].prio = 0;
		start_and_block(&w[i], work_send, q);
	}
	for (int i = 1; i <= CROWD; i++) {
		expect(q, i == 1 ? "full" : "more", 0);
		crowd.want = i;
		test_wait_until(crowd_is_done, &crowd);
		test_wait_until(crowd_is_asleep, &crowd);
		CHECK_EQ(count_done(w), i);
		CHECK_EQ(current(q), 1);
	}
	expect(q, "more", 0);
	for (int i = 0; i < CROWD; i++) {
		finish(&w[i]);
		CHECK_EQ(w[i].result, 0);
	}
	drop_queue(q);
}

TEST(burst_of_sends_wakes_as_many_receivers)
{
	mqd_t q = make_queue(CROWD, SMALL);
	struct worker w[CROWD];

	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < CROWD; i++)
			start(&w[i], work_receive, q);
		for (int i = 0; i < CROWD; i++)
			wait_thread_asleep(&w[i]);
		for (int i = 0; i < CROWD; i++)
			put(q, "burst", 0);
		for (int i = 0; i < CROWD; i++) {
			finish(&w[i]);
			CHECK_EQ(w[i].result, 5);
		}
	}
	drop_queue(q);
}

TEST(burst_of_receives_wakes_as_many_senders)
{
	mqd_t q = make_queue(CROWD, SMALL);
	struct worker w[CROWD];

	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < CROWD; i++)
			put(q, "full", 1);
		for (int i = 0; i < CROWD; i++) {
			strcpy(w[i].buf, "more");
			w[i].prio = 0;
			start(&w[i], work_send, q);
		}
		for (int i = 0; i < CROWD; i++)
			wait_thread_asleep(&w[i]);
		for (int i = 0; i < CROWD; i++)
			expect(q, "full", 1);
		for (int i = 0; i < CROWD; i++) {
			finish(&w[i]);
			CHECK_EQ(w[i].result, 0);
		}
		for (int i = 0; i < CROWD; i++)
			expect(q, "more", 0);
	}
	drop_queue(q);
}

// Of two receivers, one is killed while it sleeps: the wake-up must not die with it.
static void receive_for_ever(void *arg)
{
	char buf[SMALL];

	(void)arg;
	mqd_t q = open_queue(O_RDONLY);
	for (;;)
		CHECK_OK(mq_receive(q, buf, sizeof(buf), NULL));
}

TEST(killed_sleeping_receiver_takes_no_message_with_it)
{
	mqd_t q = make_queue(1, SMALL);

	for (int i = 0; i < 50; i++) {
		struct worker w;
		pid_t pid = test_fork(receive_for_ever, NULL);
		test_wait_asleep(pid);
		start_and_block(&w, work_receive, q);
		test_kill(pid);
		put(q, "survivor's", 0);
		finish(&w);
		CHECK_EQ(w.result, 10);
	}
	drop_queue(q);
}

static void send_for_ever(void *arg)
{
	(void)arg;
	mqd_t q = open_queue(O_WRONLY);
	for (;;)
		CHECK_OK(mq_send(q, "victim", 6, 0));
}

TEST(killed_sleeping_sender_leaves_the_room_to_others)
{
	mqd_t q = make_queue(1, SMALL);

	for (int i = 0; i < 50; i++) {
		struct worker w = {.buf = "survivor"};
		put(q, "full", 1);
		pid_t pid = test_fork(send_for_ever, NULL);
		test_wait_asleep(pid);
		start_and_block(&w, work_send, q);
		test_kill(pid);
		expect(q, "full", 1);
		finish(&w);
		CHECK_EQ(w.result, 0);
		expect(q, "survivor", 0);
	}
	drop_queue(q);
}

/* ---- deadlines ---- */

TEST(deadline_in_the_past_is_etimedout_when_it_would_block)
{
	mqd_t q = make_queue(1, SMALL);
	struct timespec past = in_ms(-5000);
	struct timespec epoch = {0, 0};
	char buf[SMALL];

	CHECK_ERR(mq_timedreceive(q, buf, sizeof(buf), NULL, &past), ETIMEDOUT);
	CHECK_ERR(mq_timedreceive(q, buf, sizeof(buf), NULL, &epoch), ETIMEDOUT);
	put(q, "full", 0);
	CHECK_ERR(mq_timedsend(q, "x", 1, 0, &past), ETIMEDOUT);
	CHECK_ERR(mq_timedsend(q, "x", 1, 0, &epoch), ETIMEDOUT);
	expect(q, "full", 0);
	expect_empty(q);
	drop_queue(q);
}

TEST(deadline_in_the_past_does_not_matter_when_nothing_blocks)
{
	mqd_t q = make_queue(1, SMALL);
	struct timespec past = in_ms(-5000);
	char buf[SMALL];
	unsigned prio;

	CHECK_OK(mq_timedsend(q, "x", 1, 5, &past));
	CHECK_EQ(mq_timedreceive(q, buf, sizeof(buf), &prio, &past), 1);
	CHECK_EQ(prio, 5);
	drop_queue(q);
}

TEST(receive_times_out_at_its_deadline_and_not_before)
{
	mqd_t q = make_queue(1, SMALL);
	char buf[SMALL] = "untouched";
	unsigned prio = 42;

	for (int ms = 1; ms <= 64; ms *= 4) {
		struct timespec deadline = in_ms(ms);
		CHECK_ERR(mq_timedreceive(q, buf, sizeof(buf), &prio, &deadline), ETIMEDOUT);
		CHECK(has_passed(CLOCK_REALTIME, &deadline));
	}
	CHECK_EQ(prio, 42);
	CHECK(strcmp(buf, "untouched") == 0);
	put(q, "later", 1);
	CHECK_EQ(current(q), 1);
	expect(q, "later", 1);
	drop_queue(q);
}

TEST(send_times_out_at_its_deadline_and_not_before)
{
	mqd_t q = make_queue(1, SMALL);

	put(q, "full", 0);
	for (int ms = 1; ms <= 64; ms *= 4) {
		struct timespec deadline = in_ms(ms);
		CHECK_ERR(mq_timedsend(q, "x", 1, 9, &deadline), ETIMEDOUT);
		CHECK(has_passed(CLOCK_REALTIME, &deadline));
	}
	CHECK_EQ(current(q), 1);
	expect(q, "full", 0);
	put(q, "room", 0);
	expect(q, "room", 0);
	drop_queue(q);
}

TEST(message_before_the_deadline_is_received)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w = {.deadline = in_ms(50000)};

	start_and_block(&w, work_timedreceive, q);
	put(q, "in time", 6);
	finish(&w);
	CHECK_EQ(w.result, 7);
	CHECK_EQ(w.prio, 6);
	drop_queue(q);
}

TEST(room_before_the_deadline_is_used)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w = {.deadline = in_ms(50000), .buf = "in time", .prio = 6};

	put(q, "full", 0);
	start_and_block(&w, work_timedsend, q);
	expect(q, "full", 0);
	finish(&w);
	CHECK_EQ(w.result, 0);
	expect(q, "in time", 6);
	drop_queue(q);
}

TEST(deadline_far_away_is_as_good_as_none)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w = {.deadline = {.tv_sec = 0x7ffffffffffffLL}};

	start_and_block(&w, work_timedreceive, q);
	put(q, "at last", 0);
	finish(&w);
	CHECK_EQ(w.result, 7);
	drop_queue(q);
}

TEST(deadline_with_nonblock_is_eagain)
{
	mqd_t q = make_queue(1, SMALL);
	struct timespec past = in_ms(-5000);
	struct timespec future = in_ms(50000);
	char buf[SMALL];

	set_nonblock(q, true);
	CHECK_ERR(mq_timedreceive(q, buf, sizeof(buf), NULL, &past), EAGAIN);
	CHECK_ERR(mq_timedreceive(q, buf, sizeof(buf), NULL, &future), EAGAIN);
	put(q, "full", 0);
	CHECK_ERR(mq_timedsend(q, "x", 1, 0, &past), EAGAIN);
	CHECK_ERR(mq_timedsend(q, "x", 1, 0, &future), EAGAIN);
	drop_queue(q);
}

TEST(deadline_that_is_no_time_is_einval_when_it_would_block)
{
	const struct timespec bad[] = {
		{.tv_sec = 1, .tv_nsec = -1},
		{.tv_sec = 1, .tv_nsec = 1000000000},
		{.tv_sec = 0x7fffffff, .tv_nsec = 1000000000},
		{.tv_sec = -1, .tv_nsec = 0},
	};
	mqd_t q = make_queue(1, SMALL);
	char buf[SMALL];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_ERR(mq_timedreceive(q, buf, sizeof(buf), NULL, &bad[i]), EINVAL);
	put(q, "full", 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_ERR(mq_timedsend(q, "x", 1, 0, &bad[i]), EINVAL);
	drop_queue(q);
}

TEST(deadline_that_is_no_time_does_not_matter_when_nothing_blocks)
{
	mqd_t q = make_queue(1, SMALL);
	struct timespec bad = {.tv_sec = 1, .tv_nsec = -1};
	char buf[SMALL];

#ifdef TEST_KERNEL
	// The kernel judges the deadline first; POSIX forbids that ("the validity of abstime need not
	// be checked if a message can be removed immediately", and under no circumstance a timeout).
	CHECK_ERR(mq_timedsend(q, "x", 1, 0, &bad), EINVAL);
	put(q, "x", 0);
	CHECK_ERR(mq_timedreceive(q, buf, sizeof(buf), NULL, &bad), EINVAL);
#else
	CHECK_OK(mq_timedsend(q, "x", 1, 0, &bad));
	CHECK_EQ(mq_timedreceive(q, buf, sizeof(buf), NULL, &bad), 1);
#endif
	drop_queue(q);
}

// Timed-out sleepers come and go while others send and receive; nothing is lost or stuck.
static void receive_with_short_deadlines(void *arg)
{
	atomic_int *received = arg;
	char buf[SMALL];

	mqd_t q = open_queue(O_RDONLY);
	for (;;) {
		struct timespec deadline = in_ms(1);
		ssize_t len = mq_timedreceive(q, buf, sizeof(buf), NULL, &deadline);
		if (len == -1)
			CHECK_EQ(errno, ETIMEDOUT);
		else if (len == 0)
			return;
		else
			atomic_fetch_add(received, 1);
	}
}

TEST(receivers_that_time_out_lose_no_message)
{
	enum { RECEIVERS = 3, MESSAGES = 2000 };
	atomic_int *received = share(sizeof(*received));
	mqd_t q = make_queue(4, SMALL);
	pid_t pid[RECEIVERS];

	for (int i = 0; i < RECEIVERS; i++)
		pid[i] = test_fork(receive_with_short_deadlines, received);
	for (int i = 0; i < MESSAGES; i++) {
		put(q, "m", 1);
		// Now and then let the receivers run into their deadlines.
		if (i % 100 == 0)
			wait_count(received, i + 1);
	}
	for (int i = 0; i < RECEIVERS; i++)
		CHECK_OK(mq_send(q, "", 0, 0));
	for (int i = 0; i < RECEIVERS; i++)
		test_join(pid[i]);
	CHECK_EQ(atomic_load(received), MESSAGES);
	drop_queue(q);
}

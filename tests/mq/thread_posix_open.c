// SPDX-License-Identifier: MIT
//
// tests/mq/thread_posix_open.c - threads of one process open, use, close and remove queues at once: the tables
// that one process keeps of its queues hold, and no descriptor gets mixed up with another.
#include "queue.h"

enum { THREADS = 4, ROUNDS = 200, NAMES = 50 };

static void run(void *(*fn)(void *))
{
	pthread_t thread[THREADS];

	for (long i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&thread[i], NULL, fn, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_join(thread[i], NULL), 0);
}

static void *open_own(void *arg)
{
	char name[128];

	snprintf(name, sizeof(name), "%s-%ld", test_name(), (long)arg);
	for (uint64_t i = 0; i < ROUNDS; i++) {
		uint64_t mark = i * THREADS + (uint64_t)(long)arg;
		mqd_t q = make_named(name, 2, SMALL);
		put_number(q, mark, 0);
		CHECK_EQ(current(q), 1);
		CHECK_EQ(take_number(q), mark);
		CHECK_OK(mq_close(q));
		CHECK_OK(mq_unlink(name));
	}
	return NULL;
}

TEST(threads_with_a_queue_each_do_not_disturb_each_other)
{
	run(open_own);
}

static void *open_common(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		mqd_t q = open_queue(O_RDWR);
		struct mq_attr attr;
		CHECK_OK(mq_getattr(q, &attr));
		CHECK_EQ(attr.mq_maxmsg, THREADS);
		put(q, "turn", 0);
		expect(q, "turn", 0);
		CHECK_OK(mq_close(q));
	}
	return NULL;
}

TEST(threads_open_and_close_one_queue_at_once)
{
	mqd_t q = make_queue(THREADS, SMALL);

	run(open_common);
	expect_empty(q);
	drop_queue(q);
}

static atomic_int won[NAMES];

static void *race_to_create(void *arg)
{
	struct mq_attr attr = {.mq_maxmsg = 1, .mq_msgsize = SMALL};

	(void)arg;
	for (int i = 0; i < NAMES; i++) {
		char name[128];
		snprintf(name, sizeof(name), "%s-%d", test_name(), i);
		mqd_t q = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
		if (q == -1) {
			CHECK_EQ(errno, EEXIST);
			continue;
		}
		atomic_fetch_add(&won[i], 1);
		CHECK_OK(mq_close(q));
	}
	return NULL;
}

TEST(of_the_threads_that_create_exclusively_one_succeeds)
{
	run(race_to_create);
	for (int i = 0; i < NAMES; i++) {
		char name[128];
		snprintf(name, sizeof(name), "%s-%d", test_name(), i);
		CHECK_EQ(won[i], 1);
		CHECK_OK(mq_unlink(name));
	}
}

static mqd_t common;

static void *toggle_the_flag(void *arg)
{
	char buf[SMALL];

	for (int i = 0; i < ROUNDS * 10; i++) {
		struct mq_attr attr = {.mq_flags = O_NONBLOCK};
		struct mq_attr old;
		CHECK_OK(mq_setattr(common, &attr, &old));
		CHECK(old.mq_flags == O_NONBLOCK || old.mq_flags == 0);
		CHECK_OK(mq_getattr(common, &old));
		CHECK_EQ(old.mq_flags, O_NONBLOCK);
		if ((long)arg % 2 == 0)
			CHECK_ERR(mq_receive(common, buf, sizeof(buf), NULL), EAGAIN);
	}
	return NULL;
}

TEST(threads_read_and_write_attributes_at_once)
{
	common = make_queue(1, SMALL);
	run(toggle_the_flag);
	drop_queue(common);
}

static void *register_in_turn(void *arg)
{
	struct sigevent event = {.sigev_notify = SIGEV_NONE};

	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		if (mq_notify(common, &event) == 0)
			CHECK_OK(mq_notify(common, NULL));
		else
			CHECK_EQ(errno, EBUSY);
		CHECK_OK(mq_notify(common, &event) == -1 && errno != EBUSY ? -1 : 0);
		CHECK_OK(mq_notify(common, NULL));
	}
	return NULL;
}

TEST(threads_register_and_deregister_at_once)
{
	common = make_queue(1, SMALL);
	run(register_in_turn);
	drop_queue(common);
}

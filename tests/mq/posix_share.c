// SPDX-License-Identifier: MIT
//
// tests/mq/posix_share.c - descriptors and descriptions: what fork shares, what exec closes, and the
// attributes that belong to the description.
#include "queue.h"

static long flags_of(mqd_t q)
{
	struct mq_attr attr;

	CHECK_OK(mq_getattr(q, &attr));
	return attr.mq_flags;
}

/* ---- attributes ---- */

TEST(getattr_counts_the_messages)
{
	mqd_t q = make_queue(3, SMALL);

	for (int i = 0; i < 3; i++) {
		CHECK_EQ(current(q), i);
		put(q, "x", 0);
	}
	for (int i = 3; i > 0; i--) {
		CHECK_EQ(current(q), i);
		expect(q, "x", 0);
	}
	CHECK_EQ(current(q), 0);
	drop_queue(q);
}

TEST(setattr_sets_and_clears_nonblock)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w;
	char buf[SMALL];

	set_nonblock(q, true);
	CHECK_EQ(flags_of(q), O_NONBLOCK);
	CHECK_ERR(mq_receive(q, buf, sizeof(buf), NULL), EAGAIN);
	set_nonblock(q, false);
	CHECK_EQ(flags_of(q), 0);
	start_and_block(&w, work_receive, q);
	put(q, "x", 0);
	finish(&w);
	CHECK_EQ(w.result, 1);
	drop_queue(q);
}

TEST(setattr_returns_the_previous_attributes)
{
	mqd_t q = make_queue(3, 32);
	struct mq_attr attr = {.mq_flags = O_NONBLOCK};
	struct mq_attr old;

	put(q, "x", 0);
	CHECK_OK(mq_setattr(q, &attr, &old));
	CHECK_EQ(old.mq_flags, 0);
	CHECK_EQ(old.mq_maxmsg, 3);
	CHECK_EQ(old.mq_msgsize, 32);
	CHECK_EQ(old.mq_curmsgs, 1);
	attr.mq_flags = 0;
	CHECK_OK(mq_setattr(q, &attr, &old));
	CHECK_EQ(old.mq_flags, O_NONBLOCK);
	drop_queue(q);
}

TEST(setattr_changes_nothing_but_the_flag)
{
	mqd_t q = make_queue(3, 32);
	struct mq_attr attr = {
		.mq_flags = O_NONBLOCK, .mq_maxmsg = 100, .mq_msgsize = 1, .mq_curmsgs = 9};

	CHECK_OK(mq_setattr(q, &attr, NULL));
	CHECK_OK(mq_getattr(q, &attr));
	CHECK_EQ(attr.mq_maxmsg, 3);
	CHECK_EQ(attr.mq_msgsize, 32);
	CHECK_EQ(attr.mq_curmsgs, 0);
	drop_queue(q);
}

TEST(setattr_with_another_flag_is_einval_and_changes_nothing)
{
	mqd_t q = make_queue(1, SMALL);
	const long bad[] = {1, O_CREAT, O_NONBLOCK | O_APPEND, -1, 1L << 40};
	struct mq_attr old = {.mq_maxmsg = 77};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct mq_attr attr = {.mq_flags = bad[i]};
		CHECK_ERR(mq_setattr(q, &attr, &old), EINVAL);
	}
	CHECK_EQ(old.mq_maxmsg, 77);
	CHECK_EQ(flags_of(q), 0);
	drop_queue(q);
}

TEST(setattr_takes_effect_for_calls_that_begin_later)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w;

	start_and_block(&w, work_receive, q);
	set_nonblock(q, true);
	wait_thread_asleep(&w);
	put(q, "x", 0);
	finish(&w);
	CHECK_EQ(w.result, 1);
	drop_queue(q);
}

/* ---- fork ---- */

static void answer_on_inherited(void *arg)
{
	mqd_t q = *(mqd_t *)arg;

	expect(q, "question", 1);
	put(q, "answer", 2);
}

TEST(child_uses_the_descriptor_it_inherits)
{
	mqd_t q = make_queue(2, SMALL);

	put(q, "question", 1);
	test_join(test_fork(answer_on_inherited, &q));
	expect(q, "answer", 2);
	drop_queue(q);
}

static void set_nonblock_in_child(void *arg)
{
	set_nonblock(*(mqd_t *)arg, true);
}

static void clear_nonblock_in_child(void *arg)
{
	CHECK_EQ(flags_of(*(mqd_t *)arg), O_NONBLOCK);
	set_nonblock(*(mqd_t *)arg, false);
}

TEST(nonblock_is_shared_over_fork_both_ways)
{
	mqd_t q = make_queue(1, SMALL);
	char buf[SMALL];

	test_join(test_fork(set_nonblock_in_child, &q));
	CHECK_EQ(flags_of(q), O_NONBLOCK);
	CHECK_ERR(mq_receive(q, buf, sizeof(buf), NULL), EAGAIN);
	test_join(test_fork(clear_nonblock_in_child, &q));
	CHECK_EQ(flags_of(q), 0);
	drop_queue(q);
}

struct pair {
	mqd_t q;
	mqd_t own;
	atomic_int step;
};

static void watch_the_flag(void *arg)
{
	struct pair *pair = arg;
	struct mq_attr attr;

	do
		CHECK_OK(mq_getattr(pair->q, &attr));
	while (attr.mq_flags != O_NONBLOCK);
	CHECK_EQ(flags_of(pair->own), 0);
}

TEST(nonblock_set_after_fork_is_seen_by_a_running_child)
{
	struct pair *pair = share(sizeof(*pair));

	pair->q = make_queue(1, SMALL);
	pair->own = open_queue(O_RDWR);
	pid_t pid = test_fork(watch_the_flag, pair);
	set_nonblock(pair->q, true);
	test_join(pid);
	CHECK_OK(mq_close(pair->own));
	drop_queue(pair->q);
}

static void close_inherited(void *arg)
{
	CHECK_OK(mq_close(*(mqd_t *)arg));
	CHECK_ERR(mq_send(*(mqd_t *)arg, "x", 1, 0), EBADF);
}

TEST(close_in_the_child_leaves_the_parents_descriptor_open)
{
	mqd_t q = make_queue(1, SMALL);

	test_join(test_fork(close_inherited, &q));
	put(q, "still", 0);
	expect(q, "still", 0);
	drop_queue(q);
}

static void outlive_the_parents_close(void *arg)
{
	struct pair *pair = arg;

	wait_count(&pair->step, 1);
	put(pair->q, "from the child", 3);
	atomic_store(&pair->step, 2);
}

TEST(close_in_the_parent_leaves_the_childs_descriptor_open)
{
	struct pair *pair = share(sizeof(*pair));

	pair->q = make_queue(1, SMALL);
	pair->own = open_queue(O_RDWR);
	pid_t pid = test_fork(outlive_the_parents_close, pair);
	CHECK_OK(mq_close(pair->q));
	atomic_store(&pair->step, 1);
	expect(pair->own, "from the child", 3);
	test_join(pid);
	drop_queue(pair->own);
}

static void fork_again(void *arg)
{
	test_join(test_fork(answer_on_inherited, arg));
}

TEST(grandchild_uses_the_descriptor_it_inherits)
{
	mqd_t q = make_queue(2, SMALL);

	put(q, "question", 1);
	test_join(test_fork(fork_again, &q));
	expect(q, "answer", 2);
	drop_queue(q);
}

static void open_in_child(void *arg)
{
	(void)arg;
	mqd_t q = open_queue(O_RDWR);
	put(q, "child's own", 0);
	CHECK_OK(mq_close(q));
}

TEST(child_of_a_process_that_uses_a_queue_may_open_it_itself)
{
	mqd_t q = make_queue(2, SMALL);

	put(q, "warm", 0);
	expect(q, "warm", 0);
	test_join(test_fork(open_in_child, NULL));
	expect(q, "child's own", 0);
	drop_queue(q);
}

static void use_in_child(void *arg)
{
	(void)arg;
	mqd_t q = open_queue(O_RDWR);
	for (int i = 0; i < 20; i++)
		CHECK_OK(mq_send(q, "child", 5, 9));
	CHECK_OK(mq_close(q));
}

static void *open_and_use_for_ever(void *arg)
{
	struct worker *w = arg;
	char name[128];

	snprintf(name, sizeof(name), "%s-own", test_name());
	while (!atomic_load(&w->done)) {
		mqd_t own = make_named(name, 2, SMALL);
		put(own, "x", 0);
		expect(own, "x", 0);
		CHECK_OK(mq_close(own));
		CHECK_OK(mq_unlink(name));
		struct timespec soon = in_ms(10);
		if (mq_timedreceive(w->q, w->buf, sizeof(w->buf), NULL, &soon) == -1)
			CHECK_EQ(errno, ETIMEDOUT);
	}
	return NULL;
}

// Other threads are inside calls at the moment of the fork, and may hold whatever locks these take.
TEST(fork_from_a_busy_process_gives_working_children)
{
	mqd_t q = make_queue(4, SMALL);
	struct worker w;

	start(&w, open_and_use_for_ever, q);
	for (int i = 0; i < 200; i++)
		test_join(test_fork(use_in_child, NULL));
	atomic_store(&w.done, 1);
	finish(&w);
	drop_queue(q);
}

/* ---- exec ---- */

static void exec_and_look(void *arg)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", *(mqd_t *)arg);
	execlp("sh", "sh", "-c", "test ! -e /proc/self/fd/$1", "sh", number, (char *)NULL);
	_exit(2);
}

TEST(exec_closes_the_descriptor)
{
	mqd_t q = make_queue(1, SMALL);

	test_join(test_fork(exec_and_look, &q));
	put(q, "still", 0);
	expect(q, "still", 0);
	drop_queue(q);
}

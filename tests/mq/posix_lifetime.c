// SPDX-License-Identifier: MIT
//
// tests/mq/posix_lifetime.c - what a name means over time: persistence, unlink, making it again, and
// races between processes that do all of this at once.
//
// The invariant behind the races: whoever opens a name gets a complete queue or ENOENT, never a half
// made one, and of any number of exclusive creators exactly one succeeds.
#include "queue.h"

#include <sched.h>

TEST(messages_persist_when_the_last_descriptor_is_closed)
{
	mqd_t q = make_queue(4, SMALL);

	put(q, "low", 1);
	put(q, "high", 9);
	CHECK_OK(mq_close(q));
	q = open_queue(O_RDWR);
	CHECK_EQ(current(q), 2);
	expect(q, "high", 9);
	expect(q, "low", 1);
	drop_queue(q);
}

static void create_and_fill(void *arg)
{
	(void)arg;
	put(make_queue(4, SMALL), "from a process that ended", 5);
}

TEST(messages_persist_when_the_process_ends)
{
	test_join(test_fork(create_and_fill, NULL));
	mqd_t q = open_queue(O_RDWR);
	expect(q, "from a process that ended", 5);
	drop_queue(q);
}

TEST(unlink_of_a_missing_name_is_enoent)
{
	CHECK_ERR(mq_unlink(test_name()), ENOENT);
	drop_queue(make_queue(1, SMALL));
	CHECK_ERR(mq_unlink(test_name()), ENOENT);
}

TEST(unlink_removes_the_name_at_once_and_open_descriptors_go_on)
{
	mqd_t q = make_queue(4, SMALL);
	mqd_t other = open_queue(O_RDWR);

	put(q, "before", 1);
	CHECK_OK(mq_unlink(test_name()));
	CHECK_ERR(mq_open(test_name(), O_RDWR), ENOENT);
	put(q, "after", 0);
	expect(other, "before", 1);
	expect(other, "after", 0);
	CHECK_OK(mq_close(q));
	put(other, "last", 7);
	expect(other, "last", 7);
	CHECK_OK(mq_close(other));
}

TEST(name_made_again_after_unlink_is_another_queue)
{
	mqd_t old = make_queue(2, SMALL);

	put(old, "old", 1);
	CHECK_OK(mq_unlink(test_name()));
	mqd_t new = make_queue(3, SMALL);
	CHECK_EQ(current(new), 0);
	put(new, "new", 2);
	expect(old, "old", 1);
	CHECK_EQ(current(old), 0);
	expect(new, "new", 2);
	CHECK_OK(mq_close(old));
	drop_queue(new);
}

TEST(unlink_leaves_a_blocked_receiver_waiting_and_reachable)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w;

	start_and_block(&w, work_receive, q);
	CHECK_OK(mq_unlink(test_name()));
	put(q, "still", 4);
	finish(&w);
	CHECK_EQ(w.result, 5);
	CHECK_EQ(w.prio, 4);
	CHECK_OK(mq_close(q));
}

/* ---- races ---- */

enum { RACERS = 8, ROUNDS = 60 };

struct race {
	atomic_int ready;
	atomic_int go;
	atomic_int won;
	atomic_int lost;
	atomic_int finished;
};

static void exclusive_creator(void *arg)
{
	struct race *race = arg;
	struct mq_attr attr = {.mq_maxmsg = 2, .mq_msgsize = SMALL};

	atomic_fetch_add(&race->ready, 1);
	while (!atomic_load(&race->go))
		sched_yield();
	mqd_t q = mq_open(test_name(), O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	if (q == -1)
		CHECK_EQ(errno, EEXIST);
	atomic_fetch_add(q == -1 ? &race->lost : &race->won, 1);
}

TEST(of_many_exclusive_creators_exactly_one_succeeds)
{
	struct race *race = share(sizeof(*race));
	pid_t pid[RACERS];

	for (int round = 0; round < ROUNDS; round++) {
		memset(race, 0, sizeof(*race));
		for (int i = 0; i < RACERS; i++)
			pid[i] = test_fork(exclusive_creator, race);
		wait_count(&race->ready, RACERS);
		atomic_store(&race->go, 1);
		for (int i = 0; i < RACERS; i++)
			test_join(pid[i]);
		CHECK_EQ(race->won, 1);
		CHECK_EQ(race->lost, RACERS - 1);
		CHECK_OK(mq_unlink(test_name()));
	}
}

// Opens with O_CREAT while others unlink: always gets a whole queue, perhaps one without a name.
static void create_use_unlink(void *arg)
{
	struct race *race = arg;
	struct mq_attr attr = {.mq_maxmsg = 2, .mq_msgsize = SMALL};

	atomic_fetch_add(&race->ready, 1);
	while (!atomic_load(&race->go))
		sched_yield();
	for (int i = 0; i < 300; i++) {
		struct mq_attr got;
		mqd_t q = mq_open(test_name(), O_RDWR | O_CREAT | O_NONBLOCK, 0600, &attr);
		CHECK_OK(q);
		CHECK_OK(mq_getattr(q, &got));
		CHECK_EQ(got.mq_maxmsg, 2);
		CHECK_EQ(got.mq_msgsize, SMALL);
		if (mq_send(q, "x", 1, 0) == -1)
			CHECK_EQ(errno, EAGAIN);
		if (mq_unlink(test_name()) == -1)
			CHECK_EQ(errno, ENOENT);
		CHECK_OK(mq_close(q));
	}
}

TEST(creating_and_unlinking_at_once_never_yields_a_half_made_queue)
{
	struct race *race = share(sizeof(*race));
	pid_t pid[4];

	for (int i = 0; i < 4; i++)
		pid[i] = test_fork(create_use_unlink, race);
	wait_count(&race->ready, 4);
	atomic_store(&race->go, 1);
	for (int i = 0; i < 4; i++)
		test_join(pid[i]);
	if (mq_unlink(test_name()) == -1)
		CHECK_EQ(errno, ENOENT);
}

static void open_plainly(void *arg)
{
	struct race *race = arg;
	struct mq_attr got;

	while (!atomic_load(&race->finished)) {
		mqd_t q = mq_open(test_name(), O_RDWR);
		if (q == -1) {
			CHECK_EQ(errno, ENOENT);
			continue;
		}
		CHECK_OK(mq_getattr(q, &got));
		CHECK_EQ(got.mq_maxmsg, 2);
		atomic_fetch_add(&race->won, 1);
		CHECK_OK(mq_close(q));
	}
}

TEST(opener_that_races_a_creator_sees_nothing_or_a_whole_queue)
{
	struct race *race = share(sizeof(*race));
	pid_t pid = test_fork(open_plainly, race);

	for (int i = 0; i < 300 || !atomic_load(&race->won); i++)
		drop_queue(make_queue(2, SMALL));
	atomic_store(&race->finished, 1);
	test_join(pid);
}

// All of them end with the same queue: what one sends through its descriptor, all others count.
static void join_and_send(void *arg)
{
	struct race *race = arg;
	struct mq_attr attr = {.mq_maxmsg = RACERS, .mq_msgsize = SMALL};

	atomic_fetch_add(&race->ready, 1);
	while (!atomic_load(&race->go))
		sched_yield();
	mqd_t q = mq_open(test_name(), O_RDWR | O_CREAT, 0600, &attr);
	CHECK_OK(q);
	put(q, "here", 0);
}

TEST(creators_without_excl_end_up_in_one_queue)
{
	struct race *race = share(sizeof(*race));
	pid_t pid[RACERS];

	for (int round = 0; round < ROUNDS; round++) {
		memset(race, 0, sizeof(*race));
		for (int i = 0; i < RACERS; i++)
			pid[i] = test_fork(join_and_send, race);
		wait_count(&race->ready, RACERS);
		atomic_store(&race->go, 1);
		for (int i = 0; i < RACERS; i++)
			test_join(pid[i]);
		mqd_t q = open_queue(O_RDWR);
		CHECK_EQ(current(q), RACERS);
		drop_queue(q);
	}
}

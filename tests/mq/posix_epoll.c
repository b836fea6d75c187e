// SPDX-License-Identifier: MIT
//
// tests/mq/posix_epoll.c - queues in epoll: level and edge triggered, one-shot, many in one set, nested in
// poll, inherited by a child, and gone from the set when closed.
#include "readiness.h"

TEST(registered_queue_shows_each_level)
{
	mqd_t q = make_queue(2, SMALL);
	int ep = make_epoll(q, EPOLLIN | EPOLLOUT);

	for (int i = 0; i < 10; i++) {
		CHECK_EQ(look(ep, 0), EPOLLOUT);
		put(q, "x", 0);
		CHECK_EQ(look(ep, 0), EPOLLIN | EPOLLOUT);
		put(q, "y", 0);
		CHECK_EQ(look(ep, 0), EPOLLIN);
		CHECK_EQ(look(ep, 0), EPOLLIN);
		expect(q, "x", 0);
		expect(q, "y", 0);
	}
	CHECK_OK(close(ep));
	drop_queue(q);
}

TEST(registration_can_be_changed_and_removed)
{
	mqd_t q = make_queue(1, SMALL);
	int ep = make_epoll(q, EPOLLIN);
	struct epoll_event event = {.events = EPOLLOUT};

	CHECK_EQ(look(ep, 0), 0);
	CHECK_OK(epoll_ctl(ep, EPOLL_CTL_MOD, q, &event));
	CHECK_EQ(look(ep, 0), EPOLLOUT);
	CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, q, &event), EEXIST);
	CHECK_OK(epoll_ctl(ep, EPOLL_CTL_DEL, q, NULL));
	CHECK_EQ(look(ep, 0), 0);
	CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_DEL, q, NULL), ENOENT);
	CHECK_OK(close(ep));
	drop_queue(q);
}

TEST(edge_is_shown_once_for_each_arrival_at_the_empty_queue)
{
	mqd_t q = make_queue(4, SMALL);
	int ep = make_epoll(q, EPOLLIN | EPOLLET);

	CHECK_EQ(look(ep, 0), 0);
	for (int i = 0; i < 20; i++) {
		put(q, "x", 0);
		CHECK_EQ(look(ep, 0), EPOLLIN);
		CHECK_EQ(look(ep, 0), 0);
		expect(q, "x", 0);
		CHECK_EQ(look(ep, 0), 0);
	}
	CHECK_OK(close(ep));
	drop_queue(q);
}

TEST(edge_is_shown_when_the_full_queue_gets_room)
{
	mqd_t q = make_queue(1, SMALL);

	put(q, "x", 0);
	int ep = make_epoll(q, EPOLLOUT | EPOLLET);
	CHECK_EQ(look(ep, 0), 0);
	for (int i = 0; i < 20; i++) {
		expect(q, "x", 0);
		CHECK_EQ(look(ep, 0), EPOLLOUT);
		CHECK_EQ(look(ep, 0), 0);
		put(q, "x", 0);
		CHECK_EQ(look(ep, 0), 0);
	}
	CHECK_OK(close(ep));
	drop_queue(q);
}

TEST(message_that_is_there_already_is_an_edge_at_registration)
{
	mqd_t q = make_queue(4, SMALL);

	put(q, "x", 0);
	int ep = make_epoll(q, EPOLLIN | EPOLLET);
	CHECK_EQ(look(ep, 0), EPOLLIN);
	CHECK_EQ(look(ep, 0), 0);
	CHECK_OK(close(ep));
	drop_queue(q);
}

TEST(one_shot_is_shown_once_until_armed_again)
{
	mqd_t q = make_queue(4, SMALL);
	int ep = make_epoll(q, EPOLLIN | EPOLLONESHOT);
	struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT};

	put(q, "x", 0);
	CHECK_EQ(look(ep, 0), EPOLLIN);
	CHECK_EQ(look(ep, 0), 0);
	put(q, "x", 0);
	CHECK_EQ(look(ep, 0), 0);
	CHECK_OK(epoll_ctl(ep, EPOLL_CTL_MOD, q, &event));
	CHECK_EQ(look(ep, 0), EPOLLIN);
	CHECK_OK(close(ep));
	drop_queue(q);
}

TEST(closed_queue_leaves_the_set)
{
	mqd_t q = make_queue(4, SMALL);
	mqd_t other = open_queue(O_RDWR);
	int ep = make_epoll(q, EPOLLIN);

	put(other, "x", 0);
	CHECK_EQ(look(ep, 0), EPOLLIN);
	CHECK_OK(mq_close(q));
	CHECK_EQ(look(ep, 0), 0);
	put(other, "x", 0);
	CHECK_EQ(look(ep, 0), 0);
	CHECK_OK(close(ep));
	drop_queue(other);
}

TEST(epoll_set_with_a_queue_can_itself_be_polled)
{
	mqd_t q = make_queue(1, SMALL);
	int ep = make_epoll(q, EPOLLIN);
	struct pollfd p = {.fd = ep, .events = POLLIN};

	CHECK_EQ(poll(&p, 1, 0), 0);
	put(q, "x", 0);
	CHECK_EQ(poll(&p, 1, 0), 1);
	expect(q, "x", 0);
	CHECK_EQ(poll(&p, 1, 0), 0);
	CHECK_OK(close(ep));
	drop_queue(q);
}

/* ---- many queues in one set ---- */

enum { MANY = 40 };

static const char *name_of(int i)
{
	static char name[128];

	snprintf(name, sizeof(name), "%s-%d", test_name(), i);
	return name;
}

static int make_many(mqd_t *q)
{
	int ep = epoll_create1(EPOLL_CLOEXEC);

	CHECK_OK(ep);
	for (int i = 0; i < MANY; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
		q[i] = make_named(name_of(i), 2, SMALL);
		CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, q[i], &event));
	}
	return ep;
}

static void drop_many(int ep, const mqd_t *q)
{
	CHECK_OK(close(ep));
	for (int i = 0; i < MANY; i++) {
		CHECK_OK(mq_close(q[i]));
		CHECK_OK(mq_unlink(name_of(i)));
	}
}

TEST(only_the_queues_with_messages_are_shown)
{
	mqd_t q[MANY];
	int ep = make_many(q);
	struct epoll_event event[MANY];
	bool seen[MANY] = {false};

	for (int i = 0; i < MANY; i += 3)
		put(q[i], "x", 0);
	int n = epoll_wait(ep, event, MANY, 0);
	CHECK_EQ(n, (MANY + 2) / 3);
	for (int i = 0; i < n; i++) {
		CHECK_EQ(event[i].events, EPOLLIN);
		CHECK_EQ(event[i].data.u32 % 3, 0);
		CHECK(!seen[event[i].data.u32]);
		seen[event[i].data.u32] = true;
	}
	drop_many(ep, q);
}

static void send_to_each(void *arg)
{
	(void)arg;
	for (int round = 0; round < 20; round++)
		for (int i = 0; i < MANY; i++) {
			mqd_t q = mq_open(name_of(i), O_WRONLY);
			CHECK_OK(q);
			put_number(q, (uint64_t)(round * MANY + i), 0);
			CHECK_OK(mq_close(q));
		}
}

TEST(one_loop_serves_many_queues)
{
	mqd_t q[MANY];
	int ep = make_many(q);
	uint64_t next[MANY] = {0};

	pid_t pid = test_fork(send_to_each, NULL);
	for (int left = 20 * MANY; left;) {
		struct epoll_event event[8];
		int n = epoll_wait(ep, event, 8, -1);
		CHECK_OK(n);
		for (int k = 0; k < n; k++, left--) {
			uint32_t i = event[k].data.u32;
			CHECK_EQ(take_number(q[i]), next[i] * MANY + i);
			next[i]++;
		}
	}
	test_join(pid);
	drop_many(ep, q);
}

/* ---- asleep in epoll_wait ---- */

struct watch {
	mqd_t q;
	int ep;
	uint32_t want;
};

static void wait_in_inherited_set(void *arg)
{
	struct watch *watch = arg;

	CHECK_EQ(look(watch->ep, -1), watch->want);
}

TEST(sleeper_in_an_inherited_set_is_woken)
{
	struct watch watch = {.q = make_queue(2, SMALL), .want = EPOLLIN};

	watch.ep = make_epoll(watch.q, EPOLLIN);
	pid_t pid = test_fork(wait_in_inherited_set, &watch);
	test_wait_asleep(pid);
	put(watch.q, "x", 0);
	test_join(pid);
	CHECK_OK(close(watch.ep));
	drop_queue(watch.q);
}

static void *wait_in_set(void *arg)
{
	struct worker *w = arg;

	at_the_call(w);
	keep(w, look((int)w->prio, -1));
	return NULL;
}

// The queue enters the set while somebody sleeps on the set.
TEST(sleeper_is_woken_by_a_queue_added_meanwhile)
{
	mqd_t q = make_queue(2, SMALL);
	struct epoll_event event = {.events = EPOLLIN};
	struct worker w;
	int ep = epoll_create1(EPOLL_CLOEXEC);

	CHECK_OK(ep);
	w.prio = (unsigned)ep;
	start_and_block(&w, wait_in_set, q);
	CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, q, &event));
	wait_thread_asleep(&w);
	put(q, "x", 0);
	finish(&w);
	CHECK_EQ(w.result, EPOLLIN);
	CHECK_OK(close(ep));
	drop_queue(q);
}

enum { MESSAGES = 20000 };

static void send_all(void *arg)
{
	mqd_t q = open_queue(O_WRONLY);

	(void)arg;
	for (uint64_t i = 0; i < MESSAGES; i++)
		put_number(q, i, 0);
}

static uint64_t drain(mqd_t q, uint64_t next)
{
	union {
		char bytes[SMALL];
		uint64_t number;
	} buf;

	while (mq_receive(q, buf.bytes, sizeof(buf), NULL) != -1)
		CHECK_EQ(buf.number, next++);
	CHECK_EQ(errno, EAGAIN);
	return next;
}

static void receive_by_set(uint32_t events)
{
	mqd_t q = make_queue(4, SMALL);
	int ep = make_epoll(q, events);

	set_nonblock(q, true);
	pid_t pid = test_fork(send_all, NULL);
	for (uint64_t next = 0; next < MESSAGES; next = drain(q, next))
		look(ep, -1);
	test_join(pid);
	CHECK_OK(close(ep));
	drop_queue(q);
}

TEST(level_triggered_receiver_misses_no_wake_up)
{
	receive_by_set(EPOLLIN);
}

TEST(edge_triggered_receiver_that_drains_misses_no_wake_up)
{
	receive_by_set(EPOLLIN | EPOLLET);
}

static void receive_all(void *arg)
{
	mqd_t q = open_queue(O_RDONLY);

	(void)arg;
	for (uint64_t i = 0; i < MESSAGES; i++)
		CHECK_EQ(take_number(q), i);
}

TEST(edge_triggered_sender_that_fills_misses_no_wake_up)
{
	mqd_t q = make_queue(4, SMALL);
	int ep = make_epoll(q, EPOLLOUT | EPOLLET);
	uint64_t next = 0;

	set_nonblock(q, true);
	pid_t pid = test_fork(receive_all, NULL);
	while (next < MESSAGES) {
		look(ep, -1);
		while (next < MESSAGES && mq_send(q, (char *)&next, sizeof(next), 0) == 0)
			next++;
	}
	test_join(pid);
	CHECK_OK(close(ep));
	drop_queue(q);
}

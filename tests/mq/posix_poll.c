// SPDX-License-Identifier: MIT
//
// tests/mq/posix_poll.c - a queue in poll, select and their kin: readable means a message, writable means
// room, by level, however the queue came into that state and whoever looks. epoll's own features are in
// posix_epoll.c, busy queues in posix_poll_load.c.
#include "readiness.h"

TEST(level_follows_the_number_of_messages)
{
	mqd_t q = make_queue(2, SMALL);

	expect_ready(q, POLLOUT);
	put(q, "one", 0);
	expect_ready(q, POLLIN | POLLOUT);
	put(q, "two", 0);
	expect_ready(q, POLLIN);
	expect(q, "one", 0);
	expect_ready(q, POLLIN | POLLOUT);
	expect(q, "two", 0);
	expect_ready(q, POLLOUT);
	drop_queue(q);
}

TEST(queue_of_depth_one_is_either_readable_or_writable)
{
	mqd_t q = make_queue(1, SMALL);

	for (int i = 0; i < 20; i++) {
		expect_ready(q, POLLOUT);
		put(q, "x", 0);
		expect_ready(q, POLLIN);
		expect(q, "x", 0);
	}
	drop_queue(q);
}

TEST(level_stays_however_often_it_is_looked_at)
{
	mqd_t q = make_queue(2, SMALL);

	put(q, "x", 0);
	for (int i = 0; i < 100; i++)
		for (enum how how = 0; how < HOWS; how++)
			CHECK_EQ(ready(how, q, POLLIN, FOR_EVER), POLLIN);
	drop_queue(q);
}

TEST(first_look_shows_what_happened_before_anybody_looked)
{
	mqd_t q = make_queue(2, SMALL);
	mqd_t full = make_named(test_name_of("full"), 1, SMALL);

	put(q, "x", 0);
	put(full, "x", 0);
	CHECK_EQ(ready(BY_POLL, q, POLLIN | POLLOUT, 0), POLLIN | POLLOUT);
	CHECK_EQ(ready(BY_POLL, full, POLLIN | POLLOUT, 0), POLLIN);
	CHECK_OK(mq_close(full));
	CHECK_OK(mq_unlink(test_name_of("full")));
	drop_queue(q);
}

TEST(reopened_queue_shows_the_messages_it_kept)
{
	mqd_t q = make_queue(2, SMALL);

	put(q, "one", 0);
	put(q, "two", 0);
	expect_ready(q, POLLIN);
	CHECK_OK(mq_close(q));
	q = open_queue(O_RDWR);
	expect_ready(q, POLLIN);
	drop_queue(q);
}

TEST(every_descriptor_of_a_queue_shows_the_same)
{
	mqd_t q = make_queue(1, SMALL);
	mqd_t reader = open_queue(O_RDONLY);
	mqd_t writer = open_queue(O_WRONLY);

	for (int i = 0; i < 10; i++) {
		CHECK_EQ(ready(BY_POLL, reader, POLLIN, 0), 0);
		CHECK_EQ(ready(BY_POLL, writer, POLLOUT, 0), POLLOUT);
		put(writer, "x", 0);
		CHECK_EQ(ready(BY_POLL, reader, POLLIN, 0), POLLIN);
		CHECK_EQ(ready(BY_POLL, writer, POLLOUT, 0), 0);
		expect(reader, "x", 0);
	}
	CHECK_OK(mq_close(reader));
	CHECK_OK(mq_close(writer));
	drop_queue(q);
}

TEST(failed_calls_leave_the_level)
{
	mqd_t q = make_queue(1, SMALL);
	struct timespec past = in_ms(-1000);
	char buf[SMALL];

	set_nonblock(q, true);
	expect_ready(q, POLLOUT);
	CHECK_ERR(mq_receive(q, buf, sizeof(buf), NULL), EAGAIN);
	CHECK_ERR(mq_receive(q, buf, 1, NULL), EMSGSIZE);
	expect_ready(q, POLLOUT);
	set_nonblock(q, false);
	CHECK_ERR(mq_timedreceive(q, buf, sizeof(buf), NULL, &past), ETIMEDOUT);
	expect_ready(q, POLLOUT);
	put(q, "x", 0);
	CHECK_ERR(mq_timedsend(q, "x", 1, 0, &past), ETIMEDOUT);
	expect_ready(q, POLLIN);
	drop_queue(q);
}

TEST(handing_over_to_blocked_peers_leaves_the_level)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w = {.buf = "second"};

	expect_ready(q, POLLOUT);
	start_and_block(&w, work_receive, q);
	put(q, "x", 0);
	finish(&w);
	expect_ready(q, POLLOUT);
	put(q, "first", 0);
	strcpy(w.buf, "second");
	w.prio = 0;
	start_and_block(&w, work_send, q);
	expect(q, "first", 0);
	finish(&w);
	expect_ready(q, POLLIN);
	drop_queue(q);
}

/* ---- asleep in a call, woken by another process ---- */

struct sleeper {
	enum how how;
	short events;
};

static void sleep_until_ready(void *arg)
{
	struct sleeper *sleeper = arg;
	mqd_t q = open_queue(O_RDWR | O_NONBLOCK);

	CHECK_EQ(ready(sleeper->how, q, sleeper->events, FOR_EVER), sleeper->events);
	if (sleeper->events == POLLIN)
		expect(q, "hello", 1);
	else
		put(q, "answer", 2);
}

TEST(sleeper_is_woken_by_a_send)
{
	mqd_t q = make_queue(1, SMALL);

	for (enum how how = 0; how < HOWS; how++)
		for (int i = 0; i < 10; i++) {
			struct sleeper sleeper = {how, POLLIN};
			pid_t pid = test_fork(sleep_until_ready, &sleeper);
			test_wait_asleep(pid);
			put(q, "hello", 1);
			test_join(pid);
		}
	drop_queue(q);
}

TEST(sleeper_is_woken_by_a_receive)
{
	mqd_t q = make_queue(1, SMALL);

	for (enum how how = 0; how < HOWS; how++)
		for (int i = 0; i < 10; i++) {
			struct sleeper sleeper = {how, POLLOUT};
			put(q, "full", 0);
			pid_t pid = test_fork(sleep_until_ready, &sleeper);
			test_wait_asleep(pid);
			expect(q, "full", 0);
			test_join(pid);
			expect(q, "answer", 2);
		}
	drop_queue(q);
}

static void sleep_on_inherited(void *arg)
{
	CHECK_EQ(ready(BY_POLL, *(mqd_t *)arg, POLLIN, FOR_EVER), POLLIN);
}

TEST(sleeper_on_an_inherited_descriptor_is_woken)
{
	mqd_t q = make_queue(1, SMALL);
	pid_t pid = test_fork(sleep_on_inherited, &q);

	test_wait_asleep(pid);
	put(q, "hello", 1);
	test_join(pid);
	drop_queue(q);
}

TEST(one_message_shows_to_every_sleeper)
{
	enum { SLEEPERS = 4 };
	mqd_t q = make_queue(1, SMALL);
	pid_t pid[SLEEPERS];

	for (int i = 0; i < SLEEPERS; i++)
		pid[i] = test_fork(sleep_on_inherited, &q);
	for (int i = 0; i < SLEEPERS; i++)
		test_wait_asleep(pid[i]);
	put(q, "hello", 1);
	for (int i = 0; i < SLEEPERS; i++)
		test_join(pid[i]);
	drop_queue(q);
}

struct errand {
	mqd_t q;
	atomic_int step;
};

static void send_when_told(void *arg)
{
	struct errand *errand = arg;
	mqd_t q = open_queue(O_RDWR);

	put(q, "warm", 0);
	expect(q, "warm", 0);
	atomic_store(&errand->step, 1);
	wait_count(&errand->step, 2);
	put(q, "hello", 1);
}

static void *sleep_in_poll(void *arg)
{
	struct worker *w = arg;

	at_the_call(w);
	keep(w, ready(BY_POLL, w->q, POLLIN, FOR_EVER));
	return NULL;
}

// The sender has used the queue when nobody polled it, and must learn that somebody does now.
TEST(sender_that_was_there_before_the_first_poller_wakes_it)
{
	struct errand *errand = share(sizeof(*errand));
	mqd_t q = make_queue(1, SMALL);
	struct worker w;

	pid_t pid = test_fork(send_when_told, errand);
	wait_count(&errand->step, 1);
	start_and_block(&w, sleep_in_poll, q);
	atomic_store(&errand->step, 2);
	finish(&w);
	CHECK_EQ(w.result, POLLIN);
	test_join(pid);
	drop_queue(q);
}

static void *sleep_in_select(void *arg)
{
	struct worker *w = arg;

	at_the_call(w);
	keep(w, ready(BY_SELECT, w->q, POLLIN, FOR_EVER));
	return NULL;
}

TEST(threads_of_one_process_wake_each_other)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w[2];

	for (int i = 0; i < 20; i++) {
		start_and_block(&w[0], sleep_in_poll, q);
		start_and_block(&w[1], sleep_in_select, q);
		put(q, "x", 0);
		finish(&w[0]);
		finish(&w[1]);
		CHECK_EQ(w[0].result, POLLIN);
		CHECK_EQ(w[1].result, POLLIN);
		expect(q, "x", 0);
	}
	drop_queue(q);
}

TEST(poller_that_was_killed_harms_nobody)
{
	mqd_t q = make_queue(1, SMALL);

	for (int i = 0; i < 10; i++) {
		pid_t pid = test_fork(sleep_on_inherited, &q);
		test_wait_asleep(pid);
		test_kill(pid);
		put(q, "x", 0);
		expect_ready(q, POLLIN);
		expect(q, "x", 0);
		expect_ready(q, POLLOUT);
	}
	drop_queue(q);
}

/* ---- with other descriptors, timeouts, signals ---- */

TEST(queues_and_pipes_mix_in_one_poll)
{
	mqd_t q = make_queue(1, SMALL);
	mqd_t other = make_named(test_name_of("other"), 1, SMALL);
	int fds[2];

	CHECK_OK(pipe(fds));
	struct pollfd p[] = {{.fd = fds[0], .events = POLLIN},
	                     {.fd = q, .events = POLLIN},
	                     {.fd = -1, .events = POLLIN},
	                     {.fd = other, .events = POLLIN | POLLOUT}};
	put(q, "x", 0);
	CHECK_EQ(poll(p, 4, 0), 2);
	CHECK_EQ(p[0].revents, 0);
	CHECK_EQ(p[1].revents, POLLIN);
	CHECK_EQ(p[2].revents, 0);
	CHECK_EQ(p[3].revents, POLLOUT);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	put(other, "x", 0);
	CHECK_EQ(poll(p, 4, 0), 3);
	CHECK_EQ(p[0].revents, POLLIN);
	CHECK_EQ(p[3].revents, POLLIN);
	CHECK_OK(close(fds[0]));
	CHECK_OK(close(fds[1]));
	CHECK_OK(mq_close(other));
	CHECK_OK(mq_unlink(test_name_of("other")));
	drop_queue(q);
}

TEST(poll_without_an_event_times_out)
{
	mqd_t q = make_queue(1, SMALL);
	struct pollfd p = {.fd = q, .events = POLLIN};
	struct timespec deadline = on_clock(CLOCK_MONOTONIC, 50);

	CHECK_EQ(poll(&p, 1, 50), 0);
	CHECK(has_passed(CLOCK_MONOTONIC, &deadline));
	struct timeval tv = {.tv_usec = 20000};
	fd_set in;
	FD_ZERO(&in);
	FD_SET(q, &in);
	CHECK_EQ(select(q + 1, &in, NULL, NULL, &tv), 0);
	CHECK(!FD_ISSET(q, &in));
	drop_queue(q);
}

TEST(closed_descriptor_is_pollnval)
{
	mqd_t q = make_queue(1, SMALL);
	struct pollfd p = {.fd = q, .events = POLLIN};

	CHECK_EQ(poll(&p, 1, 0), 0);
	drop_queue(q);
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(p.revents, POLLNVAL);
}

static atomic_int handled;

static void count_signal(int sig)
{
	(void)sig;
	atomic_fetch_add(&handled, 1);
}

static void *poll_to_eintr(void *arg)
{
	struct worker *w = arg;
	struct pollfd p = {.fd = w->q, .events = POLLIN};

	at_the_call(w);
	keep(w, poll(&p, 1, -1));
	return NULL;
}

TEST(poll_is_interrupted_by_a_handler)
{
	mqd_t q = make_queue(1, SMALL);
	struct sigaction sa = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
	struct worker w;

	CHECK_OK(sigaction(SIGUSR1, &sa, NULL));
	start_and_block(&w, poll_to_eintr, q);
	CHECK_EQ(pthread_kill(w.thread, SIGUSR1), 0);
	finish(&w);
	CHECK_EQ(w.result, -1);
	CHECK_EQ(w.error, EINTR);
	drop_queue(q);
}

TEST(poll_on_a_queue_can_be_cancelled)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w;

	start_and_block(&w, sleep_in_poll, q);
	CHECK_EQ(pthread_cancel(w.thread), 0);
	CHECK(finish(&w) == PTHREAD_CANCELED);
	put(q, "after", 0);
	expect_ready(q, POLLIN);
	drop_queue(q);
}

TEST(unlinked_queue_can_still_be_polled)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w;

	CHECK_OK(mq_unlink(test_name()));
	expect_ready(q, POLLOUT);
	start_and_block(&w, sleep_in_poll, q);
	put(q, "x", 0);
	finish(&w);
	CHECK_EQ(w.result, POLLIN);
	CHECK_OK(mq_close(q));
}

// SPDX-License-Identifier: MIT
//
// tests/mq/posix_stream.c - many sender and receiver processes on one queue. The property is in stream.h.
#include "stream.h"

struct party {
	struct stream *stream;
	int number;
};

static void be_sender(void *arg)
{
	struct party *party = arg;

	send_share(party->stream, open_queue(O_WRONLY), party->number);
}

static void be_receiver(void *arg)
{
	struct party *party = arg;

	receive_share(party->stream, open_queue(O_RDONLY));
}

static void run(struct stream wanted)
{
	struct stream *s = share(sizeof(*s));
	pid_t pid[2 * PARTIES_MAX];
	int parties = 0;

	*s = wanted;
	mqd_t q = make_queue(s->depth, s->size);
	prepare(s);
	for (int i = 0; i < s->receivers; i++)
		pid[parties++] = test_fork(be_receiver, &(struct party){s, i});
	for (int i = 0; i < s->senders; i++)
		pid[parties++] = test_fork(be_sender, &(struct party){s, i});
	while (parties)
		test_join(pid[--parties]);
	check_totals(s, q);
	drop_queue(q);
}

TEST(one_sender_one_receiver)
{
	run((struct stream){
		.senders = 1, .receivers = 1, .each = 40000, .depth = DEEP, .size = 64, .prios = 1});
}

TEST(one_sender_one_receiver_at_depth_one)
{
	run((struct stream){
		.senders = 1, .receivers = 1, .each = 5000, .depth = 1, .size = 64, .prios = 1});
}

TEST(one_sender_many_receivers)
{
	run((struct stream){
		.senders = 1, .receivers = 6, .each = 20000, .depth = 10, .size = 64, .prios = 1});
}

TEST(many_senders_one_receiver)
{
	run((struct stream){
		.senders = 6, .receivers = 1, .each = 4000, .depth = 10, .size = 64, .prios = 1});
}

TEST(many_senders_many_receivers)
{
	run((struct stream){
		.senders = 4, .receivers = 4, .each = 6000, .depth = 10, .size = 64, .prios = 1});
}

TEST(many_senders_many_receivers_at_depth_one)
{
	run((struct stream){
		.senders = 4, .receivers = 4, .each = 1500, .depth = 1, .size = 64, .prios = 1});
}

TEST(many_senders_many_receivers_with_priorities)
{
	run((struct stream){
		.senders = 4, .receivers = 4, .each = 6000, .depth = DEEP, .size = 64, .prios = 8});
}

TEST(messages_larger_than_a_cache_line_are_never_torn)
{
	run((struct stream){
		.senders = 3, .receivers = 3, .each = 6000, .depth = 3, .size = 512, .prios = 3});
}

/* ---- replies: two queues, strictly alternating ---- */

static void echo(void *arg)
{
	const int rounds = *(int *)arg;
	mqd_t in = open_queue(O_RDONLY);
	mqd_t out = mq_open(test_name_of("out"), O_WRONLY);

	CHECK_OK(out);
	for (int i = 0; i < rounds; i++)
		put_number(out, take_number(in) + 1, 0);
}

TEST(question_and_answer_alternate)
{
	int rounds = 5000;
	mqd_t in = make_queue(1, SMALL);
	mqd_t out = make_named(test_name_of("out"), 1, SMALL);

	pid_t pid = test_fork(echo, &rounds);
	for (int i = 0; i < rounds; i++) {
		put_number(in, (uint64_t)i, 0);
		CHECK_EQ(take_number(out), i + 1);
	}
	test_join(pid);
	CHECK_OK(mq_close(out));
	CHECK_OK(mq_unlink(test_name_of("out")));
	drop_queue(in);
}

/* ---- killed parties in the middle of traffic ---- */

static void send_for_ever(void *arg)
{
	mqd_t q = open_queue(O_WRONLY);

	(void)arg;
	for (;;)
		CHECK_OK(mq_send(q, "noise", 5, 1));
}

static void receive_for_ever(void *arg)
{
	mqd_t q = open_queue(O_RDONLY);
	char buf[SMALL];

	(void)arg;
	for (;;) {
		CHECK_EQ(mq_receive(q, buf, sizeof(buf), NULL), 5);
		CHECK(memcmp(buf, "noise", 5) == 0);
	}
}

static void exchange(mqd_t q, int count)
{
	char buf[SMALL];

	for (int i = 0; i < count; i++) {
		CHECK_OK(mq_send(q, "noise", 5, 1));
		CHECK_EQ(mq_receive(q, buf, sizeof(buf), NULL), 5);
		CHECK(memcmp(buf, "noise", 5) == 0);
	}
}

TEST(killed_senders_and_receivers_leave_a_working_queue)
{
	mqd_t q = make_queue(3, SMALL);
	char buf[SMALL];

	for (int round = 0; round < 60; round++) {
		pid_t sender = test_fork(send_for_ever, NULL);
		pid_t receiver = test_fork(receive_for_ever, NULL);
		exchange(q, 50 + round * 7);
		test_kill(round % 2 ? sender : receiver);
		set_nonblock(q, true);
		// The survivor alone cannot block this process: it either fills or empties.
		while (mq_receive(q, buf, sizeof(buf), NULL) == -1 && mq_send(q, "noise", 5, 1) == -1)
			;
		set_nonblock(q, false);
		test_kill(round % 2 ? receiver : sender);
		set_nonblock(q, true);
		while (mq_receive(q, buf, sizeof(buf), NULL) != -1)
			;
		CHECK_EQ(errno, EAGAIN);
		for (int i = 0; i < 3; i++)
			CHECK_OK(mq_send(q, "noise", 5, 1));
		CHECK_ERR(mq_send(q, "noise", 5, 1), EAGAIN);
		for (int i = 0; i < 3; i++)
			CHECK_OK(mq_receive(q, buf, sizeof(buf), NULL));
		set_nonblock(q, false);
	}
	drop_queue(q);
}

// SPDX-License-Identifier: MIT
//
// tests/mq/thread_posix_stream.c - many sender and receiver threads on one descriptor or on one each. The
// property is in stream.h. Threads of one process see one mapping, so ThreadSanitizer sees every race.
#include "stream.h"

#ifdef __SANITIZE_THREAD__
enum { SLOWER = 10 };
#else
enum { SLOWER = 1 };
#endif

struct party {
	struct stream *stream;
	mqd_t q;
	int number;
	pthread_t thread;
};

static void *be_sender(void *arg)
{
	struct party *party = arg;

	send_share(party->stream, party->q, party->number);
	return NULL;
}

static void *be_receiver(void *arg)
{
	struct party *party = arg;

	receive_share(party->stream, party->q);
	return NULL;
}

static void start_parties(struct party *party, int count, void *(*fn)(void *))
{
	for (int i = 0; i < count; i++)
		CHECK_EQ(pthread_create(&party[i].thread, NULL, fn, &party[i]), 0);
}

static void join_parties(struct party *party, int count)
{
	for (int i = 0; i < count; i++)
		CHECK_EQ(pthread_join(party[i].thread, NULL), 0);
}

static void enlist(struct party *party, int count, struct stream *s, mqd_t q, bool own)
{
	for (int i = 0; i < count; i++)
		party[i] = (struct party){s, own ? open_queue(O_RDWR) : q, i, 0};
}

static void run(struct stream s, bool own)
{
	struct party sender[PARTIES_MAX];
	struct party receiver[PARTIES_MAX];
	mqd_t q = make_queue(s.depth, s.size);

	s.each /= SLOWER;
	prepare(&s);
	enlist(sender, s.senders, &s, q, own);
	enlist(receiver, s.receivers, &s, q, own);
	start_parties(receiver, s.receivers, be_receiver);
	start_parties(sender, s.senders, be_sender);
	join_parties(sender, s.senders);
	join_parties(receiver, s.receivers);
	check_totals(&s, q);
	for (int i = 0; own && i < s.senders; i++)
		CHECK_OK(mq_close(sender[i].q));
	for (int i = 0; own && i < s.receivers; i++)
		CHECK_OK(mq_close(receiver[i].q));
	drop_queue(q);
}

TEST(one_sender_one_receiver_on_one_descriptor)
{
	run(
		(struct stream){
			.senders = 1, .receivers = 1, .each = 40000, .depth = DEEP, .size = 64, .prios = 1},
		false);
}

TEST(one_sender_one_receiver_at_depth_one)
{
	run(
		(struct stream){
			.senders = 1, .receivers = 1, .each = 5000, .depth = 1, .size = 64, .prios = 1},
		false);
}

TEST(many_senders_one_receiver_on_one_descriptor)
{
	run(
		(struct stream){
			.senders = 6, .receivers = 1, .each = 4000, .depth = 10, .size = 64, .prios = 1},
		false);
}

TEST(one_sender_many_receivers_on_one_descriptor)
{
	run(
		(struct stream){
			.senders = 1, .receivers = 6, .each = 20000, .depth = 10, .size = 64, .prios = 1},
		false);
}

TEST(many_senders_many_receivers_on_one_descriptor)
{
	run(
		(struct stream){
			.senders = 4, .receivers = 4, .each = 6000, .depth = 10, .size = 64, .prios = 1},
		false);
}

TEST(many_senders_many_receivers_on_one_descriptor_each)
{
	run(
		(struct stream){
			.senders = 4, .receivers = 4, .each = 6000, .depth = 10, .size = 64, .prios = 1},
		true);
}

TEST(many_senders_many_receivers_with_priorities)
{
	run(
		(struct stream){
			.senders = 4, .receivers = 4, .each = 6000, .depth = DEEP, .size = 64, .prios = 8},
		false);
}

TEST(messages_larger_than_a_cache_line_are_never_torn)
{
	run(
		(struct stream){
			.senders = 3, .receivers = 3, .each = 6000, .depth = 3, .size = 512, .prios = 3},
		true);
}

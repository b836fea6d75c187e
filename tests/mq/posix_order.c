// SPDX-License-Identifier: MIT
//
// tests/mq/posix_order.c - which message comes next, and what a message may be: priorities, FIFO within
// a priority, lengths from zero to the largest, full and empty queues without blocking.
#include "queue.h"

/* ---- order ---- */

TEST(highest_priority_is_received_first)
{
	mqd_t q = make_queue(5, SMALL);

	put(q, "c", 3);
	put(q, "a", 1);
	put(q, "e", 5);
	put(q, "b", 2);
	put(q, "d", 4);
	expect(q, "e", 5);
	expect(q, "d", 4);
	expect(q, "c", 3);
	expect(q, "b", 2);
	expect(q, "a", 1);
	drop_queue(q);
}

TEST(oldest_is_received_first_within_a_priority)
{
	mqd_t q = make_queue(6, SMALL);

	put(q, "low 1", 0);
	put(q, "high 1", 7);
	put(q, "low 2", 0);
	put(q, "high 2", 7);
	expect(q, "high 1", 7);
	put(q, "high 3", 7);
	put(q, "low 3", 0);
	expect(q, "high 2", 7);
	expect(q, "high 3", 7);
	expect(q, "low 1", 0);
	expect(q, "low 2", 0);
	expect(q, "low 3", 0);
	drop_queue(q);
}

TEST(lowest_and_highest_priority_are_accepted)
{
	mqd_t q = make_queue(4, SMALL);

	CHECK_EQ(sysconf(_SC_MQ_PRIO_MAX), 32768);
	put(q, "lowest", 0);
	put(q, "highest", 32767);
	put(q, "next", 32766);
	put(q, "second lowest", 1);
	expect(q, "highest", 32767);
	expect(q, "next", 32766);
	expect(q, "second lowest", 1);
	expect(q, "lowest", 0);
	drop_queue(q);
}

TEST(priority_out_of_range_is_einval_and_sends_nothing)
{
	mqd_t q = make_queue(4, SMALL);

	CHECK_ERR(mq_send(q, "x", 1, 32768), EINVAL);
	CHECK_ERR(mq_send(q, "x", 1, 65536), EINVAL);
	CHECK_ERR(mq_send(q, "x", 1, 0x80000000U), EINVAL);
	CHECK_ERR(mq_send(q, "x", 1, ~0U), EINVAL);
	expect_empty(q);
	drop_queue(q);
}

TEST(priority_out_of_range_is_einval_when_full_too)
{
	mqd_t q = make_queue(1, SMALL);

	put(q, "x", 0);
	CHECK_ERR(mq_send(q, "x", 1, 32768), EINVAL);
	drop_queue(q);
}

// The order of a model: a linear scan for the first of the highest priority.
struct model {
	struct {
		uint64_t number;
		unsigned prio;
	} held[64];
	int count;
};

static uint64_t take_from_model(struct model *m, unsigned *prio)
{
	int best = 0;

	for (int i = 1; i < m->count; i++)
		if (m->held[i].prio > m->held[best].prio)
			best = i;
	uint64_t number = m->held[best].number;
	*prio = m->held[best].prio;
	m->count--;
	memmove(&m->held[best], &m->held[best + 1], (size_t)(m->count - best) * sizeof(m->held[0]));
	return number;
}

static unsigned random_prio(unsigned *seed)
{
	static const unsigned edges[] = {0, 1, 31, 32, 63, 64, 1023, 1024, 4095, 4096, 32766, 32767};
	const unsigned kinds = sizeof(edges) / sizeof(edges[0]);
	unsigned r = (unsigned)rand_r(seed);

	return r % 3 ? edges[r / 3 % kinds] : (unsigned)rand_r(seed) % 32768;
}

static void compare_with_model(mqd_t q, int depth, unsigned seed)
{
	struct model m = {.count = 0};

	for (uint64_t number = 0; number < 4000; number++) {
		bool send = m.count == 0 || (m.count < depth && rand_r(&seed) % 2);
		if (send) {
			unsigned prio = random_prio(&seed);
			put_number(q, number, prio);
			m.held[m.count].number = number;
			m.held[m.count++].prio = prio;
		} else {
			union {
				char bytes[SMALL];
				uint64_t number;
			} got;
			unsigned prio;
			unsigned want;
			uint64_t next = take_from_model(&m, &want);
			CHECK_EQ(mq_receive(q, got.bytes, sizeof(got), &prio), sizeof(next));
			CHECK_EQ(got.number, next);
			CHECK_EQ(prio, want);
		}
		CHECK_EQ(current(q), m.count);
	}
	while (m.count) {
		unsigned want;
		CHECK_EQ(take_number(q), take_from_model(&m, &want));
	}
}

TEST(order_of_any_mix_of_sends_and_receives_is_the_models)
{
	const int depths[] = {1, 2, 3, 8, DEEP};

	for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		mqd_t q = make_queue(depths[i], SMALL);
		compare_with_model(q, depths[i], 17 + (unsigned)i);
		drop_queue(q);
	}
}

TEST(priority_pointer_may_be_null)
{
	mqd_t q = make_queue(1, SMALL);
	char buf[SMALL];

	put(q, "abc", 9);
	CHECK_EQ(mq_receive(q, buf, sizeof(buf), NULL), 3);
	drop_queue(q);
}

/* ---- lengths ---- */

TEST(message_of_length_zero_is_a_message)
{
	mqd_t q = make_queue(3, SMALL);
	char buf[SMALL] = "untouched";
	unsigned prio = 1;

	CHECK_OK(mq_send(q, "", 0, 6));
	CHECK_OK(mq_send(q, "ignored", 0, 5));
	CHECK_EQ(current(q), 2);
	CHECK_EQ(mq_receive(q, buf, sizeof(buf), &prio), 0);
	CHECK_EQ(prio, 6);
	CHECK_EQ(mq_receive(q, buf, sizeof(buf), &prio), 0);
	CHECK_EQ(prio, 5);
	CHECK(strcmp(buf, "untouched") == 0);
	drop_queue(q);
}

static void fill(char *buf, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		buf[i] = (char)(seed + i * 7 + i / 251);
}

TEST(messages_of_every_length_come_back_whole)
{
	enum { SIZE = 300 };
	mqd_t q = make_queue(2, SIZE);
	char in[SIZE];
	char out[SIZE];

	for (size_t len = 0; len <= SIZE; len++) {
		fill(in, len, (unsigned)len);
		memset(out, 0x5a, sizeof(out));
		CHECK_OK(mq_send(q, in, len, 0));
		CHECK_EQ(mq_receive(q, out, sizeof(out), NULL), len);
		CHECK(memcmp(in, out, len) == 0);
		for (size_t i = len; i < SIZE; i++)
			CHECK(out[i] == 0x5a);
	}
	drop_queue(q);
}

TEST(queue_of_odd_message_size_keeps_neighbours_apart)
{
	const long sizes[] = {1, 2, 3, 7, 9, 63, 65, 1000, 4095, 4097};
	char in[4][4097];
	char out[4097];

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		size_t size = (size_t)sizes[s];
		mqd_t q = make_queue(4, sizes[s]);
		for (unsigned i = 0; i < 4; i++) {
			fill(in[i], size, i * 31);
			CHECK_OK(mq_send(q, in[i], size, i % 2));
		}
		for (unsigned i = 0; i < 4; i++) {
			const unsigned order[] = {1, 3, 0, 2};
			CHECK_EQ(mq_receive(q, out, sizeof(out), NULL), size);
			CHECK(memcmp(in[order[i]], out, size) == 0);
		}
		drop_queue(q);
	}
}

TEST(message_may_hold_any_bytes_and_be_unaligned)
{
	mqd_t q = make_queue(1, 256);
	char in[257];
	char out[300];

	for (int i = 0; i < 256; i++)
		in[i + 1] = (char)i;
	CHECK_OK(mq_send(q, in + 1, 256, 0));
	CHECK_EQ(mq_receive(q, out + 3, 256, NULL), 256);
	CHECK(memcmp(in + 1, out + 3, 256) == 0);
	drop_queue(q);
}

TEST(send_of_more_than_the_message_size_is_emsgsize)
{
	mqd_t q = make_queue(1, 32);
	char buf[64] = {0};

	CHECK_ERR(mq_send(q, buf, 33, 0), EMSGSIZE);
	CHECK_ERR(mq_send(q, buf, (size_t)-1, 0), EMSGSIZE);
	expect_empty(q);
	CHECK_OK(mq_send(q, buf, 32, 0));
	CHECK_ERR(mq_send(q, buf, 33, 0), EMSGSIZE);
	drop_queue(q);
}

TEST(receive_into_less_than_the_message_size_is_emsgsize_and_takes_nothing)
{
	mqd_t q = make_queue(1, 32);
	char buf[64];
	unsigned prio = 42;

	put(q, "x", 7);
	CHECK_ERR(mq_receive(q, buf, 31, &prio), EMSGSIZE);
	CHECK_ERR(mq_receive(q, buf, 0, &prio), EMSGSIZE);
	CHECK_EQ(prio, 42);
	CHECK_EQ(current(q), 1);
	CHECK_EQ(mq_receive(q, buf, 32, &prio), 1);
	CHECK_EQ(prio, 7);
	drop_queue(q);
}

TEST(receive_into_too_little_does_not_block_on_an_empty_queue)
{
	mqd_t q = make_queue(1, 32);
	char buf[64];

	CHECK_ERR(mq_receive(q, buf, 31, NULL), EMSGSIZE);
	drop_queue(q);
}

TEST(receive_buffer_may_be_larger_than_any_message)
{
	mqd_t q = make_queue(1, 8);
	char buf[1000];

	put(q, "eight by", 0);
	CHECK_EQ(mq_receive(q, buf, sizeof(buf), NULL), 8);
	drop_queue(q);
}

/* ---- full and empty ---- */

TEST(receive_from_an_empty_queue_with_nonblock_is_eagain)
{
	mqd_t q = make_queue(1, SMALL);
	char buf[SMALL] = "untouched";
	unsigned prio = 42;

	set_nonblock(q, true);
	CHECK_ERR(mq_receive(q, buf, sizeof(buf), &prio), EAGAIN);
	CHECK_EQ(prio, 42);
	CHECK(strcmp(buf, "untouched") == 0);
	drop_queue(q);
}

TEST(send_to_a_full_queue_with_nonblock_is_eagain_at_exactly_the_depth)
{
	const long depths[] = {1, 2, 3, 7, 10, DEEP};

	for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		mqd_t q = make_queue(depths[i], 8);
		set_nonblock(q, true);
		for (int round = 0; round < 3; round++) {
			char buf[8];
			for (long n = 0; n < depths[i]; n++)
				put_number(q, (uint64_t)n, (unsigned)n % 3);
			CHECK_ERR(mq_send(q, "x", 1, 9), EAGAIN);
			CHECK_EQ(current(q), depths[i]);
			for (long n = 0; n < depths[i]; n++)
				CHECK_OK(mq_receive(q, buf, sizeof(buf), NULL));
			CHECK_ERR(mq_receive(q, buf, sizeof(buf), NULL), EAGAIN);
		}
		drop_queue(q);
	}
}

TEST(room_is_reused_at_every_fill_level)
{
	enum { DEPTH = 5 };
	mqd_t q = make_queue(DEPTH, SMALL);
	uint64_t in = 0;
	uint64_t out = 0;

	set_nonblock(q, true);
	for (int level = 1; level <= DEPTH; level++)
		for (int i = 0; i < 1000; i++) {
			while (in - out < (uint64_t)level)
				put_number(q, in++, 0);
			CHECK_EQ(take_number(q), out++);
		}
	while (out < in)
		CHECK_EQ(take_number(q), out++);
	drop_queue(q);
}

// Send in one process, tell another by a pipe, receive there without blocking.
struct relay {
	int fds[2];
	int count;
};

static void receive_when_told(void *arg)
{
	struct relay *relay = arg;
	mqd_t q = open_queue(O_RDONLY | O_NONBLOCK);
	char byte;

	for (int i = 0; i < relay->count; i++) {
		CHECK_EQ(read(relay->fds[0], &byte, 1), 1);
		CHECK_EQ(take_number(q), i);
	}
}

TEST(send_that_has_returned_is_seen_by_every_later_receive)
{
	struct relay relay = {.count = 3000};
	mqd_t q = make_queue(10, SMALL);

	CHECK_OK(pipe(relay.fds));
	pid_t pid = test_fork(receive_when_told, &relay);
	for (int i = 0; i < relay.count; i++) {
		put_number(q, (uint64_t)i, 0);
		CHECK_EQ(write(relay.fds[1], "x", 1), 1);
	}
	test_join(pid);
	CHECK_OK(close(relay.fds[0]));
	CHECK_OK(close(relay.fds[1]));
	drop_queue(q);
}

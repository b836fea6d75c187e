// SPDX-License-Identifier: MIT
//
// tests/mq/stream.h - many senders and receivers on one queue, and the property that must hold: every
// message arrives once, whole, and in its sender's order within a priority as any one receiver sees it.
//
// Senders and receivers are threads (thread_posix_stream.c) or processes (posix_stream.c); a struct stream lies
// in memory that all of them share.
#ifndef TESTS_MQ_STREAM_H
#define TESTS_MQ_STREAM_H

#include "queue.h"

enum { PARTIES_MAX = 8, PRIOS_MAX = 8, MESSAGE_MAX = 512 };

struct stream {
	int senders, receivers, each; // each: messages of one sender
	int depth, size, prios;
	atomic_int unclaimed; // messages that no receiver has set out to receive
	atomic_int received[PARTIES_MAX];
	atomic_llong sum[PARTIES_MAX];
};

struct message {
	uint32_t sender;
	uint32_t number; // from 1
	char body[MESSAGE_MAX - 8];
};

static inline size_t body_length(const struct stream *s, uint32_t number)
{
	return number * 31 % ((size_t)s->size - 7);
}

static inline char body_byte(const struct message *m, size_t i)
{
	return (char)(m->sender * 17 + m->number + i);
}

static inline unsigned prio_of(const struct stream *s, uint32_t number)
{
	return number * 7 / 3 % (unsigned)s->prios;
}

static inline void send_share(struct stream *s, mqd_t q, int sender)
{
	struct message m = {.sender = (uint32_t)sender};

	for (m.number = 1; m.number <= (uint32_t)s->each; m.number++) {
		size_t len = body_length(s, m.number);
		for (size_t i = 0; i < len; i++)
			m.body[i] = body_byte(&m, i);
		CHECK_OK(mq_send(q, (char *)&m, 8 + len, prio_of(s, m.number)));
	}
}

static inline void check_message(const struct stream *s, const struct message *m, size_t len)
{
	CHECK(len >= 8);
	CHECK(m->sender < (uint32_t)s->senders);
	CHECK(m->number >= 1 && m->number <= (uint32_t)s->each);
	CHECK_EQ(len, 8 + body_length(s, m->number));
	for (size_t i = 0; i < len - 8; i++)
		CHECK(m->body[i] == body_byte(m, i));
}

static inline void receive_share(struct stream *s, mqd_t q)
{
	uint32_t last[PARTIES_MAX][PRIOS_MAX] = {{0}};

	while (atomic_fetch_sub(&s->unclaimed, 1) > 0) {
		struct message m;
		unsigned prio;
		ssize_t len = mq_receive(q, (char *)&m, sizeof(m), &prio);
		CHECK_OK(len);
		check_message(s, &m, (size_t)len);
		CHECK_EQ(prio, prio_of(s, m.number));
		CHECK(m.number > last[m.sender][prio]);
		last[m.sender][prio] = m.number;
		atomic_fetch_add(&s->received[m.sender], 1);
		atomic_fetch_add(&s->sum[m.sender], m.number);
	}
}

static inline void prepare(struct stream *s)
{
	atomic_store(&s->unclaimed, s->senders * s->each);
	for (int i = 0; i < PARTIES_MAX; i++) {
		atomic_store(&s->received[i], 0);
		atomic_store(&s->sum[i], 0);
	}
}

static inline void check_totals(struct stream *s, mqd_t q)
{
	for (int i = 0; i < s->senders; i++) {
		CHECK_EQ(s->received[i], s->each);
		CHECK_EQ(s->sum[i], (long long)s->each * (s->each + 1) / 2);
	}
	expect_empty(q);
}

#endif

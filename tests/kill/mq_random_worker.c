// SPDX-License-Identifier: MIT
//
// tests/kill/mq_random_worker.c - a sender's and a receiver's life, which may end anywhere. See
// mq_random.c.
//
// What is written to the books brackets the call, so that after a death they say what is known for
// certain: before `begun` it was not sent, after `returned` it was; outside `calling` nothing is missing.
#include "mq_random.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

enum { PRIORITIES = 4 };

struct message {
	uint64_t number;
	uint32_t sender;
	uint32_t length;
	uint64_t check;
	unsigned char fill[SIZE - 24];
};

static uint64_t check_of(const struct message *m)
{
	uint64_t h = UINT64_C(1469598103934665603) ^ m->number ^ (uint64_t)m->sender << 48;

	for (size_t i = 0; i < m->length - offsetof(struct message, fill); i++)
		h = (h ^ m->fill[i]) * UINT64_C(1099511628211);
	return h;
}

static size_t compose(struct message *m, uint32_t sender, uint64_t number)
{
	m->number = number;
	m->sender = sender;
	m->length = (uint32_t)(offsetof(struct message, fill) + number % sizeof(m->fill));
	memset(m->fill, (int)(number * 7 + sender), sizeof(m->fill));
	m->check = check_of(m);
	return m->length;
}

static unsigned priority_of(uint64_t number)
{
	return (unsigned)(number * 2654435761U >> 7) % PRIORITIES;
}

static void examine(const struct message *m, size_t length, unsigned prio)
{
	if (length < offsetof(struct message, fill) || length > sizeof(*m) || m->length != length)
		broken("a message of %zu bytes, which should have %u", length, m->length);
	if (m->sender >= SENDERS || m->number == 0 || m->number >= NUMBERS)
		broken("message %lu of sender %u", (unsigned long)m->number, m->sender);
	if (m->check != check_of(m))
		broken("message %lu of sender %u is torn", (unsigned long)m->number, m->sender);
	if (prio != priority_of(m->number))
		broken("message %lu of sender %u has priority %u", (unsigned long)m->number, m->sender,
		       prio);
}

static void tick_off(const struct message *m)
{
	unsigned char *byte = &books->ticked[m->sender][m->number / 8];
	const unsigned char bit = (unsigned char)(1U << m->number % 8);

	if (__atomic_fetch_or(byte, bit, __ATOMIC_SEQ_CST) & bit)
		broken("message %lu of sender %u is delivered twice", (unsigned long)m->number, m->sender);
}

// One sender's messages of one priority come in order. Not so with loans: what a dead borrower had
// comes back late.
static void expect_order(const struct message *m)
{
	static uint64_t last[SENDERS][PRIORITIES];
	uint64_t *l = &last[m->sender][priority_of(m->number)];

	if (!phase->loans && m->number <= *l)
		broken("message %lu of sender %u after %lu", (unsigned long)m->number, m->sender,
		       (unsigned long)*l);
	*l = m->number;
}

static void send_copy(uint32_t sender, uint64_t number)
{
	struct message m;
	const size_t length = compose(&m, sender, number);

	if (ph_mq_send(q, (const char *)&m, length, priority_of(number)) == -1)
		broken("send: %s", strerror(errno));
}

static void send_in_place(uint32_t sender, uint64_t number)
{
	struct ph_mq_loan loan;

	if (ph_mq_reserve(q, &loan) == -1)
		broken("reserve: %s", strerror(errno));
	const size_t length = compose(loan.data, sender, number);
	if (ph_mq_commit(q, &loan, length, priority_of(number)) == -1)
		broken("commit: %s", strerror(errno));
}

void send_on(int worker)
{
	struct account *a = &books->account[worker];

	while (!__atomic_load_n(&books->stop, __ATOMIC_RELAXED) && a->begun < NUMBERS - 2) {
		const uint64_t number = a->begun + 1;
		__atomic_store_n(&a->begun, number, __ATOMIC_SEQ_CST);
		if (phase->loans)
			send_in_place((uint32_t)worker, number);
		else
			send_copy((uint32_t)worker, number);
		__atomic_store_n(&a->returned, number, __ATOMIC_SEQ_CST);
	}
}

static bool receive_copy(struct message *m)
{
	unsigned prio = 0;
	const struct timespec passed = {.tv_sec = 1};
	const ssize_t n = phase->polls ? ph_mq_timedreceive(q, (char *)m, sizeof(*m), &prio, &passed)
	                               : ph_mq_receive(q, (char *)m, sizeof(*m), &prio);

	if (n == -1 && phase->polls && errno == ETIMEDOUT)
		return false;
	if (n == -1)
		broken("receive: %s", strerror(errno));
	examine(m, (size_t)n, prio);
	return true;
}

static void receive_in_place(struct message *m)
{
	struct ph_mq_loan loan;

	if (ph_mq_borrow(q, &loan) == -1)
		broken("borrow: %s", strerror(errno));
	memcpy(m, loan.data, loan.size < sizeof(*m) ? loan.size : sizeof(*m));
	examine(m, loan.size, loan.prio);
	if (ph_mq_release(q, &loan) == -1)
		broken("release: %s", strerror(errno));
}

static void poll_for_message(void)
{
	struct pollfd p = {.fd = q, .events = POLLIN};

	if (poll(&p, 1, -1) == -1 && errno != EINTR)
		broken("poll: %s", strerror(errno));
}

void receive_on(int worker)
{
	struct account *a = &books->account[worker];
	struct message m;

	for (;;) {
		bool got = true;
		if (phase->polls)
			poll_for_message();
		__atomic_store_n(&a->calling, 1, __ATOMIC_SEQ_CST);
		if (phase->loans)
			receive_in_place(&m);
		else
			got = receive_copy(&m);
		if (got) {
			expect_order(&m);
			tick_off(&m);
		}
		__atomic_store_n(&a->calling, 0, __ATOMIC_SEQ_CST);
	}
}

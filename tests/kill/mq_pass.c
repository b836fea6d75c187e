// SPDX-License-Identifier: MIT
//
// tests/kill/mq_pass.c - sends and receives that do not sleep, and those who sleep and are to be woken
// by them. See mq_queue.h.
#include "mq_scenarios.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>

static pid_t party;
static pid_t second;

static void make_empty(void)
{
	make_queue(4, SMALL);
}

static void make_some(void)
{
	make_queue(8, SMALL);
	put_all(1, (const int[]){1, 5, 3, 5, -1});
}

static void make_large(void)
{
	make_queue(4, LARGE);
	put_all(1, (const int[]){0, 0, -1});
}

// Priorities from several blocks of the index, and lists of several.
static void make_wide(void)
{
	make_queue(16, SMALL);
	put_all(1, (const int[]){32767, 3, 3, 128, 20000, 20000, 0, 127, 3, 32767, -1});
	KILL_CHECK(take(NULL) == 1, "the best message is not the first");
	put(11, 500);
}

static void send_one(void)
{
	victim_send(3);
}

static void receive_one(void)
{
	victim_receive();
}

static void peek_one(void)
{
	ph_mq_peek(q, victim_message, q_size, NULL);
}

static int sent_to_empty(void)
{
	const bool sent = expect_only((const uint32_t[]){0}, VICTIMS);

	expect_capacity();
	return sent;
}

static int sent_among_some(void)
{
	const bool sent = expect_only((const uint32_t[]){1, 2, 3, 4, 0}, VICTIMS);

	expect_capacity();
	return sent;
}

static int sent_large(void)
{
	const bool sent = expect_only((const uint32_t[]){1, 2, 0}, VICTIMS);

	expect_capacity();
	return sent;
}

// The best message is gone with the victim, or still there; the others are.
static int received_some(void)
{
	const bool there = expect_only((const uint32_t[]){1, 3, 4, 0}, 2);

	expect_capacity();
	return !there;
}

static int received_large(void)
{
	const bool there = expect_only((const uint32_t[]){2, 0}, 1);

	expect_capacity();
	return !there;
}

static int received_wide(void)
{
	const bool there = expect_only((const uint32_t[]){2, 3, 4, 5, 6, 7, 8, 9, 11, 0}, 10);

	expect_capacity();
	return !there;
}

static int all_there(void)
{
	expect_only((const uint32_t[]){1, 2, 3, 4, 0}, 0);
	expect_capacity();
	return 0;
}

// ---- a receiver sleeps, the victim sends ----

static void receive_and_tell(void)
{
	uint32_t *got = kill_shared();
	const uint32_t id = receive_sleeping();

	__atomic_store_n(&got[__atomic_fetch_add(&got[0], 1, __ATOMIC_SEQ_CST) + 1], id,
	                 __ATOMIC_SEQ_CST);
}

static void make_with_receiver(void)
{
	make_empty();
	party = kill_party(receive_and_tell);
	kill_await_asleep(party);
}

static void make_with_two_receivers(void)
{
	make_with_receiver();
	second = kill_party(receive_and_tell);
	kill_await_asleep(second);
}

static void expect_got(unsigned nth, uint32_t id)
{
	const uint32_t *got = kill_shared();

	KILL_CHECK(got[nth] == id, "receiver %u got message %u instead of %u", nth, got[nth], id);
}

static int receiver_was_woken(void)
{
	const bool sent = party_got_through(party, 0, "the sleeping receiver");

	if (!sent) {
		put(SURVIVORS, 0);
		kill_join(party, "the receiver of the next message");
	}
	expect_got(1, sent ? VICTIMS : SURVIVORS);
	expect_only((const uint32_t[]){0}, 0);
	expect_capacity();
	return sent;
}

// Of two sleepers one gets the victim's message; the survivor's messages are for the rest.
static int one_of_two_was_woken(void)
{
	const uint32_t *got = kill_shared();
	const pid_t both[2] = {party, second};
	const size_t sent = parties_through(both, 2, 0, "one of two sleeping receivers");

	kill_note("sending to the other sleeping receiver");
	put(SURVIVORS, 0);
	if (!sent)
		put(SURVIVORS + 1, 0);
	kill_join(party, "the first receiver");
	kill_join(second, "the second receiver");
	KILL_CHECK(got[0] == 2, "%u of two receivers got a message", got[0]);
	expect_only((const uint32_t[]){0}, 0);
	expect_capacity();
	return (int)sent;
}

// ---- two receivers sleep, and run late when they are woken: two wake-ups may hit one of them ----
//
// They share the processor of the survivor and the victim, who go first: for certain where real-time
// scheduling is allowed, else as a rule.

static int slow_cpu;
static char second_message[SMALL];

static void schedule(int policy, int priority)
{
	const struct sched_param param = {.sched_priority = priority};

	sched_setscheduler(0, policy, &param);
}

static void receive_slowly(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(slow_cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	schedule(SCHED_IDLE, 0);
	receive_and_tell();
}

static void make_with_slow_receivers(void)
{
	make_empty();
	slow_cpu = sched_getcpu();
	fill_message(second_message, SMALL, VICTIMS + 1);
	party = kill_party(receive_slowly);
	kill_await_asleep(party);
	second = kill_party(receive_slowly);
	kill_await_asleep(second);
	schedule(SCHED_FIFO, 1);
}

static void send_two(void)
{
	victim_send(3);
	ph_mq_send(q, second_message, q_size, 3);
}

// As many receivers have a message as were sent; who sleeps sleeps rightly.
static int both_were_woken(void)
{
	const uint32_t *got = kill_shared();
	const pid_t both[2] = {party, second};

	schedule(SCHED_OTHER, 0);
	const size_t sent = parties_through(both, 2, 0, "one of two slow receivers");

	kill_note("sending to the other slow receivers");
	for (size_t i = sent; i < 2; i++)
		put(SURVIVORS + (uint32_t)i, 0);
	kill_join(party, "the first receiver");
	kill_join(second, "the second receiver");
	KILL_CHECK(got[0] == 2, "%u of two receivers got a message", got[0]);
	expect_messages((const uint32_t[]){0}, NULL);
	expect_capacity();
	return (int)sent;
}

// ---- a sender sleeps, the victim receives ----

static void send_as_party(void)
{
	send_sleeping(SURVIVORS, 0);
}

static void make_full_with_sender(void)
{
	make_queue(2, SMALL);
	put_all(1, (const int[]){1, 0, -1});
	party = kill_party(send_as_party);
	kill_await_asleep(party);
}

static int sender_was_woken(void)
{
	const bool received = party_got_through(party, 2, "the sleeping sender");

	if (!received) {
		KILL_CHECK(take(NULL) == 1, "the best message is not the first");
		kill_join(party, "the sender that was given room");
	}
	expect_only((const uint32_t[]){2, SURVIVORS, 0}, 0);
	expect_capacity();
	return received;
}

// ---- somebody polls ----

static void poll_for(short events)
{
	const mqd_t own = ph_mq_open(NAME, O_RDWR);

	KILL_CHECK(own != -1, "a poller cannot open: %s", strerror(errno));
	KILL_CHECK(ph_mq_setpoll(own, 1) == 0, "setpoll fails: %s", strerror(errno));
	struct pollfd p = {.fd = own, .events = events};
	int n;
	do
		n = poll(&p, 1, -1);
	while (n == -1 && errno == EINTR);
	KILL_CHECK(n == 1 && p.revents == events, "poll gives %d, events %#x", n, p.revents);
}

static void poll_for_message(void)
{
	poll_for(POLLIN);
}

static void poll_for_room(void)
{
	poll_for(POLLOUT);
}

static void expect_poll(short events)
{
	struct pollfd p = {.fd = q, .events = POLLIN | POLLOUT};

	KILL_CHECK(poll(&p, 1, 0) >= 0, "poll fails: %s", strerror(errno));
	KILL_CHECK(p.revents == events, "poll says %#x instead of %#x with %ld messages", p.revents,
	           events, count_messages());
}

// The queue is empty. Readiness is exact again, so nobody would look in vain for ever.
static void expect_exact_poll(void)
{
	kill_note("polling");
	KILL_CHECK(ph_mq_setpoll(q, 1) == 0, "setpoll fails: %s", strerror(errno));
	expect_poll(POLLOUT);
	put(1, 0);
	expect_poll(POLLIN | POLLOUT);
	for (uint32_t id = 2; id <= q_depth; id++)
		put(id, 0);
	expect_poll(POLLIN);
	while (take(NULL))
		continue;
	expect_poll(POLLOUT);
}

static void make_with_poller(void)
{
	make_empty();
	party = kill_party(poll_for_message);
	kill_await_asleep(party);
}

static void make_full_with_poller(void)
{
	make_queue(2, SMALL);
	put_all(1, (const int[]){1, 0, -1});
	party = kill_party(poll_for_room);
	kill_await_asleep(party);
}

// A poller may look in vain, but not sleep while a message is there.
static int poller_saw_message(void)
{
	const bool woken = party_got_through(party, 0, "the poller");
	const long there = count_messages();

	if (!woken) {
		put(SURVIVORS, 0);
		kill_join(party, "the poller of the next message");
		expect_only((const uint32_t[]){SURVIVORS, 0}, 0);
	} else {
		expect_only((const uint32_t[]){0}, VICTIMS);
	}
	expect_capacity();
	expect_exact_poll();
	return there != 0;
}

static int poller_saw_room(void)
{
	const bool woken = party_got_through(party, 2, "the poller");
	const long there = count_messages();

	if (!woken) {
		KILL_CHECK(take(NULL) == 1, "the best message is not the first");
		kill_join(party, "the poller of the next room");
	}
	expect_only((const uint32_t[]){2, 0}, 1);
	expect_capacity();
	expect_exact_poll();
	return there < 2;
}

// The switch to one-lock mode itself, and what a poller sees after it was cut short.
static void become_pollable(void)
{
	ph_mq_setpoll(q, 1);
}

static int polls_well(void)
{
	party = kill_party(poll_for_message);
	kill_join(party, "a poller while messages are there");
	expect_only((const uint32_t[]){1, 2, 3, 4, 0}, 0);
	party = kill_party(poll_for_message);
	kill_await_asleep(party);
	put(SURVIVORS, 0);
	kill_join(party, "a poller of an empty queue");
	expect_only((const uint32_t[]){SURVIVORS, 0}, 0);
	expect_capacity();
	expect_exact_poll();
	return 0;
}

static const struct kill_scenario scenarios[] = {
	{.name = "send",
     .prepare = make_empty,
     .operation = send_one,
     .after = sent_to_empty,
     .last = 1},
	{.name = "send_among_priorities",
     .prepare = make_some,
     .operation = send_one,
     .after = sent_among_some,
     .last = 1},
	{.name = "send_large",
     .prepare = make_large,
     .operation = send_one,
     .after = sent_large,
     .last = 1},
	{.name = "send_to_sleeping_receiver",
     .prepare = make_with_receiver,
     .operation = send_one,
     .after = receiver_was_woken,
     .last = 1},
	{.name = "send_to_two_sleeping_receivers",
     .prepare = make_with_two_receivers,
     .operation = send_one,
     .after = one_of_two_was_woken,
     .last = 1},
	{.name = "two_sends_to_slow_receivers",
     .prepare = make_with_slow_receivers,
     .operation = send_two,
     .after = both_were_woken,
     .first = KILL_EITHER},
	{.name = "send_to_poller",
     .prepare = make_with_poller,
     .operation = send_one,
     .after = poller_saw_message,
     .last = 1},
	{.name = "receive",
     .prepare = make_some,
     .operation = receive_one,
     .after = received_some,
     .last = 1},
	{.name = "receive_large",
     .prepare = make_large,
     .operation = receive_one,
     .after = received_large,
     .last = 1},
	{.name = "receive_from_wide_index",
     .prepare = make_wide,
     .operation = receive_one,
     .after = received_wide,
     .last = 1},
	{.name = "receive_frees_sleeping_sender",
     .prepare = make_full_with_sender,
     .operation = receive_one,
     .after = sender_was_woken,
     .last = 1},
	{.name = "receive_frees_poller",
     .prepare = make_full_with_poller,
     .operation = receive_one,
     .after = poller_saw_room,
     .last = 1},
	{.name = "peek", .prepare = make_some, .operation = peek_one, .after = all_there},
	{.name = "setpoll", .prepare = make_some, .operation = become_pollable, .after = polls_well},
};

const struct scenario_table mq_pass = SCENARIO_TABLE(scenarios);

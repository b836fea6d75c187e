// SPDX-License-Identifier: MIT
//
// tests/kill/mq_crowd.c - the lock: somebody waits for it when the victim dies in it, or somebody died
// in it before, so that the victim is killed in the middle of the repair. See mq_queue.h.
#include "mq_scenarios.h"

#include <errno.h>
#include <string.h>

enum { EARLIER = 99 }; // the id of the predecessor's message

static pid_t party;
static char earlier_message[LARGE];

static void make(size_t depth, size_t size)
{
	make_queue(depth, size);
	fill_message(earlier_message, size, EARLIER);
}

static void make_some(void)
{
	make(16, SMALL);
	put_all(1, (const int[]){7, 32767, 3, 128, 7, 0, -1});
	KILL_CHECK(take(NULL) == 2, "the best message is not the first");
}

static void make_polled(void)
{
	make_some();
	KILL_CHECK(ph_mq_setpoll(q, 1) == 0, "setpoll fails: %s", strerror(errno));
}

static void make_large(void)
{
	make(8, LARGE);
	put_all(1, (const int[]){7, 0, 3, 3, 7, 0, -1});
}

static void receive_as_party(void)
{
	*(uint32_t *)kill_shared() = receive_sleeping();
}

static void make_with_receiver(void)
{
	make(8, SMALL);
	party = kill_party(receive_as_party);
	kill_await_asleep(party);
}

static void send_one(void)
{
	victim_send(4);
}

static void send_earlier(void)
{
	ph_mq_send(q, earlier_message, q_size, 4);
}

static void send_as_party(void)
{
	send_sleeping(SURVIVORS, 2);
}

static void receive_one(void)
{
	victim_receive();
}

static void reserve_and_commit(const char *message)
{
	struct ph_mq_loan loan;

	if (ph_mq_reserve(q, &loan) == 0) {
		memcpy(loan.data, message, q_size);
		ph_mq_commit(q, &loan, q_size, 4);
	}
}

static void commit_one(void)
{
	reserve_and_commit(victim_message);
}

static void commit_earlier(void)
{
	reserve_and_commit(earlier_message);
}

// The messages that were there: the best of them may be gone with those who received.
static const uint32_t some[] = {1, 3, 4, 5, 6, 0};

static int sent_beside_sender(void)
{
	const uint32_t must[] = {1, 3, 4, 5, 6, kill_contender() ? SURVIVORS : 0, 0};

	kill_join(kill_contender(), "the sender who waits for the lock");
	const bool sent = expect_messages(must, (const uint32_t[]){VICTIMS, SURVIVORS, 0});
	expect_capacity();
	return sent;
}

static int sent_beside_receiver(void)
{
	const uint32_t *got = kill_shared();

	kill_join(kill_contender(), "the receiver who waits for the lock");
	KILL_CHECK(!kill_contender() || *got == 4, "the receiver got %u instead of 4", *got);
	const uint32_t must[] = {1, 3, 5, 6, *got == 4 ? 0 : 4, 0};
	const bool sent = expect_only(must, VICTIMS);
	expect_capacity();
	return sent;
}

// Victim and contender may take one each, in this order the messages 4 (priority 128) and 1 (7).
static int received_beside_receiver(void)
{
	kill_join(kill_contender(), "the receiver who waits for the lock");
	const uint32_t other = *(const uint32_t *)kill_shared();
	KILL_CHECK(!kill_contender() || other == 4 || other == 1, "the receiver got %u", other);
	const uint32_t must[] = {3, 5, 6, other == 4 ? 1 : 0, 0};
	const uint32_t may[] = {other == 4 ? 1 : 4, other ? 0 : 1, 0};
	const bool there = expect_messages(must, may);
	expect_capacity();
	return other == 1 || (other == 0 && !there);
}

static int received_beside_sender(void)
{
	kill_join(kill_contender(), "the sender who waits for the lock");
	const uint32_t must[] = {1, 3, 5, 6, kill_contender() ? SURVIVORS : 0, 0};
	const bool there = expect_messages(must, (const uint32_t[]){4, SURVIVORS, 0});
	expect_capacity();
	return !there;
}

static int sent_after_sender(void)
{
	const bool sent = expect_messages(some, (const uint32_t[]){VICTIMS, EARLIER, 0});

	expect_capacity();
	return sent;
}

static int sent_large_after_sender(void)
{
	const bool sent = expect_messages((const uint32_t[]){1, 2, 3, 4, 5, 6, 0},
	                                  (const uint32_t[]){VICTIMS, EARLIER, 0});

	expect_capacity();
	return sent;
}

// Predecessor and victim were to receive; whether each did is checked by the messages that are left:
// only the best two may be gone, and not the second without the first.
static int received_after_receiver(void)
{
	const bool second_there =
		expect_messages((const uint32_t[]){3, 5, 6, 0}, (const uint32_t[]){1, 4, EARLIER, 0});

	expect_capacity();
	return !second_there;
}

static int received_large_after_receiver(void)
{
	expect_messages((const uint32_t[]){2, 3, 4, 6, 0}, (const uint32_t[]){1, 5, 0});
	expect_capacity();
	return 0;
}

static int sleeper_got_one(void)
{
	const bool sent = party_got_through(party, 0, "the sleeping receiver");

	if (!sent) {
		put(SURVIVORS, 0);
		kill_join(party, "the receiver of the next message");
	}
	expect_messages((const uint32_t[]){0}, (const uint32_t[]){VICTIMS, EARLIER, 0});
	expect_capacity();
	return sent;
}

static const struct kill_scenario scenarios[] = {
	{.name = "send_while_sender_waits_for_lock",
     .prepare = make_some,
     .operation = send_one,
     .contend = send_as_party,
     .after = sent_beside_sender,
     .last = 1},
	{.name = "commit_while_sender_waits_for_lock",
     .prepare = make_some,
     .operation = commit_one,
     .contend = send_as_party,
     .after = sent_beside_sender,
     .last = 1},
	{.name = "receive_while_receiver_waits_for_lock",
     .prepare = make_some,
     .operation = receive_one,
     .contend = receive_as_party,
     .after = received_beside_receiver,
     .last = 1},
	{.name = "polled_send_while_receiver_waits_for_lock",
     .prepare = make_polled,
     .operation = send_one,
     .contend = receive_as_party,
     .after = sent_beside_receiver,
     .last = 1},
	{.name = "polled_receive_while_sender_waits_for_lock",
     .prepare = make_polled,
     .operation = receive_one,
     .contend = send_as_party,
     .after = received_beside_sender,
     .last = 1},
	{.name = "send_after_dead_sender",
     .prepare = make_some,
     .predecessor = send_earlier,
     .operation = send_one,
     .after = sent_after_sender,
     .last = 1},
	{.name = "send_large_after_dead_sender",
     .prepare = make_large,
     .predecessor = send_earlier,
     .operation = send_one,
     .after = sent_large_after_sender,
     .last = 1},
	{.name = "send_after_dead_committer",
     .prepare = make_some,
     .predecessor = commit_earlier,
     .operation = send_one,
     .after = sent_after_sender,
     .last = 1},
	{.name = "commit_after_dead_committer",
     .prepare = make_some,
     .predecessor = commit_earlier,
     .operation = commit_one,
     .after = sent_after_sender,
     .last = 1},
	{.name = "receive_after_dead_receiver",
     .prepare = make_some,
     .predecessor = receive_one,
     .operation = receive_one,
     .after = received_after_receiver,
     .first = KILL_EITHER},
	{.name = "receive_large_after_dead_receiver",
     .prepare = make_large,
     .predecessor = receive_one,
     .operation = receive_one,
     .after = received_large_after_receiver},
	{.name = "polled_receive_after_dead_sender",
     .prepare = make_polled,
     .predecessor = send_earlier,
     .operation = receive_one,
     .after = received_after_receiver,
     .first = KILL_EITHER},
	{.name = "send_after_dead_sender_to_sleeping_receiver",
     .prepare = make_with_receiver,
     .predecessor = send_earlier,
     .operation = send_one,
     .after = sleeper_got_one,
     .first = KILL_EITHER},
};

const struct scenario_table mq_crowd = SCENARIO_TABLE(scenarios);

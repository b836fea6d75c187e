// SPDX-License-Identifier: MIT
//
// tests/kill/mq_sleep.c - the victim itself sleeps on the full or empty queue: it is killed on the way
// to sleep, asleep, right after it was woken, and on the way back. See mq_queue.h.
//
// A wake-up that was given to a victim must not die with it: where a second sleeper comes after the
// victim, he has to get what the victim did not take.
#include "mq_scenarios.h"

#include <errno.h>
#include <string.h>
#include <time.h>

enum { SHORT_MS = 12, SHORT_STEPPED_MS = 300, LONG_S = 3600 };

static pid_t party; // 0 until the wake hook starts it

static void make_full(void)
{
	make_queue(3, SMALL);
	put_all(1, (const int[]){1, 5, 1, -1});
}

static void make_empty(void)
{
	make_queue(3, SMALL);
}

static struct timespec in_ms(clockid_t clock, long ms)
{
	struct timespec t;

	clock_gettime(clock, &t);
	t.tv_nsec += ms % 1000 * 1000000;
	t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

// Long enough to fall asleep before the time is up.
static long short_ms(void)
{
	return kill_is_stepped() ? SHORT_STEPPED_MS : SHORT_MS;
}

static void send_one(void)
{
	victim_send(3);
}

static void receive_one(void)
{
	victim_receive();
}

static void send_until(clockid_t clock, long ms)
{
	const struct timespec until = in_ms(clock, ms);

	ph_mq_clocksend(q, victim_message, q_size, 3, clock, &until);
}

static void receive_until(clockid_t clock, long ms)
{
	const struct timespec until = in_ms(clock, ms);

	ph_mq_clockreceive(q, victim_message, q_size, NULL, clock, &until);
}

static void send_for_long(void)
{
	send_until(CLOCK_REALTIME, LONG_S * 1000L);
}

static void send_in_vain(void)
{
	send_until(CLOCK_REALTIME, short_ms());
}

static void receive_for_long(void)
{
	receive_until(CLOCK_MONOTONIC, LONG_S * 1000L);
}

static void receive_in_vain(void)
{
	receive_until(CLOCK_MONOTONIC, short_ms());
}

// ---- the victim is alone ----

static void give_room(unsigned nth)
{
	if (nth == 0)
		KILL_CHECK(take(NULL) == 2, "the best message is not the first");
}

static void give_message(unsigned nth)
{
	if (nth == 0)
		put(SURVIVORS, 0);
}

static int sent_when_there_was_room(void)
{
	const bool sent = expect_only((const uint32_t[]){1, 2, 3, 0}, VICTIMS);

	KILL_CHECK(!sent || kill_wakes(), "sent into a full queue");
	expect_capacity();
	return sent;
}

static int received_when_there_was_one(void)
{
	const bool there = expect_only((const uint32_t[]){0}, SURVIVORS);

	expect_capacity();
	return kill_wakes() && !there;
}

static int sent_nothing(void)
{
	expect_only((const uint32_t[]){1, 2, 3, 0}, 0);
	expect_capacity();
	return 0;
}

static int received_nothing(void)
{
	expect_only((const uint32_t[]){0}, 0);
	expect_capacity();
	return 0;
}

// ---- another sleeper comes after the victim ----

static void send_as_party(void)
{
	send_sleeping(SURVIVORS, 0);
}

static void receive_as_party(void)
{
	*(uint32_t *)kill_shared() = receive_sleeping();
}

static void start(void (*fn)(void))
{
	party = kill_party(fn);
	kill_await_asleep(party);
}

static void give_room_to_two(unsigned nth)
{
	if (nth == 0) {
		start(send_as_party);
		give_room(0);
	} else if (nth == 1 && kill_has_ended(party)) {
		KILL_CHECK(take(NULL) != 0, "empty, though a sender has just sent");
	}
}

static void give_message_to_two(unsigned nth)
{
	if (nth == 0) {
		start(receive_as_party);
		give_message(0);
	} else if (nth == 1 && kill_has_ended(party)) {
		put(SURVIVORS + 1, 0);
	}
}

static int room_was_handed_on(void)
{
	const bool through = party && party_got_through(party, q_depth, "the second sender");

	kill_note("taking one to free the second sender");
	if (party && !through) {
		KILL_CHECK(take(NULL) != 0, "full and nothing to take");
		kill_join(party, "the second sender, with more room");
	}
	expect_messages((const uint32_t[]){1, 2, 3, party ? SURVIVORS : 0, 0},
	                (const uint32_t[]){VICTIMS, 0});
	expect_capacity();
	return 0;
}

static int message_was_handed_on(void)
{
	const bool through = party && party_got_through(party, 0, "the second receiver");

	if (party && !through) {
		put(SURVIVORS + 2, 0);
		kill_join(party, "the second receiver, with another message");
	}
	expect_messages((const uint32_t[]){0}, (const uint32_t[]){SURVIVORS, SURVIVORS + 1, 0});
	expect_capacity();
	return 0;
}

// ---- a party is about to sleep, and has looked for the last time, when the victim acts ----

static int late_receiver_got_it(void)
{
	const bool sent = party_got_through(kill_bystander(), 0, "a receiver about to sleep");

	if (!sent) {
		put(SURVIVORS, 0);
		kill_join(kill_bystander(), "the receiver of the next message");
	}
	expect_messages((const uint32_t[]){0}, NULL);
	expect_capacity();
	return sent;
}

static int late_sender_got_room(void)
{
	const bool received = party_got_through(kill_bystander(), 3, "a sender about to sleep");

	if (!received) {
		KILL_CHECK(take(NULL) == 2, "the best message is not the first");
		kill_join(kill_bystander(), "the sender that was given room");
	}
	expect_only((const uint32_t[]){1, 3, SURVIVORS, 0}, 2);
	expect_capacity();
	return received;
}

static struct ph_mq_loan loan;

static void reserve_one(void)
{
	KILL_CHECK(ph_mq_reserve(q, &loan) == 0, "reserve fails: %s", strerror(errno));
	memcpy(loan.data, victim_message, q_size);
}

static void commit_one(void)
{
	ph_mq_commit(q, &loan, q_size, 3);
}

static void borrow_one(void)
{
	KILL_CHECK(ph_mq_borrow(q, &loan) == 0, "borrow fails: %s", strerror(errno));
}

static void release_one(void)
{
	ph_mq_release(q, &loan);
}

static void cancel_one(void)
{
	ph_mq_cancel(q, &loan);
}

static void make_one(void)
{
	make_empty();
	put(1, 0);
}

// The borrowed message comes back, by cancel or by death.
static int late_receiver_got_it_back(void)
{
	kill_join(kill_bystander(), "a receiver about to sleep beside a loan");
	expect_messages((const uint32_t[]){0}, NULL);
	expect_capacity();
	return 0;
}

static const struct kill_scenario scenarios[] = {
	{.name = "sleeping_send",
     .prepare = make_full,
     .operation = send_one,
     .wake = give_room,
     .after = sent_when_there_was_room,
     .last = 1},
	{.name = "sleeping_receive",
     .prepare = make_empty,
     .operation = receive_one,
     .wake = give_message,
     .after = received_when_there_was_one,
     .last = 1},
	{.name = "sleeping_timedsend",
     .prepare = make_full,
     .operation = send_for_long,
     .wake = give_room,
     .after = sent_when_there_was_room,
     .last = 1},
	{.name = "sleeping_clockreceive",
     .prepare = make_empty,
     .operation = receive_for_long,
     .wake = give_message,
     .after = received_when_there_was_one,
     .last = 1},
	{.name = "timedsend_runs_out",
     .prepare = make_full,
     .operation = send_in_vain,
     .after = sent_nothing},
	{.name = "clockreceive_runs_out",
     .prepare = make_empty,
     .operation = receive_in_vain,
     .after = received_nothing},
	{.name = "sleeping_send_before_another",
     .prepare = make_full,
     .operation = send_one,
     .wake = give_room_to_two,
     .after = room_was_handed_on},
	{.name = "sleeping_receive_before_another",
     .prepare = make_empty,
     .operation = receive_one,
     .wake = give_message_to_two,
     .after = message_was_handed_on},
	{.name = "send_to_receiver_about_to_sleep",
     .prepare = make_empty,
     .bystander = receive_as_party,
     .operation = send_one,
     .after = late_receiver_got_it,
     .last = 1},
	{.name = "commit_to_receiver_about_to_sleep",
     .prepare = make_empty,
     .enter = reserve_one,
     .bystander = receive_as_party,
     .operation = commit_one,
     .after = late_receiver_got_it,
     .last = 1},
	{.name = "cancel_beside_receiver_about_to_sleep",
     .prepare = make_one,
     .enter = borrow_one,
     .bystander = receive_as_party,
     .operation = cancel_one,
     .after = late_receiver_got_it_back},
	{.name = "receive_beside_sender_about_to_sleep",
     .prepare = make_full,
     .bystander = send_as_party,
     .operation = receive_one,
     .after = late_sender_got_room,
     .last = 1},
	{.name = "release_beside_sender_about_to_sleep",
     .prepare = make_full,
     .enter = borrow_one,
     .bystander = send_as_party,
     .operation = release_one,
     .after = late_sender_got_room,
     .last = 1},
};

const struct scenario_table mq_sleep = SCENARIO_TABLE(scenarios);

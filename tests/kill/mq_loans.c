// SPDX-License-Identifier: MIT
//
// tests/kill/mq_loans.c - messages in place. A dead holder keeps nothing: his reservation is free
// again, his borrowed message stands where it stood, unless he had committed or released. See
// mq_queue.h.
//
// A borrowed message comes back when somebody finds the queue empty or full, so it may be late: its
// place among the priorities is not checked here.
#include "mq_scenarios.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

static struct ph_mq_loan loan;
static pid_t party;

enum { ENTERED = 0, GOT = 1 }; // words of kill_shared()

static void make_some(void)
{
	make_queue(4, SMALL);
	put_all(1, (const int[]){5, 5, -1});
}

// The survivor has had loans before, so he and the victim are different holders from the start.
static void make_some_as_holder(void)
{
	make_some();
	KILL_CHECK(ph_mq_reserve(q, &loan) == 0, "reserve fails: %s", strerror(errno));
	KILL_CHECK(ph_mq_cancel(q, &loan) == 0, "cancel fails: %s", strerror(errno));
}

static void make_full(void)
{
	make_queue(2, SMALL);
	put_all(1, (const int[]){5, 5, -1});
}

static void reserve_one(void)
{
	KILL_CHECK(ph_mq_reserve(q, &loan) == 0, "reserve fails: %s", strerror(errno));
	memcpy(loan.data, victim_message, q_size);
}

static void commit_one(void)
{
	ph_mq_commit(q, &loan, q_size, 3);
}

static void reserve_and_commit(void)
{
	reserve_one();
	commit_one();
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

static void close_it(void)
{
	ph_mq_close(q);
}

static void hold_both(void)
{
	struct ph_mq_loan other;

	reserve_one();
	KILL_CHECK(ph_mq_borrow(q, &other) == 0, "borrow fails: %s", strerror(errno));
}

static int nothing_changed(void)
{
	expect_messages((const uint32_t[]){1, 2, 0}, NULL);
	expect_capacity();
	return 0;
}

static int committed(void)
{
	const bool sent = expect_only((const uint32_t[]){1, 2, 0}, VICTIMS);

	expect_capacity();
	return sent;
}

// Messages 1 and 2, in either order, 1 perhaps not at all.
static bool take_back(void)
{
	const bool back = expect_unordered((const uint32_t[]){2, 0}, 1);

	expect_capacity();
	return back;
}

static int all_are_back(void)
{
	KILL_CHECK(take_back(), "the borrowed message is lost");
	return 0;
}

static int released(void)
{
	return !take_back();
}

// ---- a blocked commit ----

static void give_room(unsigned nth)
{
	if (nth == 0)
		KILL_CHECK(take(NULL) == 1, "the best message is not the first");
}

static int committed_when_there_was_room(void)
{
	const bool sent = expect_only((const uint32_t[]){1, 2, 0}, VICTIMS);

	KILL_CHECK(!sent || kill_wakes(), "sent into a full queue");
	expect_capacity();
	return sent;
}

// ---- a commit to a sleeping receiver ----

static void receive_and_tell(void)
{
	((uint32_t *)kill_shared())[GOT] = receive_sleeping();
}

static void make_with_receiver(void)
{
	make_queue(4, SMALL);
	party = kill_party(receive_and_tell);
	kill_await_asleep(party);
}

static int receiver_was_woken(void)
{
	const bool sent = party_got_through(party, 0, "the sleeping receiver");
	const uint32_t *shared = kill_shared();

	if (!sent) {
		put(SURVIVORS, 0);
		kill_join(party, "the receiver of the next message");
	}
	KILL_CHECK(shared[GOT] == (sent ? VICTIMS : SURVIVORS), "it got message %u", shared[GOT]);
	expect_messages((const uint32_t[]){0}, NULL);
	expect_capacity();
	return sent;
}

// ---- a receiver sleeps while the only message is borrowed ----

static void receive_when_borrowed(void)
{
	const uint32_t *shared = kill_shared();

	while (!__atomic_load_n(&shared[ENTERED], __ATOMIC_SEQ_CST))
		sched_yield();
	receive_and_tell();
}

static void make_one_with_late_receiver(void)
{
	make_queue(4, SMALL);
	put(1, 5);
	party = kill_party(receive_when_borrowed);
}

static void borrow_and_let_sleep(void)
{
	uint32_t *shared = kill_shared();

	borrow_one();
	__atomic_store_n(&shared[ENTERED], 1, __ATOMIC_SEQ_CST);
	kill_await_asleep(party);
}

// If the message came back, the sleeper gets it with nobody's help.
static int sleeper_got_it_back(void)
{
	const bool back = party_got_through(party, 0, "the receiver that sleeps beside a loan");
	const uint32_t *shared = kill_shared();

	if (!back) {
		put(SURVIVORS, 0);
		kill_join(party, "the receiver of the next message");
	}
	KILL_CHECK(shared[GOT] == (back ? 1 : SURVIVORS), "it got message %u", shared[GOT]);
	expect_messages((const uint32_t[]){0}, NULL);
	expect_capacity();
	return !back;
}

// ---- a sender sleeps because the borrowed message fills the queue ----

static void send_when_borrowed(void)
{
	const uint32_t *shared = kill_shared();

	while (!__atomic_load_n(&shared[ENTERED], __ATOMIC_SEQ_CST))
		sched_yield();
	send_sleeping(SURVIVORS, 0);
}

static void make_full_with_late_sender(void)
{
	make_full();
	party = kill_party(send_when_borrowed);
}

static int sender_got_room(void)
{
	const bool released_it = party_got_through(party, 2, "the sender that sleeps beside a loan");

	if (!released_it) {
		KILL_CHECK(take(NULL) != 0, "full and nothing to take");
		kill_join(party, "the sender that was given room");
	}
	expect_unordered((const uint32_t[]){2, SURVIVORS, 0}, 1);
	expect_capacity();
	return released_it;
}

static const struct kill_scenario scenarios[] = {
	{.name = "reserve", .prepare = make_some, .operation = reserve_one, .after = nothing_changed},
	{.name = "reserve_and_commit",
     .prepare = make_some,
     .operation = reserve_and_commit,
     .after = committed,
     .last = 1},
	{.name = "reserve_beside_holder",
     .prepare = make_some_as_holder,
     .operation = reserve_one,
     .after = nothing_changed},
	{.name = "borrow_beside_holder",
     .prepare = make_some_as_holder,
     .operation = borrow_one,
     .after = all_are_back},
	{.name = "commit",
     .prepare = make_some_as_holder,
     .enter = reserve_one,
     .operation = commit_one,
     .after = committed,
     .last = 1},
	{.name = "sleeping_commit",
     .prepare = make_full,
     .enter = reserve_one,
     .operation = commit_one,
     .wake = give_room,
     .after = committed_when_there_was_room,
     .last = 1},
	{.name = "commit_to_sleeping_receiver",
     .prepare = make_with_receiver,
     .enter = reserve_one,
     .operation = commit_one,
     .after = receiver_was_woken,
     .last = 1},
	{.name = "cancel_reservation",
     .prepare = make_some,
     .enter = reserve_one,
     .operation = cancel_one,
     .after = nothing_changed},
	{.name = "borrow", .prepare = make_some, .operation = borrow_one, .after = all_are_back},
	{.name = "release",
     .prepare = make_some_as_holder,
     .enter = borrow_one,
     .operation = release_one,
     .after = released,
     .last = 1},
	{.name = "release_of_full_queue",
     .prepare = make_full,
     .enter = borrow_one,
     .operation = release_one,
     .after = released,
     .last = 1},
	{.name = "cancel_borrow",
     .prepare = make_some,
     .enter = borrow_one,
     .operation = cancel_one,
     .after = all_are_back},
	{.name = "release_beside_sleeping_receiver",
     .prepare = make_one_with_late_receiver,
     .enter = borrow_and_let_sleep,
     .operation = release_one,
     .after = sleeper_got_it_back,
     .last = 1},
	{.name = "release_frees_sleeping_sender",
     .prepare = make_full_with_late_sender,
     .enter = borrow_and_let_sleep,
     .operation = release_one,
     .after = sender_got_room,
     .last = 1},
	{.name = "close_with_loans",
     .prepare = make_some_as_holder,
     .enter = hold_both,
     .operation = close_it,
     .after = all_are_back},
};

const struct scenario_table mq_loans = SCENARIO_TABLE(scenarios);

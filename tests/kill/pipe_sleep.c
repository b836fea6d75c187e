// SPDX-License-Identifier: MIT
//
// tests/kill/pipe_sleep.c - the victim sleeps, on the full ring or in the kernel's pipe, or somebody is
// about to sleep while it acts: it is killed on the way to sleep, asleep, right after it was woken, and
// on the way back. See pipe_stream.h.
//
// A wake-up that was given to a victim must not die with it: where a second sleeper comes after the
// victim, he has to get what the victim did not take.
#include "pipe_scenarios.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

static pid_t party; // 0 until it is started
static pid_t holder;

// ---- the victim writes ----

static void full_ring(size_t victims)
{
	victim_size = victims;
	make_ring((size_t)2 * PAGE);
	put(1, PAGE);
	put(2, PAGE);
}

static void full_ring_and_small(void)
{
	full_ring(SMALL);
}

static void full_ring_and_page(void)
{
	full_ring(PAGE);
}

static void full_kernel_and_page(void)
{
	victim_size = PAGE;
	make_pipe((size_t)2 * PAGE);
	put(1, PAGE);
	put(2, PAGE);
}

static void small_ring_and_large(void)
{
	victim_size = (size_t)5 * PAGE;
	make_ring((size_t)2 * PAGE);
	put(1, PAGE);
}

static void small_kernel_and_large(void)
{
	victim_size = (size_t)3 * PAGE;
	make_pipe((size_t)2 * PAGE);
	put(1, PAGE);
}

static void full_ring_of_another(void)
{
	victim_size = SMALL;
	make_former_ring((size_t)2 * PAGE);
	holder = start_leaseholder();
	put(1, PAGE);
	put(2, PAGE);
	expect_in_ring();
}

static void give_room(unsigned nth)
{
	if (nth == 0)
		KILL_CHECK(read_to(tape(TAPE_OWN), PAGE) == PAGE, "read fails: %s", strerror(errno));
}

// One call of the library only: the victim goes on with its end, and may be stopped with a lock.
static void give_room_each_time(unsigned nth)
{
	(void)nth;
	KILL_CHECK(read_to(tape(TAPE_OWN), (size_t)2 * PAGE) > 0, "read fails: %s", strerror(errno));
}

static void let_holder_die(unsigned nth)
{
	if (nth == 0) {
		kill_party_now(holder);
		holder = 0;
	}
	if (nth > 0)
		give_room_each_time(nth);
}

static size_t written_by_victim(enum part_how how)
{
	return expect((const struct part[]){
		{1, PAGE, WHOLE}, {2, PAGE, WHOLE}, {VICTIMS, victim_size, how}, {0}});
}

static int written_when_there_was_room(void)
{
	return written_by_victim(MAYBE) == victim_size;
}

static int written_in_pieces(void)
{
	return expect((const struct part[]){{1, PAGE, WHOLE}, {VICTIMS, victim_size, PREFIX}, {0}}) ==
	       victim_size;
}

static int written_though_holder_died(void)
{
	if (holder)
		kill_party_now(holder);
	holder = 0;
	return written_by_victim(MAYBE) == victim_size;
}

// ---- another writer sleeps behind the victim ----

static void give_room_to_two(unsigned nth)
{
	if (nth == 0) {
		party = start_writer(SURVIVORS, PAGE);
		give_room(0);
	} else if (kill_has_ended(party)) {
		give_room_each_time(nth);
	}
}

static void writer_sleeps_before(void)
{
	full_ring_and_page();
	party = start_writer(SURVIVORS, PAGE);
}

static bool no_room_for_a_page(void)
{
	return bytes_inside() > PAGE;
}

// Both records, if they are there, in any order.
static void expect_two_pages(bool partys)
{
	const bool first = tape(TAPE_OWN)->count > (size_t)2 * PAGE &&
	                   tape(TAPE_OWN)->bytes[(size_t)2 * PAGE + 1] == (SURVIVORS & 0x7f);
	const struct part p = {SURVIVORS, PAGE, WHOLE};
	const struct part v = {VICTIMS, PAGE, MAYBE};

	if (!partys)
		expect((const struct part[]){{1, PAGE, WHOLE}, {2, PAGE, WHOLE}, v, {0}});
	else if (first)
		expect((const struct part[]){{1, PAGE, WHOLE}, {2, PAGE, WHOLE}, p, v, {0}});
	else
		expect((const struct part[]){{1, PAGE, WHOLE}, {2, PAGE, WHOLE}, v, p, {0}});
}

static int room_was_handed_on(void)
{
	if (party && !got_through(party, no_room_for_a_page, "the second writer")) {
		KILL_CHECK(read_to(tape(TAPE_OWN), PAGE) > 0, "read fails: %s", strerror(errno));
		kill_join(party, "the second writer, with more room");
	}
	close_writer();
	drain_to(tape(TAPE_OWN));
	expect_two_pages(party != 0);
	return 0;
}

// ---- the victim reads ----

static void empty_kernel(void)
{
	victim_size = SMALL;
	make_pipe(0);
}

// Who attaches beside a lease ends it: all are to have the ring mapped before there is one.
static void former_ring(void)
{
	victim_size = SMALL;
	make_former_ring(0);
}

static void empty_ring(void)
{
	victim_size = SMALL;
	make_ring(0);
}

static void give_bytes(unsigned nth)
{
	if (nth == 0)
		put(SURVIVORS, SMALL);
}

static int read_when_there_was_something(void)
{
	const size_t found = expect((const struct part[]){{SURVIVORS, SMALL, MAYBE}, {0}});

	KILL_CHECK(!found || kill_wakes(), "a record is read that nobody wrote");
	return kill_wakes() && !found;
}

static void give_bytes_to_two(unsigned nth)
{
	if (nth == 0) {
		party = start_reader(TAPE_PARTY, SMALL);
		put(SURVIVORS, SMALL);
	} else if (nth == 1 && tape(TAPE_PARTY)->count) {
		put(SURVIVORS + 1, SMALL);
	}
}

// Nobody but the victim and the party reads.
static int bytes_were_handed_on(void)
{
	if (party)
		KILL_CHECK(!got_through(party, pipe_is_empty, "the second reader"),
		           "end of file, though there is a writer");
	put(SURVIVORS + 2, SMALL);
	if (!party) {
		expect((const struct part[]){{SURVIVORS + 2, SMALL, WHOLE}, {0}});
		return 0;
	}
	close_writer();
	kill_join(party, "the second reader at the end of file");
	close_reader();
	expect_no_traces();
	expect_on(tape(TAPE_PARTY), (const struct part[]){{SURVIVORS, SMALL, MAYBE},
	                                                  {SURVIVORS + 1, SMALL, MAYBE},
	                                                  {SURVIVORS + 2, SMALL, WHOLE},
	                                                  {0}});
	return 0;
}

// ---- somebody is about to sleep, and has looked for the last time, when the victim acts ----

static void read_as_bystander(void)
{
	close_writer();
	read_to(tape(TAPE_PARTY), SMALL);
}

static void lease_and_read_as_bystander(void)
{
	close_writer();
	take_lease();
	read_to(tape(TAPE_PARTY), SMALL);
}

static void write_as_bystander(void)
{
	close_reader();
	ph_write(wr, survivors_page, PAGE);
}

static void poll_as_bystander(void)
{
	struct pollfd p = {.fd = rd, .events = POLLIN};

	poll(&p, 1, -1);
}

static int late_reader_got_it(void)
{
	if (!got_through(kill_bystander(), pipe_is_empty, "a reader about to sleep")) {
		put(SURVIVORS, SMALL);
		kill_join(kill_bystander(), "the reader of the next record");
	}
	close_writer();
	drain_to(tape(TAPE_PARTY)); // there may be what the reader did not ask for
	close_reader();
	expect_no_traces();
	return expect_on(
			   tape(TAPE_PARTY),
			   (const struct part[]){{VICTIMS, SMALL, MAYBE}, {SURVIVORS, SMALL, MAYBE}, {0}}) != 0;
}

static int late_poller_was_told(void)
{
	const bool told = got_through(kill_bystander(), pipe_is_empty, "a poller about to sleep");

	put(SURVIVORS, SMALL);
	if (!told)
		kill_join(kill_bystander(), "the poller, after another write");
	return expect((const struct part[]){{VICTIMS, SMALL, MAYBE}, {SURVIVORS, SMALL, WHOLE}, {0}}) !=
	       0;
}

static int late_writer_got_room(void)
{
	if (!got_through(kill_bystander(), no_room_for_a_page, "a writer about to sleep")) {
		KILL_CHECK(read_to(tape(TAPE_OWN), PAGE) > 0, "read fails: %s", strerror(errno));
		kill_join(kill_bystander(), "the writer that was given room");
	}
	const size_t missing = expect_rest(
		(const struct part[]){{1, PAGE, WHOLE}, {2, PAGE, WHOLE}, {SURVIVORS, PAGE, WHOLE}, {0}});
	KILL_CHECK(missing == 0 || missing == PAGE, "%zu bytes are missing", missing);
	return missing != 0;
}

static const struct kill_scenario scenarios[] = {
	{.name = "sleeping_write_ring_small",
     .prepare = full_ring_and_small,
     .operation = victim_write,
     .wake = give_room,
     .after = written_when_there_was_room,
     .last = 1},
	{.name = "sleeping_write_ring_page",
     .prepare = full_ring_and_page,
     .operation = victim_write,
     .wake = give_room,
     .after = written_when_there_was_room,
     .last = 1},
	{.name = "sleeping_write_kernel_page",
     .prepare = full_kernel_and_page,
     .operation = victim_write,
     .wake = give_room,
     .after = written_when_there_was_room,
     .last = 1},
	{.name = "sleeping_write_ring_large",
     .prepare = small_ring_and_large,
     .operation = victim_write,
     .wake = give_room_each_time,
     .after = written_in_pieces,
     .last = 1},
	{.name = "sleeping_write_kernel_large",
     .prepare = small_kernel_and_large,
     .operation = victim_write,
     .wake = give_room_each_time,
     .after = written_in_pieces,
     .last = 1},
	{.name = "sleeping_write_as_leaseholder_dies",
     .prepare = full_ring_of_another,
     .operation = victim_write,
     .wake = let_holder_die,
     .after = written_though_holder_died,
     .last = 1},
	{.name = "sleeping_write_before_another",
     .prepare = full_ring_and_page,
     .operation = victim_write,
     .wake = give_room_to_two,
     .after = room_was_handed_on},
	{.name = "sleeping_write_behind_another",
     .prepare = writer_sleeps_before,
     .operation = victim_write,
     .wake = give_room_each_time,
     .after = room_was_handed_on},
	{.name = "sleeping_read_kernel",
     .prepare = empty_kernel,
     .operation = victim_read,
     .wake = give_bytes,
     .after = read_when_there_was_something,
     .last = 1},
	{.name = "sleeping_read_drops_own_lease",
     .prepare = former_ring,
     .enter = take_lease,
     .operation = victim_read,
     .wake = give_bytes,
     .after = read_when_there_was_something,
     .last = 1},
	{.name = "sleeping_read_drops_anothers_lease",
     .prepare = empty_ring,
     .operation = victim_read,
     .wake = give_bytes,
     .after = read_when_there_was_something,
     .last = 1},
	{.name = "sleeping_read_before_another",
     .prepare = empty_kernel,
     .operation = victim_read,
     .wake = give_bytes_to_two,
     .after = bytes_were_handed_on},
	{.name = "sleeping_read_drops_lease_before_another",
     .prepare = former_ring,
     .enter = take_lease,
     .operation = victim_read,
     .wake = give_bytes_to_two,
     .after = bytes_were_handed_on},
	{.name = "write_beside_reader_about_to_sleep",
     .prepare = empty_kernel,
     .bystander = read_as_bystander,
     .operation = victim_write,
     .after = late_reader_got_it,
     .last = 1},
	{.name = "write_beside_leaseholder_about_to_sleep",
     .prepare = former_ring,
     .bystander = lease_and_read_as_bystander,
     .operation = victim_write,
     .after = late_reader_got_it,
     .last = 1},
	{.name = "write_beside_poller_about_to_sleep",
     .prepare = empty_ring,
     .bystander = poll_as_bystander,
     .operation = victim_write,
     .after = late_poller_was_told,
     .last = 1},
	{.name = "read_beside_writer_about_to_sleep",
     .prepare = full_ring_and_page,
     .bystander = write_as_bystander,
     .operation = victim_read,
     .after = late_writer_got_room,
     .last = 1},
};

const struct scenario_table pipe_sleep = SCENARIO_TABLE(scenarios);

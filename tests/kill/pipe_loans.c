// SPDX-License-Identifier: MIT
//
// tests/kill/pipe_loans.c - room reserved and committed, bytes looked at and consumed, in the ring and in
// the kernel's pipe. See pipe_stream.h.
//
// A reservation holds other writers up, and a look other readers: both end with the victim. What was not
// committed was not written; what was not consumed is there.
#include "pipe_scenarios.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static const struct part two[] = {{1, SMALL, WHOLE}, {2, SMALL, WHOLE}, {0}};

static struct iovec room[2];
static int pieces;

// ---- the pipe ----

static void kernel_one(void)
{
	victim_size = SMALL;
	make_pipe(0);
	put(1, SMALL);
}

static void ring_one(void)
{
	victim_size = SMALL;
	make_ring(0);
	put(1, SMALL);
}

static void ring_wraps(void)
{
	victim_size = PAGE;
	make_ring((size_t)2 * PAGE);
	advance(PAGE + 1000);
	put(1, SMALL);
}

static void ring_full(void)
{
	victim_size = PAGE;
	make_ring((size_t)2 * PAGE);
	put(1, PAGE);
	put(2, PAGE);
}

static void kernel_two(void)
{
	kernel_one();
	put(2, SMALL);
}

static void ring_two(void)
{
	ring_one();
	put(2, SMALL);
}

static void former_ring(void)
{
	victim_size = SMALL;
	make_former_ring(0);
}

static void lease_two(void)
{
	take_lease();
	put(1, SMALL);
	put(2, SMALL);
	expect_in_ring();
}

// ---- what the victim does ----

static void fill_room(void)
{
	size_t at = 0;

	for (int i = 0; i < pieces; i++) {
		memcpy(room[i].iov_base, victim_data + at, room[i].iov_len);
		at += room[i].iov_len;
	}
}

static void reserve(void)
{
	KILL_CHECK(ph_pipe_reserve(wr, victim_size, room, &pieces) == (ssize_t)victim_size,
	           "reserve fails: %s", strerror(errno));
}

static void reserve_and_fill(void)
{
	reserve();
	fill_room();
}

static void commit(void)
{
	ph_pipe_commit(wr, victim_size);
}

static void commit_nothing(void)
{
	ph_pipe_commit(wr, 0);
}

static void reserve_and_commit(void)
{
	reserve_and_fill();
	commit();
}

static void look(void)
{
	KILL_CHECK(ph_pipe_peek(rd, room, &pieces) > 0, "peek fails: %s", strerror(errno));
}

static void consume(void)
{
	ph_pipe_consume(rd, SMALL);
}

static void consume_nothing(void)
{
	ph_pipe_consume(rd, 0);
}

static void look_and_consume(void)
{
	look();
	consume();
}

static void give_room(unsigned nth)
{
	if (nth == 0)
		KILL_CHECK(read_to(tape(TAPE_OWN), PAGE) == PAGE, "read fails: %s", strerror(errno));
}

static void give_bytes(unsigned nth)
{
	if (nth == 0)
		put(1, SMALL);
}

// ---- what must be there ----

static int victims_is_whole_or_absent(void)
{
	put(SURVIVORS, SMALL);
	return expect((const struct part[]){
			   {1, SMALL, WHOLE}, {VICTIMS, victim_size, MAYBE}, {SURVIVORS, SMALL, WHOLE}, {0}}) !=
	       0;
}

static int written_when_there_was_room(void)
{
	return expect((const struct part[]){
			   {1, PAGE, WHOLE}, {2, PAGE, WHOLE}, {VICTIMS, victim_size, MAYBE}, {0}}) != 0;
}

static int nothing_was_written(void)
{
	put(SURVIVORS, SMALL);
	expect((const struct part[]){{1, SMALL, WHOLE}, {SURVIVORS, SMALL, WHOLE}, {0}});
	return 0;
}

static int one_was_consumed(void)
{
	const size_t missing = expect_rest(two);

	KILL_CHECK(missing == 0 || missing == SMALL, "%zu bytes are missing", missing);
	return missing != 0;
}

// A look into the kernel's pipe takes the bytes out to where they can be seen.
static int one_reader_took_all_or_nothing(void)
{
	const size_t missing = expect_rest(two);

	KILL_CHECK(missing % SMALL == 0, "%zu bytes are missing", missing);
	return 0;
}

static int one_may_have_been_read(void)
{
	put(SURVIVORS, SMALL);
	const size_t missing =
		expect_rest((const struct part[]){{1, SMALL, WHOLE}, {SURVIVORS, SMALL, WHOLE}, {0}});

	KILL_CHECK(kill_wakes() || missing == SMALL, "a record is there that nobody wrote");
	KILL_CHECK(missing == 0 || missing == SMALL, "%zu bytes are missing", missing);
	return 0;
}

static int nothing_was_consumed(void)
{
	put(SURVIVORS, SMALL);
	expect((const struct part[]){
		{1, SMALL, WHOLE}, {2, SMALL, WHOLE}, {SURVIVORS, SMALL, WHOLE}, {0}});
	return 0;
}

// ---- others wait for the loan's end ----

static void write_as_contender(void)
{
	put_sleeping(2, SMALL);
}

static void read_as_contender(void)
{
	read_to(tape(TAPE_PARTY), SMALL);
}

static int other_writer_goes_on(void)
{
	kill_join(kill_contender(), "a writer beside a reservation");
	return expect((const struct part[]){{1, SMALL, WHOLE},
	                                    {VICTIMS, victim_size, MAYBE},
	                                    {kill_contender() ? 2 : 0, SMALL, WHOLE},
	                                    {0}}) != 0;
}

static int other_reader_goes_on(void)
{
	const struct tape *t = tape(TAPE_PARTY);

	kill_join(kill_contender(), "a reader beside a look");
	const size_t missing = expect_rest(two);
	KILL_CHECK(missing >= t->count && missing <= t->count + SMALL && missing % SMALL == 0,
	           "%zu bytes are missing, of which %zu are known", missing, t->count);
	if (t->count)
		KILL_CHECK(t->count == SMALL && (t->bytes[1] == 1 || t->bytes[1] == 2),
		           "another reader has %zu bytes, the first of record %u", t->count, t->bytes[1]);
	return missing > t->count;
}

static const struct kill_scenario scenarios[] = {
	{.name = "reserve_and_commit_in_ring",
     .prepare = ring_one,
     .operation = reserve_and_commit,
     .after = victims_is_whole_or_absent,
     .last = 1},
	{.name = "reserve_and_commit_in_wrapped_ring",
     .prepare = ring_wraps,
     .operation = reserve_and_commit,
     .after = victims_is_whole_or_absent,
     .last = 1},
	{.name = "reserve_and_commit_in_kernel",
     .prepare = kernel_one,
     .operation = reserve_and_commit,
     .after = victims_is_whole_or_absent,
     .last = 1},
	{.name = "commit_nothing_in_ring",
     .prepare = ring_one,
     .enter = reserve_and_fill,
     .operation = commit_nothing,
     .after = nothing_was_written},
	{.name = "sleeping_reserve",
     .prepare = ring_full,
     .operation = reserve_and_commit,
     .wake = give_room,
     .after = written_when_there_was_room,
     .last = 1},
	{.name = "peek_and_consume_in_ring",
     .prepare = former_ring,
     .enter = lease_two,
     .operation = look_and_consume,
     .after = one_was_consumed,
     .last = 1},
	{.name = "peek_and_consume_in_anothers_ring",
     .prepare = ring_two,
     .operation = look_and_consume,
     .after = one_was_consumed,
     .last = 1},
	{.name = "peek_and_consume_in_kernel",
     .prepare = kernel_two,
     .operation = look_and_consume,
     .after = one_reader_took_all_or_nothing},
	{.name = "consume_nothing_in_ring",
     .prepare = ring_two,
     .enter = look,
     .operation = consume_nothing,
     .after = nothing_was_consumed},
	{.name = "sleeping_peek",
     .prepare = former_ring,
     .operation = look_and_consume,
     .wake = give_bytes,
     .after = one_may_have_been_read},
	// How long the other waits, and so the victim's path, is a matter of the clock.
	{.name = "reserve_and_commit_contended",
     .prepare = ring_one,
     .operation = reserve_and_commit,
     .contend = write_as_contender,
     .after = other_writer_goes_on,
     .first = KILL_EITHER},
	{.name = "peek_and_consume_contended",
     .prepare = ring_two,
     .operation = look_and_consume,
     .contend = read_as_contender,
     .after = other_reader_goes_on,
     .first = KILL_EITHER},
};

const struct scenario_table pipe_loans = SCENARIO_TABLE(scenarios);

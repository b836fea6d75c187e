// SPDX-License-Identifier: MIT
//
// tests/kill/pipe_read.c - the victim reads, and there are bytes, or the end of file: from the kernel's
// pipe, from the ring, with the lease, taking it over, making room for a sleeping writer. See
// pipe_stream.h.
//
// What the victim did not take is there, in order and once: only a beginning may be missing, as long as
// the victim's read can have been. A reader of the library is left, so a lease that died loses nothing.
#include "pipe_scenarios.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

static pid_t party;

// What stands in the pipe when the victim begins.
static const struct part *inside;

static const struct part two[] = {{1, SMALL, WHOLE}, {2, SMALL, WHOLE}, {0}};
static const struct part large[] = {{1, LARGE, WHOLE}, {2, SMALL, WHOLE}, {0}};
static const struct part one[] = {{1, SMALL, WHOLE}, {0}};
static const struct part three[] = {{1, SMALL, WHOLE}, {2, SMALL, WHOLE}, {3, SMALL, WHOLE}, {0}};
static const struct part wrapped[] = {{1, PAGE, WHOLE}, {2, SMALL, WHOLE}, {0}};
static const struct part nothing[] = {{0}};
static const struct part full[] = {{1, PAGE, WHOLE}, {2, PAGE, WHOLE}, {0}};

static void put_inside(const struct part *parts)
{
	inside = parts;
	for (; parts->id; parts++)
		put(parts->id, parts->size);
}

// ---- the pipe ----

static void kernel_two(void)
{
	victim_size = SMALL;
	make_pipe(0);
	put_inside(two);
}

static void kernel_large(void)
{
	victim_size = LARGE;
	make_pipe(0);
	put_inside(large);
}

static void two_to_come(void)
{
	victim_size = SMALL;
	make_former_ring(0);
	inside = two;
}

// The survivor has the lease; the victim takes it over.
static void ring_two(void)
{
	victim_size = SMALL;
	make_ring(0);
	put_inside(two);
	expect_in_ring();
}

static void ring_large_wraps(void)
{
	victim_size = LARGE;
	make_ring(0);
	advance(30000);
	put_inside(large);
	expect_in_ring();
}

static void ring_wraps(void)
{
	victim_size = PAGE;
	make_ring((size_t)2 * PAGE);
	advance(PAGE + 1000);
	put_inside(wrapped);
	expect_in_ring();
}

static void one_to_come(void)
{
	victim_size = SMALL;
	make_former_ring(0);
	inside = one;
	KILL_CHECK(ph_fcntl(rd, F_SETFL, O_NONBLOCK) == 0, "O_NONBLOCK fails: %s", strerror(errno));
}

static void nothing_to_come(void)
{
	victim_size = SMALL;
	make_pipe(0);
	inside = nothing;
	KILL_CHECK(ph_fcntl(rd, F_SETFL, O_NONBLOCK) == 0, "O_NONBLOCK fails: %s", strerror(errno));
}

static void ring_empty(void)
{
	nothing_to_come();
	take_lease();
}

// No lease, bytes in the ring, and more of them in the kernel's pipe.
static void sealed_ring(void)
{
	victim_size = SMALL;
	make_former_ring(0);
	party = start_leaseholder();
	put(1, SMALL);
	expect_in_ring();
	kill_party_now(party);
	put(2, SMALL);
	inside = two;
}

static void dead_leaseholder(void)
{
	victim_size = SMALL;
	make_former_ring(0);
	party = start_leaseholder();
	put_inside(two);
	expect_in_ring();
	kill_party_now(party);
}

// ---- what the victim does ----

// The victim itself has the lease; what stands in the ring was written since.
static void lease_two(void)
{
	take_lease();
	put_inside(two);
	expect_in_ring();
}

static void lease_one(void)
{
	take_lease();
	put_inside(one);
	expect_in_ring();
}

static void readv_it(void)
{
	const struct iovec iov[3] = {
		{victim_buffer, 10}, {victim_buffer + 10, 0}, {victim_buffer + 10, victim_size - 10}};

	ph_readv(rd, iov, 3);
}

static void read_twice(void)
{
	victim_read();
	victim_read();
}

// ---- what must be there ----

static int victim_took_it(void)
{
	const size_t missing = expect_rest(inside);

	KILL_CHECK(missing == 0 || missing == victim_size, "%zu bytes are missing, %zu were read",
	           missing, victim_size);
	return missing != 0;
}

// In pieces.
static int victim_took_some(void)
{
	const size_t missing = expect_rest(inside);

	KILL_CHECK(missing <= victim_size, "%zu bytes are missing, %zu were read", missing,
	           victim_size);
	return missing == victim_size;
}

static int nothing_is_lost(void)
{
	put(SURVIVORS, SMALL);
	expect((const struct part[]){{SURVIVORS, SMALL, WHOLE}, {0}});
	return 0;
}

static int one_was_taken_and_pipe_goes_on(void)
{
	const struct part all[] = {{1, SMALL, WHOLE}, {SURVIVORS, SMALL, WHOLE}, {0}};

	put(SURVIVORS, SMALL);
	const size_t missing = expect_rest(all);
	KILL_CHECK(missing == 0 || missing == SMALL, "%zu bytes are missing", missing);
	return missing != 0;
}

// ---- beside a writer asleep ----

static void writer_on_full_ring(size_t ring, size_t victims)
{
	victim_size = victims;
	make_ring(ring);
	put_inside(full);
	expect_in_ring();
	party = start_writer(SURVIVORS, PAGE);
}

static void writer_waits_on_ring(void)
{
	writer_on_full_ring((size_t)2 * PAGE, PAGE);
}

static void writer_waits_and_victim_reads_all(void)
{
	writer_on_full_ring((size_t)2 * PAGE, (size_t)2 * PAGE);
}

static void writer_waits_in_kernel(void)
{
	victim_size = PAGE;
	make_pipe((size_t)2 * PAGE);
	put_inside(full);
	party = start_writer(SURVIVORS, PAGE);
}

static bool no_room_for_a_page(void)
{
	return bytes_inside() > PAGE;
}

static int writer_has_room(void)
{
	static const struct part all[] = {
		{1, PAGE, WHOLE}, {2, PAGE, WHOLE}, {SURVIVORS, PAGE, WHOLE}, {0}};
	struct tape *t = tape(TAPE_OWN);

	if (!got_through(party, no_room_for_a_page, "a writer beside room")) {
		KILL_CHECK(read_to(t, PAGE) > 0, "read fails: %s", strerror(errno));
		kill_join(party, "a writer that was given room");
	}
	const size_t missing = expect_rest(all);
	KILL_CHECK(missing == 0 || missing == victim_size, "%zu bytes are missing, %zu were read",
	           missing, victim_size);
	return missing != 0;
}

// ---- others want the lock, or died with it ----

static void read_as_contender(void)
{
	read_to(tape(TAPE_PARTY), SMALL);
}

static void three_inside(void)
{
	victim_size = SMALL;
	make_ring(0);
	put_inside(three);
}

static int each_has_one(void)
{
	const struct tape *t = tape(TAPE_PARTY);

	kill_join(kill_contender(), "another reader");
	const size_t missing = expect_rest(three);
	KILL_CHECK(missing >= t->count && missing <= t->count + victim_size && missing % SMALL == 0,
	           "%zu bytes are missing, of which %zu are known", missing, t->count);
	if (t->count)
		KILL_CHECK(t->count == SMALL && (t->bytes[1] == 1 || t->bytes[1] == 2),
		           "another reader has %zu bytes, the first of record %u", t->count, t->bytes[1]);
	return missing > t->count;
}

static int dead_ones_took_some(void)
{
	const size_t missing = expect_rest(three);

	KILL_CHECK(missing % SMALL == 0 && missing <= 2 * SMALL, "%zu bytes are missing", missing);
	return 0;
}

static const struct kill_scenario scenarios[] = {
	{.name = "read_kernel_small",
     .prepare = kernel_two,
     .operation = victim_read,
     .after = victim_took_it,
     .last = 1},
	{.name = "read_kernel_large",
     .prepare = kernel_large,
     .operation = victim_read,
     .after = victim_took_some,
     .last = 1},
	{.name = "read_ring_takes_over",
     .prepare = ring_two,
     .operation = victim_read,
     .after = victim_took_it,
     .last = 1},
	{.name = "read_ring_small",
     .prepare = two_to_come,
     .enter = lease_two,
     .operation = victim_read,
     .after = victim_took_it,
     .last = 1},
	{.name = "read_ring_wraps",
     .prepare = ring_wraps,
     .operation = victim_read,
     .after = victim_took_it,
     .last = 1},
	{.name = "readv_ring_wraps",
     .prepare = ring_wraps,
     .operation = readv_it,
     .after = victim_took_it,
     .last = 1},
	{.name = "read_ring_large_wraps",
     .prepare = ring_large_wraps,
     .operation = victim_read,
     .after = victim_took_some,
     .last = 1},
	{.name = "read_ring_after_dead_leaseholder",
     .prepare = dead_leaseholder,
     .operation = victim_read,
     .after = victim_took_it,
     .last = 1},
	{.name = "read_sealed_ring",
     .prepare = sealed_ring,
     .operation = victim_read,
     .after = victim_took_it,
     .last = 1},
	{.name = "read_ring_empties_it",
     .prepare = one_to_come,
     .enter = lease_one,
     .operation = victim_read,
     .after = victim_took_it,
     .last = 1},
	{.name = "read_empty_ring_drops_lease",
     .prepare = ring_empty,
     .operation = victim_read,
     .after = nothing_is_lost},
	{.name = "read_empty_ring_drops_own_lease",
     .prepare = nothing_to_come,
     .enter = take_lease,
     .operation = victim_read,
     .after = nothing_is_lost},
	{.name = "read_and_read_empty",
     .prepare = one_to_come,
     .enter = lease_one,
     .operation = read_twice,
     .after = one_was_taken_and_pipe_goes_on,
     .last = 1},
	{.name = "read_ring_wakes_writer",
     .prepare = writer_waits_on_ring,
     .operation = victim_read,
     .after = writer_has_room,
     .last = 1},
	{.name = "read_all_of_ring_wakes_writer",
     .prepare = writer_waits_and_victim_reads_all,
     .operation = victim_read,
     .after = writer_has_room,
     .last = 1},
	{.name = "read_kernel_wakes_writer",
     .prepare = writer_waits_in_kernel,
     .operation = victim_read,
     .after = writer_has_room,
     .last = 1},
	{.name = "read_ring_contended",
     .prepare = three_inside,
     .operation = victim_read,
     .contend = read_as_contender,
     .after = each_has_one,
     .last = 1},
	{.name = "read_ring_after_dead_reader",
     .prepare = three_inside,
     .predecessor = victim_read,
     .operation = victim_read,
     .after = dead_ones_took_some},
};

const struct scenario_table pipe_read = SCENARIO_TABLE(scenarios);

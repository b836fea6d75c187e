// SPDX-License-Identifier: MIT
//
// tests/kill/pipe_ends.c - the victim alone has one end of the pipe, the other side works or sleeps, and
// nobody else does anything: the end of file, or EPIPE, must come by itself, and not before the bytes.
// See pipe_stream.h.
#include "pipe_scenarios.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

static pid_t party;

static volatile uint32_t *started(void)
{
	return kill_shared();
}

// A writer starts when the victim has the lease.
static void await_start(void)
{
	while (*started() == 0)
		pause_a_little();
}

// ---- the victim is the last writer ----

static void readers_are_left(size_t bytes, pid_t (*start)(int, size_t))
{
	victim_size = SMALL;
	make_pipe(bytes);
	party = start(TAPE_PARTY, 100);
	close_reader();
	give_away(&wr);
}

static void reader_is_left(void)
{
	readers_are_left(0, start_reader);
}

static void foreign_reader_is_left(void)
{
	readers_are_left(0, start_foreign_reader);
}

static void poller_is_left(void)
{
	victim_size = SMALL;
	make_pipe(0);
	party = start_poller(rd, POLLIN);
	close_reader();
	give_away(&wr);
}

// The survivor has the lease, and reads when the victim is dead.
static void leaseholder_is_left_for(size_t bytes)
{
	victim_size = bytes;
	make_ring(0);
	give_away(&wr);
}

static void leaseholder_is_left(void)
{
	leaseholder_is_left_for(SMALL);
}

static void leaseholder_is_left_for_much(void)
{
	leaseholder_is_left_for(LARGE);
}

static void pick_up_writer(void)
{
	pick_up(&wr);
}

static void close_it(void)
{
	ph_close(wr);
}

static void write_and_close(void)
{
	victim_write();
	ph_close(wr);
}

static int ended_behind_the_record(void)
{
	kill_join(party, "a reader whose last writer died");
	expect_no_traces();
	return expect_on(tape(TAPE_PARTY), (const struct part[]){{VICTIMS, SMALL, MAYBE}, {0}}) != 0;
}

static int ended(void)
{
	ended_behind_the_record();
	KILL_CHECK(tape(TAPE_PARTY)->count == 0, "a record is read that nobody wrote");
	return 0;
}

static int poller_heard_of_it(void)
{
	kill_join(party, "a poller whose last writer died");
	expect_no_traces();
	return 0;
}

static int read_to_the_end(void)
{
	return expect((const struct part[]){{VICTIMS, victim_size, PREFIX}, {0}}) == victim_size;
}

// ---- the victim is the last reader ----

static void write_tirelessly(void)
{
	close_reader();
	await_start();
	write_until_refused(SMALL * 10);
}

static void write_much(void)
{
	close_reader();
	await_start();
	write_until_refused(USUAL);
}

static void writers_are_left(void (*fn)(void))
{
	victim_size = PAGE;
	make_former_ring((size_t)2 * PAGE); // who attaches beside a lease ends it
	party = kill_party(fn);
	close_writer();
	give_away(&rd);
}

static void writer_is_left(void)
{
	writers_are_left(write_tirelessly);
}

static void writer_of_much_is_left(void)
{
	writers_are_left(write_much);
}

static void let_writer_fill_it(void)
{
	*started() = 1;
	while (bytes_inside() <= PAGE)
		pause_a_little();
	await_sleep_of(party);
}

static void pick_up_reader(void)
{
	pick_up(&rd);
	let_writer_fill_it();
}

static void pick_up_reader_and_lease(void)
{
	pick_up(&rd);
	take_lease();
	let_writer_fill_it();
	expect_in_ring();
}

static void close_reading_end(void)
{
	ph_close(rd);
}

static void read_twice(void)
{
	victim_read();
	victim_read();
}

static int refused(void)
{
	kill_join(party, "a writer whose last reader died");
	expect_no_traces();
	return 0;
}

// The survivor writes, awake.
static void survivor_writes(void)
{
	victim_size = PAGE;
	make_former_ring(0);
	put(1, SMALL);
	give_away(&rd);
}

static void pick_up_and_lease(void)
{
	pick_up(&rd);
	take_lease();
}

static void read_and_close(void)
{
	victim_read();
	ph_close(rd);
}

static int survivor_is_refused(void)
{
	const ssize_t n = put_sleeping(SURVIVORS, SMALL);

	KILL_CHECK(n == -1 && errno == EPIPE, "a write without a reader says %zd (%s)", n,
	           strerror(errno));
	close_writer();
	expect_no_traces();
	return 0;
}

static const struct kill_scenario scenarios[] = {
	{.name = "last_writer_writes_to_sleeping_reader",
     .prepare = reader_is_left,
     .enter = pick_up_writer,
     .operation = victim_write,
     .after = ended_behind_the_record,
     .last = 1},
	{.name = "last_writer_closes_beside_sleeping_reader",
     .prepare = reader_is_left,
     .enter = pick_up_writer,
     .operation = close_it,
     .after = ended},
	{.name = "last_writer_writes_to_foreign_reader",
     .prepare = foreign_reader_is_left,
     .enter = pick_up_writer,
     .operation = write_and_close,
     .after = ended_behind_the_record,
     .last = 1},
	{.name = "last_writer_closes_beside_poller",
     .prepare = poller_is_left,
     .enter = pick_up_writer,
     .operation = close_it,
     .after = poller_heard_of_it},
	{.name = "last_writer_writes_to_ring",
     .prepare = leaseholder_is_left,
     .enter = pick_up_writer,
     .operation = write_and_close,
     .after = read_to_the_end,
     .last = 1},
	{.name = "last_writer_writes_much_to_ring",
     .prepare = leaseholder_is_left_for_much,
     .enter = pick_up_writer,
     .operation = write_and_close,
     .after = read_to_the_end,
     .last = 1},
	{.name = "last_reader_reads_from_sleeping_writer",
     .prepare = writer_is_left,
     .enter = pick_up_reader_and_lease,
     .operation = read_twice,
     .after = refused},
	{.name = "last_reader_reads_from_writer_of_much",
     .prepare = writer_of_much_is_left,
     .enter = pick_up_reader_and_lease,
     .operation = read_twice,
     .after = refused},
	{.name = "last_reader_reads_kernel_from_sleeping_writer",
     .prepare = writer_is_left,
     .enter = pick_up_reader,
     .operation = victim_read,
     .after = refused},
	{.name = "last_reader_closes_beside_sleeping_writer",
     .prepare = writer_is_left,
     .enter = pick_up_reader_and_lease,
     .operation = close_reading_end,
     .after = refused},
	{.name = "last_reader_reads_and_closes",
     .prepare = survivor_writes,
     .enter = pick_up_and_lease,
     .operation = read_and_close,
     .after = survivor_is_refused},
};

const struct scenario_table pipe_ends = SCENARIO_TABLE(scenarios);

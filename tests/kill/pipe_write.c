// SPDX-License-Identifier: MIT
//
// tests/kill/pipe_write.c - the victim writes, and there is room: into the kernel's pipe, into the ring,
// beside a dead leaseholder, beside others who read, poll or want the lock. See pipe_stream.h.
//
// Up to PIPE_BUF bytes are there or not; of more, the beginning may be. What was written before comes
// before, what is written after comes after, and the pipe goes on.
#include "pipe_scenarios.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/uio.h>

static pid_t party;
static pid_t other;

// ---- the pipe ----

static void in_kernel(size_t size)
{
	victim_size = size;
	make_pipe(0);
	put(1, SMALL);
}

static void in_ring(size_t size)
{
	victim_size = size;
	make_ring(0);
	put(1, SMALL);
	expect_in_ring();
}

static void kernel_small(void)
{
	in_kernel(SMALL);
}

static void kernel_page(void)
{
	in_kernel(PAGE);
}

static void kernel_large(void)
{
	in_kernel(LARGE);
}

static void ring_small(void)
{
	in_ring(SMALL);
}

// The ring's end falls into the victim's bytes.
static void ring_page_wraps(void)
{
	victim_size = PAGE;
	make_ring((size_t)2 * PAGE);
	advance(PAGE + 1000);
	put(1, SMALL);
	expect_in_ring();
}

static void ring_large_wraps(void)
{
	victim_size = LARGE;
	make_ring(0);
	advance(30000);
	put(1, SMALL);
	expect_in_ring();
}

static void empty_in_kernel(void)
{
	victim_size = SMALL;
	make_pipe(0);
}

static void empty_in_ring(void)
{
	victim_size = SMALL;
	make_ring(0);
}

static void full_ring(size_t size)
{
	victim_size = size;
	make_ring(PAGE);
	put(1, PAGE - 100);
	KILL_CHECK(ph_fcntl(wr, F_SETFL, O_NONBLOCK) == 0, "O_NONBLOCK fails: %s", strerror(errno));
}

static void no_room_in_ring(void)
{
	full_ring(200);
}

static void some_room_in_ring(void)
{
	full_ring((size_t)2 * PAGE);
}

// The ring holds a dead reader's bytes, and his lease.
static void dead_leaseholder(void)
{
	victim_size = SMALL;
	make_former_ring(0);
	party = start_leaseholder();
	put(1, SMALL);
	expect_in_ring();
	kill_party_now(party);
}

static void sealed_ring(void)
{
	dead_leaseholder();
	put(2, SMALL);
}

// The ring is full and its reader does nothing, while another one waits in the kernel's pipe.
static void idle_leaseholder(void)
{
	writers_lose_patience = true;
	victim_size = SMALL;
	make_former_ring(PAGE);
	party = start_leaseholder();
	put(1, PAGE);
	other = start_foreign_reader(TAPE_PARTY, 100);
}

// ---- what the victim does ----

static void writev_it(void)
{
	const struct iovec iov[3] = {
		{victim_data, 10}, {victim_data + 10, 0}, {victim_data + 10, victim_size - 10}};

	ph_writev(wr, iov, 3);
}

static void write_it_nosignal(void)
{
	ph_write_nosignal(wr, victim_data, victim_size);
}

// ---- what must be there ----

static int victims_is_whole_or_absent(void)
{
	put(SURVIVORS, SMALL);
	return expect((const struct part[]){
			   {1, SMALL, WHOLE}, {VICTIMS, victim_size, MAYBE}, {SURVIVORS, SMALL, WHOLE}, {0}}) ==
	       victim_size;
}

static int victims_has_begun(void)
{
	put(SURVIVORS, SMALL);
	return expect((const struct part[]){{1, SMALL, WHOLE},
	                                    {VICTIMS, victim_size, PREFIX},
	                                    {SURVIVORS, SMALL, WHOLE},
	                                    {0}}) == victim_size;
}

// EAGAIN; or the idle leaseholder is passed by, and the kernel's pipe has it.
static int nothing_or_all_was_written(void)
{
	expect((const struct part[]){{1, PAGE - 100, WHOLE}, {VICTIMS, victim_size, MAYBE}, {0}});
	return 0;
}

// Whatever fits: the ring's rest, and what the kernel's pipe has.
static int some_was_written(void)
{
	expect((const struct part[]){{1, PAGE - 100, WHOLE}, {VICTIMS, victim_size, PREFIX}, {0}});
	return 0;
}

static int sealed_comes_first(void)
{
	put(SURVIVORS, SMALL);
	return expect((const struct part[]){{1, SMALL, WHOLE},
	                                    {2, SMALL, WHOLE},
	                                    {VICTIMS, victim_size, MAYBE},
	                                    {SURVIVORS, SMALL, WHOLE},
	                                    {0}}) == victim_size;
}

static void append(struct tape *to, const struct tape *from)
{
	memcpy(to->bytes + to->count, from->bytes, from->count);
	to->count += from->count;
}

// The other reader has it all; or the survivor has what still stood in the ring. Killed while it moves
// the ring, with the other reader so quick, the victim leaves nothing that says whether it had: both have
// it then (docs/limits.md).
static int idle_one_is_passed_by(void)
{
	struct tape *all = tape(TAPE_OTHER);

	close_writer();
	drain_to(tape(TAPE_OWN));
	kill_party_now(party);
	kill_join(other, "a reader in the kernel's pipe");
	append(all, tape(TAPE_PARTY));
	append(all, tape(TAPE_OWN));
	close_reader();
	expect_no_traces();
	return expect_on(all,
	                 (const struct part[]){
						 {1, PAGE, WHOLE}, {VICTIMS, victim_size, MAYBE}, {1, PAGE, MAYBE}, {0}}) ==
	       victim_size;
}

// ---- beside somebody who waits for bytes ----

static void reader_waits(void)
{
	empty_in_kernel();
	party = start_reader(TAPE_PARTY, 100);
}

static void two_readers_wait(void)
{
	reader_waits();
	other = start_reader(TAPE_OTHER, 100);
}

static void foreign_reader_waits(void)
{
	empty_in_kernel();
	party = start_foreign_reader(TAPE_PARTY, 100);
}

static void poller_waits(void)
{
	empty_in_kernel();
	party = start_poller(rd, POLLIN);
}

static void poller_of_ring_waits(void)
{
	empty_in_ring();
	party = start_poller(rd, POLLIN);
}

static int reader_has_it(void)
{
	KILL_CHECK(!got_through(party, pipe_is_empty, "a reader beside bytes"),
	           "end of file, though there is a writer");
	put(SURVIVORS, SMALL);
	close_writer();
	kill_join(party, "a reader at the end of file");
	close_reader();
	expect_no_traces();
	return expect_on(tape(TAPE_PARTY), (const struct part[]){{VICTIMS, victim_size, MAYBE},
	                                                         {SURVIVORS, SMALL, WHOLE},
	                                                         {0}}) == victim_size;
}

// Each record is read by one of them, and reads are atomic.
static int one_of_two_has_it(void)
{
	size_t n = 0;
	KILL_CHECK(!got_through(party, pipe_is_empty, "one of two readers beside bytes"),
	           "end of file, though there is a writer");
	close_writer();
	kill_join(party, "a reader at the end of file");
	kill_join(other, "another reader at the end of file");
	close_reader();
	expect_no_traces();
	for (int which = TAPE_PARTY; which <= TAPE_OTHER; which++)
		n += expect_on(tape(which), (const struct part[]){{VICTIMS, victim_size, MAYBE}, {0}});
	KILL_CHECK(n == 0 || n == victim_size, "%zu bytes of %zu were read", n, victim_size);
	return n != 0;
}

static int poller_was_told(void)
{
	const bool told = got_through(party, pipe_is_empty, "a poller beside bytes");
	put(SURVIVORS, SMALL);
	if (!told)
		kill_join(party, "a poller, after another write");
	return expect((const struct part[]){
			   {VICTIMS, victim_size, MAYBE}, {SURVIVORS, SMALL, WHOLE}, {0}}) == victim_size;
}

// ---- others want the lock, or died with it ----

static void write_as_contender(void)
{
	put_sleeping(2, SMALL);
}

static void write_and_die(void)
{
	unsigned char data[SMALL];

	fill_record(data, SMALL, 2);
	ph_write(wr, data, SMALL);
}

static int both_are_whole(void)
{
	kill_join(kill_contender(), "another writer");
	return expect((const struct part[]){{1, SMALL, WHOLE},
	                                    {VICTIMS, victim_size, MAYBE},
	                                    {kill_contender() ? 2 : 0, SMALL, WHOLE},
	                                    {0}}) == victim_size;
}

static int both_may_be_there(void)
{
	put(SURVIVORS, SMALL);
	expect((const struct part[]){{1, SMALL, WHOLE},
	                             {2, SMALL, MAYBE},
	                             {VICTIMS, victim_size, MAYBE},
	                             {SURVIVORS, SMALL, WHOLE},
	                             {0}});
	return 0;
}

static const struct kill_scenario scenarios[] = {
	{.name = "write_kernel_small",
     .prepare = kernel_small,
     .operation = victim_write,
     .after = victims_is_whole_or_absent,
     .last = 1},
	{.name = "write_kernel_page",
     .prepare = kernel_page,
     .operation = victim_write,
     .after = victims_is_whole_or_absent,
     .last = 1},
	{.name = "write_kernel_large",
     .prepare = kernel_large,
     .operation = victim_write,
     .after = victims_has_begun,
     .last = 1},
	{.name = "write_ring_small",
     .prepare = ring_small,
     .operation = victim_write,
     .after = victims_is_whole_or_absent,
     .last = 1},
	{.name = "write_ring_nosignal",
     .prepare = ring_small,
     .operation = write_it_nosignal,
     .after = victims_is_whole_or_absent,
     .last = 1},
	{.name = "write_ring_page_wraps",
     .prepare = ring_page_wraps,
     .operation = victim_write,
     .after = victims_is_whole_or_absent,
     .last = 1},
	{.name = "writev_ring_page_wraps",
     .prepare = ring_page_wraps,
     .operation = writev_it,
     .after = victims_is_whole_or_absent,
     .last = 1},
	{.name = "write_ring_large_wraps",
     .prepare = ring_large_wraps,
     .operation = victim_write,
     .after = victims_has_begun,
     .last = 1},
	{.name = "write_ring_without_room",
     .prepare = no_room_in_ring,
     .operation = victim_write,
     .after = nothing_or_all_was_written},
	{.name = "write_ring_with_some_room",
     .prepare = some_room_in_ring,
     .operation = victim_write,
     .after = some_was_written},
	{.name = "write_after_dead_leaseholder",
     .prepare = dead_leaseholder,
     .operation = victim_write,
     .after = victims_is_whole_or_absent,
     .last = 1},
	{.name = "write_behind_sealed_ring",
     .prepare = sealed_ring,
     .operation = victim_write,
     .after = sealed_comes_first,
     .last = 1},
	{.name = "write_past_idle_leaseholder",
     .prepare = idle_leaseholder,
     .operation = victim_write,
     .after = idle_one_is_passed_by,
     .last = 1},
	{.name = "write_wakes_reader",
     .prepare = reader_waits,
     .operation = victim_write,
     .after = reader_has_it,
     .last = 1},
	{.name = "write_wakes_one_of_two_readers",
     .prepare = two_readers_wait,
     .operation = victim_write,
     .after = one_of_two_has_it,
     .last = 1},
	{.name = "write_wakes_foreign_reader",
     .prepare = foreign_reader_waits,
     .operation = victim_write,
     .after = reader_has_it,
     .last = 1},
	{.name = "write_wakes_poller",
     .prepare = poller_waits,
     .operation = victim_write,
     .after = poller_was_told,
     .last = 1},
	{.name = "write_wakes_poller_of_former_ring",
     .prepare = poller_of_ring_waits,
     .operation = victim_write,
     .after = poller_was_told,
     .last = 1},
	{.name = "write_ring_contended",
     .prepare = ring_small,
     .operation = victim_write,
     .contend = write_as_contender,
     .after = both_are_whole,
     .last = 1},
	{.name = "write_ring_after_dead_writer",
     .prepare = ring_small,
     .predecessor = write_and_die,
     .operation = victim_write,
     .after = both_may_be_there},
};

const struct scenario_table pipe_write = SCENARIO_TABLE(scenarios);

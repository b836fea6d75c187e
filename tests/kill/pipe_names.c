// SPDX-License-Identifier: MIT
//
// tests/kill/pipe_names.c - FIFOs: made, opened from both sides, met in the ring, closed; and the files
// that the dead leave. See pipe_stream.h.
//
// A side that waits for another in open is found by whoever comes next, whoever died before. The name
// leads to a FIFO that works, always.
#include "pipe_scenarios.h"

#include "pipe/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pid_t party;
static char path[300];
static int own = -1; // the victim's

// ---- the FIFO ----

static void no_fifo(void)
{
	victim_size = SMALL;
	prepare_round();
	snprintf(path, sizeof(path), "%s/f", kill_scratch());
}

static void a_fifo(void)
{
	no_fifo();
	KILL_CHECK(ph_mkfifo(path, 0600) == 0, "mkfifo fails: %s", strerror(errno));
}

static int open_as(int flags)
{
	kill_note("opening the FIFO");
	const int fd = ph_open(path, flags | O_CLOEXEC);
	KILL_CHECK(fd != -1, "open fails: %s", strerror(errno));
	return fd;
}

// Both ends, without waiting for anybody. A FIFO that somebody else has, too, is one and the same.
static void open_both(void)
{
	rd = open_as(O_RDONLY | O_NONBLOCK);
	wr = open_as(O_WRONLY);
	KILL_CHECK(ph_fcntl(rd, F_SETFL, 0) == 0, "fcntl fails: %s", strerror(errno));
}

static void open_fifo(void)
{
	a_fifo();
	open_both();
}

static void leased_fifo(void)
{
	open_fifo();
	take_lease();
	put(1, SMALL);
	expect_in_ring();
}

static void read_as_party(void)
{
	rd = open_as(O_RDONLY);
	drain_to(tape(TAPE_PARTY));
}

static void write_as_party(void)
{
	wr = open_as(O_WRONLY);
	put_sleeping(2, SMALL);
}

static void a_waiting_reader(void)
{
	a_fifo();
	party = kill_party(read_as_party);
	kill_await_asleep(party);
}

static void a_waiting_writer(void)
{
	a_fifo();
	party = kill_party(write_as_party);
	kill_await_asleep(party);
}

// A file of a ring that nobody has any more, of this very FIFO.
static void lease_as_party(void)
{
	open_both();
	take_lease();
	put(3, SMALL);
}

static void lease_and_wait(void)
{
	lease_as_party();
	announce_readiness();
}

static void a_leftover(void)
{
	a_fifo();
	kill_party_now(start_and_await_readiness(lease_and_wait));
}

// ---- what the victim does ----

static void make_it(void)
{
	ph_mkfifo(path, 0600);
}

static void open_reader(void)
{
	own = ph_open(path, O_RDONLY);
}

static void open_writer(void)
{
	own = ph_open(path, O_WRONLY);
}

static void open_reader_at_once(void)
{
	own = ph_open(path, O_RDONLY | O_NONBLOCK);
}

static void open_writer_in_vain(void)
{
	own = ph_open(path, O_WRONLY | O_NONBLOCK);
}

static void open_for_both(void)
{
	own = ph_open(path, O_RDWR);
}

static void open_and_write(void)
{
	wr = ph_open(path, O_WRONLY);
	victim_write();
}

static void open_and_read(void)
{
	rd = ph_open(path, O_RDONLY);
	victim_read();
}

static void close_own(void)
{
	ph_close(own);
}

static void meet_writer(unsigned nth)
{
	if (nth == 0)
		wr = open_as(O_WRONLY);
}

static void meet_reader(unsigned nth)
{
	if (nth == 0)
		rd = open_as(O_RDONLY);
}

// ---- what must be there ----

static void close_all(void)
{
	close_writer();
	close_reader();
	if (own != -1)
		ph_close(own);
	own = -1;
}

static void expect_exchange(void)
{
	put(SURVIVORS, SMALL);
	expect((const struct part[]){{SURVIVORS, SMALL, WHOLE}, {0}});
}

static int works(void)
{
	close_all();
	open_both();
	take_lease();
	expect_exchange();
	return 0;
}

static int works_if_it_is_there(void)
{
	struct stat st;
	const bool there = stat(path, &st) == 0;

	KILL_CHECK(!there || S_ISFIFO(st.st_mode), "it has the mode %o", (unsigned)st.st_mode);
	KILL_CHECK(there || ph_mkfifo(path, 0600) == 0, "mkfifo fails: %s", strerror(errno));
	works();
	return there;
}

// The party waits in open, unless it has met the victim.
static void meet_reader_in_open(void)
{
	kill_note("meeting a reader who waits in open");
	while (!kill_has_ended(party)) {
		wr = ph_open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
		KILL_CHECK(wr != -1 || errno == ENXIO, "open fails: %s", strerror(errno));
		if (wr != -1) {
			put_sleeping(SURVIVORS, SMALL); // too late, if the party has just seen the end of file
			close_writer();
			break;
		}
		pause_a_little();
	}
	kill_join(party, "a reader who waits in open");
}

static int waiting_reader_is_met(void)
{
	meet_reader_in_open();
	const size_t found =
		expect_on(tape(TAPE_PARTY),
	              (const struct part[]){{VICTIMS, SMALL, MAYBE}, {SURVIVORS, SMALL, MAYBE}, {0}});
	works();
	return found != 0;
}

// If the victim was met, and read nothing, the record is gone with the last reader.
static int waiting_writer_is_met(void)
{
	rd = open_as(O_RDONLY | O_NONBLOCK);
	kill_join(party, "a writer who waits in open");
	drain_to(tape(TAPE_PARTY));
	close_reader();
	expect_on(tape(TAPE_PARTY), (const struct part[]){{2, SMALL, MAYBE}, {0}});
	return works();
}

static int bytes_are_there(void)
{
	put(SURVIVORS, SMALL);
	expect((const struct part[]){{1, SMALL, WHOLE}, {SURVIVORS, SMALL, WHOLE}, {0}});
	return works();
}

static int written_behind(void)
{
	put(SURVIVORS, SMALL);
	return expect((const struct part[]){
			   {1, SMALL, WHOLE}, {VICTIMS, SMALL, MAYBE}, {SURVIVORS, SMALL, WHOLE}, {0}}) != 0;
}

// ---- what dead pipes leave ----

static void make_ring_as_party(void)
{
	make_ring(0);
	put(1, SMALL);
	announce_readiness();
}

static void make_another_ring(void)
{
	int fds[2];

	if (ph_pipe(fds) == 0)
		phi_pipe_force_lease(fds[0]);
}

static void a_leftover_of_a_pipe(void)
{
	prepare_round();
	kill_party_now(start_and_await_readiness(make_ring_as_party));
	KILL_CHECK(count_names() == 1, "%u names are left behind", count_names());
}

// Who makes a ring tidies up; and a pipe that is closed leaves nothing.
static int next_ring_tidies_up(void)
{
	make_ring(0);
	KILL_CHECK(count_names() == 1, "%u names beside one ring", count_names());
	expect_exchange();
	return 0;
}

static const struct kill_scenario scenarios[] = {
	{.name = "mkfifo",
     .prepare = no_fifo,
     .operation = make_it,
     .after = works_if_it_is_there,
     .last = 1},
	{.name = "open_for_reading_waits",
     .prepare = a_fifo,
     .operation = open_reader,
     .wake = meet_writer,
     .after = works},
	{.name = "open_for_writing_waits",
     .prepare = a_fifo,
     .operation = open_writer,
     .wake = meet_reader,
     .after = works},
	{.name = "open_for_reading_at_once",
     .prepare = a_fifo,
     .operation = open_reader_at_once,
     .after = works},
	{.name = "open_for_writing_in_vain",
     .prepare = a_fifo,
     .operation = open_writer_in_vain,
     .after = works},
	{.name = "open_for_both", .prepare = a_fifo, .operation = open_for_both, .after = works},
	{.name = "open_meets_waiting_reader",
     .prepare = a_waiting_reader,
     .operation = open_and_write,
     .after = waiting_reader_is_met,
     .last = 1},
	{.name = "open_meets_waiting_writer",
     .prepare = a_waiting_writer,
     .operation = open_and_read,
     .after = waiting_writer_is_met},
	{.name = "open_for_reading_beside_ring",
     .prepare = leased_fifo,
     .operation = open_reader_at_once,
     .after = bytes_are_there},
	{.name = "open_for_writing_beside_ring",
     .prepare = leased_fifo,
     .operation = open_and_write,
     .after = written_behind,
     .last = 1},
	{.name = "close_beside_ring",
     .prepare = leased_fifo,
     .enter = open_for_both,
     .operation = close_own,
     .after = bytes_are_there},
	{.name = "open_finds_leftover",
     .prepare = a_leftover,
     .operation = lease_as_party,
     .after = works},
	{.name = "ring_beside_leftover",
     .prepare = a_leftover_of_a_pipe,
     .operation = make_another_ring,
     .after = next_ring_tidies_up},
};

const struct scenario_table pipe_names = SCENARIO_TABLE(scenarios);

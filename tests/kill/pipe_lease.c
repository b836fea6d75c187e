// SPDX-License-Identifier: MIT
//
// tests/kill/pipe_lease.c - the lease is taken, and given back: by one who polls, exports, asks for
// packets, changes the size. See pipe_stream.h.
//
// Giving back moves the ring's bytes into the kernel's pipe. Wherever that ends, they are read once and
// in order by a reader of the library; and by one without it, once the call has returned.
#include "pipe_scenarios.h"

#include "pipe/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <unistd.h>

static pid_t party;
static int epoll_fd = -1;

static const struct part two[] = {{1, SMALL, WHOLE}, {2, SMALL, WHOLE}, {0}};

// ---- the pipe ----

static void kernel_empty(void)
{
	make_pipe(0);
}

static void kernel_two(void)
{
	make_pipe(0);
	put(1, SMALL);
	put(2, SMALL);
}

static void kernel_full(void)
{
	make_pipe((size_t)2 * PAGE);
	put(1, PAGE);
	put(2, PAGE);
}

static void ring_two(void)
{
	make_ring(0);
	put(1, SMALL);
	put(2, SMALL);
	expect_in_ring();
}

static void ring_wraps(void)
{
	make_ring(PAGE);
	advance(PAGE - SMALL - 10);
	put(1, SMALL);
	put(2, SMALL);
	expect_in_ring();
}

static void former_ring(void)
{
	make_former_ring(0);
}

static void former_ring_two(void)
{
	former_ring();
	put(1, SMALL);
	put(2, SMALL);
}

static void reader_asleep(void)
{
	former_ring();
	party = start_reader(TAPE_PARTY, 100);
}

// The ring's bytes are those of a dead leaseholder, the kernel's pipe has newer ones.
static void sealed_ring(void)
{
	make_former_ring(0);
	party = start_leaseholder();
	put(1, SMALL);
	expect_in_ring();
	kill_party_now(party);
	put(2, SMALL);
}

// ---- what the victim does ----

static void try_lease(void)
{
	phi_pipe_force_lease(rd);
}

static void poll_it(void)
{
	struct pollfd p = {.fd = rd, .events = POLLIN};

	poll(&p, 1, 0);
}

static void poll_for_room(void)
{
	struct pollfd p = {.fd = wr, .events = POLLOUT};

	poll(&p, 1, 0);
}

static void select_it(void)
{
	struct timeval none = {0};
	fd_set set;

	FD_ZERO(&set);
	FD_SET(rd, &set);
	select(rd + 1, &set, NULL, NULL, &none);
}

static void make_epoll(void)
{
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
}

static void watch_it(void)
{
	struct epoll_event e = {.events = EPOLLIN};

	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, rd, &e);
}

static void export_it(void)
{
	ph_export(rd);
}

static void export_writer(void)
{
	ph_export(wr);
}

static void ask_for_packets(void)
{
	ph_fcntl(wr, F_SETFL, O_DIRECT);
}

static void make_larger(void)
{
	ph_fcntl(wr, F_SETPIPE_SZ, 4 * USUAL);
}

static void make_smaller(void)
{
	ph_fcntl(wr, F_SETPIPE_SZ, PAGE);
}

static void ask_how_much(void)
{
	int n;

	ph_ioctl(rd, FIONREAD, &n);
}

// ---- what must be there ----

static int works(void)
{
	put(SURVIVORS, SMALL);
	expect((const struct part[]){{SURVIVORS, SMALL, WHOLE}, {0}});
	return 0;
}

// What the victim had read from the kernel's pipe, and not put into the ring, is gone with it.
static int one_reader_took_all_or_nothing(void)
{
	const size_t missing = expect_rest(two);

	KILL_CHECK(missing == 0 || missing == 2 * SMALL, "%zu bytes are missing", missing);
	return 0;
}

static int pages_are_there_or_taken(void)
{
	const size_t missing =
		expect_rest((const struct part[]){{1, PAGE, WHOLE}, {2, PAGE, WHOLE}, {0}});

	KILL_CHECK(missing % PAGE == 0, "%zu bytes are missing", missing);
	return 0;
}

static int reader_asleep_has_all(void)
{
	put(SURVIVORS, SMALL);
	KILL_CHECK(!got_through(party, pipe_is_empty, "a reader in the kernel's pipe"),
	           "end of file, though there is a writer");
	close_writer();
	kill_join(party, "a reader at the end of file");
	close_reader();
	expect_no_traces();
	expect_on(tape(TAPE_PARTY), (const struct part[]){{SURVIVORS, SMALL, WHOLE}, {0}});
	return 0;
}

static int all_is_there(void)
{
	put(SURVIVORS, SMALL);
	expect((const struct part[]){
		{1, SMALL, WHOLE}, {2, SMALL, WHOLE}, {SURVIVORS, SMALL, WHOLE}, {0}});
	return 0;
}

static int foreign_reader_has_all(void)
{
	close_writer();
	drain_raw_to(tape(TAPE_OWN));
	const bool there = tape(TAPE_OWN)->count != 0;
	if (there)
		expect_on(tape(TAPE_OWN), two);
	close_reader();
	expect_no_traces();
	return there;
}

static const struct kill_scenario scenarios[] = {
	{.name = "lease_of_new_ring", .prepare = kernel_empty, .operation = try_lease, .after = works},
	{.name = "lease_of_former_ring",
     .prepare = former_ring,
     .operation = try_lease,
     .after = works},
	{.name = "lease_drains_into_new_ring",
     .prepare = kernel_two,
     .operation = try_lease,
     .after = one_reader_took_all_or_nothing},
	{.name = "lease_drains_into_former_ring",
     .prepare = former_ring_two,
     .operation = try_lease,
     .after = one_reader_took_all_or_nothing},
	{.name = "lease_drains_full_pipe",
     .prepare = kernel_full,
     .operation = try_lease,
     .after = pages_are_there_or_taken},
	{.name = "lease_beside_reader_asleep",
     .prepare = reader_asleep,
     .operation = try_lease,
     .after = reader_asleep_has_all},
	{.name = "lease_of_sealed_ring",
     .prepare = sealed_ring,
     .operation = try_lease,
     .after = all_is_there},
	{.name = "poll_flushes", .prepare = ring_two, .operation = poll_it, .after = all_is_there},
	{.name = "poll_flushes_for_foreign_reader",
     .prepare = ring_two,
     .operation = poll_it,
     .after = foreign_reader_has_all,
     .last = 1},
	{.name = "poll_flushes_wrapped_ring",
     .prepare = ring_wraps,
     .operation = poll_it,
     .after = all_is_there},
	{.name = "poll_beside_sealed_ring",
     .prepare = sealed_ring,
     .operation = poll_it,
     .after = all_is_there},
	{.name = "poll_for_room_flushes",
     .prepare = ring_two,
     .operation = poll_for_room,
     .after = all_is_there},
	{.name = "select_flushes", .prepare = ring_two, .operation = select_it, .after = all_is_there},
	{.name = "epoll_flushes",
     .prepare = ring_two,
     .enter = make_epoll,
     .operation = watch_it,
     .after = all_is_there},
	{.name = "export_flushes", .prepare = ring_two, .operation = export_it, .after = all_is_there},
	{.name = "export_flushes_for_foreign_reader",
     .prepare = ring_two,
     .operation = export_it,
     .after = foreign_reader_has_all,
     .last = 1},
	{.name = "export_by_writer_flushes",
     .prepare = ring_wraps,
     .operation = export_writer,
     .after = all_is_there},
	{.name = "packets_flush",
     .prepare = ring_two,
     .operation = ask_for_packets,
     .after = all_is_there},
	{.name = "pipe_made_larger",
     .prepare = ring_two,
     .operation = make_larger,
     .after = all_is_there},
	{.name = "pipe_made_smaller",
     .prepare = ring_two,
     .operation = make_smaller,
     .after = all_is_there},
	{.name = "fionread", .prepare = ring_two, .operation = ask_how_much, .after = all_is_there},
};

const struct scenario_table pipe_lease = SCENARIO_TABLE(scenarios);

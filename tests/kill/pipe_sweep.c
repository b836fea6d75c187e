// SPDX-License-Identifier: MIT
//
// tests/kill/pipe_sweep.c - the kill sweep of pipes and FIFOs. The scenarios are in the other pipe_*.c,
// the engine in sweep.c; `pipe_sweep --list` lists, `--only NAME --full` looks closely at one.
#include "pipe_scenarios.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCENARIOS_MAX = 160 };

// Near relatives of others, or most of their instructions are the making of a ring: swept with --full,
// --only or --list alone.
static const char *const left_to_full[] = {
	"write_kernel_page",
	"write_kernel_large",
	"write_ring_nosignal",
	"writev_ring_page_wraps",
	"write_wakes_one_of_two_readers",
	"write_wakes_poller_of_former_ring",
	"read_kernel_large",
	"readv_ring_wraps",
	"read_kernel_wakes_writer",
	"sleeping_write_kernel_page",
	"sleeping_write_kernel_large",
	"sleeping_read_before_another",
	"write_beside_reader_about_to_sleep",
	"last_writer_writes_to_foreign_reader",
	"last_writer_closes_beside_poller",
	"last_reader_reads_kernel_from_sleeping_writer",
	"lease_drains_into_new_ring",
	"lease_drains_full_pipe",
	"poll_for_room_flushes",
	"select_flushes",
	"epoll_flushes",
	"export_flushes",
	"packets_flush",
	"pipe_made_smaller",
	"close_of_both",
	"dup2_of_leaseholder",
	"forget",
	"fork_of_leaseholder",
	"exec_of_leaseholder",
	"exit_of_leaseholder",
	"reserve_and_commit_in_wrapped_ring",
	"reserve_and_commit_in_kernel",
	"peek_and_consume_in_kernel",
	"sleeping_peek",
	"open_for_writing_waits",
	"open_for_reading_at_once",
	"open_for_both",
	"open_meets_waiting_writer",
	"ring_beside_leftover",
};

static bool is_left_to_full(const char *name)
{
	for (size_t i = 0; i < sizeof(left_to_full) / sizeof(left_to_full[0]); i++)
		if (strcmp(left_to_full[i], name) == 0)
			return true;
	return false;
}

// Who looks closely wants to see all of them.
static bool wants_every(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--stride") != 0 && strncmp(argv[i], "--", 2) == 0)
			return true;
	return false;
}

static size_t gather(struct kill_scenario *all, bool every)
{
	static const struct scenario_table *const tables[] = {&pipe_write, &pipe_read,  &pipe_sleep,
	                                                      &pipe_ends,  &pipe_lease, &pipe_calls,
	                                                      &pipe_loans, &pipe_names};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (size_t k = 0; k < tables[i]->count && n < SCENARIOS_MAX; k++)
			if (every || !is_left_to_full(tables[i]->scenarios[k].name))
				all[n++] = tables[i]->scenarios[k];
	return n;
}

int main(int argc, char **argv)
{
	static struct kill_scenario all[SCENARIOS_MAX];

	// A victim that spins takes another path each time. Set before the program starts anew.
	setenv("POSTHASTE_SPIN_NS", "0", 1);
	return kill_main(argc, argv, all, gather(all, wants_every(argc, argv)));
}

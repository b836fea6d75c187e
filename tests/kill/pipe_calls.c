// SPDX-License-Identifier: MIT
//
// tests/kill/pipe_calls.c - the victim, who has the lease and bytes in the ring, leaves: it closes, puts
// something else in the place of its end, forks, starts another program, exits. See pipe_stream.h.
//
// With a reader of the library left, nothing is lost at any moment. A reader without it misses nothing
// after the call; what the victim has before counts as read by the victim.
#include "pipe_scenarios.h"

#include "pipe/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct part two[] = {{1, SMALL, WHOLE}, {2, SMALL, WHOLE}, {0}};

static int spare = -1;

// ---- the pipe ----

static void former_ring(void)
{
	make_former_ring(0);
}

static void ring_and_orphans(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	make_former_ring(0);
}

static void ring_two(void)
{
	make_ring(0);
	put(1, SMALL);
	put(2, SMALL);
}

// The victim's, before the operation.
static void lease_two(void)
{
	take_lease();
	put(1, SMALL);
	put(2, SMALL);
	expect_in_ring();
	spare = open("/dev/null", O_RDWR | O_CLOEXEC);
}

// ---- what the victim does ----

static void close_reading_end(void)
{
	ph_close(rd);
}

static void close_writing_end(void)
{
	ph_close(wr);
}

static void close_both(void)
{
	ph_close(rd);
	ph_close(wr);
}

static void replace_it(void)
{
	ph_dup2(spare, rd);
}

static void duplicate_and_close(void)
{
	ph_dup2(rd, spare);
	ph_close(rd);
}

static void forget_it(void)
{
	ph_pipe_forget(rd);
}

static void fork_and_wait(void)
{
	const pid_t child = fork();

	if (child == 0)
		_exit(0);
	waitpid(child, NULL, 0);
}

// The child may outlive the victim. It becomes the survivor's then.
static void fork_reader_and_wait(void)
{
	const pid_t child = fork();

	if (child == 0) {
		close_writer();
		_exit(read_to(tape(TAPE_PARTY), SMALL) < 0);
	}
	waitpid(child, NULL, 0);
}

// The pipe is given back before the new program is looked for.
static void exec_in_vain(void)
{
	char *const argv[] = {(char[]){"none"}, NULL};

	execv("/dev/null/none", argv);
}

static void spawn_and_wait(void)
{
	char *const argv[] = {(char[]){"true"}, NULL};
	pid_t child;

	if (posix_spawn(&child, "/bin/true", NULL, NULL, argv, environ) == 0)
		waitpid(child, NULL, 0);
}

static void leave(void)
{
	phi_pipe_exit();
}

// ---- what must be there ----

static int all_is_there(void)
{
	put(SURVIVORS, SMALL);
	expect((const struct part[]){
		{1, SMALL, WHOLE}, {2, SMALL, WHOLE}, {SURVIVORS, SMALL, WHOLE}, {0}});
	return 0;
}

// The child has read one record, the survivor has the others in order.
static int child_has_one(void)
{
	put(SURVIVORS, SMALL);
	close_writer();
	drain_to(tape(TAPE_OWN));
	kill_note("waiting for the victim's child");
	while (wait(NULL) != -1)
		;
	const struct tape *child = tape(TAPE_PARTY);
	const size_t taken =
		expect_on(child, (const struct part[]){
							 {1, SMALL, MAYBE}, {2, SMALL, MAYBE}, {SURVIVORS, SMALL, MAYBE}, {0}});
	const size_t own = tape(TAPE_OWN)->count;
	KILL_CHECK(child->count == 0 || child->count == SMALL, "the child read %zu bytes",
	           child->count);
	KILL_CHECK(child->count + own == (size_t)3 * SMALL, "%zu and %zu bytes came out", child->count,
	           own);
	expect((const struct part[]){
		{1, SMALL, MAYBE}, {2, SMALL, MAYBE}, {SURVIVORS, SMALL, MAYBE}, {0}});
	return taken != 0;
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
	{.name = "close_of_leaseholder",
     .prepare = former_ring,
     .enter = lease_two,
     .operation = close_reading_end,
     .after = all_is_there},
	{.name = "close_of_leaseholder_beside_foreign_reader",
     .prepare = former_ring,
     .enter = lease_two,
     .operation = close_reading_end,
     .after = foreign_reader_has_all,
     .last = 1},
	{.name = "close_beside_leaseholder",
     .prepare = ring_two,
     .operation = close_both,
     .after = all_is_there},
	{.name = "close_of_writer",
     .prepare = former_ring,
     .enter = lease_two,
     .operation = close_writing_end,
     .after = all_is_there},
	{.name = "close_of_both",
     .prepare = former_ring,
     .enter = lease_two,
     .operation = close_both,
     .after = all_is_there},
	{.name = "dup2_replaces_leaseholder",
     .prepare = former_ring,
     .enter = lease_two,
     .operation = replace_it,
     .after = all_is_there},
	{.name = "dup2_of_leaseholder",
     .prepare = former_ring,
     .enter = lease_two,
     .operation = duplicate_and_close,
     .after = all_is_there},
	{.name = "forget",
     .prepare = former_ring,
     .enter = lease_two,
     .operation = forget_it,
     .after = all_is_there},
	{.name = "fork_of_leaseholder",
     .prepare = former_ring,
     .enter = lease_two,
     .operation = fork_and_wait,
     .after = all_is_there},
	{.name = "fork_of_leaseholder_and_read",
     .prepare = ring_and_orphans,
     .enter = lease_two,
     .operation = fork_reader_and_wait,
     .after = child_has_one,
     .first = KILL_EITHER},
	{.name = "exec_of_leaseholder",
     .prepare = former_ring,
     .enter = lease_two,
     .operation = exec_in_vain,
     .after = all_is_there},
	{.name = "exec_of_leaseholder_beside_foreign_reader",
     .prepare = former_ring,
     .enter = lease_two,
     .operation = exec_in_vain,
     .after = foreign_reader_has_all,
     .last = 1},
	{.name = "spawn_by_leaseholder",
     .prepare = former_ring,
     .enter = lease_two,
     .operation = spawn_and_wait,
     .after = all_is_there},
	{.name = "exit_of_leaseholder",
     .prepare = former_ring,
     .enter = lease_two,
     .operation = leave,
     .after = foreign_reader_has_all,
     .last = 1},
};

const struct scenario_table pipe_calls = SCENARIO_TABLE(scenarios);

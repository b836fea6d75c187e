// SPDX-License-Identifier: MIT
//
// tests/kill/signal_port.c - who has to do with a named port is killed: the members that live get what is sent to it,
// those that died have left, and the name goes with its last member. See signal_stage.h.
#include "signal_scenarios.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME "/crowd"

static pid_t member;

static sigset_t rt(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, RT);
	return set;
}

static int join(void)
{
	const sigset_t set = rt();

	return ph_sigport_join(NAME, &set, 0600) == 0 ? 0 : errno;
}

static int send_to_name(int value)
{
	const int r = ph_sigport_send(NAME, RT, (union sigval){.sival_int = value}, "payload", 8);

	return r >= 0 ? r : -errno;
}

static bool is_there(void)
{
	char path[320];
	struct stat st;

	snprintf(path, sizeof path, "%s/port.%s", kill_scratch(), NAME + 1);
	return stat(path, &st) == 0;
}

// ---- members ----

static void be_member(void)
{
	block_here();
	KILL_CHECK(join() == 0, "join: %s", strerror(errno));
	take_until_last();
}

static void prepare_member(void)
{
	member = kill_party(be_member);
	kill_await_asleep(member);
}

static void prepare_nobody(void)
{
	member = 0;
}

static void die_at_once(void)
{
	block_here();
	KILL_CHECK(join() == 0, "join: %s", strerror(errno));
	for (;;)
		pause();
}

static void prepare_member_and_dead(void)
{
	const pid_t dead = kill_party(die_at_once);

	kill_await_asleep(dead);
	kill(dead, SIGKILL);
	while (waitpid(dead, NULL, 0) == -1 && errno == EINTR)
		;
	prepare_member();
}

// ---- the victim's ----

static void join_it(void)
{
	got()->result = join();
}

static void join_otherwise(void)
{
	sigset_t set = rt();

	sigaddset(&set, SIGUSR2);
	got()->result = ph_sigport_join(NAME, &set, 0600);
}

static void leave_it(void)
{
	got()->result = ph_sigport_leave(NAME);
}

static void send_own_to_name(void)
{
	got()->result = send_to_name(OWN);
}

static void enter_port(void)
{
	take_here();
	join_it();
}

// ---- the end ----

// The member is there still, and alone: whoever is sent to counts one, and it gets everything.
static int member_alone(void)
{
	kill_note("sending to the name");
	await_settled(member);
	const int early = got()->count;
	int r = send_to_name(LATE);
	KILL_CHECK(r == 1, "a send to the name reaches %d", r);
	KILL_CHECK(join() == 0, "a survivor cannot join: %s", strerror(errno));
	take_here();
	r = send_to_name(LATE + 1);
	KILL_CHECK(r == 2, "a send to two reaches %d", r);
	KILL_CHECK(ph_sigport_leave(NAME) == 0, "leave: %s", strerror(errno));
	await_settled(member);
	KILL_CHECK(send_to_name(LAST) == 1, "the last cannot be sent");
	kill_join(member, "the member");
	KILL_CHECK(got()->count == early + 3 && got()->values[got()->count - 1] == LAST,
	           "the member got %d signals", got()->count);
	got()->count--;
	return expect_values(0, 2);
}

// Nobody is left: the name leads nowhere, can be had anew, and goes again.
static int nobody_left(void)
{
	kill_note("sending to nobody");
	int r = send_to_name(LATE);
	KILL_CHECK(r == -ESRCH, "a send to nobody says %d", r);
	KILL_CHECK(!is_there(), "the name is left over");
	KILL_CHECK(join() == 0, "the name cannot be had anew: %s", strerror(errno));
	take_here();
	r = send_to_name(LATE);
	KILL_CHECK(r == 1, "a send to oneself reaches %d", r);
	KILL_CHECK(ph_sigport_leave(NAME) == 0, "leave: %s", strerror(errno));
	KILL_CHECK(!is_there(), "the name stays when the last has left");
	take_all_here();
	return expect_values(0, 1);
}

static const struct kill_scenario scenarios[] = {
	{.name = "join_new",
     .prepare = prepare_nobody,
     .enter = take_here,
     .operation = join_it,
     .after = nobody_left},
	{.name = "join_beside_a_member",
     .prepare = prepare_member,
     .enter = take_here,
     .operation = join_it,
     .after = member_alone},
	{.name = "join_where_one_died",
     .prepare = prepare_member_and_dead,
     .enter = take_here,
     .operation = join_it,
     .after = member_alone},
	{.name = "join_again",
     .prepare = prepare_member,
     .enter = enter_port,
     .operation = join_otherwise,
     .after = member_alone},
	{.name = "leave_last",
     .prepare = prepare_nobody,
     .enter = enter_port,
     .operation = leave_it,
     .after = nobody_left},
	{.name = "leave_beside_a_member",
     .prepare = prepare_member,
     .enter = enter_port,
     .operation = leave_it,
     .after = member_alone},
	{.name = "send_to_member",
     .prepare = prepare_member,
     .operation = send_own_to_name,
     .after = member_alone,
     .last = 1},
	{.name = "send_where_one_died",
     .prepare = prepare_member_and_dead,
     .operation = send_own_to_name,
     .after = member_alone,
     .last = 1},
};

const struct scenario_table signal_port = SCENARIO_TABLE(scenarios);

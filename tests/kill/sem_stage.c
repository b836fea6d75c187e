// SPDX-License-Identifier: MIT
//
// tests/kill/sem_stage.c - see sem_stage.h.
#include "sem_stage.h"

#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

sem_t *sem;

static bool with_holders;

// ---- making ----

void make_unnamed(unsigned units)
{
	sem = kill_shared();
	with_holders = false;
	KILL_CHECK(ph_sem_init(sem, 1, units) == 0, "init: %s", strerror(errno));
}

static void make(int oflag, unsigned units)
{
	sem = ph_sem_open(NAME, O_CREAT | O_EXCL | oflag, 0600, units);
	KILL_CHECK(sem != SEM_FAILED, "open: %s", strerror(errno));
	with_holders = oflag != 0;
}

void make_named(unsigned units)
{
	make(0, units);
}

void make_holders(unsigned units)
{
	make(PH_SEM_HOLDERS, units);
}

// A relative of the survivor has its handle already, and becomes a holder with its first take.
void open_own(void)
{
	const int r = ph_sem_trywait(sem);

	KILL_CHECK(r == 0 && ph_sem_post(sem) == 0, "becoming a holder: %s", strerror(errno));
}

void take(unsigned units)
{
	for (unsigned i = 0; i < units; i++)
		KILL_CHECK(ph_sem_trywait(sem) == 0, "a unit is missing: %s", strerror(errno));
}

void post(void)
{
	KILL_CHECK(ph_sem_post(sem) == 0, "post: %s", strerror(errno));
}

// ---- parties ----

void wait_for_one(void)
{
	KILL_CHECK(ph_sem_wait(sem) == 0, "a party's wait: %s", strerror(errno));
}

static void wait_for_two(void)
{
	KILL_CHECK(ph_sem_take(sem, 2, CLOCK_MONOTONIC, NULL) == 0, "a party's take: %s",
	           strerror(errno));
}

static void hold_one(void)
{
	take(1);
	for (;;)
		pause();
}

static pid_t start_asleep(void (*fn)(void))
{
	const pid_t party = kill_party(fn);

	kill_await_asleep(party);
	return party;
}

pid_t start_waiter(void)
{
	return start_asleep(wait_for_one);
}

pid_t start_waiter_for_two(void)
{
	return start_asleep(wait_for_two);
}

pid_t start_holder(void)
{
	return start_asleep(hold_one);
}

void kill_and_join(pid_t party)
{
	kill(party, SIGKILL);
	while (waitpid(party, NULL, 0) == -1 && errno == EINTR)
		;
}

void leave_dead_holder(void)
{
	const pid_t pid = fork();

	if (pid == 0)
		hold_one();
	kill_await_asleep(pid);
	kill_and_join(pid);
}

// ---- judging ----

static void pause_a_little(void)
{
	const struct timespec moment = {.tv_nsec = 50000};

	nanosleep(&moment, NULL);
}

static bool sleeps_now(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	const bool asleep = fd != -1 && stat_says_asleep(fd);
	if (fd != -1)
		close(fd);
	return asleep;
}

static unsigned units_now(void)
{
	int value = 0;

	KILL_CHECK(ph_sem_getvalue(sem, &value) == 0 && value >= 0, "getvalue: %s", strerror(errno));
	return (unsigned)value;
}

// What a sleeper could have: the units that are there, and those of the dead.
static unsigned units_within_reach(void)
{
	static struct ph_sem_info info;
	unsigned units;

	if (!with_holders)
		return units_now();
	KILL_CHECK(ph_sem_info(NAME, &info) == 0, "info: %s", strerror(errno));
	units = info.value;
	for (size_t i = 0; i < info.held_count; i++)
		units += info.held[i].dead ? info.held[i].units : 0;
	return units;
}

bool got_units(pid_t party, unsigned units, const char *who)
{
	char note[100];

	snprintf(note, sizeof note, "%s should have units and sleeps", who);
	kill_note(note);
	while (!kill_has_ended(party)) {
		if (sleeps_now(party) && units_within_reach() < units && sleeps_now(party))
			return false;
		pause_a_little();
	}
	kill_join(party, who);
	return true;
}

unsigned count_units(void)
{
	return units_now();
}

// Take what is there, and give it back. With holders, until there are `at_least` so many: who is dying has its lock
// for a moment still.
static unsigned settled_units(unsigned at_least)
{
	unsigned units = 0;

	kill_note("units should come back, and do not");
	for (;;) {
		if (ph_sem_trywait(sem) == 0) {
			units++;
			continue;
		}
		KILL_CHECK(errno == EAGAIN, "trywait: %s", strerror(errno));
		if (!with_holders || units >= at_least)
			break;
		pause_a_little();
	}
	for (unsigned i = 0; i < units; i++)
		post();
	return units;
}

int expect_one_more(unsigned units)
{
	const unsigned there = settled_units(units);

	KILL_CHECK(there == units || there == units + 1, "%u units are there instead of %u", there,
	           units);
	return there != units;
}

void expect_units(unsigned units)
{
	const unsigned there = settled_units(units);

	KILL_CHECK(there == units, "%u units are there instead of %u", there, units);
}

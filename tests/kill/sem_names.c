// SPDX-License-Identifier: MIT
//
// tests/kill/sem_names.c - open, close, unlink: a name leads to a whole semaphore or to nothing, and creating
// works whoever died before. See sem_stage.h.
#include "sem_scenarios.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { UNITS = 2 };

static sem_t *own; // the victim's
static int kind;   // the oflag to create with

static void no_semaphore(void)
{
	kind = 0;
}

static void no_holders(void)
{
	kind = PH_SEM_HOLDERS;
}

static void make_plain(void)
{
	kind = 0;
	make_named(UNITS);
	KILL_CHECK(ph_sem_close(sem) == 0, "close: %s", strerror(errno));
}

static void make_held(void)
{
	kind = PH_SEM_HOLDERS;
	make_holders(UNITS);
	KILL_CHECK(ph_sem_close(sem) == 0, "close: %s", strerror(errno));
}

static sem_t *create(int oflag)
{
	return ph_sem_open(NAME, O_CREAT | oflag | kind, 0600, UNITS);
}

static void create_new(void)
{
	own = create(O_EXCL);
}

static void create_or_open(void)
{
	own = create(0);
}

static void open_it(void)
{
	own = ph_sem_open(NAME, 0);
}

static void open_and_take(void)
{
	open_it();
	ph_sem_trywait(own);
}

static void close_it(void)
{
	ph_sem_close(own);
}

static void unlink_it(void)
{
	ph_sem_unlink(NAME);
}

static unsigned count_names(void)
{
	DIR *dir = opendir(kill_scratch());
	const struct dirent *e;
	unsigned n = 0;

	while (dir && (e = readdir(dir)))
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	if (dir)
		closedir(dir);
	return n;
}

static void open_whole(unsigned units)
{
	kill_note("opening the semaphore");
	sem = ph_sem_open(NAME, 0);
	KILL_CHECK(sem != SEM_FAILED, "half-made: open says %s", strerror(errno));
	expect_units(units);
	KILL_CHECK(ph_sem_close(sem) == 0, "close: %s", strerror(errno));
}

static void expect_removal(void)
{
	KILL_CHECK(ph_sem_unlink(NAME) == 0, "unlink: %s", strerror(errno));
	KILL_CHECK(ph_sem_open(NAME, 0) == SEM_FAILED && errno == ENOENT, "still there after unlink");
}

static void expect_creation(void)
{
	kill_note("creating the semaphore anew");
	sem = create(O_EXCL);
	KILL_CHECK(sem != SEM_FAILED, "cannot be created: %s", strerror(errno));
	KILL_CHECK(ph_sem_close(sem) == 0, "close: %s", strerror(errno));
	open_whole(UNITS);
	expect_removal();
	KILL_CHECK(count_names() == 0, "%u names are left over", count_names());
}

static bool is_there(void)
{
	sem = ph_sem_open(NAME, 0);
	KILL_CHECK(sem != SEM_FAILED || errno == ENOENT, "half-made: open says %s", strerror(errno));
	if (sem != SEM_FAILED)
		KILL_CHECK(ph_sem_close(sem) == 0, "close: %s", strerror(errno));
	return sem != SEM_FAILED;
}

static int is_whole_or_nothing(void)
{
	const bool there = is_there();

	if (there) {
		open_whole(UNITS);
		expect_removal();
	}
	expect_creation();
	return there;
}

static int works_on(void)
{
	open_whole(UNITS);
	expect_removal();
	expect_creation();
	return 0;
}

static const struct kill_scenario scenarios[] = {
	{.name = "open_creates",
     .prepare = no_semaphore,
     .operation = create_new,
     .after = is_whole_or_nothing,
     .last = 1},
	{.name = "open_creates_with_holders",
     .prepare = no_holders,
     .operation = create_new,
     .after = is_whole_or_nothing,
     .last = 1},
	{.name = "open_creates_or_opens",
     .prepare = make_plain,
     .operation = create_or_open,
     .after = works_on},
	{.name = "open", .prepare = make_plain, .operation = open_it, .after = works_on},
	{.name = "open_with_holders", .prepare = make_held, .operation = open_it, .after = works_on},
	{.name = "close",
     .prepare = make_plain,
     .enter = open_it,
     .operation = close_it,
     .after = works_on},
	{.name = "close_with_unit_held",
     .prepare = make_held,
     .enter = open_and_take,
     .operation = close_it,
     .after = works_on},
	{.name = "unlink",
     .prepare = make_plain,
     .operation = unlink_it,
     .after = is_whole_or_nothing,
     .first = 1},
	{.name = "unlink_with_holders",
     .prepare = make_held,
     .operation = unlink_it,
     .after = is_whole_or_nothing,
     .first = 1},
};

const struct scenario_table sem_names = SCENARIO_TABLE(scenarios);

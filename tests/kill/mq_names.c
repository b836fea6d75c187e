// SPDX-License-Identifier: MIT
//
// tests/kill/mq_names.c - open, close, unlink: a name leads to a whole queue or to nothing, and creating
// works whoever died before. See mq_queue.h.
#include "mq_scenarios.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

static mqd_t own; // the victim's descriptor

static void no_queue(void)
{
	ph_set_spin(0);
	q_depth = 4;
	q_size = SMALL;
}

static void make_some(void)
{
	make_queue(4, SMALL);
	put_all(1, (const int[]){5, 5, -1});
}

static void make_polled(void)
{
	make_some();
	KILL_CHECK(ph_mq_setpoll(q, 1) == 0, "setpoll fails: %s", strerror(errno));
}

static mqd_t create(int oflag)
{
	struct mq_attr attr = {.mq_maxmsg = (long)q_depth, .mq_msgsize = (long)q_size};

	return ph_mq_open(NAME, O_RDWR | O_CREAT | oflag, 0600, &attr);
}

static void create_new(void)
{
	create(O_EXCL);
}

static void create_or_open(void)
{
	own = create(0);
}

static void open_it(void)
{
	own = ph_mq_open(NAME, O_RDWR);
}

static void close_it(void)
{
	ph_mq_close(own);
}

static void unlink_it(void)
{
	ph_mq_unlink(NAME);
}

// The queue is whole.
static void expect_whole(void)
{
	struct mq_attr attr;

	KILL_CHECK(ph_mq_getattr(q, &attr) == 0, "getattr fails: %s", strerror(errno));
	KILL_CHECK(attr.mq_maxmsg == 4 && attr.mq_msgsize == SMALL, "attributes %ld, %ld",
	           attr.mq_maxmsg, attr.mq_msgsize);
	expect_capacity();
}

static void expect_removal(void)
{
	KILL_CHECK(ph_mq_close(q) == 0, "close fails: %s", strerror(errno));
	KILL_CHECK(ph_mq_unlink(NAME) == 0, "unlink fails: %s", strerror(errno));
	KILL_CHECK(ph_mq_open(NAME, O_RDWR) == -1 && errno == ENOENT, "still there after unlink");
}

static void expect_creation(void)
{
	kill_note("creating the queue anew");
	q = create(O_EXCL);
	KILL_CHECK(q != -1, "cannot be created: %s", strerror(errno));
	expect_whole();
	expect_removal();
	KILL_CHECK(count_names() == 0, "%u names are left over", count_names());
}

static int is_whole_or_nothing(void)
{
	kill_note("opening what was created");
	q = ph_mq_open(NAME, O_RDWR);
	const bool there = q != -1;
	KILL_CHECK(there || errno == ENOENT, "half-made: open says %s", strerror(errno));
	if (there) {
		expect_whole();
		expect_removal();
	}
	expect_creation();
	return there;
}

static int works_on(void)
{
	expect_messages((const uint32_t[]){1, 2, 0}, NULL);
	expect_whole();
	expect_removal();
	expect_creation();
	return 0;
}

static int works_without_name(void)
{
	struct mq_attr attr;
	kill_note("opening what was unlinked");
	const mqd_t again = ph_mq_open(NAME, O_RDWR);
	const bool there = again != -1;

	KILL_CHECK(there || errno == ENOENT, "half-unlinked: open says %s", strerror(errno));
	KILL_CHECK(ph_mq_getattr(q, &attr) == 0, "getattr fails: %s", strerror(errno));
	expect_messages((const uint32_t[]){1, 2, 0}, NULL);
	if (there) {
		ph_mq_close(again);
		expect_whole();
		expect_removal();
	} else {
		KILL_CHECK(ph_mq_close(q) == 0, "close fails: %s", strerror(errno));
	}
	expect_creation();
	return !there;
}

static const struct kill_scenario scenarios[] = {
	{.name = "open_creates",
     .prepare = no_queue,
     .operation = create_new,
     .after = is_whole_or_nothing,
     .last = 1},
	{.name = "open_creates_or_opens",
     .prepare = make_some,
     .operation = create_or_open,
     .after = works_on},
	{.name = "open", .prepare = make_some, .operation = open_it, .after = works_on},
	{.name = "open_polled", .prepare = make_polled, .operation = open_it, .after = works_on},
	{.name = "close",
     .prepare = make_some,
     .enter = open_it,
     .operation = close_it,
     .after = works_on},
	{.name = "close_polled",
     .prepare = make_polled,
     .enter = open_it,
     .operation = close_it,
     .after = works_on},
	{.name = "unlink",
     .prepare = make_some,
     .operation = unlink_it,
     .after = works_without_name,
     .last = 1},
	{.name = "unlink_polled",
     .prepare = make_polled,
     .operation = unlink_it,
     .after = works_without_name,
     .last = 1},
};

const struct scenario_table mq_names = SCENARIO_TABLE(scenarios);

// SPDX-License-Identifier: MIT
//
// cmd_ps.c - posthaste ps: the processes that use this library for signals, those of this namespace: what is pending,
// blocked, caught and ignored, who waits for what, and who sent last. What the killed have left is no process.
#include <errno.h>
#include <stdlib.h>

#include "cli.h"
#include "names.h"
#include "show.h"
#include "signals_show.h"
#include "table.h"

static const struct option options[] = {
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

enum { NAMES_SHOWN = 3 };

static void add_heading(struct table *table)
{
	static const char *const headings[] = {
		"PID",    "USER",    "QUEUE",   "PENDING",     "BLOCKED",
		"CAUGHT", "IGNORED", "WAITING", "LAST-SENDER", "COMMAND",
	};

	table_begin(table, "rlrlllllll");
	for (size_t i = 0; i < sizeof headings / sizeof *headings; i++)
		table_add(table, "%s", headings[i]);
}

static void add_set(struct table *table, uint64_t set)
{
	char text[SIGNALS_TEXT_MAX];

	table_add(table, "%s", signals_set(set, NAMES_SHOWN, ",", text));
}

// How many threads are asleep for signals, and for which.
static void add_waiting(struct table *table, const struct ph_signal_info *info)
{
	char text[SIGNALS_TEXT_MAX];
	const int threads = signals_waiting(info);
	uint64_t set = 0;

	for (int i = 0; i < info->threads; i++)
		set |= info->thread[i].waiting ? info->thread[i].set : 0;
	if (threads > 0)
		table_add(table, "%d:%s", threads, signals_set(set, NAMES_SHOWN, ",", text));
	else
		table_add(table, "-");
}

static void add_process(struct table *table, const struct ph_signal_info *info)
{
	char text[SHOW_MAX], last[SIGNALS_LAST_MAX];
	uint64_t blocked = 0;

	signals_blocked(info, info->pid, &blocked);
	table_add(table, "%d", info->pid);
	table_add(table, "%s", show_user(text, info->uid));
	table_add(table, "%d/%d", info->queued, info->depth);
	add_set(table, info->pending);
	add_set(table, blocked);
	add_set(table, info->caught);
	add_set(table, info->ignored);
	add_waiting(table, info);
	table_add(table, "%s", signals_last(info, last));
	table_add(table, "%s", show_program(text, info->pid));
}

// Of a process that may not be looked into, its file tells.
static void add_closed(struct table *table, const char *name)
{
	char text[SHOW_MAX];
	struct stat file;

	if (!name_stat(NAMES_SIGNALS, name, &file))
		return;
	table_add(table, "%s", name + 1);
	table_add(table, "%s", show_user(text, file.st_uid));
	for (int i = 0; i < 7; i++)
		table_add(table, "-");
	table_add(table, "%s", show_program(text, signals_pid(name)));
}

static void show_one(struct table *table, const char *name)
{
	static struct ph_signal_info info;
	struct stat file;

	if (ph_signal_info(signals_pid(name), &info) == 0) {
		if (table)
			add_process(table, &info);
		else
			signals_json(&info);
	} else if (errno == EACCES && table) {
		add_closed(table, name);
	} else if (errno == EACCES && name_stat(NAMES_SIGNALS, name, &file)) {
		signals_line_json(name, &file);
	}
}

static int by_number(const void *a, const void *b)
{
	const pid_t x = signals_pid(*(char *const *)a), y = signals_pid(*(char *const *)b);

	return (x > y) - (x < y);
}

static int show_all(bool as_json)
{
	struct names list;
	struct table table;

	if (!names_list(&list, NAMES_SIGNALS))
		return STATUS_REFUSED;
	if (list.count > 0)
		qsort(list.name, list.count, sizeof *list.name, by_number);
	if (!as_json)
		add_heading(&table);
	for (size_t i = 0; i < list.count; i++)
		show_one(as_json ? NULL : &table, list.name[i]);
	if (!as_json)
		table_end(&table, stdout);
	names_free(&list);
	return STATUS_DONE;
}

static int run(int argc, char **argv)
{
	bool as_json = false;
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":jh", options, NULL)) != -1) {
		if (opt != 'j')
			return cli_other_option(opt, argv);
		as_json = true;
	}
	if (optind != argc)
		return cli_usage_error("ps takes no names; for one process: posthaste info %s",
		                       argv[optind]);
	return show_all(as_json);
}

const struct command cmd_ps = {
	.name = "ps",
	.arguments = "[--json]",
	.summary = "List the processes that use this library for signals, and what is pending.",
	.help =
		"      --json   one JSON object a line, with all that info PID tells\n\n"
		"QUEUE is what waits in a process's queue, and its depth. Sets show three names and how\n"
		"many more. BLOCKED is that of the first thread. WAITING is how many threads are asleep\n"
		"for signals, and for which. LAST-SENDER is pid:signal,age.\n",
	.run = run,
};

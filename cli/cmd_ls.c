// SPDX-License-Identifier: MIT
//
// cmd_ls.c - posthaste ls: lists the queues of the namespace, who uses them and who sleeps on them.
// A queue that may not be looked into is listed all the same, with what its file tells.
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "json.h"
#include "queue.h"
#include "queue_json.h"
#include "show.h"
#include "table.h"

static const struct option options[] = {
	{"queues", no_argument, NULL, 'Q'},
	{"names", no_argument, NULL, 'n'},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

enum format { FORMAT_TABLE, FORMAT_NAMES, FORMAT_JSON };

static void add_heading(struct table *table)
{
	static const char *const headings[] = {
		"KIND", "NAME",  "OWNER",    "MODE",        "DEPTH",         "USED",
		"SIZE", "BYTES", "SLEEPERS", "LAST-SENDER", "LAST-RECEIVER", "STATE",
	};

	table_begin(table, "lllrrrrrllll");
	for (size_t i = 0; i < sizeof headings / sizeof *headings; i++)
		table_add(table, "%s", headings[i]);
}

static void add_row(struct table *table, const struct ph_mq_info *info)
{
	char text[SHOW_MAX];

	table_add(table, "mq");
	table_add(table, "%s", info->name);
	table_add(table, "%s", show_user(text, info->uid));
	table_add(table, "%03o", (unsigned)info->mode & 07777);
	table_add(table, "%" PRIu64, info->maxmsg);
	table_add(table, "%" PRIu64, info->curmsgs);
	table_add(table, "%s", show_bytes(text, info->msgsize));
	table_add(table, "%s", show_bytes(text, info->bytes));
	table_add(table, "r%" PRIu32 "/s%" PRIu32, info->receivers_asleep, info->senders_asleep);
	table_add(table, "%s", show_actor(text, info->last_sender, info->last_send_age_ms));
	table_add(table, "%s", show_actor(text, info->last_receiver, info->last_receive_age_ms));
	table_add(table, "%s", info->damaged ? "damaged" : "ok");
}

static const char *trouble(int err)
{
	return err == EBADMSG ? "damaged" : err == EACCES ? "no-access" : strerror(err);
}

static void add_unreadable_row(struct table *table, const char *name, const struct stat *file,
                               int err)
{
	char text[SHOW_MAX];

	table_add(table, "mq");
	table_add(table, "%s", name);
	table_add(table, "%s", show_user(text, file->st_uid));
	table_add(table, "%03o", (unsigned)file->st_mode & 07777);
	for (int i = 0; i < 3; i++)
		table_add(table, "-");
	table_add(table, "%s", show_bytes(text, (uint64_t)file->st_size));
	for (int i = 0; i < 3; i++)
		table_add(table, "-");
	table_add(table, "%s", trouble(err));
}

static void json_unreadable(const char *name, const struct stat *file, int err)
{
	struct json json = {.out = stdout};

	json_open(&json, NULL, '{');
	json_string(&json, "kind", "mq");
	json_string(&json, "name", name);
	json_unsigned(&json, "uid", file->st_uid);
	json_unsigned(&json, "gid", file->st_gid);
	json_unsigned(&json, "bytes", (uint64_t)file->st_size);
	json_string(&json, "state", trouble(err));
	json_close(&json, '}');
	putchar('\n');
}

// A queue may go away between the directory and the look: then it is not listed.
static void show_one(struct table *table, const struct queue_list *list, const char *name,
                     enum format format)
{
	struct ph_mq_info info;
	struct stat file;
	char path[PATH_MAX + NAME_MAX];

	if (ph_mq_info(name, &info) == 0) {
		if (format == FORMAT_JSON)
			queue_json(&info);
		else
			add_row(table, &info);
		return;
	}
	const int err = errno;

	queue_path(list, name, path);
	if (err == ENOENT || lstat(path, &file) != 0)
		return;
	if (format == FORMAT_JSON)
		json_unreadable(name, &file, err);
	else
		add_unreadable_row(table, name, &file, err);
}

static void show_all(const struct queue_list *list, enum format format)
{
	struct table table;

	if (format == FORMAT_TABLE)
		add_heading(&table);
	for (size_t i = 0; i < list->count; i++) {
		if (format == FORMAT_NAMES)
			puts(list->name[i]);
		else
			show_one(&table, list, list->name[i], format);
	}
	if (format == FORMAT_TABLE)
		table_end(&table, stdout);
}

static int run(int argc, char **argv)
{
	enum format format = FORMAT_TABLE;
	struct queue_list list;
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":Qnjh", options, NULL)) != -1) {
		if (opt == 'n')
			format = FORMAT_NAMES;
		else if (opt == 'j')
			format = FORMAT_JSON;
		else if (opt != 'Q')
			return cli_other_option(opt, argv);
	}
	if (optind != argc)
		return cli_usage_error("ls takes no names; for one queue: posthaste info %s", argv[optind]);
	if (!queue_list(&list))
		return STATUS_REFUSED;
	show_all(&list, format);
	queue_list_free(&list);
	return STATUS_DONE;
}

const struct command cmd_ls = {
	.name = "ls",
	.arguments = "[-Q] [--names] [--json]",
	.summary = "List the objects of the namespace, their users and sleepers.",
	.help =
		"  -Q, --queues   message queues only (every object is one, so far)\n"
		"      --names    the names alone, one a line\n"
		"      --json     one JSON object a line\n\n"
		"SLEEPERS counts who is blocked: r receivers on the empty queue, s senders on the full\n"
		"one. LAST-SENDER and LAST-RECEIVER are pid,age.\n",
	.run = run,
};

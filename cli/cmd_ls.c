// SPDX-License-Identifier: MIT
//
// cmd_ls.c - posthaste ls: lists the objects of the namespace, who uses them and who sleeps on them:
// queues, and the rings of pipes and FIFOs. What may not be looked into is listed all the same, with
// what its file tells.
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "json.h"
#include "queue.h"
#include "queue_json.h"
#include "ring.h"
#include "show.h"
#include "table.h"

static const struct option options[] = {
	{"queues", no_argument, NULL, 'Q'}, {"pipes", no_argument, NULL, 'P'},
	{"names", no_argument, NULL, 'n'},  {"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},   {0},
};

enum format { FORMAT_TABLE, FORMAT_NAMES, FORMAT_JSON };

struct view {
	enum format format;
	bool only_queues, only_pipes; // both or neither: everything
	struct table table;
};

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

static void add_queue(struct table *table, const struct ph_mq_info *info)
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

static void add_pid(struct table *table, int32_t pid)
{
	if (pid)
		table_add(table, "%" PRId32, pid);
	else
		table_add(table, "-");
}

// The memory is what the file takes: a ring's file is larger than what is reserved of it.
static void add_ring(struct table *table, const struct ph_pipe_info *info, const struct stat *file)
{
	char text[SHOW_MAX];

	table_add(table, "%s", ring_kind(info));
	table_add(table, "%s", info->name);
	table_add(table, "%s", show_user(text, info->uid));
	table_add(table, "%03o", (unsigned)info->mode & 07777);
	table_add(table, "-");
	table_add(table, "%" PRIu64, info->ring_bytes);
	table_add(table, "%s", show_bytes(text, info->ring_size));
	table_add(table, "%s", show_bytes(text, (uint64_t)file->st_blocks * 512));
	table_add(table, "r%" PRIu32 "/s%" PRIu32, info->readers_asleep, info->writers_asleep);
	add_pid(table, info->last_writer);
	add_pid(table, info->last_reader);
	table_add(table, "%s", ring_state(info));
}

static const char *trouble(int err)
{
	return err == EBADMSG ? "damaged" : err == EACCES ? "no-access" : strerror(err);
}

static void add_unreadable(struct table *table, const char *kind, const char *name,
                           const struct stat *file, int err)
{
	char text[SHOW_MAX];

	table_add(table, "%s", kind);
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

static void json_unreadable(const char *kind, const char *name, const struct stat *file, int err)
{
	struct json json = {.out = stdout};

	json_open(&json, NULL, '{');
	json_string(&json, "kind", kind);
	json_string(&json, "name", name);
	json_unsigned(&json, "uid", file->st_uid);
	json_unsigned(&json, "gid", file->st_gid);
	json_unsigned(&json, "bytes", (uint64_t)file->st_size);
	json_string(&json, "state", trouble(err));
	json_close(&json, '}');
	putchar('\n');
}

static void show_unreadable(struct view *view, const char *kind, const char *name,
                            const struct stat *file, int err)
{
	if (view->format == FORMAT_NAMES)
		puts(name);
	else if (view->format == FORMAT_JSON)
		json_unreadable(kind, name, file, err);
	else
		add_unreadable(&view->table, kind, name, file, err);
}

// An object may go away between the directory and the look: then it is not listed.
static void show_queue(struct view *view, const struct names *list, const char *name)
{
	struct ph_mq_info info;
	struct stat file;
	char path[PATH_MAX + NAME_MAX];

	if (view->format == FORMAT_NAMES) {
		puts(name);
		return;
	}
	if (ph_mq_info(name, &info) == 0) {
		if (view->format == FORMAT_JSON)
			queue_json(&info);
		else
			add_queue(&view->table, &info);
		return;
	}
	const int err = errno;

	names_path(list, name, path);
	if (err != ENOENT && lstat(path, &file) == 0)
		show_unreadable(view, "mq", name, &file, err);
}

static void show_ring(struct view *view, const char *directory, const char *name)
{
	struct ph_pipe_info info;
	struct stat file;
	char path[PATH_MAX + NAME_MAX + 2];
	const int err = ring_look(name, &info) ? 0 : errno;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	if (err == ENOENT || lstat(path, &file) != 0)
		return;
	if (err != 0)
		show_unreadable(view, strncmp(name, "fifo.", 5) == 0 ? "fifo" : "pipe", name, &file, err);
	else if (view->format == FORMAT_NAMES)
		puts(info.name);
	else if (view->format == FORMAT_JSON)
		ring_json(&info);
	else
		add_ring(&view->table, &info, &file);
}

static int show_rings(struct view *view, const char *directory)
{
	struct ring_list list;

	if (!ring_list(&list, directory))
		return cli_fail(STATUS_REFUSED, directory, "%s; see: posthaste doctor", strerror(errno));
	for (int i = 0; i < list.count; i++)
		show_ring(view, directory, list.entry[i]->d_name);
	ring_list_free(&list);
	return STATUS_DONE;
}

static int show_all(struct view *view, const struct names *list)
{
	int status = STATUS_DONE;

	if (view->format == FORMAT_TABLE)
		add_heading(&view->table);
	for (size_t i = 0; i < list->count && !view->only_pipes; i++)
		show_queue(view, list, list->name[i]);
	if (!view->only_queues)
		status = show_rings(view, list->directory);
	if (view->format == FORMAT_TABLE)
		table_end(&view->table, stdout);
	return status;
}

static void take_option(int opt, struct view *view)
{
	switch (opt) {
	case 'n': view->format = FORMAT_NAMES; break;
	case 'j': view->format = FORMAT_JSON; break;
	case 'Q': view->only_queues = true; break;
	default: view->only_pipes = true; break;
	}
}

static int run(int argc, char **argv)
{
	struct view view = {.format = FORMAT_TABLE};
	struct names list;
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":QPnjh", options, NULL)) != -1) {
		if (opt == 'h' || opt == '?' || opt == ':')
			return cli_other_option(opt, argv);
		take_option(opt, &view);
	}
	if (optind != argc)
		return cli_usage_error("ls takes no names; for one object: posthaste info %s",
		                       argv[optind]);
	if (view.only_queues && view.only_pipes)
		view.only_queues = view.only_pipes = false;
	if (!names_list(&list, NAMES_QUEUES))
		return STATUS_REFUSED;
	const int status = show_all(&view, &list);

	names_free(&list);
	return status;
}

const struct command cmd_ls = {
	.name = "ls",
	.arguments = "[--queues] [--pipes] [--names] [--json]",
	.summary = "List the objects of the namespace, their users and sleepers.",
	.help =
		"  -Q, --queues   message queues only\n"
		"  -P, --pipes    pipes and FIFOs only: those that have a ring\n"
		"      --names    the names alone, one a line\n"
		"      --json     one JSON object a line\n\n"
		"SLEEPERS counts who is blocked: r receivers on the empty queue, s senders on the full\n"
		"one; readers and writers of a pipe, whose writers are one if there are any. LAST-SENDER\n"
		"and LAST-RECEIVER are pid,age. USED of a pipe is the bytes in the ring, STATE says where\n"
		"its bytes go now: ring or kernel.\n",
	.run = run,
};

// SPDX-License-Identifier: MIT
//
// cmd_ls.c - posthaste ls: lists the objects of the namespace, who uses them and who sleeps on them:
// queues, semaphores, shared memory, the rings of pipes and FIFOs, and ports for signals. What may not be looked into is listed all the same, with
// what its file tells.
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include <posthaste/common.h>

#include "cli.h"
#include "json.h"
#include "queue.h"
#include "queue_json.h"
#include "ring.h"
#include "shared.h"
#include "shared_show.h"
#include "show.h"
#include "signals_show.h"
#include "table.h"
#include "units.h"
#include "units_show.h"

static const struct option options[] = {
	{"queues", no_argument, NULL, 'Q'},
	{"sems", no_argument, NULL, 'S'},
	{"shm", no_argument, NULL, 'M'},
	{"pipes", no_argument, NULL, 'P'},
	{"names", no_argument, NULL, 'n'},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{"signals", no_argument, NULL, 'G'},
	{0},
};

enum format { FORMAT_TABLE, FORMAT_NAMES, FORMAT_JSON };

struct view {
	enum format format;
	bool queues, sems, shm, pipes, signals; // none: everything
	struct table table;
};

static void add_heading(struct table *table)
{
	static const char *const headings[] = {
		"KIND", "NAME",  "OWNER",    "MODE",        "DEPTH",         "USED",  "VALUE",
		"SIZE", "BYTES", "SLEEPERS", "LAST-SENDER", "LAST-RECEIVER", "STATE",
	};

	table_begin(table, "lllrrrrrrllll");
	for (size_t i = 0; i < sizeof headings / sizeof *headings; i++)
		table_add(table, "%s", headings[i]);
}

// In columns that mean nothing for this kind.
static void add_nothing(struct table *table, int count)
{
	for (int i = 0; i < count; i++)
		table_add(table, "-");
}

static void add_file(struct table *table, const char *kind, const char *name, uid_t uid,
                     mode_t mode)
{
	char text[SHOW_MAX];

	table_add(table, "%s", kind);
	table_add(table, "%s", name);
	table_add(table, "%s", show_user(text, uid));
	table_add(table, "%03o", (unsigned)mode & 07777);
}

static void add_queue(struct table *table, const struct ph_mq_info *info)
{
	char text[SHOW_MAX];

	add_file(table, "mq", info->name, info->uid, info->mode);
	table_add(table, "%" PRIu64, info->maxmsg);
	table_add(table, "%" PRIu64, info->curmsgs);
	add_nothing(table, 1);
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

	add_file(table, ring_kind(info), info->name, info->uid, info->mode);
	add_nothing(table, 1);
	table_add(table, "%" PRIu64, info->ring_bytes);
	add_nothing(table, 1);
	table_add(table, "%s", show_bytes(text, info->ring_size));
	table_add(table, "%s", show_bytes(text, (uint64_t)file->st_blocks * 512));
	table_add(table, "r%" PRIu32 "/s%" PRIu32, info->readers_asleep, info->writers_asleep);
	add_pid(table, info->last_writer);
	add_pid(table, info->last_reader);
	table_add(table, "%s", ring_state(info));
}

static void add_sem(struct table *table, const char *name, const struct ph_sem_info *info,
                    const struct stat *file)
{
	char text[SHOW_MAX];

	add_file(table, "sem", name, file->st_uid, file->st_mode & 0777);
	if (info->holders) {
		table_add(table, "%" PRIu64, info->value + units_held(info));
		table_add(table, "%" PRIu64, units_held(info));
	} else {
		add_nothing(table, 2);
	}
	table_add(table, "%u", info->value);
	add_nothing(table, 1);
	table_add(table, "%s", show_bytes(text, (uint64_t)file->st_blocks * 512));
	table_add(table, "w%zu", info->waiter_count);
	add_nothing(table, 2);
	table_add(table, "%s", units_state(info));
}

static void add_shm(struct table *table, const char *name, const struct ph_shm_info *info)
{
	char text[SHOW_MAX];

	add_file(table, "shm", name, info->uid, info->mode);
	add_nothing(table, 3);
	table_add(table, "%s", show_bytes(text, info->bytes));
	table_add(table, "%s", show_bytes(text, info->allocated));
	add_nothing(table, 3);
	table_add(table, "%s", shared_state(info));
}

static const char *trouble(int err)
{
	return err == EBADMSG ? "damaged" : err == EACCES ? "no-access" : strerror(err);
}

static void add_unreadable(struct table *table, const char *kind, const char *name,
                           const struct stat *file, int err)
{
	char text[SHOW_MAX];

	add_file(table, kind, name, file->st_uid, file->st_mode);
	add_nothing(table, 4);
	table_add(table, "%s", show_bytes(text, (uint64_t)file->st_size));
	add_nothing(table, 3);
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

// What may not be looked into, if it is still there.
static void show_trouble(struct view *view, const char *kind, const struct names *list,
                         const char *name, int err)
{
	struct stat file;
	char path[PATH_MAX + NAME_MAX];

	names_path(list, name, path);
	if (err != ENOENT && lstat(path, &file) == 0)
		show_unreadable(view, kind, name, &file, err);
}

// An object may go away between the directory and the look: then it is not listed.
static void show_queue(struct view *view, const struct names *list, const char *name)
{
	struct ph_mq_info info;

	if (ph_mq_info(name, &info) != 0)
		show_trouble(view, "mq", list, name, errno);
	else if (view->format == FORMAT_JSON)
		queue_json(&info);
	else
		add_queue(&view->table, &info);
}

static void show_sem(struct view *view, const struct names *list, const char *name)
{
	static struct ph_sem_info info;
	struct stat file;

	if (ph_sem_info(name, &info) != 0)
		show_trouble(view, "sem", list, name, errno);
	else if (!name_stat(NAMES_SEMS, name, &file))
		return;
	else if (view->format == FORMAT_JSON)
		units_json(name, &info, &file);
	else
		add_sem(&view->table, name, &info, &file);
}

static void show_shm(struct view *view, const struct names *list, const char *name)
{
	struct ph_shm_info info;

	if (ph_shm_look(name, &info) != 0)
		show_trouble(view, "shm", list, name, errno == EINVAL ? EBADMSG : errno);
	else if (view->format == FORMAT_JSON)
		shared_json_briefly(name, &info);
	else
		add_shm(&view->table, name, &info);
}

static void show_signals(struct view *view, const struct names *list, const char *name)
{
	const bool named = strcmp(list->prefix, NAMES_PORTS) == 0;
	struct stat file;

	if (!name_stat(list->prefix, name, &file))
		return;
	if (view->format == FORMAT_JSON)
		(named ? port_line_json : signals_line_json)(name, &file);
	else
		(named ? port_line : signals_line)(&view->table, name, &file);
}

// The objects of one kind that have names in the namespace.
static int show_names(struct view *view, const char *prefix,
                      void (*show)(struct view *, const struct names *, const char *))
{
	struct names list;

	if (!names_list(&list, prefix))
		return STATUS_REFUSED;
	for (size_t i = 0; i < list.count; i++)
		if (view->format == FORMAT_NAMES)
			puts(list.name[i]);
		else
			show(view, &list, list.name[i]);
	names_free(&list);
	return STATUS_DONE;
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

static int show_rings(struct view *view)
{
	struct ring_list list;
	char directory[PATH_MAX];

	if (ph_namespace(directory, sizeof directory) < 0 || !ring_list(&list, directory))
		return cli_fail(STATUS_REFUSED, "namespace", "%s; see: posthaste doctor", strerror(errno));
	for (int i = 0; i < list.count; i++)
		show_ring(view, directory, list.entry[i]->d_name);
	ring_list_free(&list);
	return STATUS_DONE;
}

static int show_all(struct view *view)
{
	int status = STATUS_DONE;

	if (view->format == FORMAT_TABLE)
		add_heading(&view->table);
	if (view->queues)
		status = show_names(view, NAMES_QUEUES, show_queue);
	if (view->sems && status == STATUS_DONE)
		status = show_names(view, NAMES_SEMS, show_sem);
	if (view->shm && status == STATUS_DONE)
		status = show_names(view, NAMES_SHM, show_shm);
	if (view->pipes && status == STATUS_DONE)
		status = show_rings(view);
	if (view->signals && status == STATUS_DONE)
		status = show_names(view, NAMES_SIGNALS, show_signals);
	if (view->signals && status == STATUS_DONE)
		status = show_names(view, NAMES_PORTS, show_signals);
	if (view->format != FORMAT_TABLE)
		return status;
	if (status == STATUS_DONE)
		table_end(&view->table, stdout);
	else
		table_drop(&view->table);
	return status;
}

static void take_option(int opt, struct view *view)
{
	switch (opt) {
	case 'n': view->format = FORMAT_NAMES; break;
	case 'j': view->format = FORMAT_JSON; break;
	case 'Q': view->queues = true; break;
	case 'S': view->sems = true; break;
	case 'M': view->shm = true; break;
	case 'G': view->signals = true; break;
	default: view->pipes = true; break;
	}
}

static int run(int argc, char **argv)
{
	struct view view = {.format = FORMAT_TABLE};
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":QSMPGnjh", options, NULL)) != -1) {
		if (opt == 'h' || opt == '?' || opt == ':')
			return cli_other_option(opt, argv);
		take_option(opt, &view);
	}
	if (optind != argc)
		return cli_usage_error("ls takes no names; for one object: posthaste info %s",
		                       argv[optind]);
	if (!view.queues && !view.sems && !view.shm && !view.pipes && !view.signals)
		view.queues = view.sems = view.shm = view.pipes = view.signals = true;
	return show_all(&view);
}

const struct command cmd_ls = {
	.name = "ls",
	.arguments = "[--queues] [--sems] [--shm] [--pipes] [--signals] [--names] [--json]",
	.summary = "List the objects of the namespace, their users and sleepers.",
	.help =
		"  -Q, --queues   message queues only; several such options may be given\n"
		"  -S, --sems     semaphores only\n"
		"  -M, --shm      shared memory only\n"
		"  -P, --pipes    pipes and FIFOs only: those that have a ring\n"
		"  -G, --signals  ports for signals only: those of processes, by pid, and named ones\n"
		"      --names    the names alone, one a line\n"
		"      --json     one JSON object a line\n\n"
		"SLEEPERS counts who is blocked: r receivers on the empty queue, s senders on the full\n"
		"one; readers and writers of a pipe, whose writers are one if there are any; w who waits\n"
		"for a semaphore. LAST-SENDER and LAST-RECEIVER are pid,age. Of a semaphore, VALUE is the\n"
		"units that are there; with holders DEPTH is all units, USED those that are held. USED of a\n"
		"pipe is the bytes in the ring, STATE says where its bytes go now: ring or kernel.\n"
		"USED of a process's port is the signals in its queue, of a named port those who have joined\n"
		"it; w the threads that are asleep for signals; unused: who it was of is gone.\n",
	.run = run,
};

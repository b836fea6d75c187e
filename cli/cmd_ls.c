// SPDX-License-Identifier: MIT
//
// cmd_ls.c - posthaste ls: lists the objects of the namespace, who uses them, who holds them and who sleeps on them:
// queues, semaphores, shared memory, the rings of pipes and FIFOs, and ports for signals. What may not be looked into is listed all the
// same, with what its file tells; what was unlinked and is open still is listed at the end of its kind.
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "json.h"
#include "object_line.h"
#include "queue.h"
#include "queue_json.h"
#include "ring.h"
#include "shared.h"
#include "shared_show.h"
#include "signals_show.h"
#include "table.h"
#include "units.h"
#include "units_show.h"
#include "watched.h"

static const struct option options[] = {
	{"queues", no_argument, NULL, 'Q'}, {"sems", no_argument, NULL, 'S'},
	{"shm", no_argument, NULL, 'M'},    {"pipes", no_argument, NULL, 'P'},
	{"fifos", no_argument, NULL, 'F'},  {"signals", no_argument, NULL, 'G'},
	{"names", no_argument, NULL, 'n'},  {"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},   {0},
};

enum format { FORMAT_TABLE, FORMAT_NAMES, FORMAT_JSON };

struct view {
	enum format format;
	bool wanted[WORLD_KINDS]; // none: everything
};

// ---- JSON ----

static const char *trouble(int err)
{
	return err == EBADMSG ? "damaged" : err == EACCES ? "no-access" : strerror(err);
}

// Of what no room can say more.
static void json_file(const struct world_object *o, const char *state,
                      const struct watched *watched)
{
	struct json json = {.out = stdout};

	json_open(&json, NULL, '{');
	json_string(&json, "kind", world_kind_name(o->kind));
	json_string(&json, "name", o->name);
	json_unsigned(&json, "uid", o->uid);
	json_unsigned(&json, "gid", o->gid);
	json_unsigned(&json, "bytes", o->memory);
	watched_json(&json, watched);
	json_string(&json, "state", state);
	json_close(&json, '}');
	putchar('\n');
}

static int json_queue(const struct world_object *o, const struct watched *watched)
{
	struct ph_mq_info info;

	if (ph_mq_info(o->name, &info) != 0)
		return errno;
	queue_json(&info, watched);
	return 0;
}

static int json_sem(const struct world_object *o, const struct watched *watched)
{
	static struct ph_sem_info info;
	struct stat file;

	if (ph_sem_info(o->name, &info) != 0)
		return errno;
	if (!name_stat(NAMES_SEMS, o->name, &file))
		return ENOENT;
	units_json(o->name, &info, &file, watched);
	return 0;
}

static int json_shm(const struct world_object *o, const struct watched *watched)
{
	struct ph_shm_info info;

	if (ph_shm_look(o->name, &info) != 0)
		return errno == EINVAL ? EBADMSG : errno;
	shared_json_briefly(o->name, &info, watched);
	return 0;
}

static int json_ring(const struct world_object *o, const struct watched *watched)
{
	struct ph_pipe_info info;

	if (!ring_look(o->file, &info))
		return errno;
	ring_json(&info, watched);
	return 0;
}

static int json_signals(const struct world_object *o, const struct watched *watched)
{
	struct stat file;

	(void)watched;
	if (!name_stat(NAMES_SIGNALS, o->name, &file))
		return ENOENT;
	signals_line_json(o->name, &file);
	return 0;
}

static int json_port(const struct world_object *o, const struct watched *watched)
{
	struct stat file;

	(void)watched;
	if (!name_stat(NAMES_PORTS, o->name, &file))
		return ENOENT;
	port_line_json(o->name, &file);
	return 0;
}

// An object may go away meanwhile: then it is not listed.
static void json_object(const struct world *world, size_t object)
{
	static int (*const of[WORLD_KINDS])(const struct world_object *, const struct watched *) = {
		json_queue, json_sem, json_shm, json_ring, json_ring, json_signals, json_port,
	};
	const struct world_object *const o = &world->object[object];
	const struct watched watched = {world, object};
	const int err = o->unlinked ? 0 : of[o->kind](o, &watched);

	if (o->unlinked)
		json_file(o, o->state, &watched);
	else if (err != 0 && err != ENOENT)
		json_file(o, trouble(err), &watched);
}

// ---- all of them ----

static bool is_wanted(const struct view *view, const struct world_object *o)
{
	return view->wanted[o->kind] && o->file;
}

static void show_world(const struct view *view, const struct world *world)
{
	struct table table;

	if (view->format == FORMAT_TABLE)
		object_line_heading(&table);
	for (int kind = 0; kind < WORLD_KINDS; kind++)
		for (size_t i = 0; i < world->objects; i++) {
			if ((int)world->object[i].kind != kind || !is_wanted(view, &world->object[i]))
				continue;
			if (view->format == FORMAT_JSON)
				json_object(world, i);
			else
				object_line(&table, world, i);
		}
	if (view->format == FORMAT_TABLE)
		table_end(&table, stdout);
}

// Names alone want no look at the processes.
static int show_names(const struct view *view)
{
	struct world world;

	if (!world_list(&world))
		return STATUS_REFUSED;
	for (int kind = 0; kind < WORLD_KINDS; kind++)
		for (size_t i = 0; i < world.objects; i++)
			if ((int)world.object[i].kind == kind && is_wanted(view, &world.object[i]))
				puts(world.object[i].name);
	world_free(&world);
	return STATUS_DONE;
}

static int show(const struct view *view)
{
	struct world world;

	if (view->format == FORMAT_NAMES)
		return show_names(view);
	if (!world_look(&world, NULL))
		return STATUS_REFUSED;
	show_world(view, &world);
	world_free(&world);
	return STATUS_DONE;
}

static bool take_option(int opt, struct view *view)
{
	switch (opt) {
	case 'n': view->format = FORMAT_NAMES; return false;
	case 'j': view->format = FORMAT_JSON; return false;
	case 'Q': view->wanted[WORLD_QUEUE] = true; break;
	case 'S': view->wanted[WORLD_SEM] = true; break;
	case 'M': view->wanted[WORLD_SHM] = true; break;
	case 'F': view->wanted[WORLD_FIFO] = true; break;
	case 'G': view->wanted[WORLD_SIGNALS] = view->wanted[WORLD_PORT] = true; break;
	default: view->wanted[WORLD_FIFO] = view->wanted[WORLD_PIPE] = true; break;
	}
	return true;
}

static int run(int argc, char **argv)
{
	struct view view = {.format = FORMAT_TABLE};
	bool chosen = false;
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":QSMPFGnjh", options, NULL)) != -1) {
		if (opt == 'h' || opt == '?' || opt == ':')
			return cli_other_option(opt, argv);
		chosen |= take_option(opt, &view);
	}
	if (optind != argc)
		return cli_usage_error("ls takes no names; for one object: posthaste info %s",
		                       argv[optind]);
	for (int kind = 0; kind < WORLD_KINDS && !chosen; kind++)
		view.wanted[kind] = true;
	return show(&view);
}

const struct command cmd_ls = {
	.name = "ls",
	.arguments = "[--queues] [--sems] [--shm] [--pipes] [--fifos] [--signals] [--names] [--json]",
	.summary = "List the objects of the namespace, their users, holders and sleepers.",
	.help =
		"  -Q, --queues   message queues only; several such options may be given\n"
		"  -S, --sems     semaphores only\n"
		"  -M, --shm      shared memory only\n"
		"  -P, --pipes    pipes and FIFOs only: those that have a ring\n"
		"  -F, --fifos    FIFOs only\n"
		"  -G, --signals  ports for signals only, those of processes and named ones\n"
		"      --names    the names alone, one a line\n"
		"      --json     one JSON object a line\n\n"
		"SIZE is that of a message, of a ring, of the memory; FILL the messages of the depth, the\n"
		"units held of all, the bytes in a ring, or the value of a semaphore without holders. USED is\n"
		"who used it last, and how long ago, as far as that is noted. USERS counts processes, HELD-BY\n"
		"names one and how many more. SLEEPERS counts who is blocked: r receivers or readers, s senders\n"
		"or writers, w who waits for a semaphore or signals; SINCE is for how long the first of them has been.\n"
		"STATE of a pipe says where its bytes go now: ring or kernel. What was unlinked and is open\n"
		"still is listed, too.\n",
	.run = run,
};

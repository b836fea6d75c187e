// SPDX-License-Identifier: MIT
//
// cmd_info.c - posthaste info: everything that can be seen of an object, without disturbing its users; it works
// when they hang. ring_show.c has the pipes, units_show.c the semaphores, shared_show.c the shared memory.
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "cmd_shm.h"
#include "object.h"
#include "process_show.h"
#include "queue.h"
#include "queue_json.h"
#include "ring.h"
#include "shared.h"
#include "shared_show.h"
#include "show.h"
#include "signals_show.h"
#include "units.h"
#include "units_show.h"
#include "watched.h"

static const struct option options[] = {
	{"kind", required_argument, NULL, 'k'},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static void show_file(const struct ph_mq_info *info)
{
	char text[SHOW_MAX], when[SHOW_MAX] = "?";
	const time_t created = (time_t)info->created_s;
	const struct group *group = getgrgid(info->gid);
	struct tm local;

	if (localtime_r(&created, &local))
		strftime(when, sizeof when, "%F %T", &local);
	printf("owner           %s", show_user(text, info->uid));
	if (group)
		printf(":%s", group->gr_name);
	printf("\nmode            %03o\n", (unsigned)info->mode & 07777);
	printf("created         %s by pid %" PRId32 "\n", when, info->creator);
	printf("memory          %s\n", show_bytes(text, info->bytes));
}

static void show_contents(const struct ph_mq_info *info)
{
	char text[SHOW_MAX];

	printf("depth           %" PRIu64 " messages of up to %s bytes\n", info->maxmsg,
	       show_count(text, info->msgsize));
	printf("waiting         %" PRIu64 " messages\n", info->curmsgs);
	printf("on loan         %" PRIu64 " borrowed, %" PRIu64 " of %" PRIu64
	       " spare slots reserved\n",
	       info->borrowed, info->reserved, info->spares);
	printf("so far          %" PRIu64 " sent, %" PRIu64 " received\n", info->sent, info->received);
}

static void show_actor_line(const char *label, int32_t pid, int64_t age_ms)
{
	char age[SHOW_MAX];

	if (pid == 0 || age_ms < 0)
		printf("%-15s nobody yet\n", label);
	else
		printf("%-15s pid %" PRId32 ", %s ago\n", label, pid, show_age(age, age_ms));
}

static void show_users(const struct ph_mq_info *info)
{
	printf("asleep          %" PRIu32 " receivers, %" PRIu32 " senders\n", info->receivers_asleep,
	       info->senders_asleep);
	show_actor_line("last sender", info->last_sender, info->last_send_age_ms);
	show_actor_line("last receiver", info->last_receiver, info->last_receive_age_ms);
	if (info->notify_pid)
		printf("notification    pid %" PRId32 " is registered\n", info->notify_pid);
	else
		printf("notification    nobody is registered\n");
	printf("subscribers     %s\n", info->subscribers ? "maybe" : "none");
	printf("polled          %s\n", info->polled ? "yes" : "no");
	printf("open            %s\n", info->attached ? "yes" : "in no process");
}

static int show_queue(const char *name, bool as_json, const struct watched *watched)
{
	struct ph_mq_info info;

	if (ph_mq_info(name, &info) != 0)
		return queue_fail(name, errno);
	if (as_json) {
		queue_json(&info, watched);
		return STATUS_DONE;
	}
	printf("name            %s\n", info.name);
	show_file(&info);
	show_contents(&info);
	show_users(&info);
	watched_show(watched);
	if (info.damaged)
		printf("state           damaged; end its users, then: posthaste rm %s\n", info.name + 1);
	else
		printf("state           ok\n");
	return STATUS_DONE;
}

static int ring_fail(const char *argument, int err)
{
	switch (err) {
	case ENOENT:
		return cli_fail(STATUS_REFUSED, argument,
		                "no ring of such a pipe: it is gone, or the kernel has all of it; see: "
		                "posthaste ls");
	case EACCES:
		return cli_fail(STATUS_REFUSED, argument, "permission denied: its ring is another user's");
	case EBADMSG:
		return cli_fail(STATUS_REFUSED, argument,
		                "its ring is damaged, or of another version; see: posthaste doctor");
	default: return cli_fail(STATUS_REFUSED, argument, "%s; see: posthaste doctor", strerror(err));
	}
}

// Without a ring the FIFO is there all the same.
static int show_pipe(const char *argument, const char *file, bool is_fifo, bool as_json,
                     const struct watched *watched)
{
	struct ph_pipe_info info;

	if (!ring_look(file, &info) && !(errno == ENOENT && is_fifo && ring_less(argument, &info)))
		return ring_fail(argument, errno);
	(as_json ? ring_json : ring_show)(&info, watched);
	return STATUS_DONE;
}

static int show_sem(const char *name, bool as_json, const struct watched *watched)
{
	static struct ph_sem_info info;
	struct stat file;

	if (ph_sem_info(name, &info) != 0)
		return units_fail(name, errno);
	if (!name_stat(NAMES_SEMS, name, &file))
		return units_fail(name, ENOENT);
	(as_json ? units_json : units_show)(name, &info, &file, watched);
	return STATUS_DONE;
}

static int show_shm(const char *name, bool as_json, const struct watched *watched)
{
	struct ph_shm_info info;

	if (ph_shm_look(name, &info) != 0)
		return shared_fail(name, errno == EINVAL ? EBADMSG : errno);
	(as_json ? shared_json : shared_show)(name, &info, watched);
	return STATUS_DONE;
}

static int show_object(const char *argument, enum object_kind kind, const struct object *object,
                       bool as_json, const struct watched *watched)
{
	switch (kind) {
	case OBJECT_QUEUE: return show_queue(object->name, as_json, watched);
	case OBJECT_SEM: return show_sem(object->name, as_json, watched);
	case OBJECT_SHM: return show_shm(object->name, as_json, watched);
	case OBJECT_SIGNALS: return signals_show(object->name, as_json);
	case OBJECT_PORT: return port_show(object->name, as_json);
	default: return show_pipe(argument, object->file, kind == OBJECT_FIFO, as_json, watched);
	}
}

// A process that has a port: its signals, and what it has to do with the other objects. If it is gone, so it is said.
static int show_process(const char *name, bool as_json)
{
	const pid_t pid = process_named(name + 1);
	const int status = as_json && pid != 0 ? STATUS_DONE : signals_show(name, as_json);

	return status == STATUS_DONE && pid != 0 ? process_info(pid, as_json) : status;
}

// A number that nothing has for a name is a process's.
static int show(const char *argument, enum object_kind only, bool as_json)
{
	struct object object;
	const enum object_kind kind = object_find(argument, only, &object);
	const pid_t pid = kind == OBJECT_NONE ? process_named(argument) : 0;
	struct world world;

	if (pid != 0)
		return process_info(pid, as_json);
	if (kind == OBJECT_SIGNALS && only == OBJECT_NONE)
		return show_process(object.name, as_json);
	if (kind == OBJECT_NONE)
		return object_fail_none(object.name);
	if (kind == OBJECT_WRONG)
		return object.status;
	const struct world_wish wish = {.fifo = kind == OBJECT_FIFO ? argument : NULL};

	if (!world_look(&world, &wish))
		return STATUS_REFUSED;
	const struct watched watched = {&world, watched_find(&world, kind, &object, argument)};
	const int status = show_object(argument, kind, &object, as_json,
	                               watched.object == WORLD_NONE ? NULL : &watched);

	world_free(&world);
	return status;
}

static int run(int argc, char **argv)
{
	const bool only_shm = cli_command == &shm_info;
	enum object_kind only = only_shm ? OBJECT_SHM : OBJECT_NONE;
	bool as_json = false;
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, only_shm ? ":jh" : ":k:jh", options + only_shm, NULL)) !=
	       -1) {
		if (opt == 'j')
			as_json = true;
		else if (opt != 'k')
			return cli_other_option(opt, argv);
		else if ((only = object_kind_named(optarg)) == OBJECT_WRONG)
			return STATUS_USAGE;
	}
	if (argc - optind != 1)
		return cli_usage_error("one name is needed");
	return show(argv[optind], only, as_json);
}

const struct command cmd_info = {
	.name = "info",
	.arguments = "NAME|PID [--kind KIND] [--json]",
	.summary = "Show everything about one object, or what a process has to do with them.",
	.help =
		"  -k, --kind KIND   mq, sem, shm, port, or signals: where several kinds have the name\n"
		"      --json        one JSON object\n\n"
		"NAME is a name in the namespace, the path of a FIFO, or pipe:[INODE] or\n"
		"fifo:[INODE] as ls shows it. PID is a process: what it holds, has open and waits for,\n"
		"and its signals if it has a port for them, which --kind signals tells of alone.\n",
	.run = run,
};

const struct command shm_info = {
	.name = "shm info",
	.arguments = "NAME [--json]",
	.summary = "Show everything about shared memory, and what an arena in it holds.",
	.help = "      --json   one JSON object\n",
	.run = run,
};

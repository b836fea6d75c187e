// SPDX-License-Identifier: MIT
//
// cmd_rm.c - posthaste rm: removes names. Processes that have the object open go on using it.
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "core/namespace.h"
#include "object.h"
#include "pipe/pipe.h"
#include "queue.h"
#include "shared.h"
#include "signals_left.h"
#include "units.h"

static const struct option options[] = {
	{"force", no_argument, NULL, 'f'},
	{"leftovers", no_argument, NULL, 'l'},
	{"kind", required_argument, NULL, 'k'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

struct wish {
	enum object_kind kind;
	bool force, leftovers;
};

static int remove_queue(const char *name, bool force)
{
	return ph_mq_unlink(name) == 0 || (force && errno == ENOENT) ? STATUS_DONE
	                                                             : queue_fail(name, errno);
}

static int remove_sem(const char *name, bool force)
{
	return ph_sem_unlink(name) == 0 || (force && errno == ENOENT) ? STATUS_DONE
	                                                              : units_fail(name, errno);
}

static int remove_shm(const char *name, bool force)
{
	return ph_shm_unlink(name) == 0 || (force && errno == ENOENT) ? STATUS_DONE
	                                                              : shared_fail(name, errno);
}

static int remove_fifo(const char *path, bool force)
{
	if (unlink(path) == 0 || (force && errno == ENOENT))
		return STATUS_DONE;
	return cli_fail(STATUS_REFUSED, path, "%s", strerror(errno));
}

static bool is_missing_path(const char *argument)
{
	return *argument && strchr(argument + 1, '/') && access(argument, F_OK) != 0 && errno == ENOENT;
}

static int remove_one(const char *argument, enum object_kind kind, bool force)
{
	struct object object;

	if (force && is_missing_path(argument))
		return STATUS_DONE;
	switch (object_find(argument, kind, &object)) {
	case OBJECT_QUEUE: return remove_queue(object.name, force);
	case OBJECT_SEM: return remove_sem(object.name, force);
	case OBJECT_SHM: return remove_shm(object.name, force);
	case OBJECT_SIGNALS: return signals_remove(NAMES_SIGNALS, object.name, force);
	case OBJECT_PORT: return signals_remove(NAMES_PORTS, object.name, force);
	case OBJECT_NONE: return force ? STATUS_DONE : object_fail_none(object.name);
	case OBJECT_FIFO: return remove_fifo(argument, force);
	case OBJECT_PIPE:
		return cli_fail(STATUS_REFUSED, argument,
		                "a pipe has no name: it goes with its last descriptor; what the dead left "
		                "goes with: posthaste rm --leftovers");
	default: return object.status;
	}
}

// The rings that no process has mapped, the shared memory that is to go with its last user, and the ports for signals of
// processes that are gone: the next process that makes one would do the same.
static int remove_leftovers(void)
{
	const int dir = phi_namespace_open();

	if (dir < 0)
		return cli_fail(STATUS_REFUSED, NULL,
		                "the namespace directory cannot be used: %s; see: posthaste doctor",
		                strerror(-dir));
	const int shared = ph_shm_sweep();

	printf("%d removed\n", phi_pipe_sweep(dir) + (shared > 0 ? shared : 0) + signals_sweep());
	close(dir);
	return STATUS_DONE;
}

// False: it is said already, *status is what to end with.
static bool take_option(int opt, char **argv, struct wish *wish, int *status)
{
	*status = STATUS_USAGE;
	switch (opt) {
	case 'f': wish->force = true; return true;
	case 'l': wish->leftovers = true; return true;
	case 'k': return (wish->kind = object_kind_named(optarg)) != OBJECT_WRONG;
	default: *status = cli_other_option(opt, argv); return false;
	}
}

// Every name is tried; the status is the worst.
static int run(int argc, char **argv)
{
	struct wish wish = {.kind = OBJECT_NONE};
	int opt, status, worst = STATUS_DONE;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":flk:h", options, NULL)) != -1)
		if (!take_option(opt, argv, &wish, &status))
			return status;
	if (optind == argc && !wish.leftovers)
		return cli_usage_error("at least one name is needed");
	if (wish.leftovers)
		worst = remove_leftovers();
	for (; optind < argc; optind++) {
		status = remove_one(argv[optind], wish.kind, wish.force);
		worst = status > worst ? status : worst;
	}
	return worst;
}

const struct command cmd_rm = {
	.name = "rm",
	.arguments = "NAME... [--kind KIND] [--force] [--leftovers]",
	.summary = "Remove queues, semaphores, shared memory, FIFOs, and what the dead have left.",
	.help =
		"  -k, --kind KIND   mq, sem, shm, port, or signals: where several kinds have the name\n"
		"  -f, --force       content if nothing has that name\n"
		"  -l, --leftovers   remove the rings of pipes that no process has open any more, shared\n"
		"                    memory that is to go with its last user and has none, and ports\n"
		"                    for signals whose processes are gone\n\n"
		"NAME is a name in the namespace, or the path of a FIFO. A port for signals, of a process\n"
		"or with a name, goes with who uses it, and not before.\n",
	.run = run,
};

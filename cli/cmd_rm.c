// SPDX-License-Identifier: MIT
//
// cmd_rm.c - posthaste rm: removes names. Processes that have a queue or FIFO open go on using it.
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "core/namespace.h"
#include "object.h"
#include "pipe/pipe.h"

static const struct option options[] = {
	{"force", no_argument, NULL, 'f'},
	{"leftovers", no_argument, NULL, 'l'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static int remove_queue(const char *name, bool force)
{
	if (ph_mq_unlink(name) == 0 || (force && errno == ENOENT))
		return STATUS_DONE;
	if (errno == ENOENT)
		return cli_fail(STATUS_REFUSED, name, "no such queue or FIFO; see: posthaste ls");
	return queue_fail(name, errno);
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

static int remove_one(const char *argument, bool force)
{
	struct object object;

	if (force && is_missing_path(argument))
		return STATUS_DONE;
	switch (object_find(argument, &object)) {
	case OBJECT_QUEUE: return remove_queue(object.name, force);
	case OBJECT_FIFO: return remove_fifo(argument, force);
	case OBJECT_PIPE:
		return cli_fail(STATUS_REFUSED, argument,
		                "a pipe has no name: it goes with its last descriptor; what the dead left "
		                "goes with: posthaste rm --leftovers");
	default: return object.status;
	}
}

// The rings that no process has mapped; the next process that makes one would do the same.
static int remove_leftovers(void)
{
	const int dir = phi_namespace_open();

	if (dir < 0)
		return cli_fail(STATUS_REFUSED, NULL,
		                "the namespace directory cannot be used: %s; see: posthaste doctor",
		                strerror(-dir));
	printf("%d removed\n", phi_pipe_sweep(dir));
	close(dir);
	return STATUS_DONE;
}

// Every name is tried; the status is the worst.
static int run(int argc, char **argv)
{
	bool force = false, leftovers = false;
	int opt, worst = STATUS_DONE;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":flh", options, NULL)) != -1) {
		if (opt != 'f' && opt != 'l')
			return cli_other_option(opt, argv);
		*(opt == 'f' ? &force : &leftovers) = true;
	}
	if (optind == argc && !leftovers)
		return cli_usage_error("at least one name is needed");
	if (leftovers)
		worst = remove_leftovers();
	for (; optind < argc; optind++) {
		const int status = remove_one(argv[optind], force);

		worst = status > worst ? status : worst;
	}
	return worst;
}

const struct command cmd_rm = {
	.name = "rm",
	.arguments = "NAME... [--force] [--leftovers]",
	.summary = "Remove message queues and FIFOs.",
	.help = "  -f, --force       content if there is no such queue or FIFO\n"
			"  -l, --leftovers   remove the rings of pipes that no process has open any more\n\n"
			"NAME is a queue's name, or the path of a FIFO.\n",
	.run = run,
};

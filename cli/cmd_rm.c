// SPDX-License-Identifier: MIT
//
// cmd_rm.c - posthaste rm: removes names. Processes that have a queue open go on using it.
#include <errno.h>
#include <stdbool.h>

#include "cli.h"
#include "queue.h"

static const struct option options[] = {
	{"force", no_argument, NULL, 'f'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static int remove_one(const char *argument, bool force)
{
	char name[QUEUE_NAME_MAX];

	if (!queue_name(argument, name))
		return STATUS_USAGE;
	if (ph_mq_unlink(name) == 0 || (force && errno == ENOENT))
		return STATUS_DONE;
	if (errno == ENOENT)
		return cli_fail(STATUS_REFUSED, name, "no such queue; see: posthaste ls");
	return queue_fail(name, errno);
}

// Every name is tried; the status is the worst.
static int run(int argc, char **argv)
{
	bool force = false;
	int opt, worst = STATUS_DONE;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":fh", options, NULL)) != -1) {
		if (opt != 'f')
			return cli_other_option(opt, argv);
		force = true;
	}
	if (optind == argc)
		return cli_usage_error("at least one name is needed");
	for (; optind < argc; optind++) {
		const int status = remove_one(argv[optind], force);

		worst = status > worst ? status : worst;
	}
	return worst;
}

const struct command cmd_rm = {
	.name = "rm",
	.arguments = "NAME... [--force]",
	.summary = "Remove message queues.",
	.help = "  -f, --force   content if there is no such queue\n",
	.run = run,
};

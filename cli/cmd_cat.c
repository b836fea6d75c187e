// SPDX-License-Identifier: MIT
//
// cmd_cat.c - posthaste cat: what comes out of FIFOs, one after the other, to stdout.
#include <string.h>
#include <unistd.h>

#include <posthaste/pipe.h>

#include "cli.h"
#include "fifo.h"
#include "flow.h"

static const struct option options[] = {FLOW_LONG_OPTIONS, {0}};

static int show(struct flow *flow, const char *path)
{
	const bool is_stdin = strcmp(path, "-") == 0;
	int status = STATUS_DONE;
	const int from = is_stdin ? STDIN_FILENO : fifo_open_to_read(flow, path, &status);

	if (from < 0)
		return status;
	flow_open(flow, from, STDOUT_FILENO);
	status = flow_copy(flow, from, is_stdin ? "stdin" : path, STDOUT_FILENO, "stdout");
	if (!is_stdin)
		ph_close(from);
	return status;
}

static int run(int argc, char **argv)
{
	char *const only_stdin[] = {(char[]){"-"}, NULL};
	struct flow flow = {.limited = false};
	int opt, status = STATUS_DONE;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":h" FLOW_OPTIONS, options, NULL)) != -1)
		if (!flow_option(&flow, opt, argv, &status))
			return status;
	flow_begin(&flow);
	for (char *const *path = optind < argc ? argv + optind : only_stdin; *path && status == 0;
	     path++)
		status = show(&flow, *path);
	return flow_end(&flow, status);
}

const struct command cmd_cat = {
	.name = "cat",
	.arguments = "[FIFO...] [--meter] [--timeout S]",
	.summary = "Copy what comes out of FIFOs to stdout.",
	.help =
		FLOW_HELP "\nWithout a FIFO, and for -, stdin. Each is opened when the one before has "
				  "ended: that waits\nfor a writer. It ends when its last writer has closed it.\n",
	.run = run,
};

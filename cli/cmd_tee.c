// SPDX-License-Identifier: MIT
//
// cmd_tee.c - posthaste tee: stdin to stdout and to FIFOs or files. An output that fails is left out
// from then on; the others get all of it.
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <posthaste/pipe.h>

#include "cli.h"
#include "fifo.h"
#include "flow.h"
#include "knock.h"
#include "memory.h"

static const struct option options[] = {{"append", no_argument, NULL, 'a'}, FLOW_LONG_OPTIONS, {0}};

struct outputs {
	int count, alive;
	struct output {
		const char *name;
		int fd; // -1 = failed
	} * output;
};

static void leave_out(struct outputs *outputs, struct output *output)
{
	if (output->fd > STDERR_FILENO)
		ph_close(output->fd);
	output->fd = -1;
	outputs->alive--;
}

static int write_all(struct flow *flow, struct outputs *outputs, size_t size)
{
	int worst = STATUS_DONE;

	for (int i = 0; i < outputs->count && knock_heard() == KNOCK_NONE; i++) {
		struct output *const output = &outputs->output[i];

		if (output->fd < 0 || flow_write(output->fd, flow->buffer, size))
			continue;
		const int status = flow_fail(flow, output->name, errno);

		worst = status > worst ? status : worst;
		leave_out(outputs, output);
	}
	return worst;
}

static int spread(struct flow *flow, struct outputs *outputs)
{
	int worst = STATUS_DONE;
	ssize_t n = 1;

	while (outputs->alive > 0 && knock_heard() == KNOCK_NONE &&
	       (n = flow_read(STDIN_FILENO, flow->buffer, FLOW_BYTES)) > 0) {
		const int status = write_all(flow, outputs, (size_t)n);

		worst = status > worst ? status : worst;
		meter_add(&flow->meter, (size_t)n);
	}
	return n < 0 ? flow_fail(flow, "stdin", errno) : worst;
}

// stdout first, then the others as they are named.
static int open_all(const struct flow *flow, struct outputs *outputs, char **paths, bool append)
{
	int status = STATUS_DONE;

	outputs->output[0] = (struct output){"stdout", STDOUT_FILENO};
	for (int i = 1; i < outputs->count && status == STATUS_DONE; i++)
		outputs->output[i] =
			(struct output){paths[i - 1], fifo_open_or_create(flow, paths[i - 1], append, &status)};
	return status;
}

static void close_all(struct outputs *outputs)
{
	for (int i = 1; i < outputs->count; i++)
		if (outputs->output[i].fd > 0)
			ph_close(outputs->output[i].fd);
	free(outputs->output);
}

static int run(int argc, char **argv)
{
	struct flow flow = {.limited = false};
	struct outputs outputs;
	bool append = false;
	int opt, status = STATUS_DONE;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":ha" FLOW_OPTIONS, options, NULL)) != -1) {
		if (opt == 'a')
			append = true;
		else if (!flow_option(&flow, opt, argv, &status))
			return status;
	}
	outputs.count = outputs.alive = argc - optind + 1;
	outputs.output = memory_zeroed((size_t)outputs.count, sizeof *outputs.output);
	flow_begin(&flow);
	status = open_all(&flow, &outputs, argv + optind, append);
	if (status == STATUS_DONE) {
		flow_open(&flow, STDIN_FILENO, STDOUT_FILENO);
		status = spread(&flow, &outputs);
	}
	close_all(&outputs);
	return flow_end(&flow, status);
}

const struct command cmd_tee = {
	.name = "tee",
	.arguments = "[FIFO|FILE...] [--append] [--meter] [--timeout S]",
	.summary = "Copy stdin to stdout and to FIFOs or files.",
	.help = FLOW_HELP
	"  -a, --append      behind what stands in a file (default: in its place)\n\n"
	"Opening a FIFO waits for its reader. An output whose reader has gone is left out from then\n"
	"on, and the status is 1. The slowest output sets the pace.\n",
	.run = run,
};

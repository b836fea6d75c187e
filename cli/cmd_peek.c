// SPDX-License-Identifier: MIT
//
// cmd_peek.c - posthaste peek: shows the message that the next receive would take, and leaves it there.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "cli.h"
#include "memory.h"
#include "payload.h"
#include "queue.h"

static const struct option options[] = {
	{"lines", no_argument, NULL, 'l'},         {"whole", no_argument, NULL, 'w'},
	{"show-priority", no_argument, NULL, 'P'}, {"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},          {0},
};

static int peek(const char *name, const struct sink *sink)
{
	size_t msgsize;
	const mqd_t mq = queue_open(name, O_RDONLY, &msgsize);

	if (mq == (mqd_t)-1)
		return STATUS_REFUSED;
	char *buffer = memory_zeroed(msgsize, 1);
	struct payload message = {.data = buffer};
	const ssize_t size = ph_mq_peek(mq, buffer, msgsize, &message.prio);
	int status = STATUS_DONE;

	message.size = (size_t)size;
	if (size < 0 && errno == EAGAIN)
		status = cli_fail(STATUS_REFUSED, name, "the queue is empty; wait with: posthaste recv %s",
		                  name + 1);
	else if (size < 0)
		status = queue_fail(name, errno);
	else if (sink_write(sink, &message, 1) != 1)
		status = sink_fail(errno, "the message is still in the queue");
	free(buffer);
	ph_mq_close(mq);
	return status;
}

static int run(int argc, char **argv)
{
	struct sink sink = {.framing = FRAMING_LINES};
	char name[NAME_WHOLE_MAX];
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":lwPjh", options, NULL)) != -1) {
		if (opt == 'P')
			sink.show_priority = true;
		else if (opt == 'l' || opt == 'w' || opt == 'j')
			sink.framing = opt == 'l' ? FRAMING_LINES : opt == 'w' ? FRAMING_WHOLE : FRAMING_JSON;
		else
			return cli_other_option(opt, argv);
	}
	if (argc - optind != 1)
		return cli_usage_error("one name is needed");
	return queue_name(argv[optind], name) ? peek(name, &sink) : STATUS_USAGE;
}

const struct command cmd_peek = {
	.name = "peek",
	.arguments = "NAME [--lines|--whole|--json] [--show-priority]",
	.summary = "Show the next message without taking it.",
	.help = "  -l, --lines           a newline after it (default)\n"
			"  -w, --whole           the message and nothing else\n"
			"  -j, --json            an object: prio, size, and data or data_base64\n"
			"  -P, --show-priority   its priority and a tab before it\n",
	.run = run,
};

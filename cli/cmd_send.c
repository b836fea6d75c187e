// SPDX-License-Identifier: MIT
//
// cmd_send.c - posthaste send: sends messages from the arguments or from stdin. What was sent before a
// failure stays sent, and the complaint says how much that is.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "payload.h"
#include "progress.h"
#include "queue.h"
#include "stop.h"

static const struct option options[] = {
	{"priority", required_argument, NULL, 'p'}, {"lines", no_argument, NULL, 'l'},
	{"whole", no_argument, NULL, 'w'},          {"length-prefixed", no_argument, NULL, 'L'},
	{"timeout", required_argument, NULL, 't'},  {"nonblock", no_argument, NULL, 'n'},
	{"help", no_argument, NULL, 'h'},           {0},
};

struct sending {
	char name[NAME_WHOLE_MAX];
	mqd_t mq;
	size_t max_bytes;
	uint64_t prio, sent;
	bool nonblock;
	enum framing framing;
	struct patience patience;
};

static int take_option(int opt, struct sending *sending)
{
	switch (opt) {
	case 'p':
		if (!cli_parse_count(optarg, 0, PH_MQ_PRIO_MAX - 1, &sending->prio))
			return cli_usage_error("-p %s is not a priority from 0 to %u", optarg,
			                       PH_MQ_PRIO_MAX - 1);
		return 0;
	case 't':
		if (!cli_parse_seconds(optarg, &sending->patience.seconds))
			return cli_usage_error("--timeout %s is not a number of seconds", optarg);
		sending->patience.limited = true;
		return 0;
	case 'n': sending->nonblock = true; return 0;
	default:
		sending->framing = opt == 'l' ? FRAMING_LINES : opt == 'w' ? FRAMING_WHOLE : FRAMING_LENGTH;
		return 0;
	}
}

static int send_failed(const struct sending *sending, size_t size, int err)
{
	char so_far[64] = "";
	const char *const name = sending->name;

	if (sending->sent > 0)
		snprintf(so_far, sizeof so_far, " (%" PRIu64 " messages were sent)", sending->sent);
	switch (err) {
	case EAGAIN:
		return cli_fail(STATUS_REFUSED, name, "the queue is full%s; wait for room with --timeout",
		                so_far);
	case ETIMEDOUT:
		return cli_fail(STATUS_TIMED_OUT, name,
		                "no room within %g s%s; see who receives with: posthaste info %s",
		                sending->patience.seconds, so_far, name + 1);
	case EMSGSIZE:
		return cli_fail(STATUS_REFUSED, name,
		                "the message has %zu bytes, this queue takes %zu%s; make a queue with a "
		                "larger --size",
		                size, sending->max_bytes, so_far);
	default: return queue_fail(name, err);
	}
}

static int send_one(struct sending *sending, const char *data, size_t size)
{
	struct timespec until;
	int result;

	stop_idle(true);
	do
		result = ph_mq_clocksend(sending->mq, data, size, (unsigned int)sending->prio,
		                         CLOCK_MONOTONIC, patience_until(&sending->patience, &until));
	while (result != 0 && errno == EINTR);
	if (result != 0)
		return send_failed(sending, size, errno);
	stop_idle(false);
	sending->sent++;
	return STATUS_DONE;
}

static int send_arguments(struct sending *sending, int count, char **messages)
{
	int status = STATUS_DONE;

	for (int i = 0; i < count && status == STATUS_DONE; i++)
		status = send_one(sending, messages[i], strlen(messages[i]));
	return status;
}

// The bar shows bytes of a file, and messages where the end is not known.
static uint64_t stdin_bytes(void)
{
	struct stat st;

	return fstat(STDIN_FILENO, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}

static int send_stdin(struct sending *sending)
{
	const uint64_t total = stdin_bytes();
	enum source_result result;
	struct source source;
	int status = STATUS_DONE;

	source_begin(&source, stdin, sending->framing, sending->name, sending->max_bytes);
	if (isatty(STDIN_FILENO) != 1)
		progress_begin("sending", "messages", total);
	while (status == STATUS_DONE &&
	       (stop_idle(true), result = source_next(&source)) != SOURCE_END) {
		status = result == SOURCE_FAILED ? STATUS_REFUSED
		                                 : send_one(sending, source.buffer, source.size);
		progress_at(total ? source.bytes : sending->sent);
	}
	progress_end();
	source_end(&source);
	return status;
}

static int run(int argc, char **argv)
{
	struct sending sending = {.framing = FRAMING_LINES};
	int opt, status;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":p:lwLt:nh", options, NULL)) != -1) {
		if (opt == 'h' || opt == ':' || opt == '?')
			return cli_other_option(opt, argv);
		if ((status = take_option(opt, &sending)) != 0)
			return status;
	}
	if (optind == argc)
		return cli_usage_error("a queue's name is needed");
	if (!queue_name(argv[optind], sending.name))
		return STATUS_USAGE;
	stop_install();
	sending.mq = queue_open(sending.name, O_WRONLY | (sending.nonblock ? O_NONBLOCK : 0),
	                        &sending.max_bytes);
	if (sending.mq == (mqd_t)-1)
		return STATUS_REFUSED;
	status = optind + 1 < argc ? send_arguments(&sending, argc - optind - 1, argv + optind + 1)
	                           : send_stdin(&sending);
	ph_mq_close(sending.mq);
	return status;
}

const struct command cmd_send = {
	.name = "send",
	.arguments = "NAME [MESSAGE...] [-p PRIO] [--timeout S | --nonblock] [--lines|--whole|"
				 "--length-prefixed]",
	.summary = "Send messages, from the arguments or from stdin.",
	.help =
		"  -p, --priority PRIO     0 to 32767, the highest is received first (default: 0)\n"
		"  -t, --timeout S         wait at most S seconds for room, for each message; then 124\n"
		"  -n, --nonblock          do not wait for room\n"
		"  stdin holds\n"
		"  -l, --lines             a message a line (default)\n"
		"  -w, --whole             one message\n"
		"  -L, --length-prefixed   before each message its length: 32 bits, little endian\n",
	.run = run,
};

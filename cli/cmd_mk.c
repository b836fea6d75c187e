// SPDX-License-Identifier: MIT
//
// cmd_mk.c - posthaste mk: makes a queue.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "queue.h"

struct wish {
	uint64_t depth, size; // 0 = the system's default
	mode_t mode;
	bool mode_given, exist_ok;
};

static const struct option options[] = {
	{"depth", required_argument, NULL, 'd'}, {"size", required_argument, NULL, 's'},
	{"mode", required_argument, NULL, 'm'},  {"exist-ok", no_argument, NULL, 'e'},
	{"help", no_argument, NULL, 'h'},        {0},
};

// An option's value; 0 or the status to end with.
static int take_option(int opt, struct wish *wish)
{
	switch (opt) {
	case 'd':
		if (!cli_parse_count(optarg, 1, INT64_MAX, &wish->depth))
			return cli_usage_error("--depth %s is not a number of messages", optarg);
		return 0;
	case 's':
		if (!cli_parse_bytes(optarg, &wish->size) || wish->size == 0 || wish->size > INT64_MAX)
			return cli_usage_error("--size %s is not a number of bytes, such as 512, 64k, 1m",
			                       optarg);
		return 0;
	case 'm':
		if (!cli_parse_mode(optarg, &wish->mode))
			return cli_usage_error("--mode %s is not an octal mode, such as 660", optarg);
		wish->mode_given = true;
		return 0;
	default: wish->exist_ok = true; return 0;
	}
}

// Depth and size are given together or not at all to the library: the one that is not wished for is
// what a queue made without attributes would have.
static long default_or(uint64_t wished, const char *file, long fallback)
{
	long value = fallback;
	FILE *in = wished ? NULL : fopen(file, "re");

	if (in) {
		if (fscanf(in, "%ld", &value) != 1 || value <= 0)
			value = fallback;
		fclose(in);
	}
	return wished ? (long)wished : value;
}

// A mode that was asked for is the mode that is made: the umask is for modes that nobody named.
static int make(const char *name, const struct wish *wish)
{
	struct mq_attr attr = {
		.mq_maxmsg = default_or(wish->depth, "/proc/sys/fs/mqueue/msg_default", 10),
		.mq_msgsize = default_or(wish->size, "/proc/sys/fs/mqueue/msgsize_default", 8192),
	};
	const int exclusive = wish->exist_ok ? 0 : O_EXCL;

	if (wish->mode_given)
		umask(0);
	const mqd_t mq = ph_mq_open(name, O_RDWR | O_CREAT | exclusive, wish->mode, &attr);

	if (mq == (mqd_t)-1)
		return queue_fail(name, errno);
	ph_mq_close(mq);
	return STATUS_DONE;
}

static int run(int argc, char **argv)
{
	struct wish wish = {.mode = 0600};
	char name[NAME_WHOLE_MAX];
	int opt, status;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":d:s:m:eh", options, NULL)) != -1) {
		if (opt == 'h' || opt == ':' || opt == '?')
			return cli_other_option(opt, argv);
		if ((status = take_option(opt, &wish)) != 0)
			return status;
	}
	if (argc - optind != 1)
		return cli_usage_error("one name is needed");
	return queue_name(argv[optind], name) ? make(name, &wish) : STATUS_USAGE;
}

const struct command cmd_mk = {
	.name = "mk",
	.arguments = "NAME [--depth N] [--size BYTES] [--mode OCTAL] [--exist-ok]",
	.summary = "Make a message queue.",
	.help =
		"  -d, --depth N      messages it holds (default: the system's, 10)\n"
		"  -s, --size BYTES   bytes a message may have, also 64k, 1m, 1g (default: the system's, 8k)\n"
		"  -m, --mode OCTAL   permissions, exactly these (default: 600 less the umask)\n"
		"  -e, --exist-ok     content with a queue that exists, whatever its depth and size\n",
	.run = run,
};

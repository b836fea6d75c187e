// SPDX-License-Identifier: MIT
//
// cmd_mkfifo.c - posthaste mkfifo: makes FIFOs, names in the file system at which processes meet.
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include <posthaste/pipe.h>

#include "cli.h"

static const struct option options[] = {
	{"mode", required_argument, NULL, 'm'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static int make(const char *path, mode_t mode)
{
	if (ph_mkfifo(path, mode) == 0)
		return STATUS_DONE;
	switch (errno) {
	case EEXIST:
		return cli_fail(STATUS_REFUSED, path, "exists already; remove it with: rm %s", path);
	case ENOENT:
		return cli_fail(STATUS_REFUSED, path,
		                "the directory does not exist; make it with: mkdir -p");
	case EACCES:
	case EROFS:
		return cli_fail(STATUS_REFUSED, path, "%s; choose a directory that you may write to",
		                strerror(errno));
	default: return cli_fail(STATUS_REFUSED, path, "%s", strerror(errno));
	}
}

// Every path is tried; the status is the worst. A mode that was asked for is the mode that is made.
static int run(int argc, char **argv)
{
	mode_t mode = 0666;
	int opt, worst = STATUS_DONE;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":m:h", options, NULL)) != -1) {
		if (opt != 'm')
			return cli_other_option(opt, argv);
		if (!cli_parse_mode(optarg, &mode))
			return cli_usage_error("--mode %s is not an octal mode, such as 660", optarg);
		umask(0);
	}
	if (optind == argc)
		return cli_usage_error("at least one path is needed");
	for (; optind < argc; optind++) {
		const int status = make(argv[optind], mode);

		worst = status > worst ? status : worst;
	}
	return worst;
}

const struct command cmd_mkfifo = {
	.name = "mkfifo",
	.arguments = "PATH... [--mode OCTAL]",
	.summary = "Make FIFOs.",
	.help =
		"  -m, --mode OCTAL   permissions, exactly these (default: 666 less the umask)\n\n"
		"A FIFO is a name in the file system. Programs that use this library and belong to one\n"
		"user pass the bytes through shared memory, all others through the kernel.\n",
	.run = run,
};

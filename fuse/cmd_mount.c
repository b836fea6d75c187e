// SPDX-License-Identifier: MIT
//
// cmd_mount.c - posthaste mount: the namespace as a file system. What is in it, folders.h tells; here are the
// arguments, and what must hold before anything is mounted.
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <posthaste/common.h>

#include "cli.h"
#include "mount.h"

static const struct option options[] = {
	{"foreground", no_argument, NULL, 'f'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

// Whether `path` is `dir` or lies below it; both are canonical.
static bool lies_in(const char *path, const char *dir)
{
	const size_t length = strlen(dir);

	return strncmp(path, dir, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

// The process that serves has another working directory and must not find its own mount where the objects
// are. So the namespace is named by its whole path from here on.
static int settle_namespace(const char *dir)
{
	char named[PATH_MAX], whole[PATH_MAX];

	if (ph_namespace(named, sizeof named) < 0 || !realpath(named, whole))
		return cli_fail(STATUS_REFUSED, getenv("POSTHASTE_DIR"),
		                "the namespace directory cannot be used: %s; see: posthaste doctor",
		                strerror(errno));
	if (lies_in(whole, dir))
		return cli_fail(
			STATUS_REFUSED, dir,
			"the namespace's own files are there; mount it at another, empty directory");
	setenv("POSTHASTE_DIR", whole, 1);
	return STATUS_DONE;
}

static int run(int argc, char **argv)
{
	char dir[PATH_MAX];
	struct stat st;
	bool foreground = false;
	int opt, status;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":fh", options, NULL)) != -1) {
		if (opt != 'f')
			return cli_other_option(opt, argv);
		foreground = true;
	}
	if (optind + 1 != argc)
		return cli_usage_error("one directory is needed, to mount at");
	if (!realpath(argv[optind], dir) || stat(dir, &st) != 0)
		return cli_fail(STATUS_REFUSED, argv[optind], "%s; make it with: mkdir %s", strerror(errno),
		                argv[optind]);
	if (!S_ISDIR(st.st_mode))
		return cli_fail(STATUS_REFUSED, argv[optind], "is no directory");
	status = settle_namespace(dir);
	return status == STATUS_DONE ? mount_serve(dir, foreground) : status;
}

const struct command cmd_mount = {
	.name = "mount",
	.arguments = "DIR [--foreground]",
	.summary = "Show the namespace as a file system.",
	.help =
		"  -f, --foreground   serve in this process, until it is unmounted or gets a signal\n\n"
		"  DIR/mq/NAME        a queue's state in a line; rm removes the queue\n"
		"  DIR/messages/NAME  each read(2) receives one message, each write(2) sends one\n"
		"  DIR/sem/NAME       a semaphore's state in a line; rm removes it\n"
		"  DIR/shm/NAME       the bytes of shared memory, to read; rm removes it\n"
		"  DIR/pipe/NAME      the state of a pipe's or FIFO's ring\n"
		"  DIR/port/NAME      how many have joined a port for signals\n\n"
		"Without --foreground a process stays behind that serves. To end it: fusermount3 -u DIR\n"
		"Only the user who mounts can look in.\n",
	.run = run,
};

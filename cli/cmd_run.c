// SPDX-License-Identifier: MIT
//
// cmd_run.c - posthaste run: becomes a program that has the library underneath (docs/run.md). Sets the environment by
// which the dynamic linker loads libposthaste-preload.so, into this program and into all that it starts, and execs.
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <posthaste/common.h>

#include "cli.h"
#include "executable.h"
#include "memory.h"

#define LIBRARY "libposthaste-preload.so"

enum { STATUS_CANNOT_RUN = 126, STATUS_NO_PROGRAM = 127 };

struct wish {
	const char *only, *log;
};

static const struct option options[] = {
	{"only", required_argument, NULL, 'o'},
	{"log", required_argument, NULL, 'l'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

// ---- the library ----

static bool is_readable(char *path, const char *dir, size_t length, const char *below)
{
	const int n = snprintf(path, PATH_MAX, "%.*s%s/" LIBRARY, (int)length, dir, below);

	return n > 0 && n < PATH_MAX && access(path, R_OK) == 0;
}

// Beside the command, as it is built; in the library directory beside the command's, as it is installed; or where
// it was to be installed.
static bool find_library(char path[PATH_MAX])
{
	char own[PATH_MAX];
	const ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);

	if (n > 0) {
		own[n] = '\0';
		const char *const slash = strrchr(own, '/');
		const size_t length = slash ? (size_t)(slash - own) : 0;

		if (is_readable(path, own, length, "") || is_readable(path, own, length, "/../" PH_LIBDIR))
			return true;
	}
	return is_readable(path, PH_FULL_LIBDIR, strlen(PH_FULL_LIBDIR), "");
}

static int fail_library(void)
{
	return cli_fail(STATUS_REFUSED, LIBRARY,
	                "not found beside this command or in %s; build or install it: make install",
	                PH_FULL_LIBDIR);
}

// ---- the environment ----

// In front of what is there already: a library that the caller has put underneath stays.
static int preload(const char *path)
{
	const char *const before = getenv("LD_PRELOAD");
	const size_t length = strlen(path);

	if (strpbrk(path, " :"))
		return cli_fail(
			STATUS_REFUSED, path,
			"the dynamic linker takes no path with a blank or a colon; move the library");
	if (!before || *before == '\0')
		return setenv("LD_PRELOAD", path, 1);
	if (strncmp(before, path, length) == 0 && strchr(" :", before[length])) // "" ends the string
		return 0;
	char *const both = memory_resize(NULL, length + strlen(before) + 2, 1);

	sprintf(both, "%s:%s", path, before);
	const int r = setenv("LD_PRELOAD", both, 1);

	free(both);
	return r;
}

// The programs that are started may stand in other directories.
static int log_to(const char *file)
{
	char here[PATH_MAX], path[2 * PATH_MAX];

	if (*file == '\0')
		return cli_usage_error("--log needs the name of a file");
	if (*file == '/')
		return setenv("POSTHASTE_LOG", file, 1);
	if (!getcwd(here, sizeof here))
		return cli_fail(STATUS_REFUSED, file, "%s; give it as an absolute path", strerror(errno));
	snprintf(path, sizeof path, "%s/%s", here, file);
	return setenv("POSTHASTE_LOG", path, 1);
}

static bool is_list_of_parts(const char *list)
{
	static const char *const parts[] = {"mq", "sem", "shm"};

	for (const char *word = list;; word++) {
		const size_t length = strcspn(word, ",");
		bool known = false;

		for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
			known |= strlen(parts[i]) == length && strncmp(parts[i], word, length) == 0;
		if (!known)
			return false;
		word += length;
		if (*word == '\0')
			return true;
	}
}

static int set_environment(const struct wish *wish)
{
	char library[PATH_MAX];
	const char *const log = wish->log ? wish->log : getenv("POSTHASTE_LOG");
	int status;

	if (wish->only && !is_list_of_parts(wish->only))
		return cli_usage_error("--only %s is not a list of mq, sem and shm", wish->only);
	if (!find_library(library))
		return fail_library();
	if (wish->only)
		setenv("POSTHASTE_ONLY", wish->only, 1);
	if ((wish->log || (log && *log != '\0')) && (status = log_to(log)) != 0)
		return status;
	return preload(library);
}

// ---- the program ----

static int fail_namespace(void)
{
	const char *const dir = getenv("POSTHASTE_DIR");

	return cli_fail(STATUS_REFUSED, dir && *dir != '\0' ? dir : "namespace directory",
	                "%s; see: posthaste doctor", strerror(errno));
}

// What is started without the library would not meet what is started with it: better not at all.
static int check(const char *name, const struct executable_look *look)
{
	switch (look->kind) {
	case EXECUTABLE_STATIC:
		return cli_fail(STATUS_REFUSED, name,
		                "%s is statically linked: nothing can be put underneath it; run it without "
		                "posthaste, or link it with the library",
		                look->file);
	case EXECUTABLE_OTHER_LIBC:
		return cli_fail(STATUS_REFUSED, name,
		                "%s is started by %s, another C library's linker: this is for glibc only",
		                look->file, look->linker);
	case EXECUTABLE_OTHER_ABI:
		return cli_fail(STATUS_REFUSED, name,
		                "%s is of another machine or word length than the library", look->file);
	default: break;
	}
	if (look->privileged)
		cli_warn(name,
		         "%s changes its user or rights at its start: the system runs it without the "
		         "library",
		         look->file);
	return STATUS_DONE;
}

static int fail_program(const char *name, int err)
{
	return err == ENOENT || err == ENOTDIR
	           ? cli_fail(STATUS_NO_PROGRAM, name, "no such program%s",
	                      strchr(name, '/') ? "" : " in PATH")
	           : cli_fail(STATUS_CANNOT_RUN, name, "cannot be run: %s", strerror(err));
}

static int become(char **argv)
{
	struct executable_look look;
	char path[PATH_MAX];
	char directory[PATH_MAX];

	if (!executable_find(argv[0], path))
		return fail_program(argv[0], errno);
	executable_look_at(path, &look);
	const int status = check(argv[0], &look);

	if (status != STATUS_DONE)
		return status;
	if (ph_namespace(directory, sizeof directory) < 0)
		return fail_namespace();
	signal(SIGPIPE, cli_sigpipe_before);
	execvp(argv[0], argv);
	return fail_program(argv[0], errno);
}

static int run(int argc, char **argv)
{
	struct wish wish = {0};
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, "+:o:l:h", options, NULL)) != -1) {
		switch (opt) {
		case 'o': wish.only = optarg; break;
		case 'l': wish.log = optarg; break;
		default: return cli_other_option(opt, argv);
		}
	}
	if (optind == argc)
		return cli_usage_error("a program is needed");
	const int status = set_environment(&wish);

	return status != 0 ? status : become(argv + optind);
}

const struct command cmd_run = {
	.name = "run",
	.arguments = "[OPTIONS] [--] PROGRAM [ARG...]",
	.summary = "Run an unmodified program on the library.",
	.help =
		"  -o, --only LIST   of mq, sem, shm: only these are the library's (default: all three)\n"
		"  -l, --log FILE    a line at the end of FILE for each call, with its result\n\n"
		"PROGRAM's POSIX message queues, semaphores and shared memory are this library's from here\n"
		"on, and those of all programs that it starts. Pipes and signals stay the kernel's. It is for\n"
		"programs that are linked dynamically with glibc; a set-user-id program runs as ever. Objects\n"
		"by name are shared with those who use the library, too, and not with others: give every\n"
		"program of a group to it. The status is that of PROGRAM; 127 if there is no such program,\n"
		"126 if it cannot be run.\n",
	.run = run,
};

// SPDX-License-Identifier: MIT
//
// cmd_shm.c - posthaste shm: what can be done with shared memory; here it is made and removed. Its bytes go in and
// out by cmd_shm_bytes.c.
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd_shm.h"
#include "program.h"
#include "shared.h"

struct wish {
	uint64_t bytes;
	mode_t mode;
	int flags; // PH_SHM_*
	bool mode_given;
	char **argv; // what to run while it is there; NULL = nothing
};

static const struct option make_options[] = {
	{"mode", required_argument, NULL, 'm'}, {"huge", no_argument, NULL, 'H'},
	{"reclaim", no_argument, NULL, 'r'},    {"exist-ok", no_argument, NULL, 'e'},
	{"help", no_argument, NULL, 'h'},       {0},
};

// An option's value; 0 or the status to end with.
static int take_option(int opt, struct wish *wish)
{
	switch (opt) {
	case 'm':
		if (!cli_parse_mode(optarg, &wish->mode))
			return cli_usage_error("--mode %s is not an octal mode, such as 660", optarg);
		wish->mode_given = true;
		return 0;
	case 'H': wish->flags |= PH_SHM_HUGE; return 0;
	case 'r': wish->flags |= PH_SHM_RECLAIM; return 0;
	default: wish->flags &= ~PH_SHM_EXCL; return 0;
	}
}

// Before the object is there: who asks for the end at once must find somebody who hears it.
static void block_signals(sigset_t *ends)
{
	sigemptyset(ends);
	sigaddset(ends, SIGINT);
	sigaddset(ends, SIGTERM);
	sigaddset(ends, SIGHUP);
	sigprocmask(SIG_BLOCK, ends, NULL);
}

static int run_meanwhile(char **argv, const sigset_t *ends)
{
	struct program program = {.argv = argv};

	program_manners(&program, 1);
	sigprocmask(SIG_UNBLOCK, ends, NULL);
	if (!program_start(&program, NULL, NULL))
		return cli_fail(STATUS_REFUSED, "fork", "%s; see: posthaste doctor", strerror(errno));
	program_wait(&program);
	return program.status;
}

static int stay(const sigset_t *ends)
{
	int signo;

	while (sigwait(ends, &signo) != 0)
		;
	return STATUS_DONE;
}

// A mode that was asked for is the mode that is made: the umask is for modes that nobody named.
static int make(const char *name, const struct wish *wish)
{
	const bool stays = wish->flags & PH_SHM_RECLAIM;
	int status = STATUS_DONE;
	sigset_t ends;

	if (wish->mode_given)
		umask(0);
	if (stays)
		block_signals(&ends);
	void *const at =
		ph_shm_map(name, wish->bytes, PH_SHM_CREATE | wish->flags, wish->mode, wish->bytes);

	if (!at)
		return shared_fail(name, errno);
	if (stays)
		status = wish->argv ? run_meanwhile(wish->argv, &ends) : stay(&ends);
	ph_shm_unmap(at);
	return status;
}

static int take_words(struct wish *wish, int count, char **words)
{
	if (count < 2)
		return cli_usage_error("a name and a size are needed");
	if (!cli_parse_bytes(words[1], &wish->bytes) || wish->bytes == 0 || wish->bytes > INT64_MAX)
		return cli_usage_error("%s is not a number of bytes, such as 4096, 64k, 1g", words[1]);
	if (count > 2 && !(wish->flags & PH_SHM_RECLAIM))
		return cli_usage_error("a command is run with --reclaim only");
	wish->argv = count > 2 ? words + 2 : NULL;
	return 0;
}

static int run_make(int argc, char **argv)
{
	struct wish wish = {.mode = 0600, .flags = PH_SHM_EXCL};
	char name[NAME_WHOLE_MAX];
	int opt, status;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":m:Hreh", make_options, NULL)) != -1) {
		if (opt == 'h' || opt == ':' || opt == '?')
			return cli_other_option(opt, argv);
		if ((status = take_option(opt, &wish)) != 0)
			return status;
	}
	if ((status = take_words(&wish, argc - optind, argv + optind)) != 0)
		return status;
	return shared_name(argv[optind], name) ? make(name, &wish) : STATUS_USAGE;
}

static const struct option remove_options[] = {
	{"force", no_argument, NULL, 'f'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static int remove_one(const char *argument, bool force)
{
	char name[NAME_WHOLE_MAX];

	if (!shared_name(argument, name))
		return STATUS_USAGE;
	if (ph_shm_unlink(name) == 0 || (force && errno == ENOENT))
		return STATUS_DONE;
	if (errno == ENOENT)
		return cli_fail(STATUS_REFUSED, name, "no such shared memory; see: posthaste ls");
	return shared_fail(name, errno);
}

// Every name is tried; the status is the worst.
static int run_remove(int argc, char **argv)
{
	bool force = false;
	int opt, worst = STATUS_DONE;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":fh", remove_options, NULL)) != -1) {
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

static const struct command shm_mk = {
	.name = "shm mk",
	.arguments = "NAME SIZE [--mode OCTAL] [--huge] [--exist-ok] [--reclaim [-- COMMAND [ARG...]]]",
	.summary = "Make shared memory: zeros, all of it reserved.",
	.help =
		"  -m, --mode OCTAL   permissions, exactly these (default: 600 less the umask)\n"
		"  -H, --huge         huge pages, as far as the machine has them\n"
		"  -e, --exist-ok     content with what exists; what is smaller than SIZE grows\n"
		"  -r, --reclaim      the name goes when the last user is gone, killed or not. This command\n"
		"                     is the first: it stays until COMMAND ends, or a signal comes\n\n"
		"SIZE is in bytes, also 64k, 1m, 1g. With COMMAND the status is its own.\n",
	.run = run_make,
};

static const struct command shm_rm = {
	.name = "shm rm",
	.arguments = "NAME... [--force]",
	.summary = "Remove names of shared memory. Who has it mapped goes on using it.",
	.help = "  -f, --force   content if there is none of that name\n",
	.run = run_remove,
};

const struct command cmd_shm = {
	.name = "shm",
	.arguments = "mk|rm|cat|write|info NAME ...",
	.summary = "Make and use shared memory.",
	.help = "Options: posthaste help shm mk, and so on.\n",
	.parts =
		(const struct command *const[]){&shm_mk, &shm_rm, &shm_cat, &shm_write, &shm_info, NULL},
};

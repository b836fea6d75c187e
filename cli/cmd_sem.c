// SPDX-License-Identifier: MIT
//
// cmd_sem.c - posthaste sem: what can be done with semaphores; here they are made and removed. cmd_sem_use.c
// takes and gives units.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "cmd_sem.h"
#include "units.h"

struct wish {
	uint64_t value;
	mode_t mode;
	bool mode_given, exist_ok, holders;
};

static const struct option make_options[] = {
	{"value", required_argument, NULL, 'v'}, {"holders", no_argument, NULL, 'H'},
	{"mode", required_argument, NULL, 'm'},  {"exist-ok", no_argument, NULL, 'e'},
	{"help", no_argument, NULL, 'h'},        {0},
};

// An option's value; 0 or the status to end with.
static int take_option(int opt, struct wish *wish)
{
	switch (opt) {
	case 'v':
		if (!cli_parse_count(optarg, 0, SEM_VALUE_MAX, &wish->value))
			return cli_usage_error("--value %s is not a number of units", optarg);
		return 0;
	case 'm':
		if (!cli_parse_mode(optarg, &wish->mode))
			return cli_usage_error("--mode %s is not an octal mode, such as 660", optarg);
		wish->mode_given = true;
		return 0;
	case 'H': wish->holders = true; return 0;
	default: wish->exist_ok = true; return 0;
	}
}

// A mode that was asked for is the mode that is made: the umask is for modes that nobody named.
static int make(const char *name, const struct wish *wish)
{
	const int flags =
		O_CREAT | (wish->exist_ok ? 0 : O_EXCL) | (wish->holders ? PH_SEM_HOLDERS : 0);

	if (wish->mode_given)
		umask(0);
	sem_t *const sem = ph_sem_open(name, flags, wish->mode, (unsigned)wish->value);

	if (sem == SEM_FAILED && errno == EINVAL && wish->exist_ok)
		return cli_fail(STATUS_REFUSED, name, "exists already, and has no holders");
	if (sem == SEM_FAILED)
		return units_fail(name, errno);
	ph_sem_close(sem);
	return STATUS_DONE;
}

static int run_make(int argc, char **argv)
{
	struct wish wish = {.value = 1, .mode = 0600};
	char name[NAME_WHOLE_MAX];
	int opt, status;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":v:Hm:eh", make_options, NULL)) != -1) {
		if (opt == 'h' || opt == ':' || opt == '?')
			return cli_other_option(opt, argv);
		if ((status = take_option(opt, &wish)) != 0)
			return status;
	}
	if (argc - optind != 1)
		return cli_usage_error("one name is needed");
	if (wish.holders && wish.value > PH_SEM_HOLDERS_VALUE_MAX)
		return cli_usage_error("a semaphore with holders has at most %u units",
		                       PH_SEM_HOLDERS_VALUE_MAX);
	return units_name(argv[optind], name) ? make(name, &wish) : STATUS_USAGE;
}

static const struct option remove_options[] = {
	{"force", no_argument, NULL, 'f'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static int remove_one(const char *argument, bool force)
{
	char name[NAME_WHOLE_MAX];

	if (!units_name(argument, name))
		return STATUS_USAGE;
	if (ph_sem_unlink(name) == 0 || (force && errno == ENOENT))
		return STATUS_DONE;
	if (errno == ENOENT)
		return cli_fail(STATUS_REFUSED, name, "no such semaphore; see: posthaste ls");
	return units_fail(name, errno);
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

static const struct command sem_mk = {
	.name = "sem mk",
	.arguments = "NAME [--value N] [--holders] [--mode OCTAL] [--exist-ok]",
	.summary = "Make a semaphore.",
	.help = "  -v, --value N      units at the beginning (default: 1)\n"
			"  -H, --holders      write down who holds units: they come back when the holder ends\n"
			"  -m, --mode OCTAL   permissions, exactly these (default: 600 less the umask)\n"
			"  -e, --exist-ok     content with a semaphore that exists, whatever its units\n",
	.run = run_make,
};

static const struct command sem_rm = {
	.name = "sem rm",
	.arguments = "NAME... [--force]",
	.summary = "Remove semaphores. Who has one open goes on using it.",
	.help = "  -f, --force   content if there is none of that name\n",
	.run = run_remove,
};

const struct command cmd_sem = {
	.name = "sem",
	.arguments = "mk|rm|post|wait|try|value NAME ...",
	.summary = "Make and use semaphores.",
	.help =
		"Options: posthaste help sem mk, and so on. Who holds units, and who waits: posthaste info\n"
		"NAME. To run a command while holding units: posthaste lock.\n",
	.parts = (const struct command *const[]){&sem_mk, &sem_rm, &sem_post_units, &sem_take, &sem_try,
                                             &sem_value, NULL},
};

// SPDX-License-Identifier: MIT
//
// cmd_lock.c - posthaste lock: runs a command while holding units of a semaphore.
//
// This process is the holder. What the library takes for the life of a holder is a lock on the semaphore's file that
// lasts while the descriptor is open somewhere, so the command inherits one: if this process is killed, the
// units stay held until the command is gone as well, and it is killed by the kernel then. So nobody else ever has
// the units while the command runs. When the command ends in any other way, the units go back at once,
// whatever it has left in the background.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "program.h"
#include "sem/sem.h"
#include "units.h"

enum { LOWEST_INHERITED = 10 }; // shells use the numbers below by themselves

struct wish {
	char name[NAME_WHOLE_MAX];
	uint64_t units, size; // to hold; of a semaphore that is made
	uint64_t status_if_busy;
	struct patience patience;
	bool size_given, only_try, keep_to_itself, status_given;
	char *shell[4];
	char **argv;
};

static const struct option options[] = {
	{"hold", required_argument, NULL, 'n'},
	{"units", required_argument, NULL, 'u'},
	{"timeout", required_argument, NULL, 't'},
	{"try", no_argument, NULL, 'T'},
	{"exit-code", required_argument, NULL, 'E'},
	{"close", no_argument, NULL, 'o'},
	{"command", required_argument, NULL, 'c'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

// ---- taking ----

static sem_t *open_or_make(const struct wish *wish)
{
	sem_t *const sem = ph_sem_open(wish->name, O_CREAT | PH_SEM_HOLDERS | PH_SEM_OWNERDEAD, 0600,
	                               (unsigned)wish->size);

	if (sem == SEM_FAILED && errno == EINVAL)
		cli_fail(STATUS_REFUSED, wish->name,
		         "has no holders: what a killed command has taken would be lost; make it anew: "
		         "posthaste sem rm %s; posthaste sem mk %s --holders",
		         wish->name + 1, wish->name + 1);
	else if (sem == SEM_FAILED)
		units_fail(wish->name, errno);
	return sem;
}

// Who died is in the semaphore for the looking.
static void tell_of_the_dead(const struct wish *wish)
{
	static struct ph_sem_info info;

	if (ph_sem_info(wish->name, &info) == 0 && info.last_dead != 0)
		cli_warn(wish->name, "the last holder, pid %d, died holding it: its work may be half done",
		         (int)info.last_dead);
}

static int fail_busy(const struct wish *wish)
{
	const int usual = wish->only_try ? STATUS_REFUSED : STATUS_TIMED_OUT;
	const int status = wish->status_given ? (int)wish->status_if_busy : usual;
	char who[UNITS_WHO_MAX];

	units_who_holds(wish->name, who);
	if (wish->only_try)
		return cli_fail(status, wish->name, "busy%s%s; to wait, leave out --try",
		                *who ? ", held by " : "", who);
	return cli_fail(status, wish->name, "not free within %g s%s%s; give it more --timeout",
	                wish->patience.seconds, *who ? ", held by " : "", who);
}

static void warn_if_too_few(const struct wish *wish)
{
	const uint64_t all = units_in_all(wish->name);

	if (all < wish->units && !wish->only_try)
		cli_warn(wish->name,
		         "has %ju units in all, and %ju are asked for: waits for more, such as: posthaste "
		         "sem post %s %ju",
		         (uintmax_t)all, (uintmax_t)wish->units, wish->name + 1,
		         (uintmax_t)(wish->units - all));
}

static int take(const struct wish *wish, sem_t *sem)
{
	const struct patience none = {true, 0};
	struct timespec when;
	const unsigned units = (unsigned)wish->units;
	int result = ph_sem_take(sem, units, CLOCK_MONOTONIC, patience_until(&none, &when));

	if (result != 0 && errno == ETIMEDOUT && !wish->only_try) {
		warn_if_too_few(wish);
		result = ph_sem_take(sem, units, CLOCK_MONOTONIC, patience_until(&wish->patience, &when));
	}
	if (result != 0 && errno == EOWNERDEAD)
		tell_of_the_dead(wish);
	else if (result != 0)
		return errno == ETIMEDOUT ? fail_busy(wish) : units_fail(wish->name, errno);
	return STATUS_DONE;
}

// ---- running ----

// The sign of life, for the command to have as well; -1 = not wanted, or no number left.
static int make_heirloom(const struct wish *wish, sem_t *sem)
{
	const struct sem *const own = phi_sem_find((struct sem_word *)sem);

	return wish->keep_to_itself || !own ? -1 : fcntl(own->region->fd, F_DUPFD, LOWEST_INHERITED);
}

static bool die_with_parent(void *arg)
{
	const pid_t parent = *(const pid_t *)arg;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		raise(SIGKILL);
	return true;
}

static int run_holding(const struct wish *wish, sem_t *sem)
{
	struct program program = {.argv = wish->argv};
	pid_t own = getpid();
	const int heirloom = make_heirloom(wish, sem);

	program_manners(&program, 1);
	const bool started = program_start(&program, die_with_parent, &own);
	const int err = errno;

	if (heirloom >= 0)
		close(heirloom);
	program_wait(&program);
	ph_sem_close(sem);
	return started ? program.status
	               : cli_fail(STATUS_REFUSED, "fork", "%s; see: posthaste doctor", strerror(err));
}

static int lock(const struct wish *wish)
{
	sem_t *const sem = open_or_make(wish);

	if (sem == SEM_FAILED)
		return STATUS_REFUSED;
	const int status = take(wish, sem);

	if (status == STATUS_DONE)
		return run_holding(wish, sem);
	ph_sem_close(sem);
	return status;
}

// ---- arguments ----

static int take_units(const char *option, const char *text, uint64_t *units)
{
	return cli_parse_count(text, 1, PH_SEM_HOLDERS_VALUE_MAX, units)
	           ? 0
	           : cli_usage_error("%s %s is not a number of units from 1 to %u", option, text,
	                             PH_SEM_HOLDERS_VALUE_MAX);
}

static void use_shell(struct wish *wish, char *line)
{
	char *const shell = getenv("SHELL");

	wish->shell[0] = shell && *shell ? shell : (char *)"/bin/sh";
	wish->shell[1] = (char *)"-c";
	wish->shell[2] = line;
	wish->argv = wish->shell;
}

// An option's value; 0 or the status to end with.
static int take_option(int opt, struct wish *wish)
{
	switch (opt) {
	case 'n': return take_units("--hold", optarg, &wish->units);
	case 'u': wish->size_given = true; return take_units("--units", optarg, &wish->size);
	case 't':
		wish->patience.limited = true;
		if (!cli_parse_seconds(optarg, &wish->patience.seconds))
			return cli_usage_error("--timeout %s is not a number of seconds", optarg);
		return 0;
	case 'E':
		if (!cli_parse_count(optarg, 0, 255, &wish->status_if_busy))
			return cli_usage_error("--exit-code %s is not a status from 0 to 255", optarg);
		wish->status_given = true;
		return 0;
	case 'c': use_shell(wish, optarg); return 0;
	case 'T': wish->only_try = true; return 0;
	default: wish->keep_to_itself = true; return 0;
	}
}

static int complete(struct wish *wish, int count, char **words)
{
	if (wish->argv && count > 0)
		return cli_usage_error("--command and a command behind the name are too much");
	if (!wish->argv && count == 0)
		return cli_usage_error("a command is needed behind the name");
	if (wish->only_try && wish->patience.limited)
		return cli_usage_error("--try does not wait, so it has no --timeout");
	if (wish->size < wish->units && wish->size_given)
		return cli_usage_error("%ju of %ju units can never be held", (uintmax_t)wish->units,
		                       (uintmax_t)wish->size);
	if (wish->size < wish->units)
		wish->size = wish->units;
	if (!wish->argv)
		wish->argv = words;
	return 0;
}

// Options up to the next word that is none. False: it is said already, *status is what to end with.
static bool read_options(struct wish *wish, int argc, char **argv, int *status)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "+:n:u:t:TE:oc:h", options, NULL)) != -1) {
		const bool other = opt == 'h' || opt == ':' || opt == '?';

		*status = other ? cli_other_option(opt, argv) : take_option(opt, wish);
		if (other || *status != 0)
			return false;
	}
	return true;
}

// Options stand before the name and behind it, as far as the command.
static int run(int argc, char **argv)
{
	struct wish wish = {.units = 1, .size = 1};
	int status;

	opterr = 0;
	if (!read_options(&wish, argc, argv, &status))
		return status;
	if (optind == argc)
		return cli_usage_error("a name and a command are needed");
	if (!units_name(argv[optind++], wish.name))
		return STATUS_USAGE;
	if (!read_options(&wish, argc, argv, &status))
		return status;
	status = complete(&wish, argc - optind, argv + optind);
	return status != 0 ? status : lock(&wish);
}

const struct command cmd_lock = {
	.name = "lock",
	.arguments = "NAME [-n UNITS] [--timeout SECONDS] [-- COMMAND [ARG...]]",
	.summary = "Run a command while holding units of a semaphore.",
	.help =
		"  -n, --hold UNITS        units to hold, all at once (default: 1)\n"
		"  -u, --units N           units of the semaphore if it is made here (default: as many as\n"
		"                          are to be held)\n"
		"  -t, --timeout SECONDS   give up after so long, with status 124\n"
		"  -T, --try               do not wait: status 1 if the units are not free\n"
		"  -E, --exit-code N       this status instead of 124 or 1 if the units were not free\n"
		"  -c, --command LINE      run LINE by $SHELL, else /bin/sh\n"
		"  -o, --close             the command does not inherit the hold\n\n"
		"A semaphore that is not there is made, with holders. The units go back when COMMAND ends,\n"
		"in whatever way, even if it has left something in the background. If posthaste itself is\n"
		"killed, COMMAND is killed with it, and the units go back when COMMAND and whatever it has\n"
		"started are gone; with --close at once. SIGTERM, SIGHUP and SIGINT to posthaste are passed\n"
		"on. The status is that of COMMAND: 128 + N if signal N ended it, 127 if there is no such\n"
		"program, 126 if it cannot be run.\n",
	.run = run,
};

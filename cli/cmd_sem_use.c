// SPDX-License-Identifier: MIT
//
// cmd_sem_use.c - posthaste sem post, wait, try and value: units are given and taken.
//
// Several units are taken all or none. A semaphore with holders does that itself; from another they are taken one
// by one, and those that were taken go back if the rest does not come, also when a signal ends the command.
#include <errno.h>
#include <string.h>

#include "cmd_sem.h"
#include "stop.h"
#include "units.h"

// A request to stop that comes between the look at it and the sleep is seen after so much time.
enum { SLICE_NS = 200000000 };

struct taking {
	char name[NAME_WHOLE_MAX];
	uint64_t units;
	struct patience patience;
	bool only_try; // in no time: then it is for want of units that it fails
};

static bool has_holders(sem_t *sem)
{
	return ph_sem_held(sem) >= 0 || errno != EINVAL;
}

// ---- post ----

static int post_singly(const char *name, sem_t *sem, uint64_t units)
{
	for (uint64_t i = 0; i < units; i++) {
		if (ph_sem_post(sem) == 0)
			continue;
		if (i == 0)
			return units_fail(name, errno);
		return cli_fail(STATUS_REFUSED, name, "%s; %ju of %ju units were given", strerror(errno),
		                (uintmax_t)i, (uintmax_t)units);
	}
	return STATUS_DONE;
}

static int post(const struct taking *taking)
{
	sem_t *const sem = units_open(taking->name, 0);
	int status = STATUS_DONE;

	if (sem == SEM_FAILED)
		return STATUS_REFUSED;
	if (!has_holders(sem))
		status = post_singly(taking->name, sem, taking->units);
	else if (taking->units > PH_SEM_HOLDERS_VALUE_MAX)
		status = units_fail(taking->name, EOVERFLOW);
	else if (ph_sem_give(sem, (unsigned)taking->units) != 0)
		status = units_fail(taking->name, errno);
	ph_sem_close(sem);
	return status;
}

// ---- wait ----

static void put_back(sem_t *sem, uint64_t units)
{
	while (units-- > 0)
		ph_sem_post(sem);
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

// One unit, or errno. EINTR: the command is to stop.
static int take_one(sem_t *sem, const struct timespec *until)
{
	const struct patience slice = {true, SLICE_NS / 1e9};
	struct timespec soon;

	for (;;) {
		const struct timespec *end = patience_until(&slice, &soon);

		if (stop_asked())
			return EINTR;
		if (until && !is_before(end, until))
			end = until;
		if (ph_sem_clockwait(sem, CLOCK_MONOTONIC, end) == 0)
			return 0;
		if (errno != EINTR && (errno != ETIMEDOUT || end == until))
			return errno;
	}
}

static int fail(const struct taking *taking, int err)
{
	return units_fail(taking->name, taking->only_try && err == ETIMEDOUT ? EAGAIN : err);
}

static int take_singly(const struct taking *taking, sem_t *sem)
{
	struct timespec when;
	const struct timespec *const until = patience_until(&taking->patience, &when);

	stop_install();
	for (uint64_t i = 0; i < taking->units; i++) {
		const int err = take_one(sem, until);

		if (err == 0)
			continue;
		put_back(sem, i);
		if (err == EINTR)
			stop_now();
		return fail(taking, err);
	}
	return STATUS_DONE;
}

static int take_held(const struct taking *taking, sem_t *sem)
{
	struct timespec when;
	const struct timespec *const until = patience_until(&taking->patience, &when);

	if (taking->units > PH_SEM_HOLDERS_VALUE_MAX)
		return units_fail(taking->name, EINVAL);
	if (ph_sem_take(sem, (unsigned)taking->units, CLOCK_MONOTONIC, until) != 0)
		return fail(taking, errno);
	cli_warn(
		taking->name,
		"has holders: the units go back now, as this command ends; to hold them: posthaste lock "
		"%s -- COMMAND",
		taking->name + 1);
	return STATUS_DONE;
}

static int take(const struct taking *taking)
{
	sem_t *const sem = units_open(taking->name, 0);

	if (sem == SEM_FAILED)
		return STATUS_REFUSED;
	const int status = has_holders(sem) ? take_held(taking, sem) : take_singly(taking, sem);

	ph_sem_close(sem);
	return status;
}

static int show_value(const struct taking *taking)
{
	sem_t *const sem = units_open(taking->name, 0);
	int value;

	if (sem == SEM_FAILED)
		return STATUS_REFUSED;
	const int err = ph_sem_getvalue(sem, &value) == 0 ? 0 : errno;

	ph_sem_close(sem);
	if (err != 0)
		return units_fail(taking->name, err);
	printf("%d\n", value);
	return STATUS_DONE;
}

// ---- arguments ----

static const struct option options[] = {
	{"timeout", required_argument, NULL, 't'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

// The name, and if need be the number behind it.
static int read_words(struct taking *taking, int most, int count, char **words)
{
	taking->units = 1;
	if (count < 1 || count > most)
		return cli_usage_error(most == 1 ? "one name is needed"
		                                 : "a name is needed, and the units if it is not 1");
	if (count == 2 && !cli_parse_count(words[1], 1, SEM_VALUE_MAX, &taking->units))
		return cli_usage_error("%s is not a number of units", words[1]);
	return units_name(words[0], taking->name) ? STATUS_DONE : STATUS_USAGE;
}

// False: it is said already, *status is what to end with.
static bool read_arguments(struct taking *taking, int argc, char **argv, int most_words,
                           int *status)
{
	const bool timed = cli_command == &sem_take;
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, timed ? ":t:h" : ":h", options + !timed, NULL)) != -1) {
		if (opt != 't')
			return *status = cli_other_option(opt, argv), false;
		taking->patience.limited = true;
		if (!cli_parse_seconds(optarg, &taking->patience.seconds))
			return *status = cli_usage_error("--timeout %s is not a number of seconds", optarg),
			       false;
	}
	*status = read_words(taking, most_words, argc - optind, argv + optind);
	return *status == STATUS_DONE;
}

static int run_wait(int argc, char **argv)
{
	struct taking taking = {.units = 1};
	int status;

	return read_arguments(&taking, argc, argv, 2, &status) ? take(&taking) : status;
}

static int run_try(int argc, char **argv)
{
	struct taking taking = {.patience = {true, 0}, .only_try = true};
	int status;

	return read_arguments(&taking, argc, argv, 2, &status) ? take(&taking) : status;
}

static int run_post(int argc, char **argv)
{
	struct taking taking = {.units = 1};
	int status;

	return read_arguments(&taking, argc, argv, 2, &status) ? post(&taking) : status;
}

static int run_value(int argc, char **argv)
{
	struct taking taking = {.units = 1};
	int status;

	return read_arguments(&taking, argc, argv, 1, &status) ? show_value(&taking) : status;
}

const struct command sem_post_units = {
	.name = "sem post",
	.arguments = "NAME [N]",
	.summary = "Give a unit, or N.",
	.help = "",
	.run = run_post,
};

#define NOT_TO_HOLD                                                                            \
	"Units of a semaphore with holders go back as this command ends: to run something while\n" \
	"holding them: posthaste lock.\n"

const struct command sem_take = {
	.name = "sem wait",
	.arguments = "NAME [N] [--timeout SECONDS]",
	.summary = "Take a unit, or N: all of them or none; wait while they are not there.",
	.help = "  -t, --timeout SECONDS   give up with status 124 after so long\n\n" NOT_TO_HOLD,
	.run = run_wait,
};

const struct command sem_try = {
	.name = "sem try",
	.arguments = "NAME [N]",
	.summary = "Take a unit, or N, if they are there now; else status 1.",
	.help = NOT_TO_HOLD,
	.run = run_try,
};

const struct command sem_value = {
	.name = "sem value",
	.arguments = "NAME",
	.summary = "Print the units that are there.",
	.help = "",
	.run = run_value,
};

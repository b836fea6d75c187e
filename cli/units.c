// SPDX-License-Identifier: MIT
//
// units.c - see units.h.
#include "units.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "show.h"

bool units_name(const char *argument, char name[NAME_WHOLE_MAX])
{
	return name_whole("a semaphore", argument, name);
}

static const struct cli_failure failures[] = {
	{ENOENT, 1, true, "no such semaphore; make it with: posthaste sem mk "},
	{EEXIST, 1, true, "exists already; accept it with --exist-ok, or first: posthaste sem rm "},
	{EACCES, 1, false,
     "permission denied (a semaphore needs both read and write permission); see who owns it with: "
     "posthaste ls"},
	{EBADMSG, 1, true,
     "damaged, or made by another version; end its users, then: posthaste sem rm "},
	{EINVAL, 1, false,
     "not a number of units that a semaphore can have; see: posthaste help sem mk"},
	{EOVERFLOW, 1, false, "it has as many units as a semaphore can have"},
	{EAGAIN, 1, true, "not so many units are there; who holds or waits: posthaste info "},
	{ENOBUFS, 1, true, "too many processes use it; see who with: posthaste info "},
	{ENOSPC, 1, false,
     "no room in the namespace's file system; remove objects, or see: posthaste doctor"},
	{ENOMEM, 1, false, "no memory to map it; see: posthaste doctor"},
	{EMFILE, 1, false, "too many open files in this process; raise it with: ulimit -n 4096"},
	{ENFILE, 1, false, "too many open files on this machine; raise fs.file-max"},
	{EROFS, 1, false,
     "the namespace's file system is read-only; name another place with POSTHASTE_DIR"},
	{ELOOP, 1, true, "a symbolic link stands in its place; remove it with: posthaste sem rm "},
	{EXDEV, 1, false,
     "in use from another pid namespace; run inside the same container, or share its namespace"},
	{ETIMEDOUT, STATUS_TIMED_OUT, true,
     "timed out; give it more --timeout, or see who holds or waits with: posthaste info "},
	{0},
};

int units_fail(const char *name, int err)
{
	return cli_fail_as(failures, name, err);
}

sem_t *units_open(const char *name, int oflag)
{
	sem_t *const sem = ph_sem_open(name, oflag);

	if (sem == SEM_FAILED)
		units_fail(name, errno);
	return sem;
}

const char *units_who_holds(const char *name, char out[UNITS_WHO_MAX])
{
	static struct ph_sem_info info;
	size_t used = 0;

	out[0] = '\0';
	if (ph_sem_info(name, &info) != 0)
		return out;
	for (size_t i = 0; i < info.held_count && used < UNITS_WHO_MAX - 1; i++) {
		char text[SHOW_MAX];
		const int n = snprintf(out + used, UNITS_WHO_MAX - used, "%spid %d (%s)", i ? ", " : "",
		                       (int)info.held[i].pid, show_program(text, info.held[i].pid));

		used += n > 0 ? (size_t)n : 0;
	}
	return out;
}

uint64_t units_held(const struct ph_sem_info *info)
{
	uint64_t units = 0;

	for (size_t i = 0; i < info->held_count; i++)
		units += info->held[i].units;
	return units;
}

uint64_t units_in_all(const char *name)
{
	static struct ph_sem_info info;
	uint64_t most = 0;

	for (int look = 0; look < 3; look++) {
		if (ph_sem_info(name, &info) != 0)
			return 0;
		const uint64_t units = info.value + units_held(&info);

		most = units > most ? units : most;
	}
	return most;
}

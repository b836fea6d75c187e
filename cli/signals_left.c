// SPDX-License-Identifier: MIT
//
// signals_left.c - see signals_left.h. Whether somebody uses a port is the kernel's word (core/life.h); the file is removed
// under a lock that keeps others from beginning to.
#include "signals_left.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "core/file.h"
#include "core/life.h"
#include "core/name.h"
#include "core/namespace.h"
#include "names.h"

static bool is_unused(int dir, const char *file)
{
	const int fd = openat(dir, file, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	const bool unused = fd >= 0 && !phi_life_attached(fd);

	if (fd >= 0)
		close(fd);
	return unused;
}

static bool remove_unused(int dir, const char *file)
{
	return phi_file_remove_unused(dir, file, NULL);
}

static int each(const char *prefix, bool (*one)(int dir, const char *file))
{
	struct names list;
	char file[NAME_MAX + 1];
	int n = 0;

	if (!names_list(&list, prefix))
		return 0;
	const int dir = phi_namespace_open();

	for (size_t i = 0; dir >= 0 && i < list.count; i++)
		n += phi_name_to_file(prefix, list.name[i], file) == 0 && one(dir, file);
	if (dir >= 0)
		close(dir);
	names_free(&list);
	return n;
}

int signals_sweep(void)
{
	return each(NAMES_SIGNALS, remove_unused) + each(NAMES_PORTS, remove_unused);
}

int signals_count_left(void)
{
	return each(NAMES_SIGNALS, is_unused) + each(NAMES_PORTS, is_unused);
}

void signals_forget(pid_t pid)
{
	char file[32];
	const int dir = phi_namespace_open();

	snprintf(file, sizeof file, NAMES_SIGNALS "%d", (int)pid);
	if (dir < 0)
		return;
	phi_file_remove_unused(dir, file, NULL);
	close(dir);
}

static int refuse(int dir, const char *prefix, const char *name, const char *file, bool force)
{
	if (faccessat(dir, file, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
		return force ? STATUS_DONE : cli_fail(STATUS_REFUSED, name, "no such port");
	if (faccessat(dir, file, R_OK | W_OK, AT_EACCESS) != 0)
		return cli_fail(STATUS_REFUSED, name, "%s", strerror(errno));
	if (strcmp(prefix, NAMES_SIGNALS) == 0)
		return cli_fail(STATUS_REFUSED, name, "the process lives: its port goes with it");
	return cli_fail(
		STATUS_REFUSED, name,
		"processes have joined it: it goes with the last of them; who: posthaste info %s",
		name + 1);
}

int signals_remove(const char *prefix, const char *name, bool force)
{
	char file[NAME_MAX + 1];
	const int dir = phi_namespace_open();
	int status = STATUS_DONE;

	if (dir < 0)
		return cli_fail(STATUS_REFUSED, NULL,
		                "the namespace directory cannot be used: %s; see: posthaste doctor",
		                strerror(-dir));
	if (phi_name_to_file(prefix, name, file) != 0 || !phi_file_remove_unused(dir, file, NULL))
		status = refuse(dir, prefix, name, file, force);
	close(dir);
	return status;
}

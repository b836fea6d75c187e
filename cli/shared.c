// SPDX-License-Identifier: MIT
//
// shared.c - see shared.h.
#include "shared.h"

#include <errno.h>

#include "cli.h"

bool shared_name(const char *argument, char name[NAME_WHOLE_MAX])
{
	return name_whole("shared memory", argument, name);
}

static const struct cli_failure failures[] = {
	{ENOENT, 1, true, "no such shared memory; make it with: posthaste shm mk "},
	{EEXIST, 1, true, "exists already; accept it with --exist-ok, or first: posthaste shm rm "},
	{EACCES, 1, false, "permission denied; see who owns it with: posthaste ls"},
	{EPERM, 1, false, "not permitted; see who owns it with: posthaste ls"},
	{EBADMSG, 1, true,
     "no shared memory, but a file of another kind; remove it: posthaste shm rm "},
	{EINVAL, 1, false, "not a size that shared memory can have; see: posthaste help shm mk"},
	{ENOSPC, 1, false,
     "no room in the namespace's file system; ask for less, remove objects, or see: posthaste doctor"},
	{ENOMEM, 1, false, "too big for this machine's memory; ask for less"},
	{EFBIG, 1, false,
     "bigger than this process may make files; raise it with: ulimit -f unlimited"},
	{EMFILE, 1, false, "too many open files in this process; raise it with: ulimit -n 4096"},
	{ENFILE, 1, false, "too many open files on this machine; raise fs.file-max"},
	{EROFS, 1, false,
     "the namespace's file system is read-only; name another place with POSTHASTE_DIR"},
	{ELOOP, 1, true, "a symbolic link stands in its place; remove it with: posthaste shm rm "},
	{0},
};

int shared_fail(const char *name, int err)
{
	return cli_fail_as(failures, name, err);
}

const char *shared_state(const struct ph_shm_info *info)
{
	if (info->damaged)
		return "damaged";
	return info->reclaim && !info->mapped ? "unused" : "ok";
}

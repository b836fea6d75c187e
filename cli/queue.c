// SPDX-License-Identifier: MIT
//
// queue.c - see queue.h.
#include "queue.h"

#include <errno.h>

#include "cli.h"

bool queue_name(const char *argument, char name[NAME_WHOLE_MAX])
{
	return name_whole("a queue", argument, name);
}

static const struct cli_failure failures[] = {
	{ENOENT, 1, true, "no such queue; make it with: posthaste mk "},
	{EEXIST, 1, true, "exists already; accept it with --exist-ok, or first: posthaste rm "},
	{EACCES, 1, false,
     "permission denied (a queue needs both read and write permission); see who owns it with: "
     "posthaste ls"},
	{EPERM, 1, false,
     "not permitted (the namespace lets only its owner remove a queue); see who owns it with: "
     "posthaste ls"},
	{EBADMSG, 1, true, "damaged, or made by another version; end its users, then: posthaste rm "},
	{EINVAL, 1, false, "not a depth or size that a queue can have; see: posthaste help mk"},
	{ENOSPC, 1, false,
     "no room in the namespace's file system; ask for less --depth or --size, remove queues, or "
     "see: posthaste doctor"},
	{ENOMEM, 1, false, "too big for this machine's memory; ask for less --depth or --size"},
	{EFBIG, 1, false,
     "bigger than this process may make files; raise it with: ulimit -f unlimited"},
	{EMFILE, 1, false, "too many open files in this process; raise it with: ulimit -n 4096"},
	{ENFILE, 1, false, "too many open files on this machine; raise fs.file-max"},
	{EROFS, 1, false,
     "the namespace's file system is read-only; name another place with POSTHASTE_DIR"},
	{ELOOP, 1, true, "a symbolic link stands in its place; remove it with: posthaste rm "},
	{EXDEV, 1, false,
     "in use from another pid namespace; run inside the same container, or share its namespace"},
	{ETIMEDOUT, STATUS_TIMED_OUT, true,
     "timed out; give it more --timeout, or see who is at work with: posthaste info "},
	{0},
};

int queue_fail(const char *name, int err)
{
	return cli_fail_as(failures, name, err);
}

mqd_t queue_open(const char *name, int oflag, size_t *msgsize)
{
	struct mq_attr attr;
	const mqd_t mq = ph_mq_open(name, oflag);

	if (mq == (mqd_t)-1 || ph_mq_getattr(mq, &attr) != 0) {
		queue_fail(name, errno);
		return (mqd_t)-1;
	}
	*msgsize = (size_t)attr.mq_msgsize;
	return mq;
}

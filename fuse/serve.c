// SPDX-License-Identifier: MIT
//
// serve.c - see mount.h: mounting, and serving until the end. What is served, tree.c tells.
//
// When this process ends, be it killed, the kernel answers whoever waits in the mount with ENOTCONN; what its
// threads had borrowed goes back to the queues, as with every user that dies.
#include "mount.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli.h"
#include "tree.h"

// libfuse and fusermount3 complain to stderr. What they say meanwhile is put into one line of ours.
struct muffler {
	int said, stderr_before;
};

static void muffle(struct muffler *muffler)
{
	fflush(stderr);
	muffler->said = memfd_create("said", MFD_CLOEXEC);
	muffler->stderr_before = dup(STDERR_FILENO);
	if (muffler->said >= 0 && muffler->stderr_before >= 0)
		dup2(muffler->said, STDERR_FILENO);
}

// The last line that was said goes to `text`.
static void unmuffle(struct muffler *muffler, char *text, size_t size)
{
	const ssize_t n = muffler->said >= 0 ? pread(muffler->said, text, size - 1, 0) : 0;

	fflush(stderr);
	if (muffler->stderr_before >= 0)
		dup2(muffler->stderr_before, STDERR_FILENO);
	close(muffler->stderr_before);
	close(muffler->said);
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
}

static int mount_at(struct fuse_session *session, const char *dir)
{
	struct muffler muffler;
	char said[200];

	muffle(&muffler);
	const int failed = fuse_session_mount(session, dir);

	unmuffle(&muffler, said, sizeof said);
	if (failed == 0)
		return STATUS_DONE;
	if (access("/dev/fuse", F_OK) != 0)
		return cli_fail(
			STATUS_REFUSED, dir,
			"there is no /dev/fuse: load it with: modprobe fuse; a container is given it");
	return cli_fail(STATUS_REFUSED, dir, "cannot mount: %s",
	                *said ? said : "libfuse does not say why");
}

// Not freed: threads that wait for messages still use it when the loop ends, and this process ends now.
static int serve(struct fuse_session *session, const char *dir, bool foreground)
{
	const int status = mount_at(session, dir);

	if (status != STATUS_DONE)
		return status;
	if (fuse_daemonize(foreground) != 0 || fuse_set_signal_handlers(session) != 0) {
		fuse_session_unmount(session);
		return cli_fail(STATUS_REFUSED, dir, "cannot stay behind: %s", strerror(errno));
	}
	struct fuse_loop_config loop = {.max_idle_threads = 10};

	fuse_session_loop_mt(session, &loop);
	fuse_session_unmount(session);
	return STATUS_DONE;
}

int mount_serve(const char *dir, bool foreground)
{
	char program[] = "posthaste", option[] = "-o", names[] = "fsname=posthaste,subtype=posthaste";
	char *words[] = {program, option, names, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(3, words);
	struct fuse_session *session =
		fuse_session_new(&args, &tree_operations, sizeof tree_operations, NULL);

	fuse_opt_free_args(&args);
	if (!session)
		return cli_fail(STATUS_REFUSED, dir, "libfuse cannot be used");
	return serve(session, dir, foreground);
}

// SPDX-License-Identifier: MIT
//
// fifo.c - see fifo.h.
#include "fifo.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <posthaste/pipe.h>

#include "cli.h"
#include "knock.h"

int fifo_fail(const struct flow *flow, const char *path, int err)
{
	switch (err) {
	case EINTR:
		if (knock_heard() == KNOCK_STOP)
			return STATUS_REFUSED; // the signal says it
		return cli_fail(STATUS_TIMED_OUT, path, "nobody opened the other end within %g s",
		                flow->seconds);
	case ENOENT:
		return cli_fail(STATUS_REFUSED, path, "no such FIFO; make it with: posthaste mkfifo %s",
		                path);
	case EACCES:
		return cli_fail(STATUS_REFUSED, path, "permission denied; see who owns it with: ls -l %s",
		                path);
	default: return cli_fail(STATUS_REFUSED, path, "%s", strerror(err));
	}
}

static int open_patiently(const struct flow *flow, const char *path, int flags, int *status)
{
	int fd;

	do
		fd = ph_open(path, flags | O_CLOEXEC, 0666);
	while (fd < 0 && errno == EINTR && knock_heard() == KNOCK_NONE);
	if (fd < 0)
		*status = fifo_fail(flow, path, errno);
	return fd;
}

int fifo_open_to_read(const struct flow *flow, const char *path, int *status)
{
	return open_patiently(flow, path, O_RDONLY, status);
}

// What is no FIFO would be written over from its beginning: refused before it is opened.
int fifo_open_to_write(const struct flow *flow, const char *path, int *status)
{
	struct stat st;

	if (stat(path, &st) == 0 && !S_ISFIFO(st.st_mode)) {
		*status = cli_fail(STATUS_REFUSED, path,
		                   "is no FIFO; for files there is: posthaste tee, and the shell's >");
		return -1;
	}
	return open_patiently(flow, path, O_WRONLY, status);
}

// A FIFO is opened without O_CREAT: the kernel refuses that on others' FIFOs in a sticky directory.
int fifo_open_or_create(const struct flow *flow, const char *path, bool append, int *status)
{
	struct stat st;
	const bool is_fifo = stat(path, &st) == 0 && S_ISFIFO(st.st_mode);
	const int make = O_CREAT | (append ? O_APPEND : O_TRUNC);

	return open_patiently(flow, path, O_WRONLY | (is_fifo ? 0 : make), status);
}

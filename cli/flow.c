// SPDX-License-Identifier: MIT
//
// flow.c - see flow.h.
#include "flow.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <posthaste/pipe.h>

#include "cli.h"
#include "knock.h"
#include "memory.h"
#include "stop.h"

bool flow_option(struct flow *flow, int opt, char **argv, int *status)
{
	if (opt == 'm') {
		flow->show_totals = true;
		return true;
	}
	if (opt == 't' && cli_parse_seconds(optarg, &flow->seconds)) {
		flow->limited = true;
		return true;
	}
	*status = opt == 't' ? cli_usage_error("--timeout %s is not a number of seconds", optarg)
	                     : cli_other_option(opt, argv);
	return false;
}

void flow_prepare(struct flow *flow)
{
	flow->buffer = memory_zeroed(FLOW_BYTES, 1);
}

void flow_begin(struct flow *flow)
{
	flow_prepare(flow);
	knock_install(flow->limited ? flow->seconds : -1);
}

// Nothing of a command that moves bytes goes through stdin or stdout: the ring may have them.
static void without_stdio(int fd)
{
	struct stat st;
	if (fd <= STDERR_FILENO && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode))
		ph_fcntl(fd, PH_F_SETNOSTDIO, 1);
}

void flow_open(struct flow *flow, int from, int to)
{
	without_stdio(from);
	without_stdio(to);
	// Without being asked, only where nothing else is on the terminal.
	meter_begin(&flow->meter, isatty(from) != 1 && isatty(to) != 1, flow->show_totals);
	knock_moved();
}

int flow_end(struct flow *flow, int status)
{
	meter_end(&flow->meter);
	free(flow->buffer);
	if (knock_heard() == KNOCK_STOP)
		stop_now();
	return status;
}

// Asked before each call: where the bytes never fail to come, no call is interrupted.
static bool must_stop(void)
{
	if (knock_heard() == KNOCK_STOP)
		errno = EINTR;
	return knock_heard() == KNOCK_STOP;
}

static bool is_to_go_on(int fd, short events)
{
	struct pollfd one = {.fd = fd, .events = events};

	if (errno == EAGAIN && poll(&one, 1, -1) >= 0)
		return true;
	return errno == EINTR && knock_heard() == KNOCK_NONE;
}

ssize_t flow_read(int fd, char *buffer, size_t size)
{
	ssize_t n;

	do
		n = must_stop() ? -1 : ph_read(fd, buffer, size);
	while (n < 0 && is_to_go_on(fd, POLLIN));
	if (n > 0)
		knock_moved();
	return n;
}

bool flow_write(int fd, const char *data, size_t size)
{
	while (size > 0) {
		const ssize_t n = must_stop() ? -1 : ph_write(fd, data, size);

		if (n < 0 && !is_to_go_on(fd, POLLOUT))
			return false;
		if (n <= 0)
			continue;
		knock_moved();
		data += n;
		size -= (size_t)n;
	}
	return true;
}

int flow_copy(struct flow *flow, int from, const char *from_name, int to, const char *to_name)
{
	ssize_t n;

	while ((n = flow_read(from, flow->buffer, FLOW_BYTES)) > 0) {
		if (!flow_write(to, flow->buffer, (size_t)n))
			return flow_fail(flow, to_name, errno);
		meter_add(&flow->meter, (size_t)n);
	}
	return n == 0 ? STATUS_DONE : flow_fail(flow, from_name, errno);
}

int flow_fail(const struct flow *flow, const char *name, int err)
{
	switch (err) {
	case EINTR:
		if (knock_heard() == KNOCK_STOP)
			return STATUS_REFUSED; // the signal says it
		return cli_fail(STATUS_TIMED_OUT, name,
		                "nothing moved for %g s; see who uses it with: "
		                "posthaste ls",
		                flow->seconds);
	case EPIPE:
		return cli_fail(STATUS_REFUSED, name, "closed by its reader; the rest was not written");
	case EBADMSG:
		return cli_fail(STATUS_REFUSED, name,
		                "its ring was damaged by another process, and what stood in it is lost; "
		                "see: posthaste doctor");
	case ENOSPC: return cli_fail(STATUS_REFUSED, name, "no space left; the output is incomplete");
	default: return cli_fail(STATUS_REFUSED, name, "%s", strerror(err));
	}
}

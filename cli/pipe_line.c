// SPDX-License-Identifier: MIT
//
// pipe_line.c - see pipe_line.h. The meter is a process in the middle, this one: behind the first
// program it reads from one pipe and writes to another. It keeps no end of any other pipe, so that
// end of file and SIGPIPE come to the programs as if it were not there.
#include "pipe_line.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <posthaste/pipe.h>

#include "cli.h"
#include "flow.h"

// What a program reads from and writes to.
struct ends {
	int in, out;
};

static bool connect_ends(void *arg)
{
	const struct ends *const ends = arg;

	return (ends->in == STDIN_FILENO || ph_dup2(ends->in, STDIN_FILENO) >= 0) &&
	       (ends->out == STDOUT_FILENO || ph_dup2(ends->out, STDOUT_FILENO) >= 0);
}

static int fail(const char *what)
{
	return cli_fail(STATUS_REFUSED, what, "%s; see: posthaste doctor", strerror(errno));
}

static int make_pipe(const struct line *line, int ends[2])
{
	if (ph_pipe2(ends, O_CLOEXEC) != 0)
		return fail("pipe");
	if (line->size == 0 || ph_fcntl(ends[1], F_SETPIPE_SZ, line->size) >= 0)
		return STATUS_DONE;
	if (errno != EPERM)
		return fail("--size");
	return cli_fail(STATUS_REFUSED, "--size",
	                "more than this user may have; the limit stands in "
	                "/proc/sys/fs/pipe-max-size");
}

static void close_unless(int fd, int standard)
{
	if (fd != standard)
		ph_close(fd);
}

// Starts program i, which reads from `in`; what the next one reads from is left in *next.
static int start(struct line *line, int i, int in, int *next)
{
	const bool is_last = i + 1 == line->count;
	int ends[2] = {-1, STDOUT_FILENO};
	int status = is_last ? STATUS_DONE : make_pipe(line, ends);
	struct ends own = {in, ends[1]};

	if (status == STATUS_DONE && !program_start(&line->program[i], connect_ends, &own))
		status = fail("fork");
	close_unless(in, STDIN_FILENO);
	close_unless(ends[1], STDOUT_FILENO);
	*next = ends[0];
	return status;
}

// From `from` to the second program. Whatever way it ends, both sides hear of it by their pipes.
static void run_meter(int from, int to)
{
	struct flow flow = {.show_totals = true};

	flow_prepare(&flow);
	flow_open(&flow, from, to);
	for (ssize_t n; (n = flow_read(from, flow.buffer, FLOW_BYTES)) > 0;) {
		if (!flow_write(to, flow.buffer, (size_t)n))
			break;
		meter_add(&flow.meter, (size_t)n);
	}
	ph_close(from);
	ph_close(to);
	flow_end(&flow, STATUS_DONE);
}

// Puts the meter behind what ends in *in: that becomes *from, and a new pipe goes on.
static int insert_meter(const struct line *line, int *in, int *from, int *to)
{
	int ends[2] = {-1, -1};
	const int status = make_pipe(line, ends);

	*from = *in;
	*in = ends[0];
	*to = ends[1];
	return status;
}

static int start_all(struct line *line, int *from, int *to)
{
	int in = STDIN_FILENO, status = STATUS_DONE;

	for (int i = 0; i < line->count && status == STATUS_DONE; i++) {
		status = start(line, i, in, &in);
		if (i == 0 && line->meter && status == STATUS_DONE)
			status = insert_meter(line, &in, from, to);
	}
	if (in > STDERR_FILENO) // who writes to it is to hear that there is no next program
		ph_close(in);
	return status;
}

static int verdict(const struct line *line)
{
	int i = line->count - 1;

	while (line->pipefail && i > 0 && line->program[i].status == 0)
		i--;
	return line->program[i].status;
}

// A descriptor 0, 1 or 2 that is closed would become an end of a pipe, and then be closed or kept as
// if it were the standard stream.
static void fill_standard_streams(void)
{
	int fd;

	while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= STDERR_FILENO)
		;
	if (fd >= 0)
		close(fd);
}

int line_run(struct line *line)
{
	int from = -1, to = -1; // the meter's

	fill_standard_streams();
	program_manners(line->program, line->count);
	int status = start_all(line, &from, &to);

	if (to >= 0)
		run_meter(from, to);
	else if (from >= 0)
		ph_close(from);
	for (int i = 0; i < line->count; i++)
		program_wait(&line->program[i]);
	if (status == STATUS_DONE)
		status = verdict(line);
	free(line->program);
	return status;
}

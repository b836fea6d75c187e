// SPDX-License-Identifier: MIT
//
// pipe_line.c - see pipe_line.h. The meter is a process in the middle, this one: behind the first
// program it reads from one pipe and writes to another. It keeps no end of any other pipe, so that
// end of file and SIGPIPE come to the programs as if it were not there.
#include "pipe_line.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <posthaste/pipe.h>

#include "cli.h"
#include "flow.h"

static struct line *running;

// SIGINT and SIGQUIT come from the terminal to the programs, too: whether the line ends by them is
// theirs to say. The others come to this process alone, and are passed on.
static void pass_on(int signo)
{
	const int err = errno;

	for (int i = 0; i < running->count; i++)
		if (running->station[i].pid > 0)
			kill(running->station[i].pid, signo);
	errno = err;
}

struct manners {
	int signo;
	void (*meanwhile)(int);
	struct sigaction before;
};

static struct manners manners[] = {
	{.signo = SIGINT, .meanwhile = SIG_IGN},
	{.signo = SIGQUIT, .meanwhile = SIG_IGN},
	{.signo = SIGTERM, .meanwhile = pass_on},
	{.signo = SIGHUP, .meanwhile = pass_on},
};
enum { MANNERS = sizeof manners / sizeof *manners };

static void change_manners(struct line *line)
{
	running = line;
	for (size_t i = 0; i < MANNERS; i++) {
		struct sigaction action = {.sa_handler = manners[i].meanwhile, .sa_flags = SA_RESTART};

		sigemptyset(&action.sa_mask);
		sigaction(manners[i].signo, NULL, &manners[i].before);
		if (manners[i].before.sa_handler != SIG_IGN)
			sigaction(manners[i].signo, &action, NULL);
	}
}

// A program begins with the signals that this one began with.
_Noreturn static void become(char **argv, int in, int out, const sigset_t *mask)
{
	for (size_t i = 0; i < MANNERS; i++)
		sigaction(manners[i].signo, &manners[i].before, NULL);
	signal(SIGPIPE, cli_sigpipe_before);
	sigprocmask(SIG_SETMASK, mask, NULL);
	if ((in == STDIN_FILENO || ph_dup2(in, STDIN_FILENO) >= 0) &&
	    (out == STDOUT_FILENO || ph_dup2(out, STDOUT_FILENO) >= 0))
		execvp(argv[0], argv);
	const int err = errno;

	cli_fail(STATUS_REFUSED, argv[0], "%s",
	         err == ENOENT ? "no such program in PATH" : strerror(err));
	_exit(err == ENOENT ? 127 : 126);
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

// No signal comes between the birth of a process and the note of its pid.
static bool start_process(struct station *station, int in, int out)
{
	sigset_t all, before;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	const pid_t pid = fork();

	if (pid == 0)
		become(station->argv, in, out, &before);
	station->pid = pid > 0 ? pid : 0;
	const int err = errno;

	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = err;
	return pid > 0;
}

// Starts station i, which reads from `in`; what the next one reads from is left in *next.
static int start(struct line *line, int i, int in, int *next)
{
	const bool is_last = i + 1 == line->count;
	int ends[2] = {-1, STDOUT_FILENO};
	int status = is_last ? STATUS_DONE : make_pipe(line, ends);

	if (status == STATUS_DONE && !start_process(&line->station[i], in, ends[1]))
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

// A pid is forgotten before it is free for another process.
static void wait_for(struct station *station)
{
	const pid_t pid = station->pid;
	siginfo_t info;
	int status;

	if (pid == 0)
		return;
	while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR)
		;
	station->pid = 0;
	waitpid(pid, &status, 0);
	station->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int verdict(const struct line *line)
{
	int i = line->count - 1;

	while (line->pipefail && i > 0 && line->station[i].status == 0)
		i--;
	return line->station[i].status;
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
	change_manners(line);
	int status = start_all(line, &from, &to);

	if (to >= 0)
		run_meter(from, to);
	else if (from >= 0)
		ph_close(from);
	for (int i = 0; i < line->count; i++)
		wait_for(&line->station[i]);
	if (status == STATUS_DONE)
		status = verdict(line);
	free(line->station);
	return status;
}

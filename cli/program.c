// SPDX-License-Identifier: MIT
//
// program.c - see program.h.
#include "program.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"

static struct program *running;
static int running_count;

// What the terminal sends comes to the programs, too: it would come twice.
static void pass_on(int signo, siginfo_t *info, void *context)
{
	const int err = errno;

	(void)context;
	if (info->si_code == SI_KERNEL)
		return;
	for (int i = 0; i < running_count; i++)
		if (running[i].pid > 0)
			kill(running[i].pid, signo);
	errno = err;
}

struct manners {
	int signo;
	struct sigaction before;
};

static struct manners manners[] = {
	{.signo = SIGINT},
	{.signo = SIGQUIT},
	{.signo = SIGTERM},
	{.signo = SIGHUP},
};
enum { MANNERS = sizeof manners / sizeof *manners };

void program_manners(struct program *first, int count)
{
	running = first;
	running_count = count;
	for (size_t i = 0; i < MANNERS; i++) {
		struct sigaction action = {.sa_sigaction = pass_on, .sa_flags = SA_SIGINFO | SA_RESTART};

		sigemptyset(&action.sa_mask);
		sigaction(manners[i].signo, NULL, &manners[i].before);
		if (manners[i].before.sa_handler != SIG_IGN)
			sigaction(manners[i].signo, &action, NULL);
	}
}

// A program begins with the signals that this one began with.
_Noreturn static void become(char **argv, const sigset_t *mask, bool (*prepare)(void *), void *arg)
{
	for (size_t i = 0; i < MANNERS; i++)
		sigaction(manners[i].signo, &manners[i].before, NULL);
	signal(SIGPIPE, cli_sigpipe_before);
	sigprocmask(SIG_SETMASK, mask, NULL);
	if (!prepare || prepare(arg))
		execvp(argv[0], argv);
	const int err = errno;

	cli_fail(STATUS_REFUSED, argv[0], "%s",
	         err == ENOENT ? "no such program in PATH" : strerror(err));
	_exit(err == ENOENT ? 127 : 126);
}

// No signal comes between the birth of a process and the note of its pid.
bool program_start(struct program *program, bool (*prepare)(void *), void *arg)
{
	sigset_t all, before;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	const pid_t pid = fork();

	if (pid == 0)
		become(program->argv, &before, prepare, arg);
	program->pid = pid > 0 ? pid : 0;
	const int err = errno;

	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = err;
	return pid > 0;
}

// A pid is forgotten before it is free for another process.
void program_wait(struct program *program)
{
	const pid_t pid = program->pid;
	siginfo_t info;
	int status;

	if (pid == 0)
		return;
	while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR)
		;
	program->pid = 0;
	waitpid(pid, &status, 0);
	program->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

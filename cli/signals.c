// SPDX-License-Identifier: MIT
//
// signals.c - see signals.h. The numbers are the machine's own: the table is found by them, not in their order.
#include "signals.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "cli.h"

static const struct {
	int number;
	const char *name, *action, *cause;
} table[] = {
	{SIGHUP, "HUP", "terminate", "the terminal hung up, or its controlling process ended"},
	{SIGINT, "INT", "terminate", "Ctrl-C"},
	{SIGQUIT, "QUIT", "core", "Ctrl-\\"},
	{SIGILL, "ILL", "core", "an instruction that there is not"},
	{SIGTRAP, "TRAP", "core", "a breakpoint, or a tracer's trap"},
	{SIGABRT, "ABRT", "core", "abort()"},
	{SIGBUS, "BUS", "core",
     "an address in a mapping with nothing behind it, or a wrongly aligned one"},
	{SIGFPE, "FPE", "core", "a division by zero, or another error of arithmetic"},
	{SIGKILL, "KILL", "terminate", "kill; cannot be caught, blocked or ignored"},
	{SIGUSR1, "USR1", "terminate", "kill; free for programs"},
	{SIGSEGV, "SEGV", "core", "an address that is not mapped, or not for this"},
	{SIGUSR2, "USR2", "terminate", "kill; free for programs"},
	{SIGPIPE, "PIPE", "terminate", "a write to a pipe or socket that nobody reads"},
	{SIGALRM, "ALRM", "terminate", "alarm() or ITIMER_REAL ran out"},
	{SIGTERM, "TERM", "terminate", "kill, without more"},
#ifdef SIGSTKFLT
	{SIGSTKFLT, "STKFLT", "terminate", "nothing any more"},
#endif
	{SIGCHLD, "CHLD", "ignore", "a child ended, stopped or goes on"},
	{SIGCONT, "CONT", "continue", "kill; goes on even if it is caught, blocked or ignored"},
	{SIGSTOP, "STOP", "stop", "kill; cannot be caught, blocked or ignored"},
	{SIGTSTP, "TSTP", "stop", "Ctrl-Z"},
	{SIGTTIN, "TTIN", "stop", "a read from the terminal in the background"},
	{SIGTTOU, "TTOU", "stop", "a write to the terminal in the background, if that is set"},
	{SIGURG, "URG", "ignore", "urgent data on a socket"},
	{SIGXCPU, "XCPU", "core", "the limit on CPU time (ulimit -t)"},
	{SIGXFSZ, "XFSZ", "core", "the limit on the size of files (ulimit -f)"},
	{SIGVTALRM, "VTALRM", "terminate", "ITIMER_VIRTUAL ran out"},
	{SIGPROF, "PROF", "terminate", "ITIMER_PROF ran out"},
	{SIGWINCH, "WINCH", "ignore", "the terminal's window has another size"},
	{SIGIO, "IO", "terminate", "a descriptor with O_ASYNC is ready"},
	{SIGPWR, "PWR", "terminate", "the power fails, says init"},
	{SIGSYS, "SYS", "core", "a system call that there is not, or that seccomp forbids"},
};

static const struct {
	const char *name;
	int number;
} aliases[] = {{"IOT", SIGABRT}, {"CLD", SIGCHLD}, {"POLL", SIGIO}};

static bool is_realtime(int signo)
{
	return signo >= SIGRTMIN && signo <= SIGRTMAX;
}

static int find(int signo)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (table[i].number == signo)
			return (int)i;
	return -1;
}

const char *signals_name(int signo, char out[16])
{
	const int i = find(signo);
	const int middle = (SIGRTMIN + SIGRTMAX) / 2;

	if (i >= 0)
		snprintf(out, 16, "%s", table[i].name);
	else if (!is_realtime(signo))
		snprintf(out, 16, "%d", signo);
	else if (signo == SIGRTMIN || signo == SIGRTMAX)
		snprintf(out, 16, "RT%s", signo == SIGRTMIN ? "MIN" : "MAX");
	else if (signo <= middle)
		snprintf(out, 16, "RTMIN+%d", signo - SIGRTMIN);
	else
		snprintf(out, 16, "RTMAX-%d", SIGRTMAX - signo);
	return out;
}

const char *signals_default(int signo)
{
	const int i = find(signo);

	return i >= 0 ? table[i].action : is_realtime(signo) ? "terminate" : NULL;
}

const char *signals_cause(int signo)
{
	const int i = find(signo);

	return i >= 0 ? table[i].cause : is_realtime(signo) ? "sigqueue, timers; they queue" : NULL;
}

// "RTMIN", "RTMIN+3", "RTMAX-2".
static int realtime_number(const char *text)
{
	const bool from_min = strncasecmp(text, "RTMIN", 5) == 0;
	uint64_t off = 0;

	if (!from_min && strncasecmp(text, "RTMAX", 5) != 0)
		return 0;
	text += 5;
	if (*text != '\0' && (*text != (from_min ? '+' : '-') ||
	                      !cli_parse_count(text + 1, 0, (uint64_t)(SIGRTMAX - SIGRTMIN), &off)))
		return 0;
	return from_min ? SIGRTMIN + (int)off : SIGRTMAX - (int)off;
}

int signals_number(const char *text)
{
	uint64_t number;

	if (isdigit((unsigned char)*text))
		return cli_parse_count(text, 1, SIGNALS_MAX - 1, &number) && signals_default((int)number)
		           ? (int)number
		           : 0;
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (strcasecmp(text, table[i].name) == 0)
			return table[i].number;
	for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
		if (strcasecmp(text, aliases[i].name) == 0)
			return aliases[i].number;
	return realtime_number(text);
}

const char *signals_set(uint64_t set, int most, const char *between, char out[SIGNALS_TEXT_MAX])
{
	char name[16];
	size_t used = 0;
	int shown = 0;

	snprintf(out, SIGNALS_TEXT_MAX, "-");
	for (; set != 0 && (most == 0 || shown < most); set &= set - 1, shown++)
		used += (size_t)snprintf(out + used, SIGNALS_TEXT_MAX - used, "%s%s", shown ? between : "",
		                         signals_name(__builtin_ctzll(set) + 1, name));
	if (set != 0)
		snprintf(out + used, SIGNALS_TEXT_MAX - used, "%s+%d", between, __builtin_popcountll(set));
	return out;
}

bool signals_blocked(const struct ph_signal_info *info, pid_t tid, uint64_t *mask)
{
	char path[64], line[128];
	bool found = false;

	snprintf(path, sizeof path, "/proc/%d/task/%d/status", info->pid, (int)tid);
	FILE *in = fopen(path, "re");

	while (in && !found && fgets(line, sizeof line, in))
		if ((found = strncmp(line, "SigBlk:", 7) == 0))
			*mask = strtoull(line + 7, NULL, 16);
	if (in)
		fclose(in);
	for (int i = 0; found && i < info->threads; i++)
		if (info->thread[i].tid == tid && info->thread[i].waiting)
			*mask |= info->thread[i].set;
	return found;
}

int64_t signals_age_ms(int64_t then_ns)
{
	struct timespec now;

	if (then_ns == 0)
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &now);
	const int64_t ms = ((int64_t)now.tv_sec * 1000000000 + now.tv_nsec - then_ns) / 1000000;

	return ms > 0 ? ms : 0;
}

int signals_waiting(const struct ph_signal_info *info)
{
	int n = 0;

	for (int i = 0; i < info->threads; i++)
		n += info->thread[i].waiting != 0;
	return n;
}

pid_t signals_pid(const char *name)
{
	uint64_t pid;

	return cli_parse_count(name + (*name == '/'), 1, INT32_MAX, &pid) ? (pid_t)pid : 0;
}

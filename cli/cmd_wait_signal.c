// SPDX-License-Identifier: MIT
//
// cmd_wait_signal.c - posthaste wait-signal: blocks signals, waits for them, and prints a line for each that comes; with
// --name as a member of a named port. Signals that come before the wait, or between two, are not lost: they are
// blocked from the beginning.
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "cli.h"
#include "json.h"
#include "patience.h"
#include "signals.h"

static const struct option options[] = {
	{"count", required_argument, NULL, 'n'}, {"timeout", required_argument, NULL, 't'},
	{"name", required_argument, NULL, 'N'}, // no letter: -n is the count
	{"mode", required_argument, NULL, 'm'},  {"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},        {0},
};

struct waiting {
	sigset_t set;
	uint64_t wanted, taken;
	struct patience patience;
	char name[NAME_WHOLE_MAX]; // of the port; empty: none
	mode_t mode;
	bool as_json;
};

static const char *code_word(const siginfo_t *info)
{
	switch (info->si_code) {
	case SI_USER: return "user";
	case SI_QUEUE: return "queue";
	case SI_TIMER: return "timer";
	case SI_KERNEL: return "kernel";
	case SI_MESGQ: return "mqueue";
	default: return info->si_code > 0 ? "kernel" : "other";
	}
}

static void print_json(const siginfo_t *info)
{
	struct json json = {.out = stdout};
	size_t bytes = 0;
	const void *const payload = ph_siginfo_payload(info, &bytes);
	char name[16];

	json_open(&json, NULL, '{');
	json_signed(&json, "signal", info->si_signo);
	json_string(&json, "name", signals_name(info->si_signo, name));
	json_string(&json, "code", code_word(info));
	json_signed(&json, "pid", info->si_pid);
	json_unsigned(&json, "uid", info->si_uid);
	if (info->si_code == SI_QUEUE)
		json_signed(&json, "value", info->si_value.sival_int);
	if (payload)
		json_bytes(&json, "payload", payload, bytes);
	json_close(&json, '}');
	putchar('\n');
}

// What would end the line, or move about on a terminal, is shown as '?'; --json has it as it is.
static void print_payload(const unsigned char *payload, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		putchar(payload[i] < 0x20 || payload[i] == 0x7f ? '?' : payload[i]);
}

static void print_line(const siginfo_t *info)
{
	size_t bytes = 0;
	const void *const payload = ph_siginfo_payload(info, &bytes);
	char name[16];

	printf("%d %s pid %d uid %ju value ", info->si_signo, signals_name(info->si_signo, name),
	       (int)info->si_pid, (uintmax_t)info->si_uid);
	if (info->si_code == SI_QUEUE)
		printf("%d", info->si_value.sival_int);
	else
		putchar('-');
	if (payload) {
		fputs(" payload ", stdout);
		print_payload(payload, bytes);
	}
	putchar('\n');
}

static int timed_out(const struct waiting *waiting)
{
	char so_far[64] = "";

	if (waiting->taken > 0)
		snprintf(so_far, sizeof so_far, " (%" PRIu64 " came before)", waiting->taken);
	return cli_fail(STATUS_TIMED_OUT, *waiting->name ? waiting->name : NULL,
	                "no signal within %g s%s", waiting->patience.seconds, so_far);
}

static const struct timespec *limit(const struct patience *patience, struct timespec *span)
{
	const time_t whole = (time_t)patience->seconds;

	*span = (struct timespec){whole, (long)((patience->seconds - (double)whole) * 1e9)};
	return patience->limited ? span : NULL;
}

static int wait_for_all(struct waiting *waiting)
{
	struct timespec span;
	siginfo_t info;

	for (; waiting->taken < waiting->wanted; waiting->taken++) {
		int signo;

		do
			signo = ph_sigtimedwait(&waiting->set, &info, limit(&waiting->patience, &span));
		while (signo < 0 && errno == EINTR);
		if (signo < 0 && errno == EAGAIN)
			return timed_out(waiting);
		if (signo < 0)
			return cli_fail(STATUS_REFUSED, NULL, "%s", strerror(errno));
		(waiting->as_json ? print_json : print_line)(&info);
		if (fflush(stdout) != 0)
			break; // main tells
	}
	return STATUS_DONE;
}

static const struct cli_failure failures[] = {
	{EACCES, 1, false,
     "permission denied (a port needs both read and write permission); see who owns it with: "
     "posthaste ls --signals"},
	{ENOBUFS, 1, true, "too many processes have joined it; see who with: posthaste info "},
	{EBADMSG, 1, true, "damaged, or made by another version; remove it: posthaste rm --kind port "},
	{EXDEV, 1, false, "in use from another pid namespace"},
	{ENOTSUP, 1, false, "no port can be had here; see: posthaste doctor"},
	{ENOSPC, 1, false,
     "no room in the namespace's file system; remove objects, or see: posthaste doctor"},
	{0},
};

static int wait_as_told(struct waiting *waiting)
{
	int status;

	ph_sigprocmask(SIG_BLOCK, &waiting->set, NULL);
	if (*waiting->name && ph_sigport_join(waiting->name, &waiting->set, waiting->mode) != 0)
		return cli_fail_as(failures, waiting->name, errno);
	status = wait_for_all(waiting);
	if (*waiting->name)
		ph_sigport_leave(waiting->name);
	return status;
}

// ---- arguments ----

// False: it is said already, *status is what to end with.
static bool take_option(int opt, char **argv, struct waiting *waiting, int *status)
{
	*status = STATUS_USAGE;
	switch (opt) {
	case 'n':
		return cli_parse_count(optarg, 1, UINT64_MAX, &waiting->wanted) ||
		       (cli_usage_error("-n %s is not a number of signals", optarg), false);
	case 't':
		waiting->patience.limited = true;
		return cli_parse_seconds(optarg, &waiting->patience.seconds) ||
		       (cli_usage_error("--timeout %s is not a number of seconds", optarg), false);
	case 'N': return name_whole("a port", optarg, waiting->name);
	case 'm':
		return cli_parse_mode(optarg, &waiting->mode) ||
		       (cli_usage_error("--mode %s is not an octal mode", optarg), false);
	case 'j': waiting->as_json = true; return true;
	default: *status = cli_other_option(opt, argv); return false;
	}
}

static bool take_signal(struct waiting *waiting, const char *word)
{
	const int signo = signals_number(word);

	if (signo == 0 || signo == SIGKILL || signo == SIGSTOP) {
		cli_usage_error("%s %s; see: posthaste kill -l", word,
		                signo == 0 ? "is no signal" : "cannot be waited for");
		return false;
	}
	sigaddset(&waiting->set, signo);
	return true;
}

static int run(int argc, char **argv)
{
	struct waiting waiting = {.wanted = 1, .mode = 0600};
	int opt, status;

	sigemptyset(&waiting.set);
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":n:t:m:jh", options, NULL)) != -1)
		if (!take_option(opt, argv, &waiting, &status))
			return status;
	if (optind == argc)
		return cli_usage_error("which signals to wait for is missing");
	for (; optind < argc; optind++)
		if (!take_signal(&waiting, argv[optind]))
			return STATUS_USAGE;
	return wait_as_told(&waiting);
}

const struct command cmd_wait_signal = {
	.name = "wait-signal",
	.arguments = "SIGNAL... [-n COUNT] [--timeout S] [--name PORT [--mode MODE]] [--json]",
	.summary = "Wait for signals, and print who sent them, and what with them.",
	.help =
		"  -n, --count COUNT   this many (default: 1)\n"
		"  -t, --timeout S     wait at most S seconds for each; then 124\n"
		"      --name PORT     join the port of this name, which is made if it is not there, so that\n"
		"                      posthaste kill PORT reaches this process and all others that joined\n"
		"  -m, --mode MODE     of a port that is made: who may join and signal it (default: 600)\n"
		"  -j, --json          an object a line: signal, name, code, pid, uid, value, payload\n\n"
		"SIGNAL is a name, with or without SIG, or a number. A line is: number, name, pid and uid of\n"
		"the sender, the value if it was sent with one, the payload if there is any.\n",
	.run = run,
};

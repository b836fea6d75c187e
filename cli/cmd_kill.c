// SPDX-License-Identifier: MIT
//
// cmd_kill.c - posthaste kill: sends a signal to processes, to groups of them, and to named ports, whose members
// all get it; and tells what signals there are. The arguments are those of kill(1), where "-9" and "-1234" may
// both stand: the first such word is the signal, unless -s names it, and what follows are groups.
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "signals.h"
#include "table.h"

enum { STATUS_OF_SIGNAL = 128 }; // a shell's, and what is added to it

struct sending {
	int signo; // -1: not said yet; 0: only ask
	bool has_value, verbose, list;
	int value;
	const char *payload;
	int targets;
	char **target; // in the place of the arguments
	int status;    // what to end with, if it is settled
};

// ---- the table ----

static void print_table(void)
{
	struct table rows;
	char name[16];

	table_begin(&rows, "rlll");
	table_add(&rows, "NUMBER");
	table_add(&rows, "NAME");
	table_add(&rows, "DEFAULT");
	table_add(&rows, "RAISED-BY");
	for (int s = 1; s < SIGNALS_MAX; s++) {
		if (!signals_default(s))
			continue;
		table_add(&rows, "%d", s);
		table_add(&rows, "%s", signals_name(s, name));
		table_add(&rows, "%s", signals_default(s));
		table_add(&rows, "%s", signals_cause(s));
	}
	table_end(&rows, stdout);
}

// A number, or the status of a command that a signal has ended, becomes a name; a name its number.
static int convert(const char *text)
{
	char name[16];
	uint64_t status;
	int signo = signals_number(text);

	if (signo == 0 && cli_parse_count(text, STATUS_OF_SIGNAL + 1, 255, &status) &&
	    signals_default((int)status - STATUS_OF_SIGNAL))
		signo = (int)status - STATUS_OF_SIGNAL;
	if (signo == 0)
		return cli_fail(STATUS_REFUSED, text, "no signal; see them all with: posthaste kill -l");
	if (isdigit((unsigned char)*text))
		puts(signals_name(signo, name));
	else
		printf("%d\n", signo);
	return STATUS_DONE;
}

static int list(const struct sending *sending)
{
	int worst = STATUS_DONE;

	if (sending->targets == 0)
		print_table();
	for (int i = 0; i < sending->targets; i++) {
		const int status = convert(sending->target[i]);

		worst = status > worst ? status : worst;
	}
	return worst;
}

// ---- sending ----

static const char *signal_text(const struct sending *sending, char name[16])
{
	return sending->signo == 0 ? "0" : signals_name(sending->signo, name);
}

static union sigval value_of(const struct sending *sending)
{
	union sigval value = {.sival_ptr = NULL};

	value.sival_int = sending->value;
	return value;
}

static int process_fail(const char *target, bool group, int err)
{
	switch (err) {
	case ESRCH:
		return cli_fail(STATUS_REFUSED, target,
		                group ? "no such group of processes"
		                      : "no such process; those that are there: posthaste ps");
	case EPERM:
		return cli_fail(STATUS_REFUSED, target,
		                "no permission: it is another user's, which takes root");
	case EAGAIN:
		return cli_fail(STATUS_REFUSED, target,
		                "its queue is full; what it has not taken yet: posthaste info %s", target);
	default: return cli_fail(STATUS_REFUSED, target, "%s", strerror(err));
	}
}

static int to_process(const struct sending *sending, const char *target, pid_t pid)
{
	char name[16];

	if (sending->payload)
		return cli_usage_error("%s: bytes go to a named port only", target);
	if (sending->has_value && pid <= 0)
		return cli_usage_error("%s: a value goes to one process, or to a named port", target);
	const int failed = sending->has_value ? ph_sigqueue(pid, sending->signo, value_of(sending))
	                                      : ph_kill(pid, sending->signo);

	if (failed)
		return process_fail(target, pid < 0, errno);
	if (sending->verbose)
		printf("%s: %s sent\n", target, signal_text(sending, name));
	return STATUS_DONE;
}

// Why nobody got it: all that can be seen.
static int nobody(const struct sending *sending, const char *name)
{
	static struct ph_sigport_info info;
	char text[16];
	bool living = false;

	if (ph_sigport_info(name, &info) != 0)
		return cli_fail(STATUS_REFUSED, name,
		                "nobody listens: there is no such port; see: posthaste ls --signals");
	for (int i = 0; i < info.members; i++)
		living = living || info.member[i].alive;
	if (!living)
		return cli_fail(STATUS_REFUSED, name, "nobody listens: all who had joined it are gone");
	return cli_fail(STATUS_REFUSED, name,
	                "nobody listens for %s now; who has joined it, and for what: posthaste info %s",
	                signal_text(sending, text), name + 1);
}

static int port_fail(const struct sending *sending, const char *name, int err)
{
	switch (err) {
	case ESRCH: return nobody(sending, name);
	case EAGAIN:
		return cli_fail(STATUS_REFUSED, name,
		                "the queue of one who has joined it is full, so nobody got it; whose: "
		                "posthaste info %s",
		                name + 1);
	case EACCES:
		return cli_fail(STATUS_REFUSED, name,
		                "permission denied; see who owns it with: posthaste ls --signals");
	case EBADMSG:
		return cli_fail(STATUS_REFUSED, name,
		                "damaged, or made by another version; see: posthaste doctor");
	case EXDEV: return cli_fail(STATUS_REFUSED, name, "in use from another pid namespace");
	default: return cli_fail(STATUS_REFUSED, name, "%s; see: posthaste doctor", strerror(err));
	}
}

static int to_port(const struct sending *sending, const char *target)
{
	char name[NAME_WHOLE_MAX];
	const size_t bytes = sending->payload ? strlen(sending->payload) : 0;

	if (!name_whole("a port", target, name))
		return STATUS_USAGE;
	if (sending->signo == 0)
		return cli_usage_error("%s: a port cannot be asked with signal 0; see: posthaste info %s",
		                       target, name + 1);
	const int reached =
		ph_sigport_send(name, sending->signo, value_of(sending), sending->payload, bytes);

	if (reached < 0)
		return port_fail(sending, name, errno);
	if (sending->verbose)
		printf("%s: %d process%s got it\n", target, reached, reached == 1 ? "" : "es");
	return STATUS_DONE;
}

// "7", "-7", "0", or a name. A name of digits is written with its slash.
static int send_to(const struct sending *sending, const char *target)
{
	const char *digits = target + (*target == '-');
	uint64_t pid;

	if (!isdigit((unsigned char)*digits))
		return *target == '-' ? cli_usage_error("%s is not an option here", target)
		                      : to_port(sending, target);
	if (!cli_parse_count(digits, *target == '-', INT32_MAX, &pid))
		return cli_usage_error("%s is not the number of a process; a name of digits takes its "
		                       "slash: /%s",
		                       target, digits);
	return to_process(sending, target, *target == '-' ? -(pid_t)pid : (pid_t)pid);
}

static int send_all(struct sending *sending)
{
	int worst = STATUS_DONE;

	if (sending->signo < 0)
		sending->signo = SIGTERM;
	if (sending->targets == 0)
		return cli_usage_error("whom to signal is missing: processes, -groups, or named ports");
	if (sending->payload && (sending->signo < SIGRTMIN || sending->signo > SIGRTMAX))
		return cli_usage_error("bytes go with a real-time signal only: RTMIN to RTMAX");
	for (int i = 0; i < sending->targets; i++) {
		const int status = send_to(sending, sending->target[i]);

		worst = status > worst ? status : worst;
	}
	return worst;
}

// ---- arguments ----

static bool settle(struct sending *sending, int status)
{
	sending->status = status;
	return false;
}

static bool take_signal(struct sending *sending, const char *text)
{
	if (sending->signo >= 0)
		return settle(sending, cli_usage_error("%s: the signal was named before", text));
	sending->signo = strcmp(text, "0") == 0 ? 0 : signals_number(text);
	if (sending->signo == 0 && strcmp(text, "0") != 0)
		return settle(sending, cli_usage_error("%s is no signal; see them all with -l", text));
	return true;
}

static bool take_value(struct sending *sending, const char *text)
{
	char *end;

	errno = 0;
	const long value = strtol(text, &end, 0);

	if (errno != 0 || end == text || *end != '\0' || value < INT32_MIN || value > INT32_MAX)
		return settle(sending, cli_usage_error("-q %s is not a number of 32 bits", text));
	sending->value = (int)value;
	sending->has_value = true;
	return true;
}

static bool take_payload(struct sending *sending, const char *text)
{
	if (strlen(text) > PH_SIGPORT_PAYLOAD_MAX)
		return settle(sending, cli_usage_error("--payload takes at most %d bytes, this is %zu",
		                                       PH_SIGPORT_PAYLOAD_MAX, strlen(text)));
	sending->payload = text;
	return true;
}

static const struct {
	const char *shorter, *longer;
	bool (*take)(struct sending *, const char *);
} valued[] = {
	{"-s", "--signal", take_signal},
	{"-q", "--queue", take_value},
	{"-p", "--payload", take_payload},
};

// An option with a value: "-s TERM", "-sTERM", "--signal TERM", "--signal=TERM". 0: it is none; else how many words it
// takes, or -1: complained.
static int take_valued(struct sending *sending, char **word)
{
	for (size_t i = 0; i < sizeof valued / sizeof *valued; i++) {
		const char *const w = word[0], *const longer = valued[i].longer;
		const size_t n = strlen(longer);
		const char *value = NULL;
		int words = 1;

		if (strncmp(w, longer, n) == 0 && w[n] == '=')
			value = w + n + 1;
		else if (strcmp(w, longer) == 0 || strcmp(w, valued[i].shorter) == 0)
			value = word[1], words = 2;
		else if (strncmp(w, valued[i].shorter, 2) == 0)
			value = w + 2;
		else
			continue;
		if (!value)
			return sending->status = cli_usage_error("%s needs a value", w), -1;
		return valued[i].take(sending, value) ? words : -1;
	}
	return 0;
}

static bool is_word(const char *word, const char *shorter, const char *longer)
{
	return strcmp(word, shorter) == 0 || strcmp(word, longer) == 0;
}

// Whether "-9", "-TERM" names the signal.
static bool names_signal(const struct sending *sending, const char *word)
{
	return sending->signo < 0 && sending->targets == 0 && word[1] != '-' &&
	       (strcmp(word, "-0") == 0 || signals_number(word + 1) != 0);
}

// One option; how many words it takes, or 0: the end of all.
static int take_option(struct sending *sending, char **word)
{
	if (is_word(word[0], "-h", "--help"))
		return cli_print_help(stdout, cli_command), settle(sending, STATUS_DONE);
	if (is_word(word[0], "-l", "--list"))
		return sending->list = true;
	if (is_word(word[0], "-v", "--verbose"))
		return sending->verbose = true;
	if (names_signal(sending, word[0]))
		return take_signal(sending, word[0] + 1);
	const int words = take_valued(sending, word);

	if (words != 0)
		return words > 0 ? words : 0;
	if (isdigit((unsigned char)word[0][1]) && sending->signo >= 0) {
		sending->target[sending->targets++] = word[0];
		return 1;
	}
	return settle(sending,
	              isdigit((unsigned char)word[0][1])
	                  ? cli_usage_error("%s is no signal; a group comes after the signal", word[0])
	                  : cli_usage_error("%s is not an option or a signal here", word[0]));
}

static bool read_arguments(struct sending *sending, char **word)
{
	sending->target = word;
	while (*word && strcmp(*word, "--") != 0) {
		if (**word == '-' && (*word)[1] != '\0') {
			const int words = take_option(sending, word);

			if (words == 0)
				return false;
			word += words;
		} else {
			sending->target[sending->targets++] = *word++;
		}
	}
	for (word += *word != NULL; *word; word++)
		sending->target[sending->targets++] = *word;
	return true;
}

static int run(int argc, char **argv)
{
	struct sending sending = {.signo = -1};

	(void)argc;
	if (!read_arguments(&sending, argv + 1))
		return sending.status;
	return sending.list ? list(&sending) : send_all(&sending);
}

const struct command cmd_kill = {
	.name = "kill",
	.arguments = "[-s SIGNAL | -SIGNAL] [-q VALUE] [--payload TEXT] [-v] PID|-GROUP|NAME... | -l "
				 "[SIGNAL...]",
	.summary = "Signal processes, groups, and who has joined a named port; list the signals.",
	.help =
		"  -s, --signal SIGNAL    by name, with or without SIG, or by number (default: TERM); 0\n"
		"                         only asks whether the process may be signalled\n"
		"  -q, --queue VALUE      with this number, as sigqueue(3) has it\n"
		"  -p, --payload TEXT     to a NAME, with a real-time signal: up to 64 bytes\n"
		"  -v, --verbose          say how many processes got it\n"
		"  -l, --list             number, name, default action and cause of all signals; of\n"
		"                         SIGNALs, or statuses of commands (143), the name or number\n\n"
		"NAME is a port that processes have joined (see: posthaste help wait-signal); one of\n"
		"digits only is written with its slash: /123. All of its members get the signal, or, if\n"
		"the queue of one is full, none. Everything named is tried; status 1 if anything failed.\n",
	.run = run,
};

// SPDX-License-Identifier: MIT
//
// cli.c - complaints and the reading of arguments, the same for every command. Every refusal is one
// line on stderr: what was tried, on which object, why it failed, what to do.
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "progress.h"

const struct command *cli_command;
void (*cli_sigpipe_before)(int);

static const char *command_name(void)
{
	return cli_command ? cli_command->name : "posthaste";
}

static void begin_complaint(void)
{
	progress_wipe();
	fflush(stdout);
	fputs("posthaste: ", stderr);
	if (cli_command)
		fprintf(stderr, "%s: ", command_name());
}

int cli_fail(int status, const char *object, const char *text, ...)
{
	va_list args;

	begin_complaint();
	if (object)
		fprintf(stderr, "%s: ", object);
	va_start(args, text);
	vfprintf(stderr, text, args);
	va_end(args);
	fputc('\n', stderr);
	return status;
}

int cli_fail_as(const struct cli_failure *table, const char *name, int err)
{
	for (; table->err != 0; table++)
		if (table->err == err)
			return cli_fail(table->status, name, "%s%s", table->text, table->named ? name + 1 : "");
	return cli_fail(STATUS_REFUSED, name, "%s; see: posthaste doctor", strerror(err));
}

void cli_warn(const char *object, const char *text, ...)
{
	va_list args;

	begin_complaint();
	fprintf(stderr, "%s: ", object);
	va_start(args, text);
	vfprintf(stderr, text, args);
	va_end(args);
	fputc('\n', stderr);
}

int cli_usage_error(const char *text, ...)
{
	va_list args;

	begin_complaint();
	va_start(args, text);
	vfprintf(stderr, text, args);
	va_end(args);
	fprintf(stderr, "; see: posthaste help%s%s\n", cli_command ? " " : "",
	        cli_command ? command_name() : "");
	return STATUS_USAGE;
}

void cli_print_help(FILE *out, const struct command *command)
{
	fprintf(out, "usage: posthaste %s%s%s\n%s\n", command->name, *command->arguments ? " " : "",
	        command->arguments, command->summary);
	if (command->parts)
		fputc('\n', out);
	for (const struct command *const *part = command->parts; part && *part; part++)
		fprintf(out, "  %-10s %s\n", (*part)->name, (*part)->summary);
	if (*command->help)
		fprintf(out, "\n%s", command->help);
}

// getopt leaves a bad short option in optopt and a bad long one in argv[optind - 1].
int cli_other_option(int opt, char **argv)
{
	if (opt == 'h') {
		cli_print_help(stdout, cli_command);
		return STATUS_DONE;
	}
	const char *word = argv[optind - 1];
	const char *problem = opt == ':' ? "needs a value" : "is not an option here";

	if (strncmp(word, "--", 2) != 0 && optopt > 0 && optopt < 128)
		return cli_usage_error("-%c %s", optopt, problem);
	return cli_usage_error("%s %s", word, problem);
}

bool cli_parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	const unsigned long long n = strtoull(text, &end, 10);

	if (errno != 0 || *end != '\0' || n < min || n > max)
		return false;
	*value = n;
	return true;
}

static int suffix_shift(const char *suffix)
{
	if (*suffix == '\0')
		return 0;
	if (suffix[1] != '\0')
		return -1;
	switch (*suffix) {
	case 'k':
	case 'K': return 10;
	case 'm':
	case 'M': return 20;
	case 'g':
	case 'G': return 30;
	default: return -1;
	}
}

bool cli_parse_bytes(const char *text, uint64_t *value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	const unsigned long long n = strtoull(text, &end, 10);
	const int shift = suffix_shift(end);

	if (errno != 0 || shift < 0 || n > UINT64_MAX >> shift)
		return false;
	*value = n << shift;
	return true;
}

bool cli_parse_mode(const char *text, mode_t *mode)
{
	char *end;

	if (*text < '0' || *text > '7')
		return false;
	const unsigned long bits = strtoul(text, &end, 8);

	if (*end != '\0' || bits > 0777)
		return false;
	*mode = (mode_t)bits;
	return true;
}

bool cli_parse_seconds(const char *text, double *seconds)
{
	char *end;

	if ((*text < '0' || *text > '9') && *text != '.')
		return false;
	const double value = strtod(text, &end);

	if (end == text || *end != '\0' || !isfinite(value) || value > 1e9)
		return false;
	*seconds = value;
	return true;
}

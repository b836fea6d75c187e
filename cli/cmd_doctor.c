// SPDX-License-Identifier: MIT
//
// cmd_doctor.c - posthaste doctor: what on this machine will hurt, and the remedy. The checks stand in
// doctor_*.c; here they are run and their findings shown.
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <posthaste/common.h>

#include "cli.h"
#include "doctor.h"
#include "json.h"

static const struct option options[] = {
	{"fix", no_argument, NULL, 'f'},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static const char *const severity_names[] = {"ok", "fixed", "note", "warn", "BAD"};

struct finding *doctor_say(struct doctor *doctor, enum severity severity, const char *subject,
                           const char *text, ...)
{
	struct finding *finding = &doctor->finding[doctor->count];
	va_list args;

	if (doctor->count + 1 < FINDINGS_MAX)
		doctor->count++;
	finding->severity = severity;
	finding->subject = subject;
	finding->remedy[0] = '\0';
	va_start(args, text);
	vsnprintf(finding->text, sizeof finding->text, text, args);
	va_end(args);
	return finding;
}

void doctor_advise(struct finding *finding, const char *remedy, ...)
{
	va_list args;

	va_start(args, remedy);
	vsnprintf(finding->remedy, sizeof finding->remedy, remedy, args);
	va_end(args);
}

long doctor_read_number(const char *file, long fallback)
{
	long value = fallback;
	FILE *in = fopen(file, "re");

	if (in) {
		if (fscanf(in, "%ld", &value) != 1)
			value = fallback;
		fclose(in);
	}
	return value;
}

static void no_namespace(struct doctor *doctor, int err)
{
	const char *named = getenv("POSTHASTE_DIR");
	struct finding *finding =
		doctor_say(doctor, SEVERITY_BAD, "namespace", "%s cannot be used: %s",
	               named ? named : "no directory below /dev/shm", strerror(err));

	if (named)
		doctor_advise(finding, "make it: mkdir -m 700 %s; or unset POSTHASTE_DIR", named);
	else
		doctor_advise(finding,
		              "mount /dev/shm: mount -t tmpfs -o mode=1777 tmpfs /dev/shm; or name a "
		              "directory of yours with POSTHASTE_DIR");
}

// First put right, then look what is left.
static void examine(struct doctor *doctor, bool fix)
{
	char directory[PATH_MAX];

	if (ph_namespace(directory, sizeof directory) < 0) {
		no_namespace(doctor, errno);
	} else {
		if (fix)
			doctor_fix(doctor, directory);
		doctor_check_namespace(doctor, directory);
		doctor_check_logout(doctor, directory);
		doctor_check_leftovers(doctor, directory);
	}
	doctor_check_machine(doctor);
}

static void show_text(const struct doctor *doctor)
{
	for (size_t i = 0; i < doctor->count; i++) {
		const struct finding *finding = &doctor->finding[i];

		printf("%-5s %-12s %s\n", severity_names[finding->severity], finding->subject,
		       finding->text);
		if (*finding->remedy)
			printf("%-5s %-12s -> %s\n", "", "", finding->remedy);
	}
}

static void show_json(const struct doctor *doctor)
{
	struct json json = {.out = stdout};

	for (size_t i = 0; i < doctor->count; i++) {
		const struct finding *finding = &doctor->finding[i];

		json.comma = false;
		json_open(&json, NULL, '{');
		json_string(&json, "severity",
		            finding->severity == SEVERITY_BAD ? "bad" : severity_names[finding->severity]);
		json_string(&json, "subject", finding->subject);
		json_string(&json, "text", finding->text);
		if (*finding->remedy)
			json_string(&json, "remedy", finding->remedy);
		json_close(&json, '}');
		putchar('\n');
	}
}

static int verdict(const struct doctor *doctor)
{
	for (size_t i = 0; i < doctor->count; i++)
		if (doctor->finding[i].severity == SEVERITY_BAD)
			return STATUS_REFUSED;
	return STATUS_DONE;
}

static int run(int argc, char **argv)
{
	static struct doctor doctor;
	bool as_json = false, fix = false;
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":fjh", options, NULL)) != -1) {
		if (opt != 'j' && opt != 'f')
			return cli_other_option(opt, argv);
		as_json |= opt == 'j';
		fix |= opt == 'f';
	}
	if (optind != argc)
		return cli_usage_error("doctor takes no names");
	examine(&doctor, fix);
	(as_json ? show_json : show_text)(&doctor);
	return verdict(&doctor);
}

const struct command cmd_doctor = {
	.name = "doctor",
	.arguments = "[--fix] [--json]",
	.summary = "Say what on this machine will hurt, and the remedy.",
	.help =
		"  -f, --fix    reclaim what the dead have left, and only that; what was done is told as fixed\n"
		"      --json   one JSON object a line: severity, subject, text, remedy\n\n"
		"Severities: ok; note (works, with a difference); warn (will hurt some day); BAD (hurts\n"
		"now). The status is 1 if anything is BAD.\n",
	.run = run,
};

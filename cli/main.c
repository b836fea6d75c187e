// SPDX-License-Identifier: MIT
//
// main.c - posthaste(1): the table of commands and the choice among them. Each command is a file
// cmd_*.c; cli.h is what they share.
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <posthaste/common.h>

#include "bench.h"
#include "cli.h"

// The benchmark is a program of its own, with its own options and help.
const struct command cmd_bench = {
	.name = "bench",
	.summary = "Measure this library beside the kernel, in one run.",
	.run = bench_main,
};

static const struct command *const commands[] = {
	&cmd_mk,    &cmd_rm,   &cmd_ls,    &cmd_info,     &cmd_send, &cmd_recv,  &cmd_peek,
	&cmd_sem,   &cmd_lock, &cmd_shm,   &cmd_mkfifo,   &cmd_cat,  &cmd_write, &cmd_tee,
	&cmd_pipe,  &cmd_demo, &cmd_bench, &cmd_doctor,   &cmd_kill, &cmd_ps,    &cmd_wait_signal,
	&cmd_mount, &cmd_run,  &cmd_who,   &cmd_deadlock, &cmd_top,  &cmd_stats, &cmd_trace,
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

// "mk" of "sem mk".
static const struct command *find_part(const struct command *command, const char *name)
{
	for (const struct command *const *part = command->parts; *part; part++)
		if (strcmp(strchr((*part)->name, ' ') + 1, name) == 0)
			return *part;
	return NULL;
}

static bool asks_for_help(const char *word)
{
	return strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static void print_overview(FILE *out)
{
	fputs("usage: posthaste COMMAND [ARGUMENTS]\n\n", out);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		fprintf(out, "  %-11s %s\n", commands[i]->name, commands[i]->summary);
	fputs(
		"  help        Explain a command: posthaste help COMMAND\n"
		"  version     Say which version this is\n\n"
		"Queues, semaphores and shared memory are files in the namespace directory: POSTHASTE_DIR,\n"
		"else /dev/shm/posthaste, else /dev/shm/posthaste-UID. A name may be written with or without\n"
		"its leading slash.\n"
		"FIFOs stand in the file system, where they are made.\n"
		"Exit status: 0 done, 1 refused or not found, 2 usage, 124 timed out.\n",
		out);
}

static int help(int argc, char **argv)
{
	if (argc < 2) {
		print_overview(stdout);
		return STATUS_DONE;
	}
	const struct command *command = find(argv[1]);

	if (!command)
		return cli_usage_error("there is no command \"%s\"", argv[1]);
	if (command->parts && argc > 2) {
		cli_command = command;
		const struct command *part = find_part(command, argv[2]);

		if (!part)
			return cli_usage_error("there is no \"%s %s\"", argv[1], argv[2]);
		cli_print_help(stdout, part);
		return STATUS_DONE;
	}
	if (!command->help) {
		char *arguments[] = {argv[1], (char[]){"--help"}, NULL};

		return command->run(2, arguments);
	}
	cli_print_help(stdout, command);
	return STATUS_DONE;
}

static int run_part(const struct command *command, int argc, char **argv)
{
	if (argc < 2)
		return cli_usage_error("it is to be told what to do");
	if (asks_for_help(argv[1])) {
		cli_print_help(stdout, command);
		return STATUS_DONE;
	}
	const struct command *part = find_part(command, argv[1]);

	if (!part)
		return cli_usage_error("there is no \"%s %s\"", argv[0], argv[1]);
	cli_command = part;
	return part->run(argc - 1, argv + 1);
}

static int dispatch(int argc, char **argv)
{
	if (argc < 1) {
		print_overview(stderr);
		return STATUS_USAGE;
	}
	if (asks_for_help(argv[0]))
		return help(argc, argv);
	if (strcmp(argv[0], "version") == 0 || strcmp(argv[0], "--version") == 0) {
		printf("posthaste %s\n", ph_version());
		return STATUS_DONE;
	}
	const struct command *command = find(argv[0]);

	if (!command)
		return cli_usage_error("there is no command \"%s\"", argv[0]);
	cli_command = command;
	return command->parts ? run_part(command, argc, argv) : command->run(argc, argv);
}

// What was printed counts only when it has reached its place: a full disk or a closed pipe is a
// failure of the command, and never a silent one.
int main(int argc, char **argv)
{
	cli_sigpipe_before = signal(SIGPIPE, SIG_IGN);
	const int status = dispatch(argc - 1, argv + 1);

	if ((fflush(stdout) != 0 || ferror(stdout)) && status == STATUS_DONE)
		return cli_fail(STATUS_REFUSED, "stdout", "cannot be written to; the output is incomplete");
	return status;
}

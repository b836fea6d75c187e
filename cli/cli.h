// SPDX-License-Identifier: MIT
//
// cli.h - what every command of posthaste(1) shares: its entry in the table, exit statuses, the one
// line of complaint, and the reading of arguments. main.c holds the table; cmd_*.c hold a command each.
#ifndef CLI_H
#define CLI_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum {
	STATUS_DONE = 0,
	STATUS_REFUSED = 1,
	STATUS_USAGE = 2,
	STATUS_TIMED_OUT = 124,
};

struct command {
	const char *name;
	const char *arguments; // after the name in the usage line
	const char *summary;   // one line, for the list of commands
	const char *help;      // the options, a line each; NULL: ask run, with --help
	int (*run)(int argc, char **argv);
	const struct command *const *parts; // "sem mk" of "sem", up to a NULL; they run instead
};

extern const struct command cmd_mk, cmd_rm, cmd_ls, cmd_info, cmd_send, cmd_recv, cmd_peek;
extern const struct command cmd_mkfifo, cmd_cat, cmd_write, cmd_tee, cmd_pipe;
extern const struct command cmd_sem, cmd_lock, cmd_shm, cmd_run;
extern const struct command cmd_kill, cmd_ps, cmd_wait_signal;
extern const struct command cmd_who, cmd_deadlock, cmd_top, cmd_stats, cmd_trace;
extern const struct command cmd_bench, cmd_demo, cmd_doctor;
extern const struct command cmd_mount; // fuse/

// The command that runs, for complaints and help. Set once by main.
extern const struct command *cli_command;

// What this process was started with for SIGPIPE; here it is ignored. Set once by main.
extern void (*cli_sigpipe_before)(int);

// Prints "posthaste: COMMAND: OBJECT: TEXT" to stderr as one line and returns status. OBJECT may be
// NULL. TEXT says why and what to do.
__attribute__((format(printf, 3, 4))) int cli_fail(int status, const char *object, const char *text,
                                                   ...);

// Why a call on an object failed and what to do, by error; a table ends with err 0. `named` puts the name
// behind the text, without its slash. What is not in the table is told in the system's words.
struct cli_failure {
	int err, status;
	bool named;
	const char *text;
};
int cli_fail_as(const struct cli_failure *table, const char *name, int err);

// A line to stderr like cli_fail's, about what is done all the same.
__attribute__((format(printf, 2, 3))) void cli_warn(const char *object, const char *text, ...);

// A usage error: the text, and where the help is.
__attribute__((format(printf, 1, 2))) int cli_usage_error(const char *text, ...);

// Ends option parsing on what getopt_long returned and the command does not know: 'h' prints help
// (status 0), ':' and '?' complain (status 2). optstring begins with ":" and holds "h".
int cli_other_option(int opt, char **argv);
void cli_print_help(FILE *out, const struct command *command);

// Readers of arguments: false if the text is not wholly such a value.
bool cli_parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *value);
bool cli_parse_bytes(const char *text, uint64_t *value); // with suffix k, m or g
bool cli_parse_mode(const char *text, mode_t *mode);     // octal
bool cli_parse_seconds(const char *text, double *seconds);

#endif

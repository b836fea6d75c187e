// SPDX-License-Identifier: MIT
//
// cmd_pipe.c - posthaste pipe: runs programs one into the other, as the shell's | does, with what the
// shell has not: the size of the pipes and a meter. pipe_line.c starts and ends the processes.
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "memory.h"
#include "pipe_line.h"

static const struct option options[] = {
	{"size", required_argument, NULL, 's'}, {"meter", no_argument, NULL, 'm'},
	{"pipefail", no_argument, NULL, 'p'},   {"separator", required_argument, NULL, 'S'},
	{"help", no_argument, NULL, 'h'},       {0},
};

enum { PIPE_BYTES_MAX = 1 << 30 };

struct wish {
	uint64_t size;
	bool meter, pipefail;
	const char *separator;
};

static int take_option(int opt, struct wish *wish)
{
	switch (opt) {
	case 's':
		if (!cli_parse_bytes(optarg, &wish->size) || wish->size == 0 || wish->size > PIPE_BYTES_MAX)
			return cli_usage_error("--size %s is not a number of bytes, such as 64k, 1m", optarg);
		return 0;
	case 'm': wish->meter = true; return 0;
	case 'p': wish->pipefail = true; return 0;
	default: wish->separator = optarg; return 0;
	}
}

// Cuts the words at the separators, in place. False: a program is missing.
static bool cut(struct line *line, const char *separator, int count, char **words)
{
	char **begin = words;

	for (int i = 0; i <= count; i++) {
		if (i < count && strcmp(words[i], separator) != 0)
			continue;
		words[i] = NULL;
		if (!*begin)
			return false;
		line->program =
			memory_resize(line->program, (size_t)line->count + 1, sizeof *line->program);
		line->program[line->count++] = (struct program){.argv = begin};
		begin = words + i + 1;
	}
	return line->count > 1;
}

static int run(int argc, char **argv)
{
	struct wish wish = {.separator = "--"};
	struct line line = {.count = 0};
	int opt, status;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, "+:s:mpS:h", options, NULL)) != -1) {
		if (opt == 'h' || opt == ':' || opt == '?')
			return cli_other_option(opt, argv);
		if ((status = take_option(opt, &wish)) != 0)
			return status;
	}
	if (!cut(&line, wish.separator, argc - optind, argv + optind)) {
		free(line.program);
		return cli_usage_error("two programs are needed, with %s between them", wish.separator);
	}
	line.size = (int)wish.size;
	line.meter = wish.meter;
	line.pipefail = wish.pipefail;
	return line_run(&line);
}

const struct command cmd_pipe = {
	.name = "pipe",
	.arguments =
		"[--size BYTES] [--meter] [--pipefail] [--separator WORD] A [ARG...] -- B [ARG...] "
		"[-- C [ARG...]]",
	.summary = "Run programs with pipes between them.",
	.help =
		"  -s, --size BYTES       of each pipe, also 64k, 1m (default: the system's, 64k)\n"
		"  -m, --meter            say on stderr how many bytes A wrote, and how fast\n"
		"  -p, --pipefail         the status of the last that failed, not that of the last\n"
		"  -S, --separator WORD   between the programs (default: two dashes)\n\n"
		"Programs that use this library pass the bytes through shared memory, all others through\n"
		"the kernel. The status is that of the last program: 128 + N if signal N ended it, 127 if\n"
		"there is no such program, 126 if it cannot be run.\n",
	.run = run,
};

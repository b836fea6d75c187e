// SPDX-License-Identifier: MIT
//
// cmd_write.c - posthaste write: puts a line, or all of stdin, into a FIFO. Writes of up to PIPE_BUF
// bytes are not mixed with those of others; --lines cuts stdin so that lines stay whole.
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <posthaste/pipe.h>

#include "cli.h"
#include "fifo.h"
#include "flow.h"
#include "memory.h"

static const struct option options[] = {{"lines", no_argument, NULL, 'l'}, FLOW_LONG_OPTIONS, {0}};

// The words with a space between them and a newline at the end, as echo has them.
static char *join(int count, char **words, size_t *size)
{
	size_t room = 0;

	for (int i = 0; i < count; i++)
		room += strlen(words[i]) + 1;
	char *const text = memory_zeroed(room + 1, 1), *p = text;

	for (int i = 0; i < count; i++) {
		p = stpcpy(p, words[i]);
		*p++ = i + 1 < count ? ' ' : '\n';
	}
	*size = room;
	return text;
}

static int write_words(struct flow *flow, int to, const char *path, int count, char **words)
{
	size_t size;
	char *const text = join(count, words, &size);
	const bool all = flow_write(to, text, size);
	const int status = all ? STATUS_DONE : flow_fail(flow, path, errno);

	meter_add(&flow->meter, all ? size : 0);
	free(text);
	return status;
}

// How much of what is there goes out next: as many whole lines as fit into one write, else a piece of a
// line that is too long to be kept whole, else nothing yet.
static size_t whole_lines(const char *data, size_t size)
{
	const size_t most = size < PIPE_BUF ? size : PIPE_BUF;
	const char *const end = memrchr(data, '\n', most);

	if (end)
		return (size_t)(end + 1 - data);
	return size >= PIPE_BUF ? PIPE_BUF : 0;
}

// At the end of stdin there is no more newline to wait for.
static bool write_pieces(struct flow *flow, int to, size_t *have, bool at_end)
{
	const char *const data = flow->buffer;
	size_t given = 0, piece;

	while ((piece = whole_lines(data + given, *have - given)) > 0 ||
	       (at_end && (piece = *have - given) > 0)) {
		if (!flow_write(to, data + given, piece))
			return false;
		meter_add(&flow->meter, piece);
		given += piece;
	}
	*have -= given;
	memmove(flow->buffer, data + given, *have);
	return true;
}

static int write_lines(struct flow *flow, int to, const char *path)
{
	size_t have = 0;
	ssize_t n;

	do {
		n = flow_read(STDIN_FILENO, flow->buffer + have, FLOW_BYTES - have);
		if (n < 0)
			return flow_fail(flow, "stdin", errno);
		have += (size_t)n;
		if (!write_pieces(flow, to, &have, n == 0))
			return flow_fail(flow, path, errno);
	} while (n > 0);
	return STATUS_DONE;
}

static int write_to(struct flow *flow, const char *path, bool lines, int count, char **words)
{
	int status = STATUS_DONE;
	const int to = fifo_open_to_write(flow, path, &status);

	if (to < 0)
		return status;
	flow_open(flow, count > 0 ? to : STDIN_FILENO, to);
	if (count > 0)
		status = write_words(flow, to, path, count, words);
	else if (lines)
		status = write_lines(flow, to, path);
	else
		status = flow_copy(flow, STDIN_FILENO, "stdin", to, path);
	ph_close(to);
	return status;
}

static int run(int argc, char **argv)
{
	struct flow flow = {.limited = false};
	bool lines = false;
	int opt, status = STATUS_DONE;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":hl" FLOW_OPTIONS, options, NULL)) != -1) {
		if (opt == 'l')
			lines = true;
		else if (!flow_option(&flow, opt, argv, &status))
			return status;
	}
	if (optind == argc)
		return cli_usage_error("a FIFO's path is needed");
	flow_begin(&flow);
	status = write_to(&flow, argv[optind], lines, argc - optind - 1, argv + optind + 1);
	return flow_end(&flow, status);
}

const struct command cmd_write = {
	.name = "write",
	.arguments = "FIFO [TEXT...] [--lines] [--meter] [--timeout S]",
	.summary = "Write a line, or stdin, into a FIFO.",
	.help = FLOW_HELP
	"  -l, --lines       do not mix the lines of stdin with what others write, if they have at\n"
	"                    most 4096 bytes\n\n"
	"Waits until somebody reads the FIFO. TEXT is written as one line, stdin as it comes.\n",
	.run = run,
};

// SPDX-License-Identifier: MIT
//
// cmd_top.c - posthaste top: what goes on, live (top_screen.c), or once, for scripts and for who has no terminal.
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "cli.h"
#include "table.h"
#include "top.h"

static const struct option options[] = {
	{"once", no_argument, NULL, '1'},         {"json", no_argument, NULL, 'j'},
	{"processes", no_argument, NULL, 'p'},    {"sort", required_argument, NULL, 's'},
	{"filter", required_argument, NULL, 'f'}, {"interval", required_argument, NULL, 'i'},
	{"help", no_argument, NULL, 'h'},         {0},
};

struct wish {
	struct top_view view;
	bool once, as_json;
	const char *sort;
};

// ---- once ----

static void put_list(const struct top_view *view, const struct sample *sample)
{
	int widths[TOP_COLUMNS_MAX], count;
	const struct top_column *const columns = top_columns(view->list, &count);
	char alignment[TOP_COLUMNS_MAX + 1] = "", text[WORDS_MAX];
	struct table table;
	size_t rows, *const order = top_rows(view, sample, &rows);

	top_widths(view->list, TOP_WHOLE, widths);
	for (int i = 0; i < count; i++)
		alignment[i] = columns[i].right ? 'r' : 'l';
	table_begin(&table, alignment);
	for (int i = 0; i < count; i++)
		table_add(&table, "%s", columns[i].heading);
	for (size_t r = 0; r < rows; r++)
		for (int i = 0; i < count; i++)
			table_add(&table, "%s", columns[i].text(text, sample, order[r]));
	table_end(&table, stdout);
	free(order);
}

static void put_text(const struct top_view *view, const struct sample *sample)
{
	struct top_view both = *view;
	char text[WORDS_MAX];

	puts(top_summary(text, sample));
	if (*top_alarm(text, sample))
		puts(text);
	both.list = TOP_OBJECTS;
	putchar('\n');
	put_list(&both, sample);
	both.list = TOP_PROCESSES;
	putchar('\n');
	put_list(&both, sample);
}

// Rates take two looks.
static int once(const struct wish *wish)
{
	struct sample first, second;
	const double seconds = wish->view.seconds;
	const struct timespec pause = {(time_t)seconds,
	                               (long)((seconds - (double)(time_t)seconds) * 1e9)};

	if (!sample_take(&first, NULL))
		return STATUS_REFUSED;
	nanosleep(&pause, NULL);
	const bool done = sample_take(&second, &first);

	if (done && wish->as_json)
		sample_json(&second);
	else if (done)
		put_text(&wish->view, &second);
	if (done)
		sample_free(&second);
	sample_free(&first);
	return done ? STATUS_DONE : STATUS_REFUSED;
}

// ---- options ----

// In both lists, where both have such a column.
static bool choose_sort(struct wish *wish)
{
	bool found = false;

	for (int list = 0; list < TOP_LISTS && wish->sort; list++) {
		int count;
		const struct top_column *const columns = top_columns((enum top_list)list, &count);

		for (int i = 0; i < count; i++)
			if (strcasecmp(columns[i].heading, wish->sort) == 0) {
				wish->view.sort[list] = i;
				found = true;
			}
	}
	if (wish->sort && !found)
		cli_usage_error("--sort %s is no column's heading", wish->sort);
	return !wish->sort || found;
}

static bool take_option(int opt, struct wish *wish)
{
	switch (opt) {
	case '1': wish->once = true; return true;
	case 'j': wish->as_json = true; return true;
	case 'p': wish->view.list = TOP_PROCESSES; return true;
	case 's': wish->sort = optarg; return true;
	case 'f': snprintf(wish->view.filter, sizeof wish->view.filter, "%s", optarg); return true;
	default:
		if (cli_parse_seconds(optarg, &wish->view.seconds) && wish->view.seconds >= 0.1 &&
		    wish->view.seconds <= 3600)
			return true;
		cli_usage_error("--interval %s is no number of seconds from 0.1 to 3600", optarg);
		return false;
	}
}

static int run(int argc, char **argv)
{
	struct wish wish = {.view = {.seconds = 1}};
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":ps:f:i:h", options, NULL)) != -1) {
		if (opt == 'h' || opt == '?' || opt == ':')
			return cli_other_option(opt, argv);
		if (!take_option(opt, &wish))
			return STATUS_USAGE;
	}
	if (optind != argc)
		return cli_usage_error("top takes no names; to choose: --filter %s", argv[optind]);
	if (wish.as_json && !wish.once)
		return cli_usage_error("--json goes with --once");
	if (!choose_sort(&wish))
		return STATUS_USAGE;
	return wish.once ? once(&wish) : top_screen(&wish.view);
}

const struct command cmd_top = {
	.name = "top",
	.arguments =
		"[--processes] [--sort COLUMN] [--filter TEXT] [--interval SECONDS] [--once [--json]]",
	.summary = "Show live what goes on: rates, fill, sleepers, by object and by process.",
	.help =
		"  -p, --processes         begin with the list of processes\n"
		"  -s, --sort COLUMN       by its heading\n"
		"  -f, --filter TEXT       only rows that hold it\n"
		"  -i, --interval SECONDS  between two looks; 1 if nothing is said\n"
		"      --once              print both lists once, and end\n"
		"      --json              with --once: one JSON object, of everything\n\n"
		"Keys: o objects, p processes, < > sort, r reverse, / filter, f freeze, + - pace, h help,\n"
		"q quit. Looking disturbs nobody; to stop or kill it neither.\n",
	.run = run,
};

// SPDX-License-Identifier: MIT
//
// cmd_demo.c - posthaste demo: counts the words of files with several processes, a pipe, two queues and a table
// in shared memory that a semaphore guards, kills one of them in the middle, checks the counts against a plain program, and races the kernel's
// queues and pipe. The summary leaves through a FIFO.
//
//   demo_corpus.c, demo_cutter.c   which files, and how they are cut into chunks
//   demo_words.c                   the counting itself
//   demo_transport.c               the queues, pipes and semaphores, ours and the kernel's
//   demo_table.c                   the table in shared memory
//   demo_crew.c                    the processes; demo_feed.c, demo_worker.c: what they do
//   demo_run.c                     one run, as the parent sees it
//   demo_signals.c                 signals of progress, and requests to stop
//   demo_report.c                  what is printed
//   demo_publish.c                 by way of a FIFO
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "demo_crew.h"
#include "demo_publish.h"
#include "demo_report.h"
#include "demo_signals.h"
#include "doctor.h"
#include "progress.h"
#include "ring.h"
#include "stop.h"

static const struct option options[] = {
	{"workers", required_argument, NULL, 'w'},
	{"keep-going", no_argument, NULL, 'k'},
	{"no-race", no_argument, NULL, 'R'},
	{"json", no_argument, NULL, 'j'},
	{"to", required_argument, NULL, 't'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

enum { DEPTH = 256, KERNEL_DEPTH = 10, MESSAGE_BYTES = 8192, LEAST_MESSAGE_BYTES = 1024 };

struct wish {
	uint64_t workers;
	bool keep_going, no_race, as_json;
	const char *fifo; // for the summary; NULL: one is made, and printed from
};

static void count_plainly(const struct corpus *corpus, struct words *words)
{
	uint64_t done = 0;

	words_init(words);
	progress_begin("counting alone", "bytes", corpus->bytes);
	for (size_t i = 0; i < corpus->count; i++) {
		FILE *in = fopen(corpus->file[i].path, "re");

		if (!in || !words_count_file(words, in))
			cli_fail(STATUS_REFUSED, corpus->file[i].path, "%s; left out", strerror(errno));
		if (in)
			fclose(in);
		done += corpus->file[i].bytes;
		progress_at(done);
	}
	progress_end();
}

// What the kernel grants everybody: at most 10 messages of 8 KiB, less if the administrator says so.
static long kernel_limit(const char *file, long wanted)
{
	const long limit = doctor_read_number(file, wanted);

	return limit < wanted ? limit : wanted;
}

static void add_racer(struct demo_report *report, const struct transport *transport, long depth,
                      long message_bytes)
{
	report->racer[report->racers++] =
		(struct racer){.transport = transport, .depth = depth, .message_bytes = message_bytes};
}

// With large messages the counting takes most of the time, with small ones the queues do.
static void add_racers(struct demo_report *report)
{
	const long sizes[] = {report->plan.message_bytes, LEAST_MESSAGE_BYTES};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		add_racer(report, &transport_posthaste, DEPTH, sizes[i]);
		add_racer(report, &transport_posthaste, report->kernel_depth, sizes[i]);
		add_racer(report, &transport_kernel, report->kernel_depth, sizes[i]);
	}
}

static int by_seconds(const void *a, const void *b)
{
	const double x = ((const struct racer *)a)->seconds, y = ((const struct racer *)b)->seconds;

	return (x > y) - (x < y);
}

static void race_once(const struct demo_report *report, const struct racer *racer,
                      struct racer *result)
{
	struct demo_plan plan = report->plan;
	struct demo_outcome outcome;

	plan.transport = racer->transport;
	plan.depth = racer->depth;
	plan.message_bytes = racer->message_bytes;
	plan.kill_one = plan.signals = false;
	*result = *racer;
	if (stop_asked())
		return;
	progress_begin(racer->transport->name, "bytes", plan.corpus->bytes);
	result->ran = demo_run(&plan, &outcome);
	progress_end();
	result->seconds = outcome.seconds;
	result->cpu_seconds = outcome.cpu_seconds;
	result->switches = (double)outcome.switches;
	result->messages = 2.0 * outcome.chunks;
	memcpy(result->trouble, outcome.trouble, sizeof result->trouble);
	words_free(&outcome.words);
}

// The racers take turns, so that a busy moment of the machine hits all of them.
static void race(struct demo_report *report)
{
	struct racer lap[RACERS_MAX][RACE_RUNS];

	for (size_t k = 0; k < RACE_RUNS; k++)
		for (size_t i = 0; i < report->racers; i++)
			race_once(report, &report->racer[i], &lap[i][k]);
	if (stop_asked()) {
		report->racers = 0; // no race was ended
		return;
	}
	for (size_t i = 0; i < report->racers; i++) {
		bool all_ran = true;

		for (size_t k = 0; k < RACE_RUNS; k++) {
			all_ran = all_ran && lap[i][k].ran;
			if (!lap[i][k].ran)
				lap[i][RACE_RUNS / 2] = lap[i][k];
		}
		if (all_ran)
			qsort(lap[i], RACE_RUNS, sizeof lap[i][0], by_seconds);
		report->racer[i] = lap[i][RACE_RUNS / 2];
	}
}

static bool run_with_accident(const struct demo_plan *plan, const struct transport *transport,
                              long depth, struct demo_outcome *outcome)
{
	struct demo_plan mine = *plan;

	mine.transport = transport;
	mine.depth = depth;
	mine.kill_one = true;
	mine.signals = transport == &transport_posthaste;
	progress_begin("counting", "bytes", plan->corpus->bytes);
	const bool well = demo_run(&mine, outcome);

	progress_end();
	return well;
}

static bool was_recovered(const struct demo_outcome *outcome)
{
	const struct accident *const accident = &outcome->accident;

	return !accident->happened || (accident->recovered && accident->unit_returned);
}

static void explain_difference(const struct corpus *corpus)
{
	const char *changed = corpus_changed(corpus);

	if (changed)
		cli_fail(STATUS_REFUSED, changed, "was changed while it was counted; run the demo again");
	else
		cli_fail(STATUS_REFUSED, NULL,
		         "the counts differ, which must never happen; please report it");
}

// What was done until somebody wanted this to stop; then it ends by that signal, as a shell expects.
_Noreturn static void stop_with_account(struct demo_report *report, bool as_json)
{
	report->stopped = stop_signal();
	(as_json ? demo_report_json : demo_report_text)(report, stdout);
	fflush(stdout);
	demo_signals_leave();
	stop_now();
}

static int demonstrate(struct demo_report *report, const struct wish *wish)
{
	struct words plain;

	count_plainly(report->corpus, &plain);
	stop_idle(false); // from here on there are processes to end first
	const bool well =
		run_with_accident(&report->plan, &transport_posthaste, DEPTH, &report->main_run);

	report->equal = well && words_equal(&plain, &report->main_run.words);
	words_free(&plain);
	if (well && !wish->no_race && !stop_asked()) {
		report->kernel_ran = run_with_accident(&report->plan, &transport_kernel,
		                                       report->kernel_depth, &report->kernel_run);
		words_free(&report->kernel_run.words);
		if (!stop_asked()) {
			add_racers(report);
			race(report);
		}
	}
	if (stop_asked())
		stop_with_account(report, wish->as_json);
	const bool published =
		demo_publish(wish->as_json ? demo_report_json : demo_report_text, report, wish->fifo);

	words_free(&report->main_run.words);
	if (well && !report->equal)
		explain_difference(report->corpus);
	return published && report->equal && was_recovered(&report->main_run) ? STATUS_DONE
	                                                                      : STATUS_REFUSED;
}

static int choose_workers(const struct wish *wish)
{
	const long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (wish->workers > 0)
		return (int)wish->workers;
	return processors < 3 ? 3 : processors > 8 ? 8 : (int)processors;
}

// Before anything is counted for nobody.
static bool is_fifo(const char *path)
{
	char file[RING_FILE_MAX];

	if (ring_of_fifo(path, file))
		return true;
	cli_fail(STATUS_REFUSED, path, "is no FIFO; make one with: posthaste mkfifo");
	return false;
}

static int demo(const struct wish *wish, int count, char **paths)
{
	struct corpus corpus;
	struct demo_report report = {.corpus = &corpus};
	int status = STATUS_REFUSED;

	stop_install();
	stop_idle(true);
	bool readable = true;

	if (count == 0)
		corpus_default(&corpus);
	else
		readable = corpus_from_arguments(&corpus, count, paths, wish->keep_going);
	report.kernel_depth = kernel_limit("/proc/sys/fs/mqueue/msg_max", KERNEL_DEPTH);
	report.plan = (struct demo_plan){
		.corpus = &corpus,
		.depth = DEPTH,
		.message_bytes = kernel_limit("/proc/sys/fs/mqueue/msgsize_max", MESSAGE_BYTES),
		.workers = choose_workers(wish),
	};
	if (report.plan.message_bytes < LEAST_MESSAGE_BYTES)
		report.plan.message_bytes = LEAST_MESSAGE_BYTES;
	if (readable && corpus.bytes == 0)
		cli_fail(STATUS_REFUSED, NULL,
		         "there is no text to count; name files: posthaste demo FILE...");
	else if (readable)
		status = demonstrate(&report, wish);
	corpus_free(&corpus);
	return status;
}

static int run(int argc, char **argv)
{
	struct wish wish = {.workers = 0};
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":w:kjt:h", options, NULL)) != -1) {
		if (opt == 'k')
			wish.keep_going = true;
		else if (opt == 'R')
			wish.no_race = true;
		else if (opt == 'j')
			wish.as_json = true;
		else if (opt == 't')
			wish.fifo = optarg;
		else if (opt != 'w')
			return cli_other_option(opt, argv);
		else if (!cli_parse_count(optarg, 1, WORKERS_MAX, &wish.workers))
			return cli_usage_error("--workers %s is not a number from 1 to %d", optarg,
			                       WORKERS_MAX);
	}
	if (wish.fifo && !is_fifo(wish.fifo))
		return STATUS_REFUSED;
	return demo(&wish, argc - optind, argv + optind);
}

const struct command cmd_demo = {
	.name = "demo",
	.arguments = "[FILE...] [--workers N] [--keep-going] [--no-race] [--json] [--to FIFO]",
	.summary = "Count words with several processes, kill one, and account for everything.",
	.help =
		"  -w, --workers N    processes that count (default: one a processor, 3 to 8)\n"
		"  -k, --keep-going   leave out files that cannot be read\n"
		"      --no-race      do not run on the kernel's queues and pipe as well\n"
		"  -j, --json         one JSON object\n"
		"  -t, --to FIFO      write the summary there, for: posthaste cat FIFO\n\n"
		"FILE may be a directory. Without any: the project's own tree if run in it, and texts\n"
		"that are on any machine. Status 1 if the counts differ from a plain sequential count,\n"
		"or anything was lost. Ctrl-C, SIGTERM or SIGHUP lets every process finish what it has in\n"
		"hand, and an account is given of what was done.\n",
	.run = run,
};

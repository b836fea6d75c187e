// SPDX-License-Identifier: MIT
//
// `posthaste bench`: options, the list of rooms, and which cases run together; bench_run.c runs
// them.
#define _GNU_SOURCE
#include "bench.h"

#include "bench_page.h"
#include "bench_run.h"

#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATTERNS 16
#define BLOCK 16

static const struct bench_room ROOMS[] = {
	{"mq", "message queues", "depth", bench_mq_cases, {&bench_mq_posthaste, &bench_mq_kernel}},
	{"pipe", "pipes", "pipe", bench_pipe_cases, {&bench_pipe_posthaste, &bench_pipe_kernel}},
	{"sem",
     "semaphores",
     NULL,
     bench_sem_cases,
     {&bench_sem_posthaste, &bench_sem_libc, &bench_sem_sysv, &bench_sem_flock}},
	{"signal",
     "signals",
     NULL,
     bench_signal_cases,
     {&bench_signal_posthaste, &bench_signal_kernel}},
	{"shm",
     "shared memory",
     NULL,
     bench_shm_cases,
     {&bench_shm_posthaste, &bench_shm_system, &bench_shm_reserved}},
	{"shm",
     "blocks in shared memory",
     NULL,
     bench_arena_cases,
     {&bench_arena_posthaste, &bench_arena_malloc}},
};

#define ROOM_COUNT (sizeof(ROOMS) / sizeof(ROOMS[0]))

struct choice {
	struct bench_options opt;
	bool room[ROOM_COUNT], any_room, list;
	const char *only[PATTERNS];
	size_t patterns;
};

// A room may have several tables.
static bool again(size_t r)
{
	return r > 0 && strcmp(ROOMS[r].name, ROOMS[r - 1].name) == 0;
}

static void usage(FILE *to)
{
	fprintf(to, "usage: posthaste bench [ROOM...] [OPTION...]\n"
	            "Measure the library beside the kernel, in one run, repetitions interleaved.\n\n"
	            "  ROOM            ");
	for (size_t r = 0; r < ROOM_COUNT; r++) {
		if (!again(r))
			fprintf(to, "%s%s", r ? ", " : "", ROOMS[r].name);
	}
	fprintf(
		to,
		" (default: all)\n"
		"  --only TEST     run these tests only: a name or a pattern; may be repeated\n"
		"  --list          list the tests\n"
		"  --quick         fewer and shorter repetitions, for a first look\n"
		"  --reps N        repetitions, 1 to 99 (default 7)\n"
		"  --ms N          milliseconds of one repetition (default 150)\n"
		"  --peer PROGRAM  measure this contestant, too (see bench/peers); may be repeated\n"
		"  --json          one object a line\n"
		"  --report DIR    write a page with pictures there, too, and run what only that takes;\n"
		"                  takes gnuplot\n"
		"  --help\n");
}

static int usage_error(const char *what, const char *which)
{
	fprintf(stderr, "posthaste: bench: %s: %s; see: posthaste bench --help\n", which, what);
	return 2;
}

// A whole number from lo to hi, or -1.
static long whole(const char *text, long lo, long hi)
{
	char *end;
	errno = 0;
	const long v = strtol(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && v >= lo && v <= hi ? v : -1;
}

static int add_peer(struct choice *ch, const char *program)
{
	struct bench_options *opt = &ch->opt;
	if (opt->peers == BENCH_SIDES - BENCH_CONTESTANTS)
		return usage_error("too many peers", program);
	if (!bench_side_from_program(&opt->peer[opt->peers], program))
		return usage_error("cannot run this peer", program);
	opt->peers++;
	return 0;
}

static int add_room(struct choice *ch, const char *name)
{
	bool found = false;
	for (size_t r = 0; r < ROOM_COUNT; r++) {
		if (strcmp(ROOMS[r].name, name) == 0)
			found = ch->room[r] = ch->any_room = true;
	}
	return found ? 0 : usage_error("no such room", name);
}

enum {
	OPT_ONLY = 256,
	OPT_LIST,
	OPT_QUICK,
	OPT_REPS,
	OPT_MS,
	OPT_PEER,
	OPT_JSON,
	OPT_REPORT,
	OPT_HELP
};

static const struct option OPTIONS[] = {
	{"only", required_argument, NULL, OPT_ONLY}, {"list", no_argument, NULL, OPT_LIST},
	{"quick", no_argument, NULL, OPT_QUICK},     {"reps", required_argument, NULL, OPT_REPS},
	{"ms", required_argument, NULL, OPT_MS},     {"peer", required_argument, NULL, OPT_PEER},
	{"json", no_argument, NULL, OPT_JSON},       {"report", required_argument, NULL, OPT_REPORT},
	{"help", no_argument, NULL, OPT_HELP},       {NULL, 0, NULL, 0},
};

// Take one option; -1 to go on, else the exit status.
static int take_option(struct choice *ch, int option)
{
	struct bench_options *opt = &ch->opt;
	long v = 0;
	switch (option) {
	case OPT_ONLY:
		if (ch->patterns == PATTERNS)
			return usage_error("too many patterns", optarg);
		ch->only[ch->patterns++] = optarg;
		break;
	case OPT_LIST: ch->list = true; break;
	case OPT_QUICK:
		opt->reps = 3;
		opt->ns = 30000000;
		opt->idle_ns = 300000000;
		break;
	case OPT_REPS:
		v = whole(optarg, 1, BENCH_REPS);
		opt->reps = (unsigned)v;
		break;
	case OPT_MS:
		v = whole(optarg, 1, 10000);
		opt->ns = v * 1000000;
		break;
	case OPT_PEER: return add_peer(ch, optarg) ? 2 : -1;
	case OPT_JSON: opt->json = true; break;
	case OPT_REPORT: opt->report = optarg; break;
	case OPT_HELP: usage(stdout); return 0;
	default: usage(stderr); return 2;
	}
	return v < 0 ? usage_error("not a number in range", optarg) : -1;
}

static int take_arguments(struct choice *ch, int argc, char **argv)
{
	optind = 1;
	for (int o; (o = getopt_long(argc, argv, "h", OPTIONS, NULL)) != -1;) {
		const int status = take_option(ch, o == 'h' ? OPT_HELP : o);
		if (status >= 0)
			return status;
	}
	for (; optind < argc; optind++) {
		if (add_room(ch, argv[optind]) != 0)
			return 2;
	}
	return -1;
}

static bool chosen(const struct choice *ch, const struct bench_case *c)
{
	for (size_t i = 0; i < ch->patterns; i++) {
		if (fnmatch(ch->only[i], c->test, 0) == 0)
			return true;
	}
	return ch->patterns == 0 && (!c->for_report || ch->opt.report || ch->list);
}

// The next chosen cases that are to run together: one, or those of one group. Moves *at on.
static size_t next_block(const struct choice *ch, const struct bench_case **at,
                         const struct bench_case *block[BLOCK])
{
	size_t n = 0;
	for (; (*at)->test && n < BLOCK; (*at)++) {
		const char *group = (*at)->group;
		if (n > 0 && (!group || !block[0]->group || strcmp(group, block[0]->group) != 0))
			break;
		if (chosen(ch, *at))
			block[n++] = *at;
	}
	return n;
}

static void list_room(const struct choice *ch, const struct bench_room *room)
{
	for (const struct bench_case *c = room->cases; c->test; c++) {
		if (chosen(ch, c))
			printf("%-4s %-19s %s, %zu bytes, %s %zu\n", room->name, c->test, c->what, c->size,
			       bench_capacity_name(room), bench_capacity(room, c));
	}
}

// The contestants of a room, then the peers.
static void line_up(struct bench_options *opt, const struct bench_room *room)
{
	opt->sides = 0;
	for (const struct bench_ops *const *ops = room->contestant; *ops; ops++) {
		struct bench_side *side = &opt->side[opt->sides++];
		memset(side, 0, sizeof(*side));
		snprintf(side->name, sizeof(side->name), "%s", (*ops)->name);
		side->ops = *ops;
	}
	for (size_t i = 0; i < opt->peers; i++)
		opt->side[opt->sides++] = opt->peer[i];
}

// The number of cases that ran; *failed counts those in which the library failed.
static size_t run_room(struct choice *ch, const struct bench_room *room, size_t *failed)
{
	const struct bench_case *block[BLOCK], *at = room->cases;
	struct bench_row row[BLOCK];
	size_t ran = 0;
	line_up(&ch->opt, room);
	for (size_t n; !bench_interrupted && (n = next_block(ch, &at, block)) > 0;) {
		if (ran == 0)
			bench_report_begin(room, &ch->opt);
		if (!bench_run_block(room, block, n, &ch->opt, row))
			break;
		for (size_t i = 0; i < n; i++) {
			bench_report_row(&row[i], &ch->opt);
			if (ch->opt.report)
				bench_page_add(&row[i], &ch->opt);
			*failed += row[i].result[0].error[0] != '\0';
		}
		ran += n;
	}
	return ran;
}

static void interrupt(int sig)
{
	bench_interrupted = sig;
}

static int run(struct choice *ch)
{
	size_t ran = 0, failed = 0;
	struct sigaction act = {.sa_handler = interrupt, .sa_flags = SA_RESTART};
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	for (size_t r = 0; r < ROOM_COUNT; r++) {
		if (ch->any_room && !ch->room[r])
			continue;
		if (ch->list)
			list_room(ch, &ROOMS[r]);
		else
			ran += run_room(ch, &ROOMS[r], &failed);
	}
	if (bench_interrupted)
		return 128 + bench_interrupted;
	if (!ch->list && ran == 0)
		return usage_error("no such test", ch->patterns ? ch->only[0] : "bench");
	const int reported = ch->opt.report && !ch->list ? bench_page_end(&ch->opt) : 0;
	if (failed)
		fprintf(stderr, "posthaste: bench: %zu of %zu tests failed\n", failed, ran);
	return failed ? 1 : reported;
}

int bench_main(int argc, char **argv)
{
	struct choice ch;
	memset(&ch, 0, sizeof(ch));
	ch.opt.reps = 7;
	ch.opt.ns = 150000000;
	ch.opt.idle_ns = 2000000000;
	int status = take_arguments(&ch, argc, argv);
	if (status < 0 && ch.opt.report && !ch.list && bench_page_begin(ch.opt.report) != 0)
		status = 1;
	return status >= 0 ? status : run(&ch);
}

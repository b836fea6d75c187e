// SPDX-License-Identifier: MIT
//
// cmd_deadlock.c - posthaste deadlock: whether processes wait for each other in a circle, told in words, as JSON,
// or as a graph for dot(1). The status says it: 0 none, 1 there is one.
#include <string.h>

#include "cli.h"
#include "json.h"
#include "knot.h"
#include "knot_dot.h"
#include "words.h"

static const struct option options[] = {
	{"dot", no_argument, NULL, 'd'},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

// ---- for people ----

static void put_step(const struct world *world, const struct knot *knot, size_t at)
{
	const struct knot_step *const step = &knot->step[at];
	const struct world_wait *const wait = &world->wait[step->wait];
	char text[WORDS_MAX], age[SHOW_MAX];

	fputs("  ", stdout);
	words_put(stdout, words_process(text, world, step->process));
	printf(", for %s: ", words_since(age, world, wait));
	words_put(stdout, words_wait(text, world, wait));
	words_why(text, world, wait, knot->step[(at + 1) % knot->steps].process);
	printf("%s%s\n", *text ? "; " : "", text);
}

static void put_behind(const struct world *world, const struct knots *knots)
{
	char text[WORDS_MAX];

	for (size_t i = 0; i < world->waits; i++)
		for (size_t k = 0; k < knots->behinds; k++) {
			if (world->wait[i].process != knots->behind[k])
				continue;
			fputs("  ", stdout);
			words_put(stdout, words_process(text, world, knots->behind[k]));
			fputs(" ", stdout);
			words_put(stdout, words_wait(text, world, &world->wait[i]));
			putchar('\n');
		}
}

static void put_text(const struct world *world, const struct knots *knots)
{
	for (size_t i = 0; i < knots->count; i++) {
		const struct knot *const knot = &knots->knot[i];

		if (knot->steps == 1)
			puts("deadlock of one process with itself:");
		else
			printf("deadlock of %zu processes, each waits for the next, the last for the first:\n",
			       knot->steps);
		for (size_t at = 0; at < knot->steps; at++)
			put_step(world, knot, at);
	}
	if (knots->behinds > 0)
		puts("waiting behind it:");
	put_behind(world, knots);
	if (knots->count == 0)
		puts("no deadlock");
	else
		puts("To end it, end one of them, such as: kill PID. What it holds comes back.");
	if (world->hidden > 0)
		printf("(processes that could not be looked into: %zu)\n", world->hidden);
}

// ---- for programs ----

static void json_step(struct json *json, const struct world *world, const struct knot_step *step)
{
	const struct world_process *const p = &world->process[step->process];
	const struct world_wait *const wait = &world->wait[step->wait];
	char text[WORDS_MAX];

	json_open(json, NULL, '{');
	json_signed(json, "pid", p->pid);
	json_signed(json, "tid", wait->tid);
	json_bytes(json, "command", p->command, strlen(p->command));
	json_string(json, "waits", words_wait(text, world, wait));
	if (wait->object != WORLD_NONE) {
		json_string(json, "kind", world_kind_name(world->object[wait->object].kind));
		json_string(json, "object", world->object[wait->object].name);
	}
	if (wait->since_ns > 0)
		json_signed(json, "age_ms", world_age_ms(world, wait->since_ns));
	json_close(json, '}');
}

static void put_json(const struct world *world, const struct knots *knots)
{
	struct json json = {.out = stdout};

	json_open(&json, NULL, '{');
	json_open(&json, "deadlocks", '[');
	for (size_t i = 0; i < knots->count; i++) {
		json_open(&json, NULL, '[');
		for (size_t at = 0; at < knots->knot[i].steps; at++)
			json_step(&json, world, &knots->knot[i].step[at]);
		json_close(&json, ']');
	}
	json_close(&json, ']');
	json_open(&json, "behind", '[');
	for (size_t i = 0; i < knots->behinds; i++)
		json_signed(&json, NULL, world->process[knots->behind[i]].pid);
	json_close(&json, ']');
	json_unsigned(&json, "hidden_processes", world->hidden);
	json_close(&json, '}');
	putchar('\n');
}

static int run(int argc, char **argv)
{
	void (*put)(const struct world *, const struct knots *) = put_text;
	struct world world;
	struct knots knots;
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":djh", options, NULL)) != -1) {
		if (opt == 'd')
			put = knot_dot;
		else if (opt == 'j')
			put = put_json;
		else
			return cli_other_option(opt, argv);
	}
	if (optind != argc)
		return cli_usage_error("deadlock takes no names");
	if (!knots_look(&world, &knots))
		return STATUS_REFUSED;
	put(&world, &knots);
	const int status = knots.count > 0 ? STATUS_REFUSED : STATUS_DONE;

	knots_free(&knots);
	world_free(&world);
	return status;
}

const struct command cmd_deadlock = {
	.name = "deadlock",
	.arguments = "[--dot] [--json]",
	.summary = "Say whether processes wait for each other in a circle.",
	.help =
		"      --dot    the graph of who waits for what and who has it, for dot(1)\n"
		"      --json   one JSON object\n\n"
		"Status 0: none; 1: there is one. A circle counts if nobody in it can go on: no thread is\n"
		"awake or has a deadline, and no process outside could give what one of them waits for.\n"
		"Semaphores without holders never count: anybody may post.\n",
	.run = run,
};

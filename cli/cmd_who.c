// SPDX-License-Identifier: MIT
//
// cmd_who.c - posthaste who: who has an object open, who holds something of it, who sleeps on it, and who could wake
// them - and, as those may sleep themselves, on what.
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "json.h"
#include "knot.h"
#include "object.h"
#include "watched.h"
#include "words.h"

static const struct option options[] = {
	{"kind", required_argument, NULL, 'k'},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

// ---- for people ----

static void put_line(const char *label, const char *text)
{
	printf("%-10s ", label);
	words_put(stdout, text);
}

static const char *how(const struct world_object *object, const struct world_use *use)
{
	if (object->kind == WORLD_PIPE || object->kind == WORLD_FIFO) {
		if (use->reads || use->writes)
			return use->reads && use->writes ? "reads and writes" : use->reads ? "reads" : "writes";
		return "has the ring mapped, and no end";
	}
	return use->mapped ? "has it mapped" : "has a descriptor only";
}

static void put_users(const struct world *world, size_t object)
{
	const char *label = "open";
	char text[WORDS_MAX];

	for (size_t i = 0; i < world->uses; i++) {
		if (world->use[i].object != object)
			continue;
		put_line(label, words_process(text, world, world->use[i].process));
		printf(", %s\n", how(&world->object[object], &world->use[i]));
		label = "";
	}
	if (*label)
		printf("%-10s in no process that can be seen\n", label);
}

static void put_holders(const struct world *world, size_t object)
{
	const char *label = "holds";
	char text[WORDS_MAX];

	for (size_t i = 0; i < world->holds; i++) {
		const struct world_hold *const h = &world->hold[i];

		if (h->object != object)
			continue;
		if (h->process != WORLD_NONE)
			put_line(label, words_process(text, world, h->process));
		else if (h->pid)
			printf("%-10s pid %d", label, (int)h->pid);
		else
			put_line(label, "somebody");
		fputs(", ", stdout);
		words_put(stdout, words_hold(text, world, h));
		printf("%s\n", h->dead ? ": dead, it comes back as soon as it is needed" : "");
		label = "";
	}
}

// What a process that is needed here waits for itself.
static void put_chain(const struct world *world, size_t process)
{
	char text[WORDS_MAX];

	for (size_t i = 0; i < world->waits; i++)
		if (world->wait[i].process == process && world->wait[i].want != WANT_NEWS) {
			fputs(", and itself ", stdout);
			words_put(stdout, words_wait(text, world, &world->wait[i]));
			return;
		}
}

static void put_peers(const struct world *world, const struct world_wait *wait)
{
	size_t count;
	bool outside;
	size_t *const peers = knot_peers(world, wait, &count, &outside);
	char text[WORDS_MAX];

	for (size_t i = 0; i < count; i++) {
		words_why(text, world, wait, peers[i]);
		if (!*text)
			continue;
		printf("%-10s   %s", "", text);
		put_chain(world, peers[i]);
		putchar('\n');
	}
	free(peers);
}

static void put_sleepers(const struct world *world, size_t object)
{
	const char *label = "sleeps";
	char text[WORDS_MAX], age[SHOW_MAX];

	for (size_t i = 0; i < world->waits; i++) {
		const struct world_wait *const w = &world->wait[i];

		if (w->object != object)
			continue;
		put_line(label, words_process(text, world, w->process));
		printf(", thread %d, for %s: ", (int)w->tid, words_since(age, world, w));
		words_put(stdout, words_wait(text, world, w));
		if (w->ends_ms >= 0)
			printf(", for at most %s more", show_age(age, w->ends_ms));
		putchar('\n');
		put_peers(world, w);
		label = "";
	}
	if (*label)
		printf("%-10s nobody that can be seen\n", label);
}

static void put_text(const struct world *world, size_t object)
{
	char text[WORDS_MAX];

	put_line("object", words_object(text, &world->object[object]));
	if (world->object[object].unlinked)
		printf("; who opens that name finds another one, or none\n");
	else
		printf(", %s\n", world->object[object].state);
	put_users(world, object);
	put_holders(world, object);
	put_sleepers(world, object);
}

static void put_json(const struct world *world, size_t object)
{
	struct json json = {.out = stdout};

	json_open(&json, NULL, '{');
	json_string(&json, "kind", world_kind_name(world->object[object].kind));
	json_string(&json, "name", world->object[object].name);
	json_string(&json, "state", world->object[object].state);
	watched_json(&json, &(struct watched){world, object});
	json_close(&json, '}');
	putchar('\n');
}

// Also those that have lost that name, and are open still: a program that waits on such a one waits in vain.
static int who(const char *argument, enum object_kind only, bool as_json)
{
	struct world world;
	struct object object;
	const enum object_kind kind = object_find(argument, only, &object);

	if (kind == OBJECT_WRONG)
		return object.status;
	if (!world_look(&world, &(struct world_wish){.fifo = kind == OBJECT_FIFO ? argument : NULL}))
		return STATUS_REFUSED;
	int shown = 0;

	for (size_t i = 0; i < world.objects; i++) {
		if (!watched_is_named(&world.object[i], kind, &object, argument))
			continue;
		if (shown++ > 0 && !as_json)
			putchar('\n');
		(as_json ? put_json : put_text)(&world, i);
	}
	world_free(&world);
	if (shown > 0)
		return STATUS_DONE;
	return kind == OBJECT_PIPE
	           ? cli_fail(STATUS_REFUSED, argument,
	                      "no process has a ring of it, and nobody waits at it in the kernel")
	           : object_fail_none(object.name);
}

static int run(int argc, char **argv)
{
	enum object_kind only = OBJECT_NONE;
	bool as_json = false;
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":k:jh", options, NULL)) != -1) {
		if (opt == 'j')
			as_json = true;
		else if (opt != 'k')
			return cli_other_option(opt, argv);
		else if ((only = object_kind_named(optarg)) == OBJECT_WRONG)
			return STATUS_USAGE;
	}
	if (argc - optind != 1)
		return cli_usage_error("one name is needed");
	return who(argv[optind], only, as_json);
}

const struct command cmd_who = {
	.name = "who",
	.arguments = "OBJECT [--kind KIND] [--json]",
	.summary = "Show who has an object open, who holds it, who sleeps on it and why.",
	.help =
		"  -k, --kind KIND   mq, sem or shm: where objects of several kinds have the name\n"
		"      --json        one JSON object\n\n"
		"OBJECT is a name in the namespace, the path of a FIFO, or pipe:[INODE] as ls shows it.\n"
		"What was unlinked and is open still is shown as well. Processes of other users cannot be\n"
		"looked into, but by root.\n",
	.run = run,
};

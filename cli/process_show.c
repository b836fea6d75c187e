// SPDX-License-Identifier: MIT
//
// process_show.c - see process_show.h.
#include "process_show.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "json.h"
#include "knot.h"
#include "proc.h"
#include "signals_show.h"
#include "words.h"

pid_t process_named(const char *argument)
{
	uint64_t number;
	struct proc_stat stat;

	if (!cli_parse_count(argument, 1, INT_MAX, &number) || !proc_stat((pid_t)number, &stat))
		return 0;
	return proc_of_thread((pid_t)number);
}

// ---- for people ----

static const char *state_word(char state)
{
	switch (state) {
	case 'R': return "running";
	case 'T': return "stopped; who needs what it has waits until it goes on";
	case 't': return "stopped by a debugger";
	case 'D': return "in the kernel";
	case 'Z': return "dead, its parent has not asked yet";
	default: return "sleeping";
	}
}

static void put_line(const char *label, const char *text)
{
	printf("%-10s ", label);
	words_put(stdout, text);
}

static void put_holds(const struct world *world, size_t process)
{
	const char *label = "holds";
	char text[WORDS_MAX];

	for (size_t i = 0; i < world->holds; i++) {
		if (world->hold[i].process != process)
			continue;
		put_line(label, words_hold(text, world, &world->hold[i]));
		putchar('\n');
		label = "";
	}
	if (*label)
		printf("%-10s nothing\n", label);
}

static void put_uses(const struct world *world, size_t process)
{
	const char *label = "open";
	char text[WORDS_MAX];

	for (size_t i = 0; i < world->uses; i++) {
		const struct world_use *const use = &world->use[i];

		if (use->process != process)
			continue;
		put_line(label, words_object(text, &world->object[use->object]));
		printf("%s%s%s\n", use->reads ? ", to read" : "", use->writes ? ", to write" : "",
		       use->fd >= 0 && !use->mapped && !use->reads && !use->writes
		           ? ", as an inherited descriptor only"
		           : "");
		label = "";
	}
	if (*label)
		printf("%-10s nothing of this namespace\n", label);
}

static void put_peers(const struct world *world, const struct world_wait *wait)
{
	size_t count;
	bool outside;
	size_t *const peers = knot_peers(world, wait, &count, &outside);
	char text[WORDS_MAX];

	for (size_t i = 0; i < count; i++) {
		words_why(text, world, wait, peers[i]);
		if (*text)
			printf("%-10s   %s\n", "", text);
	}
	free(peers);
}

static void put_waits(const struct world *world, size_t process)
{
	const char *label = "waits";
	char text[WORDS_MAX], age[SHOW_MAX];

	for (size_t i = 0; i < world->waits; i++) {
		const struct world_wait *const w = &world->wait[i];

		if (w->process != process)
			continue;
		printf("%-10s thread %d, for %s: ", label, (int)w->tid, words_since(age, world, w));
		words_put(stdout, words_wait(text, world, w));
		if (w->ends_ms >= 0)
			printf(", for at most %s more", show_age(age, w->ends_ms));
		putchar('\n');
		put_peers(world, w);
		label = "";
	}
	if (*label)
		printf("%-10s for nothing that can be seen\n", label);
}

static void put_text(const struct world *world, size_t process)
{
	const struct world_process *const p = &world->process[process];
	char text[WORDS_MAX], owner[SHOW_MAX];

	put_line("process", words_process(text, world, process));
	printf(", of %s, %s\n", show_user(owner, p->uid), state_word(p->state));
	printf("%-10s %zu, of which %zu sleep on what is told below\n", "threads", p->threads,
	       p->asleep);
	put_holds(world, process);
	put_uses(world, process);
	put_waits(world, process);
}

// ---- for programs ----

static void json_object(struct json *json, const struct world_object *object)
{
	json_string(json, "kind", world_kind_name(object->kind));
	json_string(json, "name", object->name);
	if (object->unlinked)
		json_bool(json, "unlinked", true);
}

static void json_lists(struct json *json, const struct world *world, size_t process)
{
	char text[WORDS_MAX];

	json_open(json, "holds", '[');
	for (size_t i = 0; i < world->holds; i++) {
		if (world->hold[i].process != process)
			continue;
		json_open(json, NULL, '{');
		json_object(json, &world->object[world->hold[i].object]);
		json_string(json, "what", words_hold(text, world, &world->hold[i]));
		json_close(json, '}');
	}
	json_close(json, ']');
	json_open(json, "open", '[');
	for (size_t i = 0; i < world->uses; i++) {
		if (world->use[i].process != process)
			continue;
		json_open(json, NULL, '{');
		json_object(json, &world->object[world->use[i].object]);
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void json_waits(struct json *json, const struct world *world, size_t process)
{
	char text[WORDS_MAX];

	json_open(json, "waits", '[');
	for (size_t i = 0; i < world->waits; i++) {
		const struct world_wait *const w = &world->wait[i];

		if (w->process != process)
			continue;
		json_open(json, NULL, '{');
		json_signed(json, "tid", w->tid);
		if (w->object != WORLD_NONE)
			json_object(json, &world->object[w->object]);
		json_string(json, "what", words_wait(text, world, w));
		if (w->since_ns > 0)
			json_signed(json, "age_ms", world_age_ms(world, w->since_ns));
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void put_json(const struct world *world, size_t process)
{
	const struct world_process *const p = &world->process[process];
	struct json json = {.out = stdout};
	char owner[SHOW_MAX];

	json_open(&json, NULL, '{');
	json_signed(&json, "pid", p->pid);
	json_bytes(&json, "command", p->command, strlen(p->command));
	json_string(&json, "owner", show_user(owner, p->uid));
	json_string(&json, "state", (char[]){p->state, '\0'});
	json_unsigned(&json, "threads", p->threads);
	json_lists(&json, world, process);
	json_waits(&json, world, process);
	signals_member(&json, p->pid);
	json_close(&json, '}');
	putchar('\n');
}

int process_info(pid_t pid, bool as_json)
{
	struct world world;

	if (!world_look(&world, &(struct world_wish){.pid = pid}))
		return STATUS_REFUSED;
	const size_t process = world_find_process(&world, pid);

	if (process != WORLD_NONE)
		(as_json ? put_json : put_text)(&world, process);
	world_free(&world);
	return process != WORLD_NONE
	           ? STATUS_DONE
	           : cli_fail(STATUS_REFUSED, NULL, "pid %d has ended meanwhile", (int)pid);
}

// SPDX-License-Identifier: MIT
//
// knot_dot.c - see knot_dot.h. Boxes are processes, ellipses objects; what belongs to a deadlock is red.
#include "knot_dot.h"

#include <stdio.h>
#include <stdlib.h>

#include "words.h"

// In double quotes only these two need care; control characters are none of ours.
static void put_label(const char *text)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar((unsigned char)*text < 32 || *text == 127 ? '?' : *text);
	}
}

static bool in_knot(const struct knots *knots, size_t process)
{
	for (size_t i = 0; i < knots->count; i++)
		for (size_t k = 0; k < knots->knot[i].steps; k++)
			if (knots->knot[i].step[k].process == process)
				return true;
	return false;
}

static bool wait_in_knot(const struct knots *knots, size_t wait)
{
	for (size_t i = 0; i < knots->count; i++)
		for (size_t k = 0; k < knots->knot[i].steps; k++)
			if (knots->knot[i].step[k].wait == wait)
				return true;
	return false;
}

static const char *red(bool yes)
{
	return yes ? ", color=red" : "";
}

static bool takes_part(const struct world *world, size_t process)
{
	for (size_t i = 0; i < world->waits; i++)
		if (world->wait[i].process == process && world->wait[i].want != WANT_SELF)
			return true;
	for (size_t i = 0; i < world->holds; i++)
		if (world->hold[i].process == process)
			return true;
	return false;
}

static void put_processes(const struct world *world, const struct knots *knots)
{
	char text[WORDS_MAX];

	for (size_t i = 0; i < world->processes; i++) {
		if (!takes_part(world, i))
			continue;
		printf("\tp%d [shape=box, label=\"", (int)world->process[i].pid);
		put_label(words_process(text, world, i));
		printf("\"%s];\n", red(in_knot(knots, i)));
	}
}

static void put_objects(const struct world *world)
{
	char text[WORDS_MAX];

	for (size_t i = 0; i < world->objects; i++) {
		bool used = false;

		for (size_t k = 0; k < world->waits; k++)
			used |= world->wait[k].object == i;
		for (size_t k = 0; k < world->holds; k++)
			used |= world->hold[k].object == i;
		if (!used)
			continue;
		printf("\to%zu [label=\"", i);
		put_label(words_object(text, &world->object[i]));
		printf("\"];\n");
	}
}

static const char *want_label(const struct world_wait *wait)
{
	static const char *const labels[] = {
		"waits for content",
		"waits for room",
		"waits for units",
		"waits for a lock",
		"waits for a place",
		"listens",
		"waits",
		"waits for a child",
		"waits for a thread of its own",
		"waits for a partner",
		"waits",
	};

	return labels[wait->want];
}

// Who could end a wait where nobody holds: from the object to each of them, with a broken line.
static void put_peers(const struct world *world, const struct world_wait *wait)
{
	size_t count;
	bool outside;
	size_t *const peers = knot_peers(world, wait, &count, &outside);

	for (size_t i = 0; i < count; i++)
		if (takes_part(world, peers[i]))
			printf("\to%zu -> p%d [style=dashed, label=\"could be served by\"];\n", wait->object,
			       (int)world->process[peers[i]].pid);
	free(peers);
}

static void put_waits(const struct world *world, const struct knots *knots)
{
	for (size_t i = 0; i < world->waits; i++) {
		const struct world_wait *const w = &world->wait[i];
		const int pid = (int)world->process[w->process].pid;
		const char *const color = red(wait_in_knot(knots, i));

		if (w->want == WANT_CHILD && w->owner)
			printf("\tp%d -> p%d [label=\"%s\"%s];\n", pid, (int)w->owner, want_label(w), color);
		if (w->object == WORLD_NONE)
			continue;
		printf("\tp%d -> o%zu [label=\"%s\"%s];\n", pid, w->object, want_label(w), color);
		if (w->want == WANT_CONTENT || w->want == WANT_ROOM)
			put_peers(world, w);
	}
}

static void put_holds(const struct world *world, const struct knots *knots)
{
	for (size_t i = 0; i < world->holds; i++) {
		const struct world_hold *const h = &world->hold[i];

		if (h->process == WORLD_NONE)
			continue;
		printf("\to%zu -> p%d [label=\"held by\"%s];\n", h->object,
		       (int)world->process[h->process].pid, red(in_knot(knots, h->process)));
	}
}

void knot_dot(const struct world *world, const struct knots *knots)
{
	puts("digraph posthaste {");
	put_processes(world, knots);
	put_objects(world);
	put_waits(world, knots);
	put_holds(world, knots);
	puts("}");
}

// SPDX-License-Identifier: MIT
//
// knot_peers.c - who could end a wait: the holders of a semaphore's units, the owner of a lock, those at the other
// end of a pipe, the others that have the queue open. Where anybody might come and do it, that is said.
#include "knot.h"

#include <stdlib.h>

#include "world_parts.h"

struct peers {
	const struct world *world;
	const struct world_wait *wait;
	size_t *list, count;
	bool outside;
};

// There is one use of an object for each process.
static void add_user(struct peers *peers, size_t process)
{
	*WORLD_MORE(peers->list, peers->count) = process;
}

static void add(struct peers *peers, size_t process)
{
	for (size_t i = 0; i < peers->count; i++)
		if (peers->list[i] == process)
			return;
	add_user(peers, process);
}

// Which processes wait for the same as this wait does. The caller frees.
static bool *who_waits_too(const struct world *world, const struct world_wait *wait)
{
	bool *const same = memory_zeroed(world->processes + 1, sizeof *same);

	for (size_t i = 0; i < world->waits; i++)
		if (world->wait[i].object == wait->object && world->wait[i].want == wait->want)
			same[world->wait[i].process] = true;
	return same;
}

static size_t borrowed(const struct world *world, size_t object)
{
	size_t units = 0;

	for (size_t i = 0; i < world->holds; i++)
		if (world->hold[i].object == object && world->hold[i].what == HOLD_BORROWED)
			units += world->hold[i].units;
	return units;
}

// Any process with the queue open may send and receive; those that wait at the same side will not. A queue has a
// name, so others may come: for a full one only if nobody else has it open, for an empty one unless who sent last is
// there still.
static void add_of_queue(struct peers *peers)
{
	const struct world *const world = peers->world;
	const struct world_wait *const wait = peers->wait;
	const struct world_object *const o = &world->object[wait->object];
	bool *const same = who_waits_too(world, wait);
	bool sender_is_there = false;

	for (size_t i = 0; i < world->uses; i++) {
		const size_t process = world->use[i].process;

		if (world->use[i].object != wait->object || process == wait->process || same[process])
			continue;
		sender_is_there |= world->process[process].pid == o->last_in;
		add_user(peers, process);
	}
	free(same);
	if (wait->want == WANT_ROOM)
		peers->outside = peers->count == 0 || o->fill + borrowed(world, wait->object) < o->capacity;
	else if (wait->want == WANT_CONTENT)
		peers->outside = !sender_is_there || o->fill > 0;
	else
		peers->outside = peers->count == 0;
}

// The kernel knows every end of a pipe, also the reader's own end to write to. A FIFO has a name besides.
static void add_of_pipe(struct peers *peers)
{
	const struct world *const world = peers->world;
	const struct world_wait *const wait = peers->wait;
	const bool named = world->object[wait->object].kind == WORLD_FIFO;
	bool *const same = who_waits_too(world, wait);

	for (size_t i = 0; i < world->uses; i++) {
		const struct world_use *const use = &world->use[i];
		const bool may = wait->want == WANT_ROOM ? use->reads : use->writes;

		if (use->object != wait->object || !may)
			continue;
		if (named && (use->process == wait->process || same[use->process]))
			continue;
		add_user(peers, use->process);
	}
	free(same);
	peers->outside = peers->count == 0;
}

static void add_holders(struct peers *peers)
{
	const struct world *const world = peers->world;
	const struct world_object *const o = &world->object[peers->wait->object];
	uint64_t units = o->value;

	for (size_t i = 0; i < world->holds; i++) {
		const struct world_hold *const h = &world->hold[i];

		if (h->object != peers->wait->object || h->what != HOLD_UNITS)
			continue;
		units += h->units;
		if (h->process == WORLD_NONE)
			peers->outside = true; // dead: they come back; or not to be seen
		else
			add(peers, h->process);
	}
	peers->outside |= !o->holders || units < peers->wait->units || o->value >= peers->wait->units;
}

static void add_owner(struct peers *peers)
{
	const struct world *const world = peers->world;

	for (size_t i = 0; i < world->holds; i++)
		if (world->hold[i].tid == peers->wait->owner && peers->wait->owner != 0 &&
		    world->hold[i].process != WORLD_NONE)
			add(peers, world->hold[i].process);
	peers->outside = peers->count == 0;
}

static void add_children(struct peers *peers)
{
	const struct world *const world = peers->world;
	const struct world_wait *const wait = peers->wait;

	for (size_t i = 0; i < world->processes; i++)
		if (wait->owner ? world->process[i].pid == wait->owner
		                : world->process[i].parent == world->process[wait->process].pid)
			add(peers, i);
	peers->outside = wait->open || peers->count == 0;
}

static void add_of_object(struct peers *peers)
{
	const enum world_kind kind = peers->world->object[peers->wait->object].kind;

	if (kind == WORLD_QUEUE)
		add_of_queue(peers);
	else if (kind == WORLD_PIPE || kind == WORLD_FIFO)
		add_of_pipe(peers);
	else
		peers->outside = true;
}

size_t *knot_peers(const struct world *world, const struct world_wait *wait, size_t *count,
                   bool *outside)
{
	struct peers peers = {.world = world, .wait = wait};

	switch (wait->want) {
	case WANT_CONTENT:
	case WANT_ROOM:
	case WANT_NEWS: add_of_object(&peers); break;
	case WANT_UNITS: add_holders(&peers); break;
	case WANT_LOCK:
	case WANT_PLACE: add_owner(&peers); break;
	case WANT_CHILD: add_children(&peers); break;
	case WANT_SELF: add(&peers, wait->process); break;
	default: peers.outside = true; break;
	}
	*count = peers.count;
	*outside = peers.outside;
	return peers.list;
}

// SPDX-License-Identifier: MIT
//
// world.c - see world.h. world_objects.c finds the objects, world_inside.c reads their tables, world_uses.c finds
// the processes, world_waits.c what these sleep on.
#include "world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <posthaste/common.h>

#include "cli.h"
#include "world_parts.h"

static const char *const kind_names[WORLD_KINDS] = {"mq",   "sem",     "shm", "fifo",
                                                    "pipe", "signals", "port"};

const char *world_kind_name(enum world_kind kind)
{
	return kind_names[kind];
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool world_list(struct world *world)
{
	*world = (struct world){0};
	if (ph_namespace(world->directory, sizeof world->directory) < 0) {
		const char *const named = getenv("POSTHASTE_DIR");

		cli_fail(STATUS_REFUSED, named ? named : "namespace",
		         "cannot be used: %s; see: posthaste doctor", strerror(errno));
		return false;
	}
	if (world_take_objects(world))
		return true;
	world_free(world);
	return false;
}

// A FIFO need have no ring to have users, and who has it open need have nothing else.
static void look_at_fifo(struct world *world, const char *path)
{
	struct stat file;

	if (stat(path, &file) != 0 || !S_ISFIFO(file.st_mode))
		return;
	if (world_find_pipe(world, file.st_dev, file.st_ino) == WORLD_NONE)
		world_take_ends(world, world_add_pipe(world, path, file.st_dev, file.st_ino));
	world_take_openers(world);
}

bool world_look(struct world *world, const struct world_wish *wish)
{
	if (!world_list(world))
		return false;
	world_take_uses(world);
	if (wish && wish->pid != 0)
		world_add_process(world, wish->pid);
	if (wish && wish->fifo)
		look_at_fifo(world, wish->fifo);
	world->at_ns = now_ns();
	world_take_waits(world);
	return true;
}

void world_free(struct world *world)
{
	for (size_t i = 0; i < world->objects; i++) {
		free(world->object[i].name);
		free(world->object[i].file);
	}
	free(world->object);
	free(world->process);
	free(world->use);
	free(world->wait);
	free(world->hold);
	free(world->map);
	free(world->entry);
	free(world->end);
	*world = (struct world){0};
}

// The one that has the name now; unlinked ones have had it.
size_t world_find_object(const struct world *world, const char *file)
{
	for (size_t i = 0; i < world->objects; i++)
		if (world->object[i].file && !world->object[i].unlinked &&
		    strcmp(world->object[i].file, file) == 0)
			return i;
	return WORLD_NONE;
}

size_t world_find_pipe(const struct world *world, dev_t device, ino_t inode)
{
	for (size_t i = 0; i < world->objects; i++) {
		const struct world_object *const o = &world->object[i];

		if ((o->kind == WORLD_FIFO || o->kind == WORLD_PIPE) && o->pipe_inode == inode &&
		    o->pipe_device == device)
			return i;
	}
	return WORLD_NONE;
}

size_t world_find_process(const struct world *world, pid_t pid)
{
	for (size_t i = 0; i < world->processes; i++)
		if (world->process[i].pid == pid)
			return i;
	return WORLD_NONE;
}

int64_t world_age_ms(const struct world *world, int64_t since_ns)
{
	if (since_ns <= 0)
		return -1;
	return since_ns > world->at_ns ? 0 : (world->at_ns - since_ns) / 1000000;
}

struct world_sum world_sum_of(const struct world *world, size_t object)
{
	const struct world_object *const o = &world->object[object];
	struct world_sum sum = {.since_ms = -1};

	for (size_t i = 0; i < world->uses; i++)
		sum.users += world->use[i].object == object;
	for (size_t i = 0; i < world->waits; i++) {
		const struct world_wait *const w = &world->wait[i];
		const int64_t age = world_age_ms(world, w->since_ns);

		if (w->object != object)
			continue;
		sum.takers += w->want == WANT_CONTENT || w->want == WANT_UNITS;
		sum.givers += w->want == WANT_ROOM;
		sum.others += w->want > WANT_UNITS;
		if (w->want != WANT_NEWS && age > sum.since_ms)
			sum.since_ms = age;
	}
	sum.takers = sum.takers > o->takers ? sum.takers : o->takers;
	sum.givers = sum.givers > o->givers ? sum.givers : o->givers;
	for (size_t i = 0; i < world->holds; i++)
		sum.holders += world->hold[i].object == object;
	return sum;
}

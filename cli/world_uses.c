// SPDX-License-Identifier: MIT
//
// world_uses.c - which processes have an object open: found by device and inode among the shared mappings and the
// descriptors of every process. No object says so itself, and none has to.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/layout.h"
#include "proc.h"
#include "world_parts.h"

// One process while it is looked at. Only one that has an object open gets into the world.
struct visit {
	struct world *world;
	pid_t pid;
	size_t process; // WORLD_NONE: not there yet
};

static void add_process(struct visit *visit)
{
	struct proc_stat stat;
	struct world *const world = visit->world;
	size_t threads;

	if (visit->process != WORLD_NONE || !proc_stat(visit->pid, &stat))
		return;
	struct world_process *const p = WORLD_MORE(world->process, world->processes);

	*p = (struct world_process){
		.pid = visit->pid,
		.parent = stat.parent,
		.uid = stat.uid,
		.state = stat.state,
		.cpu_ns = stat.cpu_ns,
		.switches = stat.switches,
		.started = stat.started,
	};
	free(proc_threads(visit->pid, &threads));
	p->threads = threads;
	show_program(p->command, visit->pid);
	visit->process = world->processes - 1;
}

// Its one record of using this object.
static struct world_use *use_of(struct visit *visit, size_t object)
{
	struct world *const world = visit->world;

	add_process(visit);
	if (visit->process == WORLD_NONE)
		return NULL;
	for (size_t i = world->uses; i-- > 0 && world->use[i].process == visit->process;)
		if (world->use[i].object == object)
			return &world->use[i];
	struct world_use *const use = WORLD_MORE(world->use, world->uses);

	*use = (struct world_use){.process = visit->process, .object = object, .fd = -1};
	return use;
}

static size_t find_file(const struct world *world, dev_t device, ino_t inode)
{
	for (size_t i = 0; i < world->objects; i++)
		if (world->object[i].inode == inode && world->object[i].device == device &&
		    world->object[i].file)
			return i;
	return WORLD_NONE;
}

static void see_map(void *arg, const struct proc_map *map)
{
	struct visit *const visit = arg;
	struct world *const world = visit->world;
	size_t object = find_file(world, map->device, map->inode);

	if (object == WORLD_NONE)
		object = world_add_unlinked(world, map->path, map->device, map->inode);
	struct world_use *const use = object == WORLD_NONE ? NULL : use_of(visit, object);

	if (!use)
		return;
	use->mapped = true;
	*WORLD_MORE(world->map, world->maps) = (struct world_map){
		visit->process, object, map->start, map->end, map->offset,
	};
}

// The lock by which the kernel knows a borrower is held by his open file description.
struct lender {
	struct visit *visit;
	size_t object;
};

static void see_lock(void *arg, int64_t byte, bool exclusive)
{
	const struct lender *const lender = arg;
	struct world *const world = lender->visit->world;

	if (!exclusive || byte < PHI_LOCKBYTE_HOLDER || byte >= PHI_LOCKBYTE_HOLDER + PHI_HOLDERS)
		return;
	for (size_t i = 0; i < world->holds; i++) {
		struct world_hold *const h = &world->hold[i];

		if (h->object != lender->object || h->holder != (int)(byte - PHI_LOCKBYTE_HOLDER) ||
		    h->process != WORLD_NONE)
			continue;
		h->process = lender->visit->process;
		h->pid = lender->visit->pid;
	}
}

static bool has_loans(const struct world *world, size_t object)
{
	for (size_t i = 0; i < world->holds; i++)
		if (world->hold[i].object == object && world->hold[i].holder >= 0)
			return true;
	return false;
}

static void see_file(struct visit *visit, const struct proc_fd *fd)
{
	const size_t object = find_file(visit->world, fd->file.st_dev, fd->file.st_ino);
	struct world_use *const use = object == WORLD_NONE ? NULL : use_of(visit, object);

	if (!use)
		return;
	use->fd = fd->fd;
	if (has_loans(visit->world, object))
		proc_each_lock(visit->pid, fd->fd, see_lock, &(struct lender){visit, object});
}

static void see_end(struct visit *visit, size_t object, int fd, bool reads, bool writes)
{
	struct world_use *const use = use_of(visit, object);

	if (!use)
		return;
	use->reads |= reads;
	use->writes |= writes;
	use->fd = fd;
}

static void see_fd(void *arg, const struct proc_fd *fd)
{
	struct visit *const visit = arg;
	struct world *const world = visit->world;

	if (S_ISREG(fd->file.st_mode))
		see_file(visit, fd);
	if (!S_ISFIFO(fd->file.st_mode))
		return;
	*WORLD_MORE(world->end, world->ends) = (struct world_end){
		visit->pid, fd->fd, fd->file.st_dev, fd->file.st_ino, fd->reads, fd->writes,
	};
	const size_t object = world_find_pipe(world, fd->file.st_dev, fd->file.st_ino);

	if (object != WORLD_NONE)
		see_end(visit, object, fd->fd, fd->reads, fd->writes);
}

// Who holds is known by a number of a process, or of a thread.
static void place_holders(struct world *world)
{
	for (size_t i = 0; i < world->holds; i++) {
		struct world_hold *const h = &world->hold[i];

		if (h->pid == 0 && h->tid != 0)
			h->pid = proc_of_thread(h->tid);
		if (h->process == WORLD_NONE && h->pid != 0 && !h->dead)
			h->process = world_find_process(world, h->pid);
	}
}

static void look_inside_unlinked(struct world *world)
{
	for (size_t i = 0; i < world->objects; i++) {
		const int fd = world->object[i].unlinked ? world_open_file(world, i) : -1;

		if (fd < 0)
			continue;
		world_look_inside(world, i, fd);
		close(fd);
	}
}

void world_take_uses(struct world *world)
{
	size_t count;
	pid_t *const pids = proc_numbers("/proc", &count);

	for (size_t i = 0; i < count; i++) {
		struct visit visit = {world, pids[i], WORLD_NONE};

		if (pids[i] == getpid())
			continue;
		const int maps = proc_each_shared_map(pids[i], see_map, &visit);
		const int fds = proc_each_fd(pids[i], see_fd, &visit);

		world->hidden += maps == -EACCES || fds == -EACCES;
	}
	free(pids);
	look_inside_unlinked(world);
	place_holders(world);
}

void world_take_ends(struct world *world, size_t object)
{
	const struct world_object o = world->object[object];

	for (size_t i = 0; i < world->ends; i++) {
		const struct world_end end = world->end[i];

		if (end.device != o.pipe_device || end.inode != o.pipe_inode)
			continue;
		struct visit visit = {world, end.pid, world_find_process(world, end.pid)};

		see_end(&visit, object, end.fd, end.reads, end.writes);
	}
}

void world_add_process(struct world *world, pid_t pid)
{
	struct visit visit = {world, pid, world_find_process(world, pid)};

	add_process(&visit);
}

void world_take_openers(struct world *world)
{
	size_t count;
	pid_t *const pids = proc_numbers("/proc", &count);

	for (size_t i = 0; i < count; i++)
		if (world_is_opening(pids[i], pids[i]))
			world_add_process(world, pids[i]);
	free(pids);
}

int world_open_file(const struct world *world, size_t object)
{
	const struct world_object *const o = &world->object[object];
	char path[PATH_MAX + NAME_MAX + 2];

	if (!o->file)
		return -1;
	if (!o->unlinked) {
		snprintf(path, sizeof path, "%s/%s", world->directory, o->file);
		return open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	}
	for (size_t i = 0; i < world->uses; i++) {
		if (world->use[i].object != object || world->use[i].fd < 0)
			continue;
		snprintf(path, sizeof path, "/proc/%d/fd/%d",
		         (int)world->process[world->use[i].process].pid, world->use[i].fd);
		return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	}
	return -1;
}

// SPDX-License-Identifier: MIT
//
// world_objects.c - the objects of the namespace as the rooms' info calls show them. What cannot be looked into is
// there all the same, with what its file tells.
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "queue.h"
#include "ring.h"
#include "shared.h"
#include "signals.h"
#include "units.h"
#include "units_show.h"
#include "world_parts.h"

// In the order of enum world_kind.
static const char *const prefixes[WORLD_KINDS] = {
	NAMES_QUEUES, NAMES_SEMS, NAMES_SHM, RING_FIFOS, RING_PIPES, NAMES_SIGNALS, NAMES_PORTS};

static struct world_object *add(struct world *world, enum world_kind kind, const char *name,
                                const char *file)
{
	struct world_object *const o = WORLD_MORE(world->object, world->objects);

	*o = (struct world_object){
		.kind = kind,
		.name = memory_string(name),
		.file = file ? memory_string(file) : NULL,
		.state = "ok",
		.used_ms = -1,
	};
	return o;
}

static void take_trouble(struct world_object *o, int err)
{
	o->error = err;
	o->state = err == EBADMSG ? "damaged" : err == EACCES ? "no-access" : "unreadable";
}

// ---- each kind ----

static int take_queue(struct world_object *o)
{
	struct ph_mq_info info;

	if (ph_mq_info(o->name, &info) != 0)
		return errno;
	o->state = info.damaged ? "damaged" : "ok";
	o->size = info.msgsize;
	o->memory = info.bytes;
	o->fill = info.curmsgs;
	o->capacity = info.maxmsg;
	o->in = info.sent;
	o->out = info.received;
	o->created_s = info.created_s;
	o->takers = info.receivers_asleep;
	o->givers = info.senders_asleep;
	o->last_in = info.last_sender;
	o->last_out = info.last_receiver;
	const bool sent_last =
		info.last_receive_age_ms < 0 ||
		(info.last_send_age_ms >= 0 && info.last_send_age_ms <= info.last_receive_age_ms);

	o->used_ms = sent_last ? info.last_send_age_ms : info.last_receive_age_ms;
	o->used_by = sent_last ? info.last_sender : info.last_receiver;
	return 0;
}

static int take_sem(struct world_object *o)
{
	static struct ph_sem_info info;

	if (ph_sem_info(o->name, &info) != 0)
		return errno;
	o->state = units_state(&info);
	o->holders = info.holders;
	o->value = info.value;
	o->fill = info.holders ? units_held(&info) : info.value;
	o->capacity = info.holders ? info.value + o->fill : 0;
	o->returned = info.returned;
	o->takers = info.waiter_count;
	o->created_s = info.created_s;
	return 0;
}

static int take_shm(struct world_object *o)
{
	struct ph_shm_info info;

	if (ph_shm_look(o->name, &info) != 0)
		return errno == EINVAL ? EBADMSG : errno;
	o->state = shared_state(&info);
	o->size = info.bytes;
	o->memory = info.allocated;
	return 0;
}

static int take_ring(struct world_object *o)
{
	struct ph_pipe_info info;

	if (!ring_look(o->file, &info))
		return errno;
	free(o->name);
	o->name = memory_string(info.name);
	o->state = ring_state(&info);
	o->pipe_device = (dev_t)info.device;
	o->pipe_inode = (ino_t)info.inode;
	o->uid = info.uid;
	o->gid = info.gid;
	o->mode = info.mode & 07777;
	o->size = info.ring_size;
	o->fill = info.ring_bytes;
	o->capacity = info.ring_size;
	o->in = info.through_ring;
	o->out = info.through_ring - info.ring_bytes;
	o->created_s = info.created_s;
	o->takers = info.readers_asleep;
	o->givers = info.writers_asleep;
	o->last_in = info.last_writer;
	o->last_out = info.last_reader;
	return 0;
}

// Whose process is gone has left its port behind.
static int take_signals(struct world_object *o)
{
	static struct ph_signal_info info;

	if (ph_signal_info(signals_pid(o->name), &info) != 0) {
		o->state = errno == ENOENT ? "unused" : o->state;
		return errno == ENOENT ? 0 : errno;
	}
	o->fill = (uint64_t)info.queued;
	o->capacity = (uint64_t)info.depth;
	o->in = info.sent;
	o->takers = (size_t)signals_waiting(&info);
	o->last_in = o->used_by = info.last_pid;
	o->used_ms = info.last_pid != 0 ? signals_age_ms(info.last_ns) : -1;
	return 0;
}

static int take_port(struct world_object *o)
{
	static struct ph_sigport_info info;

	if (ph_sigport_info(o->name, &info) != 0)
		return errno;
	for (int i = 0; i < info.members; i++)
		o->fill += info.member[i].alive != 0;
	o->capacity = PH_SIGPORT_MEMBERS_MAX;
	o->in = info.sent;
	o->state = o->fill > 0 ? o->state : "unused";
	return 0;
}

static int (*const take[WORLD_KINDS])(struct world_object *) = {
	take_queue, take_sem, take_shm, take_ring, take_ring, take_signals, take_port,
};

// ---- all of them ----

// Linux's struct statx as far as it is needed; musl's headers lack it.
struct statx_answer {
	uint32_t mask;
	uint8_t before[76];
	int64_t born_s;
	uint8_t behind[168];
};
#define STATX_BORN 0x800U

_Static_assert(offsetof(struct statx_answer, born_s) == 80, "statx btime");
_Static_assert(sizeof(struct statx_answer) == 256, "statx size");

// The file system's own word on when a file was made, where it has one.
static int64_t birth_of(int fd)
{
	struct statx_answer x;

	return syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_BORN, &x) == 0 && (x.mask & STATX_BORN)
	           ? x.born_s
	           : 0;
}

static void take_file(struct world_object *o, const struct stat *file)
{
	o->device = file->st_dev;
	o->inode = file->st_ino;
	o->uid = file->st_uid;
	o->gid = file->st_gid;
	o->mode = file->st_mode & 07777;
	o->memory = (uint64_t)file->st_blocks * 512;
}

// An object may go away between the directory and the look: then it is not there.
static void take_one(struct world *world, enum world_kind kind, const char *name, const char *path)
{
	struct stat file;
	const int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	const int unopened = fd < 0 ? errno : 0;

	if (lstat(path, &file) != 0) {
		if (fd >= 0)
			close(fd);
		return;
	}
	struct world_object *const o = add(world, kind, name, strrchr(path, '/') + 1);
	const size_t at = (size_t)(o - world->object);

	take_file(o, &file);
	const int err = take[kind](o);

	if (err != 0)
		take_trouble(o, unopened == EACCES ? EACCES : err);
	if (fd < 0)
		return;
	if (o->created_s == 0)
		o->created_s = birth_of(fd);
	if (err == 0)
		world_look_inside(world, at, fd);
	close(fd);
}

static bool take_names(struct world *world, enum world_kind kind)
{
	struct names list;
	char path[PATH_MAX + NAME_MAX];

	if (!names_list(&list, prefixes[kind]))
		return false;
	for (size_t i = 0; i < list.count; i++) {
		names_path(&list, list.name[i], path);
		take_one(world, kind, list.name[i], path);
	}
	names_free(&list);
	return true;
}

static void take_rings(struct world *world)
{
	struct ring_list list;
	char path[PATH_MAX + NAME_MAX + 2];

	if (!ring_list(&list, world->directory))
		return;
	for (int i = 0; i < list.count; i++) {
		const char *const file = list.entry[i]->d_name;
		const bool fifo = strncmp(file, RING_FIFOS, strlen(RING_FIFOS)) == 0;

		snprintf(path, sizeof path, "%s/%s", world->directory, file);
		take_one(world, fifo ? WORLD_FIFO : WORLD_PIPE, file, path);
	}
	ring_list_free(&list);
}

bool world_take_objects(struct world *world)
{
	if (!take_names(world, WORLD_QUEUE) || !take_names(world, WORLD_SEM) ||
	    !take_names(world, WORLD_SHM))
		return false;
	take_rings(world);
	return take_names(world, WORLD_SIGNALS) && take_names(world, WORLD_PORT);
}

// ---- found in processes ----

// The kernel writes " (deleted)" behind the path of what has no name any more.
size_t world_add_unlinked(struct world *world, const char *path, dev_t device, ino_t inode)
{
	static const char gone[] = " (deleted)";
	const size_t length = strlen(path), ending = strlen(gone), begin = strlen(world->directory);
	char file[NAME_MAX + 2];

	if (length < ending || length - ending < begin + 2 || length - ending - begin - 1 > NAME_MAX ||
	    path[begin] != '/' || strncmp(path, world->directory, begin) != 0 ||
	    strcmp(path + length - ending, gone) != 0)
		return WORLD_NONE;
	snprintf(file, sizeof file, "%.*s", (int)(length - ending - begin - 1), path + begin + 1);
	for (int kind = 0; kind < WORLD_KINDS; kind++) {
		const size_t prefix = strlen(prefixes[kind]);

		if (strncmp(file, prefixes[kind], prefix) != 0)
			continue;
		char name[NAME_WHOLE_MAX];

		snprintf(name, sizeof name, "%s%s", kind < WORLD_FIFO ? "/" : "",
		         kind < WORLD_FIFO ? file + prefix : file);
		struct world_object *const o = add(world, (enum world_kind)kind, name, file);

		o->unlinked = true;
		o->state = "unlinked";
		o->device = device;
		o->inode = inode;
		return world->objects - 1;
	}
	return WORLD_NONE;
}

size_t world_add_pipe(struct world *world, const char *path, dev_t device, ino_t inode)
{
	char name[64];

	snprintf(name, sizeof name, "pipe:[%ju]", (uintmax_t)inode);
	struct world_object *const o =
		add(world, path ? WORLD_FIFO : WORLD_PIPE, path ? path : name, NULL);

	o->pipe_device = device;
	o->pipe_inode = inode;
	o->state = "kernel";
	return world->objects - 1;
}

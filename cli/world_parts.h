// SPDX-License-Identifier: MIT
//
// world_parts.h - what the files that make a world (world.h) share.
#ifndef WORLD_PARTS_H
#define WORLD_PARTS_H

#include "memory.h"
#include "world.h"

// Room for one more at the end of an array: p[n++]. It doubles at each power of two.
#define WORLD_MORE(p, n)                                                                    \
	((((n) & ((n)-1)) == 0 ? (void)((p) = memory_resize((p), (n) ? (n)*2 : 1, sizeof *(p))) \
	                       : (void)0),                                                      \
	 &(p)[(n)++])

// ---- world_objects.c ----

// Everything in the namespace. False: complained.
bool world_take_objects(struct world *world);

// An object that was unlinked, by the path at which a process has it mapped; WORLD_NONE: that is no object.
size_t world_add_unlinked(struct world *world, const char *path, dev_t device, ino_t inode);

// A pipe that the kernel alone has, or with `path` a FIFO.
size_t world_add_pipe(struct world *world, const char *path, dev_t device, ino_t inode);

// ---- world_inside.c ----

// Tables, locks and loans of an object, from its file. `fd` is open for reading.
void world_look_inside(struct world *world, size_t object, int fd);

// A futex at this place of the object: what who sleeps there wants. False: nobody sleeps there, or it is the word
// for news of a death. `fd` may be -1.
bool world_meaning(const struct world *world, size_t object, uint64_t at, int fd,
                   struct world_wait *wait);

// ---- world_uses.c ----

// Who has what open, for every process that may be looked at.
void world_take_uses(struct world *world);

// Those who have an end of a pipe that was added.
void world_take_ends(struct world *world, size_t object);

// Those who are about to open some FIFO and wait for who opens its other end.
void world_take_openers(struct world *world);

// The object's file as a process has it, for reading, or -errno: where it has no name any more.
int world_open_file(const struct world *world, size_t object);

// ---- world_waits.c ----

// Whether the thread waits in the kernel for the other end of a FIFO to be opened.
bool world_is_opening(pid_t pid, pid_t tid);

// Who sleeps on what.
void world_take_waits(struct world *world);

#endif

// SPDX-License-Identifier: MIT
//
// ring.h - what the commands know of pipes and FIFOs: the rings in the namespace, what an argument means,
// and how they are shown. A pipe whose bytes the kernel has, all of them, has no ring.
#ifndef RING_H
#define RING_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>

#include <posthaste/pipe.h>

enum { RING_FILE_MAX = 64 };

// Their files in the namespace begin so.
#define RING_FIFOS "fifo."
#define RING_PIPES "pipe."

// The files of the rings in a directory, in order. False: it cannot be read; errno tells.
struct ring_list {
	int count;
	struct dirent **entry;
};
bool ring_list(struct ring_list *list, const char *directory);
void ring_list_free(struct ring_list *list);

// The file of a FIFO's ring by the FIFO's path, and of a ring by the name that ls shows for what has no
// path: "pipe:[INODE]", "fifo:[INODE]"; false: that is none.
bool ring_of_fifo(const char *path, char file[RING_FILE_MAX]);
bool ring_of_name(const char *name, char file[RING_FILE_MAX]);

// What can be seen of a ring, with the owner and mode of the FIFO itself where its path is known. False:
// errno tells. ring_less is for a FIFO that has none.
bool ring_look(const char *file, struct ph_pipe_info *info);
bool ring_less(const char *path, struct ph_pipe_info *info);

const char *ring_kind(const struct ph_pipe_info *info);  // "fifo" or "pipe"
const char *ring_state(const struct ph_pipe_info *info); // "ring", "kernel", "unused" or "damaged"

// One JSON object and a newline to stdout. The keys are the names of the fields. `watched` may be NULL.
struct watched;
void ring_json(const struct ph_pipe_info *info, const struct watched *watched);

// The same for people: a line each.
void ring_show(const struct ph_pipe_info *info, const struct watched *watched);

#endif

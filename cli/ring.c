// SPDX-License-Identifier: MIT
//
// ring.c - see ring.h. ring_show.c shows them.
#include "ring.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <posthaste/common.h>

static int is_ring(const struct dirent *entry)
{
	return strncmp(entry->d_name, RING_FIFOS, strlen(RING_FIFOS)) == 0 ||
	       strncmp(entry->d_name, RING_PIPES, strlen(RING_PIPES)) == 0;
}

bool ring_list(struct ring_list *list, const char *directory)
{
	list->count = scandir(directory, &list->entry, is_ring, alphasort);
	return list->count >= 0;
}

void ring_list_free(struct ring_list *list)
{
	for (int i = 0; i < list->count; i++)
		free(list->entry[i]);
	free(list->entry);
}

bool ring_of_fifo(const char *path, char file[RING_FILE_MAX])
{
	struct stat st;

	if (stat(path, &st) != 0 || !S_ISFIFO(st.st_mode))
		return false;
	snprintf(file, RING_FILE_MAX, RING_FIFOS "%jx.%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return true;
}

// Of a FIFO without a path the device is not known: the ring tells which file is meant.
static bool find_fifo(uint64_t inode, char file[RING_FILE_MAX])
{
	char directory[PATH_MAX], ending[RING_FILE_MAX];
	struct ring_list list;
	bool found = false;

	snprintf(ending, sizeof ending, ".%" PRIu64, inode);
	if (ph_namespace(directory, sizeof directory) < 0 || !ring_list(&list, directory))
		return false;
	for (int i = 0; i < list.count && !found; i++) {
		const char *const name = list.entry[i]->d_name, *const last = strrchr(name, '.');

		found = strncmp(name, RING_FIFOS, strlen(RING_FIFOS)) == 0 && strcmp(last, ending) == 0;
		if (found)
			snprintf(file, RING_FILE_MAX, "%.*s", RING_FILE_MAX - 1, name);
	}
	ring_list_free(&list);
	return found;
}

bool ring_of_name(const char *name, char file[RING_FILE_MAX])
{
	char canonical[RING_FILE_MAX];
	uint64_t inode;

	if (sscanf(name, "%*4[a-z]:[%" SCNu64 "]", &inode) != 1)
		return false;
	snprintf(canonical, sizeof canonical, "pipe:[%" PRIu64 "]", inode);
	snprintf(file, RING_FILE_MAX, RING_PIPES "%" PRIu64, inode);
	if (strcmp(name, canonical) == 0)
		return true;
	memcpy(canonical, "fifo", 4);
	return strcmp(name, canonical) == 0 && find_fifo(inode, file);
}

static void take_from_file(const struct stat *st, struct ph_pipe_info *info)
{
	info->device = st->st_dev;
	info->inode = st->st_ino;
	info->uid = st->st_uid;
	info->gid = st->st_gid;
	info->mode = st->st_mode;
}

bool ring_look(const char *file, struct ph_pipe_info *info)
{
	struct stat st;

	if (ph_pipe_info_file(file, info) != 0)
		return false;
	if (info->name[0] == '/' && stat(info->name, &st) == 0 && st.st_ino == info->inode &&
	    st.st_dev == info->device)
		take_from_file(&st, info);
	return true;
}

bool ring_less(const char *path, struct ph_pipe_info *info)
{
	struct stat st;

	*info = (struct ph_pipe_info){0};
	if (stat(path, &st) != 0)
		return false;
	snprintf(info->name, sizeof info->name, "%s", path);
	take_from_file(&st, info);
	return true;
}

const char *ring_kind(const struct ph_pipe_info *info)
{
	return strncmp(info->name, "pipe:[", 6) == 0 ? "pipe" : "fifo";
}

const char *ring_state(const struct ph_pipe_info *info)
{
	if (info->damaged)
		return "damaged";
	if (info->creator != 0 && !info->attached)
		return "unused";
	return info->in_ring ? "ring" : "kernel";
}

// SPDX-License-Identifier: MIT
//
// folders.c - see folders.h. Names are those of the command line: an object's without its slash.
#include "folders.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <posthaste/common.h>
#include <posthaste/signal.h>

#include "memory.h"
#include "mq/queue.h"
#include "names.h"
#include "queue.h"
#include "ring.h"
#include "shared.h"
#include "units.h"

static const char *slashed(const char *name, char whole[NAME_WHOLE_MAX])
{
	snprintf(whole, NAME_WHOLE_MAX, "/%s", name);
	return whole;
}

static int trouble(char text[FOLDER_TEXT_MAX], int err)
{
	return snprintf(text, FOLDER_TEXT_MAX, "STATE:%s\n",
	                err == EBADMSG  ? "damaged"
	                : err == EACCES ? "unreadable"
	                                : strerror(err));
}

// ---- queues: the line of Linux's mqueue file system ----

static int queue_text(const char *name, char text[FOLDER_TEXT_MAX])
{
	char whole[NAME_WHOLE_MAX];
	struct mq_content content;
	const int err = phi_mq_content(slashed(name, whole), &content);

	if (err != 0)
		return trouble(text, -err);
	return snprintf(text, FOLDER_TEXT_MAX,
	                "QSIZE:%-10" PRIu64 " NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d%s\n",
	                content.bytes, content.notify, content.signo, (int)content.notify_pid,
	                content.damaged ? " STATE:damaged" : "");
}

static struct timespec ago(int64_t age_ms, int64_t if_never_s)
{
	struct timespec now;

	if (age_ms < 0)
		return (struct timespec){.tv_sec = (time_t)if_never_s};
	clock_gettime(CLOCK_REALTIME, &now);
	const int64_t then = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - age_ms;

	return (struct timespec){.tv_sec = (time_t)(then / 1000), .tv_nsec = then % 1000 * 1000000};
}

// A send is a modification, a receive an access.
static void queue_stat(const char *name, struct stat *st)
{
	char whole[NAME_WHOLE_MAX];
	struct ph_mq_info info;

	if (ph_mq_info(slashed(name, whole), &info) != 0)
		return;
	st->st_mtim = ago(info.last_send_age_ms, info.created_s);
	st->st_atim = ago(info.last_receive_age_ms, info.created_s);
}

static int queue_remove(const char *name)
{
	char whole[NAME_WHOLE_MAX];

	return ph_mq_unlink(slashed(name, whole));
}

// ---- semaphores ----

static int units_text(const char *name, char text[FOLDER_TEXT_MAX])
{
	struct ph_sem_info *info = memory_zeroed(1, sizeof *info);
	char whole[NAME_WHOLE_MAX];
	int length;

	if (ph_sem_info(slashed(name, whole), info) != 0)
		length = trouble(text, errno);
	else
		length = snprintf(text, FOLDER_TEXT_MAX,
		                  "VALUE:%-10u HELD:%-5" PRIu64 " HOLDERS:%-5zu WAITERS:%-6zu\n",
		                  info->value, units_held(info), info->held_count, info->waiter_count);
	free(info);
	return length;
}

static int units_remove(const char *name)
{
	char whole[NAME_WHOLE_MAX];

	return ph_sem_unlink(slashed(name, whole));
}

static int shared_remove(const char *name)
{
	char whole[NAME_WHOLE_MAX];

	return ph_shm_unlink(slashed(name, whole));
}

// ---- pipes ----

static int ring_text(const char *name, char text[FOLDER_TEXT_MAX])
{
	struct ph_pipe_info info;

	if (!ring_look(name, &info))
		return trouble(text, errno);
	return snprintf(text, FOLDER_TEXT_MAX,
	                "QSIZE:%-10" PRIu64 " SIZE:%-8" PRIu64 " READERS_ASLEEP:%-3" PRIu32
	                " WRITERS_ASLEEP:%-3" PRIu32 " STATE:%s\n",
	                info.ring_bytes, info.ring_size, info.readers_asleep, info.writers_asleep,
	                ring_state(&info));
}

// ---- named ports of signals ----

static int port_text(const char *name, char text[FOLDER_TEXT_MAX])
{
	char whole[NAME_WHOLE_MAX];
	struct ph_sigport_info info;
	int alive = 0;

	if (ph_sigport_info(slashed(name, whole), &info) != 0)
		return trouble(text, errno);
	for (int i = 0; i < info.members && i < PH_SIGPORT_MEMBERS_MAX; i++)
		alive += info.member[i].alive != 0;
	return snprintf(text, FOLDER_TEXT_MAX, "MEMBERS:%-6d SENT:%-10" PRIu64 "\n", alive, info.sent);
}

const struct folder folders[] = {
	{.name = "messages", .prefix = NAMES_QUEUES, .messages = true, .stat = queue_stat},
	{.name = "mq",
     .prefix = NAMES_QUEUES,
     .text = queue_text,
     .stat = queue_stat,
     .remove = queue_remove},
	{.name = "pipe", .prefix = "", .text = ring_text},
	{.name = "port", .prefix = NAMES_PORTS, .text = port_text},
	{.name = "sem", .prefix = NAMES_SEMS, .text = units_text, .remove = units_remove},
	{.name = "shm", .prefix = NAMES_SHM, .remove = shared_remove},
};
const size_t folder_count = sizeof folders / sizeof *folders;

// ---- all kinds ----

static bool is_ring_folder(const struct folder *folder)
{
	return *folder->prefix == '\0';
}

static void add(struct listing *listing, const char *name)
{
	listing->name = memory_resize(listing->name, listing->count + 1, sizeof *listing->name);
	listing->name[listing->count++] = memory_string(name);
}

static bool list_rings(struct listing *listing)
{
	struct ring_list list;
	char directory[PATH_MAX];

	if (ph_namespace(directory, sizeof directory) < 0 || !ring_list(&list, directory))
		return false;
	for (int i = 0; i < list.count; i++)
		add(listing, list.entry[i]->d_name);
	ring_list_free(&list);
	return true;
}

bool folder_list(const struct folder *folder, struct listing *listing)
{
	struct names names;

	*listing = (struct listing){0};
	if (is_ring_folder(folder))
		return list_rings(listing);
	if (!names_list(&names, folder->prefix))
		return false;
	for (size_t i = 0; i < names.count; i++)
		add(listing, names.name[i] + 1);
	names_free(&names);
	return true;
}

void folder_free(struct listing *listing)
{
	for (size_t i = 0; i < listing->count; i++)
		free(listing->name[i]);
	free(listing->name);
}

static bool is_ring_name(const char *name)
{
	return strlen(name) < RING_FILE_MAX &&
	       (strncmp(name, "pipe.", 5) == 0 || strncmp(name, "fifo.", 5) == 0);
}

// The path of the object's own file. False: there can be no object of that name.
static bool find_path(const struct folder *folder, const char *name, char path[PATH_MAX + NAME_MAX])
{
	struct names names = {.prefix = folder->prefix};
	char whole[NAME_WHOLE_MAX];

	if (ph_namespace(names.directory, sizeof names.directory) < 0 || strlen(name) > NAME_MAX)
		return false;
	if (!is_ring_folder(folder)) {
		names_path(&names, slashed(name, whole), path);
		return true;
	}
	return is_ring_name(name) && snprintf(path, PATH_MAX + NAME_MAX, "%s/%s", names.directory,
	                                      name) < PATH_MAX + NAME_MAX;
}

// Whoever may use a queue at all may read and write its messages, and nobody else.
static mode_t message_mode(mode_t mode)
{
	const mode_t both = (mode & 0444) & (mode & 0222) << 1;

	return both | both >> 1;
}

int folder_stat(const struct folder *folder, const char *name, struct stat *st)
{
	char path[PATH_MAX + NAME_MAX], text[FOLDER_TEXT_MAX];

	if (!find_path(folder, name, path))
		return ENOENT;
	if (lstat(path, st) != 0)
		return errno;
	if (S_ISDIR(st->st_mode))
		return ENOENT;
	const mode_t mode = folder->messages ? message_mode(st->st_mode) : st->st_mode & 07777;

	// What has no right to its place, such as a symbolic link, is an object all the same: a damaged one.
	st->st_mode = S_IFREG | mode;
	st->st_nlink = 1;
	if (folder->messages)
		st->st_size = 0;
	else if (folder->text)
		st->st_size = folder->text(name, text);
	if (folder->stat)
		folder->stat(name, st);
	return 0;
}

int folder_open(const struct folder *folder, const char *name)
{
	char path[PATH_MAX + NAME_MAX];
	struct stat st;

	if (!find_path(folder, name, path)) {
		errno = ENOENT;
		return -1;
	}
	const int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		errno = EBADMSG;
		return -1;
	}
	return fd;
}

// SPDX-License-Identifier: MIT
//
// queue.c - see queue.h. The commands use the public header, so that they show what any program can
// do; only the list of names comes from the namespace directory, by the rules of core/name.h.
#include "queue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <posthaste/common.h>

#include "cli.h"
#include "core/layout.h"
#include "core/name.h"
#include "memory.h"

#define QUEUE_PREFIX "mq."
#define LONG_FILE_NAME 200 // from here on it may be shortened

bool queue_name(const char *argument, char name[QUEUE_NAME_MAX])
{
	const char *bare = *argument == '/' ? argument + 1 : argument;

	if (*bare == '\0') {
		cli_usage_error("a queue needs a name, such as \"jobs\"");
		return false;
	}
	if (strchr(bare, '/') || strcmp(bare, ".") == 0 || strcmp(bare, "..") == 0) {
		cli_usage_error("%s: a queue's name has no slash but the first, and is not . or ..",
		                argument);
		return false;
	}
	if (strlen(bare) > NAME_MAX) {
		cli_usage_error("a queue's name has at most %d bytes, this one has %zu", NAME_MAX,
		                strlen(bare));
		return false;
	}
	snprintf(name, QUEUE_NAME_MAX, "/%s", bare);
	return true;
}

// Why and what to do, by error. `named` puts the queue's name behind the text.
static const struct failure {
	int err, status;
	bool named;
	const char *text;
} failures[] = {
	{ENOENT, 1, true, "no such queue; make it with: posthaste mk "},
	{EEXIST, 1, true, "exists already; accept it with --exist-ok, or first: posthaste rm "},
	{EACCES, 1, false,
     "permission denied (a queue needs both read and write permission); see who owns it with: "
     "posthaste ls"},
	{EPERM, 1, false,
     "not permitted (the namespace lets only its owner remove a queue); see who owns it with: "
     "posthaste ls"},
	{EBADMSG, 1, true, "damaged, or made by another version; end its users, then: posthaste rm "},
	{EINVAL, 1, false, "not a depth or size that a queue can have; see: posthaste help mk"},
	{ENOSPC, 1, false,
     "no room in the namespace's file system; ask for less --depth or --size, remove queues, or "
     "see: posthaste doctor"},
	{ENOMEM, 1, false, "too big for this machine's memory; ask for less --depth or --size"},
	{EFBIG, 1, false,
     "bigger than this process may make files; raise it with: ulimit -f unlimited"},
	{EMFILE, 1, false, "too many open files in this process; raise it with: ulimit -n 4096"},
	{ENFILE, 1, false, "too many open files on this machine; raise fs.file-max"},
	{EROFS, 1, false,
     "the namespace's file system is read-only; name another place with POSTHASTE_DIR"},
	{ELOOP, 1, true, "a symbolic link stands in its place; remove it with: posthaste rm "},
	{EXDEV, 1, false,
     "in use from another pid namespace; run inside the same container, or share its namespace"},
	{ETIMEDOUT, STATUS_TIMED_OUT, true,
     "timed out; give it more --timeout, or see who is at work with: posthaste info "},
};

int queue_fail(const char *name, int err)
{
	for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
		const struct failure *failure = &failures[i];

		if (failure->err == err)
			return cli_fail(failure->status, name, "%s%s", failure->text,
			                failure->named ? name + 1 : "");
	}
	return cli_fail(STATUS_REFUSED, name, "%s; see: posthaste doctor", strerror(err));
}

mqd_t queue_open(const char *name, int oflag, size_t *msgsize)
{
	struct mq_attr attr;
	const mqd_t mq = ph_mq_open(name, oflag);

	if (mq == (mqd_t)-1 || ph_mq_getattr(mq, &attr) != 0) {
		queue_fail(name, errno);
		return (mqd_t)-1;
	}
	*msgsize = (size_t)attr.mq_msgsize;
	return mq;
}

const struct timespec *patience_until(const struct patience *patience, struct timespec *until)
{
	if (!patience->limited)
		return NULL;
	const time_t whole = (time_t)patience->seconds;

	clock_gettime(CLOCK_MONOTONIC, until);
	until->tv_sec += whole;
	until->tv_nsec += (long)((patience->seconds - (double)whole) * 1e9);
	if (until->tv_nsec >= 1000000000L) {
		until->tv_nsec -= 1000000000L;
		until->tv_sec++;
	}
	return until;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

// The name of an object whose file name is not long enough for it stands in the file.
static bool read_name(int dir, const char *file, char name[QUEUE_NAME_MAX])
{
	struct phi_region_header header;
	char made[NAME_MAX + 1];
	const int fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return false;
	const ssize_t n = pread(fd, &header, sizeof header, 0);

	close(fd);
	if (n != (ssize_t)sizeof header || header.magic != PHI_REGION_MAGIC)
		return false;
	snprintf(name, QUEUE_NAME_MAX, "/%.*s", (int)sizeof header.name, header.name);
	return phi_name_to_file(QUEUE_PREFIX, name, made) == 0 && strcmp(made, file) == 0;
}

static void append_name(struct queue_list *list, int dir, const char *file)
{
	char name[QUEUE_NAME_MAX];

	if (strlen(file) < LONG_FILE_NAME || !read_name(dir, file, name))
		snprintf(name, sizeof name, "/%s", file + strlen(QUEUE_PREFIX));
	list->name = memory_resize(list->name, list->count + 1, sizeof *list->name);
	list->name[list->count++] = memory_string(name);
}

bool queue_list(struct queue_list *list)
{
	const struct dirent *entry;

	list->count = 0;
	list->name = NULL;
	if (ph_namespace(list->directory, sizeof list->directory) < 0) {
		cli_fail(STATUS_REFUSED, getenv("POSTHASTE_DIR"),
		         "the namespace directory cannot be used: %s; see: posthaste doctor",
		         strerror(errno));
		return false;
	}
	DIR *dir = opendir(list->directory);

	if (!dir) {
		cli_fail(STATUS_REFUSED, list->directory, "%s; see: posthaste doctor", strerror(errno));
		return false;
	}
	while ((entry = readdir(dir)))
		if (strncmp(entry->d_name, QUEUE_PREFIX, strlen(QUEUE_PREFIX)) == 0)
			append_name(list, dirfd(dir), entry->d_name);
	closedir(dir);
	if (list->count > 0)
		qsort(list->name, list->count, sizeof *list->name, by_name);
	return true;
}

void queue_list_free(struct queue_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->name[i]);
	free(list->name);
}

void queue_path(const struct queue_list *list, const char *name, char path[PATH_MAX + NAME_MAX])
{
	char file[NAME_MAX + 1];

	if (phi_name_to_file(QUEUE_PREFIX, name, file) != 0)
		file[0] = '\0';
	snprintf(path, PATH_MAX + NAME_MAX, "%s/%s", list->directory, file);
}

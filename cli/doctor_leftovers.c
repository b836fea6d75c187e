// SPDX-License-Identifier: MIT
//
// doctor_leftovers.c - what killed processes left in the namespace, and objects that are damaged. Names
// are only named here, never removed: whether a file is still wanted is for its owner to say.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/layout.h"
#include "doctor.h"
#include "queue.h"
#include "ring.h"
#include "shared.h"
#include "signals_left.h"
#include "units.h"

#define TEMPORARY_PREFIX ".tmp-"
#define POLL_PREFIX ".poll."

enum { HALF_MADE_SECONDS = 60 };

bool doctor_is_temporary(const char *file)
{
	return strncmp(file, TEMPORARY_PREFIX, strlen(TEMPORARY_PREFIX)) == 0;
}

// A temporary name lives for the moments of a creation; an old one belongs to a creator who died.
static bool is_half_made(int dir, const char *file)
{
	struct stat st;

	return doctor_is_temporary(file) && fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       time(NULL) - st.st_ctime > HALF_MADE_SECONDS;
}

// Whether the object in `file` is the one whose companion is named `fifo`.
static bool is_companion(int dir, const char *file, const char *fifo)
{
	char wanted[64];
	struct phi_region_header header;
	const int fd = openat(dir, file, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	const ssize_t n = fd < 0 ? -1 : pread(fd, &header, sizeof header, 0);

	if (fd >= 0)
		close(fd);
	if (n != (ssize_t)sizeof header)
		return false;
	snprintf(wanted, sizeof wanted, POLL_PREFIX "%016" PRIx64 "%016" PRIx64, header.id[0],
	         header.id[1]);
	return strcmp(wanted, fifo) == 0;
}

static bool has_object(int dir, const char *fifo)
{
	const struct dirent *entry;
	bool found = false;
	const int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *names = copy < 0 ? NULL : fdopendir(copy);

	while (names && !found && (entry = readdir(names)))
		found = entry->d_name[0] != '.' && is_companion(dir, entry->d_name, fifo);
	if (names)
		closedir(names);
	return found;
}

// Everybody who polls a queue holds its FIFO open for both directions; ENXIO says that nobody does. It
// stays with its queue until that is removed.
bool doctor_is_unused_fifo(int dir, const char *file)
{
	struct stat st;

	if (strncmp(file, POLL_PREFIX, strlen(POLL_PREFIX)) != 0 ||
	    fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISFIFO(st.st_mode) ||
	    has_object(dir, file))
		return false;
	const int fd = openat(dir, file, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == ENXIO;
}

struct leftovers {
	size_t count;
	char first[NAME_MAX + 1];
};

static void look(struct leftovers *left, const char *directory, bool (*is_one)(int, const char *))
{
	const struct dirent *entry;
	DIR *dir = opendir(directory);

	*left = (struct leftovers){0};
	while (dir && (entry = readdir(dir)))
		if (is_one(dirfd(dir), entry->d_name) && left->count++ == 0)
			snprintf(left->first, sizeof left->first, "%s", entry->d_name);
	if (dir)
		closedir(dir);
}

static size_t check_files(struct doctor *doctor, const char *directory, const char *what,
                          bool (*is_one)(int, const char *))
{
	struct leftovers left;

	look(&left, directory, is_one);
	if (left.count == 0)
		return 0;
	struct finding *finding = doctor_say(doctor, SEVERITY_NOTE, "leftovers", "%zu %s, such as %s",
	                                     left.count, what, left.first);

	doctor_advise(finding, "posthaste doctor --fix; or: rm %s/%s", directory, left.first);
	return left.count;
}

static void say_damaged(struct doctor *doctor, const char *name, const char *kind)
{
	doctor_advise(doctor_say(doctor, SEVERITY_BAD, "damaged", "%s: its users get EBADMSG", name),
	              "end its users, then: posthaste rm%s %s", kind, name + 1);
}

static size_t check_queue(struct doctor *doctor, const char *name)
{
	struct ph_mq_info info;
	const int result = ph_mq_info(name, &info);

	if (result == 0 ? !info.damaged : errno != EBADMSG)
		return 0;
	say_damaged(doctor, name, "");
	return 1;
}

// What a dead process holds comes back when the next one needs it, so nobody has to do anything.
static size_t check_sem(struct doctor *doctor, const char *name)
{
	static struct ph_sem_info info;
	size_t dead = 0;

	if (ph_sem_info(name, &info) != 0) {
		if (errno == EBADMSG)
			say_damaged(doctor, name, " --kind sem");
		return errno == EBADMSG;
	}
	for (size_t i = 0; i < info.held_count; i++) {
		if (!info.held[i].dead || dead++ > 0)
			continue;
		doctor_advise(doctor_say(doctor, SEVERITY_NOTE, "leftovers",
		                         "%s: pid %d died and holds %u units of it", name,
		                         (int)info.held[i].pid, info.held[i].units),
		              "nothing is to be done: they come back to the next who needs them");
	}
	return dead;
}

static size_t check_shm(struct doctor *doctor, const char *name)
{
	struct ph_shm_info info;

	if (ph_shm_look(name, &info) != 0 || !info.reclaim || info.mapped)
		return 0;
	doctor_advise(doctor_say(doctor, SEVERITY_NOTE, "leftovers",
	                         "%s: shared memory that is to go with its last user, and has none",
	                         name),
	              "posthaste rm --leftovers");
	return 1;
}

static size_t check_names(struct doctor *doctor, const char *prefix,
                          size_t (*check)(struct doctor *, const char *))
{
	struct names list;
	size_t found = 0;

	if (!names_list(&list, prefix))
		return 0;
	for (size_t i = 0; i < list.count; i++)
		found += check(doctor, list.name[i]);
	names_free(&list);
	return found;
}

// A ring that nobody has mapped harms nobody: the next process that makes one removes it.
static size_t check_rings(struct doctor *doctor, const char *directory)
{
	struct ring_list list;
	struct ph_pipe_info info;
	size_t unused = 0, damaged = 0;

	if (!ring_list(&list, directory))
		return 0;
	for (int i = 0; i < list.count; i++) {
		if (!ring_look(list.entry[i]->d_name, &info))
			continue;
		unused += !info.attached;
		if (!info.attached || !info.damaged)
			continue;
		damaged++;
		doctor_advise(doctor_say(doctor, SEVERITY_WARN, "damaged",
		                         "the ring of %s: what stood in it is lost, the kernel goes on",
		                         info.name),
		              "only a process of its owner can have done that: end those that use it");
	}
	ring_list_free(&list);
	if (unused > 0)
		doctor_advise(doctor_say(doctor, SEVERITY_NOTE, "leftovers",
		                         "%zu rings of pipes that no process has open", unused),
		              "posthaste rm --leftovers");
	return unused + damaged;
}

static size_t check_signals(struct doctor *doctor)
{
	const size_t unused = (size_t)signals_count_left();

	if (unused > 0)
		doctor_advise(doctor_say(doctor, SEVERITY_NOTE, "leftovers",
		                         "%zu ports for signals of processes that are gone", unused),
		              "posthaste rm --leftovers");
	return unused;
}

void doctor_check_leftovers(struct doctor *doctor, const char *directory)
{
	const size_t found =
		check_files(doctor, directory, "objects half made by a killed process", is_half_made) +
		check_files(doctor, directory, "FIFOs for poll that nobody uses", doctor_is_unused_fifo) +
		check_names(doctor, NAMES_QUEUES, check_queue) +
		check_names(doctor, NAMES_SEMS, check_sem) + check_names(doctor, NAMES_SHM, check_shm) +
		check_rings(doctor, directory) + check_signals(doctor);

	if (found == 0)
		doctor_say(doctor, SEVERITY_OK, "leftovers", "none, and no damaged object");
}

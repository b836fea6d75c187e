// SPDX-License-Identifier: MIT
//
// doctor_fix.c - posthaste doctor --fix: reclaims what the dead have left in the namespace. That somebody is dead is
// always the kernel's word: nobody has the file open, nobody has the lock on it. What a living process might still
// want, and what is damaged, is left to its owner.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <posthaste/mqueue.h>
#include <posthaste/semaphore.h>
#include <posthaste/shm.h>

#include "core/record.h"
#include "doctor.h"
#include "mq/queue.h"
#include "names.h"
#include "pipe/pipe.h"

// ---- files ----

// A lease to write is granted only while nobody else has the file open, in whatever process; a creator has.
static bool nobody_has_open(int dir, const char *file)
{
	const int fd = openat(dir, file, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	const bool alone = fd >= 0 && fcntl(fd, F_SETLEASE, F_WRLCK) == 0;

	if (fd >= 0)
		close(fd);
	return alone;
}

static void remove_half_made(struct doctor *doctor, int dir, const char *file)
{
	if (doctor_is_temporary(file) && nobody_has_open(dir, file) && unlinkat(dir, file, 0) == 0)
		doctor_say(doctor, SEVERITY_FIXED, "leftovers",
		           "removed %s, half made by a process that has ended", file);
}

// Who sweeps takes the lock that everybody who opens it asks for (src/mq/tokens.c): who comes in this moment finds it
// gone, and makes it anew.
static bool remove_alone(int dir, const char *file)
{
	const int fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	const bool removed =
		fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && unlinkat(dir, file, 0) == 0;

	if (fd >= 0)
		close(fd);
	return removed;
}

static void remove_fifo(struct doctor *doctor, int dir, const char *file)
{
	if (doctor_is_unused_fifo(dir, file) && remove_alone(dir, file))
		doctor_say(doctor, SEVERITY_FIXED, "leftovers",
		           "removed %s, a FIFO for poll whose queue is gone", file);
}

static void fix_files(struct doctor *doctor, const char *directory)
{
	const struct dirent *entry;
	DIR *dir = opendir(directory);

	while (dir && (entry = readdir(dir))) {
		remove_half_made(doctor, dirfd(dir), entry->d_name);
		remove_fifo(doctor, dirfd(dir), entry->d_name);
	}
	if (dir)
		closedir(dir);
}

static void fix_rings(struct doctor *doctor, const char *directory)
{
	const int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const int rings = dir < 0 ? 0 : phi_pipe_sweep(dir);

	if (dir >= 0)
		close(dir);
	if (rings > 0)
		doctor_say(doctor, SEVERITY_FIXED, "leftovers",
		           "removed %d rings of pipes that no process has open", rings);
}

// They are kept to be looked at: who wants them away says so.
static void fix_recordings(struct doctor *doctor, const char *directory)
{
	const int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const int count = dir < 0 ? 0 : phi_record_sweep(dir, 0);

	if (dir >= 0)
		close(dir);
	if (count > 0)
		doctor_say(doctor, SEVERITY_FIXED, "leftovers",
		           "removed %d recording%s of processes that have ended", count,
		           count == 1 ? "" : "s");
}

static void fix_memory(struct doctor *doctor)
{
	const int count = ph_shm_sweep();

	if (count > 0)
		doctor_say(doctor, SEVERITY_FIXED, "leftovers",
		           "removed %d pieces of shared memory that were to go with their last user",
		           count);
}

// ---- within objects ----

// To ask for the value is to look after the dead.
static void fix_sem(struct doctor *doctor, const char *name)
{
	static struct ph_sem_info before, after;
	int value;

	if (ph_sem_info(name, &before) != 0 || !before.holders)
		return;
	sem_t *const sem = ph_sem_open(name, 0);

	if (sem == SEM_FAILED)
		return;
	if (ph_sem_getvalue(sem, &value) == 0 && ph_sem_info(name, &after) == 0 &&
	    after.returned > before.returned)
		doctor_say(doctor, SEVERITY_FIXED, "leftovers",
		           "%s: %" PRIu64 " units came back, the last holder that died was pid %d", name,
		           after.returned - before.returned, (int)after.last_dead);
	ph_sem_close(sem);
}

static void return_borrowed(mqd_t mq)
{
	struct mq_queue *const q = (struct mq_queue *)phi_handle_find(mq, PHI_KIND_MQ);
	struct mq_op op;

	if (!q)
		return;
	phi_mq_begin(&op, q);
	op.nonblock = true;
	op.abstime = NULL;
	const int count = phi_mq_reap(&op);

	phi_mq_end(&op, count);
}

// To open a queue may have done it already, where every queue is a polled one.
static void fix_queue(struct doctor *doctor, const char *name)
{
	struct ph_mq_info before, after;

	if (ph_mq_info(name, &before) != 0 || before.damaged || before.borrowed == 0)
		return;
	const mqd_t mq = ph_mq_open(name, O_RDWR);

	if (mq == (mqd_t)-1)
		return;
	return_borrowed(mq);
	ph_mq_close(mq);
	if (ph_mq_info(name, &after) == 0 && after.borrowed < before.borrowed)
		doctor_say(doctor, SEVERITY_FIXED, "leftovers",
		           "%s: %" PRIu64
		           " messages that dead processes had borrowed went back to their places",
		           name, before.borrowed - after.borrowed);
}

// What an arena holds is of use only where one is.
static void fix_arena(struct doctor *doctor, const char *name)
{
	struct ph_arena_report report = {0};
	struct ph_shm_info info;

	if (ph_shm_look(name, &info) != 0 || (info.reclaim && !info.mapped))
		return;
	void *const at = ph_shm_map(name, 0, 0, 0, 0);
	struct ph_arena *const arena = at ? ph_arena_attach(at, ph_shm_size(at)) : NULL;

	if (arena && ph_arena_check(arena, &report) == 0 && report.reclaimed_blocks > 0)
		doctor_say(doctor, SEVERITY_FIXED, "leftovers",
		           "%s: %" PRIu64 " blocks that killed processes were being given are free again",
		           name, report.reclaimed_blocks);
	if (arena)
		ph_arena_detach(arena);
	if (at)
		ph_shm_unmap(at);
}

static void fix_names(struct doctor *doctor, const char *prefix,
                      void (*fix)(struct doctor *, const char *))
{
	struct names list;

	if (!names_list(&list, prefix))
		return;
	for (size_t i = 0; i < list.count; i++)
		fix(doctor, list.name[i]);
	names_free(&list);
}

void doctor_fix(struct doctor *doctor, const char *directory)
{
	const size_t before = doctor->count;

	fix_files(doctor, directory);
	fix_rings(doctor, directory);
	fix_recordings(doctor, directory);
	fix_memory(doctor);
	fix_names(doctor, NAMES_SEMS, fix_sem);
	fix_names(doctor, NAMES_QUEUES, fix_queue);
	fix_names(doctor, NAMES_SHM, fix_arena);
	if (doctor->count == before)
		doctor_say(doctor, SEVERITY_OK, "fix",
		           "the dead have left nothing that could be reclaimed");
}

// SPDX-License-Identifier: MIT
//
// world_waits.c - which thread sleeps on what. The kernel tells the call in which a thread sleeps, and its
// arguments: a futex in a mapping of an object, or a read or write of a pipe. Where it may not be asked, what the
// objects' tables say has to do.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proc.h"
#include "world_parts.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_open // newer machines have openat alone
#define SYS_open (-1)
#endif

// A sleeper of the library looks around at least so often, where it looks around at all. A deadline that is
// nearer cannot be told from that.
enum { SLICE_MS = 150, WORDS_MAX = 128 };

struct thread {
	struct world *world;
	size_t process;
	pid_t pid, tid;
};

static const struct world_entry *find_entry(const struct thread *thread, size_t object)
{
	for (size_t i = 0; i < thread->world->entries; i++) {
		const struct world_entry *const e = &thread->world->entry[i];

		if (e->tid == thread->tid && (object == WORLD_NONE || e->object == object))
			return e;
	}
	return NULL;
}

static int64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// The object's own word on since when, if it is no invention; else the scheduler's on the last sleep.
static int64_t since_ns(const struct thread *thread, const struct world_entry *entry)
{
	const int64_t now = thread->world->at_ns;

	if (entry && entry->since_ns > 0 && entry->since_ns <= now)
		return entry->since_ns;
	const int64_t age = proc_asleep_ms(thread->pid, thread->tid);

	return age < 0 || age * 1000000 >= now ? 0 : now - age * 1000000;
}

static void add_wait(const struct thread *thread, struct world_wait wait)
{
	const struct world_entry *const entry =
		wait.object == WORLD_NONE ? NULL : find_entry(thread, wait.object);

	wait.process = thread->process;
	wait.tid = thread->tid;
	wait.since_ns = since_ns(thread, entry);
	if (entry && wait.want == WANT_UNITS)
		wait.units = entry->units;
	*WORLD_MORE(thread->world->wait, thread->world->waits) = wait;
}

// ---- futexes ----

static int64_t remaining_ms(int64_t ns)
{
	const int64_t ms = ns / 1000000;

	return ms <= SLICE_MS ? -1 : ms;
}

// Of a futex call's timeout: how long it will last at most, -1 if there is none or it may be one look around.
static int64_t ends_ms(const struct thread *thread, uint64_t address, bool absolute,
                       clockid_t clock)
{
	struct timespec time;

	if (address == 0 || !proc_read(thread->pid, address, &time, sizeof time))
		return -1;
	const int64_t ns = (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;

	return remaining_ms(absolute ? ns - now_ns(clock) : ns);
}

static const struct world_map *find_map(const struct thread *thread, uint64_t address)
{
	for (size_t i = 0; i < thread->world->maps; i++) {
		const struct world_map *const m = &thread->world->map[i];

		if (m->process == thread->process && m->start <= address && address < m->end)
			return m;
	}
	return NULL;
}

// Whether the word says what the thread waits for.
static bool take_word(const struct thread *thread, uint64_t address, int64_t ends)
{
	const struct world_map *const map = find_map(thread, address);
	struct world_wait wait = {.object = WORLD_NONE, .ends_ms = ends, .proven = true};

	if (!map) {
		wait.want = WANT_SELF;
		if (proc_is_private(thread->pid, address))
			add_wait(thread, wait);
		return true;
	}
	const int fd = world_open_file(thread->world, map->object);

	wait.object = map->object;
	const bool told =
		world_meaning(thread->world, map->object, address - map->start + map->offset, fd, &wait);

	if (fd >= 0)
		close(fd);
	if (told)
		add_wait(thread, wait);
	return told;
}

static void take_futex(const struct thread *thread, const struct proc_call *call)
{
	const uint64_t operation = call->argument[1] & FUTEX_CMD_MASK;
	const clockid_t clock =
		call->argument[1] & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC;

	if (operation != FUTEX_WAIT && operation != FUTEX_WAIT_BITSET)
		return;
	const int64_t ends = ends_ms(thread, call->argument[3], operation == FUTEX_WAIT_BITSET, clock);
	struct world_wait wait = {.object = WORLD_NONE, .want = WANT_SELF, .ends_ms = ends};

	if (call->argument[1] & FUTEX_PRIVATE_FLAG)
		add_wait(thread, wait);
	else
		take_word(thread, call->argument[0], ends);
}

// Linux's struct futex_waitv.
struct word {
	uint64_t value, address;
	uint32_t flags, reserved;
};

static void take_futexes(const struct thread *thread, const struct proc_call *call)
{
	static struct word words[WORDS_MAX];
	const uint64_t count = call->argument[1];

	if (count > WORDS_MAX ||
	    !proc_read(thread->pid, call->argument[0], words, count * sizeof *words))
		return;
	const int64_t ends = ends_ms(thread, call->argument[3], true, (clockid_t)call->argument[4]);

	for (uint64_t i = 0; i < count; i++)
		if (take_word(thread, words[i].address, ends))
			return;
}

// ---- pipes ----

static void add_pipe_wait(const struct thread *thread, const char *path, const struct stat *file,
                          enum world_want want)
{
	struct world *const world = thread->world;
	size_t object = world_find_pipe(world, file->st_dev, file->st_ino);

	if (object == WORLD_NONE) {
		object = world_add_pipe(world, path, file->st_dev, file->st_ino);
		world_take_ends(world, object);
	}
	add_wait(thread,
	         (struct world_wait){.object = object, .want = want, .ends_ms = -1, .proven = true});
}

// A FIFO's descriptor leads to a path, a pipe's to "pipe:[INODE]".
static void take_transfer(const struct thread *thread, int fd, enum world_want want)
{
	char path[64], name[PATH_MAX];
	struct stat file;

	snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)thread->pid, fd);
	if (stat(path, &file) != 0 || !S_ISFIFO(file.st_mode))
		return;
	const bool named = proc_link(thread->pid, fd, name, sizeof name) && *name == '/';

	add_pipe_wait(thread, named ? name : NULL, &file, want);
}

bool world_is_opening(pid_t pid, pid_t tid)
{
	char place[PROC_PLACE_MAX];

	proc_place(pid, tid, place);
	return strcmp(place, "wait_for_partner") == 0 || strcmp(place, "fifo_open") == 0;
}

// The path as it stands in the thread's memory, seen from its own directories.
static void take_open(const struct thread *thread, int dir, uint64_t address)
{
	char name[PATH_MAX], path[PATH_MAX + 64];
	const int pid = (int)thread->pid;
	struct stat file;

	if (!world_is_opening(thread->pid, thread->tid) ||
	    !proc_text(thread->pid, address, name, sizeof name))
		return;
	if (*name == '/')
		snprintf(path, sizeof path, "/proc/%d/root%s", pid, name);
	else if (dir == AT_FDCWD)
		snprintf(path, sizeof path, "/proc/%d/cwd/%s", pid, name);
	else
		snprintf(path, sizeof path, "/proc/%d/fd/%d/%s", pid, dir, name);
	if (stat(path, &file) == 0 && S_ISFIFO(file.st_mode))
		add_pipe_wait(thread, name, &file, WANT_PARTNER);
}

// ---- children ----

static void see_child(void *arg, pid_t child)
{
	world_add_process(arg, child);
}

// Any of its children, or one.
static void take_children(const struct thread *thread, pid_t one)
{
	struct world_wait wait = {
		.object = WORLD_NONE, .want = WANT_CHILD, .owner = one, .ends_ms = -1, .proven = true};

	if (one > 0)
		world_add_process(thread->world, one);
	else
		wait.open = !proc_children(thread->pid, thread->tid, see_child, thread->world);
	add_wait(thread, wait);
}

static void take_wait4(const struct thread *thread, const struct proc_call *call)
{
	const pid_t pid = (pid_t)call->argument[0];

	take_children(thread, pid > 0 ? pid : 0);
}

static void take_waitid(const struct thread *thread, const struct proc_call *call)
{
	if (call->argument[0] == P_PID || call->argument[0] == P_ALL)
		take_children(thread, call->argument[0] == P_PID ? (pid_t)call->argument[1] : 0);
}

// ---- threads ----

// The kernel may not be asked: an object's table has a word on this thread, if it has the object open.
static void take_entry(const struct thread *thread)
{
	const struct world *const world = thread->world;
	const struct world_entry *const entry = find_entry(thread, WORLD_NONE);

	for (size_t i = 0; entry && i < world->uses; i++) {
		if (world->use[i].process != thread->process || world->use[i].object != entry->object)
			continue;
		add_wait(thread,
		         (struct world_wait){.object = entry->object, .want = entry->want, .ends_ms = -1});
		return;
	}
}

static void take_thread(const struct thread *thread)
{
	struct proc_call call;
	const int told = proc_call(thread->pid, thread->tid, &call);

	if (told < 0)
		take_entry(thread);
	if (told <= 0)
		return;
	switch (call.number) {
	case SYS_futex: take_futex(thread, &call); break;
	case SYS_futex_waitv: take_futexes(thread, &call); break;
	case SYS_read:
	case SYS_readv: take_transfer(thread, (int)call.argument[0], WANT_CONTENT); break;
	case SYS_write:
	case SYS_writev: take_transfer(thread, (int)call.argument[0], WANT_ROOM); break;
	case SYS_open: take_open(thread, AT_FDCWD, call.argument[0]); break;
	case SYS_openat: take_open(thread, (int)call.argument[0], call.argument[1]); break;
	case SYS_wait4: take_wait4(thread, &call); break;
	case SYS_waitid: take_waitid(thread, &call); break;
	default: break;
	}
}

// Processes come in while this goes on: those at the other ends of pipes, and children.
void world_take_waits(struct world *world)
{
	for (size_t i = 0; i < world->processes; i++) {
		const pid_t pid = world->process[i].pid;
		const size_t before = world->waits;
		size_t count;
		pid_t *const tids = proc_threads(pid, &count);

		for (size_t t = 0; t < count; t++)
			take_thread(&(struct thread){world, i, pid, tids[t]});
		free(tids);
		world->process[i].threads = count;
		world->process[i].asleep = world->waits - before;
	}
}

// SPDX-License-Identifier: MIT
//
// world.h - one look at everything: the objects of the namespace, the processes that have them open, what these
// hold and which of their threads sleep on what. Made of the rooms' own info calls, of their tables as they stand
// in the files, and of /proc; nothing is opened for writing and no lock is taken. docs/watch.md tells where each
// fact comes from. The parts are from several moments: who needs certainty looks twice (knot.h).
#ifndef WORLD_H
#define WORLD_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "show.h"

enum world_kind {
	WORLD_QUEUE,
	WORLD_SEM,
	WORLD_SHM,
	WORLD_FIFO,
	WORLD_PIPE,
	WORLD_SIGNALS, // a process's port
	WORLD_PORT,    // a named one
	WORLD_KINDS,
};

#define WORLD_STEPS (UINT64_C(1) << 20)

struct world_object {
	enum world_kind kind;
	char *name;        // as ls shows it
	char *file;        // in the namespace; NULL: a pipe that the kernel alone has
	dev_t device;      // of that file
	ino_t inode;       // "
	dev_t pipe_device; // of the pipe or FIFO itself
	ino_t pipe_inode;  // "
	bool unlinked;     // processes have it open still
	int error;         // why it cannot be looked into; 0 = it can
	const char *state;
	uid_t uid;
	gid_t gid;
	mode_t mode;
	uint64_t size;           // bytes: of a message, of the ring, of the memory
	uint64_t memory;         // bytes that it takes
	uint64_t fill, capacity; // messages, units held, bytes; capacity 0 = has none
	uint64_t value;          // units that are there
	uint64_t in, out;        // ever sent and received, bytes ever put through a ring
	uint64_t steps;          // of a semaphore with holders: operations, modulo WORLD_STEPS
	double pace;             // steps a second just now, where they are many
	uint64_t returned;       // units of the dead
	size_t takers, givers;   // asleep, as the object itself counts them
	bool holders;            // a semaphore that knows them
	int64_t created_s;       // 0 = not told
	int64_t used_ms;         // since the last use; -1 = not told
	pid_t used_by;
	pid_t last_in, last_out; // who sent and received last; 0 = not told
};

struct world_process {
	pid_t pid, parent;
	uid_t uid;
	char state; // as in /proc; Z and X are not listed
	char command[SHOW_MAX];
	uint64_t cpu_ns, switches, started;
	size_t threads;
	size_t asleep; // threads whose sleep is told in the waits
	bool hidden;   // its descriptors may not be looked at
};

// A process has an object open. Of a pipe: an end of it, without a mapping.
struct world_use {
	size_t process, object;
	bool mapped;
	bool reads, writes; // an end of a pipe
	int fd;             // -1 = mapped only
};

enum world_want {
	WANT_CONTENT, // a message, bytes
	WANT_ROOM,
	WANT_UNITS,
	WANT_LOCK,    // of the object: held for an instant as a rule
	WANT_PLACE,   // in a ring, that another has reserved or looks at
	WANT_NEWS,    // the library's own thread, of a notification
	WANT_WORD,    // in shared memory, of whatever meaning
	WANT_CHILD,   // the end of a child
	WANT_SELF,    // another thread of its own process
	WANT_PARTNER, // at the other end of a FIFO, to open it
	WANT_OTHER,   // another thing with an object, that cannot be told
};

struct world_wait {
	size_t process;
	pid_t tid;
	size_t object; // WORLD_NONE: WANT_CHILD, WANT_SELF
	enum world_want want;
	unsigned units;
	uint64_t offset; // WANT_WORD: where in the memory
	bool is_sem;     // a semaphore without a name stands there
	pid_t
		owner; // WANT_LOCK, WANT_PLACE: the thread that has it; WANT_CHILD: it; 0 = cannot tell, any
	int64_t since_ns; // CLOCK_MONOTONIC; 0 = cannot tell
	int64_t ends_ms;  // it has a deadline in so many; -1 = none that could be seen
	bool proven;      // the kernel says so as well
	bool open;        // WANT_CHILD: there may be more children than are seen
};

enum world_holding {
	HOLD_UNITS,
	HOLD_LOCK,
	HOLD_BORROWED, // messages
	HOLD_RESERVED, // room
	HOLD_PLACE,    // in a ring
};

struct world_hold {
	size_t process; // WORLD_NONE: dead, or not to be seen
	pid_t pid, tid; // tid 0 = the process
	size_t object;
	enum world_holding what;
	unsigned units;
	int holder; // of loans: the number by which its process is found; -1 = none
	bool dead;
};

struct world_end { // of any pipe, of any process
	pid_t pid;
	int fd;
	dev_t device;
	ino_t inode;
	bool reads, writes;
};

struct world_map { // where an object stands in a process
	size_t process, object;
	uint64_t start, end, offset;
};

// What an object's table says of a sleeper: believed as far as the thread has the object open.
struct world_entry {
	size_t object;
	pid_t tid;
	enum world_want want;
	unsigned units;
	int64_t since_ns;
};

#define WORLD_NONE SIZE_MAX

struct world {
	char directory[PATH_MAX];
	int64_t at_ns; // CLOCK_MONOTONIC
	struct world_object *object;
	struct world_process *process;
	struct world_use *use;
	struct world_wait *wait;
	struct world_hold *hold;
	struct world_map *map;
	struct world_entry *entry;
	struct world_end *end;
	size_t objects, processes, uses, waits, holds, maps, entries, ends;
	size_t hidden; // processes that may not be looked into
};

// What is to be looked at even if no object of the namespace leads there.
struct world_wish {
	pid_t pid;        // 0 = none
	const char *fifo; // its path; NULL = none
};

// One look; `wish` may be NULL. Complains and returns false if there is no namespace.
bool world_look(struct world *world, const struct world_wish *wish);
bool world_list(struct world *world); // the objects alone
void world_free(struct world *world);

// Adds a process that has nothing open, if it lives and is not there.
void world_add_process(struct world *world, pid_t pid);

// By kind, name and process; WORLD_NONE if there is none.
size_t world_find_object(const struct world *world, const char *file);
size_t world_find_pipe(const struct world *world, dev_t device, ino_t inode);
size_t world_find_process(const struct world *world, pid_t pid);

// For how long, in ms; -1 = cannot tell.
int64_t world_age_ms(const struct world *world, int64_t since_ns);

// What can be counted of one object.
struct world_sum {
	size_t users;     // processes
	size_t takers;    // asleep for content or units
	size_t givers;    // asleep for room
	size_t others;    // asleep for anything else
	size_t holders;   // processes, the dead included
	int64_t since_ms; // of who sleeps longest; -1 = nobody, or not told
};
struct world_sum world_sum_of(const struct world *world, size_t object);

const char *world_kind_name(enum world_kind kind); // "mq"

#endif

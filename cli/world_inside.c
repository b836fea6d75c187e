// SPDX-License-Identifier: MIT
//
// world_inside.c - what the rooms write down in their objects and no info call tells: whose sleep a table tells of,
// who has a lock, who has borrowed or reserved. Read with pread, not mapped: a file that is cut meanwhile is
// short, and no fault. Every value may be a peer's invention; it is shown only as far as a thread of that number
// has the object open.
#include <fcntl.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mq/layout.h"
#include "pipe/layout.h"
#include "sem/layout.h"
#include "shm/layout.h"
#include "world_parts.h"

#define AT_BODY(type, member) (PHI_REGION_BODY + offsetof(struct type, member))

// Whether the file is an object of that kind, and its control part.
static bool read_body(int fd, enum phi_kind kind, uint32_t layout, void *to, size_t bytes)
{
	struct phi_region_header header;

	return pread(fd, &header, sizeof header, 0) == (ssize_t)sizeof header &&
	       header.magic == PHI_REGION_MAGIC && header.kind == (uint32_t)kind &&
	       header.layout == layout && pread(fd, to, bytes, PHI_REGION_BODY) == (ssize_t)bytes;
}

static pid_t owner_at(int fd, uint64_t at)
{
	uint32_t word;

	if (fd < 0 || pread(fd, &word, sizeof word, (off_t)at) != (ssize_t)sizeof word ||
	    (word & FUTEX_OWNER_DIED))
		return 0;
	return (pid_t)(word & FUTEX_TID_MASK);
}

// A lock is held for an instant as a rule: only who keeps it over several looks is worth telling of.
static void look_at_lock(struct world *world, size_t object, int fd, uint64_t at)
{
	const pid_t owner = owner_at(fd, at);

	for (int look = 0; look < 3 && owner != 0; look++) {
		nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
		if (owner_at(fd, at) != owner)
			return;
	}
	if (owner != 0)
		*WORLD_MORE(world->hold, world->holds) = (struct world_hold){
			.process = WORLD_NONE,
			.tid = owner,
			.object = object,
			.what = HOLD_LOCK,
			.holder = -1,
		};
}

static void add_entry(struct world *world, size_t object, uint32_t tid, enum world_want want,
                      uint64_t since_ns)
{
	if (tid != 0)
		*WORLD_MORE(world->entry, world->entries) = (struct world_entry){
			.object = object, .tid = (pid_t)tid, .want = want, .since_ns = (int64_t)since_ns};
}

// ---- queues ----

// Whether a holder number is a living process's is the kernel's to say; which one, world_uses.c finds out.
static bool holder_lives(int fd, uint32_t holder)
{
	struct flock lock = {.l_type = F_WRLCK,
	                     .l_whence = SEEK_SET,
	                     .l_start = PHI_LOCKBYTE_HOLDER + (int64_t)holder,
	                     .l_len = 1};

	return fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

static void add_loan(struct world *world, size_t object, int fd, enum world_holding what,
                     uint32_t owner)
{
	if (owner == 0 || owner > PHI_HOLDERS)
		return;
	for (size_t i = world->holds; i-- > 0 && world->hold[i].object == object;)
		if (world->hold[i].what == what && world->hold[i].holder == (int)owner - 1) {
			world->hold[i].units++;
			return;
		}
	*WORLD_MORE(world->hold, world->holds) = (struct world_hold){
		.process = WORLD_NONE,
		.object = object,
		.what = what,
		.units = 1,
		.holder = (int)owner - 1,
		.dead = !holder_lives(fd, owner - 1),
	};
}

static void look_inside_queue(struct world *world, size_t object, int fd)
{
	static struct mq_control c;

	if (!read_body(fd, PHI_KIND_MQ, MQ_LAYOUT, &c, sizeof c))
		return;
	for (int i = 0; i < MQ_SLEEPERS; i++)
		add_entry(world, object, c.sleeper[i].tid,
		          c.sleeper[i].side == 0 ? WANT_CONTENT : WANT_ROOM, c.sleeper[i].since_ns);
	for (int i = 0; i < MQ_BORROWS; i++)
		add_loan(world, object, fd, HOLD_BORROWED, c.borrow[i].owner);
	for (int i = 0; i < MQ_SPARES_MAX; i++)
		add_loan(world, object, fd, HOLD_RESERVED, (uint32_t)(c.spare[i].claim & MQ_CLAIM_HOLDER));
	look_at_lock(world, object, fd, AT_BODY(mq_control, send.word));
	look_at_lock(world, object, fd, AT_BODY(mq_control, recv.word));
	look_at_lock(world, object, fd, AT_BODY(mq_control, notice_lock.word));
}

// ---- semaphores ----

// What the last operation's holder has stands in the truth, what the others have in the table.
static unsigned units_of(uint64_t truth, const struct sem_slot *table, uint32_t slot)
{
	if (truth >> SEM_T_SLOT_SHIFT == slot + 1)
		return (unsigned)(truth >> SEM_T_HELD_SHIFT & SEM_E_UNITS);
	return (unsigned)(table[slot].held & SEM_E_UNITS);
}

static void look_at_holders(struct world *world, size_t object, int fd, const struct sem_control *c)
{
	static struct sem_slot table[SEM_SLOTS];

	if (pread(fd, table, sizeof table, SEM_TABLE_AT) != (ssize_t)sizeof table)
		return;
	for (uint32_t i = 0; i < SEM_SLOTS && i < c->slots; i++) {
		const unsigned units = table[i].pid ? units_of(c->truth, table, i) : 0;

		if (units > 0)
			*WORLD_MORE(world->hold, world->holds) = (struct world_hold){
				.process = WORLD_NONE,
				.pid = table[i].pid,
				.object = object,
				.what = HOLD_UNITS,
				.units = units,
				.holder = -1,
				.dead = !holder_lives(fd, i),
			};
	}
}

static uint64_t steps_of(uint64_t truth)
{
	return truth >> SEM_T_SEQ_SHIFT & (WORLD_STEPS - 1);
}

// The count of operations begins anew after a million: where that comes soon, the pace of the moment has to do.
static void measure_pace(struct world_object *o, int fd, uint64_t truth)
{
	const off_t at = AT_BODY(sem_control, truth);
	struct timespec begin, end;
	uint64_t first, last;

	o->steps = steps_of(truth);
	if (pread(fd, &first, sizeof first, at) != (ssize_t)sizeof first || first == truth)
		return;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
	if (pread(fd, &last, sizeof last, at) != (ssize_t)sizeof last)
		return;
	clock_gettime(CLOCK_MONOTONIC, &end);
	const double seconds =
		(double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
	const uint64_t steps = (steps_of(last) - steps_of(first)) & (WORLD_STEPS - 1);

	o->pace = (double)steps / seconds;
}

static void look_inside_sem(struct world *world, size_t object, int fd)
{
	static struct sem_control c;

	if (!read_body(fd, PHI_KIND_SEM, SEM_LAYOUT, &c, sizeof c))
		return;
	for (int i = 0; i < SEM_SLEEPERS; i++) {
		add_entry(world, object, c.sleeper[i].tid, WANT_UNITS, (uint64_t)c.sleeper[i].since_ns);
		if (c.sleeper[i].tid != 0)
			world->entry[world->entries - 1].units = c.sleeper[i].units;
	}
	if (c.sem.kind == SEM_HOLDERS) {
		look_at_holders(world, object, fd, &c);
		measure_pace(&world->object[object], fd, c.truth);
	}
	look_at_lock(world, object, fd, AT_BODY(sem_control, reap.word));
}

// ---- pipes ----

static void add_place(struct world *world, size_t object, uint32_t word)
{
	const pid_t tid = (pid_t)(word & FUTEX_TID_MASK);

	if (tid != 0)
		*WORLD_MORE(world->hold, world->holds) = (struct world_hold){
			.process = WORLD_NONE,
			.tid = tid,
			.object = object,
			.what = HOLD_PLACE,
			.holder = -1,
		};
}

static void look_inside_ring(struct world *world, size_t object, int fd)
{
	static struct pipe_control c;

	if (!read_body(fd, PHI_KIND_PIPE, PIPE_LAYOUT, &c, sizeof c))
		return;
	for (int i = 0; i < PIPE_SLEEPERS; i++)
		add_entry(world, object, c.sleepers[i], WANT_CONTENT, 0);
	for (int i = 0; i < PIPE_GOERS; i++)
		add_entry(world, object, c.goers[i], WANT_ROOM, 0);
	add_place(world, object, c.held);
	add_place(world, object, c.reserved);
	look_at_lock(world, object, fd, AT_BODY(pipe_control, read.word));
	look_at_lock(world, object, fd, AT_BODY(pipe_control, write.word));
}

void world_look_inside(struct world *world, size_t object, int fd)
{
	switch (world->object[object].kind) {
	case WORLD_QUEUE: look_inside_queue(world, object, fd); break;
	case WORLD_FIFO:
	case WORLD_PIPE: look_inside_ring(world, object, fd); break;
	case WORLD_SEM: look_inside_sem(world, object, fd); break;
	default: break;
	}
}

// ---- what a futex means ----

static bool mean(struct world_wait *wait, enum world_want want)
{
	wait->want = want;
	return true;
}

static bool mean_lock(struct world_wait *wait, int fd, uint64_t at)
{
	wait->owner = owner_at(fd, at);
	return mean(wait, WANT_LOCK);
}

static bool queue_meaning(uint64_t at, int fd, struct world_wait *wait)
{
	switch (at) {
	case AT_BODY(mq_control, deathword): return false;
	case AT_BODY(mq_control, rx_event): return mean(wait, WANT_CONTENT);
	case AT_BODY(mq_control, tx_event): return mean(wait, WANT_ROOM);
	case AT_BODY(mq_control, note_event): return mean(wait, WANT_NEWS);
	case AT_BODY(mq_control, send.word):
	case AT_BODY(mq_control, recv.word):
	case AT_BODY(mq_control, notice_lock.word): return mean_lock(wait, fd, at);
	default: return mean(wait, WANT_OTHER);
	}
}

static bool sem_meaning(uint64_t at, int fd, struct world_wait *wait)
{
	if (at >= SEM_TABLE_AT)
		return false;
	switch (at) {
	case AT_BODY(sem_control, sem.deathword): return false;
	case AT_BODY(sem_control, sem.word):
	case AT_BODY(sem_control, truth):
	case AT_BODY(sem_control, truth) + 4: wait->units = 1; return mean(wait, WANT_UNITS);
	case AT_BODY(sem_control, reap.word): return mean_lock(wait, fd, at);
	default: return mean(wait, WANT_OTHER);
	}
}

static bool ring_meaning(uint64_t at, int fd, struct world_wait *wait)
{
	switch (at) {
	case AT_BODY(pipe_control, lease): return false;
	case AT_BODY(pipe_control, room_event): return mean(wait, WANT_ROOM);
	case AT_BODY(pipe_control, read.word):
	case AT_BODY(pipe_control, write.word): return mean_lock(wait, fd, at);
	case AT_BODY(pipe_control, held):
	case AT_BODY(pipe_control, reserved):
		wait->owner = owner_at(fd, at);
		return mean(wait, WANT_PLACE);
	default: return mean(wait, WANT_OTHER);
	}
}

static bool is_sem(int fd, uint64_t at)
{
	struct sem_word word;

	return pread(fd, &word, sizeof word, (off_t)at) == (ssize_t)sizeof word &&
	       word.deathword == 0 && (word.kind == SEM_SHARED || word.kind == SEM_PRIVATE);
}

// The memory is the programs': only what looks exactly like something of this library is called so.
static bool memory_meaning(uint64_t at, int fd, struct world_wait *wait)
{
	const uint64_t lock_at = offsetof(struct shm_arena_header, lock.word);
	uint64_t magic;

	wait->offset = at;
	wait->units = 1;
	if (fd >= 0 && at >= lock_at &&
	    pread(fd, &magic, sizeof magic, (off_t)(at - lock_at)) == (ssize_t)sizeof magic &&
	    magic == SHM_ARENA_MAGIC)
		return mean_lock(wait, fd, at);
	wait->is_sem = fd >= 0 && is_sem(fd, at);
	if (fd >= 0 && !wait->is_sem && at >= 4 && is_sem(fd, at - 4))
		return false; // its deathword
	return mean(wait, WANT_WORD);
}

bool world_meaning(const struct world *world, size_t object, uint64_t at, int fd,
                   struct world_wait *wait)
{
	switch (world->object[object].kind) {
	case WORLD_QUEUE: return queue_meaning(at, fd, wait);
	case WORLD_SEM: return sem_meaning(at, fd, wait);
	case WORLD_SHM: return memory_meaning(at, fd, wait);
	case WORLD_FIFO:
	case WORLD_PIPE: return ring_meaning(at, fd, wait);
	default: return mean(wait, WANT_OTHER);
	}
}

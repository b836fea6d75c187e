// SPDX-License-Identifier: MIT
//
// What a thread has of an arena. A seat is private: the thread's record in the arena, by which others learn
// what it was doing when it died, and for each size the slab in which it allocates. It is made at the first
// call, made again in a forked child, and ends with the thread or with the process's attachment.
//
// A record belongs to its thread as long as that lives: its tid, and when it started, since tids are used
// again.
#include "shm/arena.h"

#include "base/descriptor.h"
#include "base/fork.h"
#include "core/life.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BORN_SLACK 10 // clock ticks: a tenth of a second

__thread struct arena_seat *phi_arena_last_seat;

static __thread struct arena_seat *seats_of_thread;
static pthread_key_t at_thread_exit;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int once_result;

// Guards which seat belongs to which arena. No lock of an arena is taken inside.
static pthread_mutex_t registry = PTHREAD_MUTEX_INITIALIZER;

// ---- who lives ----

// The 22nd field of /proc/TID/stat; 0 = cannot tell. Raw system calls: no cancellation point.
static uint64_t start_of(uint32_t tid)
{
	char path[32];
	char text[512];
	snprintf(path, sizeof path, "/proc/%u/stat", tid);
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	long n = syscall(SYS_read, fd, text, sizeof text - 1);
	phi_close(fd);
	text[n > 0 ? n : 0] = '\0';
	const char *at = strrchr(text, ')'); // the name may hold anything
	for (int field = 2; at != NULL && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at == NULL ? 0 : strtoull(at + 1, NULL, 10);
}

bool phi_arena_record_dead(const struct shm_record *record)
{
	uint32_t tid = load_relaxed_u32(&record->tid);
	uint64_t born = load_relaxed_u64(&record->born);
	if (phi_tid_dead(tid))
		return true;
	// Later by more than an emulator, which makes up what a process reads of itself, is wrong by.
	return born != 0 && start_of(tid) > born + BORN_SLACK;
}

// ---- records ----

static void write_record(struct ph_arena *a, uint32_t i, uint32_t tid)
{
	struct shm_record *record = &a->record[i];
	store_relaxed_u64(&record->block, 0);
	store_relaxed_u64(&record->where, 0);
	store_relaxed_u64(&record->born, start_of(tid));
	store_release_u32(&record->tid, tid);
}

static uint32_t free_record(const struct ph_arena *a)
{
	for (uint32_t i = 1; i < a->records; i++)
		if (load_relaxed_u32(&a->record[i].tid) == 0)
			return i;
	return 0;
}

static void sit_down(struct ph_arena *a, struct arena_seat *seat, uint32_t i)
{
	seat->record = &a->record[i];
	seat->number = i + 1;
	seat->shared = i == 0;
	memset(seat->current, 0, sizeof seat->current);
}

// Under the lock. Record 0 when all are taken, by the living.
static int take_record(struct arena_op *op)
{
	uint32_t i = free_record(op->a);
	int r = i == 0 ? phi_arena_reclaim(op, true) : 0;
	if (r < 0)
		return r;
	if (i == 0)
		i = free_record(op->a);
	if (i != 0)
		write_record(op->a, i, op->hold.self->tid);
	sit_down(op->a, op->seat, i);
	phi_arena_sign_lock(op);
	return 0;
}

// See adopt() in arena.c for the other half.
static int check_namespace(struct ph_arena *a, struct arena_seat *seat)
{
	uint64_t mine = phi_life_pid_ns();
	fence_seq_cst();
	uint64_t theirs = load_relaxed_u64(&a->header->pid_ns);
	if (mine == 0 || theirs == 0 || mine == theirs)
		return 0;
	if (!seat->shared)
		store_release_u32(&seat->record->tid, 0);
	return -EXDEV;
}

int phi_arena_own_record(struct arena_op *op)
{
	uint32_t i = free_record(op->a);
	if (i == 0)
		return 0;
	write_record(op->a, i, op->hold.self->tid);
	sit_down(op->a, op->seat, i);
	phi_arena_sign_lock(op);
	int r = check_namespace(op->a, op->seat);
	if (r < 0)
		op->seat->generation = UINT32_MAX;
	return r;
}

static int fill_seat(struct ph_arena *a, struct arena_seat *seat)
{
	struct arena_op op = {.a = a, .seat = seat};
	sit_down(a, seat, 0); // what the lock may ask of us before we have a record
	phi_enter(&op.hold);
	int r = phi_arena_lock(&op);
	if (r == 0) {
		r = take_record(&op);
		phi_arena_unlock(&op);
	}
	phi_leave(&op.hold);
	if (r == 0)
		r = check_namespace(a, seat);
	// A seat that is not good for anything is found again, and filled then.
	seat->generation = r == 0 ? op.hold.self->generation : UINT32_MAX;
	return r;
}

// ---- seats ----

void phi_arena_leave_slabs(struct ph_arena *a, struct arena_seat *seat)
{
	for (unsigned cls = 0; cls < SHM_CLASSES; cls++) {
		struct arena_current *c = &seat->current[cls];
		if (c->slab == NULL)
			continue;
		store_relaxed_u32(&c->slab->user, 0);
		phi_arena_set_room(a, cls, c->page);
		c->slab = NULL;
	}
}

// Not for a child that has its parent's seat.
static void stand_up(struct ph_arena *a, struct arena_seat *seat)
{
	if (seat->generation != phi_process_generation() || seat->shared)
		return;
	phi_arena_leave_slabs(a, seat);
	store_release_u32(&seat->record->tid, 0);
}

static void unlink_from_arena(struct ph_arena *a, struct arena_seat *seat)
{
	struct arena_seat **at = &a->seats;
	while (*at != NULL && *at != seat)
		at = &(*at)->next_of_arena;
	if (*at != NULL)
		*at = seat->next_of_arena;
}

static void forget_thread(void *unused)
{
	(void)unused;
	phi_arena_last_seat = NULL;
	pthread_mutex_lock(&registry);
	while (seats_of_thread != NULL) {
		struct arena_seat *seat = seats_of_thread;
		struct ph_arena *a = (struct ph_arena *)load_relaxed_ptr(&seat->arena);
		seats_of_thread = seat->next_of_thread;
		if (a != NULL) {
			stand_up(a, seat);
			unlink_from_arena(a, seat);
		}
		free(seat);
	}
	pthread_mutex_unlock(&registry);
}

void phi_arena_leave_seats(struct ph_arena *a)
{
	pthread_mutex_lock(&registry);
	while (a->seats != NULL) {
		struct arena_seat *seat = a->seats;
		a->seats = seat->next_of_arena;
		stand_up(a, seat);
		store_relaxed_ptr(&seat->arena, 0); // its thread frees it
	}
	pthread_mutex_unlock(&registry);
}

static void hold(void)
{
	pthread_mutex_lock(&registry);
}

static void let_go(void)
{
	pthread_mutex_unlock(&registry);
}

static void prepare(void)
{
	static const struct phi_fork_steps steps = {hold, let_go, let_go};
	once_result = pthread_key_create(&at_thread_exit, forget_thread);
	phi_fork_arrange(&steps);
}

// The thread's seat at this arena, or one whose arena is gone, or NULL.
static struct arena_seat *find_seat(const struct ph_arena *a)
{
	struct arena_seat *idle = NULL;
	for (struct arena_seat *s = seats_of_thread; s != NULL; s = s->next_of_thread) {
		uintptr_t of = load_relaxed_ptr(&s->arena);
		if (of == (uintptr_t)a)
			return s;
		if (of == 0)
			idle = s;
	}
	return idle;
}

static struct arena_seat *new_seat(void)
{
	struct arena_seat *seat = calloc(1, sizeof *seat);
	if (seat == NULL || pthread_setspecific(at_thread_exit, seat) != 0) {
		free(seat);
		return NULL;
	}
	seat->next_of_thread = seats_of_thread;
	seats_of_thread = seat;
	return seat;
}

static void belong(struct ph_arena *a, struct arena_seat *seat)
{
	seat->generation = UINT32_MAX;
	pthread_mutex_lock(&registry);
	store_relaxed_ptr(&seat->arena, (uintptr_t)a);
	seat->next_of_arena = a->seats;
	a->seats = seat;
	pthread_mutex_unlock(&registry);
}

int phi_arena_seat_slow(struct ph_arena *a, struct arena_seat **seat)
{
	pthread_once(&once, prepare);
	if (once_result != 0)
		return -once_result;
	struct arena_seat *s = find_seat(a);
	if (s == NULL)
		s = new_seat();
	if (s == NULL)
		return -ENOMEM;
	if (load_relaxed_ptr(&s->arena) == 0)
		belong(a, s);
	int r = s->generation == phi_process_generation() ? 0 : fill_seat(a, s);
	if (r < 0)
		return r;
	phi_arena_last_seat = s;
	*seat = s;
	return 0;
}

// SPDX-License-Identifier: MIT
//
// What else the kernel has for the room sem: System V semaphores, with SEM_UNDO where holders are asked
// for, and flock(2), a lock which knows its holder and nothing more.
//
// A System V semaphore has at most 32767 units: a post that finds them all there is made again once
// others have run.
#define _GNU_SOURCE
#include "bench_load.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <unistd.h>

// ---- System V ----

union semun { // whoever calls semctl(2) has to define it
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

static int sysv_create(struct bench_end *end)
{
	const union semun units = {.val = (int)end->c->depth};
	end->fd = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
	return end->fd < 0 ? -1 : semctl(end->fd, 0, SETVAL, units);
}

static void sysv_destroy(struct bench_end *end)
{
	semctl(end->fd, 0, IPC_RMID);
}

static int sysv_attach(struct bench_end *end)
{
	(void)end; // the worker has its number
	return 0;
}

static struct sembuf change(const struct bench_end *end, short by)
{
	return (struct sembuf){.sem_op = by, .sem_flg = end->c->holders ? SEM_UNDO : 0};
}

static int sysv_post(struct bench_end *end)
{
	struct sembuf give = change(end, 1);
	int r;
	while ((r = semop(end->fd, &give, 1)) != 0 && errno == ERANGE)
		sched_yield();
	return r;
}

static int sysv_wait(struct bench_end *end)
{
	struct sembuf take = change(end, -1);
	return semop(end->fd, &take, 1);
}

static int sysv_pairs(struct bench_end *end, uint64_t n)
{
	struct sembuf take = change(end, -1), give = change(end, 1);
	int failed = 0;
	for (uint64_t i = 0; i < n; i++) {
		failed |= semop(end->fd, &take, 1);
		failed |= semop(end->fd, &give, 1);
	}
	return failed;
}

static long sysv_units(struct bench_end *end)
{
	return semctl(end->fd, 0, GETVAL);
}

const struct bench_ops bench_sem_sysv = {
	.name = "sysv",
	.create = sysv_create,
	.destroy = sysv_destroy,
	.attach = sysv_attach,
	.post = sysv_post,
	.wait = sysv_wait,
	.pairs = sysv_pairs,
	.units = sysv_units,
};

// ---- flock ----

static const char *lock_file(const struct bench_end *end)
{
	static char path[128];
	snprintf(path, sizeof(path), "/tmp%s", end->name);
	return path;
}

static int flock_create(struct bench_end *end)
{
	end->fd = open(lock_file(end), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	return end->fd < 0 ? -1 : 0;
}

static void flock_destroy(struct bench_end *end)
{
	close(end->fd);
	unlink(lock_file(end));
}

// Each worker needs an open file description of its own: that is who holds the lock.
static int flock_attach(struct bench_end *end)
{
	end->fd = open(lock_file(end), O_RDWR | O_CLOEXEC);
	return end->fd < 0 ? -1 : 0;
}

static int flock_post(struct bench_end *end)
{
	return flock(end->fd, LOCK_UN);
}

static int flock_wait(struct bench_end *end)
{
	return flock(end->fd, LOCK_EX);
}

static int flock_pairs(struct bench_end *end, uint64_t n)
{
	int failed = 0;
	for (uint64_t i = 0; i < n; i++) {
		failed |= flock(end->fd, LOCK_EX);
		failed |= flock(end->fd, LOCK_UN);
	}
	return failed;
}

static long flock_units(struct bench_end *end)
{
	const int fd = open(lock_file(end), O_RDWR | O_CLOEXEC);
	const long free = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
	close(fd);
	return free;
}

// One unit, which its holder gives back.
static bool flock_can(const struct bench_case *c)
{
	return c->holders && c->depth == 1;
}

const struct bench_ops bench_sem_flock = {
	.name = "flock",
	.create = flock_create,
	.destroy = flock_destroy,
	.attach = flock_attach,
	.post = flock_post,
	.wait = flock_wait,
	.pairs = flock_pairs,
	.units = flock_units,
	.can = flock_can,
};

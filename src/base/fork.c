// SPDX-License-Identifier: MIT
//
// The list grows without a lock, since a room may come to it while another thread forks. That one does for all who had come
// when it began, and for no other: who is held before the fork is let go afterwards.
#include "base/fork.h"

#include "base/atomic.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

#define FORK_ROOMS 16

static uintptr_t rooms[FORK_ROOMS]; // const struct phi_fork_steps *
static pthread_once_t once = PTHREAD_ONCE_INIT;

// Of the one thread that forks.
static pthread_mutex_t forking = PTHREAD_MUTEX_INITIALIZER;
static const struct phi_fork_steps *taking_part[FORK_ROOMS];
static int parts;

static void before(void)
{
	pthread_mutex_lock(&forking);
	for (parts = 0; parts < FORK_ROOMS; parts++) {
		uintptr_t room = load_acquire_ptr(&rooms[parts]); // FORK_ROOMS
		if (room == 0)
			break;
		taking_part[parts] = (const struct phi_fork_steps *)room;
	}
	for (int i = parts - 1; i >= 0; i--)
		if (taking_part[i]->before != NULL)
			taking_part[i]->before();
}

static void in_parent(void)
{
	for (int i = 0; i < parts; i++)
		if (taking_part[i]->in_parent != NULL)
			taking_part[i]->in_parent();
	pthread_mutex_unlock(&forking);
}

static void in_child(void)
{
	for (int i = 0; i < parts; i++)
		if (taking_part[i]->in_child != NULL)
			taking_part[i]->in_child();
	pthread_mutex_unlock(&forking);
}

static void tell_libc(void)
{
	pthread_atfork(before, in_parent, in_child);
}

__attribute__((constructor(101))) static void at_start(void)
{
	pthread_once(&once, tell_libc);
}

void phi_fork_arrange(const struct phi_fork_steps *steps)
{
	pthread_once(&once, tell_libc); // a constructor before ours
	for (int i = 0; i < FORK_ROOMS; i++)
		if (cas_acq_rel_ptr(&rooms[i], 0, (uintptr_t)steps)) // FORK_ROOMS
			return;
	abort(); // more rooms than the library has
}

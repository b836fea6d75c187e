// SPDX-License-Identifier: MIT
//
// tests/sem/posix_atfork.c - a program's own fork handlers use semaphores, open and unlink them.
#include "atfork.h"

#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>

static void use_semaphores(void)
{
	char name[64];
	sem_t unnamed;

	CHECK_OK(sem_init(&unnamed, 1, 0));
	CHECK_OK(sem_post(&unnamed));
	CHECK_OK(sem_wait(&unnamed));
	CHECK_OK(sem_destroy(&unnamed));
	snprintf(name, sizeof(name), "/atfork-%d", (int)getpid());
	sem_t *named = sem_open(name, O_CREAT | O_EXCL, 0600, 1);
	CHECK(named != SEM_FAILED);
	CHECK_OK(sem_unlink(name));
	CHECK_OK(sem_wait(named));
	CHECK_ERR(sem_trywait(named), EAGAIN);
	CHECK_OK(sem_close(named));
}

TEST(fork_handlers_use_semaphores)
{
	use_in_fork_handlers(use_semaphores);
}

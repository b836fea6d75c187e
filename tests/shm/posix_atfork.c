// SPDX-License-Identifier: MIT
//
// tests/shm/posix_atfork.c - a program's own fork handlers make objects and map them.
#include "atfork.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

static void use_object(void)
{
	char name[64];

	snprintf(name, sizeof(name), "/atfork-%d", (int)getpid());
	const int fd = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
	CHECK(fd >= 0);
	CHECK_OK(shm_unlink(name));
	CHECK_OK(ftruncate(fd, 4096));
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	p[0] = 1;
	CHECK_OK(munmap(p, 4096));
	CHECK_OK(close(fd));
}

TEST(fork_handlers_use_objects)
{
	use_in_fork_handlers(use_object);
}

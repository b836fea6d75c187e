// SPDX-License-Identifier: MIT
//
// objects [--remove] NAME - makes a queue, a semaphore and an object of shared memory of that name, or removes them.
// What is there already is told in the status.
#define _GNU_SOURCE
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <string.h>
#include <sys/mman.h>

static int make(const char *name)
{
	struct mq_attr attr = {.mq_maxmsg = 4, .mq_msgsize = 16};
	int flags = O_RDWR | O_CREAT | O_EXCL;
	int made = mq_open(name, flags, 0600, &attr) != (mqd_t)-1;
	made += sem_open(name, O_CREAT | O_EXCL, 0600, 1) != SEM_FAILED;
	return made + (shm_open(name, flags, 0600) >= 0);
}

int main(int argc, char **argv)
{
	if (argc == 2)
		return make(argv[1]) == 3 || make(argv[1]) == 0 ? 0 : 1;
	if (argc != 3 || strcmp(argv[1], "--remove") != 0)
		return 2;
	return mq_unlink(argv[2]) | sem_unlink(argv[2]) | shm_unlink(argv[2]) ? 1 : 0;
}

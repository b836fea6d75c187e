// SPDX-License-Identifier: MIT
//
// shared - a counter in shared memory, guarded by a semaphore: shared NAME N adds N to it, one by one, and prints
// what it has become. Run as many at once as you like, and kill -9 any: the unit that it held comes back, and who gets
// it next is told, puts right what was left half done, and goes on.
#include <posthaste/semaphore.h>
#include <posthaste/shm.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

struct tally {
	long count;
	long again; // the same, but while a step is being made
};

// What is guarded is two words that belong together.
static void step(struct tally *t)
{
	t->again = t->count + 1;
	t->count = t->again;
}

static int lock(sem_t *sem, struct tally *t)
{
	if (ph_sem_wait(sem) == 0)
		return 0;
	if (errno != EOWNERDEAD)
		return -1;
	t->count = t->again; // the dead one's step: whole, or not at all
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return fprintf(stderr, "usage: shared NAME N\n"), 2;
	struct tally *t = ph_shm_map(argv[1], sizeof *t, PH_SHM_CREATE, 0600, 0);
	sem_t *sem = ph_sem_open(argv[1], O_CREAT | PH_SEM_HOLDERS | PH_SEM_OWNERDEAD, 0600, 1);
	if (t == NULL || sem == SEM_FAILED)
		return perror(argv[1]), 1;
	for (long n = atol(argv[2]); n > 0; n--) {
		if (lock(sem, t) != 0)
			return perror("wait"), 1;
		step(t);
		ph_sem_post(sem);
	}
	if (lock(sem, t) != 0)
		return perror("wait"), 1;
	printf("%ld\n", t->count);
	ph_sem_post(sem);
	return ph_sem_close(sem) != 0 || ph_shm_unmap(t) != 0;
}

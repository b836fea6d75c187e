// SPDX-License-Identifier: MIT
//
// semaphore - two seats for five workers. A semaphore with holders knows who sits where: the seat of a worker that
// is killed comes back at once, and the next one that takes a seat is told, once.
#include <posthaste/semaphore.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SEATS = 2, WORKERS = 5 };

// The first to come dies on its seat; it holds the seat as a process, so there is nothing to clean up.
static void work(sem_t *seats, int number)
{
	const int told = ph_sem_wait(seats) != 0;

	if (told && errno != EOWNERDEAD)
		perror("ph_sem_wait"), _exit(1);
	if (told)
		printf("worker %d: the last one on this seat died, what it did is looked after\n", number);
	if (number == 0)
		raise(SIGKILL);
	printf("worker %d: at work\n", number);
	fflush(stdout);
	ph_sem_post(seats);
	_exit(0);
}

int main(void)
{
	const int flags = O_CREAT | O_EXCL | PH_SEM_HOLDERS | PH_SEM_OWNERDEAD;
	sem_t *const seats = ph_sem_open("/example-seats", flags, 0600, SEATS);
	int there;

	if (seats == SEM_FAILED)
		return perror("/example-seats"), 1;
	ph_sem_unlink("/example-seats");
	for (int i = 0; i < WORKERS; i++)
		if (fork() == 0)
			work(seats, i);
	while (wait(NULL) > 0)
		;
	// All units at once, or none: so nobody is left on a seat.
	if (ph_sem_take(seats, SEATS, CLOCK_MONOTONIC, NULL) != 0 && errno != EOWNERDEAD)
		return perror("ph_sem_take"), 1;
	ph_sem_give(seats, SEATS);
	ph_sem_getvalue(seats, &there);
	printf("%d of %d seats are free\n", there, SEATS);
	return there != SEATS;
}

// SPDX-License-Identifier: MIT
//
// pool - three workers add up numbers that they borrow in place; one is killed over its work. What it
// had borrowed goes back to the queue, so each number is added at least once. Here the victim never
// answers, so it is exactly once; a worker that may die between its answer and the release needs
// answers that can be told apart.
#include <posthaste/mqueue.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NUMBERS = 1000, WORKERS = 3 };

static mqd_t make(const char *name, long size)
{
	struct mq_attr attr = {.mq_maxmsg = NUMBERS, .mq_msgsize = size};
	mqd_t mqd = ph_mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);

	if (mqd == (mqd_t)-1)
		perror(name), _exit(1);
	ph_mq_unlink(name);
	return mqd;
}

static void work(mqd_t jobs, mqd_t sums, int killed)
{
	struct ph_mq_loan job;

	while (ph_mq_borrow(jobs, &job) == 0) {
		if (killed)
			raise(SIGKILL);
		ph_mq_send(sums, job.data, job.size, 0);
		ph_mq_release(jobs, &job);
	}
	_exit(1);
}

int main(void)
{
	mqd_t jobs = make("/example-jobs", sizeof(long)), sums = make("/example-sums", sizeof(long));
	pid_t worker[WORKERS];
	long number, sum = 0;

	for (number = 1; number <= NUMBERS; number++)
		ph_mq_send(jobs, (char *)&number, sizeof number, 0);
	for (int i = 0; i < WORKERS; i++)
		if ((worker[i] = fork()) == 0)
			work(jobs, sums, i == 0);
	for (int i = 0; i < NUMBERS; i++, sum += number)
		ph_mq_receive(sums, (char *)&number, sizeof number, NULL);
	for (int i = 0; i < WORKERS; i++)
		kill(worker[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	printf("the sum of 1 to %d is %ld\n", NUMBERS, sum);
	return sum != (long)NUMBERS * (NUMBERS + 1) / 2;
}

// SPDX-License-Identifier: MIT
//
// posix - how long a message takes to a child and back, by the POSIX calls alone. Compile it as it is
// and it uses the kernel's queues; with `-include posthaste/posix.h` it uses this library.
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 20000, SIZE = 64 };

static mqd_t make(const char *name)
{
	struct mq_attr attr = {.mq_maxmsg = 10, .mq_msgsize = SIZE};
	mqd_t mqd = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);

	if (mqd == (mqd_t)-1)
		perror(name), _exit(1);
	mq_unlink(name);
	return mqd;
}

static void pass(mqd_t from, mqd_t to)
{
	char text[SIZE];
	ssize_t length = mq_receive(from, text, SIZE, NULL);

	if (length < 0 || mq_send(to, text, (size_t)length, 0) != 0)
		perror("pass"), _exit(1);
}

int main(void)
{
	mqd_t there = make("/example-there"), back = make("/example-back");
	struct timespec begin, end;

	if (fork() == 0) {
		for (int i = 0; i < ROUNDS; i++)
			pass(there, back);
		_exit(0);
	}
	clock_gettime(CLOCK_MONOTONIC, &begin);
	mq_send(there, "ball", 4, 0);
	for (int i = 1; i < ROUNDS; i++)
		pass(back, there);
	mq_receive(back, (char[SIZE]){0}, SIZE, NULL);
	clock_gettime(CLOCK_MONOTONIC, &end);
	wait(NULL);
	double ns = (double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec);
	printf("%d round trips, %.0f ns each\n", ROUNDS, ns / ROUNDS);
	return 0;
}

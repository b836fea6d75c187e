// SPDX-License-Identifier: MIT
//
// rate MESSAGES [DEPTH] - one process sends messages of 64 bytes to another; prints how many in a second. For figures of
// an unmodified program, with the kernel's queues and by `posthaste run`.
#define _GNU_SOURCE
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BYTES = 64 };

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void send_all(mqd_t q, long messages)
{
	char text[BYTES] = {0};
	for (long i = 0; i < messages; i++)
		if (mq_send(q, text, sizeof text, 0) != 0)
			_exit(1);
	_exit(0);
}

int main(int argc, char **argv)
{
	long messages = argc > 1 ? atol(argv[1]) : 1000000;
	struct mq_attr attr = {.mq_maxmsg = argc > 2 ? atol(argv[2]) : 10, .mq_msgsize = BYTES};
	char name[64], text[BYTES];
	snprintf(name, sizeof name, "/posthaste-rate-%d", (int)getpid());
	mqd_t q = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	if (q == (mqd_t)-1 || mq_unlink(name) != 0)
		return 1;
	double begin = now();
	pid_t sender = fork();
	if (sender == 0)
		send_all(q, messages);
	for (long i = 0; i < messages; i++)
		if (mq_receive(q, text, sizeof text, NULL) != BYTES)
			return 1;
	printf("%.0f messages a second\n", (double)messages / (now() - begin));
	int status = 1;
	waitpid(sender, &status, 0);
	return mq_close(q) != 0 || status != 0;
}

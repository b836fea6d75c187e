// SPDX-License-Identifier: MIT
//
// loop - an event loop over a queue and standard input: prints what comes through the queue NAME, until
// standard input ends. A queue's descriptor is polled like any other.
#include <posthaste/mqueue.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// Readable says that a message was there; another receiver may be quicker, so do not block.
static int print_messages(mqd_t mqd, char *text, size_t size)
{
	ssize_t length;

	while ((length = ph_mq_receive(mqd, text, size, NULL)) >= 0)
		printf("%.*s\n", (int)length, text);
	fflush(stdout);
	return errno == EAGAIN ? 0 : -1;
}

int main(int argc, char **argv)
{
	mqd_t mqd = argc < 2 ? (mqd_t)-1 : ph_mq_open(argv[1], O_RDONLY | O_NONBLOCK);
	struct pollfd fds[] = {{mqd, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
	struct mq_attr attr;
	char byte;

	if (mqd == (mqd_t)-1 || ph_mq_getattr(mqd, &attr) != 0)
		return perror("loop"), 1;
	char *text = malloc((size_t)attr.mq_msgsize);
	while (text != NULL && poll(fds, 2, -1) > 0) {
		if ((fds[0].revents & POLLIN) && print_messages(mqd, text, (size_t)attr.mq_msgsize) != 0)
			return perror("loop"), 1;
		if (fds[1].revents != 0 && read(STDIN_FILENO, &byte, 1) <= 0)
			break;
	}
	free(text);
	return ph_mq_close(mqd);
}

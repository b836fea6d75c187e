// SPDX-License-Identifier: MIT
//
// hello - one message through a queue: hello NAME TEXT puts it in, hello NAME takes it out.
#include <posthaste/mqueue.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct mq_attr attr = {.mq_maxmsg = 100, .mq_msgsize = 256};
	char text[256];
	mqd_t mqd = argc < 2 ? (mqd_t)-1 : ph_mq_open(argv[1], O_RDWR | O_CREAT, 0600, &attr);

	if (argc > 2 && ph_mq_send(mqd, argv[2], strlen(argv[2]), 0) == 0)
		return 0;
	ssize_t length = argc == 2 ? ph_mq_receive(mqd, text, sizeof text, NULL) : -1;
	if (length < 0)
		return perror("hello"), 1;
	printf("%.*s\n", (int)length, text);
	return 0;
}

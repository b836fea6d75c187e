// SPDX-License-Identifier: MIT
//
// tests/mq/posix_atfork.c - a program's own fork handlers use queues, open and unlink them.
#include "atfork.h"

#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>

static void use_queue(void)
{
	struct mq_attr attr = {.mq_maxmsg = 2, .mq_msgsize = 16};
	char name[64], message[16];
	unsigned priority = 0;

	snprintf(name, sizeof(name), "/atfork-%d", (int)getpid());
	const mqd_t q = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attr);
	CHECK(q != (mqd_t)-1);
	CHECK_OK(mq_unlink(name));
	CHECK_OK(mq_send(q, "word", 5, 3));
	CHECK_EQ(mq_receive(q, message, sizeof(message), &priority), 5);
	CHECK_EQ(priority, 3);
	CHECK_OK(mq_close(q));
}

TEST(fork_handlers_use_queues)
{
	use_in_fork_handlers(use_queue);
}

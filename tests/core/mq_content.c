// SPDX-License-Identifier: MIT
//
// tests/core/mq_content.c - what a walk over a queue's slots tells: the bytes that could be received, and who is
// registered for notification.
#include "runner.h"

#include "../../src/mq/queue.h" // tests/mq has one, too

#include <fcntl.h>
#include <posthaste/mqueue.h>

static mqd_t make_queue(void)
{
	struct mq_attr attr = {.mq_maxmsg = 10, .mq_msgsize = 100};

	return (mqd_t)CHECK_OK(ph_mq_open(test_name(), O_RDWR | O_CREAT | O_EXCL, 0600, &attr));
}

static void drop_queue(mqd_t mq)
{
	CHECK_OK(ph_mq_close(mq));
	CHECK_OK(ph_mq_unlink(test_name()));
}

static struct mq_content look(void)
{
	struct mq_content content;

	CHECK_EQ(phi_mq_content(test_name(), &content), 0);
	return content;
}

TEST(bytes_are_those_of_the_messages_that_could_be_received)
{
	mqd_t mq = make_queue();
	char text[100] = "";
	struct ph_mq_loan loan;

	CHECK_EQ(look().bytes, 0);
	for (unsigned i = 1; i <= 10; i++)
		CHECK_OK(ph_mq_send(mq, text, i, i % 3));
	CHECK_EQ(look().bytes, 55);
	CHECK_EQ(ph_mq_receive(mq, text, sizeof text, NULL), 2); // the first of priority 2
	CHECK_EQ(look().bytes, 53);
	CHECK_OK(ph_mq_borrow(mq, &loan));
	CHECK_EQ(loan.size, 5);
	CHECK_EQ(look().bytes, 48);
	CHECK_OK(ph_mq_cancel(mq, &loan));
	CHECK_EQ(look().bytes, 53);
	drop_queue(mq);
}

TEST(slots_that_were_used_before_do_not_count)
{
	mqd_t mq = make_queue();
	char text[100] = "";

	for (int round = 0; round < 100; round++) {
		CHECK_OK(ph_mq_send(mq, text, sizeof text, 0));
		CHECK_EQ(look().bytes, 100);
		CHECK_EQ(ph_mq_receive(mq, text, sizeof text, NULL), 100);
		CHECK_EQ(look().bytes, 0);
	}
	drop_queue(mq);
}

TEST(registrant_is_told_of_while_he_is_registered)
{
	mqd_t mq = make_queue();
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};

	CHECK_EQ(look().notify_pid, 0);
	CHECK_OK(ph_mq_notify(mq, &event));
	CHECK_EQ(look().notify_pid, getpid());
	CHECK_EQ(look().notify, SIGEV_SIGNAL);
	CHECK_EQ(look().signo, SIGUSR2);
	CHECK_OK(ph_mq_notify(mq, NULL));
	CHECK_EQ(look().notify_pid, 0);
	CHECK_EQ(look().signo, 0);
	drop_queue(mq);
}

TEST(what_is_not_there_is_enoent)
{
	struct mq_content content;

	CHECK_EQ(phi_mq_content(test_name(), &content), -ENOENT);
}

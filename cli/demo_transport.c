// SPDX-License-Identifier: MIT
//
// demo_transport.c - the demo's queues, pipes and semaphores: this library's, whose messages are borrowed in
// place and come back from the dead, as units do; and the kernel's and the C library's, which forget.
#include "demo_transport.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <posthaste/pipe.h>
#include <posthaste/semaphore.h>

#include "memory.h"

// timeout_ms from now on the clock.
static struct timespec deadline_on(clockid_t clock, int timeout_ms)
{
	struct timespec end;

	clock_gettime(clock, &end);
	end.tv_sec += timeout_ms / 1000;
	end.tv_nsec += timeout_ms % 1000 * 1000000L;
	if (end.tv_nsec >= 1000000000L) {
		end.tv_nsec -= 1000000000L;
		end.tv_sec++;
	}
	return end;
}

static int posthaste_open(struct channel *channel, const char *name, long depth, long size)
{
	struct mq_attr attr = {.mq_maxmsg = depth, .mq_msgsize = size};

	channel->mq = ph_mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	if (channel->mq == (mqd_t)-1)
		return errno;
	ph_mq_unlink(name);
	channel->size = (size_t)size;
	channel->buffer = NULL;
	return 0;
}

static void posthaste_close(struct channel *channel)
{
	ph_mq_close(channel->mq);
}

static int posthaste_send(struct channel *channel, const char *data, size_t size, unsigned int prio,
                          int timeout_ms)
{
	const struct timespec end = deadline_on(CLOCK_MONOTONIC, timeout_ms);

	return ph_mq_clocksend(channel->mq, data, size, prio, CLOCK_MONOTONIC, &end) == 0 ? 0 : errno;
}

static int posthaste_take(struct channel *channel, struct delivery *delivery, int timeout_ms)
{
	const struct timespec end = deadline_on(CLOCK_MONOTONIC, timeout_ms);

	if (ph_mq_clockborrow(channel->mq, &delivery->loan, CLOCK_MONOTONIC, &end) != 0)
		return errno;
	delivery->data = delivery->loan.data;
	delivery->size = delivery->loan.size;
	return 0;
}

static int posthaste_done(struct channel *channel, struct delivery *delivery)
{
	return ph_mq_release(channel->mq, &delivery->loan) == 0 ? 0 : errno;
}

static int posthaste_make_unit(struct guard *guard, const char *name, sem_t *place)
{
	const int flags = O_CREAT | O_EXCL | PH_SEM_HOLDERS | PH_SEM_OWNERDEAD;

	(void)place;
	guard->sem = ph_sem_open(name, flags, 0600, 1);
	if (guard->sem == SEM_FAILED) {
		guard->sem = NULL;
		return errno;
	}
	ph_sem_unlink(name);
	return 0;
}

static void posthaste_drop_unit(struct guard *guard)
{
	ph_sem_close(guard->sem);
}

static int posthaste_take_unit(struct guard *guard, int timeout_ms)
{
	const struct timespec end = deadline_on(CLOCK_MONOTONIC, timeout_ms);

	return ph_sem_clockwait(guard->sem, CLOCK_MONOTONIC, &end) == 0 ? 0 : errno;
}

static int posthaste_give_unit(struct guard *guard)
{
	return ph_sem_post(guard->sem) == 0 ? 0 : errno;
}

static int kernel_open(struct channel *channel, const char *name, long depth, long size)
{
	struct mq_attr attr = {.mq_maxmsg = depth, .mq_msgsize = size};

	channel->mq = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attr);
	if (channel->mq == (mqd_t)-1)
		return errno;
	mq_unlink(name);
	channel->size = (size_t)size;
	channel->buffer = memory_zeroed(channel->size, 1);
	return 0;
}

static void kernel_close(struct channel *channel)
{
	mq_close(channel->mq);
	free(channel->buffer);
}

static int kernel_send(struct channel *channel, const char *data, size_t size, unsigned int prio,
                       int timeout_ms)
{
	const struct timespec end = deadline_on(CLOCK_REALTIME, timeout_ms);

	return mq_timedsend(channel->mq, data, size, prio, &end) == 0 ? 0 : errno;
}

static int kernel_take(struct channel *channel, struct delivery *delivery, int timeout_ms)
{
	const struct timespec end = deadline_on(CLOCK_REALTIME, timeout_ms);
	const ssize_t n = mq_timedreceive(channel->mq, channel->buffer, channel->size, NULL, &end);

	if (n < 0)
		return errno;
	delivery->data = channel->buffer;
	delivery->size = (size_t)n;
	return 0;
}

static int kernel_done(struct channel *channel, struct delivery *delivery)
{
	(void)channel;
	(void)delivery;
	return 0;
}

static int kernel_make_unit(struct guard *guard, const char *name, sem_t *place)
{
	(void)name;
	if (sem_init(place, 1, 1) != 0)
		return errno;
	guard->sem = place;
	return 0;
}

static void kernel_drop_unit(struct guard *guard)
{
	sem_destroy(guard->sem);
}

static int kernel_take_unit(struct guard *guard, int timeout_ms)
{
	const struct timespec end = deadline_on(CLOCK_REALTIME, timeout_ms);

	return sem_timedwait(guard->sem, &end) == 0 ? 0 : errno;
}

static int kernel_give_unit(struct guard *guard)
{
	return sem_post(guard->sem) == 0 ? 0 : errno;
}

const struct transport transport_posthaste = {
	.name = "posthaste",
	.redelivers = true,
	.open = posthaste_open,
	.close = posthaste_close,
	.send = posthaste_send,
	.take = posthaste_take,
	.done = posthaste_done,
	.make_unit = posthaste_make_unit,
	.drop_unit = posthaste_drop_unit,
	.take_unit = posthaste_take_unit,
	.give_unit = posthaste_give_unit,
	.pipe = ph_pipe,
	.read = ph_read,
	.write = ph_write,
};

const struct transport transport_kernel = {
	.name = "kernel",
	.redelivers = false,
	.open = kernel_open,
	.close = kernel_close,
	.send = kernel_send,
	.take = kernel_take,
	.done = kernel_done,
	.make_unit = kernel_make_unit,
	.drop_unit = kernel_drop_unit,
	.take_unit = kernel_take_unit,
	.give_unit = kernel_give_unit,
	.pipe = pipe,
	.read = read,
	.write = write,
};

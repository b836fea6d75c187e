// SPDX-License-Identifier: MIT
//
// messages.c - see messages.h.
//
// A message is received by borrowing it: it is released when the kernel has taken the answer, and goes back to
// its place if the kernel did not want it any more, or if this process is killed first. So nothing is lost here; it is lost
// with a reader who is killed between the kernel's answer and his own, as with any receiver.
//
// What cannot be done at once is done by a thread of its own, so that the others are served meanwhile. It sleeps
// in the queue as every receiver and sender does. When the kernel says that the caller got a signal, the thread is
// cancelled: a thread cancelled asleep has taken and sent nothing, and one that is not asleep any more
// answers with what it has got.
//
// The kernel splits what is larger than a request, and the pieces cannot be told from calls of their own. So a
// message that might be a piece is refused: channel_most.
#include "messages.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "names.h"
#include "queue.h"

#define STACK_BYTES 131072

// Once a call is answered, the caller may close the file before the call here is over: a borrowed message would
// go back to its place after it has been read. So the queue is closed by whoever is done with it last.
struct channel {
	mqd_t mq;
	atomic_uint users; // the open file, and calls
};

// One call that has to wait.
struct task {
	struct channel *channel;
	fuse_req_t req;
	pthread_t thread;
	bool sends;
	size_t size; // of the message, or room for one
	char data[];
};

static size_t channel_most;

// A piece is smaller than the largest request by up to a page, where the caller's buffer begins within one.
void channel_limit(size_t bytes)
{
	channel_most = bytes - (size_t)sysconf(_SC_PAGESIZE);
}

int channel_open(const char *name, int flags, struct channel **out)
{
	char whole[NAME_WHOLE_MAX];
	struct channel *channel = malloc(sizeof *channel);

	if (!channel)
		return ENOMEM;
	snprintf(whole, sizeof whole, "/%s", name);
	channel->mq = ph_mq_open(whole, flags & O_ACCMODE);
	if (channel->mq == (mqd_t)-1) {
		const int err = errno;

		free(channel);
		return err;
	}
	atomic_init(&channel->users, 1);
	*out = channel;
	return 0;
}

void channel_close(struct channel *channel)
{
	if (atomic_fetch_sub(&channel->users, 1) != 1)
		return;
	ph_mq_close(channel->mq);
	free(channel);
}

static void channel_use(struct channel *channel)
{
	atomic_fetch_add(&channel->users, 1);
}

// An errno, or 0: *loan is borrowed. `until` NULL waits, a cancellation point.
static int borrow(struct channel *channel, size_t room, const struct timespec *until,
                  struct ph_mq_loan *loan)
{
	if (ph_mq_clockborrow(channel->mq, loan, CLOCK_MONOTONIC, until) != 0)
		return errno == ETIMEDOUT ? EAGAIN : errno;
	if (loan->size <= room && loan->size <= channel_most)
		return 0;
	ph_mq_cancel(channel->mq, loan);
	return EMSGSIZE;
}

static void hand_over(struct channel *channel, fuse_req_t req, struct ph_mq_loan *loan)
{
	if (fuse_reply_buf(req, loan->data, loan->size) == 0)
		ph_mq_release(channel->mq, loan);
	else
		ph_mq_cancel(channel->mq, loan);
}

static int send_message(struct channel *channel, const char *data, size_t size,
                        const struct timespec *until)
{
	if (size > channel_most)
		return EMSGSIZE;
	if (ph_mq_clocksend(channel->mq, data, size, 0, CLOCK_MONOTONIC, until) != 0)
		return errno == ETIMEDOUT ? EAGAIN : errno;
	return 0;
}

// ---- calls that wait ----

static void end_task(struct task *task)
{
	channel_close(task->channel);
	free(task);
}

// Called by libfuse when the caller got a signal, at most until the function is taken back, which waits for it.
static void interrupt(fuse_req_t req, void *arg)
{
	struct task *task = arg;

	(void)req;
	pthread_cancel(task->thread);
}

static void cancelled(void *arg)
{
	struct task *task = arg;

	fuse_req_interrupt_func(task->req, NULL, NULL);
	fuse_reply_err(task->req, EINTR);
	end_task(task);
}

static void *wait_for_it(void *arg)
{
	struct task *task = arg;
	struct ph_mq_loan loan;
	int err, state;

	task->thread = pthread_self();
	pthread_cleanup_push(cancelled, task);
	fuse_req_interrupt_func(task->req, interrupt, task);
	err = task->sends ? send_message(task->channel, task->data, task->size, NULL)
	                  : borrow(task->channel, task->size, NULL, &loan);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	fuse_req_interrupt_func(task->req, NULL, NULL);
	if (err != 0)
		fuse_reply_err(task->req, err);
	else if (task->sends)
		fuse_reply_write(task->req, task->size);
	else
		hand_over(task->channel, task->req, &loan);
	pthread_cleanup_pop(0);
	end_task(task);
	return NULL;
}

// An errno: there is no thread.
static int start(struct task *task)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	const int err = pthread_create(&thread, &attr, wait_for_it, task);

	pthread_attr_destroy(&attr);
	return err;
}

static void wait_in_a_thread(const struct task *what, const char *data)
{
	const size_t bytes = what->sends ? what->size : 0;
	struct task *task = malloc(sizeof *task + bytes);

	if (!task) {
		fuse_reply_err(what->req, ENOMEM);
		return;
	}
	*task = *what;
	if (bytes > 0)
		memcpy(task->data, data, bytes);
	channel_use(task->channel);
	if (start(task) != 0) {
		fuse_reply_err(what->req, ENOMEM);
		end_task(task);
	}
}

// ---- calls ----

// A time that is over: what would wait does not.
static const struct timespec past;

void channel_read(struct channel *channel, fuse_req_t req, size_t room, bool nonblock)
{
	struct ph_mq_loan loan;

	channel_use(channel);
	const int err = borrow(channel, room, &past, &loan);

	if (err == 0)
		hand_over(channel, req, &loan);
	else if (err != EAGAIN || nonblock)
		fuse_reply_err(req, err);
	else
		wait_in_a_thread(&(struct task){.channel = channel, .req = req, .size = room}, NULL);
	channel_close(channel);
}

void channel_write(struct channel *channel, fuse_req_t req, const char *data, size_t size,
                   bool nonblock)
{
	const int err = send_message(channel, data, size, &past);

	if (err == 0)
		fuse_reply_write(req, size);
	else if (err != EAGAIN || nonblock)
		fuse_reply_err(req, err);
	else
		wait_in_a_thread(
			&(struct task){.channel = channel, .req = req, .sends = true, .size = size}, data);
}

// SPDX-License-Identifier: MIT
//
// A queue's descriptor under the calls that are for any descriptor: to the kernel's queues close(2) is mq_close,
// fcntl sees and sets O_NONBLOCK, and read gives a line about the queue. All other descriptors go on to the C
// library. (poll and its relatives are src/posix/poll.c.)
#include "preload.h"

#include "core/description.h"
#include "mq/queue.h"
#include "posthaste/mqueue.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static pid_t own_pid; // of the process, not of a child of vfork

static void note_pid(void)
{
	own_pid = getpid();
}

__attribute__((constructor)) static void at_start(void)
{
	note_pid();
	pthread_atfork(NULL, NULL, note_pid);
}

// A child of vfork has its parent's memory, and closes its own copies of the descriptors only.
static bool is_guest(void)
{
	return getpid() != own_pid;
}

static struct mq_queue *queue_of(int fd)
{
	struct phi_handle *h = phi_handle_any(fd);
	return h != NULL && h->kind == PHI_KIND_MQ ? (struct mq_queue *)h : NULL;
}

PHI_PUBLIC int close(int fd)
{
	if (queue_of(fd) == NULL || is_guest())
		return phi_next()->close(fd);
	int r = phi_close_queue(fd);
	return PHI_TRACED(r, "close(%d) of a queue", fd);
}

static __thread struct {
	unsigned first, last;
} closing;

static void close_if_meant(struct phi_handle *h)
{
	if (h->kind == PHI_KIND_MQ && (unsigned)h->fd >= closing.first &&
	    (unsigned)h->fd <= closing.last)
		phi_close_queue(h->fd);
}

static void close_queues(unsigned first, unsigned last)
{
	if (load_relaxed_u32(&phi_handle_count) == 0 || is_guest())
		return;
	closing.first = first;
	closing.last = last;
	phi_handle_each(close_if_meant);
}

PHI_PUBLIC int close_range(unsigned first, unsigned last, int flags)
{
	if (flags == 0 && first <= last)
		close_queues(first, last);
	return phi_next()->close_range(first, last, flags);
}

PHI_PUBLIC void closefrom(int first)
{
	close_queues(first < 0 ? 0 : (unsigned)first, ~0U);
	phi_next()->closefrom(first);
}

// ---- O_NONBLOCK ----

static int flags_of(const struct mq_queue *q, int flags)
{
	int access = !q->can_send ? O_RDONLY : !q->can_receive ? O_WRONLY : O_RDWR;
	int nonblock = phi_description_nonblock(q->handle.description) ? O_NONBLOCK : 0;
	return (flags & ~(O_ACCMODE | O_NONBLOCK)) | access | nonblock;
}

static int after_fcntl(int r, int fd, int cmd, void *arg)
{
	const struct mq_queue *q = r >= 0 && (cmd == F_GETFL || cmd == F_SETFL) ? queue_of(fd) : NULL;
	if (q == NULL)
		return r;
	if (cmd == F_GETFL)
		return flags_of(q, r);
	phi_description_set_nonblock(q->handle.description, ((uintptr_t)arg & O_NONBLOCK) != 0);
	return r;
}

// As the C library has it: one argument, whatever it is.
#define ARGUMENT(arg, last)           \
	va_list list;                     \
	va_start(list, last);             \
	void *arg = va_arg(list, void *); \
	va_end(list)

PHI_PUBLIC int fcntl(int fd, int cmd, ...)
{
	ARGUMENT(arg, cmd);
	return after_fcntl(phi_next()->fcntl(fd, cmd, arg), fd, cmd, arg);
}

PHI_PUBLIC int fcntl64(int fd, int cmd, ...)
{
	ARGUMENT(arg, cmd);
	return after_fcntl(phi_next()->fcntl64(fd, cmd, arg), fd, cmd, arg);
}

// ---- the line about the queue, as mq_overview(7) has it ----

#define STATUS_BYTES 128

static int put_status(const struct mq_queue *q, char text[STATUS_BYTES])
{
	const struct mq_notice *n = &q->c->notice;
	bool armed = MQ_NOTICE_STATE(load_relaxed_u32(&n->state)) != MQ_NOTICE_IDLE;
	int how = armed ? (int)load_relaxed_u32(&n->how) : 0;
	int signo = armed && how == SIGEV_SIGNAL ? load_relaxed_i32(&n->signo) : 0;
	int32_t pid = armed ? load_relaxed_i32(&n->pid) : 0;
	uint64_t bytes = phi_mq_count(q) * q->g.msgsize; // of each message as many as it can have
	return snprintf(text, STATUS_BYTES, "QSIZE:%-10llu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n",
	                (unsigned long long)bytes, how, signo, (int)pid);
}

static ssize_t read_status(struct mq_queue *q, char *buf, size_t bytes)
{
	char text[STATUS_BYTES];
	uint64_t from = load_relaxed_u64(&q->read_at);
	uint64_t length = (uint64_t)put_status(q, text);
	size_t n = from >= length ? 0 : length - from < bytes ? (size_t)(length - from) : bytes;
	memcpy(buf, text + (n == 0 ? 0 : from), n);
	store_relaxed_u64(&q->read_at, from + n);
	return (ssize_t)n;
}

PHI_PUBLIC ssize_t read(int fd, void *buf, size_t bytes)
{
	struct mq_queue *q = queue_of(fd);
	return q == NULL ? phi_next()->read(fd, buf, bytes) : read_status(q, buf, bytes);
}

PHI_PUBLIC ssize_t __read_chk(int fd, void *buf, size_t bytes, size_t room)
{
	struct mq_queue *q = bytes <= room ? queue_of(fd) : NULL;
	return q == NULL ? phi_next()->__read_chk(fd, buf, bytes, room) : read_status(q, buf, bytes);
}

static off_t seek(struct mq_queue *q, off_t offset, int whence)
{
	off_t from = whence == SEEK_CUR ? (off_t)load_relaxed_u64(&q->read_at) : 0;
	if ((whence != SEEK_SET && whence != SEEK_CUR) || offset < -from) {
		errno = EINVAL;
		return -1;
	}
	store_relaxed_u64(&q->read_at, (uint64_t)(from + offset));
	return from + offset;
}

PHI_PUBLIC off_t lseek(int fd, off_t offset, int whence)
{
	struct mq_queue *q = queue_of(fd);
	return q == NULL ? phi_next()->lseek(fd, offset, whence) : seek(q, offset, whence);
}

PHI_PUBLIC off64_t lseek64(int fd, off64_t offset, int whence)
{
	struct mq_queue *q = queue_of(fd);
	return q == NULL ? phi_next()->lseek64(fd, offset, whence) : seek(q, offset, whence);
}

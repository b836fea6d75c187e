// SPDX-License-Identifier: MIT
//
// Message queues. A descriptor that is no queue of the library goes on to the C library. The checks that stand here
// are those that the kernel makes in another order, or of arguments that POSIX leaves open.
#include "preload.h"

#include "core/handle.h"
#include "mq/queue.h"
#include "posthaste/mqueue.h"

#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static inline bool is_ours(mqd_t mqd)
{
	return __builtin_expect(phi_handle_find((int)mqd, PHI_KIND_MQ) != NULL, 1);
}

static inline bool goes_on(mqd_t mqd)
{
	return is_ours(mqd) && !phi_traces();
}

static int fail(int error)
{
	errno = error;
	return -1;
}

// The kernel looks at the time before anything else.
static bool is_time(const struct timespec *t)
{
	return t == NULL || (t->tv_sec >= 0 && t->tv_nsec >= 0 && t->tv_nsec < 1000000000);
}

// ---- names ----

static mqd_t open_queue(const char *name, int oflag, mode_t mode, struct mq_attr *attr)
{
	const struct mq_attr none = {0};
	const struct mq_attr *shown = attr == NULL ? &none : attr;
	mqd_t mqd = phi_takes(PHI_PART_MQ) ? ph_mq_open(name, oflag, mode, attr)
	                                   : phi_next()->mq_open(name, oflag, mode, attr);
	return PHI_TRACED(mqd, "mq_open(\"%s\", %#x, %#o, depth %ld, size %ld)", name, (unsigned)oflag,
	                  mode, shown->mq_maxmsg, shown->mq_msgsize);
}

PHI_PUBLIC mqd_t mq_open(const char *name, int oflag, ...)
{
	mode_t mode = 0;
	struct mq_attr *attr = NULL;
	if (oflag & O_CREAT) {
		va_list args;
		va_start(args, oflag);
		mode = va_arg(args, mode_t);
		attr = va_arg(args, struct mq_attr *);
		va_end(args);
	}
	return open_queue(name, oflag, mode, attr);
}

// What a fortified program calls if it passes no mode.
PHI_PUBLIC mqd_t __mq_open_2(const char *name, int oflag)
{
	if (oflag & O_CREAT)
		return phi_next()->__mq_open_2(name, oflag); // which ends the program
	return open_queue(name, oflag, 0, NULL);
}

int phi_close_queue(int fd)
{
	const struct mq_queue *q = (const struct mq_queue *)phi_handle_find(fd, PHI_KIND_MQ);
	if (q != NULL && MQ_NOTICE_STATE(load_relaxed_u32(&q->c->notice.state)) != MQ_NOTICE_IDLE)
		ph_mq_notify(fd, NULL);
	return ph_mq_close(fd);
}

// As the C library's, which is close(2) by another name.
PHI_PUBLIC int mq_close(mqd_t mqd)
{
	int r = is_ours(mqd) ? phi_close_queue((int)mqd) : phi_next()->mq_close(mqd);
	return PHI_TRACED(r, "mq_close(%d)", (int)mqd);
}

PHI_PUBLIC int mq_unlink(const char *name)
{
	int r = phi_takes(PHI_PART_MQ) ? ph_mq_unlink(name) : phi_next()->mq_unlink(name);
	return PHI_TRACED(r, "mq_unlink(\"%s\")", name);
}

// ---- messages ----

static int do_send(mqd_t mqd, const char *msg, size_t length, unsigned prio,
                   const struct timespec *abstime)
{
	bool valid = is_time(abstime) && prio < PH_MQ_PRIO_MAX;
	if ((int)mqd < 0 || (!valid && is_ours(mqd)))
		return fail(valid ? EBADF : EINVAL);
	if (!is_ours(mqd))
		return phi_next()->mq_timedsend(mqd, msg, length, prio, abstime);
	return ph_mq_timedsend(mqd, msg, length, prio, abstime);
}

static ssize_t do_receive(mqd_t mqd, char *msg, size_t length, unsigned *prio,
                          const struct timespec *abstime)
{
	bool valid = is_time(abstime);
	if ((int)mqd < 0 || (!valid && is_ours(mqd)))
		return fail(valid ? EBADF : EINVAL);
	if (!is_ours(mqd))
		return phi_next()->mq_timedreceive(mqd, msg, length, prio, abstime);
	return ph_mq_timedreceive(mqd, msg, length, prio, abstime);
}

PHI_PUBLIC int mq_send(mqd_t mqd, const char *msg, size_t length, unsigned prio)
{
	if (goes_on(mqd) && prio < PH_MQ_PRIO_MAX)
		return ph_mq_send(mqd, msg, length, prio);
	int r = do_send(mqd, msg, length, prio, NULL);
	return PHI_TRACED(r, "mq_send(%d, %zu bytes, priority %u)", (int)mqd, length, prio);
}

PHI_PUBLIC int mq_timedsend(mqd_t mqd, const char *msg, size_t length, unsigned prio,
                            const struct timespec *abstime)
{
	int r = do_send(mqd, msg, length, prio, abstime);
	return PHI_TRACED(r, "mq_timedsend(%d, %zu bytes, priority %u)", (int)mqd, length, prio);
}

PHI_PUBLIC ssize_t mq_receive(mqd_t mqd, char *msg, size_t length, unsigned *prio)
{
	if (goes_on(mqd))
		return ph_mq_receive(mqd, msg, length, prio);
	ssize_t r = do_receive(mqd, msg, length, prio, NULL);
	return PHI_TRACED(r, "mq_receive(%d, room for %zu)", (int)mqd, length);
}

PHI_PUBLIC ssize_t mq_timedreceive(mqd_t mqd, char *msg, size_t length, unsigned *prio,
                                   const struct timespec *abstime)
{
	ssize_t r = do_receive(mqd, msg, length, prio, abstime);
	return PHI_TRACED(r, "mq_timedreceive(%d, room for %zu)", (int)mqd, length);
}

// ---- attributes, notification ----

PHI_PUBLIC int mq_getattr(mqd_t mqd, struct mq_attr *attr)
{
	int r = is_ours(mqd) ? ph_mq_getattr(mqd, attr) : phi_next()->mq_getattr(mqd, attr);
	return PHI_TRACED(r, "mq_getattr(%d)", (int)mqd);
}

PHI_PUBLIC int mq_setattr(mqd_t mqd, const struct mq_attr *restrict attr,
                          struct mq_attr *restrict old)
{
	int r = is_ours(mqd) ? ph_mq_setattr(mqd, attr, old) : phi_next()->mq_setattr(mqd, attr, old);
	return PHI_TRACED(r, "mq_setattr(%d, flags %#lx)", (int)mqd, (unsigned long)attr->mq_flags);
}

PHI_PUBLIC int mq_notify(mqd_t mqd, const struct sigevent *event)
{
	int r = is_ours(mqd) ? ph_mq_notify(mqd, event) : phi_next()->mq_notify(mqd, event);
	return PHI_TRACED(r, "mq_notify(%d, %s %d)", (int)mqd, event == NULL ? "none" : "event",
	                  event == NULL ? 0 : event->sigev_notify);
}

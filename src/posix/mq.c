// SPDX-License-Identifier: MIT
//
// The public calls of message queues: argument checks in POSIX's order, errno, cancellation. What
// happens inside is src/mq; what each call promises stands in the header.
#include "posthaste/mqueue.h"

#include "core/description.h"
#include "mq/plain.h"
#include "mq/queue.h"
#include "posix/poll.h"
#include "posix/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>

static inline int64_t result(int64_t r)
{
	return phi_result(r);
}

static inline struct mq_queue *find(mqd_t mqdes)
{
	return (struct mq_queue *)phi_handle_find((int)mqdes, PHI_KIND_MQ);
}

// By which it is known in a recording.
static inline uint64_t key_of(const struct mq_queue *q)
{
	return q == NULL ? 0 : q->region.inode;
}

static inline bool nonblock(const struct mq_queue *q)
{
	return phi_description_nonblock(q->handle.description);
}

static inline void begin(struct mq_op *op, struct mq_queue *q, clockid_t clock,
                         const struct timespec *abstime)
{
	phi_mq_begin(op, q);
	op->nonblock = nonblock(q);
	op->clock = clock;
	op->abstime = abstime;
}

// Calls that are no cancellation points, although they use libc functions that are.
static int begin_uncancellable(void)
{
	int state;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	return state;
}

static int64_t end_uncancellable(int state, int64_t r)
{
	pthread_setcancelstate(state, NULL);
	return result(r);
}

static int open_queue(const char *name, int oflag, unsigned mode, const struct mq_sizes *sizes)
{
	struct mq_queue *q;
	int r = phi_mq_open(name, oflag, mode, sizes, &q);
	if (r < 0)
		return r;
	int fd = q->handle.fd;
	r = phi_polls_expected(fd);
	if (r < 0)
		phi_mq_close(fd);
	return r < 0 ? r : fd;
}

// Judged only if the queue is made; 0 is not valid.
static const struct mq_sizes *wanted_sizes(const struct mq_attr *attr, struct mq_sizes *sizes)
{
	sizes->maxmsg = attr->mq_maxmsg <= 0 ? 0 : (uint64_t)attr->mq_maxmsg;
	sizes->msgsize = attr->mq_msgsize <= 0 ? 0 : (uint64_t)attr->mq_msgsize;
	return sizes;
}

mqd_t ph_mq_open(const char *name, int oflag, ...)
{
	unsigned mode = 0;
	const struct mq_attr *attr = NULL;
	if (oflag & O_CREAT) {
		va_list args;
		va_start(args, oflag);
		mode = va_arg(args, unsigned); // NOLINT(clang-analyzer-valist.Uninitialized): it is not
		attr = va_arg(args, const struct mq_attr *);
		va_end(args);
	}
	struct mq_sizes sizes;
	const struct mq_sizes *wanted = attr == NULL ? NULL : wanted_sizes(attr, &sizes);
	if ((oflag & MQ_ACCESS) == MQ_ACCESS)
		return (mqd_t)result(-EINVAL);
	int state = begin_uncancellable();
	int r = open_queue(name, oflag, mode, wanted);
	pthread_setcancelstate(state, NULL);
	uint64_t key = r < 0 ? phi_record_key_of(name) : key_of(find(r));
	phi_record_know(RECORD_OF_QUEUE, key, name);
	return (mqd_t)PHI_DONE(mq_open, key, r);
}

int ph_mq_close(mqd_t mqdes)
{
	int state = begin_uncancellable();
	uint64_t key = key_of(find(mqdes));
	int r = phi_mq_close((int)mqdes);
	pthread_setcancelstate(state, NULL);
	phi_record_forget(RECORD_OF_QUEUE, key);
	return (int)PHI_DONE(mq_close, key, r);
}

int ph_mq_unlink(const char *name)
{
	int state = begin_uncancellable();
	int r = phi_mq_unlink(name);
	pthread_setcancelstate(state, NULL);
	uint64_t key = phi_record_key_of(name);
	phi_record_know(RECORD_OF_QUEUE, key, name);
	return (int)PHI_DONE(mq_unlink, key, r);
}

static int check_send(const struct mq_queue *q, size_t len, unsigned prio)
{
	if (q == NULL || !q->can_send)
		return -EBADF;
	if (prio >= MQ_PRIORITIES)
		return -EINVAL;
	return len > q->g.msgsize ? -EMSGSIZE : 0;
}

int ph_mq_clocksend(mqd_t mqdes, const char *msg, size_t len, unsigned prio, clockid_t clock,
                    const struct timespec *abstime)
{
	pthread_testcancel();
	struct mq_queue *q = find(mqdes);
	int r = check_send(q, len, prio);
	if (r < 0)
		return (int)PHI_DONE(mq_send, key_of(q), r);
	if (phi_mq_send_plain(q, msg, len, prio) && !phi_mq_is_damaged(q))
		return (int)PHI_DONE(mq_send, key_of(q), 0);
	PHI_MAY_SLEEP;
	struct mq_op op;
	do {
		begin(&op, q, clock, abstime);
		r = phi_mq_end(&op, phi_mq_send(&op, msg, len, prio));
	} while (phi_safepoint_ask(r));
	return (int)PHI_OVER(mq_send, key_of(q), r);
}

int ph_mq_timedsend(mqd_t mqdes, const char *msg, size_t len, unsigned prio,
                    const struct timespec *abstime)
{
	return ph_mq_clocksend(mqdes, msg, len, prio, CLOCK_REALTIME, abstime);
}

int ph_mq_send(mqd_t mqdes, const char *msg, size_t len, unsigned prio)
{
	return ph_mq_clocksend(mqdes, msg, len, prio, CLOCK_REALTIME, NULL);
}

static int check_receive(const struct mq_queue *q, size_t len)
{
	if (q == NULL || !q->can_receive)
		return -EBADF;
	return len < q->g.msgsize ? -EMSGSIZE : 0;
}

static int64_t end_receive(struct mq_op *op, int64_t r)
{
	int e = phi_mq_end(op, r < 0 ? (int)r : 0);
	return e < 0 ? e : r;
}

ssize_t ph_mq_clockreceive(mqd_t mqdes, char *msg, size_t len, unsigned *prio, clockid_t clock,
                           const struct timespec *abstime)
{
	pthread_testcancel();
	struct mq_queue *q = find(mqdes);
	int r = check_receive(q, len);
	if (r < 0)
		return (ssize_t)PHI_DONE(mq_receive, key_of(q), r);
	int64_t len_plain = phi_mq_receive_plain(q, msg, prio);
	if (len_plain >= 0 && !phi_mq_is_damaged(q))
		return (ssize_t)PHI_DONE(mq_receive, key_of(q), len_plain);
	PHI_MAY_SLEEP;
	struct mq_op op;
	int64_t got;
	do {
		begin(&op, q, clock, abstime);
		got = end_receive(&op, phi_mq_receive(&op, msg, prio));
	} while (phi_safepoint_ask(got));
	return (ssize_t)PHI_OVER(mq_receive, key_of(q), got);
}

ssize_t ph_mq_timedreceive(mqd_t mqdes, char *msg, size_t len, unsigned *prio,
                           const struct timespec *abstime)
{
	return ph_mq_clockreceive(mqdes, msg, len, prio, CLOCK_REALTIME, abstime);
}

ssize_t ph_mq_receive(mqd_t mqdes, char *msg, size_t len, unsigned *prio)
{
	return ph_mq_clockreceive(mqdes, msg, len, prio, CLOCK_REALTIME, NULL);
}

ssize_t ph_mq_peek(mqd_t mqdes, char *msg, size_t len, unsigned *prio)
{
	struct mq_queue *q = find(mqdes);
	int r = check_receive(q, len);
	if (r < 0)
		return (ssize_t)PHI_DONE(mq_peek, key_of(q), r);
	struct mq_op op;
	begin(&op, q, CLOCK_REALTIME, NULL);
	op.nonblock = true;
	return (ssize_t)PHI_DONE(mq_peek, key_of(q), end_receive(&op, phi_mq_peek(&op, msg, prio)));
}

// One that cannot block.
static int run(struct mq_queue *q, int (*body)(struct mq_op *, void *), void *arg)
{
	if (q == NULL)
		return -EBADF;
	struct mq_op op;
	begin(&op, q, CLOCK_REALTIME, NULL);
	op.nonblock = true;
	int state = begin_uncancellable();
	int r = phi_mq_end(&op, body(&op, arg));
	pthread_setcancelstate(state, NULL);
	return r;
}

#define RUN(op, mqdes, body, arg)                                    \
	({                                                               \
		struct mq_queue *q_ = find(mqdes);                           \
		(int)PHI_DONE(op, key_of(q_), run(q_, body, (void *)(arg))); \
	})

static int notify(struct mq_op *op, void *arg)
{
	return phi_mq_notify(op, arg);
}

int ph_mq_notify(mqd_t mqdes, const struct sigevent *notification)
{
	return RUN(mq_notify, mqdes, notify, notification);
}

static int subscribe(struct mq_op *op, void *arg)
{
	return phi_mq_subscribe(op, arg);
}

int ph_mq_subscribe(mqd_t mqdes, const struct sigevent *event)
{
	return RUN(mq_subscribe, mqdes, subscribe, event);
}

static int unsubscribe(struct mq_op *op, void *arg)
{
	return phi_mq_unsubscribe(op, *(int *)arg);
}

int ph_mq_unsubscribe(mqd_t mqdes, int subscription)
{
	return RUN(mq_unsubscribe, mqdes, unsubscribe, &subscription);
}

static void read_attributes(const struct mq_queue *q, struct mq_attr *attr)
{
	attr->mq_flags = nonblock(q) ? O_NONBLOCK : 0;
	attr->mq_maxmsg = (long)q->g.maxmsg;
	attr->mq_msgsize = (long)q->g.msgsize;
	attr->mq_curmsgs = (long)phi_mq_count(q);
}

int ph_mq_getattr(mqd_t mqdes, struct mq_attr *attr)
{
	struct mq_queue *q = find(mqdes);
	if (q == NULL)
		return (int)result(-EBADF);
	struct mq_op op;
	begin(&op, q, CLOCK_REALTIME, NULL);
	op.nonblock = true;
	phi_mq_look_after_loans(&op);
	phi_mq_end(&op, 0);
	read_attributes(q, attr);
	return 0;
}

int ph_mq_setattr(mqd_t mqdes, const struct mq_attr *attr, struct mq_attr *old)
{
	struct mq_queue *q = find(mqdes);
	if (q == NULL)
		return (int)result(-EBADF);
	if (attr->mq_flags & ~(long)O_NONBLOCK)
		return (int)result(-EINVAL);
	bool on = (attr->mq_flags & O_NONBLOCK) != 0;
	if (old != NULL)
		read_attributes(q, old);
	phi_description_set_nonblock(q->handle.description, on);
	return 0;
}

static int reserve(struct mq_op *op, void *loan)
{
	return op->q->can_send ? phi_mq_reserve(op, loan) : -EBADF;
}

int ph_mq_reserve(mqd_t mqdes, struct ph_mq_loan *loan)
{
	return RUN(mq_reserve, mqdes, reserve, loan);
}

int ph_mq_clockcommit(mqd_t mqdes, struct ph_mq_loan *loan, size_t len, unsigned prio,
                      clockid_t clock, const struct timespec *abstime)
{
	pthread_testcancel();
	struct mq_queue *q = find(mqdes);
	int r = check_send(q, len, prio);
	if (r < 0)
		return (int)PHI_DONE(mq_commit, key_of(q), r);
	PHI_MAY_SLEEP;
	struct mq_op op;
	do {
		begin(&op, q, clock, abstime);
		r = phi_mq_end(&op, phi_mq_commit(&op, loan, len, prio));
	} while (phi_safepoint_ask(r));
	return (int)PHI_OVER(mq_commit, key_of(q), r);
}

int ph_mq_commit(mqd_t mqdes, struct ph_mq_loan *loan, size_t len, unsigned prio)
{
	return ph_mq_clockcommit(mqdes, loan, len, prio, CLOCK_REALTIME, NULL);
}

int ph_mq_clockborrow(mqd_t mqdes, struct ph_mq_loan *loan, clockid_t clock,
                      const struct timespec *abstime)
{
	pthread_testcancel();
	struct mq_queue *q = find(mqdes);
	if (q == NULL || !q->can_receive)
		return (int)PHI_DONE(mq_borrow, key_of(q), -EBADF);
	PHI_MAY_SLEEP;
	struct mq_op op;
	int r;
	do {
		begin(&op, q, clock, abstime);
		r = phi_mq_end(&op, phi_mq_borrow(&op, loan));
	} while (phi_safepoint_ask(r));
	return (int)PHI_OVER(mq_borrow, key_of(q), r);
}

int ph_mq_borrow(mqd_t mqdes, struct ph_mq_loan *loan)
{
	return ph_mq_clockborrow(mqdes, loan, CLOCK_REALTIME, NULL);
}

static int release(struct mq_op *op, void *loan)
{
	return phi_mq_release(op, loan);
}

int ph_mq_release(mqd_t mqdes, struct ph_mq_loan *loan)
{
	return RUN(mq_release, mqdes, release, loan);
}

static int cancel(struct mq_op *op, void *loan)
{
	return phi_mq_cancel(op, loan);
}

int ph_mq_cancel(mqd_t mqdes, struct ph_mq_loan *loan)
{
	return RUN(mq_cancel, mqdes, cancel, loan);
}

int ph_mq_setpoll(mqd_t mqdes, int on)
{
	struct mq_queue *q = find(mqdes);
	if (q == NULL)
		return (int)result(-EBADF);
	int state = begin_uncancellable();
	return (int)end_uncancellable(state, on ? phi_mq_tokens_polled(&q->handle) : 0);
}

int ph_mq_info(const char *name, struct ph_mq_info *info)
{
	int state = begin_uncancellable();
	return (int)end_uncancellable(state, phi_mq_info(name, info));
}

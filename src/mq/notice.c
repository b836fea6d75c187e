// SPDX-License-Identifier: MIT
//
// The registration as a sender sees it: the record in shared memory, its lock, and firing. Its states are
// drawn in layout.h. A sender queues the signal itself where it may, so that, as with the kernel's queues,
// it is pending when the send returns; else it hands the event to the registrant's thread (watch.c).
#include "mq/watch.h"

#include "base/descriptor.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SI_MESGQ
#define SI_MESGQ (-3)
#endif

siginfo_t phi_mq_notice_info(int signo, struct mq_sender from, uint64_t value)
{
	siginfo_t info;
	memset(&info, 0, sizeof info);
	info.si_signo = signo;
	info.si_code = SI_MESGQ;
	info.si_pid = from.pid;
	info.si_uid = from.uid;
	info.si_value.sival_ptr = (void *)(uintptr_t)value;
	return info;
}

// Whether only this very user may write to the queue. Else somebody may have forged the registration, and
// made us signal whom he could not: then the registrant's thread does it, from its own memory.
static bool trusts_writers(const struct mq_queue *q)
{
	struct stat st;
	return fstat(q->region.fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 022) == 0;
}

// Queue the registrant's signal in its process. The pid is only used once the kernel has said, with
// the pidfd in hand, that the registrant still lives. False: it is the registrant's to do.
static bool signal_registrant(struct mq_queue *q, uint32_t holder, const struct mq_notice *n,
                              struct mq_sender from)
{
	siginfo_t info =
		phi_mq_notice_info(load_relaxed_i32(&n->signo), from, load_relaxed_u64(&n->value));
	if (info.si_signo < 0 || info.si_signo > MQ_SIGNALS)
		return true;
	int fd = (int)syscall(SYS_pidfd_open, load_relaxed_i32(&n->pid), 0);
	if (fd < 0)
		return errno == ESRCH;
	bool done = true;
	if (phi_mq_holder_lives(q, holder))
		done = syscall(SYS_pidfd_send_signal, fd, info.si_signo, &info, 0) == 0 || errno == ESRCH;
	phi_close(fd);
	return done;
}

int phi_mq_notice_lock(struct mq_op *op)
{
	struct mq_control *c = op->q->c;
	int r = phi_lock_take_on_duty(&op->hold, &c->notice_lock, &c->deathword, MQ_PATIENCE_NS);
	return r == -EOWNERDEAD ? 0 : r; // each state is complete in one store
}

void phi_mq_notice_unlock(struct mq_op *op)
{
	phi_lock_drop(&op->hold, &op->q->c->notice_lock);
}

void phi_mq_notice_set(struct mq_queue *q, uint32_t word)
{
	store_release_u32(&q->c->notice.state, word); // NOTICE
}

// Under N.
static enum mq_notice_state fired(struct mq_op *op, uint32_t armed)
{
	struct mq_notice *n = &op->q->c->notice;
	uint32_t how = load_relaxed_u32(&n->how);
	struct mq_sender me = {op->hold.self->pid, getuid()};
	if (how == SIGEV_NONE)
		return MQ_NOTICE_IDLE;
	if (how == SIGEV_SIGNAL && trusts_writers(op->q) &&
	    signal_registrant(op->q, MQ_NOTICE_HOLDER(armed), n, me))
		return MQ_NOTICE_IDLE;
	store_relaxed_i32(&n->from_pid, me.pid);
	store_relaxed_u32(&n->from_uid, me.uid);
	return MQ_NOTICE_HANDED;
}

static void fire(struct mq_op *op)
{
	if (phi_mq_notice_lock(op) < 0)
		return;
	uint32_t w = load_relaxed_u32(&op->q->c->notice.state);
	if (MQ_NOTICE_STATE(w) == MQ_NOTICE_ARMED)
		phi_mq_notice_set(op->q, MQ_NOTICE_SAME(w, fired(op, w)));
	phi_mq_notice_unlock(op);
}

void phi_mq_arrived(struct mq_op *op, uint32_t watched, bool blocked)
{
	struct mq_control *c = op->q->c;
	uint32_t state = load_acquire_u32(&c->notice.state); // NOTICE
	if (MQ_NOTICE_STATE(state) == MQ_NOTICE_ARMED && !blocked)
		fire(op);
	int woken = phi_wake(&c->note_event, INT_MAX);
	if (woken == 0 && MQ_NOTICE_STATE(load_relaxed_u32(&c->notice.state)) == MQ_NOTICE_IDLE)
		cas_acq_rel_u32(&c->watched, watched, 0);
}

// SPDX-License-Identifier: MIT
//
// Notification inside this room: the record (notice.c), the threads that watch for a process (watch.c),
// and registering (notify.c).
#ifndef PHI_MQ_WATCH_H
#define PHI_MQ_WATCH_H

#include "mq/queue.h"

// What a watching thread saw, all of it at one moment.
struct mq_sight {
	uint32_t event, arrivals;
	uint64_t tail;
	bool was_off; // senders did not ring until now
};

struct mq_watch {
	struct mq_queue *q;
	struct sigevent event;
	sigset_t mask;   // of the thread that registered, for SIGEV_THREAD
	bool once;       // the registration; else a subscription
	uint32_t notice; // the registration's state word, when armed
	int number;
	uint32_t stop, done;
	bool undecided; // a living sender may be about to deliver
	struct mq_sight seen;
	pthread_t thread;
	struct mq_watch *next;
};

#define MQ_SIGNALS 64 // the highest signal number

struct mq_sender {
	int32_t pid;
	uint32_t uid;
};

// notice.c. The record's lock, taken on duty: who dies inside leaves a registration for which its thread,
// woken through the deathword, looks itself. 0 or -errno.
int phi_mq_notice_lock(struct mq_op *op);
void phi_mq_notice_unlock(struct mq_op *op);
void phi_mq_notice_set(struct mq_queue *q, uint32_t word); // under that lock
siginfo_t phi_mq_notice_info(int signo, struct mq_sender from, uint64_t value);

// watch.c. From here on senders ring.
void phi_mq_watch_announce(struct mq_op *op, struct mq_sight *s);
// NULL: no memory. Free it, or start it.
struct mq_watch *phi_mq_watch_new(struct mq_op *op, const struct sigevent *ev, bool once);
int phi_mq_watch_start(struct mq_op *op, struct mq_watch *w);
// End those that `number` names (-1: whose thread is done): how many.
int phi_mq_watch_end(struct mq_queue *q, int number);

#endif

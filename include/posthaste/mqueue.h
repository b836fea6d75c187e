// SPDX-License-Identifier: MIT
//
// posthaste/mqueue.h - POSIX message queues in shared memory.
//
// The ten POSIX calls keep their prototypes, their types and their errors; what POSIX lacks follows
// in the same grammar: clocks, peeking, zero-copy loans, subscriptions, observation.
//
// What holds for every call of this header, unless it says otherwise:
//
//   result        0 or a count; -1 with errno set on failure, and then nothing was changed and no
//                 output parameter was written.
//   threads       thread-safe. Closing a descriptor while another thread is inside a call on it is
//                 the caller's race, as with any descriptor.
//   signals       not async-signal-safe (POSIX does not ask it). A handler that runs while its own
//                 thread sleeps in a call of this header may use the library; a handler that
//                 interrupts the short inner section of a call on the same queue gets EDEADLK.
//   fork          descriptors are shared with the child, O_NONBLOCK included, as POSIX says. Loans,
//                 the notification and subscriptions stay with the process that made them.
//   exec          descriptors are closed.
//   kill -9       at any instruction: the queue stays usable for everybody else, a message whose
//                 send returned is received exactly once, one whose send did not return is received
//                 once or not at all, and whoever waits goes on.
//   EBADMSG       the shared object is damaged: a peer with write permission scribbled on it,
//                 truncated it or punched it. Remedy: close, `posthaste rm`, create again.
//
//   EAGAIN        beyond what is said below: a call that must not block gives up after a second if a living
//                 process was stopped in the middle of a call and so holds the queue; one with a deadline
//                 gives up then or at the deadline, whichever is later, with ETIMEDOUT; plain blocking
//                 calls wait for it.
//   EMFILE, ENFILE, ENOSPC, EACCES  from sending and receiving: only on a queue that somebody polls, if the
//                 kernel object behind its descriptors cannot be opened here. Nothing was sent or taken.
//
// Names are "/name" with no further slash and at most NAME_MAX bytes after the first. The object is a
// file in the namespace directory (POSTHASTE_DIR, else /dev/shm/posthaste, else
// /dev/shm/posthaste-<uid>) and its permissions are the file's. Every use of a queue writes to it, so
// a permission class needs both r and w; one bit alone opens nothing (EACCES).
#ifndef POSTHASTE_MQUEUE_H
#define POSTHASTE_MQUEUE_H

#include <mqueue.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

// Priorities run from 0 to PH_MQ_PRIO_MAX - 1; the highest is received first.
#define PH_MQ_PRIO_MAX 32768U

// Open or create the queue NAME (POSIX mq_open).
//
// oflag is O_RDONLY, O_WRONLY or O_RDWR with any of O_CREAT, O_EXCL, O_NONBLOCK (O_CLOEXEC is
// implied). With O_CREAT follow mode_t mode (less the umask) and struct mq_attr *attr: mq_maxmsg in
// messages and mq_msgsize in bytes, any values the memory holds; NULL means what
// /proc/sys/fs/mqueue/msg_default and msgsize_default say (10 and 8192). All memory is reserved here:
// no later call can fail, or fault, for want of it.
//
// The result is a real file descriptor that poll, select and epoll understand: readable means a
// message is there, writable means there is room. See ph_mq_setpoll for the one exception.
//
// EACCES   no permission, or NAME holds a second slash
// EEXIST   O_CREAT|O_EXCL and NAME exists
// EINVAL   NAME does not begin with a slash; the queue is to be made and attr has a value that is not positive
// EMFILE, ENFILE  no descriptor left
// ENAMETOOLONG    NAME is longer than NAME_MAX bytes
// ENOENT   NAME does not exist and O_CREAT was not given, or NAME is "/"
// ENOMEM   the size overflows, or cannot be mapped
// ENOSPC   the file system of the namespace cannot hold it
// EBADMSG  NAME is there but is not a queue this version can use (other layout, truncated, damaged)
// EXDEV    the queue is in use from another pid namespace
// ELOOP    NAME is a symbolic link in the namespace directory
//
// Never blocks on a peer. Not a cancellation point.
mqd_t ph_mq_open(const char *name, int oflag, ...);

// Close a descriptor (POSIX mq_close). Frees its notification, its subscriptions and its loans: a
// reservation is dropped, a borrowed message goes back to its place in the queue.
//
// EBADF    mqdes is not an open queue
int ph_mq_close(mqd_t mqdes);

// Remove a name (POSIX mq_unlink). Open descriptors go on working; the memory goes with the last.
//
// EACCES   no permission
// ENAMETOOLONG, ENOENT, EINVAL  as for ph_mq_open
int ph_mq_unlink(const char *name);

// Send a message of msg_len bytes (0 to mq_msgsize) with priority msg_prio (POSIX mq_send,
// mq_timedsend). Sleeps while the queue is full, unless O_NONBLOCK; a receive, a signal, the deadline
// or a cancellation ends the sleep. abstime counts on CLOCK_REALTIME, and is looked at only when the
// call would block. A message whose send returned is seen by every receive that begins later.
//
// EAGAIN   full and O_NONBLOCK
// EBADF    mqdes is not a queue open for writing
// EINTR    a signal handler without SA_RESTART ran
// EINVAL   msg_prio is PH_MQ_PRIO_MAX or more; or it would block and abstime is not a valid time
// EMSGSIZE msg_len exceeds mq_msgsize
// ETIMEDOUT  the deadline passed
// EDEADLK  called from a signal handler that interrupted a call on the same queue
// EBADMSG  the queue is damaged
//
// Cancellation points.
int ph_mq_send(mqd_t mqdes, const char *msg_ptr, size_t msg_len, unsigned int msg_prio);
int ph_mq_timedsend(mqd_t mqdes, const char *msg_ptr, size_t msg_len, unsigned int msg_prio,
                    const struct timespec *abstime);

// The same with a deadline on `clock`: CLOCK_REALTIME or CLOCK_MONOTONIC (else EINVAL, if it would
// block). A NULL abstime means no deadline.
int ph_mq_clocksend(mqd_t mqdes, const char *msg_ptr, size_t msg_len, unsigned int msg_prio,
                    clockid_t clock, const struct timespec *abstime);

// Receive the oldest of the messages with the highest priority into msg_ptr, which has room for
// msg_len bytes (POSIX mq_receive, mq_timedreceive). The result is the message's length in bytes;
// its priority goes to *msg_prio if that is not NULL. Sleeps while the queue is empty, unless
// O_NONBLOCK; a send, a signal, the deadline or a cancellation ends the sleep.
//
// EAGAIN, EBADF (not open for reading), EINTR, EINVAL (abstime), ETIMEDOUT, EDEADLK, EBADMSG: as above
// EMSGSIZE msg_len is less than mq_msgsize
//
// Cancellation points.
ssize_t ph_mq_receive(mqd_t mqdes, char *msg_ptr, size_t msg_len, unsigned int *msg_prio);
ssize_t ph_mq_timedreceive(mqd_t mqdes, char *msg_ptr, size_t msg_len, unsigned int *msg_prio,
                           const struct timespec *abstime);
ssize_t ph_mq_clockreceive(mqd_t mqdes, char *msg_ptr, size_t msg_len, unsigned int *msg_prio,
                           clockid_t clock, const struct timespec *abstime);

// Copy out the message that a receive would take now, without taking it. Never blocks.
//
// EAGAIN   the queue is empty
// EBADF, EMSGSIZE, EDEADLK, EBADMSG: as for ph_mq_receive
ssize_t ph_mq_peek(mqd_t mqdes, char *msg_ptr, size_t msg_len, unsigned int *msg_prio);

// Register this process for one notification: a message that arrives at the empty queue while no
// receiver is blocked on it (POSIX mq_notify). The registration is used up by that, and freed when
// the descriptor is closed or the process ends, execs or is killed. NULL takes this process's
// registration back.
//
// SIGEV_NONE    nothing is sent; the registration is used up all the same
// SIGEV_SIGNAL  the signal carries si_code SI_MESGQ, the sender's si_pid and si_uid, and si_value
// SIGEV_THREAD  sigev_notify_function runs in a new thread (with sigev_notify_attributes)
//
// For the last two the library runs one thread of its own, with all signals blocked, while a
// registration lives. The signal is pending when the send returns if only the sender's own user may
// write to the queue; else that thread sends it, a moment later. If a sender is killed in the middle,
// the event comes once, twice, or in vain, but not never.
//
// EBADF    mqdes is not an open queue
// EBUSY    a living process is registered
// EINVAL   sigev_notify or sigev_signo is not valid
// ENOMEM   no memory or thread for the registration
int ph_mq_notify(mqd_t mqdes, const struct sigevent *notification);

// Subscribe to notifications, beyond POSIX: like ph_mq_notify, but for any number of subscribers, and
// not used up: each time a message arrives at the empty queue, blocked receivers or not, the event is
// delivered. Arrivals in quick succession may merge into one event, never into none; after a death one
// may come in vain. The result is a subscription number (from 0). SIGEV_SIGNAL and SIGEV_THREAD only.
//
// EBADF, EINVAL, ENOMEM: as for ph_mq_notify
int ph_mq_subscribe(mqd_t mqdes, const struct sigevent *event);

// End a subscription of this descriptor and process.
//
// EBADF    mqdes is not an open queue
// EINVAL   no such subscription
int ph_mq_unsubscribe(mqd_t mqdes, int subscription);

// Read a queue's attributes: mq_flags (0 or O_NONBLOCK), mq_maxmsg, mq_msgsize, mq_curmsgs (messages
// that a receive could take). POSIX mq_getattr.
//
// EBADF    mqdes is not an open queue
int ph_mq_getattr(mqd_t mqdes, struct mq_attr *attr);

// Set or clear O_NONBLOCK from attr->mq_flags; the previous attributes go to *old unless NULL. The
// flag belongs to the open description, which fork shares. POSIX mq_setattr.
//
// EBADF    mqdes is not an open queue
// EINVAL   attr->mq_flags holds anything but O_NONBLOCK
int ph_mq_setattr(mqd_t mqdes, const struct mq_attr *attr, struct mq_attr *old);

// Say whether somebody may wait for this descriptor with poll, select or epoll. There is rarely need:
// the library provides those functions itself and so learns of it, or, where it sees that the program
// does not use its versions (dlopen, sanitizers), assumes it from the start. Only a program that
// enters the kernel without libc (io_uring, a raw system call) has to call this with on = 1. A queue
// that nobody polls pays nothing; one that somebody polls pays a system call whenever it becomes
// empty, not empty, full or not full, until it is removed. on = 0 changes nothing: others may rely on it.
//
// EBADF    mqdes is not an open queue
// EMFILE, ENFILE, ENOSPC, EACCES  the kernel object behind the descriptor could not be made
int ph_mq_setpoll(mqd_t mqdes, int on);

// A message in place: memory of the queue itself, lent to this process.
struct ph_mq_loan {
	void *data;        // the message; on a cache line (64 bytes) if mq_msgsize exceeds 48
	size_t size;       // borrowed: its length; reserved: room, mq_msgsize; in bytes
	unsigned int prio; // borrowed: its priority
	uint32_t cell;     // which loan record stands for it
	uint64_t ticket;   // tells this loan from any earlier one of the same record
};

// Reserve room for a message, to fill in place and then ph_mq_commit. Takes none of the queue's depth
// and never blocks. If the holder dies, the room is reclaimed.
//
// EBADF    mqdes is not a queue open for writing
// ENOBUFS  every spare slot is reserved (a queue has 2 to 16, see struct ph_mq_info)
// EDEADLK, EBADMSG: as for ph_mq_send
int ph_mq_reserve(mqd_t mqdes, struct ph_mq_loan *loan);

// Send what stands in a reserved room: len bytes with priority prio, by handing over the room itself
// instead of copying. Blocks and fails as ph_mq_send does; the reservation is used up by success only.
//
// ESTALE   the loan is not (or no longer) this process's
int ph_mq_commit(mqd_t mqdes, struct ph_mq_loan *loan, size_t len, unsigned int prio);
int ph_mq_clockcommit(mqd_t mqdes, struct ph_mq_loan *loan, size_t len, unsigned int prio,
                      clockid_t clock, const struct timespec *abstime);

// Receive without copying: the message leaves the queue for other receivers, but stands in its slot,
// which counts against the depth, until ph_mq_release. If the borrower dies first, the message goes
// back to its place: it is delivered again rather than lost. Blocks and fails as ph_mq_receive does.
//
// ENOBUFS  PH_MQ_BORROWS messages of this queue are borrowed
#define PH_MQ_BORROWS 64
int ph_mq_borrow(mqd_t mqdes, struct ph_mq_loan *loan);
int ph_mq_clockborrow(mqd_t mqdes, struct ph_mq_loan *loan, clockid_t clock,
                      const struct timespec *abstime);

// Done with a borrowed message: it is gone, its slot is free.
//
// EBADF    mqdes is not an open queue
// ESTALE   the loan is not (or no longer) this process's
int ph_mq_release(mqd_t mqdes, struct ph_mq_loan *loan);

// Undo a loan: a reserved room is given back unsent, a borrowed message goes back to its place.
//
// EBADF, ESTALE: as for ph_mq_release
int ph_mq_cancel(mqd_t mqdes, struct ph_mq_loan *loan);

// What can be seen of a queue from outside, without a lock and without disturbing anybody. Values are
// a snapshot; each is from one read, they need not fit together while the queue is in use.
struct ph_mq_info {
	char name[264];                                // with the leading slash
	uint64_t maxmsg, msgsize;                      // depth in messages, size in bytes
	uint64_t curmsgs;                              // messages that a receive could take
	uint64_t borrowed, reserved;                   // loans outstanding
	uint64_t spares;                               // most reservations at once
	uint64_t sent, received;                       // messages since creation
	uint64_t bytes;                                // memory reserved for the object
	uint32_t receivers_asleep;                     // sleepers on the empty queue
	uint32_t senders_asleep;                       // sleepers on the full queue
	int32_t last_sender, last_receiver;            // pids, for display; 0 = none yet
	int64_t last_send_age_ms, last_receive_age_ms; // -1 = none yet
	int64_t created_s;                             // seconds since the epoch
	int32_t creator;                               // pid, for display
	int32_t notify_pid;                            // registered for notification; 0 = nobody
	uint32_t subscribers;                          // 1 = there may be some, 0 = none
	uint32_t polled;                               // 1 = somebody polls a descriptor of it
	uint32_t attached;                             // 1 = some process has it open
	uint32_t damaged;                              // 1 = the state contradicts itself
	uid_t uid;
	gid_t gid;
	mode_t mode;
};

// Look at the queue NAME. Takes no lock and writes nothing.
//
// EACCES, EBADMSG, EINVAL, ENAMETOOLONG, ENOENT: as for ph_mq_open (read permission is enough)
int ph_mq_info(const char *name, struct ph_mq_info *info);

#ifdef __cplusplus
}
#endif
#endif

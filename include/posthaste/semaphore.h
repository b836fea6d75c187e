// SPDX-License-Identifier: MIT
//
// posthaste/semaphore.h - POSIX semaphores, named and unnamed, and semaphores that know their holders.
//
// The calls of POSIX keep their prototypes, their type (the C library's sem_t) and their errors. What POSIX
// lacks follows in the same grammar: holders, several units at once, observation.
//
// What holds for every call of this header, unless it says otherwise:
//
//   result        0; -1 with errno set on failure, and then nothing was changed and no output was written.
//   threads       thread-safe. ph_sem_destroy and ph_sem_close are the caller's race with other calls on
//                 the same semaphore; but a thread that has just returned from a wait may destroy it
//                 although the post that let it through has not returned yet.
//   signals       ph_sem_post is async-signal-safe, ph_sem_trywait and ph_sem_getvalue are as well (for a
//                 semaphore with holders: where this process has taken units before). The others are not.
//   memory        what a process wrote before a post is seen by whoever takes that unit.
//   kill -9       at any instruction: a unit is never invented; a post that returned wakes somebody, however
//                 many sleepers and posters are killed. Without holders, units that a killed process has
//                 taken are gone, as POSIX has it; with holders they come back.
//   EBADMSG       the named object is damaged: a peer with write permission scribbled on it or truncated
//                 it. Remedy: close, `posthaste rm`, create again.
//
// Unnamed semaphores live in the caller's sem_t, private to a process or shared in memory that the caller
// maps. Names are those of sem_open(3): at most NAME_MAX bytes after a leading slash, which may be left out,
// and no further slash. The object is a file in the namespace directory (POSTHASTE_DIR, else
// /dev/shm/posthaste, else /dev/shm/posthaste-<uid>) with its permissions; every use writes to it, so a
// permission class needs both r and w.
#ifndef POSTHASTE_SEMAPHORE_H
#define POSTHASTE_SEMAPHORE_H

#include <semaphore.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

// For the oflag of ph_sem_open: create the semaphore with holders. Every unit that a process takes is
// written down as held by that process, every unit that it posts while it holds some as given back (units
// that it posts beyond are new ones). When the process ends, is killed, execs another program or closes
// the semaphore, the units that it holds come back at once, and whoever waits for them goes on. Threads of a
// process hold together. A forked child holds nothing.
#define PH_SEM_HOLDERS 0x10000000

// For the oflag of ph_sem_open, for this process: a wait whose unit may be one that came back from the dead
// fails with EOWNERDEAD, and has taken it all the same (as a robust mutex): look after what the dead process may
// have left half done. Every unit that came back is told of once, by some such wait; twice if the process
// that was told dies before it gives the unit back. An orderly ph_sem_close is not told of.
#define PH_SEM_OWNERDEAD 0x20000000

// The most units that a semaphore with holders can have. Without, it is SEM_VALUE_MAX.
#define PH_SEM_HOLDERS_VALUE_MAX 65535U

// The most processes that can have used one semaphore with holders at a time.
#define PH_SEM_HOLDERS_MAX 512

// Make *sem an unnamed semaphore of `value` units (POSIX sem_init). pshared 0: for the threads of this
// process; else for all processes that map the memory. All of the state is in *sem. A forked child has a copy of
// a private one, and the same shared one. Async-signal-safe.
//
// EINVAL   value exceeds SEM_VALUE_MAX
int ph_sem_init(sem_t *sem, int pshared, unsigned int value);

// End an unnamed semaphore on which nobody waits (POSIX sem_destroy). Later calls on it get EINVAL.
//
// EINVAL   *sem is not a semaphore, or a named one
int ph_sem_destroy(sem_t *sem);

// Open or create the semaphore NAME (POSIX sem_open). oflag is 0 or O_CREAT with O_EXCL or without, and the
// PH_SEM_* flags above; with O_CREAT follow mode_t mode (less the umask) and unsigned int value, the units at
// the beginning. All memory is reserved here. The same name opened twice in a process gives the same address,
// until it is unlinked and made anew.
//
// EACCES   no permission
// EEXIST   O_CREAT|O_EXCL and NAME exists
// EINVAL   value exceeds SEM_VALUE_MAX (with PH_SEM_HOLDERS: PH_SEM_HOLDERS_VALUE_MAX); NAME is empty or holds
//          a further slash; PH_SEM_HOLDERS, but NAME exists without holders
// EMFILE, ENFILE   no descriptor left (each open named semaphore has one)
// ENAMETOOLONG     NAME is longer than NAME_MAX bytes
// ENOENT   NAME does not exist and O_CREAT was not given
// ENOMEM, ENOSPC   no memory to map it; none left in the file system of the namespace
// EBADMSG  NAME is there but is not a semaphore this version can use (other layout, truncated, damaged)
// ENOBUFS  PH_SEM_HOLDERS_MAX processes use it already
// EAGAIN   with holders: a process was stopped in the middle of taking units back, for a second
// EXDEV    it is in use from another pid namespace
// ELOOP    NAME is a symbolic link in the namespace directory
//
// The result is SEM_FAILED on failure. Never blocks on a peer. Not a cancellation point. fork: the child may
// use and close it, too. exec: closed.
sem_t *ph_sem_open(const char *name, int oflag, ...);

// Close a named semaphore (POSIX sem_close): as often as it was opened. With the last, units that this
// process holds come back.
//
// EINVAL   sem is not an open named semaphore of this process
int ph_sem_close(sem_t *sem);

// Remove a name (POSIX sem_unlink). Who has it open goes on; the memory goes with the last.
//
// EACCES   no permission
// ENAMETOOLONG, ENOENT   as for ph_sem_open; a name that cannot be one does not exist
int ph_sem_unlink(const char *name);

// Take a unit; sleeps while there is none (POSIX sem_wait, sem_trywait, sem_timedwait, sem_clockwait). A post, a
// holder's death, a signal, the deadline or a cancellation ends the sleep. abstime counts on CLOCK_REALTIME
// (sem_clockwait: on `clock`, CLOCK_REALTIME or CLOCK_MONOTONIC) and is looked at only when the call would
// block. Sleepers are woken in no promised order, and a caller that finds a unit does not queue behind them.
//
// EAGAIN   ph_sem_trywait: there is none. With holders, at a forked child's first wait: a process was stopped in
//          the middle of taking units back, for a second
// EOVERFLOW  with holders: this process holds PH_SEM_HOLDERS_VALUE_MAX units. Who takes and never gives, as a
//          consumer does, wants a semaphore without holders
// EINTR    a signal handler without SA_RESTART ran
// EINVAL   sem is not a semaphore; or it would block and abstime or clock is not valid
// ETIMEDOUT  the deadline passed
// EOWNERDEAD the unit was taken, see PH_SEM_OWNERDEAD
// EBADMSG  the named semaphore is damaged
// ENOBUFS, ENOMEM, ENOSPC  with holders, at a forked child's first wait: it cannot become a holder
//
// Cancellation points, but for ph_sem_trywait. A thread cancelled asleep has taken nothing.
int ph_sem_wait(sem_t *sem);
int ph_sem_trywait(sem_t *sem);
int ph_sem_timedwait(sem_t *sem, const struct timespec *abstime);
int ph_sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *abstime);

// Give a unit, and wake a sleeper if there is any (POSIX sem_post). Never blocks.
//
// EINVAL   sem is not a semaphore
// EOVERFLOW  it has SEM_VALUE_MAX units (with holders: PH_SEM_HOLDERS_VALUE_MAX)
// EBADMSG  the named semaphore is damaged
int ph_sem_post(sem_t *sem);

// The units that are there now (POSIX sem_getvalue); 0 while somebody waits, never negative.
//
// EINVAL, EBADMSG: as above
int ph_sem_getvalue(sem_t *sem, int *sval);

// ---- holders, beyond POSIX ----

// Take `units` at once, or none: all-or-nothing, so that two who need several do not wait for each other's
// half. Sleeps until so many are there; many single takers can keep a large one waiting. abstime NULL: no
// deadline. A deadline in the past makes it a try, ETIMEDOUT. Errors as ph_sem_clockwait, and
//
// EINVAL   units is 0 or more than PH_SEM_HOLDERS_VALUE_MAX, or the semaphore has no holders
//
// A cancellation point.
int ph_sem_take(sem_t *sem, unsigned int units, clockid_t clock, const struct timespec *abstime);

// Give `units` at once: what this process holds first, the rest as new ones. Errors as ph_sem_post, and
// EINVAL as above. Async-signal-safe.
int ph_sem_give(sem_t *sem, unsigned int units);

// The units that this process holds: a count, or -1 with EINVAL (no holders) or EBADMSG.
int ph_sem_held(sem_t *sem);

// ---- looking, beyond POSIX ----

struct ph_sem_holder {
	pid_t pid;
	unsigned int units;
	int dead; // its units are about to come back
};

struct ph_sem_waiter {
	pid_t pid, tid;
	unsigned int units; // that it waits for
	int64_t since_ns;   // CLOCK_MONOTONIC
};

struct ph_sem_info {
	unsigned int value;
	int holders;       // whether it has holders
	uint64_t returned; // units that came back from the dead since it was made
	pid_t last_dead;   // whose the last were; 0 = none yet
	pid_t creator;
	int64_t created_s; // CLOCK_REALTIME, seconds
	size_t held_count, waiter_count;
	struct ph_sem_holder held[PH_SEM_HOLDERS_MAX];
	struct ph_sem_waiter waiter[32]; // who sleeps there
};

// Look at the semaphore NAME from outside, without a trace; read permission is enough. Fills *info. The parts
// are each right at some moment of the call, not all at the same one.
//
// EACCES, EBADMSG, EINVAL, ENAMETOOLONG, ENOENT: as for ph_sem_open
int ph_sem_info(const char *name, struct ph_sem_info *info);

#ifdef __cplusplus
}
#endif
#endif

// SPDX-License-Identifier: MIT
//
// The private side of signals: this process's port and inbox, what a thread is at, the ports of others. What is in
// shared memory stands in signal/layout.h. Reading order: send.c, inbox.c, collect.c, deliver.c, take.c.
#ifndef PHI_SIGNAL_PORT_H
#define PHI_SIGNAL_PORT_H

#include "base/self.h"
#include "core/region.h"
#include "signal/layout.h"
#include "sync/lock.h"
#include "sync/mark.h"
#include "sync/spin.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

#define SIGNAL_PREFIX "sig."
#define SIGPORT_PREFIX "port."

// ---- records in three words (layout.h: `newest`) ----

#define SIGNAL_NEWEST_WORDS 3

static inline uint64_t signal_newest_word(const struct signal_record *r, int i)
{
	const uint64_t words[SIGNAL_NEWEST_WORDS] = {r->value,
	                                             (uint64_t)r->uid << 32 | (uint32_t)r->pid,
	                                             (uint64_t)r->signo << 32 | (uint32_t)r->code};
	return words[i];
}

// What a call does inside is no business of the program's errno: it is as before at the end of the block.
static inline void phi_put_errno(const int *saved)
{
	errno = *saved;
}

#define PHI_KEEP_ERRNO const int kept_errno __attribute__((cleanup(phi_put_errno), unused)) = errno

// ---- what a thread is at ----

struct signal_self {
	uint32_t busy; // inside this room: a stub that comes now hands its signal back to the kernel
	uint32_t remasked;   // the mask was changed by a call; a running batch puts it right again
	uint64_t deferred;   // signals that were handed back, and are blocked until `busy` ends
	uint64_t owed;       // signals of which a batch has more, while its handler runs
	uint32_t handling;   // the signal whose handler runs
	uint32_t generation; // of the process in which `shown` was claimed
	struct signal_thread *shown;
};

extern __thread struct signal_self phi_signal_self;

// Between these, no handler of ours runs in this thread.
static inline void phi_signal_enter(void)
{
	struct signal_self *t = &phi_signal_self;
	store_relaxed_u32(&t->busy, t->busy + 1);
	compiler_barrier();
}

void phi_signal_undefer(void);

static inline void phi_signal_leave(void)
{
	struct signal_self *t = &phi_signal_self;
	compiler_barrier();
	store_relaxed_u32(&t->busy, t->busy - 1);
	compiler_barrier();
	if (__builtin_expect(load_relaxed_u64(&t->deferred) != 0 && t->busy == 0, 0))
		phi_signal_undefer();
}

// ---- the inbox: what this process has accepted ----
//
// Private memory, under one lock, entered with phi_inbox_lock. No pointer or number in it comes from a peer unchecked.

void phi_inbox_lock(void);
void phi_inbox_unlock(void);

// Make room for `depth` queued signals: 0, -ENOMEM, -EBUSY.
int phi_inbox_size(uint32_t depth);

// Under the lock: what has come into the port; a signal that came from the kernel (false: no room).
void phi_inbox_drain(void);
bool phi_inbox_accept(const siginfo_t *info);

// The same for what the kernel has pending of these signals for this thread or its process. False: there may be more, but no
// room for it.
bool phi_inbox_adopt(uint64_t signals);
// Whether a signal from the kernel is but a bell, which has been heard now.
bool phi_inbox_hears(const siginfo_t *info);
bool phi_inbox_has_child(pid_t pid);

// Signals that are here: one bit each. Without the lock a hint.
uint64_t phi_inbox_pending(void);
// Queued ones of a number; the lowest of a set, 0 = none.
uint32_t phi_inbox_count(int signo);
int phi_inbox_lowest(uint64_t set);
// Take the first of a number, which is pending.
void phi_inbox_pop(int signo, siginfo_t *info);
void phi_inbox_discard(int signo);
const void *phi_payload_of(const siginfo_t *info, size_t *bytes);

void phi_inbox_hold(void);
void phi_inbox_let_go(bool child);

// ---- this process's port ----

struct signal_peer {
	struct phi_region region;
	struct signal_port *port;
	uint64_t id;
	int32_t pid;
	int pidfd; // -1: none to be had
	uint32_t users;
	uint32_t mark;  // what the owner's mark said at the last look that found it alive
	uint64_t taken; // as seen when the queue looked full last; the port's lock
	bool own;
	uint32_t kernel_sends; // of this process, as of its last signal to this port; the port's lock
	struct signal_peer *next;
};

struct signal_own {
	struct phi_region region;
	struct signal_port *port;
	struct phi_mark mark;
	struct phi_spin spin;
	int32_t pid;
	uint32_t depth;     // private copies: the inbox lock
	uint32_t ring_mask; // "
	bool leaving;       // the port's lock is held while all that is here goes to the kernel
	bool payloads;      // memory for them is reserved
	uint64_t drained;   // under the inbox lock
	uint64_t promised;  // a signal from the kernel comes behind so many records; "
	uint64_t
		looked; // the tail that was last seen: behind `drained` lies what there is no room for; "
	uint64_t quiet, caught, asleep, queueing; // what the port should say; under the inbox lock
	uint8_t in_vain[SIGNAL_NUMBERS]; // bells of each that may come when all is heard already; "
	uint64_t handed_on;              // a bell of this process's own is on its way to who sleeps; "
	uint64_t kernels;  // in a signalfd: the kernel's business, whatever else is said of them; "
	uint64_t orphaned; // a dead sender may have committed these and not rung; the port's lock
	bool in_doubt;     // `asleep` was published beside somebody who is stopped in the lock
	uint64_t belled;   // in a descriptor that tells of the port: always a bell; \"
	uint32_t sleepers[SIGNAL_NUMBERS]; // threads asleep for each; "
	struct signal_peer self;           // for signals to oneself
};

// The port, or NULL: this process has none (yet).
extern uintptr_t phi_own_port; // struct signal_own *
static inline struct signal_own *phi_own(void)
{
	struct signal_own *own = (struct signal_own *)load_acquire_ptr(&phi_own_port); // SIGNAL_OWN
	return own == NULL || load_relaxed_u32(&own->region.damaged) ? NULL : own;
}
// The same, made if it can be; not async-signal-safe, and not within phi_signal_enter.
struct signal_own *phi_own_make(void);
int phi_own_depth(int depth);
int phi_own_payloads(void);

// The port's lock: false where a sender is stopped inside it, and does not come out for a while.
bool phi_own_lock(struct signal_own *own, struct phi_hold *h);
void phi_own_unlock(struct signal_own *own, struct phi_hold *h);
void phi_own_publish_locked(struct signal_own *own);

// Under the inbox lock. Publish what senders judge by, after a change of the private copies. With the port's lock, or
// after a while without it if a sender is stopped inside.
void phi_own_publish(struct signal_own *own);
// The bell has been heard: senders must ring again, and what they rang for is in the queue. How many were outstanding.
uint32_t phi_own_heard(struct signal_own *own, int signo);
// Signals of which a bell may be in the kernel.
uint64_t phi_own_bells(const struct signal_own *own);
// Whether one of these is outstanding.
bool phi_own_rung(const struct signal_own *own, uint64_t signals);
// Publish `asleep` unless something has come to the port meanwhile: true if it is published.
bool phi_own_asleep(struct signal_own *own);

// What this thread shows to onlookers, or NULL.
struct signal_thread *phi_own_thread(void);

// The process is about to become another program (everything that is pending goes to the kernel), or did not.
void phi_signal_leaving(void);
void phi_signal_stayed(void);

// ---- bells ----
//
// A bell is the kernel's signal with the first record's own siginfo and, behind the fields that programs know, a word
// that only this room looks at.

#define SIGNAL_KERNEL_BYTES 48 // of a siginfo_t, as the kernel fills it

void phi_bell_make(siginfo_t *info, const struct signal_record *rec);
bool phi_bell_is(const siginfo_t *info);
// What a signal that goes by the kernel says of its place among those of the same sender.
struct signal_seen {
	uint32_t records;  // in the target's queue, as its sender saw it: signal_seen_word
	uint32_t sequence; // among all that he has sent by the kernel; 0 = he knows of no queue
};

// The end of `tail`, and which queue it is of: by the time that it looks a process may have another one, after an exec.
#define SIGNAL_SEEN_MASK 0xffffffu
static inline uint32_t signal_seen_word(uint64_t tail, uint64_t id)
{
	return ((uint32_t)tail & SIGNAL_SEEN_MASK) | (uint32_t)id << 24;
}

// A siginfo that goes by the kernel to the whole process says so: one of SI_QUEUE, or of SI_USER to a process whose library
// looks for it.
void phi_bell_mark_process(siginfo_t *info, const struct signal_seen *seen);
// False: it does not say.
bool phi_bell_seen(const siginfo_t *info, struct signal_seen *seen);
// As it is to be shown to the program. One that has no mark is left as it is.
void phi_bell_unmark(siginfo_t *info);
// Was this one sent to one thread alone? The kernel does not tell: what somebody else in this process has queued is
// taken to be.
bool phi_bell_is_threads(const siginfo_t *info);
// Without its siginfo, which the kernel had no room to keep: a bell, or somebody's kill.
bool phi_bell_may_be(const siginfo_t *info);
// Whether this process has rung itself without siginfo, and not heard it yet. It has now.
bool phi_bell_was_bare(int signo);
// Ring this process itself.
void phi_bell_self(int signo);
// Give a signal back to the kernel, for the process, with all that is known of it: false if it would not take it.
bool phi_bell_return(const siginfo_t *info);
// Whether this kernel hands such a word on (an emulator does not).
bool phi_bell_works(void);

// ---- the ports of others ----

enum phi_peer_effort {
	PHI_PEER_KNOWN, // only if it is open already: async-signal-safe
	PHI_PEER_TRY,   // but not again right after it was looked up in vain
	PHI_PEER_LOOK,
};

// The port of a process, to be given back; NULL: it has none that we may use.
struct signal_peer *phi_peer_get(pid_t pid, enum phi_peer_effort effort);
void phi_peer_put(struct signal_peer *p);

// ---- sending ----

struct signal_message {
	struct signal_record record;
	const void *payload;
	bool to_port; // through a named port: never by the kernel's queue
};

// 0; -EAGAIN: the queue is full; -ENOTSUP: the kernel's business, and nothing was done; else what the kernel said.
// With `only_look` nothing is sent: 0 it would be.
int phi_signal_push(struct signal_peer *p, const struct signal_message *m, bool only_look);

// POSIX's kill (SI_USER) and sigqueue (SI_QUEUE) to one process.
int phi_signal_send(pid_t pid, int signo, int code, union sigval value);

// The calling process as senders are told of: its real user, as of a short while ago.
uid_t phi_sender_uid(void);

// The process that a signal tells of; 0 = none, as of a timer's.
static inline int32_t phi_sender_of(const siginfo_t *info)
{
	bool by_process = info->si_code == SI_USER || info->si_code == SI_QUEUE ||
	                  info->si_code == SI_TKILL || info->si_signo == SIGCHLD;
	return by_process ? info->si_pid : 0;
}

// ---- dispositions ----

enum signal_kind { SIGNAL_DEFAULT, SIGNAL_IGNORE, SIGNAL_HANDLER };

// Flags of posthaste/signal.h, which the rooms do not include.
#define SIGNAL_SAFEPOINT 0x00010000
#define SIGNAL_QUEUE 0x00020000

struct signal_disposition {
	struct sigaction user;
	enum signal_kind kind;
};

// A copy, from anywhere.
struct signal_disposition phi_disposition(int signo);
// Under the inbox lock: SA_RESETHAND has happened; has happened for nothing.
void phi_disposition_reset(int signo);
void phi_disposition_reinstall(int signo);

void phi_signal_stub(int signo, siginfo_t *info, void *context);

int phi_signal_action(int signo, const struct sigaction *act, struct sigaction *old);

// Of a child that has ended, whether the kernel has merged its SIGCHLD or not: into the inbox. Under its lock.
void phi_children_gather(void);

// Call a program's handler.
void phi_handler_call(const struct sigaction *a, int signo, siginfo_t *info, void *context);
// Under the inbox lock: what is here of a signal without a handler becomes the kernel's, or nothing.
void phi_signal_give_back(int signo);

// ---- the mask ----

uint64_t phi_mask_of(const sigset_t *set);
void phi_mask_to(uint64_t mask, sigset_t *set);
// The kernel's mask of this thread.
uint64_t phi_mask_now(void);
// These are about to be unblocked: what is pending of them here becomes the kernel's.
void phi_signal_unblocking(uint64_t signals);
int phi_signal_mask(int how, const sigset_t *set, sigset_t *old);
int phi_signal_pending(sigset_t *set);
int phi_signal_suspend(const sigset_t *mask);

// ---- waiting ----

// The signal's number, or -EAGAIN, -EINTR, -EINVAL.
int phi_signal_take(const sigset_t *set, siginfo_t *info, const struct timespec *timeout);

// signalfd; with `port` the signals stay in the port, and the descriptor only tells of them.
int phi_signal_descriptor(int fd, const sigset_t *set, int flags, bool port);

#endif

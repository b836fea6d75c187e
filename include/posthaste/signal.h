// SPDX-License-Identifier: MIT
//
// posthaste/signal.h - POSIX signals: sending, handling, waiting; handlers at safe points; named ports.
//
// The calls of POSIX keep their prototypes, their types and their errors. What POSIX lacks follows in the same
// grammar. docs/signal.md has the protocol.
//
// Who carries a signal. Queued signals (SIGRTMIN to SIGRTMAX, and others with PH_SA_QUEUE) to a process that
// catches them, or waits for them by ph_sigwait and its relatives, go through memory that the processes share:
// the process's *port*, a file sig.PID in the namespace directory. The kernel's signal of the same number is
// then the bell, rung once for many. Everything else is the kernel's own signal: standard signals to a handler
// or with their default action, process groups, processes without this library or of other users, timers,
// terminals, faults. Handlers are run by the kernel in any case: masks, nesting, alternate stacks, SA_RESTART
// and wait statuses are its own.
//
// What holds for every call of this header, unless it says otherwise:
//
//   result        0; -1 with errno set on failure, and then nothing was changed and no output was written.
//   threads       thread-safe. A signal to the process goes to any of its threads that does not block it.
//   signals       async-signal-safe: those that POSIX lists (ph_kill, ph_sigqueue, ph_raise, ph_sigaction,
//                 ph_sigprocmask, ph_sigpending, ph_sigsuspend, ph_pause, ph_alarm, the sets). The first send
//                 of a process to another one from inside a handler goes through the kernel.
//   fork          as POSIX: the child keeps dispositions and mask, nothing is pending in it. It has no port
//                 until it calls one of these; signals reach it through the kernel.
//   exec          as POSIX: handled signals are reset, ignored ones stay so, the mask and what is pending are kept.
//   kill -9       a sender that is killed has sent or has not; nobody is left asleep beside a signal that
//                 was sent. A receiver that is killed takes its port with it; a sender gets ESRCH.
//   privilege     as kill(2): whoever may not open the port asks the kernel, which judges.
//   mixing        with the C library's own calls is harmless: a signal that they send or handle is the kernel's.
#ifndef POSTHASTE_SIGNAL_H
#define POSTHASTE_SIGNAL_H

#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

// ---- flags of sa_flags beyond POSIX ----

// The handler runs at safe points only: when a call of this library returns in the thread that got the signal,
// or in ph_sigdispatch. It may then call anything. A call of the library that sleeps is interrupted: it fails
// with EINTR after the handler, or, with SA_RESTART, goes on. Other system calls are interrupted as without
// SA_RESTART. A fault (SIGSEGV and its like raised by the processor) is delivered at once.
#define PH_SA_SAFEPOINT 0x00010000

// Standard signals of this number queue as real-time ones do, each with its value, instead of merging, when they
// are sent through this library. For SIGCHLD: the handler runs once for every child that has ended, also when
// the kernel has merged their signals, with the siginfo_t of that child. It then must wait for that child (by
// si_pid), or another run may tell of it again.
#define PH_SA_QUEUE 0x00020000

// ---- sending ----

// Send a signal to a process, a group, everybody (POSIX kill). pid > 0: that process; 0: the caller's group; -1:
// every process that the caller may signal; else the group -pid. sig 0 asks only. Returns when the signal is
// pending; never blocks on the receiver, and is never refused for want of room: what finds the receiver's queue full
// becomes pending in the kernel, where a standard signal merges with one of its number.
//
// EINVAL   not a signal
// EPERM    no permission to signal any of them
// ESRCH    no such process or group
int ph_kill(pid_t pid, int sig);
int ph_killpg(pid_t pgrp, int sig);

// Send a signal with a value (POSIX sigqueue). Errors as ph_kill, and
//
// EAGAIN   a signal that queues (real-time, PH_SA_QUEUE), and the receiver's queue is full (ph_sigqueue_depth)
int ph_sigqueue(pid_t pid, int sig, union sigval value);

// Send a signal to the calling thread, or to one of this process's (POSIX raise, pthread_kill; pthread_sigqueue).
// A signal that is not blocked is delivered before ph_raise returns. The results of the latter two are error numbers.
int ph_raise(int sig);
int ph_pthread_kill(pthread_t thread, int sig);
int ph_pthread_sigqueue(pthread_t thread, int sig, union sigval value);

// End with SIGABRT, whatever handles it (POSIX abort).
void ph_abort(void) __attribute__((noreturn));

// SIGALRM, SIGVTALRM and SIGPROF from the kernel's timers (POSIX alarm, setitimer, getitimer).
unsigned int ph_alarm(unsigned int seconds);
int ph_setitimer(int which, const struct itimerval *value, struct itimerval *old);
int ph_getitimer(int which, struct itimerval *value);

// ---- handling ----

// Look at and change what a signal does (POSIX sigaction). act and old may be NULL. sa_flags: SA_NOCLDSTOP,
// SA_NOCLDWAIT, SA_NODEFER, SA_ONSTACK, SA_RESETHAND, SA_RESTART, SA_SIGINFO, PH_SA_SAFEPOINT, PH_SA_QUEUE.
// A handler gets the kernel's context as its third argument; at a safe point that is NULL. Of several pending
// signals the lowest number is delivered first. Ignoring a signal discards what is pending.
//
// EINVAL   not a signal; SIGKILL or SIGSTOP; PH_SA_QUEUE or PH_SA_SAFEPOINT without a handler
int ph_sigaction(int sig, const struct sigaction *act, struct sigaction *old);

typedef void (*ph_sighandler_t)(int);

// The same with SA_RESTART (POSIX signal as the BSDs have it): the previous handler, or SIG_ERR.
ph_sighandler_t ph_signal(int sig, ph_sighandler_t handler);

// Whether calls are interrupted by this signal's handler (POSIX siginterrupt).
int ph_siginterrupt(int sig, int flag);

// Where handlers with SA_ONSTACK run (POSIX sigaltstack).
int ph_sigaltstack(const stack_t *stack, stack_t *old);

// The calls of System V (POSIX, XSI): set a disposition (or SIG_HOLD), block, unblock, ignore, wait for one.
ph_sighandler_t ph_sigset(int sig, ph_sighandler_t disposition);
int ph_sighold(int sig);
int ph_sigrelse(int sig);
int ph_sigignore(int sig);
int ph_sigpause(int sig);

// Jump out of a handler (POSIX siglongjmp, longjmp): further signals of a batch that the handler was called for
// are delivered as soon as they are not blocked any more. A plain longjmp leaves them pending until the next
// signal of that number, or the next call of ph_sigprocmask, ph_sigpending or ph_sigdispatch.
void ph_siglongjmp(sigjmp_buf env, int value) __attribute__((noreturn));
void ph_longjmp(jmp_buf env, int value) __attribute__((noreturn));

// Run the handlers with PH_SA_SAFEPOINT whose signals have come in this thread: how many. Not to be called in a handler.
int ph_sigdispatch(void);

// ---- the mask, and what is pending ----

// Look at and change which signals this thread blocks (POSIX sigprocmask, pthread_sigmask: the latter returns an
// error number). Pending signals that are unblocked by it are delivered before it returns, at least one.
//
// EINVAL   `how` is not SIG_BLOCK, SIG_UNBLOCK or SIG_SETMASK
int ph_sigprocmask(int how, const sigset_t *set, sigset_t *old);
int ph_pthread_sigmask(int how, const sigset_t *set, sigset_t *old);

// The signals that are pending for this thread or its process, and blocked (POSIX sigpending).
int ph_sigpending(sigset_t *set);

int ph_sigemptyset(sigset_t *set);
int ph_sigfillset(sigset_t *set);
int ph_sigaddset(sigset_t *set, int sig);
int ph_sigdelset(sigset_t *set, int sig);
int ph_sigismember(const sigset_t *set, int sig);

// ---- waiting ----

// Wait for a handler to have run, with another mask or with this one (POSIX sigsuspend, pause): -1, EINTR. The mask
// is as before afterwards. Cancellation points.
int ph_sigsuspend(const sigset_t *mask);
int ph_pause(void);

// Take a pending signal of the set, which this thread blocks, as do all others (POSIX sigwait, sigwaitinfo,
// sigtimedwait). Sleeps while there is none; the lowest number comes first. timeout is relative, NULL = none.
// ph_sigwait returns an error number and goes on after handlers; the others return the signal's number.
// Cancellation points. A signal that a thread has once waited for here is taken for blocked in the whole
// process, until a thread unblocks it by ph_sigprocmask or ph_sigsuspend.
//
// EAGAIN   the time has passed
// EINTR    a handler ran
// EINVAL   timeout is not one, and the call would block
int ph_sigwait(const sigset_t *set, int *sig);
int ph_sigwaitinfo(const sigset_t *set, siginfo_t *info);
int ph_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout);

// A descriptor from which the process's blocked pending signals of the set are read, and which can be polled
// (signalfd(2)). fd -1: a new one; else give this one another set. flags: SFD_CLOEXEC, SFD_NONBLOCK, PH_SFD_PORT. Queued
// signals of the set go through the kernel from then on. With PH_SFD_PORT they stay in the port, with their depth and
// payloads: the descriptor only says that some are there, and they are taken by ph_sigtimedwait with a timeout of
// zero, until that says EAGAIN. Errors as signalfd(2).
#define PH_SFD_PORT 0x10000000
int ph_signalfd(int fd, const sigset_t *set, int flags);

// ---- the queue ----

// The depth of this process's queue: how many queued signals may be pending (default 4096, or what
// POSTHASTE_SIGQUEUE says). depth > 0 sets it, up to PH_SIGQUEUE_DEPTH_MAX; 0 asks. The result is the depth before,
// or -1:
//
// EINVAL   depth is negative or too large
// ENOSPC   no memory left in the file system of the namespace
// EBUSY    more signals than that are pending
// ENOTSUP  no port can be had here (no namespace directory, another emulated system): the kernel's queue is used
#define PH_SIGQUEUE_DEPTH_MAX 1048576
int ph_sigqueue_depth(int depth);

// ---- named ports ----

// Signals to a name instead of a number. Processes join a port for a set of signals; who signals the port reaches
// every process that has joined it for that signal, catches it or waits for it. A port is a file port.NAME in the
// namespace directory; its mode says who may join and send, and needs both r and w. It goes with its last member.
// Names as for ph_mq_open. A member that is killed has left.
#define PH_SIGPORT_PAYLOAD_MAX 64
#define PH_SIGPORT_MEMBERS_MAX 128

// Join the port NAME, making it with `mode` if it is not there; again with another set: instead of the one before.
//
// EACCES   no permission, or a name with a further slash
// EINVAL, ENAMETOOLONG, ENOENT   not a name; the set is empty or has SIGKILL or SIGSTOP in it
// ENOBUFS  PH_SIGPORT_MEMBERS_MAX processes have joined it
// EBADMSG  NAME is there but is not a port that this version can use
// EXDEV    it is in use from another pid namespace
// ENOSPC, ENOMEM, EMFILE, ENFILE   no memory, no descriptor (a joined port has one)
// ENOTSUP  no port can be had here, see ph_sigqueue_depth
int ph_sigport_join(const char *name, const sigset_t *set, mode_t mode);

// Leave it. ENOENT: not joined.
int ph_sigport_leave(const char *name);

// Signal the port: `sig` with `value`, and for a queued signal up to PH_SIGPORT_PAYLOAD_MAX bytes (bytes 0: none).
// The result is how many processes have it now. All of them or, on failure, none, but for members that fill up, leave or
// die in this moment.
//
// EAGAIN   a member's queue is full
// EINVAL   not a signal; too many bytes, or a payload with a signal that is not a queued one; not a name
// ESRCH    nobody listens: no port of this name, no member, or none that takes this signal now
// EACCES, EBADMSG, EXDEV   as ph_sigport_join
int ph_sigport_send(const char *name, int sig, union sigval value, const void *payload,
                    size_t bytes);

// The payload of a signal that came through a port, from the siginfo_t as the handler or ph_sigwaitinfo got it: its
// address inside *info and its length, or NULL. Async-signal-safe.
const void *ph_siginfo_payload(const siginfo_t *info, size_t *bytes);

// ---- observation ----

struct ph_signal_thread {
	int tid;
	int waiting;      // asleep in ph_sigwait and its relatives, for `set`
	int handling;     // the signal whose handler runs, or 0
	uint64_t blocked; // bit n - 1 for signal n
	uint64_t set;
	int64_t since_ns; // CLOCK_MONOTONIC, when it fell asleep
};

struct ph_signal_info {
	int pid;
	uid_t uid;                // the port's owner
	int depth;                // of the queue
	int queued;               // signals in it
	uint64_t pending;         // SigPnd and ShdPnd together: bit n - 1 for signal n
	uint64_t ignored;         // SigIgn
	uint64_t caught;          // SigCgt
	uint64_t taken_here;      // waited for by ph_sigwait and its relatives
	uint64_t sent;            // through the port, since it was made
	uint64_t refused;         // because the queue was full
	int last_pid, last_signo; // who sent last through the port, and what; 0 = nobody yet
	uid_t last_uid;
	int64_t last_ns; // CLOCK_MONOTONIC, at the resolution of the kernel's tick
	struct ph_signal_action {
		uint64_t mask;
		uint32_t flags;
		uint32_t kind; // 0 default, 1 ignore, 2 handler
	} action[65];
	int threads;
	struct ph_signal_thread thread[64]; // those that have used this library for signals
};

// Look at a process's port from outside, without a lock and without its help. ENOENT: it has none. Else as
// opening a file: EACCES, EBADMSG, ...
int ph_signal_info(pid_t pid, struct ph_signal_info *info);

struct ph_sigport_member {
	int pid;
	int alive;
	uint64_t set; // bit n - 1 for signal n
};

struct ph_sigport_info {
	uint64_t sent;
	int members;
	struct ph_sigport_member member[PH_SIGPORT_MEMBERS_MAX];
};

int ph_sigport_info(const char *name, struct ph_sigport_info *info);

#ifdef __cplusplus
}
#endif
#endif

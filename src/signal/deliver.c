// SPDX-License-Identifier: MIT
//
// The handler that the kernel calls for every signal with a handler of the program's. It runs in the context that
// the kernel has made: the mask is the one that POSIX wants, the stack the one that was asked for, an interrupted
// system call is restarted or not. What is left to do is to find out what was sent, and to call the program's handler
// once for each.
//
// A bell stands for all signals of its number that are in the queue when it is heard: these are the batch. Later ones have
// a bell of their own, so none is looked for here.
//
// Where the thread was inside this room (`busy`), nothing can be looked at. The signal goes back to the kernel, for this
// thread, and is blocked until the room is left: then it comes again.
#include "signal/port.h"

#include "base/call.h"
#include "core/record.h"
#include "signal/safepoint.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define KERNEL_SIGSET_BYTES 8

static uint64_t mask_in(const ucontext_t *context)
{
	return phi_mask_of(&context->uc_sigmask);
}

static void block_in(ucontext_t *context, int signo)
{
	sigaddset(&context->uc_sigmask, signo);
}

// ---- while the thread is busy ----

static void defer(int signo, siginfo_t *info, ucontext_t *context)
{
	struct signal_self *t = &phi_signal_self;
	struct phi_self *self = phi_self();
	block_in(context, signo);
	store_relaxed_u64(&t->deferred, t->deferred | SIGNAL_BIT(signo));
	if (syscall(SYS_rt_tgsigqueueinfo, self->pid, self->tid, signo, info) != 0)
		syscall(SYS_kill, self->pid,
		        signo); // its queue is full: a kill, without siginfo, it always takes
}

void phi_signal_undefer(void)
{
	struct signal_self *t = &phi_signal_self;
	uint64_t signals = t->deferred;
	store_relaxed_u64(&t->deferred, 0);
	syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &signals, NULL, KERNEL_SIGSET_BYTES);
}

// ---- calling the program's handler ----

void phi_handler_call(const struct sigaction *a, int signo, siginfo_t *info, void *context)
{
	struct signal_self *t = &phi_signal_self;
	uint32_t outer = t->handling;
	store_relaxed_u32(&t->handling, (uint32_t)signo);
	PHI_PROBE(handler, phi_record_signal(phi_sender_of(info), signo), 0);
	phi_record(RECORD_handler, phi_record_signal(phi_sender_of(info), signo), 0);
	if (t->shown != NULL)
		store_relaxed_u32(&t->shown->handling, (uint32_t)signo);
	if (a->sa_flags & SA_SIGINFO)
		a->sa_sigaction(signo, info, context);
	else
		a->sa_handler(signo);
	store_relaxed_u32(&t->handling, outer);
	if (t->shown != NULL)
		store_relaxed_u32(&t->shown->handling, outer);
}

// Back to the mask that the kernel called the stub with, after a handler that has changed it. It cannot be told from
// the frame: inside sigsuspend that has the mask of before.
static void remask(uint64_t mask)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, KERNEL_SIGSET_BYTES);
	store_relaxed_u32(&phi_signal_self.remasked, 0);
}

// ---- one that stands for itself ----

// The processor's word on what the thread just did: at once, whatever it was in.
static bool is_fault(int signo, const siginfo_t *info)
{
	bool may = signo == SIGSEGV || signo == SIGBUS || signo == SIGFPE || signo == SIGILL ||
	           signo == SIGTRAP || signo == SIGSYS;
	return may && info->si_code > 0;
}

static void reset(int signo)
{
	if (phi_signal_self.busy != 0) // a fault in the room itself
		return;
	phi_inbox_lock();
	phi_disposition_reset(signo);
	phi_inbox_unlock();
}

static void call_once(int signo, siginfo_t *info, void *context)
{
	struct signal_disposition d = phi_disposition(signo);
	if (d.kind != SIGNAL_HANDLER)
		return; // changed while this was on its way
	if (d.user.sa_flags & SA_RESETHAND)
		reset(signo);
	phi_bell_unmark(info);
	phi_handler_call(&d.user, signo, info, context);
}

// ---- a batch ----

void phi_signal_give_back(int signo)
{
	siginfo_t info;
	bool ignored = phi_disposition(signo).kind == SIGNAL_IGNORE;
	while (phi_inbox_count(signo) > 0) {
		phi_inbox_pop(signo, &info);
		if (!ignored)
			phi_bell_return(&info);
	}
}

// Under the lock: false if there is no room. The end of a child that queues stands for all that the kernel has merged with it.
static bool accept(const siginfo_t *info)
{
	struct signal_own *own = phi_own();
	bool ended =
		info->si_code == CLD_EXITED || info->si_code == CLD_KILLED || info->si_code == CLD_DUMPED;
	if (info->si_signo != SIGCHLD || own == NULL || !(own->queueing & SIGNAL_BIT(SIGCHLD)))
		return phi_inbox_accept(info);
	bool accepted = ended || phi_inbox_accept(info);
	phi_children_gather();
	return accepted;
}

// Under the lock: what is here of the signal, the kernel's own among it. How many make the batch. `*over`: the kernel's
// own has found no room, and comes when the batch is done.
static uint32_t gather(int signo, const siginfo_t *info, bool *over)
{
	*over = !phi_inbox_hears(info) && !accept(info);
	phi_inbox_drain();
	return phi_inbox_count(signo);
}

// A lower number that nothing but this handler's mask keeps waiting comes first: the rest of the batch later.
static bool must_yield(int signo, const ucontext_t *context)
{
	struct signal_own *own = phi_own();
	uint64_t lower = SIGNAL_BIT(signo) - 1;
	return own != NULL && phi_inbox_lowest(lower & own->caught & ~mask_in(context)) != 0;
}

// Take the next of a batch, under the lock: false if there is none to call a handler for.
static bool next(int signo, uint32_t *left, siginfo_t *info, struct sigaction *a)
{
	struct signal_disposition d = phi_disposition(signo);
	if (*left == 0 || phi_inbox_count(signo) == 0)
		return false;
	if (d.kind != SIGNAL_HANDLER) {
		phi_signal_give_back(signo);
		return false;
	}
	*a = d.user;
	phi_inbox_pop(signo, info);
	--*left;
	if (a->sa_flags & SA_RESETHAND)
		phi_disposition_reset(signo);
	return true;
}

static void owe(int signo, bool more)
{
	struct signal_self *t = &phi_signal_self;
	uint64_t bit = SIGNAL_BIT(signo);
	store_relaxed_u64(&t->owed, more ? t->owed | bit : t->owed & ~bit);
}

static void run_batch(int signo, siginfo_t *first, ucontext_t *context)
{
	siginfo_t info;
	struct sigaction a;
	phi_inbox_lock();
	bool again = false, over;
	uint32_t left = gather(signo, first, &over);
	uint64_t mask = left > 1 ? phi_mask_now() : 0; // wanted from the second on
	uint32_t outer = phi_signal_self.remasked;     // of the handler that this one interrupts
	if (left == 0 && !over)
		phi_disposition_reinstall(signo); // a bell in vain: SA_RESETHAND has happened for nothing
	store_relaxed_u32(&phi_signal_self.remasked, 0);
	while (!again && next(signo, &left, &info, &a)) {
		owe(signo, left > 0);
		phi_inbox_unlock();
		if (phi_signal_self.remasked)
			remask(mask);
		phi_handler_call(&a, signo, &info, context);
		phi_inbox_lock();
		owe(signo, false);
		again = left > 0 && must_yield(signo, context);
	}
	store_relaxed_u32(&phi_signal_self.remasked, outer);
	phi_inbox_unlock();
	if (over)
		call_once(signo, first, context);
	if (again)
		phi_bell_self(signo);
}

// Blocked in the frame that is returned to, and sent to this thread once more: it comes again when that frame is left, or
// at the safe point.
static void hold_back(int signo, const siginfo_t *info, ucontext_t *context)
{
	const struct phi_self *self = phi_self();
	block_in(context, signo);
	if (syscall(SYS_rt_tgsigqueueinfo, self->pid, self->tid, signo, info) != 0)
		syscall(SYS_kill, self->pid, signo); // its queue is full
}

// To be handled at the thread's next safe point. A call that is about to sleep ends; where it lies beneath another
// handler, the kernel may be about to restart it when that returns, and the signal must be seen then.
static void keep(int signo, const siginfo_t *info, ucontext_t *context)
{
	phi_inbox_lock();
	bool kept = phi_inbox_hears(info) || accept(info);
	phi_inbox_drain();
	bool there = phi_inbox_count(signo) > 0;
	phi_inbox_unlock();
	if (kept && !there)
		return; // a bell in vain
	bool beneath = phi_call_beneath(context);
	phi_safepoint_due(signo, !kept || beneath);
	if (!kept) { // no room: the kernel keeps it until there is
		hold_back(signo, info, context);
	} else if (beneath) {
		const struct signal_record poke = {.signo = (uint16_t)signo, .pid = phi_self()->pid};
		siginfo_t bell;
		phi_bell_make(&bell, &poke);
		hold_back(signo, &bell, context);
	}
	phi_call_break(context);
}

static bool stands_for_itself(int signo, const struct signal_disposition *d)
{
	return signo < SIGNAL_STANDARD && !(d->user.sa_flags & SIGNAL_QUEUE) &&
	       !(phi_inbox_pending() & SIGNAL_BIT(signo));
}

void phi_signal_stub(int signo, siginfo_t *info, void *context)
{
	int saved = errno;
	struct signal_disposition d = phi_disposition(signo);
	if (is_fault(signo, info))
		call_once(signo, info, context);
	else if (load_relaxed_u32(&phi_signal_self.busy) != 0)
		defer(signo, info, context);
	else if (d.user.sa_flags & SIGNAL_SAFEPOINT)
		keep(signo, info, context);
	else if (stands_for_itself(signo, &d))
		call_once(signo, info, context);
	else
		run_batch(signo, info, context);
	errno = saved;
}

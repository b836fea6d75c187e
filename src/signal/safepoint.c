// SPDX-License-Identifier: MIT
//
// Safe points. A stub leaves the signal in the inbox and its number here, in its own thread; that thread's next return from
// the library runs the handlers, lowest number first, under the mask that they ask for, with no lock held and nothing
// half done.
#include "signal/safepoint.h"

#include "signal/port.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static __thread uint64_t due, held;

void phi_safepoint_due(int signo, bool hold)
{
	due |= SIGNAL_BIT(signo);
	if (hold)
		held |= SIGNAL_BIT(signo);
	store_relaxed_u32(&phi_due, 1);
}

uint64_t phi_safepoint_held(void)
{
	return held;
}

bool phi_safepoint_waits(void)
{
	return load_relaxed_u32(&phi_due) != 0;
}

bool phi_safepoint_used(void)
{
	return load_relaxed_u32(&phi_due_ever) != 0;
}

// The signals that have come, and are not blocked now: those that are stay pending. What is held back is blocked by
// the stub.
static uint64_t take_due(uint64_t mask)
{
	compiler_barrier();
	store_relaxed_u32(&phi_due, 0); // before: what comes now says so again
	compiler_barrier();
	uint64_t signals = due & (~mask | held);
	due &= ~signals;
	return signals;
}

static void unhold(uint64_t signals)
{
	uint64_t ours = held & signals;
	held &= ~signals;
	if (ours != 0)
		syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &ours, NULL, sizeof ours);
}

static bool next(int signo, siginfo_t *info, struct sigaction *a)
{
	phi_inbox_lock();
	struct signal_disposition d = phi_disposition(signo);
	bool there = phi_inbox_count(signo) > 0;
	bool ours = there && d.kind == SIGNAL_HANDLER && (d.user.sa_flags & SIGNAL_SAFEPOINT);
	if (ours) {
		*a = d.user;
		phi_inbox_pop(signo, info);
		if (a->sa_flags & (int)SA_RESETHAND)
			phi_disposition_reset(signo);
	} else if (there && d.kind != SIGNAL_HANDLER) {
		phi_signal_give_back(signo);
	}
	phi_inbox_unlock();
	if (there && !ours && d.kind == SIGNAL_HANDLER)
		phi_bell_self(signo); // it runs at once by now
	return ours;
}

// With the kernel's disposition after a one-shot handler, which the kernel did not see.
static void after_one_shot(int signo, const struct sigaction *a)
{
	if (a->sa_flags & (int)SA_RESETHAND) {
		const struct sigaction dfl = {.sa_handler = SIG_DFL};
		sigaction(signo, &dfl, NULL);
	}
}

static void run_one(int signo, siginfo_t *info, const struct sigaction *a)
{
	uint64_t before = 0;
	uint64_t mask = phi_mask_of(&a->sa_mask);
	if (!(a->sa_flags & SA_NODEFER))
		mask |= SIGNAL_BIT(signo);
	after_one_shot(signo, a);
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &mask, &before, sizeof before);
	phi_handler_call(a, signo, info, NULL);
	phi_signal_unblocking(~before & mask);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
}

static void let_children_tell(int how)
{
	const uint64_t child = SIGNAL_BIT(SIGCHLD);
	syscall(SYS_rt_sigprocmask, how, &child, NULL, sizeof child);
}

int phi_safepoint_run(bool *restart)
{
	int ran = 0;
	*restart = true;
	uint64_t mask = phi_mask_now();
	uint64_t signals = take_due(mask);
	while (signals != 0) {
		int signo = __builtin_ctzll(signals) + 1;
		siginfo_t info;
		struct sigaction a;
		// Between being taken from the inbox and being waited for by the handler, a child must not be told of anew.
		bool child = signo == SIGCHLD;
		if (child)
			let_children_tell(SIG_BLOCK);
		bool there = next(signo, &info, &a);
		if (there)
			run_one(signo, &info, &a);
		if (child)
			let_children_tell(SIG_UNBLOCK);
		if (!there) {
			unhold(SIGNAL_BIT(signo));
			signals &= ~SIGNAL_BIT(signo);
			continue;
		}
		*restart = *restart && (a.sa_flags & SA_RESTART);
		ran++;
		signals |= take_due(mask);
	}
	return ran;
}

bool phi_safepoint_again(int64_t result)
{
	int saved = errno;
	bool restart;
	bool ran = phi_safepoint_run(&restart) > 0;
	errno = saved;
	return ran && restart && result == -EINTR;
}

// SPDX-License-Identifier: MIT
//
// Dispositions. The kernel has one for each signal, which decides what really happens: default, ignored, or the stub of
// deliver.c. This table has the program's handler behind the stub. A signal that the program, or a library of its,
// has changed past this table is the kernel's alone, and reported as the kernel has it.
//
// The table is read by stubs in any thread, without a lock: `version` is odd while an entry changes.
#include "signal/port.h"

#include "base/guard.h"
#include "signal/fork.h"
#include "sync/due.h"

#include <errno.h>
#include <string.h>

static struct {
	struct signal_disposition now;
	uint32_t version;
} table[SIGNAL_NUMBERS];

struct signal_disposition phi_disposition(int signo)
{
	struct signal_disposition d;
	uint32_t before;
	do {
		before = load_acquire_u32(&table[signo].version); // SIGNAL_TABLE
		d = table[signo].now;
		fence_seq_cst();
	} while ((before & 1) != 0 || load_relaxed_u32(&table[signo].version) != before);
	return d;
}

// Under the inbox lock, so that this thread's own stubs do not look.
static void set(int signo, const struct signal_disposition *d)
{
	uint32_t *version = &table[signo].version;
	store_relaxed_u32(version, *version + 1);
	fence_seq_cst();
	table[signo].now = *d;
	store_release_u32(version, *version + 1); // SIGNAL_TABLE
}

// ---- the kernel's side ----

// SIGBUS may be the guard's, which asks whoever was there before (base/guard.h).
static int install(int signo, const struct sigaction *act, struct sigaction *old)
{
	if (signo == SIGBUS && phi_guard_chain(act, old))
		return 0;
	return sigaction(signo, act, old) != 0 ? -errno : 0;
}

static bool is_stub(const struct sigaction *a)
{
	return (a->sa_flags & SA_SIGINFO) && a->sa_sigaction == phi_signal_stub;
}

static struct sigaction kernel_action(const struct sigaction *act)
{
	struct sigaction k = *act;
	k.sa_flags &= ~(SIGNAL_SAFEPOINT | SIGNAL_QUEUE);
	if (act->sa_handler == SIG_DFL || act->sa_handler == SIG_IGN)
		return k;
	k.sa_sigaction = phi_signal_stub;
	k.sa_flags |= SA_SIGINFO;
	if (act->sa_flags &
	    SIGNAL_SAFEPOINT) { // the handler's own mask and flags come at the safe point
		k.sa_flags &= ~(SA_RESTART | (int)SA_RESETHAND | SA_NODEFER);
		sigemptyset(&k.sa_mask);
	}
	return k;
}

static struct signal_disposition disposition_of(const struct sigaction *act)
{
	struct signal_disposition d = {.user = *act, .kind = SIGNAL_HANDLER};
	sigdelset(&d.user.sa_mask, SIGKILL); // as the kernel tells it
	sigdelset(&d.user.sa_mask, SIGSTOP);
	if (act->sa_handler == SIG_DFL)
		d.kind = SIGNAL_DEFAULT;
	else if (act->sa_handler == SIG_IGN)
		d.kind = SIGNAL_IGNORE;
	return d;
}

// What a program is told of the present: its own words, if they are in force.
static int present(int signo, struct sigaction *old)
{
	struct sigaction k;
	int r = install(signo, NULL, &k);
	if (r == 0)
		*old = is_stub(&k) ? table[signo].now.user : k;
	return r;
}

// ---- the port's side ----

static bool ignored_by_default(int signo)
{
	return signo == SIGCHLD || signo == SIGURG || signo == SIGWINCH || signo == SIGCONT;
}

void phi_disposition_show(struct signal_own *own, int signo)
{
	const struct signal_disposition *d = &table[signo].now;
	uint64_t bit = SIGNAL_BIT(signo);
	own->caught = d->kind == SIGNAL_HANDLER ? own->caught | bit : own->caught & ~bit;
	bool queues = d->kind == SIGNAL_HANDLER && (d->user.sa_flags & SIGNAL_QUEUE);
	own->queueing = queues ? own->queueing | bit : own->queueing & ~bit;
	struct signal_action *shown = &own->port->action[signo];
	shown->mask = phi_mask_of(&d->user.sa_mask);
	shown->flags = (uint32_t)d->user.sa_flags;
	shown->kind = d->kind;
}

static void show(struct signal_own *own, int signo)
{
	const struct signal_disposition *d = &table[signo].now;
	phi_disposition_show(own, signo);
	phi_own_publish(own);
	if (d->kind == SIGNAL_IGNORE || (d->kind == SIGNAL_DEFAULT && ignored_by_default(signo))) {
		phi_inbox_drain();
		phi_inbox_discard(signo);
	}
	if (d->kind != SIGNAL_HANDLER)
		phi_own_heard(own,
		              signo); // the kernel has dropped the bell, or it means something else by now
}

void phi_disposition_reset(int signo)
{
	struct signal_own *own = phi_own();
	struct signal_disposition d = table[signo].now;
	d.kind = SIGNAL_DEFAULT;
	d.user.sa_handler = SIG_DFL;
	set(signo, &d);
	if (own != NULL) {
		phi_disposition_show(own, signo);
		phi_own_publish(own);
	}
	if (signo == SIGBUS) {
		const struct sigaction k = kernel_action(&d.user);
		phi_guard_chain(&k, NULL);
	}
}

void phi_disposition_reinstall(int signo)
{
	const struct signal_disposition *d = &table[signo].now;
	if (d->kind == SIGNAL_HANDLER && (d->user.sa_flags & (int)SA_RESETHAND) &&
	    !(d->user.sa_flags & SIGNAL_SAFEPOINT)) {
		const struct sigaction k = kernel_action(&d->user);
		install(signo, &k, NULL);
	}
}

// ---- the call ----

static int change(int signo, const struct sigaction *act)
{
	const struct sigaction k = kernel_action(act);
	const struct signal_disposition before = table[signo].now;
	const struct signal_disposition after = disposition_of(act);
	struct signal_own *own = phi_own();
	set(signo, &after); // the stub may be called as soon as it is installed
	int r = install(signo, &k, NULL);
	if (r < 0)
		set(signo, &before);
	else if (own != NULL)
		show(own, signo);
	return r;
}

// The child of a vfork has dispositions of its own, and its parent's memory: what it changes is not said there.
static int change_in_vfork(int signo, const struct sigaction *act, struct sigaction *old)
{
	struct sigaction k = *act;
	struct sigaction was;
	k.sa_flags &= ~(SIGNAL_SAFEPOINT | SIGNAL_QUEUE);
	if (sigaction(signo, &k, &was) != 0)
		return -errno;
	if (old != NULL)
		*old = is_stub(&was) ? table[signo].now.user : was;
	return 0;
}

static bool is_handler(const struct sigaction *act)
{
	return act->sa_handler != SIG_DFL && act->sa_handler != SIG_IGN;
}

int phi_signal_action(int signo, const struct sigaction *act, struct sigaction *old)
{
	PHI_KEEP_ERRNO;
	struct sigaction was;
	if (signo < 1 || signo >= SIGNAL_NUMBERS)
		return -EINVAL;
	if (act != NULL && (act->sa_flags & (SIGNAL_SAFEPOINT | SIGNAL_QUEUE)) && !is_handler(act))
		return -EINVAL;
	if (act != NULL && phi_in_vfork())
		return change_in_vfork(signo, act, old);
	if (act != NULL && is_handler(act) && phi_signal_self.handling == 0)
		phi_own_make();
	if (act != NULL && (act->sa_flags & SIGNAL_SAFEPOINT))
		store_relaxed_u32(&phi_due_ever, 1);
	phi_inbox_lock();
	int r = present(signo, &was);
	if (r == 0 && act != NULL)
		r = change(signo, act);
	phi_inbox_unlock();
	if (r == 0 && old != NULL)
		*old = was;
	return r;
}

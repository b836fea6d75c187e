// SPDX-License-Identifier: MIT
//
// The public calls of signals: argument checks, errno, safe points. What happens inside is src/signal; what each call
// promises stands in the header. Calls that the kernel serves as they are go there.
#include "posthaste/signal.h"

#include "posix/process.h"
#include "posix/syscall.h"
#include "signal/info.h"
#include "signal/named.h"
#include "signal/port.h"
#include "signal/safepoint.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(SIGNAL_SAFEPOINT == PH_SA_SAFEPOINT && SIGNAL_QUEUE == PH_SA_QUEUE, "flags");
_Static_assert(SIGNAL_RING_MAX == PH_SIGQUEUE_DEPTH_MAX, "depth");

static int result(int64_t r)
{
	phi_safepoint_ask(0);
	return (int)phi_result(r);
}

// Of calls that return error numbers.
static int number(int r)
{
	phi_safepoint_ask(0);
	return r < 0 ? -r : r;
}

static bool is_signal(int sig)
{
	return sig > 0 && sig < SIGNAL_NUMBERS;
}

// ---- sending ----

int ph_kill(pid_t pid, int sig)
{
	return (int)PHI_DONE(kill, phi_record_signal(pid, sig),
	                     phi_signal_send(pid, sig, SI_USER, (union sigval){.sival_ptr = NULL}));
}

int ph_killpg(pid_t pgrp, int sig)
{
	if (pgrp < 0)
		return result(-EINVAL);
	return ph_kill(pgrp == 0 ? 0 : -pgrp, sig);
}

int ph_sigqueue(pid_t pid, int sig, const union sigval value)
{
	return (int)PHI_DONE(sigqueue, phi_record_signal(pid, sig),
	                     phi_signal_send(pid, sig, SI_QUEUE, value));
}

int ph_raise(int sig)
{
	return result(raise(sig) != 0 ? -errno : 0);
}

int ph_pthread_kill(pthread_t thread, int sig)
{
	return number(pthread_kill(thread, sig));
}

#ifdef __GLIBC__
int ph_pthread_sigqueue(pthread_t thread, int sig, const union sigval value)
{
	return number(pthread_sigqueue(thread, sig, value));
}
#else
int ph_pthread_sigqueue(pthread_t thread, int sig, const union sigval value)
{
	(void)thread, (void)sig, (void)value;
	return ENOSYS; // the C library does not tell which thread that is
}
#endif

void ph_abort(void)
{
	abort();
}

unsigned int ph_alarm(unsigned int seconds)
{
	return alarm(seconds);
}

int ph_setitimer(int which, const struct itimerval *value, struct itimerval *old)
{
	return setitimer(which, value, old);
}

int ph_getitimer(int which, struct itimerval *value)
{
	return getitimer(which, value);
}

// ---- handling ----

int ph_sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	store_relaxed_i32(&phi_process_hooks, 1);
	if (act == NULL)
		return result(phi_signal_action(sig, act, old));
	return (int)PHI_DONE(sigaction, phi_record_signal(0, sig), phi_signal_action(sig, act, old));
}

// Signals for which siginterrupt was called, as the C library keeps them for signal().
static uint64_t interrupting;

ph_sighandler_t ph_signal(int sig, ph_sighandler_t handler)
{
	struct sigaction old;
	struct sigaction act = {.sa_handler = handler, .sa_flags = SA_RESTART};
	if (!is_signal(sig) || handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	if (load_relaxed_u64(&interrupting) & SIGNAL_BIT(sig))
		act.sa_flags = 0;
	sigemptyset(&act.sa_mask);
	sigaddset(&act.sa_mask, sig); // as the C library says it
	return ph_sigaction(sig, &act, &old) != 0 ? SIG_ERR : old.sa_handler;
}

int ph_siginterrupt(int sig, int flag)
{
	struct sigaction act;
	if (ph_sigaction(sig, NULL, &act) != 0)
		return -1;
	uint64_t bit = SIGNAL_BIT(sig);
	if (flag) {
		or_acq_rel_u64(&interrupting, bit);
		act.sa_flags &= ~SA_RESTART;
	} else {
		and_acq_rel_u64(&interrupting, ~bit);
		act.sa_flags |= SA_RESTART;
	}
	return ph_sigaction(sig, &act, NULL);
}

int ph_sigaltstack(const stack_t *stack, stack_t *old)
{
	return sigaltstack(stack, old);
}

static int mask_one(int how, int sig, bool *was_blocked)
{
	sigset_t set, old;
	if (!is_signal(sig))
		return -EINVAL;
	sigemptyset(&set);
	if (sigaddset(&set, sig) != 0)
		return -EINVAL;
	int r = phi_signal_mask(how, &set, &old);
	if (r == 0 && was_blocked != NULL)
		*was_blocked = sigismember(&old, sig) == 1;
	return r;
}

ph_sighandler_t ph_sigset(int sig, ph_sighandler_t disposition)
{
	struct sigaction act = {.sa_handler = disposition}, old;
	bool blocked = false;
	bool hold = disposition == SIG_HOLD;
	if (!is_signal(sig) || disposition == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	sigemptyset(&act.sa_mask);
	int r = phi_signal_action(sig, hold ? NULL : &act, &old);
	if (r == 0)
		r = mask_one(hold ? SIG_BLOCK : SIG_UNBLOCK, sig, &blocked);
	if (result(r) != 0)
		return SIG_ERR;
	return blocked ? SIG_HOLD : old.sa_handler;
}

int ph_sighold(int sig)
{
	return result(mask_one(SIG_BLOCK, sig, NULL));
}

int ph_sigrelse(int sig)
{
	return result(mask_one(SIG_UNBLOCK, sig, NULL));
}

int ph_sigignore(int sig)
{
	struct sigaction act = {.sa_handler = SIG_IGN};
	sigemptyset(&act.sa_mask);
	return ph_sigaction(sig, &act, NULL);
}

int ph_sigpause(int sig)
{
	sigset_t mask;
	if (!is_signal(sig))
		return result(-EINVAL);
	phi_mask_to(phi_mask_now() & ~SIGNAL_BIT(sig), &mask);
	return ph_sigsuspend(&mask);
}

// What a batch has more becomes pending in the kernel, which delivers it as soon as the mask lets it through.
static void leave_batches(void)
{
	uint64_t owed = phi_signal_self.owed;
	store_relaxed_u64(&phi_signal_self.owed, 0);
	store_relaxed_u32(&phi_signal_self.handling, 0);
	store_relaxed_u32(&phi_signal_self.remasked, 1); // in a handler that it may lead to
	for (; owed != 0; owed &= owed - 1)
		phi_bell_self(__builtin_ctzll(owed) + 1);
}

void ph_siglongjmp(sigjmp_buf env, int value)
{
	leave_batches();
	siglongjmp(env, value);
}

void ph_longjmp(jmp_buf env, int value)
{
	leave_batches();
	longjmp(env, value);
}

int ph_sigdispatch(void)
{
	bool restart;
	return phi_safepoint_waits() ? phi_safepoint_run(&restart) : 0;
}

// ---- the mask, and what is pending ----

int ph_sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	return result(phi_signal_mask(how, set, old));
}

int ph_pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	return number(phi_signal_mask(how, set, old));
}

int ph_sigpending(sigset_t *set)
{
	return result(phi_signal_pending(set));
}

int ph_sigemptyset(sigset_t *set)
{
	return sigemptyset(set);
}

int ph_sigfillset(sigset_t *set)
{
	return sigfillset(set);
}

int ph_sigaddset(sigset_t *set, int sig)
{
	return sigaddset(set, sig);
}

int ph_sigdelset(sigset_t *set, int sig)
{
	return sigdelset(set, sig);
}

int ph_sigismember(const sigset_t *set, int sig)
{
	return sigismember(set, sig);
}

// ---- waiting ----

int ph_sigsuspend(const sigset_t *mask)
{
	PHI_MAY_SLEEP;
	struct phi_nap nap = phi_record_asleep(RECORD_sigsuspend, 0, false);
	int r = phi_signal_suspend(mask);
	phi_record_awake(&nap);
	return (int)PHI_OVER(sigsuspend, 0, r);
}

int ph_pause(void)
{
	if (!phi_safepoint_used())
		return pause();
	sigset_t mask;
	phi_mask_to(phi_mask_now(), &mask);
	return ph_sigsuspend(&mask);
}

// Recorded by what came, and from whom.
static int take(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
	PHI_MAY_SLEEP;
	int r = phi_signal_take(set, info, timeout);
	const uint64_t key = r > 0 ? phi_record_signal(phi_sender_of(info), r) : 0;
	PHI_PROBE(sigwait, key, r);
	phi_record_after(RECORD_sigwait, key, r, before_);
	return r;
}

int ph_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
	siginfo_t got;
	int r = take(set, &got, timeout);
	if (r > 0 && info != NULL)
		*info = got;
	return result(r);
}

int ph_sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
	return ph_sigtimedwait(set, info, NULL);
}

int ph_sigwait(const sigset_t *set, int *sig)
{
	siginfo_t info;
	int r;
	do {
		r = take(set, &info, NULL);
		phi_safepoint_ask(0);
	} while (r == -EINTR);
	if (r < 0)
		return -r;
	*sig = r;
	return 0;
}

int ph_signalfd(int fd, const sigset_t *set, int flags)
{
	return result(phi_signal_descriptor(fd, set, flags & ~PH_SFD_PORT, flags & PH_SFD_PORT));
}

// ---- the queue ----

int ph_sigqueue_depth(int depth)
{
	return result(phi_own_depth(depth));
}

const void *ph_siginfo_payload(const siginfo_t *info, size_t *bytes)
{
	return phi_payload_of(info, bytes);
}

// ---- named ports ----

// By which one is known in a recording.
static uint64_t key_of(const char *name)
{
	uint64_t key = phi_record_key_of(name);
	phi_record_know(RECORD_OF_PORT, key, name);
	return key;
}

int ph_sigport_join(const char *name, const sigset_t *set, mode_t mode)
{
	int state;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	int r = phi_named_join(name, phi_mask_of(set), mode);
	pthread_setcancelstate(state, NULL);
	return (int)PHI_DONE(sigport_join, key_of(name), r);
}

int ph_sigport_leave(const char *name)
{
	int state;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	int r = phi_named_leave(name);
	pthread_setcancelstate(state, NULL);
	return (int)PHI_DONE(sigport_leave, key_of(name), r);
}

int ph_sigport_send(const char *name, int sig, const union sigval value, const void *payload,
                    size_t bytes)
{
	if (!is_signal(sig) || bytes > PH_SIGPORT_PAYLOAD_MAX || (bytes > 0 && sig < SIGNAL_STANDARD))
		return result(-EINVAL);
	struct signal_message m = {.record = {.value = (uint64_t)(uintptr_t)value.sival_ptr,
	                                      .pid = phi_self()->pid,
	                                      .uid = (uint32_t)phi_sender_uid(),
	                                      .code = SI_QUEUE,
	                                      .signo = (uint16_t)sig,
	                                      .payload_bytes = (uint16_t)bytes},
	                           .payload = payload};
	int state;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	int r = phi_named_send(name, &m);
	pthread_setcancelstate(state, NULL);
	return (int)PHI_DONE(sigport_send, key_of(name), r);
}

static void add_member(void *arg, pid_t pid, bool alive, uint64_t set)
{
	struct ph_sigport_info *info = arg;
	if (info->members < PH_SIGPORT_MEMBERS_MAX)
		info->member[info->members++] = (struct ph_sigport_member){pid, alive, set};
}

int ph_sigport_info(const char *name, struct ph_sigport_info *info)
{
	struct ph_sigport_info got = {0};
	int r = phi_named_look(name, add_member, &got, &got.sent);
	if (r == 0)
		*info = got;
	return result(r);
}

// ---- observation ----

static void show_threads(const struct signal_port *port, struct ph_signal_info *info)
{
	for (int i = 0; i < SIGNAL_THREADS; i++) {
		const struct signal_thread *s = &port->thread[i];
		if (s->tid == 0)
			continue;
		info->thread[info->threads++] = (struct ph_signal_thread){
			.tid = (int)s->tid,
			.waiting = s->waiting != 0,
			.handling = (int)s->handling,
			.blocked = s->blocked,
			.set = s->set,
			.since_ns = s->since_ns,
		};
	}
}

int ph_signal_info(pid_t pid, struct ph_signal_info *info)
{
	struct signal_look look;
	int r = phi_signal_look(pid, &look);
	if (r < 0)
		return result(r);
	const struct signal_port *port = &look.port;
	memset(info, 0, sizeof *info);
	info->pid = pid;
	info->uid = look.uid;
	info->depth = (int)port->send.guarded32;
	info->queued = (int)(port->tail - port->taken);
	info->pending = look.pending | port->pending | port->standard;
	info->ignored = look.ignored;
	info->caught = look.caught;
	info->taken_here = port->send.guarded64;
	info->sent = port->sent;
	info->refused = port->refused;
	info->last_pid = port->last_pid;
	info->last_uid = port->last_uid;
	info->last_signo = (int)port->last_signo;
	info->last_ns = port->last_ns;
	for (int s = 1; s < SIGNAL_NUMBERS; s++) {
		info->action[s].mask = port->action[s].mask;
		info->action[s].flags = port->action[s].flags;
		info->action[s].kind = port->action[s].kind;
	}
	show_threads(port, info);
	return 0;
}

// SPDX-License-Identifier: MIT
//
// Waiting for signals that are blocked. Whoever waits says so in the port: these are `quiet`, senders put them into the queue
// and ring no bell. A running taker looks there by itself, spins a little, and then sleeps in the kernel, so that it also
// gets what only the kernel has; before, under the port's lock, it says that it is `asleep`, and then a sender rings.
//
// Interleavings that lose without one part of it:
//
// * the taker looks, finds nothing; a sender commits, sees nobody asleep; the taker sleeps: so the taker looks once
//   more under the lock, where it says that it is asleep;
// * the kernel has a signal of a lower number than any in the queue: so it is asked, if the set has lower numbers; and for
//   the same number every so often, so that the queue alone does not keep it waiting.
#include "signal/port.h"

#include "base/clock.h"
#include "core/record.h"
#include "sync/asleep.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KERNEL_TOO_EVERY 256
#define SLICE_NS 50000000

struct taking {
	uint64_t signals;
	struct signal_own *own;
	bool counted; // among the sleepers
	bool woken;   // not cancelled
	bool in_doubt;
};

// ---- under the inbox lock ----

static void become_quiet(struct signal_own *own, uint64_t signals)
{
	uint64_t more = signals & ~own->quiet;
	if (more == 0)
		return;
	own->quiet |= more;
	phi_own_publish(own);
}

static void count_sleeper(struct signal_own *own, uint64_t signals, bool in)
{
	for (uint64_t rest = signals; rest != 0; rest &= rest - 1) {
		int signo = __builtin_ctzll(rest) + 1;
		own->sleepers[signo] += in ? 1 : (uint32_t)-1;
		if (own->sleepers[signo] != 0)
			own->asleep |= SIGNAL_BIT(signo);
		else
			own->asleep &= ~SIGNAL_BIT(signo);
	}
}

// One bell may have been for many, and have woken one: what he leaves is for others who sleep.
static void hand_on(struct signal_own *own)
{
	uint64_t left = phi_inbox_pending() & own->asleep;
	if (__builtin_expect(left == 0 || (left & own->handed_on) != 0, 1))
		return;
	own->handed_on |= left & -left;
	phi_bell_self(__builtin_ctzll(left) + 1);
}

// Whether the kernel has something of a lower number than what is here; that of the same number goes behind it.
static bool ask_kernel(const struct taking *t, int signo, siginfo_t *info)
{
	static uint32_t turns;
	const struct timespec none = {0, 0};
	uint64_t lower = t->signals & (SIGNAL_BIT(signo) - 1);
	if (++turns % KERNEL_TOO_EVERY == 0)
		phi_inbox_adopt(SIGNAL_BIT(signo) & ~t->own->kernels);
	return lower != 0 && syscall(SYS_rt_sigtimedwait, &lower, info, &none, sizeof lower) > 0;
}

// A bell; or a signal that has its place among those that are here. False: it stands for itself, and may be this thread's
// alone.
static bool goes_in(const siginfo_t *got)
{
	struct signal_seen seen;
	return phi_inbox_hears(got) || (phi_bell_seen(got, &seen) && phi_inbox_accept(got));
}

static int take_lowest(const struct taking *t, siginfo_t *info)
{
	for (;;) {
		phi_inbox_drain();
		int signo = phi_inbox_lowest(t->signals);
		if (signo != 0 && ask_kernel(t, signo, info)) {
			if (!goes_in(info))
				return info->si_signo;
		} else {
			if (signo != 0)
				phi_inbox_pop(signo, info);
			return signo;
		}
	}
}

static int take_here(const struct taking *t, siginfo_t *info)
{
	int signo = take_lowest(t, info);
	hand_on(t->own);
	return signo;
}

// ---- asleep in the kernel ----

static void show(const struct taking *t, bool waiting)
{
	struct signal_thread *shown = phi_own_thread();
	if (shown == NULL)
		return;
	store_relaxed_u64(&shown->set, t->signals);
	if (waiting)
		shown->since_ns = phi_now_coarse_ns();
	store_relaxed_u32(&shown->waiting, waiting);
}

static int take_asleep(uint64_t signals, siginfo_t *info, const struct timespec *timeout)
{
	struct phi_nap nap = phi_record_asleep(RECORD_sigwait, 0, false);
	int r = phi_kernel_take(signals, info, timeout);
	phi_record_awake(&nap);
	return r;
}

static void wake_up(void *arg)
{
	struct taking *t = arg;
	phi_inbox_lock();
	if (t->counted) {
		t->counted = false;
		count_sleeper(t->own, t->signals, false);
		phi_own_publish(t->own);
	}
	if (!t->woken) { // cancelled, perhaps with the bell in its hands
		phi_inbox_drain();
		hand_on(t->own);
	}
	phi_inbox_unlock();
	show(t, false);
}

// Under the lock, which is let go: false if there is something to take after all.
static bool fall_asleep(struct taking *t)
{
	if (phi_own_rung(t->own, t->signals))
		phi_inbox_adopt(t->signals & ~t->own->kernels);
	bool late = (phi_inbox_pending() & t->signals) != 0;
	count_sleeper(t->own, t->signals, true);
	t->counted = true;
	bool asleep = !late && phi_own_asleep(t->own);
	if (!asleep) {
		count_sleeper(t->own, t->signals, false);
		t->counted = false;
	}
	t->in_doubt = t->own->in_doubt;
	phi_inbox_unlock();
	return asleep;
}

static int choose(struct taking *t, const siginfo_t *got, siginfo_t *info)
{
	phi_inbox_lock();
	if (!goes_in(got)) {
		phi_inbox_unlock();
		*info = *got;
		return got->si_signo;
	}
	int signo = take_here(t, info);
	phi_inbox_unlock();
	return signo;
}

// Beside a sender that is stopped in the lock, and may die with a bell owed, the sleep is short. 0: look again.
static int sleep_in_kernel(struct taking *t, siginfo_t *info, const struct timespec *left)
{
	const struct timespec slice = {0, SLICE_NS};
	bool sliced = t->in_doubt && (left == NULL || left->tv_sec > 0 || left->tv_nsec > SLICE_NS);
	siginfo_t got;
	volatile int r = 0; // lives across the jump that a cleanup frame may be
	memset(&got, 0, sizeof got);
	show(t, true);
	pthread_cleanup_push(wake_up, t);
	t->woken = false;
	r = take_asleep(t->signals, &got, sliced ? &slice : left);
	t->woken = true;
	pthread_cleanup_pop(1);
	if (r == -EAGAIN && sliced)
		return 0;
	return r > 0 ? choose(t, &got, info) : r;
}

// ---- the call ----

static bool time_left(int64_t until_ns, struct timespec *left)
{
	int64_t ns = until_ns - phi_now_ns();
	if (ns < 0)
		ns = 0;
	*left = (struct timespec){(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
	return ns > 0;
}

static int64_t deadline_of(const struct timespec *timeout)
{
	int64_t now = phi_now_ns();
	int64_t most = (INT64_MAX - now) / 1000000000 - 1;
	int64_t s = timeout->tv_sec < most ? timeout->tv_sec : most;
	return now + s * 1000000000 + timeout->tv_nsec;
}

static bool is_time(const struct timespec *t)
{
	return t->tv_sec >= 0 && t->tv_nsec >= 0 && t->tv_nsec < 1000000000;
}

// Nothing was here: wait. 0: look again.
static int wait_for(struct taking *t, uint64_t seen, siginfo_t *info, const struct timespec *left)
{
	struct signal_port *port = t->own->port;
	if (phi_own() == NULL) // somebody has cut its file: nothing comes there any more
		return take_asleep(t->signals, info, left);
	if (left == NULL || left->tv_sec != 0 || left->tv_nsec != 0)
		if (phi_spin_while(&t->own->spin, &port->events, seen, &port->sender_cpu, NULL))
			return 0;
	phi_inbox_lock();
	int signo = take_here(t, info);
	if (signo != 0) {
		phi_inbox_unlock();
		return signo;
	}
	return fall_asleep(t) ? sleep_in_kernel(t, info, left) : 0;
}

static int take(struct taking *t, siginfo_t *info, const struct timespec *timeout)
{
	bool valid = timeout == NULL || is_time(timeout);
	int64_t until = timeout != NULL && valid ? deadline_of(timeout) : 0;
	struct timespec left;
	for (;;) {
		uint64_t seen = load_acquire_u64(&t->own->port->events); // SIGNAL_TAIL
		phi_inbox_lock();
		become_quiet(t->own, t->signals);
		int r = take_here(t, info);
		phi_inbox_unlock();
		if (r != 0)
			return r;
		if (timeout != NULL)
			time_left(until,
			          &left); // none, if it is not one: what the kernel has counts all the same
		r = wait_for(t, seen, info, timeout != NULL ? &left : NULL);
		if (r != 0)
			return r == -EAGAIN && !valid ? -EINVAL : r;
	}
}

// Without a port all of it is the kernel's.
static int take_from_kernel(uint64_t signals, siginfo_t *info, const struct timespec *timeout)
{
	phi_inbox_lock();
	int signo = phi_inbox_lowest(signals);
	if (signo != 0)
		phi_inbox_pop(signo, info);
	phi_inbox_unlock();
	return signo != 0 ? signo : take_asleep(signals, info, timeout);
}

int phi_signal_take(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
	PHI_KEEP_ERRNO;
	struct taking t = {.signals = phi_mask_of(set)};
	t.signals &= ~(SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP));
	pthread_testcancel();
	t.own = phi_signal_self.handling == 0 ? phi_own_make() : phi_own();
	int r = t.own != NULL && phi_signal_self.busy == 0 ? take(&t, info, timeout)
	                                                   : take_from_kernel(t.signals, info, timeout);
	if (r > 0)
		phi_bell_unmark(info);
	if (r > 0 && info->si_code == SI_TKILL) // as the C library tells it
		info->si_code = SI_USER;
	return r;
}

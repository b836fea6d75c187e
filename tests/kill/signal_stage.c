// SPDX-License-Identifier: MIT
//
// tests/kill/signal_stage.c - see signal_stage.h.
#include "signal_stage.h"

#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct timespec standing; // 0 = it goes

void stop_coarse_clock(void)
{
	clock_gettime(CLOCK_MONOTONIC_COARSE, &standing);
}

void advance_coarse_clock(int ms)
{
	const int64_t ns = standing.tv_nsec + (int64_t)ms * 1000000;

	standing.tv_sec += ns / 1000000000;
	standing.tv_nsec = ns % 1000000000;
}

// The clock as the kernel says it, or standing: what a victim does next must not hang on how long it was stepped.
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	if (clock != CLOCK_MONOTONIC_COARSE || standing.tv_sec == 0)
		return (int)syscall(SYS_clock_gettime, clock, now);
	*now = standing;
	return 0;
}

struct got *got(void)
{
	return kill_shared();
}

static void note_value(int value)
{
	struct got *g = got();

	if (g->count < VALUES)
		g->values[g->count] = value;
	g->count++;
}

static void pause_a_little(void)
{
	const struct timespec moment = {.tv_nsec = 50000};

	nanosleep(&moment, NULL);
}

// ---- the survivor is the target ----

static void handler(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	note_value(info->si_value.sival_int);
}

void handle_here(void)
{
	struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};

	sigemptyset(&sa.sa_mask);
	got()->target = getpid();
	KILL_CHECK(ph_sigaction(RT, &sa, NULL) == 0, "sigaction: %s", strerror(errno));
}

static sigset_t both(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, RT);
	sigaddset(&set, SIGUSR1);
	return set;
}

void block_here(void)
{
	const sigset_t set = both();

	KILL_CHECK(ph_sigprocmask(SIG_BLOCK, &set, NULL) == 0, "block: %s", strerror(errno));
}

void unblock_here(void)
{
	const sigset_t set = both();

	KILL_CHECK(ph_sigprocmask(SIG_UNBLOCK, &set, NULL) == 0, "unblock: %s", strerror(errno));
}

void take_all_here(void)
{
	const sigset_t set = both();
	const struct timespec none = {0, 0};
	siginfo_t info;
	int sig;

	while ((sig = ph_sigtimedwait(&set, &info, &none)) != -1)
		note_value(sig == RT ? info.si_value.sival_int : OWN);
	KILL_CHECK(errno == EAGAIN, "sigtimedwait: %s", strerror(errno));
}

void take_here(void)
{
	block_here();
	take_all_here();
	got()->target = getpid();
}

// ---- a party is the target ----

void take_until_last(void)
{
	const sigset_t set = both();
	siginfo_t info = {0};

	block_here();
	ph_sigqueue_depth(0); // has a port
	got()->target = getpid();
	do {
		const int sig = ph_sigwaitinfo(&set, &info);
		if (sig == -1 && errno == EINTR)
			continue;
		KILL_CHECK(sig != -1, "sigwaitinfo: %s", strerror(errno));
		note_value(sig == RT ? info.si_value.sival_int : OWN);
	} while (info.si_value.sival_int != LAST);
}

pid_t start_taker(void)
{
	const pid_t party = kill_party(take_until_last);

	kill_await_asleep(party);
	return party;
}

static bool sleeps_now(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	const bool asleep = fd != -1 && stat_says_asleep(fd);
	if (fd != -1)
		close(fd);
	return asleep;
}

void await_settled(pid_t taker)
{
	static struct ph_signal_info info;

	kill_note("a taker sleeps beside a signal");
	for (;;) {
		if (sleeps_now(taker)) {
			KILL_CHECK(ph_signal_info(taker, &info) == 0, "info: %s", strerror(errno));
			if (info.queued == 0 && info.pending == 0 && sleeps_now(taker))
				return;
		}
		pause_a_little();
	}
}

// ---- sending ----

int try_send(pid_t target, int value)
{
	return ph_sigqueue(target, RT, (union sigval){.sival_int = value}) == 0 ? 0 : errno;
}

void send_to(pid_t target, int value)
{
	const int e = try_send(target, value);

	KILL_CHECK(e == 0, "a later send: %s", strerror(e));
}

static int party_value;

static void send_as_party(void)
{
	send_to(got()->target, party_value);
}

void send_from_party(pid_t target, int value)
{
	KILL_CHECK(target == got()->target, "the harness: another target");
	party_value = value;
	kill_join(kill_party(send_as_party), "another sender");
}

// ---- judging ----

int expect_values(int early, int late)
{
	const struct got *g = got();
	int at = 0;

	for (int i = 0; i < early; i++, at++)
		KILL_CHECK(at < g->count && g->values[at] == EARLY + i,
		           "an earlier signal is missing: %d of %d", i, early);
	const bool own = at < g->count && g->values[at] == OWN;
	at += own;
	for (int i = 0; i < late; i++, at++)
		KILL_CHECK(at < g->count && g->values[at] == LATE + i,
		           "a later signal is missing: %d of %d, %d came", i, late, g->count);
	KILL_CHECK(at == g->count, "%d signals came instead of %d", g->count, at);
	return own;
}

static void make_port(void)
{
	KILL_CHECK(ph_sigqueue_depth(0) != -1, "a port cannot be made: %s", strerror(errno));
}

void expect_target_gone(pid_t target)
{
	char path[320];
	struct stat st;
	int e;

	kill_note("sending to the dead");
	e = try_send(target, LATE);
	KILL_CHECK(e == ESRCH, "a send to the dead says %s", strerror(e));
	e = ph_kill(target, SIGUSR1) == 0 ? 0 : errno;
	KILL_CHECK(e == ESRCH, "a kill of the dead says %s", strerror(e));
	kill_note("making another port");
	kill_join(kill_party(make_port), "who makes another port");
	snprintf(path, sizeof path, "%s/sig.%d", kill_scratch(), (int)target);
	KILL_CHECK(stat(path, &st) != 0 && errno == ENOENT, "the port of the dead is left over");
}

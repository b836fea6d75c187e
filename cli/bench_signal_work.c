// SPDX-License-Identifier: MIT
//
// What the workers of each workload do with signals. See bench_load.h.
//
// Every signal carries its number as its value, and who sent it: whoever takes it, or handles it, looks that it is the
// next one of that sender. Standard signals have no value and merge, so only one at a time is on its way.
#define _GNU_SOURCE
#include "bench_work.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WARM_ROUNDTRIPS 2000
#define PATIENCE_NS INT64_C(10000000000)
#define FROM_SHIFT 48 // above it: who sent
#define COMPUTE_TURNS 64

// What the workers of a team know of each other, in its spare memory.
struct place {
	_Atomic uint32_t finished; // senders
	_Atomic int32_t pid[15];   // 0: not ready yet
	_Atomic uint64_t handled __attribute__((aligned(64)));
	_Atomic int64_t handled_ns; // when the last handler began
	_Atomic uint32_t wrong, over;
};

_Static_assert(sizeof(struct place) <= sizeof(struct bench_worker), "fits behind the workers");

struct actor {
	struct bench_team *team;
	struct bench_load *load;
	const struct bench_ops *ops;
	struct place *place;
	sigset_t set;
	int sig;
};

static void begin(struct actor *a, struct bench_team *team, struct bench_load *load)
{
	memset(a, 0, sizeof(*a));
	a->team = team;
	a->load = load;
	a->ops = load->ops;
	a->place = (struct place *)team->counter;
	a->sig = load->c->standard ? SIGUSR1 : SIGRTMIN + 3;
	sigemptyset(&a->set);
	sigaddset(&a->set, a->sig);
}

// Everybody is ready for signals, and knows where the others are.
static void meet(struct actor *a)
{
	atomic_store(&a->place->pid[a->team->index], getpid());
	for (size_t i = 0; i < a->team->n; i++)
		while (atomic_load(&a->place->pid[i]) == 0)
			sched_yield();
}

static pid_t pid_of(const struct actor *a, size_t worker)
{
	return atomic_load(&a->place->pid[worker]);
}

// A sender whose signal finds no room gives way to who makes some.
static void send(struct actor *a, pid_t to, uint64_t value)
{
	const union sigval v = {.sival_ptr = (void *)(uintptr_t)value};
	if (a->load->c->standard) {
		if (a->ops->kill(to, a->sig) != 0)
			bench_fail_errno(a->team, "kill");
		return;
	}
	while (a->ops->queue(to, a->sig, v) != 0) {
		if (errno != EAGAIN)
			bench_fail_errno(a->team, "sigqueue");
		sched_yield();
	}
}

static uint64_t take(struct actor *a)
{
	siginfo_t info;
	int sig;
	do
		sig = a->ops->take(&a->set, &info);
	while (sig < 0 && errno == EINTR);
	if (sig < 0)
		bench_fail_errno(a->team, "sigwaitinfo");
	if (sig != a->sig || info.si_code != (a->load->c->standard ? SI_USER : SI_QUEUE))
		bench_fail(a->team, "another signal came");
	return (uint64_t)(uintptr_t)info.si_value.sival_ptr;
}

static void expect(struct actor *a, uint64_t wanted)
{
	const uint64_t got = take(a);
	if (!a->load->c->standard && got != wanted)
		bench_fail(a->team, "a signal was lost, repeated or reordered");
}

static void block(const struct actor *a)
{
	sigprocmask(SIG_BLOCK, &a->set, NULL);
}

// ---- takers ----

void bench_signal_same_worker(struct bench_team *team, void *arg)
{
	struct actor a;
	struct bench_load *load = arg;
	begin(&a, team, load);
	block(&a);
	meet(&a);
	const pid_t self = pid_of(&a, 0);
	bench_start(team);
	for (uint64_t seq = 1; seq <= load->count; seq++) {
		send(&a, self, seq);
		expect(&a, seq);
	}
	bench_stop(team);
	team->worker[0].ops = load->count;
}

// Who finishes last sends the stop, a 0, which nothing can overtake.
static void stream_sender(struct actor *a, size_t sender)
{
	const uint64_t mine = bench_share(a->load, sender);
	const pid_t to = pid_of(a, a->load->c->senders);
	bench_start(a->team);
	for (uint64_t seq = 1; seq <= mine; seq++)
		send(a, to, seq | (uint64_t)sender << FROM_SHIFT);
	if (atomic_fetch_add(&a->place->finished, 1) + 1 == a->load->c->senders)
		send(a, to, 0);
	bench_stop(a->team);
}

static void stream_taker(struct actor *a)
{
	struct bench_worker *me = &a->team->worker[a->team->index];
	uint64_t seen[BENCH_MAX_SENDERS] = {0};
	bench_start(a->team);
	for (uint64_t got; (got = take(a)) != 0; me->ops++) {
		const uint64_t from = got >> FROM_SHIFT, seq = got & ((UINT64_C(1) << FROM_SHIFT) - 1);
		if (from >= a->load->c->senders || seq != ++seen[from])
			bench_fail(a->team, "a signal was lost, repeated or reordered");
		me->sum += seq;
	}
	bench_stop(a->team);
}

void bench_signal_stream_worker(struct bench_team *team, void *arg)
{
	struct actor a;
	begin(&a, team, arg);
	block(&a);
	meet(&a);
	if (team->index < a.load->c->senders)
		stream_sender(&a, team->index);
	else
		stream_taker(&a);
}

static void asker(struct actor *a, pid_t to, uint64_t seq)
{
	struct bench_team *team = a->team;
	memset(team->samples_ns, 0xff, team->samples * sizeof(*team->samples_ns));
	bench_start(team);
	int64_t before = team->worker[0].start_ns;
	for (uint64_t i = 0; i < a->load->count; i++, seq++) {
		send(a, to, seq);
		expect(a, seq);
		const int64_t now = bench_now_ns(), took = now - before;
		team->samples_ns[i] = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
		before = now;
	}
	bench_stop(team);
	team->worker[0].ops = a->load->count;
}

static void answerer(struct actor *a, pid_t to, uint64_t seq)
{
	bench_start(a->team);
	for (uint64_t i = 0; i < a->load->count; i++, seq++) {
		expect(a, seq);
		send(a, to, seq);
	}
	bench_stop(a->team);
}

void bench_signal_roundtrip_worker(struct bench_team *team, void *arg)
{
	struct actor a;
	const bool asks = team->index == 0;
	begin(&a, team, arg);
	block(&a);
	meet(&a);
	const pid_t to = pid_of(&a, 1 - team->index);
	for (uint64_t seq = 1; seq <= WARM_ROUNDTRIPS; seq++) {
		if (asks)
			send(&a, to, seq);
		expect(&a, seq);
		if (!asks)
			send(&a, to, seq);
	}
	(asks ? asker : answerer)(&a, to, WARM_ROUNDTRIPS + 1);
}

// Worker 0 waits out the time and then wakes the others, whose use is what counts.
void bench_signal_idle_worker(struct bench_team *team, void *arg)
{
	struct actor a;
	begin(&a, team, arg);
	block(&a);
	send(&a, getpid(), 0); // what is made at first is there then
	expect(&a, 0);
	meet(&a);
	bench_start(team);
	if (team->index == 0) {
		const struct timespec span = {(time_t)(a.load->count / 1000000000),
		                              (long)(a.load->count % 1000000000)};
		nanosleep(&span, NULL);
		for (size_t i = 1; i < team->n; i++)
			send(&a, pid_of(&a, i), i);
		memset(&team->worker[0], 0, sizeof(team->worker[0]));
		return;
	}
	expect(&a, team->index);
	bench_stop(team);
	team->worker[team->index].ops = 1;
}

// ---- handlers ----

static struct place *handling;
static bool handling_standard;

static void handle(int sig, siginfo_t *info, void *context)
{
	struct place *place = handling;
	const uint64_t before = atomic_load_explicit(&place->handled, memory_order_relaxed);
	(void)sig, (void)context;
	if (!handling_standard && (uint64_t)(uintptr_t)info->si_value.sival_ptr != before + 1)
		atomic_store(&place->wrong, 1);
	atomic_store_explicit(&place->handled, before + 1, memory_order_release);
}

static void handle_and_tell_when(int sig, siginfo_t *info, void *context)
{
	const int64_t now = bench_now_ns();
	struct place *place = handling;
	const uint64_t before = atomic_load_explicit(&place->handled, memory_order_relaxed);
	(void)sig, (void)context;
	if (!handling_standard && (uint64_t)(uintptr_t)info->si_value.sival_ptr != before + 1)
		atomic_store(&place->wrong, 1);
	atomic_store_explicit(&place->handled_ns, now, memory_order_relaxed);
	atomic_store_explicit(&place->handled, before + 1, memory_order_release);
}

// Computes, and makes no call, until everything has been sent and handled.
static void computer(struct actor *a)
{
	struct sigaction act = {.sa_flags = SA_SIGINFO | SA_RESTART};
	act.sa_sigaction = a->load->c->kind == BENCH_SINGLE ? handle_and_tell_when : handle;
	sigemptyset(&act.sa_mask);
	handling = a->place;
	handling_standard = a->load->c->standard;
	if (a->ops->handle(a->sig, &act, NULL) != 0)
		bench_fail_errno(a->team, "sigaction");
	meet(a);
	bench_start(a->team);
	while (!atomic_load_explicit(&a->place->over, memory_order_relaxed))
		bench_work(COMPUTE_TURNS);
	bench_stop(a->team);
	if (atomic_load(&a->place->wrong))
		bench_fail(a->team, "a signal was lost, repeated or reordered");
}

// Until so many handlers have run.
static void await(struct actor *a, uint64_t handled)
{
	int64_t until = 0;
	for (uint64_t i = 1; atomic_load_explicit(&a->place->handled, memory_order_acquire) < handled;
	     i++) {
		if (i % 1000000 != 0)
			continue;
		if (until == 0)
			until = bench_now_ns() + PATIENCE_NS;
		if (bench_now_ns() > until)
			bench_fail(a->team, "signals were lost");
	}
}

static void burst(struct actor *a, pid_t to, uint64_t from, uint64_t n)
{
	for (uint64_t seq = from + 1; seq <= from + n; seq++)
		send(a, to, seq);
	await(a, from + n);
}

static void burster(struct actor *a)
{
	const uint64_t n = a->load->c->depth;
	const uint64_t bursts = a->load->count / n ? a->load->count / n : 1;
	uint64_t sent = 0;
	meet(a);
	const pid_t to = pid_of(a, 1);
	bench_start(a->team);
	for (uint64_t i = 0; i < bursts; i++, sent += n)
		burst(a, to, sent, n);
	atomic_store(&a->place->over, 1);
	bench_stop(a->team);
	a->team->worker[0].ops = sent;
}

// How long from before the call until the handler begins.
static void single_sender(struct actor *a)
{
	struct bench_team *team = a->team;
	meet(a);
	const pid_t to = pid_of(a, 1);
	memset(team->samples_ns, 0xff, team->samples * sizeof(*team->samples_ns));
	bench_start(team);
	for (uint64_t i = 0; i < a->load->count; i++) {
		const int64_t before = bench_now_ns();
		burst(a, to, i, 1);
		const int64_t took = atomic_load(&a->place->handled_ns) - before;
		team->samples_ns[i] = took < 0 ? 0 : took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
	}
	atomic_store(&a->place->over, 1);
	bench_stop(team);
	team->worker[0].ops = a->load->count;
}

void bench_signal_burst_worker(struct bench_team *team, void *arg)
{
	struct actor a;
	begin(&a, team, arg);
	if (team->index == 1)
		computer(&a);
	else if (a.load->c->kind == BENCH_SINGLE)
		single_sender(&a);
	else
		burster(&a);
}

// ---- the check ----

// What is told is the difference of two loops, which may be below what the clock can tell.
void bench_signal_check_worker(struct bench_team *team, void *arg)
{
	struct bench_load *load = arg;
	struct bench_worker *me = &team->worker[0];
	bench_start(team);
	const int64_t t0 = bench_now_ns();
	load->ops->call(load->count, false);
	const int64_t t1 = bench_now_ns();
	load->ops->call(load->count, true);
	const int64_t t2 = bench_now_ns(), more = (t2 - t1) - (t1 - t0);
	bench_stop(team);
	me->end_ns = me->start_ns + (more > 0 ? more : 0);
	me->ops = load->count;
}

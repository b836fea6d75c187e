// SPDX-License-Identifier: MIT
//
// Teams of worker processes, clocks and statistics. See bench_core.h.
//
// The start: a worker that is ready writes a byte into `ready` and reads one from `go`. The leader
// collects n bytes, then gives n. The wall time of a repetition runs from the first worker's start
// to the last one's end, so a worker that the scheduler keeps waiting at the start counts.
#define _GNU_SOURCE
#include "bench_core.h"

#include "bench_calls.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORKER_SECONDS 60

_Static_assert(sizeof(struct bench_worker) == 256, "workers do not share lines");

int64_t bench_now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

unsigned bench_cpus(void)
{
	cpu_set_t set;
	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

// The k-th CPU of those allowed.
static int cpu_at(const cpu_set_t *allowed, unsigned k)
{
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, allowed) && k-- == 0)
			return cpu;
	}
	return -1;
}

// Best effort: where affinity cannot be set, the figures are those of the scheduler's choice.
static void place(enum bench_layout layout, size_t index)
{
	cpu_set_t allowed, want;
	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		return;
	const unsigned n = CPU_COUNT(&allowed) > 1 ? 2 : 1;
	CPU_ZERO(&want);
	if (layout == BENCH_PAIR) {
		for (unsigned k = 0; k < n; k++)
			CPU_SET(cpu_at(&allowed, k), &want);
	} else {
		CPU_SET(cpu_at(&allowed, layout == BENCH_SPLIT ? index % n : 0), &want);
	}
	sched_setaffinity(0, sizeof(want), &want);
}

static void *shared(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

int bench_team_init(struct bench_team *team, size_t n, size_t samples)
{
	memset(team, 0, sizeof(*team));
	team->n = n;
	team->samples = samples;
	team->ready[0] = team->ready[1] = team->go[0] = team->go[1] = -1;
	team->calls_fd = -1;
	team->worker = shared((n + 1) * sizeof(*team->worker));
	team->samples_ns = samples ? shared(samples * sizeof(*team->samples_ns)) : NULL;
	if (!team->worker || (samples && !team->samples_ns)) {
		bench_team_free(team);
		errno = ENOMEM;
		return -1;
	}
	team->counter = (uint32_t *)&team->worker[n];
	return 0;
}

static void close_pipe(int fd[2])
{
	for (int i = 0; i < 2; i++) {
		if (fd[i] >= 0)
			close(fd[i]);
		fd[i] = -1;
	}
}

void bench_team_free(struct bench_team *team)
{
	if (team->worker)
		munmap(team->worker, (team->n + 1) * sizeof(*team->worker));
	if (team->samples_ns)
		munmap(team->samples_ns, team->samples * sizeof(*team->samples_ns));
	close_pipe(team->ready);
	close_pipe(team->go);
	team->worker = NULL;
	team->samples_ns = NULL;
}

_Noreturn void bench_fail(struct bench_team *team, const char *what)
{
	struct bench_worker *me = &team->worker[team->index];
	snprintf(me->error, sizeof(me->error), "%s", what);
	_exit(1);
}

_Noreturn void bench_fail_errno(struct bench_team *team, const char *what)
{
	char text[128];
	snprintf(text, sizeof(text), "%s: %s", what, strerror(errno));
	bench_fail(team, text);
}

static int64_t timeval_ns(struct timeval tv)
{
	return (int64_t)tv.tv_sec * 1000000000 + (int64_t)tv.tv_usec * 1000;
}

// Add this process's use so far, times sign, to its record.
static void account(struct bench_worker *me, int sign)
{
	struct rusage use;
	getrusage(RUSAGE_SELF, &use);
	me->cpu_ns += sign * (timeval_ns(use.ru_utime) + timeval_ns(use.ru_stime));
	me->switches += sign * (use.ru_nvcsw + use.ru_nivcsw);
}

void bench_start(struct bench_team *team)
{
	struct bench_worker *me = &team->worker[team->index];
	char byte = 0;
	if (write(team->ready[1], &byte, 1) != 1 || read(team->go[0], &byte, 1) != 1)
		bench_fail(team, "the team broke up");
	account(me, -1);
	me->start_ns = bench_now_ns();
	if (team->count_calls)
		team->calls_fd = bench_calls_start();
}

void bench_stop(struct bench_team *team)
{
	struct bench_worker *me = &team->worker[team->index];
	if (team->calls_fd >= 0)
		me->calls = bench_calls_stop(team->calls_fd);
	me->end_ns = bench_now_ns();
	account(me, 1);
}

static _Noreturn void worker_main(struct bench_team *team, enum bench_layout layout,
                                  bench_body *body, void *arg)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	alarm(WORKER_SECONDS);
	close(team->ready[0]);
	close(team->go[1]);
	place(layout, team->index);
	body(team, arg);
	_exit(0);
}

// Wait for a byte to read; false if a worker died meanwhile.
static bool wait_ready(int fd)
{
	struct pollfd want = {.fd = fd, .events = POLLIN};
	for (;;) {
		const int n = poll(&want, 1, 100);
		if (n > 0)
			return true;
		siginfo_t dead = {0};
		if (n == 0 && waitid(P_ALL, 0, &dead, WEXITED | WNOHANG | WNOWAIT) == 0 && dead.si_pid)
			return false;
	}
}

// When everybody is here, let them go. Where somebody died the others stay at the start, so that
// the leader's wait meets the culprit first.
static void release(struct bench_team *team)
{
	char bytes[256] = {0};
	for (size_t here = 0; here < team->n;) {
		const size_t room = team->n - here < sizeof(bytes) ? team->n - here : sizeof(bytes);
		if (!wait_ready(team->ready[0]))
			return;
		const ssize_t got = read(team->ready[0], bytes, room);
		if (got <= 0)
			return;
		here += (size_t)got;
	}
	memset(bytes, 0, sizeof(bytes));
	for (size_t given = 0; given < team->n; given++) {
		if (write(team->go[1], bytes, 1) != 1)
			return;
	}
}

static void kill_all(const pid_t *pid, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (pid[i] > 0)
			kill(pid[i], SIGKILL);
	}
}

// Wait for all workers; at the first failure kill the rest, who might wait for it for ever. The
// index of that first one, or -1.
static long collect(pid_t *pid, size_t n, int *status)
{
	long failed = -1;
	for (size_t left = n; left > 0;) {
		int st = 0;
		const pid_t dead = wait(&st);
		if (dead < 0 && errno == EINTR)
			continue;
		if (dead < 0)
			break;
		for (size_t i = 0; i < n; i++) {
			if (pid[i] != dead)
				continue;
			pid[i] = 0;
			left--;
			if (st != 0 && failed < 0) {
				failed = (long)i;
				*status = st;
				kill_all(pid, n);
			}
		}
	}
	return failed;
}

static const char *complaint(const struct bench_team *team, long failed, int status)
{
	static char text[256];
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		snprintf(text, sizeof(text), "worker %ld hung for %d s", failed, WORKER_SECONDS);
	else if (WIFSIGNALED(status))
		snprintf(text, sizeof(text), "worker %ld: %s", failed, strsignal(WTERMSIG(status)));
	else
		snprintf(text, sizeof(text), "worker %ld: %s", failed, team->worker[failed].error);
	return text;
}

// Fork the workers; the number of those made.
static size_t fork_all(struct bench_team *team, pid_t *pid, enum bench_layout layout,
                       bench_body *body, void *arg)
{
	fflush(NULL);
	for (size_t i = 0; i < team->n; i++) {
		team->index = i;
		pid[i] = fork();
		if (pid[i] == 0)
			worker_main(team, layout, body, arg);
		if (pid[i] < 0)
			return i;
	}
	return team->n;
}

int bench_team_run(struct bench_team *team, enum bench_layout layout, bench_body *body, void *arg,
                   const char **why)
{
	pid_t *pid = calloc(team->n, sizeof(*pid));
	if (!pid || pipe(team->ready) != 0 || pipe(team->go) != 0) {
		free(pid);
		*why = strerror(errno);
		return -1;
	}
	const size_t made = fork_all(team, pid, layout, body, arg);
	close(team->ready[1]);
	team->ready[1] = -1;
	const bool all = made == team->n;
	if (!all)
		*why = strerror(errno);
	if (all)
		release(team);
	else
		kill_all(pid, made);
	int status = 0;
	const long failed = collect(pid, made, &status);
	free(pid);
	if (all && failed >= 0)
		*why = complaint(team, failed, status);
	return all && failed < 0 ? 0 : -1;
}

static int by_double(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static int by_u32(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static size_t rank_of(size_t n, double p)
{
	const size_t k = (size_t)(p * (double)(n - 1) + 0.5);
	return k < n ? k : n - 1;
}

double bench_percentile(double *v, size_t n, double p)
{
	if (n == 0)
		return 0;
	qsort(v, n, sizeof(*v), by_double);
	return v[rank_of(n, p)];
}

uint32_t bench_percentile_u32(uint32_t *v, size_t n, double p)
{
	if (n == 0)
		return 0;
	qsort(v, n, sizeof(*v), by_u32);
	return v[rank_of(n, p)];
}

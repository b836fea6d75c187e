// SPDX-License-Identifier: MIT
//
// tests/kill/round.c - one round: prepare, let the victim live up to its boundary, kill it, judge.
// Everything here happens in the survivor, the victim or a party; the sweep only waits for the
// survivor's exit status. See sweep.h for the picture.
//
// Invariant: no process of a round outlives it. Parties die with the survivor (PR_SET_PDEATHSIG), the
// victim with its tracer (PTRACE_O_EXITKILL), and an alarm ends a survivor that hangs.
#include "round.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROBE_TRIES = 400 };

static struct round_shared *shared;
static pid_t contender;
static pid_t victim_pid;
static bool stepped;
static struct victim victim;
static struct victim bystander;

void kill_broken(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (!shared->broken[0])
		vsnprintf(shared->broken, sizeof(shared->broken), format, args);
	va_end(args);
	_exit(ROUND_BROKEN);
}

void kill_note(const char *what)
{
	snprintf(shared->note, sizeof(shared->note), "%s", what);
}

void *kill_shared(void)
{
	return shared->data;
}

pid_t kill_contender(void)
{
	return contender;
}

pid_t kill_victim(void)
{
	return victim_pid;
}

pid_t kill_bystander(void)
{
	return bystander.pid;
}

bool kill_is_stepped(void)
{
	return stepped;
}

unsigned kill_wakes(void)
{
	return victim.sleeps;
}

// The handler of the survivor's alarm; what it calls is async-signal-safe.
static void out_of_patience(int sig)
{
	static const char what[] = "hangs: survivor, at: ";
	const size_t head = sizeof(what) - 1;

	(void)sig;
	if (!shared->broken[0]) {
		memcpy(shared->broken, what, head);
		memcpy(shared->broken + head, shared->note, sizeof(shared->note));
	}
	_exit(ROUND_BROKEN);
}

static void be_patient(uint32_t ms)
{
	const struct itimerval limit = {
		.it_value = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000},
	};

	signal(SIGALRM, out_of_patience);
	setitimer(ITIMER_REAL, &limit, NULL);
}

static void die_with_parent(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(ROUND_ENGINE);
}

static void run_anywhere(void)
{
	cpu_set_t all;

	memset(&all, 0xff, sizeof(all));
	sched_setaffinity(0, sizeof(all), &all);
}

pid_t kill_party(void (*fn)(void))
{
	const pid_t parent = getpid();
	const pid_t pid = fork();

	if (pid == -1)
		kill_broken("the harness: fork: %s", strerror(errno));
	if (pid != 0)
		return pid;
	die_with_parent(parent);
	run_anywhere();
	fn();
	_exit(ROUND_KEPT);
}

static int open_stat(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

bool kill_has_ended(pid_t party)
{
	siginfo_t info = {0};

	return waitid(P_PID, (id_t)party, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
}

static void yield(void)
{
	const struct timespec moment = {.tv_nsec = 20000};

	nanosleep(&moment, NULL);
}

// True if it sleeps, false if it has ended or does neither for long.
static bool falls_asleep(pid_t party, int tries)
{
	const int fd = open_stat(party);
	bool asleep = false;

	while (!asleep && tries-- > 0 && !kill_has_ended(party)) {
		asleep = fd != -1 && stat_says_asleep(fd);
		if (!asleep)
			yield();
	}
	close(fd);
	return asleep;
}

void kill_await_asleep(pid_t party)
{
	while (!falls_asleep(party, PROBE_TRIES))
		if (kill_has_ended(party))
			kill_broken("a party that should sleep has ended");
}

void kill_join(pid_t party, const char *who)
{
	int status;

	if (party == 0)
		return;
	snprintf(shared->note, sizeof(shared->note), "waiting for %s", who);
	while (waitpid(party, &status, 0) == -1)
		if (errno != EINTR)
			kill_broken("the harness: waitpid: %s", strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == ROUND_KEPT)
		return;
	if (WIFSIGNALED(status))
		kill_broken("%s died of signal %d", who, WTERMSIG(status));
	kill_broken("%s ended with status %d", who, WEXITSTATUS(status));
}

static void live_and_wait_for_death(const struct kill_scenario *s, void (*operation)(void))
{
	if (s->enter)
		s->enter();
	victim_offer();
	kill_mark_begin();
	operation();
	kill_mark_end();
	_exit(ROUND_ENGINE);
}

static void stand_by(const struct kill_scenario *s, void (*operation)(void))
{
	(void)s;
	victim_offer();
	kill_mark_begin();
	operation();
	_exit(ROUND_KEPT);
}

typedef void role(const struct kill_scenario *s, void (*operation)(void));

static pid_t fork_role(role *play, const struct kill_scenario *s, void (*operation)(void))
{
	const pid_t parent = getpid();
	const pid_t pid = fork();

	if (pid == -1)
		kill_broken("the harness: fork: %s", strerror(errno));
	if (pid == 0) {
		die_with_parent(parent);
		play(s, operation);
	}
	return pid;
}

static void start_victim(const struct kill_scenario *s, void (*operation)(void))
{
	victim_pid = fork_role(live_and_wait_for_death, s, operation);
	victim_adopt(&victim, victim_pid, s->wake);
}

static void start_bystander(const struct kill_scenario *s)
{
	victim_adopt(&bystander, fork_role(stand_by, s, s->bystander), NULL);
	bystander.left_asleep = true;
}

// The victim stands still. Does somebody who now starts fn fall asleep?
static bool would_sleep(void (*fn)(void))
{
	contender = kill_party(fn);
	return falls_asleep(contender, PROBE_TRIES);
}

// Nothing can be said about a round whose other actors are not where they should be.
static void give_up(const char *who)
{
	snprintf(shared->broken, sizeof(shared->broken), "%s does not take the recorded path", who);
	_exit(ROUND_AGAIN);
}

static void let_predecessor_die(const struct round_plan *plan)
{
	kill_note("the predecessor");
	start_victim(plan->scenario, plan->scenario->predecessor);
	if (victim_go(&victim, &shared->first, 0, plan->death) != MOVED_THERE)
		give_up("the predecessor");
	victim_kill(&victim);
}

static void place_bystander(const struct round_plan *plan)
{
	start_bystander(plan->scenario);
	if (victim_go(&bystander, &shared->bystander, 0, plan->pause) != MOVED_THERE)
		give_up("the bystander");
}

static enum moved record(struct victim *v, struct trace *t, uint32_t from)
{
	const struct iovec data = {.iov_base = shared->data, .iov_len = sizeof(shared->data)};

	t->count = from;
	return victim_record(v, t, data);
}

// The rounds that only find something out. They do not come to a judgement.
static enum moved explore(const struct round_plan *plan)
{
	const bool first = plan->how == ROUND_PROBE_FIRST || plan->how == ROUND_RECORD_FIRST;
	const struct kill_scenario *s = plan->scenario;

	start_victim(s, first ? s->predecessor : s->operation);
	if (plan->how == ROUND_RECORD_FIRST)
		return record(&victim, &shared->first, 0);
	if (plan->how == ROUND_RECORD_BYSTANDER) {
		start_bystander(s);
		return record(&bystander, &shared->bystander, 0);
	}
	const struct trace *t = first ? &shared->first : &shared->base;
	const enum moved moved = victim_go(&victim, t, 0, plan->boundary);
	if (moved == MOVED_THERE)
		shared->slept = would_sleep(first ? s->operation : s->contend);
	return moved;
}

static enum moved kill_asleep(const struct round_plan *plan)
{
	const enum moved moved = victim_run_until_asleep(&victim);

	if (moved == MOVED_THERE && plan->how == ROUND_WAKING)
		plan->scenario->wake(victim.sleeps++);
	return moved;
}

static enum moved live(const struct round_plan *plan)
{
	struct trace *t = plan->chance ? &shared->contended : &shared->base;
	enum moved moved = MOVED_THERE;

	start_victim(plan->scenario, plan->scenario->operation);
	if (plan->pause)
		place_bystander(plan);
	if (plan->chance)
		moved = victim_go(&victim, &shared->base, 0, plan->chance);
	if (moved != MOVED_THERE)
		return moved;
	if (plan->chance)
		would_sleep(plan->scenario->contend);
	if (plan->how == ROUND_RECORD)
		return record(&victim, t, plan->chance);
	if (plan->how == ROUND_WALK)
		return victim_walk(&victim, plan->boundary - plan->chance);
	moved = victim_go(&victim, t, plan->chance, plan->boundary);
	if (moved == MOVED_THERE && (plan->how == ROUND_ASLEEP || plan->how == ROUND_WAKING))
		moved = kill_asleep(plan);
	return moved;
}

static bool only_explores(enum round_how how)
{
	return how == ROUND_RECORD_BYSTANDER || how == ROUND_RECORD_FIRST || how == ROUND_PROBE_FIRST ||
	       how == ROUND_PROBE;
}

static void judge(const struct round_plan *plan)
{
	if (shared->moved == MOVED_STUCK)
		kill_broken("hangs: the victim itself, though it was woken");
	if (shared->moved == MOVED_GONE)
		kill_broken("the victim ended by itself (status %#x)", victim.status);
	if (plan->pause)
		victim_release(&bystander);
	be_patient(plan->patience_ms);
	kill_note("after");
	shared->outcome = plan->scenario->after();
}

void round_run(const struct round_plan *plan, struct round_shared *memory)
{
	const bool explores = only_explores(plan->how);

	shared = memory;
	stepped = plan->how == ROUND_RECORD || plan->how == ROUND_WALK;
	die_with_parent(plan->sweep);
	be_patient(plan->patience_ms);
	kill_note("prepare");
	plan->scenario->prepare();
	if (plan->death)
		let_predecessor_die(plan);
	kill_note("the victim's operation");
	shared->moved = explores ? explore(plan) : live(plan);
	shared->pc = victim.pc;
	victim_kill(&victim);
	if (!explores)
		judge(plan);
	_exit(ROUND_KEPT);
}

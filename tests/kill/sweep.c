// SPDX-License-Identifier: MIT
//
// tests/kill/sweep.c - which rounds are made, and the verdict over them. See sweep.h.
//
// Each round is a fresh fork of this process, which never touches the object itself: whatever a broken
// protocol does, it ends a round and not the sweep. Tracer and victim share one CPU, because a tracer
// that polls beside a running victim would see another order of events each time.
#include "sweep.h"

#include "round.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SAMPLE = 30, FAILURES = 3, TRIES = 5, WAKING_ROUNDS = 8, PATIENCE_MS = 30000 };

// One scenario's sweep under way.
struct sweep {
	const struct kill_scenario *scenario;
	const struct kill_options *options;
	struct kill_report *report;
	struct round_shared *shared;
	const struct trace *trace;
	uint32_t pause;
	uint32_t death;
	uint32_t chance;
	uint32_t stride;
	int outcome; // of the last boundary, -1 = none yet
};

static char scratch[256];

static const char *scratch_parent(void)
{
	const char *dir = getenv("TMPDIR");

	if (dir)
		return dir;
	return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

const char *kill_scratch(void)
{
	if (!scratch[0]) {
		snprintf(scratch, sizeof(scratch), "%s/kill-XXXXXX", scratch_parent());
		if (!mkdtemp(scratch)) {
			fprintf(stderr, "kill sweep: cannot make %s: %s\n", scratch, strerror(errno));
			exit(1);
		}
		setenv("POSTHASTE_DIR", scratch, 1);
	}
	return scratch;
}

static void empty_scratch(void)
{
	DIR *dir = opendir(scratch);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			unlinkat(dirfd(dir), e->d_name, 0);
	if (dir)
		closedir(dir);
}

void kill_scratch_remove(void)
{
	if (scratch[0]) {
		empty_scratch();
		rmdir(scratch);
	}
	scratch[0] = 0;
}

// The one it runs on: two sweeps side by side then have one each.
static void pin_to_one_cpu(void)
{
	const int cpu = sched_getcpu();
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu < 0 ? 0 : cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static struct round_shared *share(void)
{
	void *p = mmap(NULL, sizeof(struct round_shared), PROT_READ | PROT_WRITE,
	               MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		fprintf(stderr, "kill sweep: no memory\n");
		exit(1);
	}
	return p;
}

static void clear_shared(struct round_shared *shared)
{
	shared->note[0] = 0;
	shared->broken[0] = 0;
	shared->outcome = -1;
	shared->moved = MOVED_THERE;
	shared->slept = false;
	memset(shared->data, 0, sizeof(shared->data));
}

// One round's wait status.
static int run_round(struct sweep *w, enum round_how how, uint32_t boundary)
{
	const uint32_t patience_ms = w->options->patience_ms ? w->options->patience_ms : PATIENCE_MS;
	const struct round_plan plan = {w->scenario, how,      boundary,  patience_ms,
	                                w->death,    w->pause, w->chance, getpid()};
	int status = 0;

	clear_shared(w->shared);
	fflush(NULL);
	const pid_t pid = fork();
	if (pid == 0)
		round_run(&plan, w->shared);
	while (pid == -1 || waitpid(pid, &status, 0) == -1)
		if (pid == -1 || errno != EINTR) {
			fprintf(stderr, "kill sweep: %s\n", strerror(errno));
			exit(1);
		}
	empty_scratch();
	w->report->rounds++;
	return status;
}

static bool wants_again(int status)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == ROUND_AGAIN;
}

static int run_until_said(struct sweep *w, enum round_how how, uint32_t boundary)
{
	int status = run_round(w, how, boundary);

	for (int i = 0; i < 4 * TRIES && wants_again(status); i++)
		status = run_round(w, how, boundary);
	return status;
}

// The bystander may have been recorded on a path that he takes but once (a page fault, a tick of the clock).
static bool record_bystander_again(struct sweep *w)
{
	struct trace *t = &w->shared->bystander;

	if (!w->scenario->bystander)
		return false;
	run_round(w, ROUND_RECORD_BYSTANDER, 0);
	if (w->shared->moved != MOVED_STUCK || t->count == 0)
		return false;
	trace_count_visits(t, 0);
	w->pause = t->count - 1;
	return true;
}

static enum round_end play(struct sweep *w, enum round_how how, uint32_t boundary)
{
	int status = run_until_said(w, how, boundary);

	for (int i = 0; i < TRIES && wants_again(status) && record_bystander_again(w); i++)
		status = run_until_said(w, how, boundary);
	if (WIFEXITED(status) && WEXITSTATUS(status) == ROUND_KEPT)
		return ROUND_KEPT;
	if (!w->shared->broken[0])
		snprintf(w->shared->broken, sizeof(w->shared->broken),
		         "the survivor died (wait status %#x), at: %s", (unsigned)status, w->shared->note);
	return ROUND_BROKEN;
}

static const char *how_text(enum round_how how)
{
	switch (how) {
	case ROUND_ASLEEP: return ", asleep in it";
	case ROUND_WAKING: return ", while it is being woken";
	case ROUND_RECORD:
	case ROUND_RECORD_FIRST: return ", single-stepped";
	default: return "";
	}
}

static void fail(struct sweep *w, enum round_how how, uint32_t boundary, const char *text)
{
	char place[512];
	struct kill_report *r = w->report;

	if (r->broken++ == 0) {
		r->first = boundary;
		snprintf(r->text, sizeof(r->text), "%s", text);
	}
	if (w->options->quiet)
		return;
	printf("FAIL %s: killed at boundary %u of %u%s: %s\n     before %s\n", w->scenario->name,
	       boundary, w->trace->count, how_text(how), text,
	       kill_symbol(w->shared->pc, place, sizeof(place)));
}

// The outcome goes from `first` to `last` once: a promise that was seen kept is not taken back.
static void judge_outcome(struct sweep *w, uint32_t boundary)
{
	char text[128];
	const struct kill_scenario *s = w->scenario;
	const int now = w->shared->outcome;
	const bool starts = boundary == w->chance;
	const bool ends = boundary == w->trace->count;

	if (s->first == KILL_EITHER)
		return;
	text[0] = 0;
	if (starts && !w->chance && now != s->first)
		snprintf(text, sizeof(text), "took effect (%d) before it began", now);
	else if (ends && now != s->last)
		snprintf(text, sizeof(text), "has not taken effect (%d) though it had returned", now);
	else if (now != w->outcome && w->outcome == s->last)
		snprintf(text, sizeof(text), "the effect of an earlier boundary is undone (%d)", now);
	w->outcome = now;
	if (text[0])
		fail(w, ROUND_GO, boundary, text);
}

static void try_boundary(struct sweep *w, uint32_t boundary)
{
	enum round_end end = play(w, ROUND_GO, boundary);

	if (w->shared->moved == MOVED_END) // the path has changed, and missed the breakpoint
		end = play(w, ROUND_WALK, boundary);
	if (w->shared->moved == MOVED_DIVERGED || w->shared->moved == MOVED_END)
		w->report->diverged++;
	if (end != ROUND_KEPT)
		fail(w, ROUND_GO, boundary, w->shared->broken);
	else if (w->shared->moved == MOVED_THERE)
		judge_outcome(w, boundary);
}

static void try_asleep(struct sweep *w, uint32_t boundary)
{
	if (play(w, ROUND_ASLEEP, boundary) != ROUND_KEPT)
		fail(w, ROUND_ASLEEP, boundary, w->shared->broken);
	for (int i = 0; i < WAKING_ROUNDS && w->scenario->wake; i++)
		if (play(w, ROUND_WAKING, boundary) != ROUND_KEPT)
			fail(w, ROUND_WAKING, boundary, w->shared->broken);
}

static bool is_power_of_two(uint32_t n)
{
	return (n & (n - 1)) == 0;
}

static bool chosen(const struct sweep *w, uint32_t k)
{
	const struct step *s = &w->trace->steps[k];

	if (k == w->chance || k == w->trace->count)
		return true;
	if (s->flags & STEP_REP && s->turn != TURNS_MAX && !is_power_of_two(s->turn))
		return false;
	return !(s->flags & STEP_SAME) || k % w->stride == 0;
}

static void sweep_boundaries(struct sweep *w)
{
	for (uint32_t k = w->chance; k <= w->trace->count; k++) {
		if (w->report->broken >= (w->options->failures ? w->options->failures : FAILURES))
			return;
		if (chosen(w, k))
			try_boundary(w, k);
		if (w->trace->steps[k].flags & STEP_ASLEEP)
			try_asleep(w, k);
	}
}

// Single-step once to the end. The promises must hold there, too.
static bool record(struct sweep *w, enum round_how how, struct trace *t)
{
	const enum round_end end = play(w, how, 0);

	w->trace = t;
	if (end == ROUND_KEPT && w->shared->moved == MOVED_END) {
		trace_count_visits(t, w->chance);
		return true;
	}
	fail(w, how, t->count,
	     w->shared->broken[0] ? w->shared->broken : "the operation does not come to its end");
	return false;
}

static bool sleeps_at(struct sweep *w, enum round_how how, uint32_t boundary)
{
	return play(w, how, boundary) == ROUND_KEPT && w->shared->slept;
}

// The first boundary behind an atomic access at which somebody falls asleep; 0 = none.
static uint32_t find_first_sleep(struct sweep *w, enum round_how how, const struct trace *t)
{
	for (uint32_t k = 0; k < t->count; k++)
		if (t->steps[k].flags & STEP_ATOMIC && sleeps_at(w, how, k + 1))
			return k + 1;
	fail(w, how, 0, "nobody ever falls asleep: no lock seems to be held");
	return 0;
}

// The last boundary before an atomic access at which he still does.
static uint32_t find_last_sleep(struct sweep *w, enum round_how how, const struct trace *t,
                                uint32_t first)
{
	uint32_t last = first;

	for (uint32_t k = first; k < t->count; k++) {
		if (!(t->steps[k].flags & STEP_ATOMIC))
			continue;
		if (!sleeps_at(w, how, k))
			break;
		last = k;
	}
	return last;
}

static bool find_death(struct sweep *w)
{
	const struct trace *t = &w->shared->first;

	if (!record(w, ROUND_RECORD_FIRST, &w->shared->first))
		return false;
	const uint32_t first = find_first_sleep(w, ROUND_PROBE_FIRST, t);
	if (first)
		w->death = (first + find_last_sleep(w, ROUND_PROBE_FIRST, t, first)) / 2;
	return first != 0;
}

// The bystander's last boundary before he sleeps.
static bool find_pause(struct sweep *w)
{
	struct trace *t = &w->shared->bystander;

	play(w, ROUND_RECORD_BYSTANDER, 0);
	if (w->shared->moved == MOVED_STUCK && t->count > 0) {
		trace_count_visits(t, 0);
		w->pause = t->count - 1;
		return true;
	}
	w->trace = t;
	fail(w, ROUND_RECORD_BYSTANDER, 0, "the bystander does not fall asleep");
	return false;
}

static bool find_chance(struct sweep *w)
{
	const uint32_t chance = find_first_sleep(w, ROUND_PROBE, &w->shared->base);

	w->chance = chance;
	return chance && record(w, ROUND_RECORD, &w->shared->contended);
}

// Everything that has to be known before the first kill.
static bool explore(struct sweep *w)
{
	if (w->scenario->predecessor && !find_death(w))
		return false;
	if (w->scenario->bystander && !find_pause(w))
		return false;
	if (!record(w, ROUND_RECORD, &w->shared->base))
		return false;
	return !w->scenario->contend || find_chance(w);
}

// An actor may have been recorded on a path that he takes but once (a tick of the clock between two of
// his calls); then nothing can be said, and everything is recorded again. The last try speaks.
static bool explore_until_said(struct sweep *w)
{
	const struct kill_options *loud = w->options;
	struct kill_options silent = *loud;

	silent.quiet = true;
	for (int i = 0; i < TRIES; i++) {
		w->options = i < TRIES - 1 ? &silent : loud;
		w->shared->broken[0] = 0;
		*w->report = (struct kill_report){0};
		w->death = w->pause = w->chance = 0;
		if (explore(w)) {
			w->options = loud;
			return true;
		}
	}
	w->options = loud;
	return false;
}

static uint32_t choose_stride(const struct sweep *w)
{
	if (w->options->stride)
		return w->options->stride;
	if (w->options->full)
		return 1;
	return (w->trace->count - w->chance) / SAMPLE + 1;
}

bool kill_sweep(const struct kill_scenario *s, const struct kill_options *o, struct kill_report *r)
{
	struct sweep w = {.scenario = s, .options = o, .report = r, .shared = share(), .outcome = -1};

	*r = (struct kill_report){0};
	kill_scratch();
	pin_to_one_cpu();
	if (explore_until_said(&w)) {
		r->boundaries = w.trace->count - w.chance;
		w.stride = choose_stride(&w);
		sweep_boundaries(&w);
	}
	munmap(w.shared, sizeof(*w.shared));
	return r->broken == 0;
}

// SPDX-License-Identifier: MIT
//
// One repetition of a workload: make the objects, run the team, check and reckon. bench_work.c,
// bench_units.c and bench_memory.c have what the workers do.
#define _GNU_SOURCE
#include "bench_load.h"

#include "bench_calls.h"
#include "bench_work.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_ROUNDTRIPS 1000000

static bench_body *const BODY[BENCH_KINDS] = {
	[BENCH_SAME] = bench_same_worker,     [BENCH_FILL] = bench_fill_worker,
	[BENCH_STREAM] = bench_stream_worker, [BENCH_ROUNDTRIP] = bench_roundtrip_worker,
	[BENCH_IDLE] = bench_idle_worker,     [BENCH_EVENTS] = bench_events_worker,
	[BENCH_LIFE] = bench_life_worker,     [BENCH_VISIT] = bench_visit_worker,
	[BENCH_BLOCKS] = bench_blocks_worker,
};

static bench_body *const UNITS_BODY[BENCH_KINDS] = {
	[BENCH_SAME] = bench_units_same_worker,           [BENCH_STREAM] = bench_units_stream_worker,
	[BENCH_ROUNDTRIP] = bench_units_roundtrip_worker, [BENCH_IDLE] = bench_units_idle_worker,
	[BENCH_CONTEND] = bench_units_contend_worker,
};

static bench_body *const SIGNAL_BODY[BENCH_KINDS] = {
	[BENCH_SAME] = bench_signal_same_worker,           [BENCH_STREAM] = bench_signal_stream_worker,
	[BENCH_ROUNDTRIP] = bench_signal_roundtrip_worker, [BENCH_IDLE] = bench_signal_idle_worker,
	[BENCH_BURST] = bench_signal_burst_worker,         [BENCH_SINGLE] = bench_signal_burst_worker,
	[BENCH_CHECK] = bench_signal_check_worker,
};

static bench_body *body_of(const struct bench_case *c, const struct bench_ops *ops)
{
	if (ops->queue)
		return SIGNAL_BODY[c->kind];
	return ops->post ? UNITS_BODY[c->kind] : BODY[c->kind];
}

size_t bench_workers(const struct bench_case *c)
{
	switch (c->kind) {
	case BENCH_SAME:
	case BENCH_FILL:
	case BENCH_LIFE:
	case BENCH_VISIT:
	case BENCH_CHECK: return 1;
	case BENCH_CONTEND:
	case BENCH_BLOCKS: return c->processes;
	case BENCH_STREAM: return c->senders + c->receivers;
	case BENCH_ROUNDTRIP:
	case BENCH_BURST:
	case BENCH_SINGLE: return 2;
	case BENCH_IDLE: return 1 + c->receivers;
	case BENCH_EVENTS: return 2;
	}
	return 1;
}

bool bench_can(const struct bench_case *c, const struct bench_ops *ops)
{
	if (ops->can && !ops->can(c))
		return false;
	if (ops->one_to_one && (c->senders > 1 || c->receivers > 1 || c->priorities))
		return false;
	return !(ops->one_to_one && c->kind == BENCH_IDLE);
}

// Every message of a stream was received exactly once.
static const char *check_stream(const struct bench_load *load, const struct bench_team *team)
{
	uint64_t ops = 0, sum = 0;
	for (size_t i = 0; i < team->n; i++) {
		ops += team->worker[i].ops;
		sum += team->worker[i].sum;
	}
	for (size_t s = 0; s < load->c->senders; s++) {
		const uint64_t n = bench_share(load, s);
		sum -= n * (n + 1) / 2;
	}
	return ops == load->count && sum == 0 ? NULL : "messages were lost or repeated";
}

// No unit of a semaphore was lost or came from nowhere, and nobody met another inside.
static const char *check_units(struct bench_load *load, const struct bench_team *team)
{
	const struct bench_case *c = load->c;
	if (c->kind == BENCH_CONTEND && *team->counter != (uint32_t)load->count)
		return "two were inside at a time";
	if (c->scope == BENCH_PRIVATE)
		return NULL; // the worker has looked
	return load->ops->units(&load->end[0]) == (long)c->depth ? NULL : "units were lost or invented";
}

static const char *check(struct bench_load *load, const struct bench_team *team)
{
	if (load->ops->post)
		return check_units(load, team);
	return load->c->kind == BENCH_STREAM ? check_stream(load, team) : NULL;
}

static void reckon(const struct bench_case *c, struct bench_team *team, struct bench_sample *out)
{
	int64_t start = INT64_MAX, end = 0;
	double cpu = 0, switches = 0, calls = 0, ops = 0;
	for (size_t i = 0; i < team->n; i++) {
		const struct bench_worker *w = &team->worker[i];
		if (w->start_ns && w->start_ns < start)
			start = w->start_ns;
		end = w->end_ns > end ? w->end_ns : end;
		cpu += (double)w->cpu_ns;
		switches += (double)w->switches;
		calls += (double)w->calls;
		ops += (double)w->ops;
		out->huge += w->huge / (double)team->n;
	}
	ops = ops > 0 ? ops : 1;
	out->ns = (double)(end - start) / ops;
	out->cpu_ns = cpu / ops;
	out->switches = switches / ops;
	out->calls = calls / ops;
	if (bench_has_samples(c->kind)) {
		bench_histogram_count(&out->latency, team->samples_ns, team->samples);
		out->p50_ns = bench_percentile_u32(team->samples_ns, team->samples, 0.50);
		out->p99_ns = bench_percentile_u32(team->samples_ns, team->samples, 0.99);
	}
}

static int ends_of(const struct bench_case *c)
{
	if (c->kind == BENCH_EVENTS)
		return c->objects < BENCH_MAX_ENDS ? (int)c->objects : BENCH_MAX_ENDS;
	return c->kind == BENCH_ROUNDTRIP ? 2 : 1;
}

static int create_ends(struct bench_load *load, int ends)
{
	static unsigned serial;
	for (int i = 0; i < ends; i++) {
		struct bench_end *end = &load->end[i];
		snprintf(end->name, sizeof(end->name), "/bench-%ld-%u", (long)getpid(), serial++);
		end->c = load->c;
		end->size = load->c->size;
		end->depth = load->c->depth;
		end->pipe_size = load->c->pipe_size;
		end->polled = load->c->kind == BENCH_ROUNDTRIP && load->c->layout == BENCH_SPLIT;
		if (load->ops->create(end) != 0) {
			const int error = errno;
			while (i-- > 0)
				load->ops->destroy(&load->end[i]);
			errno = error;
			return -1;
		}
	}
	return 0;
}

static void repeat(const struct bench_case *c, const struct bench_ops *ops, uint64_t count,
                   bool count_calls, struct bench_sample *sample)
{
	struct bench_load load = {.c = c, .ops = ops, .count = count};
	struct bench_team team;
	const int ends = ends_of(c);
	memset(sample, 0, sizeof(*sample));
	load.work = c->work_ns ? bench_work_of(c->work_ns) : 0;
	if (bench_has_samples(c->kind) && load.count > MAX_ROUNDTRIPS)
		load.count = MAX_ROUNDTRIPS;
	if (create_ends(&load, ends) != 0) {
		sample->error = strerror(errno);
		return;
	}
	sample->size = load.end[0].size;
	sample->depth = load.end[0].depth;
	sample->pipe_size = load.end[0].pipe_size;
	const size_t times = bench_has_samples(c->kind) ? (size_t)load.count : 0;
	if (bench_team_init(&team, bench_workers(c), times) != 0) {
		sample->error = strerror(errno);
	} else {
		team.count_calls = count_calls;
		if (bench_team_run(&team, c->layout, body_of(c, ops), &load, &sample->error) == 0) {
			sample->error = check(&load, &team);
			reckon(c, &team, sample);
		}
		bench_team_free(&team);
	}
	for (int i = 0; i < ends; i++)
		ops->destroy(&load.end[i]);
}

void bench_repeat(const struct bench_case *c, const struct bench_ops *ops, uint64_t count,
                  struct bench_sample *sample)
{
	repeat(c, ops, count, false, sample);
}

bool bench_count_calls(const struct bench_case *c, const struct bench_ops *ops, uint64_t count,
                       struct bench_sample *sample)
{
	if (!bench_calls_known())
		return false;
	repeat(c, ops, count, true, sample);
	return sample->error == NULL;
}

uint64_t bench_calibrate(const struct bench_case *c, const struct bench_ops *ops, int64_t ns,
                         struct bench_sample *sample)
{
	if (c->kind == BENCH_IDLE)
		return (uint64_t)ns;
	if (c->kind == BENCH_CHECK) // what is told is no measure of how long it takes
		return (uint64_t)ns / 4;
	// A short run is mostly its start, where the workers meet: so grow until most of the time is work.
	const uint64_t least = c->kind == BENCH_LIFE ? 1 : 64;
	for (uint64_t count = c->kind == BENCH_LIFE ? 1 : 256;;) {
		bench_repeat(c, ops, count, sample);
		if (sample->error)
			return 0;
		const double want = (double)ns / sample->ns;
		if (want < 2 * (double)count)
			return want < (double)least ? least : (uint64_t)want;
		count = want < 8 * (double)count ? (uint64_t)want : 8 * count;
	}
}

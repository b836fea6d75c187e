// SPDX-License-Identifier: MIT
//
// What the workers of each workload do with semaphores. See bench_load.h.
//
// The leader looks at the semaphore afterwards: it must have as many units as at the beginning. In the
// contended workload each worker adds one to a common counter inside the section, by a load and a store
// with the section's work between them: had two been inside at a time, one of them would be missing.
#define _GNU_SOURCE
#include "bench_work.h"

#include <string.h>
#include <time.h>

#define WARM_ROUNDTRIPS 2000

void bench_work(uint64_t turns)
{
	uint64_t x = turns;
	for (uint64_t i = 0; i < turns; i++) {
		x = x * UINT64_C(6364136223846793005) + 1;
		__asm__ volatile("" : "+r"(x)); // keep it, turn by turn
	}
}

uint64_t bench_work_of(unsigned ns)
{
	static double turn_ns;
	const uint64_t turns = 1000000;
	for (int i = 0; turn_ns <= 0 || i < 5; i++) {
		const int64_t before = bench_now_ns();
		bench_work(turns);
		const double took = (double)(bench_now_ns() - before) / (double)turns;
		if (turn_ns <= 0 || took < turn_ns)
			turn_ns = took;
	}
	return (uint64_t)(ns / turn_ns);
}

static struct bench_end *attach(struct bench_team *team, struct bench_load *load, int which)
{
	struct bench_end *end = &load->end[which];
	if (load->ops->attach(end) != 0)
		bench_fail_errno(team, "open");
	return end;
}

static void post(struct bench_team *team, const struct bench_ops *ops, struct bench_end *end)
{
	if (ops->post(end) != 0)
		bench_fail_errno(team, "post");
}

static void await(struct bench_team *team, const struct bench_ops *ops, struct bench_end *end)
{
	if (ops->wait(end) != 0)
		bench_fail_errno(team, "wait");
}

void bench_units_same_worker(struct bench_team *team, void *arg)
{
	struct bench_load *load = arg;
	struct bench_end *end = attach(team, load, 0);
	bench_start(team);
	if (load->ops->pairs(end, load->count) != 0)
		bench_fail_errno(team, "wait and post");
	bench_stop(team);
	team->worker[team->index].ops = load->count;
	if (load->ops->units(end) != (long)load->c->depth)
		bench_fail(team, "units were lost or invented");
}

void bench_units_stream_worker(struct bench_team *team, void *arg)
{
	struct bench_load *load = arg;
	const struct bench_ops *ops = load->ops;
	struct bench_end *end = attach(team, load, 0);
	const bool poster = team->index == 0;
	bench_start(team);
	for (uint64_t i = 0; i < load->count; i++) {
		if (poster)
			post(team, ops, end);
		else
			await(team, ops, end);
	}
	bench_stop(team);
	team->worker[team->index].ops = poster ? 0 : load->count;
}

static void asker(struct bench_team *team, struct bench_load *load, struct bench_end *there,
                  struct bench_end *back)
{
	memset(team->samples_ns, 0xff, team->samples * sizeof(*team->samples_ns));
	bench_start(team);
	int64_t before = team->worker[team->index].start_ns;
	for (uint64_t i = 0; i < load->count; i++) {
		post(team, load->ops, there);
		await(team, load->ops, back);
		const int64_t now = bench_now_ns(), took = now - before;
		team->samples_ns[i] = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
		before = now;
	}
	bench_stop(team);
	team->worker[team->index].ops = load->count;
}

static void answerer(struct bench_team *team, struct bench_load *load, struct bench_end *there,
                     struct bench_end *back)
{
	bench_start(team);
	for (uint64_t i = 0; i < load->count; i++) {
		await(team, load->ops, there);
		post(team, load->ops, back);
	}
	bench_stop(team);
}

void bench_units_roundtrip_worker(struct bench_team *team, void *arg)
{
	struct bench_load *load = arg;
	struct bench_end *there = attach(team, load, 0), *back = attach(team, load, 1);
	const bool asks = team->index == 0;
	for (int i = 0; i < WARM_ROUNDTRIPS; i++) {
		if (asks)
			post(team, load->ops, there);
		await(team, load->ops, asks ? back : there);
		if (!asks)
			post(team, load->ops, back);
	}
	if (asks)
		asker(team, load, there, back);
	else
		answerer(team, load, there, back);
}

// Worker 0 waits out the time and then wakes the others, whose use is what counts.
void bench_units_idle_worker(struct bench_team *team, void *arg)
{
	struct bench_load *load = arg;
	struct bench_end *end = attach(team, load, 0);
	bench_start(team);
	if (team->index == 0) {
		const struct timespec span = {(time_t)(load->count / 1000000000),
		                              (long)(load->count % 1000000000)};
		nanosleep(&span, NULL);
		for (unsigned i = 0; i < load->c->receivers; i++)
			post(team, load->ops, end);
		memset(&team->worker[0], 0, sizeof(team->worker[0]));
		return;
	}
	await(team, load->ops, end);
	bench_stop(team);
	team->worker[team->index].ops = 1;
}

void bench_units_contend_worker(struct bench_team *team, void *arg)
{
	struct bench_load *load = arg;
	volatile uint32_t *counter = team->counter;
	struct bench_end *end = attach(team, load, 0);
	const uint64_t n = load->c->processes;
	const uint64_t mine = load->count / n + (team->index < load->count % n);
	bench_start(team);
	for (uint64_t i = 0; i < mine; i++) {
		await(team, load->ops, end);
		const uint32_t inside = *counter;
		bench_work(load->work);
		*counter = inside + 1;
		post(team, load->ops, end);
		bench_work(load->work);
	}
	bench_stop(team);
	team->worker[team->index].ops = mine;
}

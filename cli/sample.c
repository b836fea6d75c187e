// SPDX-License-Identifier: MIT
//
// sample.c - see sample.h. Objects of two looks are the same if file and inode are, processes if number and start.
#include "sample.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

enum { STEADY_NS = 500000000 };

static const struct world_object *find_object(const struct world *world,
                                              const struct world_object *same)
{
	for (size_t i = 0; i < world->objects; i++) {
		const struct world_object *const o = &world->object[i];

		if (o->file && same->file && o->inode == same->inode && o->device == same->device &&
		    o->kind == same->kind)
			return o;
	}
	return NULL;
}

static bool has_counts(const struct world_object *o)
{
	return !o->error && !o->unlinked && o->file &&
	       (o->kind == WORLD_QUEUE || o->kind == WORLD_PIPE || o->kind == WORLD_FIFO);
}

static double per_second(uint64_t now, uint64_t before, double seconds)
{
	return now < before ? 0 : (double)(now - before) / seconds;
}

static struct sample_rate rate_of(const struct world_object *now, const struct world_object *before,
                                  double seconds)
{
	struct sample_rate rate = {-1, -1};

	if (!before || seconds <= 0)
		return rate;
	if (has_counts(now)) {
		rate.in = per_second(now->in, before->in, seconds);
		rate.out = per_second(now->out, before->out, seconds);
	} else if (now->holders && !now->error && !now->unlinked) {
		const bool many = now->pace * seconds > (double)WORLD_STEPS / 2;

		rate.in =
			many ? now->pace : (double)((now->steps - before->steps) & (WORLD_STEPS - 1)) / seconds;
	}
	return rate;
}

static struct sample_load load_of(const struct world_process *now, const struct world *before,
                                  double seconds)
{
	const size_t at = before ? world_find_process(before, now->pid) : WORLD_NONE;
	const struct world_process *const then = at == WORLD_NONE ? NULL : &before->process[at];

	if (!then || then->started != now->started || seconds <= 0)
		return (struct sample_load){-1, -1};
	return (struct sample_load){
		.cpu = per_second(now->cpu_ns, then->cpu_ns, seconds) / 1e7,
		.sleeps = per_second(now->switches, then->switches, seconds),
	};
}

// In motion is no deadlock: all in it have slept for a while.
static void keep_steady(struct sample *sample, int64_t at_ns)
{
	struct knots *const knots = &sample->knots;
	size_t kept = 0;

	for (size_t i = 0; i < knots->count; i++)
		if (knot_is_older(&sample->world, &knots->knot[i], at_ns))
			knots->knot[kept++] = knots->knot[i];
		else
			free(knots->knot[i].step);
	knots->count = kept;
}

bool sample_take(struct sample *sample, const struct sample *before)
{
	*sample = (struct sample){0};
	if (!world_look(&sample->world, NULL))
		return false;
	const struct world *const world = &sample->world;
	const struct world *const then = before ? &before->world : NULL;

	sample->seconds = then ? (double)(world->at_ns - then->at_ns) / 1e9 : 0;
	sample->rate = memory_zeroed(world->objects + 1, sizeof *sample->rate);
	sample->sum = memory_zeroed(world->objects + 1, sizeof *sample->sum);
	sample->load = memory_zeroed(world->processes + 1, sizeof *sample->load);
	for (size_t i = 0; i < world->objects; i++) {
		const struct world_object *const o = &world->object[i];

		sample->rate[i] = rate_of(o, then ? find_object(then, o) : NULL, sample->seconds);
		sample->sum[i] = world_sum_of(world, i);
	}
	for (size_t i = 0; i < world->processes; i++)
		sample->load[i] = load_of(&world->process[i], then, sample->seconds);
	knots_find(world, &sample->knots);
	keep_steady(sample, then ? then->at_ns : world->at_ns - STEADY_NS);
	return true;
}

void sample_free(struct sample *sample)
{
	knots_free(&sample->knots);
	world_free(&sample->world);
	free(sample->rate);
	free(sample->sum);
	free(sample->load);
	*sample = (struct sample){0};
}

size_t sample_uses(const struct sample *sample, size_t process)
{
	size_t count = 0;

	for (size_t i = 0; i < sample->world.uses; i++)
		count += sample->world.use[i].process == process;
	return count;
}

size_t sample_holds(const struct sample *sample, size_t process)
{
	size_t count = 0;

	for (size_t i = 0; i < sample->world.holds; i++)
		count += sample->world.hold[i].process == process;
	return count;
}

static bool is_longer(const struct world_wait *wait, const struct world_wait *than)
{
	return !than ||
	       (wait->since_ns != 0 && (than->since_ns == 0 || wait->since_ns < than->since_ns));
}

// Objects before its own threads and children.
const struct world_wait *sample_wait(const struct sample *sample, size_t process)
{
	const struct world_wait *found = NULL, *other = NULL;

	for (size_t i = 0; i < sample->world.waits; i++) {
		const struct world_wait *const w = &sample->world.wait[i];

		if (w->process != process || w->want == WANT_NEWS)
			continue;
		if (w->object == WORLD_NONE)
			other = is_longer(w, other) ? w : other;
		else
			found = is_longer(w, found) ? w : found;
	}
	return found ? found : other;
}

// SPDX-License-Identifier: MIT
//
// knot.c - see knot.h. First everybody is found who can go on, beginning with those of whom nothing else is known,
// over and over: who waits for one of them can, too (the reduction of Holt). Who is left waits only for others who
// are left; among them circles are looked for, the strongly connected parts of the graph. A circle in which everybody
// merely waits for something to come, with nobody holding or handing over anything, is idleness: it goes on, too.
#include "knot.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "memory.h"
#include "world_parts.h"

enum { SECOND_LOOK_MS = 250 };

struct edge {
	size_t from, to, wait;
	bool hard;  // somebody holds, or has something to hand over
	bool known; // it is more than possible: he holds it, or has done so before
};

struct search {
	const struct world *world;
	bool *live;      // processes
	bool *wait_live; // waits
	struct edge *edge;
	size_t edges;
	// Tarjan's: by process
	size_t *index, *low, *part, *stack;
	bool *stacked;
	size_t next_index, depth, parts;
};

// ---- who can go on ----

// A stopped one can, when somebody lets it; so can any thread of whose sleep nothing is told.
static void begin(struct search *s)
{
	const struct world *const world = s->world;

	for (size_t i = 0; i < world->processes; i++) {
		const struct world_process *const p = &world->process[i];

		s->live[i] = p->asleep < p->threads || p->state == 'T' || p->state == 't' || p->asleep == 0;
	}
}

static uint64_t units_of_live(const struct search *s, size_t object)
{
	uint64_t units = s->world->object[object].value;

	for (size_t i = 0; i < s->world->holds; i++) {
		const struct world_hold *const h = &s->world->hold[i];

		if (h->object == object && h->what == HOLD_UNITS &&
		    (h->process == WORLD_NONE || s->live[h->process]))
			units += h->units;
	}
	return units;
}

static bool can_end(const struct search *s, const struct world_wait *wait)
{
	size_t count;
	bool outside, some = false;
	size_t *const peers = knot_peers(s->world, wait, &count, &outside);

	for (size_t i = 0; i < count; i++)
		some |= s->live[peers[i]];
	free(peers);
	if (outside || wait->ends_ms >= 0)
		return true;
	return wait->want == WANT_UNITS ? units_of_live(s, wait->object) >= wait->units : some;
}

// A process goes on as soon as one of its threads does.
static void reduce(struct search *s)
{
	bool changed = true;

	while (changed) {
		changed = false;
		for (size_t i = 0; i < s->world->waits; i++) {
			const struct world_wait *const wait = &s->world->wait[i];

			if (s->live[wait->process] || s->wait_live[i] || !can_end(s, wait))
				continue;
			s->wait_live[i] = true;
			s->live[wait->process] = true;
			changed = true;
		}
	}
}

// ---- the graph of the others ----

static bool is_hard(const struct world *world, const struct world_wait *wait, size_t peer)
{
	if (wait->want == WANT_CONTENT)
		return world->object[wait->object].kind == WORLD_PIPE && peer != wait->process;
	return wait->want == WANT_UNITS || wait->want == WANT_LOCK || wait->want == WANT_PLACE ||
	       wait->want == WANT_ROOM;
}

// Of those that have a queue open, who was the last to serve it is meant first.
static bool is_known(const struct world *world, const struct world_wait *wait, size_t peer)
{
	if (wait->object == WORLD_NONE || world->object[wait->object].kind != WORLD_QUEUE)
		return true;
	const struct world_object *const o = &world->object[wait->object];

	return wait->want == WANT_LOCK ||
	       world->process[peer].pid == (wait->want == WANT_ROOM ? o->last_out : o->last_in);
}

static void draw(struct search *s)
{
	s->edges = 0;
	for (size_t i = 0; i < s->world->waits; i++) {
		const struct world_wait *const wait = &s->world->wait[i];
		size_t count;
		bool outside;

		if (s->live[wait->process])
			continue;
		size_t *const peers = knot_peers(s->world, wait, &count, &outside);

		for (size_t k = 0; k < count; k++)
			if (!s->live[peers[k]])
				*WORLD_MORE(s->edge, s->edges) =
					(struct edge){wait->process, peers[k], i, is_hard(s->world, wait, peers[k]),
				                  is_known(s->world, wait, peers[k])};
		free(peers);
	}
}

static void visit(struct search *s, size_t process)
{
	s->index[process] = s->low[process] = ++s->next_index;
	s->stack[s->depth++] = process;
	s->stacked[process] = true;
	for (size_t i = 0; i < s->edges; i++) {
		const size_t to = s->edge[i].to;

		if (s->edge[i].from != process)
			continue;
		if (s->index[to] == 0)
			visit(s, to);
		if (s->stacked[to] && s->low[to] < s->low[process])
			s->low[process] = s->low[to];
	}
	if (s->low[process] != s->index[process])
		return;
	s->parts++;
	size_t top;

	do {
		top = s->stack[--s->depth];
		s->stacked[top] = false;
		s->part[top] = s->parts;
	} while (top != process);
}

// The part of each process that is left; 0 for the others.
static void divide(struct search *s)
{
	const size_t bytes = s->world->processes * sizeof *s->index;

	memset(s->index, 0, bytes);
	memset(s->part, 0, bytes);
	s->next_index = s->depth = s->parts = 0;
	for (size_t i = 0; i < s->world->processes; i++)
		if (!s->live[i] && s->index[i] == 0)
			visit(s, i);
}

// ---- circles ----

// Whether a part has a circle at all, and one that is more than idleness.
static void judge_part(const struct search *s, size_t part, bool *circle, bool *hard)
{
	*circle = *hard = false;
	for (size_t i = 0; i < s->edges; i++) {
		const struct edge *const e = &s->edge[i];

		if (s->part[e->from] != part || s->part[e->to] != part)
			continue;
		*circle = true;
		*hard |= e->hard;
	}
}

// The shortest way from one process to another within a part, as edges that lead back from `to`; false: none.
static bool find_way(const struct search *s, size_t from, size_t to, bool known, size_t *by)
{
	size_t *const queue = memory_zeroed(s->world->processes + 1, sizeof *queue);
	size_t head = 0, tail = 0;

	for (size_t i = 0; i < s->world->processes; i++)
		by[i] = WORLD_NONE;
	queue[tail++] = from;
	while (head < tail && by[to] == WORLD_NONE && from != to) {
		const size_t at = queue[head++];

		for (size_t i = 0; i < s->edges; i++) {
			const struct edge *const e = &s->edge[i];

			if (e->from != at || s->part[e->to] != s->part[from] || e->to == from ||
			    by[e->to] != WORLD_NONE || (known && !e->known))
				continue;
			by[e->to] = i;
			queue[tail++] = e->to;
		}
	}
	free(queue);
	return from == to || by[to] != WORLD_NONE;
}

static size_t length_of(const struct search *s, const size_t *by, size_t from, size_t to)
{
	size_t steps = 0;

	for (; to != from; to = s->edge[by[to]].from)
		steps++;
	return steps;
}

// The circle that begins with an edge and goes on along the way back to it.
static void take_circle(const struct search *s, const struct edge *first, const size_t *by,
                        struct knot *knot)
{
	size_t steps = length_of(s, by, first->to, first->from) + 1;

	free(knot->step);
	knot->steps = steps;
	knot->step = memory_zeroed(steps, sizeof *knot->step);
	knot->step[0] = (struct knot_step){first->from, first->wait};
	for (size_t to = first->from; to != first->to; to = s->edge[by[to]].from)
		knot->step[--steps] = (struct knot_step){s->edge[by[to]].from, s->edge[by[to]].wait};
}

// The shortest circle of a part with something hard in it, of `known` edges only or of all.
static void find_circle(const struct search *s, size_t part, bool known, struct knot *knot)
{
	size_t *const by = memory_zeroed(s->world->processes, sizeof *by);

	for (size_t i = 0; i < s->edges; i++) {
		const struct edge *const e = &s->edge[i];

		if (!e->hard || s->part[e->from] != part || s->part[e->to] != part ||
		    (known && !e->known) || !find_way(s, e->to, e->from, known, by))
			continue;
		if (knot->steps == 0 || length_of(s, by, e->to, e->from) + 1 < knot->steps)
			take_circle(s, e, by, knot);
	}
	free(by);
}

static void add_knot(const struct search *s, size_t part, struct knots *knots)
{
	struct knot knot = {0};

	find_circle(s, part, true, &knot);
	if (knot.steps == 0)
		find_circle(s, part, false, &knot);
	*WORLD_MORE(knots->knot, knots->count) = knot;
}

static bool is_in(const struct knots *knots, size_t process)
{
	for (size_t i = 0; i < knots->count; i++)
		for (size_t k = 0; k < knots->knot[i].steps; k++)
			if (knots->knot[i].step[k].process == process)
				return true;
	return false;
}

// Idle circles go on; then others may. False: there was none.
static bool release_idle(struct search *s)
{
	bool released = false, circle, hard;

	for (size_t part = 1; part <= s->parts; part++) {
		judge_part(s, part, &circle, &hard);
		for (size_t i = 0; circle && !hard && i < s->world->processes; i++)
			if (s->part[i] == part)
				s->live[i] = released = true;
	}
	return released;
}

static void collect(const struct search *s, struct knots *knots)
{
	bool circle, hard;

	for (size_t part = 1; part <= s->parts; part++) {
		judge_part(s, part, &circle, &hard);
		if (circle && hard)
			add_knot(s, part, knots);
	}
	for (size_t i = 0; i < s->world->processes; i++)
		if (!s->live[i] && !is_in(knots, i))
			*WORLD_MORE(knots->behind, knots->behinds) = i;
}

void knots_find(const struct world *world, struct knots *knots)
{
	const size_t n = world->processes + 1;
	struct search s = {
		.world = world,
		.live = memory_zeroed(n, sizeof *s.live),
		.wait_live = memory_zeroed(world->waits + 1, sizeof *s.wait_live),
		.index = memory_zeroed(n, sizeof *s.index),
		.low = memory_zeroed(n, sizeof *s.low),
		.part = memory_zeroed(n, sizeof *s.part),
		.stack = memory_zeroed(n, sizeof *s.stack),
		.stacked = memory_zeroed(n, sizeof *s.stacked),
	};

	*knots = (struct knots){0};
	begin(&s);
	do {
		reduce(&s);
		draw(&s);
		divide(&s);
	} while (release_idle(&s));
	collect(&s, knots);
	free(s.live);
	free(s.wait_live);
	free(s.index);
	free(s.low);
	free(s.part);
	free(s.stack);
	free(s.stacked);
	free(s.edge);
}

void knots_free(struct knots *knots)
{
	for (size_t i = 0; i < knots->count; i++)
		free(knots->knot[i].step);
	free(knots->knot);
	free(knots->behind);
	*knots = (struct knots){0};
}

// ---- for certain ----

bool knot_is_older(const struct world *world, const struct knot *knot, int64_t at_ns)
{
	for (size_t i = 0; i < knot->steps; i++)
		if (world->wait[knot->step[i].wait].since_ns > at_ns)
			return false;
	return true;
}

// Where no time is known, the thread has to have waited for the same at the first look.
static bool was_so(const struct world *first, const struct world *now, const struct knot *knot)
{
	for (size_t i = 0; i < knot->steps; i++) {
		const struct world_wait *const w = &now->wait[knot->step[i].wait];
		bool found = w->since_ns != 0;

		for (size_t k = 0; k < first->waits && !found; k++)
			found = first->wait[k].tid == w->tid && first->wait[k].want == w->want;
		if (!found)
			return false;
	}
	return true;
}

static void keep(const struct world *first, const struct world *now, struct knots *knots)
{
	size_t kept = 0;

	for (size_t i = 0; i < knots->count; i++) {
		const struct knot knot = knots->knot[i];

		if (knot_is_older(now, &knot, first->at_ns) && was_so(first, now, &knot))
			knots->knot[kept++] = knot;
		else
			free(knot.step);
	}
	knots->count = kept;
	if (kept == 0)
		knots->behinds = 0;
}

bool knots_look(struct world *world, struct knots *knots)
{
	struct world first;
	struct knots seen;

	if (!world_look(&first, NULL))
		return false;
	knots_find(&first, &seen);
	if (seen.count == 0) {
		*world = first;
		*knots = seen;
		return true;
	}
	knots_free(&seen);
	nanosleep(&(struct timespec){.tv_nsec = SECOND_LOOK_MS * 1000000L}, NULL);
	const bool done = world_look(world, NULL);

	if (done) {
		knots_find(world, knots);
		keep(&first, world, knots);
	}
	world_free(&first);
	return done;
}

// SPDX-License-Identifier: MIT
//
// top.c - see top.h. top_columns.c has the columns.
#include "top.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

struct row {
	size_t at;
	double key;
	char text[WORDS_MAX];
};

// ---- widths ----

static int fixed_width(const struct top_column *columns, int count, int width)
{
	int sum = 0;

	for (int i = 0; i < count; i++)
		if (columns[i].wanted <= width)
			sum += columns[i].width + (i > 0);
	return sum;
}

void top_widths(enum top_list list, int width, int widths[TOP_COLUMNS_MAX])
{
	int count, shares = 0;
	const struct top_column *const columns = top_columns(list, &count);
	const int left = width - fixed_width(columns, count, width);

	for (int i = 0; i < count; i++)
		shares += columns[i].share;
	for (int i = 0; i < count; i++) {
		const struct top_column *const c = &columns[i];
		const int part = c->share > 0 ? left * c->share / shares : 0;

		widths[i] = c->wanted > width ? 0 : c->width > 0 ? c->width : part > 4 ? part : 4;
	}
}

// ---- rows ----

static bool matches(const struct top_view *view, const struct sample *sample, size_t row)
{
	int count;
	const struct top_column *const columns = top_columns(view->list, &count);
	char text[WORDS_MAX];

	for (int i = 0; i < count && *view->filter; i++)
		if (strcasestr(columns[i].text(text, sample, row), view->filter))
			return true;
	return !*view->filter;
}

static int compare(const struct row *a, const struct row *b)
{
	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return strcmp(a->text, b->text);
}

static int upward(const void *a, const void *b)
{
	const struct row *const one = a, *const other = b;
	const int order = compare(one, other);

	return order != 0 ? order : one->at < other->at ? -1 : one->at > other->at;
}

static int downward(const void *a, const void *b)
{
	const struct row *const one = a, *const other = b;
	const int order = compare(other, one);

	return order != 0 ? order : one->at < other->at ? -1 : one->at > other->at;
}

// Pipes that the kernel alone has are in a world for the sake of the processes at their ends.
static bool is_shown(const struct top_view *view, const struct sample *sample, size_t row)
{
	return view->list == TOP_PROCESSES || sample->world.object[row].file;
}

size_t *top_rows(const struct top_view *view, const struct sample *sample, size_t *count)
{
	const size_t all = view->list == TOP_OBJECTS ? sample->world.objects : sample->world.processes;
	struct row *const rows = memory_zeroed(all + 1, sizeof *rows);
	size_t *const order = memory_zeroed(all + 1, sizeof *order);
	int columns;
	const struct top_column *const by = &top_columns(view->list, &columns)[view->sort[view->list]];

	*count = 0;
	for (size_t i = 0; i < all; i++) {
		if (!is_shown(view, sample, i) || !matches(view, sample, i))
			continue;
		struct row *const row = &rows[(*count)++];

		row->at = i;
		if (by->key)
			row->key = by->key(sample, i);
		else
			by->text(row->text, sample, i);
	}
	qsort(rows, *count, sizeof *rows, by->downward != view->reverse ? downward : upward);
	for (size_t i = 0; i < *count; i++)
		order[i] = rows[i].at;
	free(rows);
	return order;
}

static enum top_mood object_mood(const struct sample *sample, size_t object)
{
	const struct world_object *const o = &sample->world.object[object];
	const struct world_sum *const sum = &sample->sum[object];

	if (strcmp(o->state, "damaged") == 0 || strcmp(o->state, "dead-holder") == 0)
		return TOP_BAD;
	return sum->takers + sum->givers + sum->others > 0 ? TOP_WAITING : TOP_CALM;
}

static enum top_mood process_mood(const struct sample *sample, size_t process)
{
	for (size_t i = 0; i < sample->knots.count; i++)
		for (size_t k = 0; k < sample->knots.knot[i].steps; k++)
			if (sample->knots.knot[i].step[k].process == process)
				return TOP_BAD;
	return sample_wait(sample, process) ? TOP_WAITING : TOP_CALM;
}

enum top_mood top_mood_of(enum top_list list, const struct sample *sample, size_t row)
{
	return list == TOP_OBJECTS ? object_mood(sample, row) : process_mood(sample, row);
}

// ---- the lines above ----

const char *top_title(char out[WORDS_MAX], const struct sample *sample)
{
	snprintf(out, WORDS_MAX, "posthaste top  %.300s", sample->world.directory);
	return out;
}

const char *top_summary(char out[WORDS_MAX], const struct sample *sample)
{
	size_t kinds[WORLD_KINDS] = {0}, asleep = 0, damaged = 0, used = 0;

	for (size_t i = 0; i < sample->world.objects; i++) {
		const struct world_object *const o = &sample->world.object[i];

		kinds[o->kind] += o->file != NULL;
		damaged += strcmp(o->state, "damaged") == 0;
	}
	for (size_t i = 0; i < sample->world.waits; i++)
		asleep +=
			sample->world.wait[i].object != WORLD_NONE && sample->world.wait[i].want != WANT_NEWS;
	used = (size_t)snprintf(
		out, WORDS_MAX, "%zu mq, %zu sem, %zu shm, %zu pipes; %zu processes, %zu threads asleep",
		kinds[WORLD_QUEUE], kinds[WORLD_SEM], kinds[WORLD_SHM],
		kinds[WORLD_PIPE] + kinds[WORLD_FIFO], sample->world.processes, asleep);
	if (damaged > 0)
		snprintf(out + used, WORDS_MAX - used, "; %zu damaged", damaged);
	return out;
}

const char *top_alarm(char out[WORDS_MAX], const struct sample *sample)
{
	size_t used;

	out[0] = '\0';
	if (sample->knots.count == 0)
		return out;
	const struct knot *const knot = &sample->knots.knot[0];

	used = (size_t)snprintf(out, WORDS_MAX, "deadlock: pid");
	for (size_t i = 0; i <= knot->steps && used < WORDS_MAX - 80; i++)
		used +=
			(size_t)snprintf(out + used, WORDS_MAX - used, "%s %d", i > 0 ? " ->" : "",
		                     (int)sample->world.process[knot->step[i % knot->steps].process].pid);
	snprintf(out + used, WORDS_MAX - used, "; see: posthaste deadlock");
	return out;
}

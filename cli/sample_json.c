// SPDX-License-Identifier: MIT
//
// sample_json.c - a sample as one JSON object: objects, processes, deadlocks. What is not known is left out.
#include <string.h>

#include "json.h"
#include "sample.h"
#include "watched.h"
#include "words.h"

static void real_if_known(struct json *json, const char *key, double value)
{
	if (value >= 0)
		json_real(json, key, value);
}

static void put_object(struct json *json, const struct sample *sample, size_t object)
{
	const struct world_object *const o = &sample->world.object[object];
	const struct world_sum *const sum = &sample->sum[object];
	const struct watched watched = {&sample->world, object};

	json_open(json, NULL, '{');
	json_string(json, "kind", world_kind_name(o->kind));
	json_string(json, "name", o->name);
	json_unsigned(json, "fill", o->fill);
	if (o->capacity > 0)
		json_unsigned(json, "capacity", o->capacity);
	json_unsigned(json, "memory", o->memory);
	real_if_known(json, "in_per_s", sample->rate[object].in);
	real_if_known(json, "out_per_s", sample->rate[object].out);
	json_unsigned(json, "asleep_takers", sum->takers);
	json_unsigned(json, "asleep_givers", sum->givers);
	if (sum->since_ms >= 0)
		json_signed(json, "since_ms", sum->since_ms);
	watched_json(json, &watched);
	json_string(json, "state", o->state);
	json_close(json, '}');
}

static void put_process(struct json *json, const struct sample *sample, size_t process)
{
	const struct world_process *const p = &sample->world.process[process];
	char text[WORDS_MAX];

	json_open(json, NULL, '{');
	json_signed(json, "pid", p->pid);
	json_bytes(json, "command", p->command, strlen(p->command));
	json_string(json, "state", (char[]){p->state, '\0'});
	json_unsigned(json, "threads", p->threads);
	real_if_known(json, "cpu_percent", sample->load[process].cpu);
	real_if_known(json, "sleeps_per_s", sample->load[process].sleeps);
	json_unsigned(json, "open", sample_uses(sample, process));
	json_unsigned(json, "holds", sample_holds(sample, process));
	json_open(json, "waits", '[');
	for (size_t i = 0; i < sample->world.waits; i++)
		if (sample->world.wait[i].process == process)
			json_string(json, NULL, words_wait(text, &sample->world, &sample->world.wait[i]));
	json_close(json, ']');
	json_close(json, '}');
}

static void put_knot(struct json *json, const struct sample *sample, const struct knot *knot)
{
	json_open(json, NULL, '[');
	for (size_t i = 0; i < knot->steps; i++)
		json_signed(json, NULL, sample->world.process[knot->step[i].process].pid);
	json_close(json, ']');
}

void sample_json(const struct sample *sample)
{
	struct json json = {.out = stdout};

	json_open(&json, NULL, '{');
	json_string(&json, "directory", sample->world.directory);
	json_real(&json, "seconds", sample->seconds);
	json_open(&json, "objects", '[');
	for (size_t i = 0; i < sample->world.objects; i++)
		put_object(&json, sample, i);
	json_close(&json, ']');
	json_open(&json, "processes", '[');
	for (size_t i = 0; i < sample->world.processes; i++)
		put_process(&json, sample, i);
	json_close(&json, ']');
	json_open(&json, "deadlocks", '[');
	for (size_t i = 0; i < sample->knots.count; i++)
		put_knot(&json, sample, &sample->knots.knot[i]);
	json_close(&json, ']');
	json_unsigned(&json, "hidden_processes", sample->world.hidden);
	json_close(&json, '}');
	putchar('\n');
}

// SPDX-License-Identifier: MIT
//
// cmd_stats.c - posthaste stats: sums for people, and every figure in the text format of Prometheus. A queue, a
// semaphore and a memory are told apart by kind and name, a ring by its file as well.
#include <inttypes.h>
#include <string.h>

#include "cli.h"
#include "json.h"
#include "sample.h"

static const struct option options[] = {
	{"prometheus", no_argument, NULL, 'p'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

// ---- figures of objects ----

struct subject {
	const struct world_object *o;
	const struct world_sum *sum;
};

typedef bool figure(const struct subject *s, double *value);

static bool give(double *value, bool has, uint64_t is)
{
	*value = (double)is;
	return has;
}

static bool is_ring(const struct world_object *o)
{
	return o->kind == WORLD_PIPE || o->kind == WORLD_FIFO;
}

static bool is_well(const struct subject *s, enum world_kind kind)
{
	return s->o->kind == kind && s->o->error == 0;
}

static bool memory(const struct subject *s, double *value)
{
	return give(value, true, s->o->memory);
}

static bool damaged(const struct subject *s, double *value)
{
	return give(value, true, strcmp(s->o->state, "damaged") == 0);
}

static bool users(const struct subject *s, double *value)
{
	return give(value, true, s->sum->users);
}

static bool holders(const struct subject *s, double *value)
{
	return give(value, true, s->sum->holders);
}

static bool takers(const struct subject *s, double *value)
{
	return give(value, s->o->kind != WORLD_SHM, s->sum->takers);
}

static bool givers(const struct subject *s, double *value)
{
	return give(value, s->o->kind == WORLD_QUEUE || is_ring(s->o), s->sum->givers);
}

static bool longest(const struct subject *s, double *value)
{
	*value = s->sum->since_ms < 0 ? 0 : (double)s->sum->since_ms / 1e3;
	return true;
}

static bool messages(const struct subject *s, double *value)
{
	return give(value, is_well(s, WORLD_QUEUE), s->o->fill);
}

static bool depth(const struct subject *s, double *value)
{
	return give(value, is_well(s, WORLD_QUEUE), s->o->capacity);
}

static bool sent(const struct subject *s, double *value)
{
	return give(value, is_well(s, WORLD_QUEUE), s->o->in);
}

static bool received(const struct subject *s, double *value)
{
	return give(value, is_well(s, WORLD_QUEUE), s->o->out);
}

static bool units(const struct subject *s, double *value)
{
	return give(value, is_well(s, WORLD_SEM), s->o->value);
}

static bool held(const struct subject *s, double *value)
{
	return give(value, is_well(s, WORLD_SEM) && s->o->holders, s->o->fill);
}

static bool returned(const struct subject *s, double *value)
{
	return give(value, is_well(s, WORLD_SEM) && s->o->holders, s->o->returned);
}

static bool ring_bytes(const struct subject *s, double *value)
{
	return give(value, is_ring(s->o) && s->o->error == 0, s->o->fill);
}

static bool ring_size(const struct subject *s, double *value)
{
	return give(value, is_ring(s->o) && s->o->error == 0, s->o->capacity);
}

static bool ring_written(const struct subject *s, double *value)
{
	return give(value, is_ring(s->o) && s->o->error == 0, s->o->in);
}

static bool shm_size(const struct subject *s, double *value)
{
	return give(value, is_well(s, WORLD_SHM), s->o->size);
}

static const struct {
	const char *name, *type, *help;
	figure *of;
} figures[] = {
	{"memory_bytes", "gauge", "Memory that the object takes.", memory},
	{"damaged", "gauge", "1 if its users get EBADMSG.", damaged},
	{"users", "gauge", "Processes that have it open, as far as they can be seen.", users},
	{"holders", "gauge", "Processes that hold units, messages or a lock of it.", holders},
	{"sleeping_takers", "gauge", "Threads asleep until a message, bytes or a unit come.", takers},
	{"sleeping_givers", "gauge", "Threads asleep until there is room.", givers},
	{"longest_sleep_seconds", "gauge", "For how long the first of them has slept.", longest},
	{"queue_messages", "gauge", "Messages in the queue.", messages},
	{"queue_depth", "gauge", "Messages that the queue can hold.", depth},
	{"queue_sent_total", "counter", "Messages sent since the queue was made.", sent},
	{"queue_received_total", "counter", "Messages received since the queue was made.", received},
	{"semaphore_value", "gauge", "Units that are there.", units},
	{"semaphore_held", "gauge", "Units that are held.", held},
	{"semaphore_returned_total", "counter", "Units that came back from the dead.", returned},
	{"ring_bytes", "gauge", "Bytes in the ring of a pipe.", ring_bytes},
	{"ring_size_bytes", "gauge", "Bytes that the ring can hold.", ring_size},
	{"ring_written_bytes_total", "counter", "Bytes ever put through the ring.", ring_written},
	{"shm_size_bytes", "gauge", "Size of the shared memory.", shm_size},
};

// ---- the text format ----

// UTF-8, with backslash, quote and newline escaped.
static void put_label(const char *key, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t left = strlen(text);

	printf("%s=\"", key);
	while (left > 0) {
		const size_t n = json_sequence(p, left);

		if (n == 0)
			fputs("\xef\xbf\xbd", stdout);
		else if (*p == '\\' || *p == '"')
			printf("\\%c", *p);
		else if (*p == '\n')
			fputs("\\n", stdout);
		else
			fwrite(p, 1, n, stdout);
		p += n ? n : 1;
		left -= n ? n : 1;
	}
	putchar('"');
}

static void put_head(const char *name, const char *type, const char *help)
{
	printf("# HELP posthaste_%s %s\n# TYPE posthaste_%s %s\n", name, help, name, type);
}

static void put_number(double value)
{
	if (value == (double)(uint64_t)value)
		printf("%" PRIu64 "\n", (uint64_t)value);
	else
		printf("%.9g\n", value);
}

static void put_sample(const char *name, const struct world_object *o, double value)
{
	printf("posthaste_%s{", name);
	put_label("kind", world_kind_name(o->kind));
	putchar(',');
	put_label("name", o->name);
	if (is_ring(o)) {
		putchar(',');
		put_label("file", o->file);
	}
	fputs("} ", stdout);
	put_number(value);
}

static void put_single(const char *name, const char *help, size_t value)
{
	put_head(name, "gauge", help);
	printf("posthaste_%s %zu\n", name, value);
}

// Two objects of one name are one series: what was unlinked is only counted.
static bool has_series(const struct world_object *o)
{
	return o->file && !o->unlinked;
}

static void put_objects(const struct sample *sample)
{
	for (size_t f = 0; f < sizeof figures / sizeof *figures; f++) {
		bool headed = false;

		for (size_t i = 0; i < sample->world.objects; i++) {
			const struct subject s = {&sample->world.object[i], &sample->sum[i]};
			double value;

			if (!has_series(s.o) || !figures[f].of(&s, &value))
				continue;
			if (!headed)
				put_head(figures[f].name, figures[f].type, figures[f].help);
			headed = true;
			put_sample(figures[f].name, s.o, value);
		}
	}
}

static void put_kinds(const struct sample *sample)
{
	put_head("objects", "gauge", "Objects in the namespace.");
	for (int kind = 0; kind < WORLD_KINDS; kind++) {
		size_t count = 0;

		for (size_t i = 0; i < sample->world.objects; i++)
			count +=
				(int)sample->world.object[i].kind == kind && has_series(&sample->world.object[i]);
		printf("posthaste_objects{kind=\"%s\"} %zu\n", world_kind_name((enum world_kind)kind),
		       count);
	}
}

static size_t count_unlinked(const struct sample *sample)
{
	size_t count = 0;

	for (size_t i = 0; i < sample->world.objects; i++)
		count += sample->world.object[i].unlinked;
	return count;
}

static void put_prometheus(const struct sample *sample)
{
	put_kinds(sample);
	put_single("unlinked_objects", "Objects without a name that are open still.",
	           count_unlinked(sample));
	put_single("processes", "Processes that have an object open, as far as they can be seen.",
	           sample->world.processes);
	put_single("hidden_processes", "Processes that could not be looked into.",
	           sample->world.hidden);
	put_single("deadlocks", "Circles of processes that wait for each other.", sample->knots.count);
	put_objects(sample);
}

// ---- for people ----

static void put_text(const struct sample *sample)
{
	size_t asleep = 0;
	char bytes[SHOW_MAX];

	for (int kind = 0; kind < WORLD_KINDS; kind++) {
		uint64_t memory_bytes = 0;
		size_t count = 0;

		for (size_t i = 0; i < sample->world.objects; i++) {
			const struct world_object *const o = &sample->world.object[i];

			if ((int)o->kind != kind || !has_series(o))
				continue;
			count++;
			memory_bytes += o->memory;
		}
		printf("%-15s %zu objects, %s\n", world_kind_name((enum world_kind)kind), count,
		       show_bytes(bytes, memory_bytes));
	}
	for (size_t i = 0; i < sample->world.waits; i++)
		asleep += sample->world.wait[i].object != WORLD_NONE;
	printf("unlinked        %zu objects that are open still\n", count_unlinked(sample));
	printf("processes       %zu, %zu of their threads asleep on objects\n", sample->world.processes,
	       asleep);
	printf("deadlocks       %zu\n", sample->knots.count);
}

static int run(int argc, char **argv)
{
	void (*put)(const struct sample *) = put_text;
	struct sample sample;
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":ph", options, NULL)) != -1) {
		if (opt != 'p')
			return cli_other_option(opt, argv);
		put = put_prometheus;
	}
	if (optind != argc)
		return cli_usage_error("stats takes no names");
	if (!sample_take(&sample, NULL))
		return STATUS_REFUSED;
	put(&sample);
	sample_free(&sample);
	return STATUS_DONE;
}

const struct command cmd_stats = {
	.name = "stats",
	.arguments = "[--prometheus]",
	.summary = "Sums over all objects, or every figure for a monitoring system.",
	.help =
		"  -p, --prometheus   in the text format of Prometheus, for its textfile collector, say\n",
	.run = run,
};

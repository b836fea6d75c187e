// SPDX-License-Identifier: MIT
//
// The report: a table for people, or one JSON object a line.
//
// ratio is the contestant's time by ours: above 1 the library is faster. cpu_ratio is our CPU time
// by the kernel's: below 1 the library needs less. growth is a case's cost by that of its group's
// first.
#define _GNU_SOURCE
#include "bench_run.h"
#include "bench_text.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#define MIB 1048576.0

const char *bench_capacity_name(const struct bench_room *room)
{
	return room->capacity ? room->capacity : "procs";
}

size_t bench_capacity(const struct bench_room *room, const struct bench_case *c)
{
	if (!room->capacity)
		return bench_workers(c);
	return c->pipe_size ? c->pipe_size : c->depth;
}

static const char *capacity_text(const struct bench_row *row)
{
	static char text[24];
	if (row->c->pipe_size)
		return bench_size_text(row->c->pipe_size);
	snprintf(text, sizeof(text), "%zu", bench_capacity(row->room, row->c));
	return text;
}

void bench_report_begin(const struct bench_room *room, const struct bench_options *opt)
{
	struct utsname os;
	if (opt->json)
		return;
	if (uname(&os) != 0)
		snprintf(os.release, sizeof(os.release), "?");
	printf("%s: %s\n%u CPU%s, Linux %s; medians of %u interleaved repetition%s; "
	       "ratio = the other's time / posthaste's\n\n",
	       room->name, room->what, bench_cpus(), bench_cpus() == 1 ? "" : "s", os.release,
	       opt->reps, opt->reps == 1 ? "" : "s");
	printf("%-19s %-31s %8s %8s", "test", "", "size", bench_capacity_name(room));
	for (size_t s = 0; s < opt->sides; s++)
		printf(s ? " %11s %6s" : " %11s", opt->side[s].name, "ratio");
	printf("\n");
}

// One line of figures: ours, then each other's with its ratio to ours.
static void figures(const struct bench_row *row, const struct bench_options *opt, size_t field)
{
	double ours = 0;
	for (size_t s = 0; s < opt->sides; s++) {
		const struct bench_result *r = &row->result[s];
		double v;
		memcpy(&v, (const char *)r + field, sizeof(v));
		if (s == 0)
			ours = r->ran ? v : 0;
		printf(" %11s", r->error[0] ? "failed" : r->ran ? bench_duration(v) : "-");
		if (s > 0)
			printf(" %6s", r->ran && ours > 0 ? bench_number(v / ours) : "-");
	}
	printf("\n");
}

static void sub_row(const struct bench_row *row, const struct bench_options *opt, const char *what,
                    size_t field)
{
	printf("%-19s   %-29s %8s %8s", "", what, "", "");
	figures(row, opt, field);
}

// System calls of all workers: by the MiB for a stream of bytes, else for an operation.
static void calls_row(const struct bench_row *row, const struct bench_options *opt)
{
	const struct bench_case *c = row->c;
	const bool stream = c->kind == BENCH_STREAM && c->pipe_size > 0;
	const double times = stream ? MIB / (double)c->size : 1;
	if (row->result[0].calls < 0)
		return;
	printf("%-19s   %-29s %8s %8s", "", stream ? "system calls per MiB" : "system calls", "", "");
	for (size_t s = 0; s < opt->sides; s++) {
		const struct bench_result *r = &row->result[s];
		printf(s > 1 ? " %6s %11s" : "%s %11s", "",
		       r->ran && r->calls >= 0 ? bench_number(r->calls * times) : "-");
	}
	printf("\n");
}

// How much of the memory the machine gave in huge pages.
static void huge_note(const struct bench_row *row, const struct bench_options *opt)
{
	const char *before = "in huge pages: ";
	printf("%-19s   ", "");
	for (size_t s = 0; s < opt->sides; s++) {
		if (!row->result[s].ran)
			continue;
		printf("%s%s %.0f %%", before, opt->side[s].name, 100 * row->result[s].huge);
		before = ", ";
	}
	printf("\n");
}

static void notes(const struct bench_row *row, const struct bench_options *opt)
{
	for (size_t s = 0; s < opt->sides; s++) {
		const struct bench_result *r = &row->result[s];
		if (r->error[0])
			printf("%-19s   %s failed: %s\n", "", opt->side[s].name, r->error);
		if (r->ran && r->depth != row->c->depth)
			printf("%-19s   %s was granted depth %zu\n", "", opt->side[s].name, r->depth);
		if (r->ran && r->pipe_size != row->c->pipe_size)
			printf("%-19s   %s was granted a pipe of %s\n", "", opt->side[s].name,
			       bench_size_text(r->pipe_size));
		if (r->ran && r->size != row->c->size)
			printf("%-19s   %s was granted %zu bytes; its time is scaled by the byte\n", "",
			       opt->side[s].name, r->size);
	}
	if (row->c->kind == BENCH_IDLE && row->result[0].ran)
		printf("%-19s   context switches of a receiver: %s; %s %s\n", "",
		       bench_number(row->result[0].switches), opt->side[1].name,
		       bench_number(row->result[1].switches));
	if (row->c->huge && row->result[0].ran)
		huge_note(row, opt);
	if (row->last_of_group)
		printf("%-19s   %s: the last costs %s times the first; %s %s\n", "", row->c->group,
		       bench_number(row->growth[0]), opt->side[1].name, bench_number(row->growth[1]));
}

static void human(const struct bench_row *row, const struct bench_options *opt)
{
	const struct bench_case *c = row->c;
	printf("%-19s %-31s %8s %8s", c->test, c->what, bench_size_text(c->size), capacity_text(row));
	figures(row, opt, offsetof(struct bench_result, ns));
	if (bench_has_samples(c->kind)) {
		sub_row(row, opt, "p50", offsetof(struct bench_result, p50_ns));
		sub_row(row, opt, "p99", offsetof(struct bench_result, p99_ns));
	}
	if (c->show_cpu)
		sub_row(row, opt, "CPU time", offsetof(struct bench_result, cpu_ns));
	if (c->show_calls)
		calls_row(row, opt);
	notes(row, opt);
}

// ,"prefix_key":value - or without a prefix
static void json_field(const char *prefix, const char *key, double value)
{
	printf(",\"%s%s%s\":%.6g", prefix, *prefix ? "_" : "", key, value);
}

static const char *key_of(const struct bench_options *opt, size_t s)
{
	return s == 1 ? "kernel" : opt->side[s].name;
}

static void json_failure(const char *name, const char *error)
{
	printf(",\"%s_error\":\"", name);
	for (const char *p = error; *p; p++) {
		if (*p == '"' || *p == '\\')
			putchar('\\');
		putchar((unsigned char)*p < ' ' ? ' ' : *p);
	}
	putchar('"');
}

static void json_side(const struct bench_row *row, const struct bench_options *opt, size_t s)
{
	const struct bench_result *r = &row->result[s];
	const char *name = key_of(opt, s);
	if (r->error[0])
		json_failure(name, r->error);
	if (!r->ran)
		return;
	json_field(name, "ns", r->ns);
	json_field(name, "cpu_ns", r->cpu_ns);
	json_field(name, "switches", r->switches);
	if (bench_has_samples(row->c->kind)) {
		json_field(s ? name : "", "p50_ns", r->p50_ns);
		json_field(s ? name : "", "p99_ns", r->p99_ns);
	}
	if (r->depth != row->c->depth)
		json_field(name, "depth", (double)r->depth);
	if (r->size != row->c->size)
		json_field(name, "size", (double)r->size);
	if (r->pipe_size != row->c->pipe_size)
		json_field(name, "pipe_size", (double)r->pipe_size);
	if (row->c->huge)
		json_field(name, "huge", r->huge);
	if (row->c->show_calls && r->calls >= 0)
		json_field(name, "calls", r->calls);
	if (row->c->pipe_size && r->calls >= 0 && row->c->kind == BENCH_STREAM)
		json_field(name, "calls_per_mib", r->calls * MIB / (double)r->size);
}

static void json_capacity(const struct bench_row *row)
{
	const struct bench_case *c = row->c;
	if (!row->room->capacity) {
		printf(",\"processes\":%zu", bench_workers(c));
		return;
	}
	if (c->pipe_size)
		printf(",\"pipe_size\":%zu", c->pipe_size);
	else
		printf(",\"depth\":%zu", c->depth);
	printf(",\"senders\":%u,\"receivers\":%u", c->senders, c->receivers);
}

static void json(const struct bench_row *row, const struct bench_options *opt)
{
	const struct bench_case *c = row->c;
	const struct bench_result *ours = &row->result[0];
	printf("{\"room\":\"%s\",\"test\":\"%s\",\"size\":%zu", row->room->name, c->test, c->size);
	json_capacity(row);
	for (size_t s = 0; s < opt->sides; s++)
		json_side(row, opt, s);
	for (size_t s = 1; s < opt->sides; s++) {
		const struct bench_result *r = &row->result[s];
		if (ours->ran && r->ran && ours->ns > 0)
			json_field(s == 1 ? "" : key_of(opt, s), "ratio", r->ns / ours->ns);
	}
	if (ours->ran && row->result[1].ran && row->result[1].cpu_ns > 0)
		json_field("", "cpu_ratio", ours->cpu_ns / row->result[1].cpu_ns);
	if (row->growth[0] > 0)
		json_field("", "growth", row->growth[0]);
	if (row->growth[1] > 0)
		json_field("kernel", "growth", row->growth[1]);
	printf("}\n");
}

void bench_report_row(const struct bench_row *row, const struct bench_options *opt)
{
	if (opt->json)
		json(row, opt);
	else
		human(row, opt);
	fflush(stdout);
}

// SPDX-License-Identifier: MIT
//
// Running cases: find out how many operations fit into a repetition, then alternate the
// contestants, so that a machine that slows down for a while slows all of them. Cases of one group
// alternate, too.
#define _GNU_SOURCE
#include "bench_run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

volatile int bench_interrupted;

// Run a program and read what it prints, up to room - 1 bytes. False if it failed.
static bool capture(char *const argv[], char *out, size_t room)
{
	int fd[2];
	if (pipe(fd) != 0)
		return false;
	fflush(NULL);
	const pid_t pid = fork();
	if (pid == 0) {
		dup2(fd[1], STDOUT_FILENO);
		close(fd[0]);
		close(fd[1]);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(fd[1]);
	size_t len = 0;
	ssize_t got = 0;
	while (pid > 0 && len + 1 < room &&
	       ((got = read(fd[0], out + len, room - 1 - len)) > 0 || (got < 0 && errno == EINTR)))
		len += got > 0 ? (size_t)got : 0;
	out[len] = '\0';
	close(fd[0]);
	int status = 0;
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
	}
	return pid > 0 && status == 0;
}

bool bench_side_from_program(struct bench_side *side, const char *program)
{
	char *argv[] = {(char *)program, "--name", NULL};
	memset(side, 0, sizeof(*side));
	side->program = program;
	if (!capture(argv, side->name, sizeof(side->name)))
		return false;
	side->name[strcspn(side->name, "\n")] = '\0';
	return side->name[0] != '\0';
}

// The number that follows "key": in a line of JSON; 0 if it is not there.
static double json_number(const char *line, const char *key)
{
	char quoted[40];
	snprintf(quoted, sizeof(quoted), "\"%s\":", key);
	const char *at = strstr(line, quoted);
	return at ? strtod(at + strlen(quoted), NULL) : 0;
}

// One repetition by a peer program. count 0: let it find one that takes `ns`. True if it can do it.
static bool peer_repeat(const struct bench_side *side, const struct bench_room *room,
                        const struct bench_case *c, int64_t ns, uint64_t *count,
                        struct bench_sample *out)
{
	char line[1024], count_text[24], ns_text[24];
	snprintf(count_text, sizeof(count_text), "%llu", (unsigned long long)*count);
	snprintf(ns_text, sizeof(ns_text), "%lld", (long long)ns);
	char *argv[] = {
		(char *)side->program, (char *)room->name, (char *)c->test, count_text, ns_text, NULL};
	memset(out, 0, sizeof(*out));
	if (!capture(argv, line, sizeof(line))) {
		out->error = "the peer failed";
		return true;
	}
	*count = (uint64_t)json_number(line, "count");
	out->ns = json_number(line, "peer_ns");
	out->cpu_ns = json_number(line, "peer_cpu_ns");
	out->switches = json_number(line, "peer_switches");
	out->p50_ns = json_number(line, "peer_p50_ns");
	out->p99_ns = json_number(line, "peer_p99_ns");
	out->size = (size_t)json_number(line, "size");
	out->depth = (size_t)json_number(line, "depth");
	out->pipe_size = (size_t)json_number(line, "pipe_size");
	return *count != 0;
}

// What one contestant does in one case, over all repetitions.
struct track {
	uint64_t count;
	bool can;
	size_t n;
	struct bench_sample sample[BENCH_REPS];
	double calls;
	char error[200];
};

static int64_t span(const struct bench_case *c, const struct bench_options *opt)
{
	return c->kind == BENCH_IDLE ? opt->idle_ns : opt->ns;
}

static void calibrate(struct track *t, const struct bench_side *side, const struct bench_room *room,
                      const struct bench_case *c, const struct bench_options *opt)
{
	struct bench_sample sample = {0};
	if (side->ops) {
		t->can = bench_can(c, side->ops);
		t->count = t->can ? bench_calibrate(c, side->ops, span(c, opt), &sample) : 0;
	} else {
		t->can = peer_repeat(side, room, c, span(c, opt), &t->count, &sample);
	}
	if (t->can && sample.error)
		snprintf(t->error, sizeof(t->error), "%s", sample.error);
}

static void repeat(struct track *t, const struct bench_side *side, const struct bench_room *room,
                   const struct bench_case *c, const struct bench_options *opt)
{
	struct bench_sample *s = &t->sample[t->n];
	if (!t->can || t->error[0] || bench_interrupted)
		return;
	if (side->ops)
		bench_repeat(c, side->ops, t->count, s);
	else
		peer_repeat(side, room, c, span(c, opt), &t->count, s);
	if (s->error)
		snprintf(t->error, sizeof(t->error), "%s", s->error);
	else
		t->n++;
}

// One more repetition, a short one, to count system calls.
static void count_calls(struct track *t, const struct bench_side *side, const struct bench_case *c)
{
	struct bench_sample sample;
	const bool span_is_count = c->kind == BENCH_IDLE;
	t->calls = -1;
	if (!side->ops || !c->show_calls || t->n == 0 || t->error[0] || bench_interrupted ||
	    span_is_count)
		return;
	if (bench_count_calls(c, side->ops, t->count / 4 + 1, &sample))
		t->calls = sample.calls;
}

static double median(const struct track *t, size_t field)
{
	double v[BENCH_REPS];
	for (size_t i = 0; i < t->n; i++)
		memcpy(&v[i], (const char *)&t->sample[i] + field, sizeof(v[i]));
	return bench_percentile(v, t->n, 0.5);
}

// Where a contestant could not take messages of the size wanted, its time counts by the byte.
static double by_byte(const struct bench_case *c, const struct bench_result *r)
{
	return r->size > 0 && r->size < c->size ? (double)c->size / (double)r->size : 1;
}

static void conclude(const struct track *t, const struct bench_case *c, struct bench_result *r)
{
	memset(r, 0, sizeof(*r));
	snprintf(r->error, sizeof(r->error), "%s", t->error);
	r->ran = t->n > 0 && !t->error[0];
	if (!r->ran)
		return;
	r->size = t->sample[0].size;
	r->depth = t->sample[0].depth;
	r->pipe_size = t->sample[0].pipe_size;
	r->calls = t->calls;
	const double scale = by_byte(c, r);
	r->cpu_ns = median(t, offsetof(struct bench_sample, cpu_ns)) * scale;
	r->ns =
		c->kind == BENCH_IDLE ? r->cpu_ns : median(t, offsetof(struct bench_sample, ns)) * scale;
	r->switches = median(t, offsetof(struct bench_sample, switches));
	r->p50_ns = median(t, offsetof(struct bench_sample, p50_ns));
	r->p99_ns = median(t, offsetof(struct bench_sample, p99_ns));
	r->huge = median(t, offsetof(struct bench_sample, huge));
	for (size_t i = 0; i < t->n; i++)
		bench_histogram_add(&r->latency, &t->sample[i].latency);
}

static void compare(struct bench_row *row, size_t n)
{
	for (size_t i = 0; i < n && row[0].c->group; i++) {
		for (size_t s = 0; s < 2; s++) {
			const double first = row[0].result[s].ns;
			row[i].growth[s] = first > 0 ? row[i].result[s].ns / first : 0;
		}
		row[i].last_of_group = n > 1 && i + 1 == n;
	}
}

bool bench_run_block(const struct bench_room *room, const struct bench_case *const *c, size_t n,
                     const struct bench_options *opt, struct bench_row *row)
{
	struct track *track = calloc(n * opt->sides, sizeof(*track));
	if (!track)
		return false;
	for (size_t i = 0; i < n * opt->sides; i++)
		calibrate(&track[i], &opt->side[i % opt->sides], room, c[i / opt->sides], opt);
	for (unsigned rep = 0; rep < opt->reps && !bench_interrupted; rep++) {
		for (size_t i = 0; i < n * opt->sides; i++) {
			const struct bench_case *one = c[i / opt->sides];
			if (rep == 0 || one->kind != BENCH_IDLE)
				repeat(&track[i], &opt->side[i % opt->sides], room, one, opt);
		}
	}
	for (size_t i = 0; i < n * opt->sides; i++)
		count_calls(&track[i], &opt->side[i % opt->sides], c[i / opt->sides]);
	for (size_t i = 0; i < n; i++) {
		memset(&row[i], 0, sizeof(row[i]));
		row[i].room = room;
		row[i].c = c[i];
		for (size_t s = 0; s < opt->sides; s++)
			conclude(&track[i * opt->sides + s], c[i], &row[i].result[s]);
	}
	compare(row, n);
	free(track);
	return !bench_interrupted;
}

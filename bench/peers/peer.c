// SPDX-License-Identifier: MIT
//
// The command line of a peer. Three forms:
//
//   PEER --name                  its name, for the report
//   PEER ROOM TEST COUNT NS      one repetition of COUNT operations (0: as many as take about NS),
//                                as a line of JSON; an empty object if the peer cannot do this test
//   PEER                         every test of its room that it can do, a line each
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USUAL_NS 150000000

// What the program is made of.
struct peer {
	const char *room;
	const struct bench_case *cases;
	const struct bench_ops *ops;
};

static void print_sample(const struct peer *p, const struct bench_case *c, uint64_t count,
                         const struct bench_sample *s)
{
	printf("{\"room\":\"%s\",\"test\":\"%s\",\"size\":%zu,\"depth\":%zu,\"pipe_size\":%zu", p->room,
	       c->test, s->size, s->depth, s->pipe_size);
	printf(",\"peer\":\"%s\",\"count\":%llu,\"peer_ns\":%.6g,\"peer_cpu_ns\":%.6g", p->ops->name,
	       (unsigned long long)count, s->ns, s->cpu_ns);
	printf(",\"peer_switches\":%.6g", s->switches);
	if (c->kind == BENCH_ROUNDTRIP)
		printf(",\"peer_p50_ns\":%.6g,\"peer_p99_ns\":%.6g", s->p50_ns, s->p99_ns);
	printf("}\n");
}

static int repetition(const struct peer *p, const struct bench_case *c, uint64_t count, int64_t ns)
{
	struct bench_sample s = {0};
	if (count == 0)
		count = bench_calibrate(c, p->ops, ns, &s);
	if (!s.error)
		bench_repeat(c, p->ops, count, &s);
	if (s.error) {
		fprintf(stderr, "%s: %s: %s\n", p->ops->name, c->test, s.error);
		return 1;
	}
	print_sample(p, c, count, &s);
	return 0;
}

static const struct bench_case *find(const struct peer *p, const char *room, const char *test)
{
	for (const struct bench_case *c = p->cases; strcmp(room, p->room) == 0 && c->test; c++) {
		if (strcmp(c->test, test) == 0 && bench_can(c, p->ops))
			return c;
	}
	return NULL;
}

static int everything(const struct peer *p)
{
	int status = 0;
	for (const struct bench_case *c = p->cases; c->test; c++) {
		if (bench_can(c, p->ops))
			status |= repetition(p, c, 0, USUAL_NS);
	}
	return status;
}

int peer_main(int argc, char **argv, const char *room, const struct bench_case *cases,
              const struct bench_ops *ops)
{
	const struct peer p = {room, cases, ops};
	if (argc == 1)
		return everything(&p);
	if (argc == 2 && strcmp(argv[1], "--name") == 0)
		return puts(ops->name) < 0;
	if (argc != 5) {
		fprintf(stderr, "usage: %s [--name | ROOM TEST COUNT NS]\n", argv[0]);
		return 2;
	}
	const struct bench_case *c = find(&p, argv[1], argv[2]);
	if (!c)
		return puts("{}") < 0;
	return repetition(&p, c, strtoull(argv[3], NULL, 10), strtoll(argv[4], NULL, 10));
}

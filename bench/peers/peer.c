// SPDX-License-Identifier: MIT
//
// The command line of a peer. Three forms:
//
//   PEER --name                  its name, for the report
//   PEER ROOM TEST COUNT NS      one repetition of COUNT operations (0: as many as take about NS),
//                                as a line of JSON; an empty object if the peer cannot do this test
//   PEER                         every test of every room, a line each
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USUAL_NS 150000000

static int repetition(const struct bench_case *c, const struct bench_ops *ops, uint64_t count,
                      int64_t ns)
{
	struct bench_sample s = {0};
	if (!bench_can(c, ops)) {
		printf("{}\n");
		return 0;
	}
	if (count == 0)
		count = bench_calibrate(c, ops, ns, &s);
	if (!s.error)
		bench_repeat(c, ops, count, &s);
	if (s.error) {
		fprintf(stderr, "%s: %s: %s\n", ops->name, c->test, s.error);
		return 1;
	}
	printf("{\"room\":\"mq\",\"test\":\"%s\",\"size\":%zu,\"depth\":%zu,\"peer\":\"%s\"", c->test,
	       s.size, s.depth, ops->name);
	printf(",\"count\":%llu,\"peer_ns\":%.6g,\"peer_cpu_ns\":%.6g,\"peer_switches\":%.6g",
	       (unsigned long long)count, s.ns, s.cpu_ns, s.switches);
	if (c->kind == BENCH_ROUNDTRIP)
		printf(",\"peer_p50_ns\":%.6g,\"peer_p99_ns\":%.6g", s.p50_ns, s.p99_ns);
	printf("}\n");
	return 0;
}

static const struct bench_case *find(const char *test)
{
	for (const struct bench_case *c = bench_mq_cases; c->test; c++) {
		if (strcmp(c->test, test) == 0)
			return c;
	}
	return NULL;
}

static int everything(const struct bench_ops *ops)
{
	int status = 0;
	for (const struct bench_case *c = bench_mq_cases; c->test; c++) {
		if (bench_can(c, ops))
			status |= repetition(c, ops, 0, USUAL_NS);
	}
	return status;
}

int peer_main(int argc, char **argv, const struct bench_ops *ops)
{
	if (argc == 1)
		return everything(ops);
	if (argc == 2 && strcmp(argv[1], "--name") == 0)
		return puts(ops->name) < 0;
	const struct bench_case *c = argc == 5 && strcmp(argv[1], "mq") == 0 ? find(argv[2]) : NULL;
	if (!c) {
		fprintf(stderr, "usage: %s [--name | mq TEST COUNT NS]\n", argv[0]);
		return 2;
	}
	return repetition(c, ops, strtoull(argv[3], NULL, 10), strtoll(argv[4], NULL, 10));
}

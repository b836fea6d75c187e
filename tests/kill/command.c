// SPDX-License-Identifier: MIT
//
// tests/kill/command.c - the command line of a sweep program. See sweep.h.
#include "sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <time.h>
#include <unistd.h>

struct wish {
	struct kill_options options;
	const char *only;
	bool list;
};

void kill_fix_addresses(char **argv)
{
	const int now = personality(0xffffffff);

	if (now == -1 || now & ADDR_NO_RANDOMIZE)
		return;
	// Where it is forbidden (some containers), the sweep works as well: only the boundaries'
	// addresses differ from run to run.
	if (personality((unsigned long)now | ADDR_NO_RANDOMIZE) != -1)
		execv("/proc/self/exe", argv);
}

static int usage(const char *program)
{
	fprintf(stderr, "usage: %s [--list] [--only TEXT] [--full] [--stride N]\n", program);
	return 2;
}

static bool parse(int argc, char **argv, struct wish *w)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--list") == 0)
			w->list = true;
		else if (strcmp(argv[i], "--full") == 0)
			w->options.full = true;
		else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
			w->only = argv[++i];
		else if (strcmp(argv[i], "--stride") == 0 && i + 1 < argc)
			w->options.stride = (uint32_t)strtoul(argv[++i], NULL, 10);
		else
			return false;
	}
	return true;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool sweep_one(const struct kill_scenario *s, const struct kill_options *o)
{
	struct kill_report r;
	const double start = now_s();
	const bool kept = kill_sweep(s, o, &r);

	printf("%s %s: %u boundaries, %u rounds", kept ? "ok  " : "FAIL", s->name, r.boundaries,
	       r.rounds);
	if (r.diverged)
		printf(" (%u off the recorded path)", r.diverged);
	printf(", %.1f s\n", now_s() - start);
	fflush(stdout);
	return kept;
}

int kill_main(int argc, char **argv, const struct kill_scenario *scenarios, size_t count)
{
	struct wish w = {0};
	int passed = 0;
	int failed = 0;

	if (!parse(argc, argv, &w))
		return usage(argv[0]);
	kill_fix_addresses(argv);
	for (size_t i = 0; i < count; i++) {
		if (w.only && !strstr(scenarios[i].name, w.only))
			continue;
		if (w.list)
			printf("%s\n", scenarios[i].name);
		else if (sweep_one(&scenarios[i], &w.options))
			passed++;
		else
			failed++;
	}
	if (w.list)
		return 0;
	kill_scratch_remove();
	printf("%d passed, %d failed\n", passed, failed);
	return failed || !passed;
}

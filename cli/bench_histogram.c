// SPDX-License-Identifier: MIT
//
// See bench_histogram.h.
#include "bench_histogram.h"

#include <math.h>

static size_t step_of(uint32_t ns)
{
	const double at = ns > 0 ? log2((double)ns) * BENCH_STEPS_A_DOUBLING : 0;
	return at < BENCH_STEPS - 1 ? (size_t)at : BENCH_STEPS - 1;
}

void bench_histogram_count(struct bench_histogram *h, const uint32_t *ns, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h->count[step_of(ns[i])]++;
}

void bench_histogram_add(struct bench_histogram *to, const struct bench_histogram *from)
{
	for (size_t i = 0; i < BENCH_STEPS; i++)
		to->count[i] += from->count[i];
}

uint64_t bench_histogram_total(const struct bench_histogram *h)
{
	uint64_t total = 0;
	for (size_t i = 0; i < BENCH_STEPS; i++)
		total += h->count[i];
	return total;
}

double bench_histogram_ns(size_t step)
{
	return exp2((double)step / BENCH_STEPS_A_DOUBLING);
}

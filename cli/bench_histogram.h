// SPDX-License-Identifier: MIT
//
// How often an operation took how long: counts in steps of a twelfth of a doubling, from 1 ns up to the 4.3 s that a
// sample can hold. Equal steps on a logarithmic axis.
#ifndef CLI_BENCH_HISTOGRAM_H
#define CLI_BENCH_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_STEPS_A_DOUBLING 12
#define BENCH_STEPS (32 * BENCH_STEPS_A_DOUBLING)

struct bench_histogram {
	uint32_t count[BENCH_STEPS];
};

void bench_histogram_count(struct bench_histogram *h, const uint32_t *ns, size_t n);
void bench_histogram_add(struct bench_histogram *to, const struct bench_histogram *from);
uint64_t bench_histogram_total(const struct bench_histogram *h);

// Where a step begins, in ns; the last one ends at the beginning of step BENCH_STEPS.
double bench_histogram_ns(size_t step);

#ifdef __cplusplus
}
#endif
#endif

// SPDX-License-Identifier: MIT
//
// tests/fuzz/input.h - what fuzz targets share: the input, taken from its front, and a namespace of the target's
// own (input.c, made before the first input).
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

struct input {
	const uint8_t *at, *end;
};

// Little-endian numbers of the input; beyond its end, zeros.
static inline uint64_t take(struct input *in, unsigned bytes)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < bytes && in->at < in->end; i++)
		value |= (uint64_t)*in->at++ << (8 * i);
	return value;
}

// What libFuzzer calls.
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif

// SPDX-License-Identifier: MIT
//
// tests/fuzz/arena_image.c - libFuzzer target: an arena of 64 KiB, changed as the input says between the calls that the
// input says. Whatever stands in it, a call ends, touches nothing outside, and succeeds or fails as documented
// (hostile/arena_victim.c).
//
//   00-5f  FF VV VV VV VV VV VV VV VV   the word at 8 * F of the first 2 KiB becomes V
//   60-9f  OO OO VV                     the byte at offset O becomes V
//   a0-bf  FF FF KK                     the word at 8 * F of the front has bit K turned
//   c0-ff  SS SS                        one call, chosen and made with the help of the random seed S
//
// That a stranger who lives holds the lock is taken back: it costs two seconds each (hostile/arena_storm.c has it).
#include "hostile/arena_victim.h"
#include "runner.h"
#include "shm/layout.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FRONT_WORDS = 4096 / 8, HEADER_WORDS = 2048 / 8 };

struct input {
	const uint8_t *at, *end;
};

// Little-endian numbers of the input; beyond its end, zeros.
static uint64_t take(struct input *in, unsigned bytes)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < bytes && in->at < in->end; i++)
		value |= (uint64_t)*in->at++ << (8 * i);
	return value;
}

static void defuse(uint8_t *at)
{
	struct shm_arena_header *h = (struct shm_arena_header *)(void *)at;
	const uint32_t tid = h->lock.word & 0x3fffffff;
	if (tid != 0 && syscall(SYS_tkill, tid, 0) == 0)
		h->lock.word = 0;
}

static void step(struct input *in, struct arena_victim *v, uint8_t *at)
{
	uint64_t *words = (uint64_t *)(void *)at;
	const unsigned what = (unsigned)take(in, 1);
	if (what >= 0xc0) {
		v->random = take(in, 2) * UINT64_C(0x9e3779b97f4a7c15) + 1;
		arena_victim_do_something(v);
		return;
	}
	if (what < 0x60) {
		const size_t word = take(in, 1) % HEADER_WORDS;
		words[word] = take(in, 8);
	} else if (what < 0xa0) {
		const size_t byte = take(in, 2) % FIELD_ARENA_BYTES;
		at[byte] = (uint8_t)take(in, 1);
	} else {
		const size_t word = take(in, 2) % FRONT_WORDS;
		words[word] ^= UINT64_C(1) << take(in, 1) % 64;
	}
	defuse(at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t *at;
	struct input in = {data, data + size};
	struct arena_victim v;
	if (at == NULL)
		at = fenced_memory(FIELD_ARENA_BYTES);
	CHECK_OK(ph_arena_make(at, FIELD_ARENA_BYTES));
	arena_victim_begin(&v, at, FIELD_ARENA_BYTES, take(&in, 1));
	arena_victim_settle(&v);
	while (in.at < in.end)
		step(&in, &v, at);
	arena_victim_do_everything(&v);
	arena_victim_end(&v);
	return 0;
}

// SPDX-License-Identifier: MIT
//
// tests/hostile/pipe_ring.h - the file of a pipe's ring as an attacker of the same user sees it: mapped,
// with a list of the fields worth scribbling on and the values worth writing there.
#ifndef TESTS_HOSTILE_PIPE_RING_H
#define TESTS_HOSTILE_PIPE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipe/layout.h"

enum { RING_LOCKS = 2 };

struct ring {
	int fd;
	uint8_t *map;
	struct pipe_control *c;
	uint32_t *locks[RING_LOCKS];
	_Alignas(8) uint8_t image[PIPE_PAGE]; // the control page at ring_remember
};

// The path of the file that belongs to a pipe of ph_pipe, or to a FIFO, in a static buffer.
const char *ring_path(int fd);
const char *ring_path_of_fifo(int fd);

// Map the ring of the pipe behind `fd`, which has one.
void ring_open(struct ring *r, int fd);
void ring_close(struct ring *r);

// Keep the control page, as if nobody was in a call, write it back. What stood in the ring stays.
void ring_remember(struct ring *r);
void ring_restore(struct ring *r);

// Offsets, divisible by 4, of every u32 of the header and of the control page that has a meaning; without
// the words of the locks. The result is how many.
enum { RING_FIELDS_MAX = 512 };
size_t ring_fields(uint32_t fields[RING_FIELDS_MAX]);

// A readable name for an offset.
const char *ring_field_name(uint32_t offset);

// The i-th adversarial value for a u32 (a u64) that holds `own`.
enum { RING_VALUES = 22 };
uint64_t ring_value(uint64_t own, int i);

// A thread number that no kernel gives out (pid_max is at most 2^22).
#define NO_THREAD UINT32_C(0x3ffffff0)

#endif

// SPDX-License-Identifier: MIT
//
// tests/hostile/region.h - a queue's file as an attacker with write permission sees it: mapped, with a
// list of the fields worth scribbling on and the values worth writing there.
//
// One field is left alone, mq_notice.pid: whoever believes it may send a signal to any process of the
// machine that runs the tests. mq_fields.c has a test with processes of its own for it.
#ifndef TESTS_HOSTILE_REGION_H
#define TESTS_HOSTILE_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mq/layout.h"

enum { LOCKS = 3 };

struct region {
	int fd;
	size_t bytes;
	uint8_t *map;
	struct phi_region_header *header;
	struct mq_control *c;
	size_t ring_at, next_at, blocks_at, slots_at;
	uint8_t *image;         // the bytes at region_remember
	uint32_t *locks[LOCKS]; // the lock words
};

// Map the file of a queue of this namespace.
void region_open(struct region *r, const char *queue);
void region_close(struct region *r);

// Keep the present bytes, write them back.
void region_remember(struct region *r);
void region_restore(struct region *r);

// Offsets, divisible by 4, of every u32 of header and control area, and of the first and last of ring,
// links, index blocks and slots; without the lock words. The result is how many.
enum { FIELDS_MAX = 8192 };
size_t region_fields(const struct region *r, uint32_t fields[FIELDS_MAX]);

// Whether the 8 bytes at an offset are fields that region_fields lists, or padding.
bool region_may_be_wide(const struct region *r, uint32_t offset);

// A readable name for an offset.
const char *region_field_name(const struct region *r, uint32_t offset);

// The i-th adversarial value for a u32 (a u64) that holds `own`.
enum { VALUES = 18 };
uint64_t region_value(const struct region *r, uint64_t own, int i);

// The dead tid that no kernel gives out (pid_max is at most 2^22).
#define DEAD_TID UINT32_C(0x3ffffff0)

#endif

// SPDX-License-Identifier: MIT
//
// tests/hostile/pipe_fields.c - each field of a ring's control page is set to each adversarial value, in
// turn, in several states of the pipe; after each, every call is made once. One process attacks itself, so
// that a failure names its field and value. Words that name threads and words on which they sleep have
// tests of their own, in pipe_words.c: there the question is how long it takes.
#include <posthaste/posthaste.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "pipe/pipe.h"
#include "pipe_ring.h"
#include "pipe_victim.h"
#include "runner.h"

enum { R, W };

// The states in which a pipe is attacked. It has a lease, and an empty ring.

static void leave_empty(struct pipe_victim *v)
{
	(void)v;
}

static void put(struct pipe_victim *v, size_t bytes)
{
	static const uint8_t buf[8192];
	for (size_t left = bytes; left > 0;) {
		const ssize_t n = ph_write(v->fds[W], buf, left < sizeof(buf) ? left : sizeof(buf));
		if (n < 0)
			return;
		left -= (size_t)n;
	}
}

static void fill_partly(struct pipe_victim *v)
{
	put(v, 5000);
}

static void fill_up(struct pipe_victim *v)
{
	put(v, PIPE_SIZE_MAX);
}

// The bytes go round the end of the ring.
static void wrap(struct pipe_victim *v)
{
	uint8_t buf[8192];
	fill_up(v);
	for (int i = 0; i < 7; i++)
		CHECK_EQ(ph_read(v->fds[R], buf, sizeof(buf)), sizeof(buf));
	put(v, 20000);
}

static void lend(struct pipe_victim *v)
{
	struct iovec iov[2];
	int count;
	wrap(v);
	v->reserved_bytes = (size_t)CHECK_OK(ph_pipe_reserve(v->fds[W], 30000, iov, &count));
	v->looked_bytes = (size_t)CHECK_OK(ph_pipe_peek(v->fds[R], iov, &count));
	v->reserved = v->looking = true;
}

// No lease, and bytes in both places.
static void seal(struct pipe_victim *v)
{
	fill_partly(v);
	phi_pipe_seal(phi_pipe_find(v->fds[R])->p, 0);
	put(v, 100);
}

static void scribble(struct ring *r, uint32_t offset, int i, bool wide, struct diary *d)
{
	uint32_t *narrow_field = (uint32_t *)(r->map + offset);
	uint64_t *wide_field = (uint64_t *)(r->map + offset);
	const uint64_t own = wide ? *wide_field : *narrow_field;
	const uint64_t value = ring_value(own, i);
	snprintf(d->note, sizeof(d->note), "%s (u%d): %llx becomes %llx", ring_field_name(offset),
	         wide ? 64 : 32, (unsigned long long)own, (unsigned long long)value);
	if (wide)
		__atomic_store_n(wide_field, value, __ATOMIC_RELAXED);
	else
		__atomic_store_n(narrow_field, (uint32_t)value, __ATOMIC_RELAXED);
}

struct sweep {
	struct diary *diary;
	void (*prepare)(struct pipe_victim *v);
};

// One pipe, one field, one value.
static void attack_once(const struct sweep *s, uint32_t field, int value, bool wide)
{
	struct pipe_victim v;
	struct ring r;
	pipe_victim_make(&v, s->diary);
	pipe_lease(v.fds[R]);
	s->prepare(&v);
	ring_open(&r, v.fds[R]);
	scribble(&r, field, value, wide, s->diary);
	pipe_victim_do_everything(&v);
	pipe_victim_say_farewell(&v, (int)(field / 4 + (uint32_t)value) % PIPE_FAREWELLS);
	pipe_victim_end(&v);
	ring_close(&r);
}

static void sweep_fields(void *arg)
{
	static uint32_t fields[RING_FIELDS_MAX];
	const size_t n = ring_fields(fields);
	for (size_t f = 0; f < n; f++)
		for (int i = 0; i < RING_VALUES; i++) {
			attack_once(arg, fields[f], i, false);
			if (fields[f] % 8 == 0 && i % 2 == 0)
				attack_once(arg, fields[f], i, true);
		}
}

static void attack_state(void (*prepare)(struct pipe_victim *v))
{
	struct diary *d = diaries_new(1);
	struct sweep s = {d, prepare};
	pid_t pid = test_fork(sweep_fields, &s);
	victims_join(d, &pid, 1);
	CHECK(atomic_load(&d->calls) > 10000);
	printf("%u calls, %u found the ring damaged\n", atomic_load(&d->calls),
	       atomic_load(&d->refused));
	pipe_works();
}

TEST(scribbled_fields_of_an_empty_ring_do_no_harm)
{
	attack_state(leave_empty);
}

TEST(scribbled_fields_of_a_partly_filled_ring_do_no_harm)
{
	attack_state(fill_partly);
}

TEST(scribbled_fields_of_a_full_ring_do_no_harm)
{
	attack_state(fill_up);
}

TEST(scribbled_fields_of_a_ring_with_loans_do_no_harm)
{
	attack_state(lend);
}

TEST(scribbled_fields_of_a_ring_that_was_left_do_no_harm)
{
	attack_state(seal);
}

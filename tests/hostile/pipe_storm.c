// SPDX-License-Identifier: MIT
//
// tests/hostile/pipe_storm.c - several processes use a pipe while the file of its ring is scribbled on at
// random, cut, punched and extended. Nobody crashes, hangs or reports anything undocumented; the kernel's
// pipe is left, and a new pipe works.
#include <posthaste/posthaste.h>

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "pipe_ring.h"
#include "pipe_victim.h"
#include "runner.h"

enum { VICTIMS = 3, R = 0, W = 1 };

struct storm {
	int fds[2];
	struct ring r;
	struct diary *diaries;
	struct pipe_victim_job jobs[VICTIMS];
	pid_t pids[VICTIMS];
	uint64_t random;
	uint32_t fields[RING_FIELDS_MAX];
	size_t n;
	unsigned calls, refused;
};

static uint64_t draw(struct storm *s)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return s->random;
}

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void note(struct storm *s, const char *text)
{
	for (int i = 0; i < VICTIMS; i++)
		snprintf(s->diaries[i].note, sizeof(s->diaries[i].note), "%s", text);
}

static void new_storm(struct storm *s)
{
	*s = (struct storm){.diaries = diaries_new(VICTIMS), .random = (uint64_t)now_ms() * 2 + 1};
	s->n = ring_fields(s->fields);
}

static bool all_called(void *arg)
{
	struct storm *s = arg;
	victims_watch(s->diaries, s->pids, VICTIMS);
	for (int i = 0; i < VICTIMS; i++)
		if (atomic_load(&s->diaries[i].calls) < 50)
			return false;
	return access(ring_path(s->fds[R]), F_OK) == 0;
}

// A pipe in use, with a ring.
static void begin(struct storm *s)
{
	memset(s->diaries, 0, VICTIMS * sizeof(*s->diaries));
	CHECK_OK(ph_pipe2(s->fds, O_NONBLOCK | O_CLOEXEC));
	pipe_lease(s->fds[R]);
	for (int i = 0; i < VICTIMS; i++) {
		s->jobs[i] = (struct pipe_victim_job){{s->fds[R], s->fds[W]}, &s->diaries[i], draw(s)};
		s->pids[i] = test_fork(pipe_victim_main, &s->jobs[i]);
	}
	test_wait_until(all_called, s);
	ring_open(&s->r, s->fds[R]);
}

static void end(struct storm *s)
{
	victims_join(s->diaries, s->pids, VICTIMS);
	for (int i = 0; i < VICTIMS; i++) {
		s->calls += atomic_load(&s->diaries[i].calls);
		s->refused += atomic_load(&s->diaries[i].refused);
	}
	CHECK_OK(ph_close(s->fds[R]));
	CHECK_OK(ph_close(s->fds[W]));
	ring_close(&s->r);
}

static void end_all(struct storm *s)
{
	printf("%u calls, %u found the ring damaged\n", s->calls, s->refused);
	pipe_works();
}

// Let the victims run for a while that nothing depends on.
static void let_run(struct storm *s, unsigned yields)
{
	victims_watch(s->diaries, s->pids, VICTIMS);
	for (unsigned i = 0; i < yields; i++)
		sched_yield();
}

static uint32_t lock_value(struct storm *s, uint32_t own)
{
	const uint32_t values[] = {0, NO_THREAD, own | 0x80000000, own & 0x7fffffff, 0x40000000};
	return values[draw(s) % 5];
}

static void scribble_once(struct storm *s)
{
	char text[128];
	uint32_t offset = s->fields[draw(s) % s->n];
	uint32_t *field = (uint32_t *)(s->r.map + offset);
	uint32_t value = (uint32_t)ring_value(*field, (int)(draw(s) % RING_VALUES));
	if (draw(s) % 4 == 0)
		value = (uint32_t)draw(s);
	if (draw(s) % 16 == 0) {
		field = s->r.locks[draw(s) % RING_LOCKS];
		offset = (uint32_t)((uint8_t *)field - s->r.map);
		value = lock_value(s, *field);
	}
	snprintf(text, sizeof(text), "%s becomes %x", ring_field_name(offset), value);
	note(s, text);
	__atomic_store_n(field, value, __ATOMIC_RELAXED);
}

static unsigned scribble(struct storm *s)
{
	unsigned attacks = 0;
	for (uint64_t n = draw(s) % 8 == 0 ? 8 : 1; n > 0; n--, attacks++)
		scribble_once(s);
	let_run(s, (unsigned)(draw(s) % 20));
	if (draw(s) % 2)
		ring_restore(&s->r);
	let_run(s, (unsigned)(draw(s) % 20));
	return attacks;
}

static bool one_found_it(void *arg)
{
	struct storm *s = arg;
	victims_watch(s->diaries, s->pids, VICTIMS);
	__atomic_store_n(&s->r.c->tail, s->r.c->head + 2 * PIPE_BYTES, __ATOMIC_RELAXED);
	for (int i = 0; i < VICTIMS; i++)
		if (atomic_load(&s->diaries[i].refused) > 0)
			return true;
	return false;
}

// On a slow machine there are few attacks, and chance may have it that no reader sees one. This one all see.
static void scribble_for_all(struct storm *s)
{
	note(s, "more in the ring than it holds");
	test_wait_until(one_found_it, s);
}

// A ring that was found damaged is never used again: so each round has its own pipe.
TEST(random_scribbling_while_others_use_the_pipe_does_no_harm)
{
	static struct storm s;
	const int64_t until = now_ms() + 6000;
	unsigned attacks = 0;
	new_storm(&s);
	while (now_ms() < until) {
		begin(&s);
		for (int i = 0; i < 60 && now_ms() < until; i++)
			attacks += scribble(&s);
		ring_restore(&s.r);
		if (now_ms() >= until)
			scribble_for_all(&s);
		end(&s);
	}
	printf("%u attacks, ", attacks);
	end_all(&s);
	CHECK(s.refused > 0 && s.refused < s.calls);
}

// Back and forth as fast as it goes, so that whoever reads a field twice reads two values.
static void flicker(struct storm *s, uint32_t offset)
{
	uint32_t *field = (uint32_t *)(s->r.map + offset);
	const int64_t until = now_ms() + 25;
	char text[128];
	snprintf(text, sizeof(text), "%s flickers", ring_field_name(offset));
	note(s, text);
	while (now_ms() < until) {
		const uint32_t own = __atomic_load_n(field, __ATOMIC_RELAXED);
		const uint32_t lie = (uint32_t)ring_value(own, (int)(draw(s) % RING_VALUES));
		for (int i = 0; i < 1000; i++) {
			__atomic_store_n(field, lie, __ATOMIC_RELAXED);
			__atomic_store_n(field, own, __ATOMIC_RELAXED);
		}
	}
	ring_restore(&s->r);
	victims_watch(s->diaries, s->pids, VICTIMS);
}

TEST(fields_that_flicker_while_others_use_the_pipe_do_no_harm)
{
	static struct storm s;
	new_storm(&s);
	for (size_t i = 0; i < s.n; i++) {
		if (s.fields[i] < PHI_REGION_BODY)
			continue;
		begin(&s);
		flicker(&s, s.fields[i]);
		end(&s);
	}
	end_all(&s);
}

struct progress {
	struct storm *s;
	unsigned calls[VICTIMS];
};

static bool all_went_on(void *arg)
{
	struct progress *p = arg;
	victims_watch(p->s->diaries, p->s->pids, VICTIMS);
	for (int i = 0; i < VICTIMS; i++)
		if (atomic_load(&p->s->diaries[i].calls) < p->calls[i] + 200)
			return false;
	return true;
}

static void wait_for_calls(struct storm *s)
{
	struct progress p = {.s = s};
	for (int i = 0; i < VICTIMS; i++)
		p.calls[i] = atomic_load(&s->diaries[i].calls);
	test_wait_until(all_went_on, &p);
}

TEST(the_pipe_goes_on_when_the_ring_is_cut)
{
	static struct storm s;
	const off_t sizes[] = {
		0, 1, 511, 512, 700, PIPE_PAGE, PIPE_PAGE + 1, 3 * PIPE_PAGE, PIPE_BYTES - 1};
	const size_t n = sizeof(sizes) / sizeof(sizes[0]);
	const int64_t until = now_ms() + 10000;
	new_storm(&s);
	// Their number is odd: twice through them is each size both ways.
	for (size_t i = 0; i < 2 * n || (i < 4 * n && now_ms() < until); i++) {
		char text[64];
		begin(&s);
		snprintf(text, sizeof(text), "cut to %ld bytes", (long)sizes[i % n]);
		let_run(&s, (unsigned)(draw(&s) % 50));
		note(&s, text);
		CHECK_OK(ftruncate(s.r.fd, sizes[i % n]));
		wait_for_calls(&s);
		if (i % 2) { // what is cut off comes back as zeros
			CHECK_OK(ftruncate(s.r.fd, PIPE_BYTES));
			wait_for_calls(&s);
		}
		end(&s);
	}
	end_all(&s);
}

TEST(holes_punched_while_others_use_the_pipe_do_no_harm)
{
	static struct storm s;
	const int64_t until = now_ms() + 6000;
	new_storm(&s);
	for (int round = 0; round < 20 && now_ms() < until; round++) {
		begin(&s);
		for (int i = 0; i < 15 && (i == 0 || now_ms() < until); i++) {
			char text[64];
			const off_t at = (off_t)(draw(&s) % (draw(&s) % 2 ? PIPE_PAGE : PIPE_BYTES));
			const off_t length = (off_t)(1 + draw(&s) % (uint64_t)(PIPE_BYTES - at));
			snprintf(text, sizeof(text), "%ld bytes punched at %ld", (long)length, (long)at);
			note(&s, text);
			CHECK_OK(fallocate(s.r.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, length));
			let_run(&s, (unsigned)(draw(&s) % 30));
			ring_restore(&s.r);
			let_run(&s, (unsigned)(draw(&s) % 10));
		}
		end(&s);
	}
	end_all(&s);
}

TEST(a_file_that_grows_while_others_use_the_pipe_does_no_harm)
{
	static struct storm s;
	new_storm(&s);
	begin(&s);
	note(&s, "extended");
	CHECK_OK(ftruncate(s.r.fd, (off_t)PIPE_BYTES + 3 * PIPE_PAGE + 5));
	wait_for_calls(&s);
	end(&s);
	end_all(&s);
}

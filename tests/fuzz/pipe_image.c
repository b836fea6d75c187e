// SPDX-License-Identifier: MIT
//
// tests/fuzz/pipe_image.c - libFuzzer target: the file of a pipe's ring, mutated as the input says between
// the calls that the input says. Whatever stands there, a call ends in time, touches nothing outside
// the mapping (fence.c) and the buffer that it was given, and succeeds or fails as documented
// (pipe_victim.c); and when the pipe is given to the kernel in the end, the kernel has it.
//
// An input is one byte that chooses size, first filling and lease, then instructions:
//
//   00-7f  LL KK               set the u32 at field L to adversarial value K
//   80-9f  LL VV VV VV VV      set the u32 at field L to V
//   a0-bf  LL KK               set the u64 at field L to adversarial value K
//   c0-cf  OO OO NN bytes      overwrite N bytes of the control page at offset O
//   d0-d3  OO OO               cut the file off at offset O * 17, make it whole again with zeros if d1, d3
//   d4-d7  OO OO NN            punch a hole of N * 64 bytes at offset O * 17
//   d8-ff  SS SS               one call, chosen and made with the help of the random seed S
//
// Two things that a ring may say are taken back, for they would hurt the clock and not the library: that a
// stranger who lives holds a lock, and that somebody is on his way to the kernel's pipe (tests/hostile has
// both).
#include <posthaste/posthaste.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "hostile/pipe_ring.h"
#include "hostile/pipe_victim.h"
#include "input.h"
#include "pipe/pipe.h"
#include "runner.h"

enum { R, W };

struct run {
	struct input in;
	struct ring r;
	struct pipe_victim v;
	uint32_t fields[RING_FIELDS_MAX];
	size_t n;
	bool cut; // no more touching by this side
};

static void defuse(struct run *run)
{
	struct pipe_control *c = run->r.c;
	for (int i = 0; i < RING_LOCKS; i++) {
		uint32_t *word = run->r.locks[i];
		const uint32_t tid = *word & 0x3fffffff;
		if (tid != 0 && tid != (uint32_t)getpid() && syscall(SYS_tkill, tid, 0) == 0)
			*word = (*word & 0xc0000000) | NO_THREAD;
	}
	memset(c->goers, 0, sizeof(c->goers));
	c->goers_beyond = 0;
}

static uint8_t *field(struct run *run, unsigned align)
{
	const uint64_t n = take(&run->in, 1);
	if (n % 64 == 63)
		return (uint8_t *)run->r.locks[n / 64 % RING_LOCKS];
	return run->r.map + run->fields[n % run->n] / align * align;
}

static void set32(struct run *run, bool raw)
{
	uint32_t *p = (uint32_t *)(void *)field(run, 4);
	*p = (uint32_t)(raw ? take(&run->in, 4)
	                    : ring_value(*p, (int)(take(&run->in, 1) % RING_VALUES)));
}

static void set64(struct run *run)
{
	uint64_t *p = (uint64_t *)(void *)field(run, 8);
	*p = ring_value(*p, (int)(take(&run->in, 1) % RING_VALUES));
}

static void overwrite(struct run *run)
{
	size_t at = take(&run->in, 2) % PIPE_PAGE;
	for (uint64_t n = take(&run->in, 1); n > 0 && at < PIPE_PAGE; n--)
		run->r.map[at++] = (uint8_t)take(&run->in, 1);
}

static off_t offset(struct run *run)
{
	return (off_t)(take(&run->in, 2) * 17 % PIPE_BYTES);
}

static void cut(struct run *run, bool mend)
{
	CHECK_OK(ftruncate(run->r.fd, offset(run)));
	if (mend)
		CHECK_OK(ftruncate(run->r.fd, PIPE_BYTES));
	run->cut = !mend;
}

static void punch(struct run *run)
{
	const off_t at = offset(run);
	const off_t length = (off_t)(take(&run->in, 1) * 64 + 1);
	fallocate(run->r.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, length);
}

static void call(struct run *run)
{
	run->v.random = take(&run->in, 2) * UINT64_C(0x9e3779b97f4a7c15);
	pipe_victim_do_something(&run->v);
}

static void step(struct run *run)
{
	const unsigned what = (unsigned)take(&run->in, 1);
	if (what >= 0xd8) {
		call(run);
		return;
	}
	if (run->cut)
		return;
	if (what < 0x80)
		set32(run, false);
	else if (what < 0xa0)
		set32(run, true);
	else if (what < 0xc0)
		set64(run);
	else if (what < 0xd0)
		overwrite(run);
	else if (what < 0xd4)
		cut(run, what % 2);
	else
		punch(run);
	if (!run->cut)
		defuse(run);
}

static void make_pipe(struct run *run, struct diary *diary, unsigned how)
{
	static const uint8_t bytes[3000];
	const int sizes[] = {4096, 16384, 65536, 1 << 20};
	pipe_victim_make(&run->v, diary);
	CHECK_OK(ph_fcntl(run->v.fds[W], F_SETPIPE_SZ, sizes[how % 4]));
	pipe_lease(run->v.fds[R]);
	for (unsigned i = 0; i < how / 4 % 32; i++)
		if (ph_write(run->v.fds[W], bytes, sizeof(bytes)) < 0)
			break;
	if (how & 128)
		phi_pipe_seal(phi_pipe_find(run->v.fds[R])->p, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run run;
	static struct diary diary;
	run.in = (struct input){data, data + size};
	run.cut = false;
	run.n = ring_fields(run.fields);
	make_pipe(&run, &diary, (unsigned)take(&run.in, 1));
	ring_open(&run.r, run.v.fds[R]);
	for (unsigned steps = 0; steps < 200 && run.in.at < run.in.end; steps++)
		step(&run);
	pipe_victim_say_farewell(&run.v, 1);
	pipe_victim_end(&run.v);
	ring_close(&run.r);
	return 0;
}

// SPDX-License-Identifier: MIT
//
// tests/fuzz/mq_image.c - libFuzzer target: a queue's region, mutated as the input says between and
// under the calls that the input says. Whatever stands in the region, a call ends in time, touches
// nothing outside the mapping (fence.c), and succeeds or fails as documented (victim.c).
//
// An input is one byte that chooses depth, first filling and mode, then instructions:
//
//   00-7f  LL LL KK            set the u32 at field L to adversarial value K
//   80-9f  LL LL VV VV VV VV   set the u32 at field L to V
//   a0-bf  LL LL KK            set the u64 at field L to adversarial value K
//   c0-cf  OO OO NN bytes      overwrite N bytes at offset O
//   d0-d3  OO OO               cut the file off at offset O, make it whole again with zeros if d1, d3
//   d4-d7  OO OO NN            punch a hole of N * 64 bytes at offset O
//   d8-ff  SS SS               one call, chosen and made with the help of the random seed S
//
// Two things that a region may say are taken back, for they would hurt the machine or the clock and
// not the library: whom to signal, and that a stranger who lives holds a lock (tests/hostile has both).
#include <posthaste/posthaste.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "hostile/region.h"
#include "hostile/victim.h"
#include "input.h"
#include "runner.h"

#define QUEUE "/fuzz"

struct run {
	struct input in;
	struct region r;
	struct victim v;
	uint32_t fields[FIELDS_MAX];
	size_t n;
	bool cut; // no more touching by this side
};

static bool lives(uint32_t tid)
{
	return tid != 0 && syscall(SYS_tkill, tid, 0) == 0;
}

static void defuse_lock(uint32_t *word)
{
	const uint32_t tid = *word & 0x3fffffff;
	if (tid != (uint32_t)getpid() && lives(tid))
		*word = (*word & 0xc0000000) | DEAD_TID;
}

static void defuse(struct run *run)
{
	for (int i = 0; i < LOCKS; i++)
		defuse_lock(run->r.locks[i]);
	run->r.c->notice.pid = 0;
}

static uint8_t *field(struct run *run, unsigned align)
{
	const uint64_t n = take(&run->in, 2);
	if (n % 64 == 63)
		return (uint8_t *)run->r.locks[n / 64 % LOCKS];
	const uint32_t offset = run->fields[n % run->n];
	return run->r.map + offset / align * align;
}

static void set32(struct run *run, bool raw)
{
	uint32_t *p = (uint32_t *)(void *)field(run, 4);
	*p = (uint32_t)(raw ? take(&run->in, 4)
	                    : region_value(&run->r, *p, (int)(take(&run->in, 1) % VALUES)));
}

static void set64(struct run *run)
{
	uint64_t *p = (uint64_t *)(void *)field(run, 8);
	*p = region_value(&run->r, *p, (int)(take(&run->in, 1) % VALUES));
}

static void overwrite(struct run *run)
{
	size_t at = take(&run->in, 2) % run->r.bytes;
	for (uint64_t n = take(&run->in, 1); n > 0 && at < run->r.bytes; n--)
		run->r.map[at++] = (uint8_t)take(&run->in, 1);
}

static void cut(struct run *run, bool mend)
{
	const off_t at = (off_t)(take(&run->in, 2) % run->r.bytes);
	CHECK_OK(ftruncate(run->r.fd, at));
	if (mend)
		CHECK_OK(ftruncate(run->r.fd, (off_t)run->r.bytes));
	run->cut = !mend;
}

static void punch(struct run *run)
{
	const off_t at = (off_t)(take(&run->in, 2) % run->r.bytes);
	const off_t length = (off_t)(take(&run->in, 1) * 64 + 1);
	fallocate(run->r.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, length);
}

static void call(struct run *run)
{
	run->v.random = take(&run->in, 2) * UINT64_C(0x9e3779b97f4a7c15);
	victim_do_something(&run->v);
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

static void make_queue(unsigned how)
{
	const long depths[] = {1, 3, VICTIM_DEPTH, 40};
	struct mq_attr attr = {.mq_maxmsg = depths[how % 4], .mq_msgsize = VICTIM_SIZE};
	const mqd_t q = (mqd_t)CHECK_OK(ph_mq_open(QUEUE, O_RDWR | O_CREAT | O_EXCL, 0600, &attr));
	for (unsigned i = 0; i < how / 4 % 8 && (long)i < attr.mq_maxmsg; i++)
		CHECK_OK(ph_mq_send(q, "seed", 4, i * 5000 % 3));
	if (how & 32)
		CHECK_OK(ph_mq_setpoll(q, 1));
	CHECK_OK(ph_mq_close(q));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run run;
	static struct diary diary;
	run.in = (struct input){data, data + size};
	run.cut = false;
	make_queue((unsigned)take(&run.in, 1));
	region_open(&run.r, QUEUE);
	run.n = region_fields(&run.r, run.fields);
	victim_begin(&run.v, QUEUE, &diary);
	run.v.hasty = true;
	for (unsigned steps = 0; steps < 200 && run.in.at < run.in.end; steps++)
		step(&run);
	victim_end(&run.v);
	region_close(&run.r);
	CHECK_OK(ph_mq_unlink(QUEUE));
	remove_fifos();
	return 0;
}

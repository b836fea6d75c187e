// SPDX-License-Identifier: MIT
//
// tests/fuzz/sem_image.c - libFuzzer target: a named semaphore's file, mutated as the input says between and
// under the calls that the input says. Whatever stands there, a call ends in time, touches nothing outside the mapping
// (fence.c), and succeeds or fails as documented (sem_victim.c).
//
// An input is one byte that chooses units and kind, then instructions:
//
//   00-7f  LL LL KK            set the u32 at field L to adversarial value K
//   80-9f  LL LL VV VV VV VV   set the u32 at field L to V
//   a0-bf  LL LL KK            set the u64 at field L to adversarial value K
//   c0-cf  OO OO NN bytes      overwrite N bytes at offset O
//   d0-d3  OO OO               cut the file off at offset O, make it whole again with zeros if d1, d3
//   d4-d7  OO OO NN            punch a hole of N * 64 bytes at offset O
//   d8-ff  SS SS               one call, chosen and made with the help of the random seed S
//
// That a stranger who lives holds the lock is taken back: it would cost the clock a second (tests/hostile has it).
#include <posthaste/posthaste.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "hostile/sem_victim.h"
#include "input.h"
#include "runner.h"

#define NAME "/fuzz"
#define NO_THREAD 0x3ffffff0u

struct run {
	struct input in;
	struct sem_region r;
	struct sem_victim v;
	uint32_t fields[SEM_FIELDS_MAX];
	size_t n;
	off_t bytes;
	bool cut; // no more touching by this side
};

static void defuse(struct run *run)
{
	uint32_t *word = &run->r.c->reap.word;
	const uint32_t tid = *word & 0x3fffffff;
	if (tid != 0 && tid != (uint32_t)getpid() && syscall(SYS_tkill, tid, 0) == 0)
		*word = (*word & 0xc0000000) | NO_THREAD;
}

static uint8_t *field(struct run *run, unsigned align)
{
	const uint64_t n = take(&run->in, 2);
	if (n % 64 == 63)
		return (uint8_t *)&run->r.c->reap.word;
	return run->r.map + run->fields[n % run->n] / align * align;
}

static void set32(struct run *run, bool raw)
{
	uint32_t *p = (uint32_t *)(void *)field(run, 4);
	*p = (uint32_t)(raw ? take(&run->in, 4) : sem_value(*p, (int)(take(&run->in, 1) % SEM_VALUES)));
}

static void set64(struct run *run)
{
	uint64_t *p = (uint64_t *)(void *)field(run, 8);
	*p = sem_value(*p, (int)(take(&run->in, 1) % SEM_VALUES));
}

static void overwrite(struct run *run)
{
	size_t at = take(&run->in, 2) % run->r.bytes;
	for (uint64_t n = take(&run->in, 1); n > 0 && at < run->r.bytes; n--)
		run->r.map[at++] = (uint8_t)take(&run->in, 1);
}

static void cut(struct run *run, bool mend)
{
	CHECK_OK(ftruncate(run->r.fd, (off_t)(take(&run->in, 2) % run->r.bytes)));
	if (mend)
		CHECK_OK(ftruncate(run->r.fd, run->bytes));
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
	sem_victim_do_something(&run->v);
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

static void make_semaphore(struct run *run, unsigned how)
{
	struct stat st;
	sem_t *sem =
		ph_sem_open(NAME, O_CREAT | O_EXCL | (how & 1 ? PH_SEM_HOLDERS : 0), 0600, how / 2 % 8);
	CHECK(sem != SEM_FAILED);
	CHECK_OK(ph_sem_close(sem));
	sem_region_open(&run->r, NAME);
	CHECK_OK(fstat(run->r.fd, &st));
	run->bytes = st.st_size;
	run->n = sem_region_fields(&run->r, run->fields);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run run;
	static struct diary diary;
	run.in = (struct input){data, data + size};
	run.cut = false;
	make_semaphore(&run, (unsigned)take(&run.in, 1));
	sem_victim_begin(&run.v, NAME, &diary);
	for (unsigned steps = 0; steps < 200 && run.in.at < run.in.end; steps++)
		step(&run);
	sem_victim_end(&run.v);
	sem_region_close(&run.r);
	CHECK_OK(ph_sem_unlink(NAME));
	return 0;
}

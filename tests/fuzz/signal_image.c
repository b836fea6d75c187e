// SPDX-License-Identifier: MIT
//
// tests/fuzz/signal_image.c - libFuzzer target: the files of the process's own port, of a peer's and of a named one, mutated
// as the input says between the calls that the input says. Whatever stands there, a call ends in time, touches nothing
// outside the mapping (fence.c), and succeeds or fails as documented (signal_victim.c).
//
// An input is instructions; the first two bytes of each, but for calls, choose the file as well:
//
//   00-7f  LL LL KK            set the u32 at field L to adversarial value K
//   80-9f  LL LL VV VV VV VV   set the u32 at field L to V
//   a0-bf  LL LL KK            set the u64 at field L to adversarial value K
//   c0-cf  OO OO NN bytes      overwrite N bytes at offset O
//   d0-d3  OO OO               cut the named port's file off at offset O, make it whole again with zeros if d1, d3
//   d4-d7  OO OO NN            punch a hole of N * 64 bytes at offset O
//   d8-ff  SS SS               one call, chosen and made with the help of the random seed S
//
// A process has one port in its life, so that file is not cut, and is put right after each input. That a stranger who lives
// holds a lock is taken back: it would cost the clock some milliseconds each time (tests/hostile has it).
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "hostile/signal_victim.h"
#include "input.h"
#include "runner.h"

#define NO_THREAD 0x3ffffff0u

enum { OWN, PEERS, NAMED, FILES };

struct file {
	struct signal_region r;
	uint32_t fields[SIGNAL_FIELDS_MAX];
	size_t n;
};

static struct run {
	struct input in;
	struct file file[FILES];
	struct signal_victim v;
	struct diary diary;
	pid_t peer;
	sigset_t before;
	bool cut; // the named one: no more touching by this side
} run;

static void open_file(struct file *f, int which)
{
	if (which == NAMED)
		signal_region_open_named(&f->r);
	else
		signal_region_open(&f->r, which == OWN ? getpid() : run.peer);
	f->n = signal_region_fields(&f->r, f->fields);
}

static void defuse(struct file *f)
{
	uint32_t *word = (uint32_t *)(void *)(f->r.map + PHI_REGION_BODY); // the lock
	const uint32_t tid = *word & 0x3fffffff;
	if (tid != 0 && tid != (uint32_t)getpid() && syscall(SYS_tkill, tid, 0) == 0)
		*word = (*word & 0xc0000000) | NO_THREAD;
}

// The file that a number means, and the rest of the number.
static struct file *choose(uint64_t *n)
{
	struct file *f = &run.file[*n % FILES];
	*n /= FILES;
	return f == &run.file[NAMED] && run.cut ? &run.file[OWN] : f;
}

static void set(unsigned what)
{
	uint64_t n = take(&run.in, 2);
	struct file *f = choose(&n);
	const bool wide = what >= 0xa0;
	uint8_t *at = f->r.map + f->fields[n % f->n] / (wide ? 8 : 4) * (wide ? 8 : 4);
	if (n % 64 == 63)
		at = f->r.map + PHI_REGION_BODY;
	uint32_t *narrow_field = (uint32_t *)(void *)at;
	uint64_t *wide_field = (uint64_t *)(void *)at;
	if (what >= 0x80 && !wide)
		*narrow_field = (uint32_t)take(&run.in, 4);
	else if (wide)
		*wide_field = signal_value(*wide_field, (int)(take(&run.in, 1) % SIGNAL_VALUES));
	else
		*narrow_field =
			(uint32_t)signal_value(*narrow_field, (int)(take(&run.in, 1) % SIGNAL_VALUES));
	defuse(f);
}

static void overwrite(void)
{
	uint64_t n = take(&run.in, 2);
	struct file *f = choose(&n);
	size_t at = n % f->r.bytes;
	for (uint64_t i = take(&run.in, 1); i > 0 && at < f->r.bytes; i--)
		f->r.map[at++] = (uint8_t)take(&run.in, 1);
	defuse(f);
}

static void cut(bool mend)
{
	struct signal_region *r = &run.file[NAMED].r;
	const off_t at = (off_t)(take(&run.in, 2) % r->bytes);
	if (run.cut)
		return;
	CHECK_OK(ftruncate(r->fd, at));
	if (mend)
		CHECK_OK(ftruncate(r->fd, (off_t)r->bytes));
	run.cut = !mend;
}

static void punch(void)
{
	uint64_t n = take(&run.in, 2);
	struct file *f = choose(&n);
	fallocate(f->r.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(n % f->r.bytes),
	          (off_t)(take(&run.in, 1) * 64 + 1));
}

static void step(void)
{
	const unsigned what = (unsigned)take(&run.in, 1);
	if (what >= 0xd8) {
		run.v.random = take(&run.in, 2) * UINT64_C(0x9e3779b97f4a7c15);
		signal_victim_do_something(&run.v);
	} else if (what < 0xc0) {
		set(what);
	} else if (what < 0xd0) {
		overwrite();
	} else if (what < 0xd4) {
		cut(what % 2);
	} else {
		punch();
	}
}

// Before the fuzzer starts a thread: the victim's signals are for this one.
__attribute__((constructor)) static void block_all(void)
{
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &run.before);
}

// For the whole of this process: its port, its peer, and how their files look before anything is done to them.
static void begin(void)
{
	if (run.peer != 0)
		return;
	CHECK_OK(ph_sigprocmask(SIG_SETMASK, &run.before, NULL));
	run.peer = signal_peer_start();
	signal_victim_begin(&run.v, &run.diary, run.peer);
	signal_victim_do_everything(&run.v);
	signal_victim_end(&run.v);
	for (int which = OWN; which <= PEERS; which++)
		open_file(&run.file[which], which);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	begin();
	run.in = (struct input){data, data + size};
	run.cut = false;
	signal_victim_begin(&run.v, &run.diary, run.peer);
	open_file(&run.file[NAMED], NAMED);
	for (unsigned steps = 0; steps < 200 && run.in.at < run.in.end; steps++)
		step();
	for (int which = OWN; which <= PEERS; which++)
		signal_region_restore(&run.file[which].r);
	// Whatever has become of the named one: it goes, and the next input has a new one.
	signal_victim_end(&run.v);
	char path[512];
	snprintf(path, sizeof path, "%s/port.besieged", getenv("POSTHASTE_DIR"));
	unlink(path);
	signal_region_close(&run.file[NAMED].r);
	return 0;
}

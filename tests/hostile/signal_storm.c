// SPDX-License-Identifier: MIT
//
// tests/hostile/signal_storm.c - processes signal each other and themselves while their ports and a named one are
// scribbled on at random, truncated and punched, and while somebody tells lies by the kernel's signals. Nobody crashes, hangs or reports anything undocumented; who comes
// afterwards finds signals that work.
#include "signal_victim.h"

#include "signal/port.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runner.h"

enum { VICTIMS = 2, FILES = VICTIMS + 2, ATTACKS = 12000 };

struct storm {
	struct signal_region r[FILES]; // of the victims, of their peer, and the named one
	uint32_t fields[FILES][SIGNAL_FIELDS_MAX];
	size_t n[FILES];
	struct diary *diaries;
	struct victim_job jobs[VICTIMS];
	pid_t pids[VICTIMS], peer;
	char peer_text[16];
	uint64_t random;
};

static uint64_t draw(struct storm *s)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return s->random;
}

static bool all_called(void *arg)
{
	const struct storm *s = arg;
	for (int i = 0; i < VICTIMS; i++)
		if (atomic_load(&s->diaries[i].calls) < 50)
			return false;
	return true;
}

static void begin(struct storm *s)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	memset(s, 0, sizeof *s);
	s->diaries = diaries_new(VICTIMS);
	s->random = (uint64_t)t.tv_nsec * 2 + 1;
	s->peer = signal_peer_start();
	snprintf(s->peer_text, sizeof s->peer_text, "%d", (int)s->peer);
	for (int i = 0; i < VICTIMS; i++) {
		s->jobs[i] = (struct victim_job){s->peer_text, &s->diaries[i], draw(s)};
		s->pids[i] = test_fork(signal_victim_main, &s->jobs[i]);
	}
	test_wait_until(all_called, s);
	for (int i = 0; i < VICTIMS; i++)
		signal_region_open(&s->r[i], s->pids[i]);
	signal_region_open(&s->r[VICTIMS], s->peer);
	signal_region_open_named(&s->r[VICTIMS + 1]);
	for (int i = 0; i < FILES; i++)
		s->n[i] = signal_region_fields(&s->r[i], s->fields[i]);
}

static void end(struct storm *s)
{
	unsigned calls = 0, refused = 0;
	victims_join(s->diaries, s->pids, VICTIMS);
	for (int i = 0; i < VICTIMS; i++) {
		calls += atomic_load(&s->diaries[i].calls);
		refused += atomic_load(&s->diaries[i].refused);
	}
	printf("%u calls, %u were refused\n", calls, refused);
	for (int i = 0; i < FILES; i++)
		signal_region_close(&s->r[i]);
	test_kill(s->peer);
	char path[512];
	snprintf(path, sizeof path, "%s/port.besieged", getenv("POSTHASTE_DIR"));
	unlink(path); // a header that was spoiled is nobody's to remove
	signals_work();
}

static void let_run(struct storm *s, unsigned yields)
{
	victims_watch(s->diaries, s->pids, VICTIMS);
	for (unsigned i = 0; i < yields; i++)
		sched_yield();
}

static void note(struct storm *s, const char *what, int file, uint64_t at, uint64_t value)
{
	for (int i = 0; i < VICTIMS; i++)
		snprintf(s->diaries[i].note, sizeof s->diaries[i].note, "%s of file %d, %llu: %llx", what,
		         file, (unsigned long long)at, (unsigned long long)value);
}

// Member entries and marks may come to name processes of the machine; those have no port here.
static void scribble_once(struct storm *s)
{
	const int file = (int)(draw(s) % FILES);
	const uint32_t offset = s->fields[file][draw(s) % s->n[file]];
	uint64_t *field = (uint64_t *)(void *)(s->r[file].map + offset / 8 * 8);
	const uint64_t value =
		draw(s) % 4 == 0 ? draw(s) : signal_value(*field, (int)(draw(s) % SIGNAL_VALUES));
	note(s, "a word", file, offset, value);
	__atomic_store_n(field, value, __ATOMIC_RELAXED);
}

TEST(random_scribbling_while_others_signal_does_no_harm)
{
	static struct storm s;
	begin(&s);
	for (int i = 0; i < ATTACKS; i++) {
		scribble_once(&s);
		if (i % 8 == 0) {
			let_run(&s, (unsigned)(draw(&s) % 4));
			for (int f = 0; f < FILES; f++)
				signal_region_restore(&s.r[f]);
		}
	}
	for (int f = 0; f < FILES; f++)
		signal_region_restore(&s.r[f]);
	end(&s);
}

static bool went_on(void *arg)
{
	struct storm *s = arg;
	victims_watch(s->diaries, s->pids, VICTIMS);
	for (int i = 0; i < VICTIMS; i++)
		if (atomic_load(&s->diaries[i].calls) < 300)
			return false;
	return true;
}

static void cut_at(int file, off_t size, bool mend)
{
	static struct storm s;
	struct stat st;
	begin(&s);
	let_run(&s, (unsigned)(draw(&s) % 50));
	note(&s, "the end", file, (uint64_t)size, 0);
	CHECK_OK(fstat(s.r[file].fd, &st));
	CHECK_OK(ftruncate(s.r[file].fd, size));
	for (int i = 0; i < VICTIMS; i++)
		atomic_store(&s.diaries[i].calls, 0);
	test_wait_until(went_on, &s);
	if (mend) // what was cut off comes back as zeros
		CHECK_OK(ftruncate(s.r[file].fd, st.st_size));
	let_run(&s, 20);
	end(&s);
}

TEST(truncation_of_a_port_while_its_owner_and_others_use_it_does_no_harm)
{
	const off_t sizes[] = {0, 600, 4096, SIGNAL_RING_AT, SIGNAL_RING_AT + 100};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		cut_at((int)(i % 2 ? 0 : VICTIMS), sizes[i], i % 2);
	cut_at(0, 0, false);
}

TEST(truncation_of_a_named_port_while_others_use_it_does_no_harm)
{
	cut_at(VICTIMS + 1, 0, false);
	cut_at(VICTIMS + 1, 700, true);
	cut_at(VICTIMS + 1, 4096, false);
}

TEST(holes_punched_while_others_signal_do_no_harm)
{
	static struct storm s;
	begin(&s);
	for (int i = 0; i < 200; i++) {
		const int file = (int)(draw(&s) % FILES);
		const off_t at = (off_t)(draw(&s) % s.r[file].bytes);
		const off_t length = (off_t)(1 + draw(&s) % (s.r[file].bytes - (uint64_t)at));
		note(&s, "a hole", file, (uint64_t)at, (uint64_t)length);
		CHECK_OK(fallocate(s.r[file].fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, length));
		let_run(&s, (unsigned)(draw(&s) % 30));
		signal_region_restore(&s.r[file]);
		let_run(&s, (unsigned)(draw(&s) % 10));
	}
	end(&s);
}

// ---- by the kernel ----

static bool went_on_a_little(void *arg)
{
	struct storm *s = arg;
	victims_watch(s->diaries, s->pids, VICTIMS);
	for (int i = 0; i < VICTIMS; i++)
		if (atomic_load(&s->diaries[i].calls) == 0)
			return false;
	return true;
}

// A bell, or a signal that claims a place among those of anybody.
static void make_lie(struct storm *s, siginfo_t *info, const uint8_t *map)
{
	const struct phi_region_header *h = (const struct phi_region_header *)(const void *)map;
	const struct signal_port *port =
		(const struct signal_port *)(const void *)(map + PHI_REGION_BODY);
	const uint64_t tail = load_relaxed_u64(&port->tail) + draw(s) % 16 - 8;
	const struct signal_record r = {.value = draw(s),
	                                .pid = draw(s) % 2 ? s->pids[draw(s) % VICTIMS] : getpid(),
	                                .code = SI_QUEUE,
	                                .signo = (uint16_t)(SIGRTMIN + 1 + (int)(draw(s) % 2))};
	const uint32_t near = signal_seen_word(tail, h->id[0]);
	const struct signal_seen seen = {draw(s) % 4 ? near : (uint32_t)draw(s), (uint32_t)draw(s)};
	phi_bell_make(info, &r);
	if (draw(s) % 8 == 0)
		return;
	info->si_code = draw(s) % 4 ? SI_QUEUE : SI_USER;
	phi_bell_mark_process(info, &seen);
}

TEST(lies_about_a_signals_place_do_no_harm)
{
	static struct storm s;
	siginfo_t info;
	begin(&s);
	for (int i = 0; i < ATTACKS / 4; i++) {
		const int who = (int)(draw(&s) % VICTIMS);
		make_lie(&s, &info, s.r[who].map);
		syscall(SYS_rt_sigqueueinfo, s.pids[who], info.si_signo, &info);
		if (i % 16 != 0)
			continue;
		note(&s, "a lie", who, (uint64_t)i, 0);
		for (int v = 0; v < VICTIMS; v++) // who is flooded does nothing else
			atomic_store(&s.diaries[v].calls, 0);
		test_wait_until(went_on_a_little, &s);
	}
	end(&s);
}

// SPDX-License-Identifier: MIT
//
// tests/hostile/sem_storm.c - several processes use a semaphore while its file is scribbled on at random, truncated
// and punched. Nobody crashes, hangs or reports anything undocumented; a semaphore made anew works.
#include "sem_victim.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>

#include "runner.h"

enum { VICTIMS = 3, ATTACKS = 20000 };

struct storm {
	struct sem_region r;
	struct diary *diaries;
	struct victim_job jobs[VICTIMS];
	pid_t pids[VICTIMS];
	uint64_t random;
	uint32_t fields[SEM_FIELDS_MAX];
	size_t n;
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

static void begin(struct storm *s, struct diary *diaries, int oflag)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	*s = (struct storm){.diaries = diaries, .random = (uint64_t)t.tv_nsec * 2 + 1};
	memset(diaries, 0, VICTIMS * sizeof *diaries);
	sem_t *sem = ph_sem_open(test_name(), O_CREAT | O_EXCL | oflag, 0600, 3);
	CHECK(sem != SEM_FAILED);
	CHECK_OK(ph_sem_close(sem));
	sem_region_open(&s->r, test_name());
	s->n = sem_region_fields(&s->r, s->fields);
	for (int i = 0; i < VICTIMS; i++) {
		s->jobs[i] = (struct victim_job){test_name(), &s->diaries[i], draw(s)};
		s->pids[i] = test_fork(sem_victim_main, &s->jobs[i]);
	}
	test_wait_until(all_called, s);
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
	sem_region_close(&s->r);
	CHECK_OK(ph_sem_unlink(test_name()));
	semaphore_works(test_name());
}

static void let_run(struct storm *s, unsigned yields)
{
	victims_watch(s->diaries, s->pids, VICTIMS);
	for (unsigned i = 0; i < yields; i++)
		sched_yield();
}

static void note(struct storm *s, const char *what, uint64_t at, uint64_t value)
{
	for (int i = 0; i < VICTIMS; i++)
		snprintf(s->diaries[i].note, sizeof s->diaries[i].note, "%s %llu: %llx", what,
		         (unsigned long long)at, (unsigned long long)value);
}

static void scribble_once(struct storm *s)
{
	const uint32_t offset = s->fields[draw(s) % s->n];
	uint64_t *field = (uint64_t *)(void *)(s->r.map + offset / 8 * 8);
	const uint64_t value =
		draw(s) % 4 == 0 ? draw(s) : sem_value(*field, (int)(draw(s) % SEM_VALUES));
	// The lock's word goes with its neighbour: a victim's own number there costs it a moment only.
	note(s, "scribbled at", offset, value);
	__atomic_store_n(field, value, __ATOMIC_RELAXED);
}

static void rage(int oflag)
{
	static struct storm s;
	begin(&s, diaries_new(VICTIMS), oflag);
	for (int i = 0; i < ATTACKS; i++) {
		scribble_once(&s);
		if (i % 8 == 0) {
			let_run(&s, (unsigned)(draw(&s) % 4));
			sem_region_restore(&s.r);
		}
	}
	sem_region_restore(&s.r);
	end(&s);
}

TEST(random_scribbling_while_others_use_a_named_semaphore_does_no_harm)
{
	rage(0);
}

TEST(random_scribbling_while_others_use_a_semaphore_with_holders_does_no_harm)
{
	rage(PH_SEM_HOLDERS);
}

static bool all_refused(void *arg)
{
	struct storm *s = arg;
	victims_watch(s->diaries, s->pids, VICTIMS);
	for (int i = 0; i < VICTIMS; i++)
		if (atomic_load(&s->diaries[i].refused) == 0)
			return false;
	return true;
}

// They use calls of holders on one without, which is refused as well: so count from the cut on.
static void cut_at(int oflag, off_t size, bool mend)
{
	static struct storm s;
	begin(&s, diaries_new(VICTIMS), oflag);
	let_run(&s, (unsigned)(draw(&s) % 50));
	note(&s, "cut at", (uint64_t)size, 0);
	struct stat st;
	CHECK_OK(fstat(s.r.fd, &st));
	CHECK_OK(ftruncate(s.r.fd, size));
	for (int i = 0; i < VICTIMS; i++)
		atomic_store(&s.diaries[i].refused, 0);
	test_wait_until(all_refused, &s);
	if (mend) // what was cut off comes back as zeros
		CHECK_OK(ftruncate(s.r.fd, st.st_size));
	let_run(&s, 20);
	end(&s);
}

TEST(truncation_while_others_use_a_semaphore_is_noticed_by_all)
{
	const off_t sizes[] = {0, 1, 511, 512, 600, 4095};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		cut_at(0, sizes[i], i % 2);
		cut_at(PH_SEM_HOLDERS, sizes[i], (i + 1) % 2);
	}
}

TEST(truncation_behind_the_control_area_is_noticed_by_all)
{
	cut_at(PH_SEM_HOLDERS, SEM_PAGE, false);
	cut_at(PH_SEM_HOLDERS, SEM_TABLE_AT + 100, true);
	cut_at(PH_SEM_HOLDERS, SEM_MARKS_AT, false);
}

TEST(holes_punched_while_others_use_a_semaphore_do_no_harm)
{
	static struct storm s;
	begin(&s, diaries_new(VICTIMS), PH_SEM_HOLDERS);
	for (int i = 0; i < 300; i++) {
		const off_t at = (off_t)(draw(&s) % s.r.bytes);
		const off_t length = (off_t)(1 + draw(&s) % (s.r.bytes - (uint64_t)at));
		note(&s, "punched at", (uint64_t)at, (uint64_t)length);
		CHECK_OK(fallocate(s.r.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, length));
		let_run(&s, (unsigned)(draw(&s) % 30));
		sem_region_restore(&s.r);
		let_run(&s, (unsigned)(draw(&s) % 10));
	}
	end(&s);
}

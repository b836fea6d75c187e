// SPDX-License-Identifier: MIT
//
// tests/hostile/sem_fields.c - each field of a named semaphore is set to each adversarial value, in turn, in several
// states; after each, every call is made once. One process attacks itself, so that a failure names its field and
// value. The same for an unnamed one, beside which no byte may be touched.
#include "sem_victim.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

#include "runner.h"

struct sweep {
	const char *name;
	struct diary *diary;
	int oflag;
	void (*prepare)(sem_t *sem);
};

static void leave_it(sem_t *sem)
{
	(void)sem;
}

static void take_all(sem_t *sem)
{
	CHECK_OK(ph_sem_wait(sem));
	CHECK_OK(ph_sem_wait(sem));
}

static void write_down(struct sweep *s, uint32_t offset, bool wide, uint64_t value)
{
	snprintf(s->diary->note, sizeof s->diary->note, "offset %u (u%d) becomes %llx", offset,
	         wide ? 64 : 32, (unsigned long long)value);
}

static void scribble(struct sweep *s, uint8_t *map, uint32_t offset, bool wide, int i)
{
	uint64_t *wide_field = (uint64_t *)(void *)(map + offset);
	uint32_t *narrow_field = (uint32_t *)(void *)(map + offset);
	const uint64_t value = sem_value(wide ? *wide_field : *narrow_field, i);
	write_down(s, offset, wide, value);
	if (wide)
		__atomic_store_n(wide_field, value, __ATOMIC_RELAXED);
	else
		__atomic_store_n(narrow_field, (uint32_t)value, __ATOMIC_RELAXED);
}

static void sweep_fields(void *arg)
{
	struct sweep *s = arg;
	static uint32_t fields[SEM_FIELDS_MAX];
	struct sem_victim v;
	struct sem_region r;
	sem_victim_begin(&v, s->name, s->diary);
	s->prepare(v.sem);
	sem_region_open(&r, s->name);
	const size_t n = sem_region_fields(&r, fields);
	for (size_t f = 0; f < n * 2; f++) {
		const bool wide = f % 2;
		for (int i = 0; i < SEM_VALUES && (!wide || fields[f / 2] % 8 == 0); i++) {
			scribble(s, r.map, fields[f / 2], wide, i);
			sem_victim_do_everything(&v);
			sem_region_restore(&r);
		}
	}
	sem_region_close(&r);
	sem_victim_end(&v);
}

static void attack(int oflag, void (*prepare)(sem_t *sem))
{
	struct sweep s = {test_name(), diaries_new(1), oflag, prepare};
	sem_t *sem = ph_sem_open(s.name, O_CREAT | O_EXCL | oflag, 0600, 2);
	CHECK(sem != SEM_FAILED);
	CHECK_OK(ph_sem_close(sem));
	pid_t pid = test_fork(sweep_fields, &s);
	victims_join(s.diary, &pid, 1);
	printf("%u calls, %u were refused\n", atomic_load(&s.diary->calls),
	       atomic_load(&s.diary->refused));
	CHECK(atomic_load(&s.diary->calls) > 20000);
	CHECK(atomic_load(&s.diary->refused) > 100);
	CHECK_OK(ph_sem_unlink(s.name));
	semaphore_works(s.name);
}

TEST(scribbled_fields_of_a_named_semaphore_do_no_harm)
{
	attack(0, leave_it);
}

TEST(scribbled_fields_of_an_empty_named_semaphore_do_no_harm)
{
	attack(0, take_all);
}

TEST(scribbled_fields_of_a_semaphore_with_holders_do_no_harm)
{
	attack(PH_SEM_HOLDERS, leave_it);
}

TEST(scribbled_fields_of_a_semaphore_whose_units_are_held_do_no_harm)
{
	attack(PH_SEM_HOLDERS, take_all);
}

// A sem_t at the end of a page and one at the beginning, with nothing beside them: whatever stands in it, the library
// takes it for nothing that has more than 16 bytes.
static void sweep_unnamed(void *arg)
{
	struct sweep *s = arg;
	struct sem_victim v = {.diary = s->diary};
	uint8_t *pages = mmap(NULL, 3 * SEM_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(pages != MAP_FAILED);
	CHECK_OK(mprotect(pages + SEM_PAGE, SEM_PAGE, PROT_READ | PROT_WRITE));
	uint8_t *const at[] = {pages + SEM_PAGE, pages + 2 * SEM_PAGE - sizeof(sem_t)};
	for (int f = 0; f < 2 * (int)sizeof(struct sem_word) / 4 * 2; f++) {
		uint8_t *bytes = at[f % 2];
		const uint32_t offset = (uint32_t)(f / 4) * 4;
		const bool wide = f % 4 >= 2 && offset % 8 == 0;
		for (int i = 0; i < SEM_VALUES; i++) {
			v.sem = (sem_t *)(void *)bytes;
			CHECK_OK(ph_sem_init(v.sem, 1, 1));
			scribble(s, bytes, offset, wide, i);
			sem_victim_do_everything(&v);
		}
	}
	CHECK_OK(munmap(pages, 3 * SEM_PAGE));
}

TEST(scribbled_fields_of_an_unnamed_semaphore_do_no_harm)
{
	struct sweep s = {.diary = diaries_new(1)};
	pid_t pid = test_fork(sweep_unnamed, &s);
	victims_join(s.diary, &pid, 1);
	CHECK(atomic_load(&s.diary->calls) > 2000);
	CHECK(atomic_load(&s.diary->refused) > 100);
}

// The lock of taking back, said to be held by one who lives and never lets go; and every slot said to be in use. Calls
// give up waiting for him.
static void meet_stranger(void *arg)
{
	struct sweep *s = arg;
	struct sem_victim v;
	sem_victim_begin(&v, s->name, s->diary);
	sem_victim_do_everything(&v);
	sem_victim_end(&v);
}

static void live_on(void *arg)
{
	(void)arg;
	pause();
}

TEST(a_lock_that_a_living_stranger_never_lets_go_keeps_nobody_waiting)
{
	struct sweep s = {test_name(), diaries_new(1), PH_SEM_HOLDERS, leave_it};
	struct sem_region r;
	sem_t *sem = ph_sem_open(s.name, O_CREAT | O_EXCL | PH_SEM_HOLDERS, 0600, 0);
	CHECK(sem != SEM_FAILED);
	sem_region_open(&r, s.name);
	const pid_t stranger = test_fork(live_on, NULL);
	struct sem_slot *table = (struct sem_slot *)(void *)(r.map + SEM_TABLE_AT);
	for (int i = 2; i < SEM_SLOTS; i++)
		table[i].pid = stranger;
	r.c->slots = SEM_SLOTS;
	__atomic_store_n(&r.c->reap.word, (uint32_t)stranger, __ATOMIC_SEQ_CST);
	pid_t pid = test_fork(meet_stranger, &s);
	victims_join(s.diary, &pid, 1);
	__atomic_store_n(&r.c->reap.word, 0, __ATOMIC_SEQ_CST);
	test_kill(stranger);
	sem_region_close(&r);
	CHECK_OK(ph_sem_close(sem));
	CHECK_OK(ph_sem_unlink(s.name));
	semaphore_works(s.name);
}

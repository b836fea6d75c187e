// SPDX-License-Identifier: MIT
//
// tests/sem/extra_ownerdead.c - being told that a unit came back from the dead: once for each, with the unit
// taken, by processes that asked for it, and not after an orderly close.
#include "holders.h"

static struct holder *holder;

// A semaphore of so many units, open here with the flag, and a holder of all of them that has ended.
static sem_t *make_after(unsigned units, enum ending ending)
{
	sem_t *sem = make_holders(units);

	CHECK(open_flags(PH_SEM_OWNERDEAD) == sem);
	holder = share(sizeof(*holder));
	pid_t pid = start_holder(holder, units, ending);
	tell_to_end(pid, holder);
	if (ending == BY_CLOSE || ending == BY_EXEC)
		return sem;
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	return sem;
}

static void drop_twice_open(sem_t *sem)
{
	CHECK_OK(sem_close(sem));
	drop_named(sem);
}

TEST(who_takes_the_unit_of_the_dead_is_told_and_has_it)
{
	const enum ending endings[] = {BY_KILL, BY_EXIT, BY_EXEC, BY_ABORT};

	for (int i = 0; i < 4; i++) {
		sem_t *sem = make_after(1, endings[i]);
		CHECK_ERR(sem_wait(sem), EOWNERDEAD);
		CHECK_EQ(ph_sem_held(sem), 1);
		CHECK_EQ(units_of(sem), 0);
		give(sem, 1);
		CHECK_OK(sem_wait(sem));
		CHECK_EQ(ph_sem_held(sem), 1);
		drop_twice_open(sem);
	}
}

TEST(orderly_close_is_not_told_of)
{
	sem_t *sem = make_after(2, BY_CLOSE);

	take_units(sem, 2);
	give(sem, 2);
	for (int i = 0; i < 5; i++) {
		CHECK_OK(sem_wait(sem));
		give(sem, 1);
	}
	drop_twice_open(sem);
}

TEST(every_kind_of_wait_tells)
{
	const struct timespec later = in_ms(50000);
	const struct timespec past = {0, 0};
	sem_t *sem = make_after(5, BY_KILL);

	CHECK_ERR(sem_trywait(sem), EOWNERDEAD);
	CHECK_ERR(sem_wait(sem), EOWNERDEAD);
	CHECK_ERR(sem_timedwait(sem, &later), EOWNERDEAD);
	CHECK_ERR(sem_clockwait(sem, CLOCK_MONOTONIC, &past), EOWNERDEAD);
	CHECK_ERR(ph_sem_take(sem, 1, CLOCK_MONOTONIC, NULL), EOWNERDEAD);
	CHECK_EQ(ph_sem_held(sem), 5);
	CHECK_ERR(sem_trywait(sem), EAGAIN);
	CHECK_OK(ph_sem_give(sem, 5));
	CHECK_OK(try_units(sem, 5));
	drop_twice_open(sem);
}

TEST(one_take_of_many_is_told_of_all_it_took)
{
	sem_t *sem = make_after(7, BY_KILL);

	CHECK_ERR(try_units(sem, 4), EOWNERDEAD);
	CHECK_ERR(try_units(sem, 3), EOWNERDEAD);
	CHECK_EQ(ph_sem_held(sem), 7);
	CHECK_OK(ph_sem_give(sem, 7));
	CHECK_OK(try_units(sem, 7));
	drop_twice_open(sem);
}

static void *work_take_two(void *arg)
{
	struct worker *w = arg;

	at_the_call(w);
	keep(w, ph_sem_take(w->sem, 2, CLOCK_MONOTONIC, NULL));
	return NULL;
}

TEST(sleeper_is_told)
{
	sem_t *sem = make_holders(2);
	struct worker w;

	CHECK(open_flags(PH_SEM_OWNERDEAD) == sem);
	holder = share(sizeof(*holder));
	for (int i = 0; i < 10; i++) {
		pid_t pid = start_holder(holder, 2, BY_KILL);
		start_and_block(&w, work_take_two, sem);
		test_kill(pid);
		expect_failed(&w, EOWNERDEAD);
		CHECK_EQ(ph_sem_held(sem), 2);
		give(sem, 2);
	}
	drop_twice_open(sem);
}

static void take_untold(void *arg)
{
	take_units(arg, 1);
	CHECK_OK(ph_sem_give(arg, 1));
}

static void open_and_take_untold(void *arg)
{
	(void)arg;
	for (int i = 0; i < 5; i++)
		take_untold(open_named());
}

TEST(who_did_not_ask_is_not_told_and_the_news_wait)
{
	sem_t *sem = make_holders(1);

	holder = share(sizeof(*holder));
	test_kill(start_holder(holder, 1, BY_KILL));
	test_join(test_fork(open_and_take_untold, NULL));
	for (int i = 0; i < 5; i++)
		take_untold(sem);
	CHECK(open_flags(PH_SEM_OWNERDEAD) == sem);
	CHECK_ERR(sem_wait(sem), EOWNERDEAD);
	give(sem, 1);
	CHECK_OK(sem_wait(sem));
	drop_twice_open(sem);
}

static void be_told(void *arg)
{
	(void)arg;
	sem_t *sem = open_flags(PH_SEM_OWNERDEAD);
	CHECK_ERR(sem_wait(sem), EOWNERDEAD);
	CHECK_EQ(ph_sem_held(sem), 1);
}

// Each dies with the unit, so the next is told again.
TEST(who_is_told_and_dies_leaves_it_to_the_next_to_be_told)
{
	sem_t *sem = make_holders(1);

	holder = share(sizeof(*holder));
	test_kill(start_holder(holder, 1, BY_KILL));
	for (int i = 0; i < 10; i++)
		test_join(test_fork(be_told, NULL));
	CHECK(open_flags(PH_SEM_OWNERDEAD) == sem);
	CHECK_ERR(sem_wait(sem), EOWNERDEAD);
	give(sem, 1);
	CHECK_OK(sem_wait(sem));
	drop_twice_open(sem);
}

static void count_what_is_told(void *arg)
{
	atomic_int *told = arg;
	sem_t *sem = open_flags(PH_SEM_OWNERDEAD);
	struct timespec soon = on_clock(CLOCK_MONOTONIC, 0);

	while (sem_clockwait(sem, CLOCK_MONOTONIC, &soon) == 0 || errno == EOWNERDEAD)
		if (errno == EOWNERDEAD) {
			atomic_fetch_add(told, 1);
			errno = 0;
		}
	CHECK_EQ(errno, ETIMEDOUT);
	if (ph_sem_held(sem) > 0) // else the others were quicker
		CHECK_OK(ph_sem_give(sem, (unsigned)ph_sem_held(sem)));
}

// So many units came back; several processes take them at once. The news are told once for each unit.
TEST(of_several_processes_some_one_is_told_of_each_unit)
{
	enum { UNITS = 64, TAKERS = 4 };
	atomic_int *told = share(sizeof(*told));
	pid_t pid[TAKERS];

	CHECK_OK(sem_close(make_holders(UNITS)));
	holder = share(sizeof(*holder));
	test_kill(start_holder(holder, UNITS, BY_KILL));
	for (int i = 0; i < TAKERS; i++)
		pid[i] = test_fork(count_what_is_told, told);
	for (int i = 0; i < TAKERS; i++)
		test_join(pid[i]);
	CHECK_EQ(atomic_load(told), UNITS);
	sem_t *sem = open_named();
	expect_units(sem, UNITS);
	CHECK_EQ(look()->returned, UNITS);
	drop_named(sem);
}

TEST(without_holders_nobody_is_told)
{
	sem_t *sem = make_named(2);

	CHECK(open_flags(PH_SEM_OWNERDEAD) == sem);
	CHECK_OK(sem_wait(sem));
	CHECK_OK(sem_wait(sem));
	CHECK_ERR(sem_trywait(sem), EAGAIN);
	drop_twice_open(sem);
}

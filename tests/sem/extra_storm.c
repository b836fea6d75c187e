// SPDX-License-Identifier: MIT
//
// tests/sem/extra_storm.c - holders that are killed while all take and give at full speed; as many users as
// there may be. At the end every unit is there, and not one more.
#include "holders.h"

#include <sched.h>

enum { WORKERS = 6, UNITS = 8 };

struct storm {
	atomic_int turns[WORKERS];
	atomic_int in_use; // weight of the units in use, as their users say
	bool named_again;  // each worker opens and closes for every turn
};

struct storm_worker {
	struct storm *storm;
	sem_t *inherited;
	int number;
};

static void work_for_ever(void *arg)
{
	const struct storm_worker *w = arg;
	unsigned random = (unsigned)getpid() * 2654435761u;
	sem_t *sem = w->inherited ? w->inherited : open_named();

	for (;;) {
		random = random * 1664525 + 1013904223;
		const unsigned units = (random >> 16) % 4 + 1;
		if (w->number & 1) {
			take(sem);
			if (random >> 30 == 0)
				sched_yield();
			CHECK_EQ(ph_sem_held(sem), 1);
			give(sem, 1);
		} else {
			take_units(sem, units);
			CHECK_EQ(ph_sem_held(sem), units);
			CHECK_OK(ph_sem_give(sem, units));
		}
		CHECK_EQ(ph_sem_held(sem), 0);
		atomic_fetch_add(&w->storm->turns[w->number], 1);
	}
}

// Kill one after another, whatever it does just then; the others go on.
static void run_storm(bool inherit, int kills)
{
	struct storm *storm = share(sizeof(*storm));
	struct storm_worker workers[WORKERS];
	pid_t pid[WORKERS];
	sem_t *sem = make_holders(UNITS);

	for (int i = 0; i < WORKERS; i++) {
		workers[i] = (struct storm_worker){storm, inherit ? sem : NULL, i};
		pid[i] = test_fork(work_for_ever, &workers[i]);
	}
	for (int i = 0; i < kills; i++) {
		const int victim = i % WORKERS;
		const int other = (i + 1) % WORKERS;
		wait_count(&storm->turns[other], atomic_load(&storm->turns[other]) + 3);
		wait_count(&storm->turns[victim], atomic_load(&storm->turns[victim]) + 1);
		test_kill(pid[victim]);
		pid[victim] = test_fork(work_for_ever, &workers[victim]);
	}
	for (int i = 0; i < WORKERS; i++)
		CHECK_OK(kill(pid[i], SIGKILL));
	for (int i = 0; i < WORKERS; i++)
		CHECK_EQ(waitpid(pid[i], NULL, 0), pid[i]);
	expect_units(sem, UNITS);
	CHECK_EQ(look()->value, UNITS);
	drop_named(sem);
}

TEST(units_are_conserved_while_holders_are_killed_at_full_speed)
{
	run_storm(false, 200 / SLOWER);
}

TEST(units_are_conserved_while_children_that_inherited_it_are_killed)
{
	run_storm(true, 200 / SLOWER);
}

// Exactly one at a time, over kills: what is written under the unit is never written by two.
struct guarded {
	atomic_int inside;
	atomic_int turns;
	atomic_int deaths;
};

static void go_in_and_out(void *arg)
{
	struct guarded *g = arg;
	sem_t *sem = open_flags(PH_SEM_OWNERDEAD);

	for (;;) {
		if (sem_wait(sem) == -1) {
			CHECK_EQ(errno, EOWNERDEAD);
			atomic_store(&g->inside, 0); // what the dead may have left half done
			atomic_fetch_add(&g->deaths, 1);
		}
		CHECK_EQ(atomic_fetch_add(&g->inside, 1), 0);
		atomic_fetch_add(&g->turns, 1);
		CHECK_EQ(atomic_fetch_sub(&g->inside, 1), 1);
		give(sem, 1);
	}
}

TEST(one_unit_excludes_over_kills_and_whoever_follows_the_dead_is_told)
{
	struct guarded *g = share(sizeof(*g));
	pid_t pid[4];

	CHECK_OK(sem_close(make_holders(1)));
	for (int i = 0; i < 4; i++)
		pid[i] = test_fork(go_in_and_out, g);
	for (int i = 0; i < 200 / SLOWER; i++) {
		wait_count(&g->turns, atomic_load(&g->turns) + 2);
		test_kill(pid[i % 4]);
		pid[i % 4] = test_fork(go_in_and_out, g);
	}
	for (int i = 0; i < 4; i++)
		test_kill(pid[i]);
	sem_t *sem = open_named();
	expect_units(sem, 1);
	drop_named(sem);
}

/* ---- as many as there may be ---- */

static void hold_and_wait(void *arg)
{
	take(open_named());
	atomic_fetch_add((atomic_int *)arg, 1);
	for (;;)
		pause();
}

static void be_one_too_many(void *arg)
{
	(void)arg;
	CHECK_NO_SEM(sem_open(test_name(), 0), ENOBUFS);
}

static void inherit_one_too_many(void *arg)
{
	CHECK_ERR(sem_wait(arg), ENOBUFS);
	CHECK_ERR(sem_trywait(arg), ENOBUFS);
	CHECK_EQ(units_of(arg), 5);
}

TEST(as_many_processes_as_there_may_be_and_no_more)
{
	enum { OTHERS = PH_SEM_HOLDERS_MAX - 1 };
	static pid_t pid[OTHERS];
	atomic_int *holding = share(sizeof(*holding));

	CHECK_OK(sem_close(make_holders(PH_SEM_HOLDERS_MAX + 5)));
	for (int i = 0; i < OTHERS; i++)
		pid[i] = test_fork(hold_and_wait, holding);
	wait_count(holding, OTHERS);
	sem_t *sem = open_named();
	take(sem);
	test_join(test_fork(inherit_one_too_many, sem));
	CHECK_EQ(units_of(sem), 5);
	CHECK_EQ(look()->held_count, PH_SEM_HOLDERS_MAX);
	give(sem, 1);
	CHECK_OK(sem_close(sem));
	test_kill(pid[0]);
	pid[0] = test_fork(hold_and_wait, holding);
	wait_count(holding, OTHERS + 1);
	pid_t last = test_fork(hold_and_wait, holding);
	wait_count(holding, OTHERS + 2);
	test_join(test_fork(be_one_too_many, NULL));
	for (int i = 0; i < OTHERS; i++)
		CHECK_OK(kill(pid[i], SIGKILL));
	for (int i = 0; i < OTHERS; i++)
		CHECK_EQ(waitpid(pid[i], NULL, 0), pid[i]);
	test_kill(last);
	sem = open_named();
	expect_units(sem, PH_SEM_HOLDERS_MAX + 5);
	drop_named(sem);
}

// SPDX-License-Identifier: MIT
//
// tests/sem/thread_posix_open.c - threads of one process that open, use, close and unlink at once: one
// address for one semaphore as long as anybody has it open, and every close counts once.
#include "sem.h"

#include <sched.h>

enum { THREADS = 6, ROUNDS = 500 / SLOWER };

static sem_t *kept;
static atomic_int turns;

static void run_threads(void *(*fn)(void *), int count)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < count; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, fn, NULL), 0);
	for (int i = 0; i < count; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

static void *open_use_close(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		sem_t *sem = open_named();
		CHECK(kept == NULL || sem == kept);
		take(sem);
		atomic_fetch_add(&turns, 1);
		give(sem, 1);
		CHECK_OK(sem_close(sem));
	}
	return arg;
}

TEST(threads_that_open_what_is_open_get_its_address)
{
	kept = make_named(1);
	run_threads(open_use_close, THREADS);
	CHECK_EQ(units_of(kept), 1);
	CHECK_EQ(atomic_load(&turns), THREADS * ROUNDS);
	drop_named(kept);
}

TEST(threads_may_open_and_close_the_last)
{
	CHECK_OK(sem_close(make_named(1)));
	run_threads(open_use_close, THREADS);
	kept = open_named();
	CHECK_EQ(units_of(kept), 1);
	drop_named(kept);
}

static void *make_use_unlink(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		sem_t *sem = sem_open(test_name(), O_CREAT, 0600, THREADS);
		CHECK(sem != SEM_FAILED);
		take(sem);
		give(sem, 1);
		if (sem_unlink(test_name()) == -1)
			CHECK_EQ(errno, ENOENT);
		CHECK_OK(sem_close(sem));
	}
	return arg;
}

TEST(threads_that_make_and_unlink_at_once_always_have_a_whole_one)
{
	run_threads(make_use_unlink, THREADS);
	if (sem_unlink(test_name()) == -1)
		CHECK_EQ(errno, ENOENT);
}

TEST(uses_of_one_go_on_while_others_come_and_go)
{
	char name[NAME_MAX];
	pthread_t user;

	kept = make_named(1);
	CHECK_EQ(pthread_create(&user, NULL, open_use_close, NULL), 0);
	for (int i = 0; i < ROUNDS; i++) {
		snprintf(name, sizeof(name), "%s-%d", test_name(), i % 7);
		sem_t *sem = make_named_of(name, 0, 3);
		CHECK_EQ(units_of(sem), 3);
		CHECK_OK(sem_unlink(name));
		CHECK_OK(sem_close(sem));
	}
	CHECK_EQ(pthread_join(user, NULL), 0);
	drop_named(kept);
}

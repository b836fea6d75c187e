// SPDX-License-Identifier: MIT
//
// tests/sem/extra_cxx.cc - the header in C++: it compiles, links as C, and the POSIX names map.
#include <posthaste/posix.h>

#include <cstring>
#include <fcntl.h>

#include "runner.h"

TEST(posix_names_work_in_cxx)
{
	sem_t sem;
	int value = -1;
	const struct timespec past = {0, 0};

	CHECK_OK(sem_init(&sem, 0, 2));
	CHECK_OK(sem_wait(&sem));
	CHECK_OK(sem_trywait(&sem));
	CHECK_ERR(sem_timedwait(&sem, &past), ETIMEDOUT);
	CHECK_ERR(sem_clockwait(&sem, CLOCK_MONOTONIC, &past), ETIMEDOUT);
	CHECK_OK(sem_post(&sem));
	CHECK_OK(sem_getvalue(&sem, &value));
	CHECK_EQ(value, 1);
	CHECK_OK(sem_destroy(&sem));
}

TEST(posix_names_can_be_taken_the_address_of_in_cxx)
{
	sem_t *(*open_it)(const char *, int, ...) = sem_open;
	int (*post)(sem_t *) = &sem_post;
	int (*wait)(sem_t *) = sem_wait;
	sem_t *sem = open_it(test_name(), O_CREAT | O_EXCL, 0600, 0u);

	CHECK(sem != SEM_FAILED);
	CHECK_OK(post(sem));
	CHECK_OK(wait(sem));
	CHECK_OK(sem_close(sem));
	CHECK_OK(sem_unlink(test_name()));
}

TEST(own_calls_work_in_cxx)
{
	static struct ph_sem_info info = {};
	const int flags = O_CREAT | O_EXCL | PH_SEM_HOLDERS | PH_SEM_OWNERDEAD;
	sem_t *sem = ph_sem_open(test_name(), flags, 0600, 4u);

	CHECK(sem != SEM_FAILED);
	CHECK_OK(ph_sem_take(sem, 3, CLOCK_MONOTONIC, nullptr));
	CHECK_EQ(ph_sem_held(sem), 3);
	CHECK_OK(ph_sem_info(test_name(), &info));
	CHECK_EQ(info.value, 1);
	CHECK_EQ(info.held_count, 1);
	CHECK_EQ(info.held[0].pid, getpid());
	CHECK_OK(ph_sem_give(sem, 3));
	CHECK_OK(ph_sem_close(sem));
	CHECK_OK(ph_sem_unlink(test_name()));
}

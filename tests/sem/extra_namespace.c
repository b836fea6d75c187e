// SPDX-License-Identifier: MIT
//
// tests/sem/extra_namespace.c - a semaphore and the pid namespaces of its users: thread numbers mean something
// in one of them only, so a second one is refused, and welcome when the first is gone.
#include "holders.h"

#include <sched.h>

// Run fn(arg) as the first process of a pid namespace of its own.
static void in_another_namespace(void (*fn)(void *), void *arg)
{
	if (unshare(CLONE_NEWPID) == -1)
		SKIP("cannot make a pid namespace");
	test_join(test_fork(fn, arg));
}

static void be_refused(void *arg)
{
	(void)arg;
	CHECK_NO_SEM(sem_open(test_name(), 0), EXDEV);
	CHECK_NO_SEM(sem_open(test_name(), O_CREAT, 0600, 1), EXDEV);
}

static void be_refused_elsewhere(void *arg)
{
	in_another_namespace(be_refused, arg);
}

static void use_it(void *arg)
{
	sem_t *sem = open_named();

	(void)arg;
	take(sem);
	give(sem, 2);
	CHECK_OK(sem_close(sem));
}

static void use_it_elsewhere(void *arg)
{
	in_another_namespace(use_it, arg);
}

TEST(with_holders_a_second_pid_namespace_is_exdev)
{
	sem_t *sem = make_holders(1);
	pid_t pid = test_fork(be_refused_elsewhere, NULL);

	// The child inherited it; who comes after it in the namespace does not.
	test_join(pid);
	CHECK_EQ(units_of(sem), 1);
	drop_named(sem);
}

TEST(pid_namespace_that_comes_later_may_use_it)
{
	CHECK_OK(sem_close(make_holders(1)));
	test_join(test_fork(use_it_elsewhere, NULL));
	sem_t *sem = open_named();
	expect_units(sem, 2);
	drop_named(sem);
}

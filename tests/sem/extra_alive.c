// SPDX-License-Identifier: MIT
//
// tests/sem/extra_alive.c - the units of who is not dead stay his: a holder that is stopped, whose thread ends, that forks;
// and what its child has is the child's own.
#include "holders.h"

#include <sched.h>
#include <sys/syscall.h>

static struct holder *make_holder(void)
{
	return share(sizeof(struct holder));
}

/* ---- who is not dead ---- */

static void expect_nothing_comes_back(sem_t *sem)
{
	const struct timespec soon = on_clock(CLOCK_MONOTONIC, 150);

	CHECK_ERR(sem_clockwait(sem, CLOCK_MONOTONIC, &soon), ETIMEDOUT);
	CHECK_ERR(sem_trywait(sem), EAGAIN);
}

TEST(stopped_holder_keeps_its_units_and_loses_them_when_it_is_killed)
{
	struct holder *h = make_holder();
	sem_t *sem = make_holders(2);
	struct taker t = {.units = 2};
	pid_t pid = start_holder(h, 2, BY_KILL);

	stop(pid);
	expect_nothing_comes_back(sem);
	pid_t sleeper = start_taker(&t);
	CHECK_OK(kill(pid, SIGCONT));
	expect_nothing_comes_back(sem);
	stop(pid);
	test_kill(pid);
	test_join(sleeper);
	drop_named(sem);
}

static void *take_one_unit(void *arg)
{
	take(arg);
	return NULL;
}

static void *open_and_take_one(void *arg)
{
	(void)arg;
	take(open_named());
	return NULL;
}

static void run_thread(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, fn, arg), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

struct threaded {
	atomic_int ready;
	bool opens; // the thread opens it, too
};

static void take_in_a_thread_that_ends(void *arg)
{
	struct threaded *threaded = arg;

	if (threaded->opens)
		run_thread(open_and_take_one, NULL);
	else
		run_thread(take_one_unit, open_named());
	atomic_store(&threaded->ready, 1);
	for (;;)
		pause();
}

static void outlive_the_thread(bool opens)
{
	struct threaded *threaded = share(sizeof(*threaded));
	sem_t *sem = make_holders(1);
	struct taker t = {.units = 1};

	threaded->opens = opens;
	pid_t pid = test_fork(take_in_a_thread_that_ends, threaded);
	wait_count(&threaded->ready, 1);
	expect_nothing_comes_back(sem);
	pid_t sleeper = start_taker(&t);
	expect_nothing_comes_back(sem);
	test_kill(pid);
	test_join(sleeper);
	drop_named(sem);
}

TEST(units_stay_when_the_thread_that_took_them_ends)
{
	outlive_the_thread(false);
}

TEST(units_stay_when_the_thread_that_opened_it_ends)
{
	outlive_the_thread(true);
}

static void *outlive_the_main_thread(void *arg)
{
	atomic_store((atomic_int *)arg, 1);
	pause();
	return arg;
}

static void take_and_end_the_main_thread(void *arg)
{
	pthread_t thread;

	take(open_named());
	CHECK_EQ(pthread_create(&thread, NULL, outlive_the_main_thread, arg), 0);
	pthread_exit(NULL);
}

TEST(units_stay_when_the_main_thread_ends)
{
	atomic_int *ready = share(sizeof(*ready));
	sem_t *sem = make_holders(1);
	struct taker t = {.units = 1};
	pid_t pid = test_fork(take_and_end_the_main_thread, ready);

	wait_count(ready, 1);
	expect_nothing_comes_back(sem);
	pid_t sleeper = start_taker(&t);
	test_kill(pid);
	test_join(sleeper);
	drop_named(sem);
}

/* ---- fork ---- */

static void hold_nothing(void *arg)
{
	CHECK_EQ(ph_sem_held(arg), 0);
}

static void close_what_was_inherited(void *arg)
{
	CHECK_OK(sem_close(arg));
}

static void take_and_end(void *arg)
{
	take(arg);
	CHECK_EQ(ph_sem_held(arg), 1);
}

static void post_a_new_one(void *arg)
{
	give(arg, 1);
	CHECK_EQ(ph_sem_held(arg), 0);
}

TEST(forked_child_holds_nothing_and_gives_nothing_back)
{
	sem_t *sem = make_holders(5);

	take_units(sem, 3);
	for (int i = 0; i < 5; i++) {
		test_join(test_fork(hold_nothing, sem));
		test_join(test_fork(close_what_was_inherited, sem));
		test_join(test_fork(take_and_end, sem));
		CHECK_EQ(ph_sem_held(sem), 3);
		take_units(sem, 2);
		CHECK_ERR(sem_trywait(sem), EAGAIN);
		CHECK_OK(ph_sem_give(sem, 2));
	}
	CHECK_EQ(ph_sem_held(sem), 3);
	CHECK_OK(ph_sem_give(sem, 3));
	expect_units(sem, 5);
	drop_named(sem);
}

TEST(what_a_forked_child_posts_without_holding_is_new)
{
	sem_t *sem = make_holders(2);

	take_units(sem, 2);
	test_join(test_fork(post_a_new_one, sem));
	CHECK_EQ(ph_sem_held(sem), 2);
	CHECK_EQ(units_of(sem), 1);
	drop_named(sem);
}

TEST(child_that_inherited_it_gives_back_its_own_when_killed)
{
	struct holder *h = make_holder();
	sem_t *sem = make_holders(6);
	struct taker t = {.inherited = sem, .units = 4};

	h->inherited = sem;
	take_units(sem, 2);
	pid_t pid = start_holder(h, 3, BY_KILL);
	CHECK_EQ(ph_sem_held(sem), 2);
	pid_t sleeper = start_taker(&t);
	test_kill(pid);
	test_join(sleeper);
	CHECK_EQ(ph_sem_held(sem), 2);
	CHECK_OK(ph_sem_give(sem, 2));
	expect_units(sem, 6);
	drop_named(sem);
}

// A holder's mark stands on its thread's list of robust locks. The child inherits the memory of that list, and
// not the mark.
static void lock_a_robust_mutex(void *arg)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t mutex;

	CHECK_EQ(pthread_mutexattr_init(&attr), 0);
	CHECK_EQ(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST), 0);
	CHECK_EQ(pthread_mutex_init(&mutex, &attr), 0);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(pthread_mutex_lock(&mutex), 0);
		if (i == 1)
			CHECK_OK(sem_close(arg));
		CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
	}
	CHECK_EQ(pthread_mutex_destroy(&mutex), 0);
}

TEST(child_of_a_holder_may_use_robust_mutexes)
{
	sem_t *sem = make_holders(2);

	take(sem);
	test_join(test_fork(lock_a_robust_mutex, sem));
	lock_a_robust_mutex(sem);
	sem = open_named();
	expect_units(sem, 2);
	drop_named(sem);
}

static void hold_and_leave_a_child(void *arg)
{
	struct holder *h = arg;
	sem_t *sem = open_named();

	take(sem);
	test_fork(be_holder, h);
	wait_count(&h->ready, 1);
	raise(SIGKILL);
}

// The child has the parent's memory, its descriptors and its mapping; the parent's units come back.
TEST(units_of_a_killed_parent_come_back_though_its_child_lives)
{
	struct holder *h = make_holder();
	sem_t *sem = make_holders(3);
	int status;

	h->inherited = NULL;
	h->units = 1;
	pid_t pid = test_fork(hold_and_leave_a_child, h);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
	take_units(sem, 2);
	CHECK_ERR(sem_trywait(sem), EAGAIN);
	drop_named(sem);
}

static void hold_and_leave_an_idle_child(void *arg)
{
	take(open_named());
	if (CHECK_OK(fork()) == 0) {
		atomic_store((atomic_int *)arg, 1);
		for (;;)
			pause();
	}
	wait_count(arg, 1);
	raise(SIGKILL);
}

TEST(units_of_a_killed_parent_come_back_though_its_child_never_used_it)
{
	atomic_int *ready = share(sizeof(*ready));
	sem_t *sem = make_holders(1);
	int status;

	pid_t pid = test_fork(hold_and_leave_an_idle_child, ready);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
	take(sem);
	drop_named(sem);
}

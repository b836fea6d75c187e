// SPDX-License-Identifier: MIT
//
// tests/sem/extra_info.c - what ph_sem_info shows from outside: units, holders, waiters, the dead, the maker.
#include "holders.h"

static unsigned held_by(pid_t pid)
{
	for (size_t i = 0; i < seen.held_count; i++)
		if (seen.held[i].pid == pid)
			return seen.held[i].units;
	return 0;
}

static const struct ph_sem_waiter *waiter(pid_t tid)
{
	for (size_t i = 0; i < seen.waiter_count; i++)
		if (seen.waiter[i].tid == tid)
			return &seen.waiter[i];
	return NULL;
}

TEST(info_of_a_fresh_one)
{
	const time_t before = time(NULL);
	sem_t *sem = make_named(7);
	const struct ph_sem_info *i = look();

	CHECK_EQ(i->value, 7);
	CHECK_EQ(i->holders, 0);
	CHECK_EQ(i->returned, 0);
	CHECK_EQ(i->last_dead, 0);
	CHECK_EQ(i->creator, getpid());
	CHECK(i->created_s >= before && i->created_s <= time(NULL));
	CHECK_EQ(i->held_count, 0);
	CHECK_EQ(i->waiter_count, 0);
	drop_named(sem);
}

TEST(info_follows_the_value)
{
	sem_t *sem = make_named(0);

	for (unsigned i = 0; i < 10; i++) {
		CHECK_EQ(look()->value, i);
		give(sem, 1);
	}
	take(sem);
	CHECK_EQ(look()->value, 9);
	drop_named(sem);
}

TEST(info_names_the_holders)
{
	struct holder *h = share(3 * sizeof(*h));
	sem_t *sem = make_holders(20);
	pid_t pid[3];

	for (unsigned i = 0; i < 3; i++)
		pid[i] = start_holder(&h[i], i + 2, BY_KILL);
	take(sem);
	const struct ph_sem_info *info = look();
	CHECK_EQ(info->holders, 1);
	CHECK_EQ(info->value, 20 - 2 - 3 - 4 - 1);
	CHECK_EQ(info->held_count, 4);
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(held_by(pid[i]), i + 2);
	CHECK_EQ(held_by(getpid()), 1);
	for (size_t i = 0; i < info->held_count; i++)
		CHECK_EQ(info->held[i].dead, 0);
	give(sem, 1);
	look();
	CHECK_EQ(held_by(getpid()), 0);
	for (int i = 0; i < 3; i++)
		test_kill(pid[i]);
	expect_units(sem, 20);
	drop_named(sem);
}

TEST(info_counts_what_came_back_and_names_the_last_of_the_dead)
{
	struct holder *h = share(sizeof(*h));
	sem_t *sem = make_holders(5);
	uint64_t returned = 0;

	for (unsigned i = 1; i <= 5; i++) {
		pid_t pid = start_holder(h, i, BY_KILL);
		test_kill(pid);
		expect_units(sem, 5);
		returned += i;
		CHECK_EQ(look()->returned, returned);
		CHECK_EQ(seen.last_dead, pid);
		CHECK_EQ(held_by(pid), 0);
		CHECK_EQ(seen.value, 5);
	}
	drop_named(sem);
}

// A look leaves no trace: it takes nothing back. It says what will come back as soon as anybody asks.
TEST(info_shows_the_dead_that_nobody_has_cleared_away)
{
	struct holder *h = share(sizeof(*h));
	sem_t *sem = make_holders(5);
	pid_t pid = start_holder(h, 3, BY_KILL);

	test_kill(pid);
	const struct ph_sem_info *info = look();
	CHECK_EQ(info->value + held_by(pid), 5);
	for (size_t i = 0; i < info->held_count; i++)
		CHECK_EQ(info->held[i].dead, info->held[i].pid == pid);
	expect_units(sem, 5);
	drop_named(sem);
}

static void expect_waiter(pid_t pid, pid_t tid, unsigned units, int64_t since_ns)
{
	const struct ph_sem_waiter *w = waiter(tid);
	const struct timespec now = on_clock(CLOCK_MONOTONIC, 0);

	CHECK(w != NULL);
	CHECK_EQ(w->pid, pid);
	CHECK_EQ(w->units, units);
	CHECK(w->since_ns >= since_ns);
	CHECK(w->since_ns <= (int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
}

static int64_t now_ns(void)
{
	const struct timespec now = on_clock(CLOCK_MONOTONIC, 0);

	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

TEST(info_names_the_waiters)
{
	const int64_t before = now_ns();
	sem_t *sem = make_holders(0);
	struct taker t = {.units = 4};
	struct worker w;
	pid_t pid = start_taker(&t);

	start_and_block(&w, work_wait, sem);
	CHECK_EQ(look()->waiter_count, 2);
	expect_waiter(pid, pid, 4, before);
	expect_waiter(getpid(), atomic_load(&w.tid), 1, before);
	give(sem, 1);
	expect_taken(&w);
	test_wait_asleep(pid);
	CHECK_EQ(look()->waiter_count, 1);
	CHECK_OK(ph_sem_give(sem, 4));
	test_join(pid);
	CHECK_EQ(look()->waiter_count, 0);
	drop_named(sem);
}

TEST(info_names_the_waiters_of_one_without_holders)
{
	const int64_t before = now_ns();
	sem_t *sem = make_named(0);
	pid_t pid[5];

	for (int i = 0; i < 5; i++) {
		pid[i] = fork_taker(sem);
		CHECK_EQ(look()->waiter_count, i + 1);
		expect_waiter(pid[i], pid[i], 1, before);
	}
	CHECK_EQ(seen.value, 0);
	test_kill(pid[0]);
	give(sem, 4);
	for (int i = 1; i < 5; i++)
		test_join(pid[i]);
	CHECK_EQ(look()->value, 0);
	drop_named(sem);
}

TEST(more_waiters_than_there_are_places_to_show_wait_all_the_same)
{
	enum { COUNT = 40 };
	sem_t *sem = make_named(0);
	pid_t pid[COUNT];

	for (int i = 0; i < COUNT; i++)
		pid[i] = fork_taker(sem);
	CHECK_EQ(look()->waiter_count, sizeof(seen.waiter) / sizeof(seen.waiter[0]));
	give(sem, COUNT);
	for (int i = 0; i < COUNT; i++)
		test_join(pid[i]);
	CHECK_EQ(units_of(sem), 0);
	drop_named(sem);
}

/* ---- from outside ---- */

static void look_and_leave_no_trace(void *arg)
{
	struct stat before;
	struct stat after;
	char path[512];

	(void)arg;
	snprintf(path, sizeof(path), "%s/sem.%s", getenv("POSTHASTE_DIR"), test_name() + 1);
	CHECK_OK(stat(path, &before));
	CHECK_EQ(look()->value, 3);
	CHECK_OK(stat(path, &after));
	CHECK_EQ(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	CHECK_EQ(before.st_size, after.st_size);
}

TEST(info_of_what_nobody_has_open_leaves_no_trace)
{
	CHECK_OK(sem_close(make_holders(3)));
	look_and_leave_no_trace(NULL);
	CHECK_OK(sem_unlink(test_name()));
}

static void look_as_nobody(void *arg)
{
	become_nobody();
	look_and_leave_no_trace(arg);
	CHECK_NO_SEM(sem_open(test_name(), 0), EACCES);
}

TEST(read_permission_is_enough_to_look)
{
	need_root();
	open_namespace_to_all();
	umask(0);
	sem_t *sem = sem_open(test_name(), O_CREAT | O_EXCL | PH_SEM_HOLDERS, 0644, 3);
	CHECK(sem != SEM_FAILED);
	test_join(test_fork(look_as_nobody, NULL));
	drop_named(sem);
}

static void be_refused(void *arg)
{
	(void)arg;
	become_nobody();
	CHECK_ERR(ph_sem_info(test_name(), &seen), EACCES);
}

TEST(info_without_read_permission_is_eacces)
{
	need_root();
	open_namespace_to_all();
	umask(0);
	sem_t *sem = sem_open(test_name(), O_CREAT | O_EXCL, 0622, 3);
	CHECK(sem != SEM_FAILED);
	test_join(test_fork(be_refused, NULL));
	drop_named(sem);
}

TEST(info_of_bad_names_is_as_open_says)
{
	char name[NAME_MAX + 3];

	memset(name, 'n', sizeof(name));
	name[0] = '/';
	name[NAME_MAX + 2] = 0;
	CHECK_ERR(ph_sem_info(test_name(), &seen), ENOENT);
	CHECK_ERR(ph_sem_info("/a/b", &seen), EINVAL);
	CHECK_ERR(ph_sem_info("", &seen), EINVAL);
	CHECK_ERR(ph_sem_info(name, &seen), ENAMETOOLONG);
}

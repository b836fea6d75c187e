// SPDX-License-Identifier: MIT
//
// tests/sem/posix_access.c - permission: mode and umask, and what another user may do. Root passes every
// check, so a child gives up its rights first; without root the tests that need that are skipped.
#include "sem.h"

static sem_t *make_with_mode(mode_t mode)
{
	sem_t *sem = sem_open(test_name(), O_CREAT | O_EXCL, mode, 1);

	CHECK(sem != SEM_FAILED);
	return sem;
}

static mode_t mode_of_file(void)
{
	struct stat st;
	char path[512];
#ifdef TEST_KERNEL
	const char *dir = "/dev/shm";
#else
	const char *dir = getenv("POSTHASTE_DIR");
#endif
	snprintf(path, sizeof(path), "%s/sem.%s", dir, test_name() + 1);
	CHECK_OK(stat(path, &st));
	return st.st_mode & 07777;
}

TEST(umask_takes_bits_away_from_the_mode)
{
	umask(027);
	sem_t *sem = make_with_mode(0666);
	CHECK_EQ(mode_of_file(), 0640);
	drop_named(sem);
	umask(0);
	sem = make_with_mode(0666);
	CHECK_EQ(mode_of_file(), 0666);
	drop_named(sem);
	sem = make_with_mode(0600);
	CHECK_EQ(mode_of_file(), 0600);
	drop_named(sem);
}

TEST(umask_of_the_process_is_left_alone)
{
	umask(013);
	sem_t *sem = make_with_mode(0666);

	CHECK_EQ(umask(022), 013);
	drop_named(sem);
}

static void every_open_is_refused(void *arg)
{
	(void)arg;
	become_nobody();
	CHECK_NO_SEM(sem_open(test_name(), 0), EACCES);
	CHECK_NO_SEM(sem_open(test_name(), O_CREAT, 0600, 1), EACCES);
	CHECK_NO_SEM(sem_open(test_name(), O_CREAT | O_EXCL, 0600, 1), EEXIST);
}

static void refuse_all_of_mode(mode_t mode, mode_t mask)
{
	need_root();
	open_namespace_to_all();
	umask(mask);
	sem_t *sem = make_with_mode(mode);
	test_join(test_fork(every_open_is_refused, NULL));
	CHECK_EQ(units_of(sem), 1);
	drop_named(sem);
}

TEST(semaphore_of_mode_0600_is_closed_to_another_user)
{
	refuse_all_of_mode(0600, 0);
}

TEST(semaphore_closed_by_umask_is_closed_to_another_user)
{
	refuse_all_of_mode(0666, 077);
}

TEST(one_bit_of_read_and_write_is_not_enough)
{
	refuse_all_of_mode(0644, 0);
}

TEST(the_other_bit_is_not_enough_either)
{
	refuse_all_of_mode(0622, 0);
}

static void answer_as_nobody(void *arg)
{
	(void)arg;
	become_nobody();
	sem_t *sem = open_named();
	take(sem);
	give(sem, 5);
	CHECK(sem_open(test_name(), O_CREAT, 0600, 1) == sem);
	CHECK_OK(sem_close(sem));
	CHECK_OK(sem_close(sem));
}

TEST(semaphore_of_mode_0666_is_open_to_another_user)
{
	need_root();
	open_namespace_to_all();
	umask(0);
	sem_t *sem = make_with_mode(0666);
	test_join(test_fork(answer_as_nobody, NULL));
	CHECK_EQ(units_of(sem), 5);
	drop_named(sem);
}

static void wait_as_nobody(void *arg)
{
	(void)arg;
	become_nobody();
	take(open_named());
}

TEST(wake_up_crosses_users)
{
	need_root();
	open_namespace_to_all();
	umask(0);
	sem_t *sem = make_with_mode(0666);
	take(sem);
	pid_t pid = test_fork(wait_as_nobody, NULL);
	test_wait_asleep(pid);
	give(sem, 1);
	test_join(pid);
	drop_named(sem);
}

static void use_after_giving_up_rights(void *arg)
{
	(void)arg;
	sem_t *sem = open_named();
	become_nobody();
	take(sem);
	give(sem, 3);
	CHECK_OK(sem_close(sem));
	CHECK_NO_SEM(sem_open(test_name(), 0), EACCES);
}

TEST(who_has_it_open_keeps_it_without_the_right)
{
	need_root();
	open_namespace_to_all();
	sem_t *sem = make_with_mode(0600);
	test_join(test_fork(use_after_giving_up_rights, NULL));
	CHECK_EQ(units_of(sem), 3);
	drop_named(sem);
}

static void open_as_group(void *arg)
{
	(void)arg;
	CHECK_OK(setresgid(0, 0, 0));
	CHECK_OK(setresuid(NOBODY, NOBODY, NOBODY));
	CHECK_OK(sem_close(open_named()));
}

static void refused_as_other(void *arg)
{
	(void)arg;
	become_nobody();
	CHECK_NO_SEM(sem_open(test_name(), 0), EACCES);
}

TEST(group_bits_count_for_the_group_only)
{
	need_root();
	open_namespace_to_all();
	umask(0);
	sem_t *sem = make_with_mode(0660);
	test_join(test_fork(open_as_group, NULL));
	test_join(test_fork(refused_as_other, NULL));
	drop_named(sem);
}

static void unlink_is_refused(void *arg)
{
	(void)arg;
	become_nobody();
	CHECK_ERR(sem_unlink(test_name()), EACCES);
}

TEST(unlink_of_another_users_is_eacces)
{
	need_root();
	open_namespace_to_all();
	umask(0);
	sem_t *sem = make_with_mode(0666);
	test_join(test_fork(unlink_is_refused, NULL));
	CHECK(sem_open(test_name(), 0) == sem);
	CHECK_OK(sem_close(sem));
	drop_named(sem);
}

static void make_as_nobody(void *arg)
{
	(void)arg;
	become_nobody();
	CHECK_OK(sem_close(make_with_mode(0600)));
}

TEST(root_may_open_and_remove_what_another_user_made)
{
	need_root();
	open_namespace_to_all();
	test_join(test_fork(make_as_nobody, NULL));
	// With O_CREAT too: fs.protected_regular must not stand in the way.
	sem_t *sem = sem_open(test_name(), O_CREAT, 0600, 1);
	CHECK(sem != SEM_FAILED);
	take(sem);
	give(sem, 1);
	drop_named(sem);
}

// SPDX-License-Identifier: MIT
//
// tests/sem/posix_open.c - named semaphores: flags, names, values, one address for each, and what a close and
// an unlink leave.
#include "numbers.h"
#include "sem.h"

/* ---- flags ---- */

TEST(open_of_a_missing_name_is_enoent)
{
	CHECK_NO_SEM(sem_open(test_name(), 0), ENOENT);
	CHECK_NO_SEM(sem_open(test_name(), O_EXCL), ENOENT);
}

TEST(create_makes_it_and_exclusive_create_refuses_what_is_there)
{
	sem_t *sem = sem_open(test_name(), O_CREAT, 0600, 3);

	CHECK(sem != SEM_FAILED);
	CHECK_EQ(units_of(sem), 3);
	CHECK_NO_SEM(sem_open(test_name(), O_CREAT | O_EXCL, 0600, 5), EEXIST);
	CHECK_EQ(units_of(sem), 3);
	drop_named(sem);
	drop_named(make_named(1));
}

TEST(create_of_what_is_there_leaves_value_and_mode)
{
	sem_t *sem = make_named(3);

	CHECK_OK(sem_close(sem));
	sem = sem_open(test_name(), O_CREAT, 0666, 77);
	CHECK(sem != SEM_FAILED);
	CHECK_EQ(units_of(sem), 3);
	drop_named(sem);
}

TEST(initial_value_may_be_anything_up_to_the_largest)
{
	const unsigned values[] = {0, 1, 2, 1000, SEM_VALUE_MAX};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		sem_t *sem = make_named(values[i]);
		CHECK_EQ(units_of(sem), values[i]);
		drop_named(sem);
	}
}

TEST(initial_value_beyond_the_largest_is_einval_and_makes_nothing)
{
	CHECK_NO_SEM(sem_open(test_name(), O_CREAT, 0600, (unsigned)SEM_VALUE_MAX + 1), EINVAL);
	CHECK_NO_SEM(sem_open(test_name(), O_CREAT | O_EXCL, 0600, UINT_MAX), EINVAL);
	CHECK_NO_SEM(sem_open(test_name(), 0), ENOENT);
}

TEST(post_of_a_named_one_at_the_largest_value_is_eoverflow)
{
	sem_t *sem = make_named(SEM_VALUE_MAX);

	CHECK_ERR(sem_post(sem), EOVERFLOW);
	take(sem);
	give(sem, 1);
	CHECK_ERR(sem_post(sem), EOVERFLOW);
	drop_named(sem);
}

/* ---- names ---- */

TEST(name_with_and_without_its_slash_is_the_same)
{
	sem_t *sem = make_named(3);
	sem_t *bare = sem_open(test_name() + 1, 0);

	CHECK(bare != SEM_FAILED);
	give(bare, 2);
	CHECK_EQ(units_of(sem), 5);
	CHECK_OK(sem_close(bare));
	CHECK_OK(sem_close(sem));
	CHECK_OK(sem_unlink(test_name() + 1));
	CHECK_ERR(sem_unlink(test_name()), ENOENT);
}

TEST(name_with_a_further_slash_or_none_at_all_is_einval)
{
	const char *const names[] = {"", "/", "/a/b", "a/b", "/a/", "/../a", "/./a"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		CHECK_NO_SEM(sem_open(names[i], O_CREAT, 0600, 1), EINVAL);
		CHECK_NO_SEM(sem_open(names[i], O_CREAT | O_EXCL, 0600, 1), EINVAL);
		CHECK_NO_SEM(sem_open(names[i], 0), EINVAL);
		CHECK_ERR(sem_unlink(names[i]), ENOENT);
	}
}

TEST(name_may_hold_any_byte_but_a_slash)
{
	char name[NAME_MAX];

	for (int byte = 1; byte < 256; byte++) {
		if (byte == '/')
			continue;
		snprintf(name, sizeof(name), "%s%c", test_name(), byte);
		sem_t *sem = make_named_of(name, 0, (unsigned)byte);
		CHECK_EQ(units_of(sem), byte);
		CHECK_OK(sem_close(sem));
		CHECK_OK(sem_unlink(name));
	}
}

TEST(name_of_dots_is_a_name)
{
	const char *const names[] = {"/.", "/..", "/...", "/.hidden"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		sem_t *sem = make_named_of(names[i], 0, 1);
		CHECK(sem_open(names[i], 0) == sem);
		CHECK_OK(sem_close(sem));
		CHECK_OK(sem_close(sem));
		CHECK_OK(sem_unlink(names[i]));
	}
}

// A name of so many bytes that belongs to this test.
static const char *long_name(size_t bytes)
{
	static char name[4096];

	CHECK(bytes + 2 < sizeof(name));
	memset(name, 'n', bytes + 1);
	memcpy(name, test_name(), strlen(test_name()));
	name[bytes + 1] = 0;
	return name;
}

// The C library needs four bytes of the file's name for itself.
TEST(name_of_251_bytes_is_a_name)
{
	sem_t *sem = make_named_of(long_name(251), 0, 6);

	CHECK(sem_open(long_name(251), 0) == sem);
	CHECK_EQ(units_of(sem), 6);
	CHECK_NO_SEM(sem_open(long_name(250), 0), ENOENT);
	CHECK_OK(sem_close(sem));
	CHECK_OK(sem_close(sem));
	CHECK_OK(sem_unlink(long_name(251)));
}

static void expect_too_long(size_t bytes, int opened, int unlinked)
{
	CHECK_NO_SEM(sem_open(long_name(bytes), O_CREAT, 0600, 1), opened);
	CHECK_NO_SEM(sem_open(long_name(bytes), 0), opened);
	CHECK_ERR(sem_unlink(long_name(bytes)), unlinked);
}

TEST(name_that_is_too_long_is_told)
{
#ifdef TEST_KERNEL
	expect_too_long(252, ENAMETOOLONG, ENAMETOOLONG);
	expect_too_long(NAME_MAX + 1, EINVAL, ENOENT);
#else
	for (size_t bytes = NAME_MAX + 1; bytes < 4000; bytes += 500)
		expect_too_long(bytes, ENAMETOOLONG, ENAMETOOLONG);
#endif
}

#ifndef TEST_KERNEL
TEST(name_of_name_max_bytes_is_a_name)
{
	for (size_t bytes = 252; bytes <= NAME_MAX; bytes++) {
		sem_t *sem = make_named_of(long_name(bytes), 0, 2);
		CHECK_EQ(units_of(sem), 2);
		CHECK_OK(sem_close(sem));
		CHECK_OK(sem_unlink(long_name(bytes)));
	}
}

TEST(long_names_that_differ_in_the_last_byte_are_two)
{
	char other[NAME_MAX + 2];
	sem_t *sem = make_named_of(long_name(NAME_MAX), 0, 1);

	strcpy(other, long_name(NAME_MAX));
	other[NAME_MAX] = 'm';
	sem_t *second = make_named_of(other, 0, 2);
	CHECK(second != sem);
	CHECK_EQ(units_of(sem), 1);
	CHECK_EQ(units_of(second), 2);
	CHECK_OK(sem_close(sem));
	CHECK_OK(sem_close(second));
	CHECK_OK(sem_unlink(other));
	CHECK_OK(sem_unlink(long_name(NAME_MAX)));
}
#endif

/* ---- one address, counted closes ---- */

TEST(opened_twice_it_has_one_address)
{
	sem_t *sem = make_named(1);

	for (int i = 0; i < 5; i++)
		CHECK(sem_open(test_name(), i & 1 ? O_CREAT : 0, 0600, 9) == sem);
	for (int i = 0; i < 5; i++) {
		CHECK_OK(sem_close(sem));
		CHECK_EQ(units_of(sem), 1);
	}
	drop_named(sem);
}

TEST(close_of_what_is_not_an_open_named_one_is_einval)
{
	sem_t *sem = make_named(1);
	sem_t unnamed;

	CHECK_OK(sem_init(&unnamed, 0, 1));
	CHECK_ERR(sem_close(&unnamed), EINVAL);
	CHECK_OK(sem_close(sem));
	CHECK_ERR(sem_close(sem), EINVAL);
	CHECK_OK(sem_unlink(test_name()));
	CHECK_EQ(units_of(&unnamed), 1);
	CHECK_OK(sem_destroy(&unnamed));
}

TEST(value_persists_when_all_have_closed_it)
{
	sem_t *sem = make_named(3);

	give(sem, 4);
	CHECK_OK(sem_close(sem));
	sem = open_named();
	CHECK_EQ(units_of(sem), 7);
	drop_named(sem);
}

static void make_and_take(void *arg)
{
	(void)arg;
	sem_t *sem = make_named(5);
	take(sem);
	take(sem);
}

TEST(value_persists_when_its_maker_has_ended)
{
	test_join(test_fork(make_and_take, NULL));
	sem_t *sem = open_named();
	CHECK_EQ(units_of(sem), 3);
	drop_named(sem);
}

TEST(two_names_are_two_semaphores)
{
	sem_t *one = make_named_of(test_name_of("one"), 0, 1);
	sem_t *two = make_named_of(test_name_of("two"), 0, 2);

	CHECK(one != two);
	give(one, 5);
	take(two);
	CHECK_EQ(units_of(one), 6);
	CHECK_EQ(units_of(two), 1);
	CHECK_OK(sem_close(one));
	CHECK_OK(sem_close(two));
	CHECK_OK(sem_unlink(test_name_of("one")));
	CHECK_OK(sem_unlink(test_name_of("two")));
}

TEST(hundreds_may_be_open_at_once)
{
	enum { COUNT = 300 };
	static sem_t *sems[COUNT];
	char name[NAME_MAX];

	for (unsigned i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "%s-%u", test_name(), i);
		sems[i] = make_named_of(name, 0, i);
	}
	for (unsigned i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "%s-%u", test_name(), i);
		CHECK(sem_open(name, 0) == sems[i]);
		CHECK_EQ(units_of(sems[i]), i);
		CHECK_OK(sem_unlink(name));
		CHECK_OK(sem_close(sems[i]));
		CHECK_OK(sem_close(sems[i]));
	}
}

TEST(address_may_be_used_again_after_the_last_close)
{
	for (unsigned i = 0; i < 500; i++) {
		sem_t *sem = make_named(i);
		CHECK_EQ(units_of(sem), i);
		give(sem, 1);
		drop_named(sem);
	}
}

/* ---- descriptors ---- */

TEST(semaphore_has_no_number_that_a_program_counts_on)
{
	const int next = next_number();

	CHECK_OK(close(STDIN_FILENO));
	sem_t *sem = make_named(1);

	CHECK_OK(sem_wait(sem));
	CHECK_EQ(open("/dev/null", O_RDONLY), STDIN_FILENO);
	expect_free_from(next);
	drop_named(sem);
}

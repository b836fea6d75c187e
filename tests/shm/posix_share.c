// SPDX-License-Identifier: MIT
//
// tests/shm/posix_share.c - what is shared: over names, descriptors, mappings, fork and exec; how long it lasts; and
// who may.
#include "object.h"

static int make(size_t size, mode_t mode)
{
	int fd = shm_open(test_name(), O_RDWR | O_CREAT | O_EXCL, mode);
	CHECK_OK(fd);
	CHECK_OK(ftruncate(fd, (off_t)size));
	return fd;
}

static uint8_t *map(int fd, size_t size, int prot)
{
	uint8_t *p = mmap(NULL, size, prot, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	return p;
}

static void drop(int fd)
{
	CHECK_OK(close(fd));
	CHECK_OK(shm_unlink(test_name()));
}

static void need_root(void)
{
	if (geteuid() != 0)
		SKIP("needs root to act as a second user");
}

static void let_everybody_into_the_namespace(void)
{
	const char *dir = getenv("POSTHASTE_DIR");
	CHECK_OK(chmod(dir, 0777));
}

static void write_by_name(void *arg)
{
	int fd = shm_open(test_name(), O_RDWR, 0);
	CHECK_OK(fd);
	uint8_t *p = map(fd, 4 * PAGE, PROT_READ | PROT_WRITE);
	check_pattern(p, 0, PAGE, 1);
	fill_pattern(p, PAGE, 4 * PAGE, *(unsigned *)arg);
	munmap(p, 4 * PAGE);
	close(fd);
}

TEST(another_process_sees_the_bytes_by_name)
{
	unsigned seed = 9;
	int fd = make(4 * PAGE, 0600);
	uint8_t *p = map(fd, 4 * PAGE, PROT_READ | PROT_WRITE);
	fill_pattern(p, 0, PAGE, 1);
	test_join(test_fork(write_by_name, &seed));
	check_pattern(p, 0, PAGE, 1);
	check_pattern(p, PAGE, 4 * PAGE, seed);
	munmap(p, 4 * PAGE);
	drop(fd);
}

static void write_inherited(void *p)
{
	fill_pattern(p, 0, PAGE, 3);
}

TEST(a_child_has_its_parents_mapping)
{
	int fd = make(PAGE, 0600);
	uint8_t *p = map(fd, PAGE, PROT_READ | PROT_WRITE);
	test_join(test_fork(write_inherited, p));
	check_pattern(p, 0, PAGE, 3);
	munmap(p, PAGE);
	drop(fd);
}

TEST(read_and_write_see_what_is_mapped)
{
	char text[6] = "";
	int fd = make(PAGE, 0600);
	uint8_t *p = map(fd, PAGE, PROT_READ | PROT_WRITE);
	CHECK_EQ(pwrite(fd, "hello", 5, 10), 5);
	CHECK(memcmp(p + 10, "hello", 5) == 0);
	memcpy(p + 100, "there", 5);
	CHECK_EQ(pread(fd, text, 5, 100), 5);
	CHECK(strcmp(text, "there") == 0);
	munmap(p, PAGE);
	drop(fd);
}

TEST(a_mapping_outlives_descriptor_and_name)
{
	int fd = make(2 * PAGE, 0600);
	uint8_t *p = map(fd, 2 * PAGE, PROT_READ | PROT_WRITE);
	drop(fd);
	fill_pattern(p, 0, 2 * PAGE, 4);
	test_join(test_fork(write_inherited, p));
	check_pattern(p, 0, PAGE, 3);
	check_pattern(p, PAGE, 2 * PAGE, 4);
	munmap(p, 2 * PAGE);
}

TEST(the_object_outlives_its_users)
{
	int fd = make(PAGE, 0600);
	uint8_t *p = map(fd, PAGE, PROT_READ | PROT_WRITE);
	fill_pattern(p, 0, PAGE, 5);
	munmap(p, PAGE);
	close(fd);
	fd = shm_open(test_name(), O_RDONLY, 0);
	CHECK_OK(fd);
	p = map(fd, PAGE, PROT_READ);
	check_pattern(p, 0, PAGE, 5);
	munmap(p, PAGE);
	drop(fd);
}

TEST(a_mapping_follows_growth_below_its_length)
{
	int fd = make(PAGE, 0600);
	uint8_t *p = map(fd, 4 * PAGE, PROT_READ | PROT_WRITE);
	CHECK_OK(ftruncate(fd, 4 * PAGE));
	check_zeros(p, 0, 4 * PAGE);
	fill_pattern(p, 0, 4 * PAGE, 6);
	munmap(p, 4 * PAGE);
	drop(fd);
}

static void touch_second_page(void *p)
{
	((volatile uint8_t *)p)[PAGE] = 1;
}

TEST(access_beyond_the_size_is_a_bus_error)
{
	int fd = make(PAGE, 0600);
	uint8_t *p = map(fd, 4 * PAGE, PROT_READ | PROT_WRITE);
	check_bus_error(touch_second_page, p);
	munmap(p, 4 * PAGE);
	drop(fd);
}

TEST(a_read_only_descriptor_cannot_be_mapped_writable)
{
	int fd = make(PAGE, 0600);
	int reader = shm_open(test_name(), O_RDONLY, 0);
	CHECK_OK(reader);
	CHECK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, reader, 0) == MAP_FAILED);
	CHECK_EQ(errno, EACCES);
	uint8_t *p = map(reader, PAGE, PROT_READ);
	munmap(p, PAGE);
	close(reader);
	drop(fd);
}

// ---- who may ----

static void open_as_nobody(void *arg)
{
	const int *expected = arg;
	become_nobody();
	const int flags[] = {O_RDONLY, O_RDWR, O_RDONLY | O_TRUNC, O_RDWR | O_CREAT};
	for (int i = 0; i < 4; i++) {
		int fd = shm_open(test_name(), flags[i], 0600);
		if (expected[i] != 0) {
			CHECK_EQ(fd, -1);
			CHECK_EQ(errno, expected[i]);
		} else {
			CHECK_OK(fd);
			close(fd);
		}
	}
}

static void check_as_nobody(mode_t mode, const int expected[4])
{
	need_root();
	let_everybody_into_the_namespace();
	int fd = make(PAGE, 0600);
	CHECK_OK(fchmod(fd, mode));
	test_join(test_fork(open_as_nobody, (void *)expected));
	drop(fd);
}

TEST(without_permission_open_is_eacces)
{
	check_as_nobody(0600, (const int[]){EACCES, EACCES, EACCES, EACCES});
}

TEST(with_permission_to_read_only_reading_opens)
{
	check_as_nobody(0644, (const int[]){0, EACCES, EACCES, EACCES});
}

TEST(with_permission_to_both_all_opens)
{
	check_as_nobody(0666, (const int[]){0, 0, 0, 0});
}

static void unlink_as_nobody(void *arg)
{
	(void)arg;
	become_nobody();
	CHECK_ERR(shm_unlink(test_name()), EACCES);
}

TEST(somebody_elses_name_cannot_be_unlinked)
{
	need_root();
	CHECK_OK(chmod(getenv("POSTHASTE_DIR"), 01777));
	int fd = make(PAGE, 0666);
	test_join(test_fork(unlink_as_nobody, NULL));
	drop(fd);
}

static void make_and_lock_out(void *arg)
{
	(void)arg;
	become_nobody();
	int fd = shm_open(test_name(), O_RDWR | O_CREAT | O_EXCL, 0);
	CHECK_OK(fd);
	CHECK_ERR(shm_open(test_name(), O_RDONLY, 0), EACCES);
	close(fd);
	CHECK_OK(shm_unlink(test_name()));
}

TEST(who_may_not_open_his_own_object_may_unlink_it)
{
	need_root();
	let_everybody_into_the_namespace();
	test_join(test_fork(make_and_lock_out, NULL));
}

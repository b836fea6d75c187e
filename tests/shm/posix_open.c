// SPDX-License-Identifier: MIT
//
// tests/shm/posix_open.c - shm_open and shm_unlink: names, flags, errors, what a descriptor is.
#include "object.h"

#include <limits.h>
#include <sys/resource.h>

static int open_ok(const char *name, int oflag, mode_t mode)
{
	int fd = shm_open(name, oflag, mode);
	CHECK_OK(fd);
	return fd;
}

static int make(void)
{
	return open_ok(test_name(), O_RDWR | O_CREAT | O_EXCL, 0600);
}

static void drop(int fd)
{
	CHECK_OK(close(fd));
	CHECK_OK(shm_unlink(test_name()));
}

static off_t size_of(int fd)
{
	struct stat st;
	CHECK_OK(fstat(fd, &st));
	return st.st_size;
}

// A name of `length` bytes, without the slash.
static const char *name_of_length(size_t length)
{
	static char name[NAME_MAX + 16];
	snprintf(name, sizeof(name), "%s-", test_name());
	for (size_t i = strlen(name); i <= length; i++)
		name[i] = 'n';
	name[length + 1] = '\0';
	return name;
}

TEST(a_new_object_has_no_bytes)
{
	int fd = make();
	CHECK_EQ(size_of(fd), 0);
	drop(fd);
}

TEST(a_new_object_is_a_regular_file_of_its_maker)
{
	struct stat st;
	int fd = make();
	CHECK_OK(fstat(fd, &st));
	CHECK(S_ISREG(st.st_mode));
	CHECK_EQ(st.st_uid, geteuid());
	CHECK_EQ(st.st_gid, getegid());
	CHECK_EQ(st.st_nlink, 1);
	drop(fd);
}

TEST(the_descriptor_is_the_lowest_free_one)
{
	int lowest = dup(0);
	CHECK_OK(lowest);
	close(lowest);
	int fd = make();
	CHECK_EQ(fd, lowest);
	drop(fd);
}

TEST(the_descriptor_is_closed_on_exec)
{
	int fd = make();
	CHECK_EQ(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	drop(fd);
}

TEST(the_access_mode_is_as_asked_for)
{
	int fd = make();
	int reader = open_ok(test_name(), O_RDONLY, 0);
	CHECK_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	CHECK_EQ(fcntl(reader, F_GETFL) & O_ACCMODE, O_RDONLY);
	close(reader);
	drop(fd);
}

TEST(new_bytes_are_zeros)
{
	int fd = make();
	CHECK_OK(ftruncate(fd, 3 * PAGE + 5));
	uint8_t *p = mmap(NULL, 3 * PAGE + 5, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	check_zeros(p, 0, 3 * PAGE + 5);
	munmap(p, 3 * PAGE + 5);
	drop(fd);
}

TEST(open_what_is_not_there_is_enoent)
{
	CHECK_ERR(shm_open(test_name(), O_RDWR, 0600), ENOENT);
	CHECK_ERR(shm_open(test_name(), O_RDONLY, 0600), ENOENT);
	CHECK_ERR(shm_open(test_name(), O_RDWR | O_TRUNC, 0600), ENOENT);
}

TEST(exclusive_create_of_what_is_there_is_eexist)
{
	int fd = make();
	CHECK_ERR(shm_open(test_name(), O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	drop(fd);
}

TEST(create_opens_what_is_there)
{
	int fd = make();
	CHECK_OK(ftruncate(fd, 100));
	int second = open_ok(test_name(), O_RDWR | O_CREAT, 0600);
	CHECK_EQ(size_of(second), 100);
	close(second);
	drop(fd);
}

TEST(create_read_only_makes_an_empty_object)
{
	int fd = open_ok(test_name(), O_RDONLY | O_CREAT | O_EXCL, 0600);
	CHECK_EQ(size_of(fd), 0);
	CHECK(ftruncate(fd, 10) == -1);
	drop(fd);
}

TEST(exclusive_without_create_opens)
{
	int fd = make();
	int second = open_ok(test_name(), O_RDWR | O_EXCL, 0600);
	close(second);
	drop(fd);
}

TEST(truncate_takes_all_bytes)
{
	int fd = make();
	CHECK_OK(ftruncate(fd, 2 * PAGE));
	CHECK_EQ(pwrite(fd, "hello", 5, 0), 5);
	int second = open_ok(test_name(), O_RDWR | O_TRUNC, 0);
	CHECK_EQ(size_of(fd), 0);
	CHECK_OK(ftruncate(second, PAGE));
	char c = 'x';
	CHECK_EQ(pread(fd, &c, 1, 0), 1);
	CHECK_EQ(c, 0);
	close(second);
	drop(fd);
}

TEST(create_with_truncate_takes_all_bytes)
{
	int fd = make();
	CHECK_OK(ftruncate(fd, PAGE));
	int second = open_ok(test_name(), O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK_EQ(size_of(second), 0);
	close(second);
	drop(fd);
}

TEST(leading_slashes_count_for_nothing)
{
	char bare[128], doubled[160];
	snprintf(bare, sizeof(bare), "%s", test_name() + 1);
	snprintf(doubled, sizeof(doubled), "//%s", bare);
	int fd = make();
	CHECK_OK(ftruncate(fd, 77));
	int same[] = {open_ok(bare, O_RDWR, 0), open_ok(doubled, O_RDWR, 0)};
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(size_of(same[i]), 77);
		close(same[i]);
	}
	close(fd);
	CHECK_OK(shm_unlink(bare));
	CHECK_ERR(shm_open(test_name(), O_RDWR, 0), ENOENT);
}

TEST(a_name_that_cannot_be_one_is_einval)
{
	const char *names[] = {"", "/", "//", "/a/b", "a/", "/.", "/..", "..", "/a//b"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		CHECK_ERR(shm_open(names[i], O_RDWR | O_CREAT, 0600), EINVAL);
		CHECK_ERR(shm_open(names[i], O_RDWR, 0), EINVAL);
	}
}

TEST(names_of_any_length_up_to_name_max_are_different_objects)
{
	for (size_t length = NAME_MAX - 8; length <= NAME_MAX; length++) {
		int fd = open_ok(name_of_length(length), O_RDWR | O_CREAT | O_EXCL, 0600);
		CHECK_OK(ftruncate(fd, (off_t)length));
		close(fd);
	}
	for (size_t length = NAME_MAX - 8; length <= NAME_MAX; length++) {
		int fd = open_ok(name_of_length(length), O_RDWR, 0);
		CHECK_EQ(size_of(fd), (off_t)length);
		close(fd);
		CHECK_OK(shm_unlink(name_of_length(length)));
	}
}

TEST(names_that_differ_in_the_last_byte_alone_are_different_objects)
{
	char name[NAME_MAX + 2];
	snprintf(name, sizeof(name), "%s", name_of_length(NAME_MAX));
	for (char c = 'a'; c < 'f'; c++) {
		name[NAME_MAX] = c;
		int fd = open_ok(name, O_RDWR | O_CREAT | O_EXCL, 0600);
		close(fd);
	}
	for (char c = 'a'; c < 'f'; c++) {
		name[NAME_MAX] = c;
		CHECK_OK(shm_unlink(name));
	}
}

TEST(a_longer_name_is_enametoolong)
{
	for (size_t length = NAME_MAX + 1; length < NAME_MAX + 4; length++) {
		CHECK_ERR(shm_open(name_of_length(length), O_RDWR | O_CREAT, 0600), ENAMETOOLONG);
		CHECK_ERR(shm_open(name_of_length(length), O_RDONLY, 0), ENAMETOOLONG);
		CHECK_ERR(shm_unlink(name_of_length(length)), ENAMETOOLONG);
	}
}

TEST(unlink_what_is_not_there_is_enoent)
{
	CHECK_ERR(shm_unlink(test_name()), ENOENT);
}

#ifdef __GLIBC__
TEST(unlink_a_name_that_cannot_be_one_is_enoent)
{
	const char *names[] = {"", "/", "/a/b", "a/"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		CHECK_ERR(shm_unlink(names[i]), ENOENT);
}
#endif

TEST(after_unlink_the_name_is_free)
{
	int fd = make();
	CHECK_OK(ftruncate(fd, PAGE));
	CHECK_OK(shm_unlink(test_name()));
	CHECK_ERR(shm_open(test_name(), O_RDWR, 0), ENOENT);
	int second = make();
	CHECK_EQ(size_of(second), 0);
	CHECK_EQ(size_of(fd), PAGE);
	close(fd);
	drop(second);
}

TEST(no_descriptor_left_is_emfile)
{
	struct rlimit old, none;
	CHECK_OK(getrlimit(RLIMIT_NOFILE, &old));
	none = (struct rlimit){0, old.rlim_max};
	CHECK_OK(setrlimit(RLIMIT_NOFILE, &none));
	CHECK_ERR(shm_open(test_name(), O_RDWR | O_CREAT, 0600), EMFILE);
	CHECK_OK(setrlimit(RLIMIT_NOFILE, &old));
	CHECK_ERR(shm_open(test_name(), O_RDWR, 0600), ENOENT);
}

TEST(the_umask_takes_bits_away)
{
	struct stat st;
	mode_t old = umask(027);
	int fd = open_ok(test_name(), O_RDWR | O_CREAT | O_EXCL, 0666);
	umask(old);
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_mode & 0777, 0640);
	drop(fd);
}

TEST(the_mode_does_not_bind_who_creates)
{
	int fd = open_ok(test_name(), O_RDWR | O_CREAT | O_EXCL, 0);
	CHECK_OK(ftruncate(fd, PAGE));
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	munmap(p, PAGE);
	drop(fd);
}

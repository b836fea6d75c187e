// SPDX-License-Identifier: MIT
//
// tests/shm/extra_map.c - ph_shm_map and ph_shm_unmap: made or found, whole, zeroed, reserved; flags and errors.
#include <posthaste/posthaste.h>

#include "object.h"

#include <pthread.h>
#include <sys/resource.h>

enum { FRESH = PH_SHM_CREATE | PH_SHM_EXCL };

static uint8_t *map(size_t size, int flags, size_t reach)
{
	uint8_t *p = ph_shm_map(test_name(), size, flags, 0600, reach);
	CHECK(p != NULL);
	return p;
}

static void drop(void *p)
{
	CHECK_OK(ph_shm_unmap(p));
	CHECK_OK(ph_shm_unlink(test_name()));
}

#define CHECK_NULL(call, err) (CHECK((call) == NULL), CHECK_EQ(errno, err))

static struct stat stat_of(const void *p)
{
	struct stat st;
	CHECK_OK(fstat(ph_shm_fd(p), &st));
	return st;
}

TEST(a_new_object_is_zeros_and_has_its_memory)
{
	const size_t sizes[] = {1, 100, PAGE, PAGE + 1, 64 * PAGE, 3 << 20};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		uint8_t *p = map(sizes[i], FRESH, 0);
		struct stat st = stat_of(p);
		CHECK_EQ((uintptr_t)p % PAGE, 0);
		CHECK_EQ(st.st_size, sizes[i]);
		CHECK((size_t)st.st_blocks * 512 >= sizes[i]);
		CHECK_EQ(ph_shm_size(p), sizes[i]);
		check_zeros(p, 0, sizes[i]);
		fill_pattern(p, 0, sizes[i], 1);
		drop(p);
	}
}

TEST(two_mappings_are_one_object)
{
	uint8_t *a = map(2 * PAGE, FRESH, 0);
	uint8_t *b = map(0, 0, 0);
	CHECK(a != b);
	CHECK_EQ(ph_shm_size(b), 2 * PAGE);
	fill_pattern(a, 0, 2 * PAGE, 1);
	check_pattern(b, 0, 2 * PAGE, 1);
	CHECK_OK(ph_shm_unmap(b));
	check_pattern(a, 0, 2 * PAGE, 1);
	drop(a);
}

TEST(what_shm_open_made_is_mapped_and_gets_its_memory)
{
	int fd = ph_shm_open(test_name(), O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK_OK(fd);
	CHECK_OK(ftruncate(fd, 8 * PAGE));
	CHECK_EQ(pwrite(fd, "hello", 5, 3 * PAGE), 5);
	uint8_t *p = map(0, 0, 0);
	CHECK(memcmp(p + 3 * PAGE, "hello", 5) == 0);
	CHECK_EQ(stat_of(p).st_blocks * 512, 8 * PAGE);
	close(fd);
	drop(p);
}

TEST(what_map_made_is_opened_by_shm_open)
{
	char text[6] = "";
	uint8_t *p = map(PAGE, FRESH, 0);
	memcpy(p, "hello", 5);
	int fd = ph_shm_open(test_name(), O_RDONLY, 0);
	CHECK_OK(fd);
	CHECK_EQ(pread(fd, text, 5, 0), 5);
	CHECK(strcmp(text, "hello") == 0);
	close(fd);
	drop(p);
}

TEST(a_smaller_object_grows_and_a_larger_one_stays)
{
	uint8_t *p = map(PAGE, FRESH, 0);
	fill_pattern(p, 0, PAGE, 2);
	uint8_t *larger = map(3 * PAGE, PH_SHM_CREATE, 0);
	CHECK_EQ(ph_shm_size(larger), 3 * PAGE);
	check_pattern(larger, 0, PAGE, 2);
	check_zeros(larger, PAGE, 3 * PAGE);
	uint8_t *smaller = map(10, 0, 0);
	CHECK_EQ(ph_shm_size(smaller), 3 * PAGE);
	check_pattern(smaller, 0, PAGE, 2);
	CHECK_OK(ph_shm_unmap(larger));
	CHECK_OK(ph_shm_unmap(smaller));
	drop(p);
}

TEST(truncate_zeroes_and_never_cuts)
{
	uint8_t *p = map(3 * PAGE, FRESH, 0);
	fill_pattern(p, 0, 3 * PAGE, 3);
	struct stat before = stat_of(p);
	uint8_t *q = map(PAGE, PH_SHM_TRUNC, 0);
	struct stat after = stat_of(p);
	check_zeros(p, 0, 3 * PAGE);
	CHECK_EQ(after.st_size, before.st_size);
	CHECK_EQ(after.st_blocks, before.st_blocks);
	CHECK_EQ(after.st_ino, before.st_ino);
	CHECK_OK(ph_shm_unmap(q));
	drop(p);
}

TEST(errors_of_names_and_flags)
{
	uint8_t *p = map(PAGE, FRESH, 0);
	const char *n = test_name();
	CHECK_NULL(ph_shm_map(n, PAGE, FRESH, 0600, 0), EEXIST);
	CHECK_NULL(ph_shm_map(n, PAGE, PH_SHM_EXCL, 0600, 0), EINVAL);
	CHECK_NULL(ph_shm_map(n, PAGE, PH_SHM_RECLAIM, 0600, 0), EINVAL);
	CHECK_NULL(ph_shm_map(n, PAGE, PH_SHM_TRUNC | PH_SHM_RDONLY, 0600, 0), EINVAL);
	CHECK_NULL(ph_shm_map(n, PAGE, 0x4000, 0600, 0), EINVAL);
	CHECK_NULL(ph_shm_map(n, 2 * PAGE, PH_SHM_RDONLY, 0600, 0), EINVAL);
	CHECK_NULL(ph_shm_map("/a/b", PAGE, PH_SHM_CREATE, 0600, 0), EINVAL);
	CHECK_NULL(ph_shm_map("", PAGE, PH_SHM_CREATE, 0600, 0), EINVAL);
	CHECK_NULL(ph_shm_map("/..", PAGE, PH_SHM_CREATE, 0600, 0), EINVAL);
	CHECK_NULL(ph_shm_map(test_name_of("new"), 0, PH_SHM_CREATE, 0600, 0), EINVAL);
	CHECK_NULL(ph_shm_map(test_name_of("new"), 0, PH_SHM_CREATE, 0600, PAGE), EINVAL);
	CHECK_NULL(ph_shm_map(test_name_of("new"), PAGE, 0, 0600, 0), ENOENT);
	CHECK_NULL(ph_shm_map(NULL, 0, 0, 0600, PAGE), EINVAL);
	CHECK_EQ(ph_shm_size(p), PAGE);
	drop(p);
}

TEST(errors_of_addresses)
{
	uint8_t *p = map(2 * PAGE, FRESH, 0);
	struct ph_shm_info info;
	CHECK_ERR(ph_shm_unmap(NULL), EINVAL);
	CHECK_ERR(ph_shm_unmap(p + PAGE), EINVAL);
	CHECK_ERR(ph_shm_unmap(&info), EINVAL);
	CHECK_ERR(ph_shm_grow(&info, 1), EINVAL);
	CHECK_ERR(ph_shm_fd(&info), EINVAL);
	CHECK_ERR(ph_shm_seal(&info, 0), EINVAL);
	CHECK_ERR(ph_shm_info(&info, &info), EINVAL);
	errno = 0;
	CHECK_EQ(ph_shm_size(p + 1), 0);
	CHECK_EQ(errno, EINVAL);
	drop(p);
	CHECK_ERR(ph_shm_unmap(p), EINVAL);
}

TEST(an_empty_object_is_mapped_for_what_it_may_become)
{
	int fd = ph_shm_open(test_name(), O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK_OK(fd);
	CHECK_NULL(ph_shm_map(test_name(), 0, 0, 0, 0), EINVAL);
	uint8_t *p = map(0, 0, 2 * PAGE);
	CHECK_EQ(ph_shm_size(p), 0);
	CHECK_OK(ph_shm_grow(p, 2 * PAGE));
	fill_pattern(p, 0, 2 * PAGE, 1);
	close(fd);
	drop(p);
}

TEST(what_is_no_regular_file_is_ebadmsg)
{
	CHECK_OK(mkdir(path_of("dir"), 0700));
	CHECK_OK(mkfifo(path_of("fifo"), 0600));
	CHECK_OK(symlink("/etc/passwd", path_of("link")));
	CHECK_NULL(ph_shm_map("dir", PAGE, 0, 0, 0), EBADMSG);
	CHECK_NULL(ph_shm_map("dir", PAGE, PH_SHM_CREATE, 0600, 0), EBADMSG);
	CHECK_NULL(ph_shm_map("fifo", PAGE, 0, 0, 0), EBADMSG);
	CHECK_NULL(ph_shm_map("fifo", PAGE, PH_SHM_RDONLY, 0, 0), EBADMSG);
	CHECK_NULL(ph_shm_map("link", PAGE, 0, 0, 0), ELOOP);
	CHECK_NULL(ph_shm_map("link", PAGE, PH_SHM_CREATE, 0600, 0), ELOOP);
	CHECK_ERR(ph_shm_open("dir", O_RDWR, 0), EINVAL);
	CHECK_ERR(ph_shm_open("fifo", O_RDWR, 0), EINVAL);
	CHECK_ERR(ph_shm_open("link", O_RDWR, 0), ELOOP);
	CHECK_OK(rmdir(path_of("dir")));
	CHECK_OK(unlink(path_of("fifo")));
	CHECK_OK(unlink(path_of("link")));
}

TEST(mode_less_umask_is_the_objects)
{
	mode_t old = umask(022);
	uint8_t *p = ph_shm_map(test_name(), PAGE, FRESH, 0666, 0);
	CHECK(p != NULL);
	umask(old);
	CHECK_EQ(stat_of(p).st_mode & 07777, 0644);
	drop(p);
}

static void write_first(void *p)
{
	*(volatile uint8_t *)p = 1;
}

static void check_fault_on_write(void *p)
{
	pid_t pid = fork();
	CHECK_OK(pid);
	if (pid == 0) {
		write_first(p);
		_exit(0);
	}
	int status;
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(!WIFEXITED(status) || WEXITSTATUS(status) != 0); // a sanitizer exits
}

TEST(a_view_cannot_be_written)
{
	uint8_t *p = map(PAGE, FRESH, 0);
	fill_pattern(p, 0, PAGE, 4);
	uint8_t *view = map(0, PH_SHM_RDONLY, 0);
	check_pattern(view, 0, PAGE, 4);
	check_fault_on_write(view);
	CHECK_ERR(ph_shm_grow(view, PAGE), EACCES);
	CHECK_EQ(mprotect(view, PAGE, PROT_READ | PROT_WRITE), -1);
	CHECK_OK(ph_shm_unmap(view));
	drop(p);
}

TEST(a_new_object_may_be_begun_by_a_view)
{
	uint8_t *view = map(PAGE, FRESH | PH_SHM_RDONLY, 0);
	uint8_t *p = map(0, 0, 0);
	check_zeros(view, 0, PAGE);
	fill_pattern(p, 0, PAGE, 5);
	check_pattern(view, 0, PAGE, 5);
	CHECK_EQ(fcntl(ph_shm_fd(view), F_GETFL) & O_ACCMODE, O_RDONLY);
	CHECK_OK(ph_shm_unmap(view));
	drop(p);
}

static void use_as_nobody(void *arg)
{
	(void)arg;
	become_nobody();
	CHECK_NULL(ph_shm_map(test_name(), 0, 0, 0, 0), EACCES);
	uint8_t *view = map(0, PH_SHM_RDONLY, 0);
	check_pattern(view, 0, PAGE, 6);
	CHECK_OK(ph_shm_unmap(view));
	CHECK_NULL(ph_shm_map("/other", PAGE, PH_SHM_CREATE, 0600, 0), EACCES);
}

TEST(read_permission_is_enough_for_a_view)
{
	if (geteuid() != 0)
		SKIP("needs root to act as a second user");
	CHECK_OK(chmod(getenv("POSTHASTE_DIR"), 0755));
	uint8_t *p = map(PAGE, FRESH, 0);
	fill_pattern(p, 0, PAGE, 6);
	CHECK_OK(chmod(path_of(test_name()), 0644));
	test_join(test_fork(use_as_nobody, NULL));
	drop(p);
}

static void nothing_without_permission(void *arg)
{
	(void)arg;
	become_nobody();
	struct ph_shm_info info;
	CHECK_NULL(ph_shm_map(test_name(), 0, PH_SHM_RDONLY, 0, 0), EACCES);
	CHECK_ERR(ph_shm_look(test_name(), &info), EACCES);
}

TEST(no_permission_is_eacces)
{
	if (geteuid() != 0)
		SKIP("needs root to act as a second user");
	CHECK_OK(chmod(getenv("POSTHASTE_DIR"), 0755));
	uint8_t *p = map(PAGE, FRESH, 0);
	test_join(test_fork(nothing_without_permission, NULL));
	drop(p);
}

TEST(the_descriptor_is_closed_on_exec_and_with_the_mapping)
{
	uint8_t *p = map(PAGE, FRESH, 0);
	int fd = ph_shm_fd(p);
	CHECK_EQ(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	drop(p);
	CHECK_ERR(fcntl(fd, F_GETFD), EBADF);
}

TEST(no_descriptor_left_is_emfile_and_makes_nothing)
{
	struct rlimit old, none;
	CHECK_OK(getrlimit(RLIMIT_NOFILE, &old));
	for (rlim_t most = 0; most < 5; most++) {
		none = (struct rlimit){most, old.rlim_max};
		CHECK_OK(setrlimit(RLIMIT_NOFILE, &none));
		uint8_t *p = ph_shm_map(test_name(), PAGE, FRESH, 0600, 0);
		int err = errno;
		CHECK_OK(setrlimit(RLIMIT_NOFILE, &old));
		CHECK(p != NULL || err == EMFILE);
		if (p != NULL)
			drop(p);
		CHECK_EQ(count_names(), 0);
	}
}

TEST(many_mappings_are_each_found)
{
	enum { MANY = 600 };
	static uint8_t *p[MANY];
	for (int i = 0; i < MANY; i++) {
		p[i] = ph_shm_map(test_name(), PAGE * (size_t)(i % 7 + 1), PH_SHM_CREATE, 0600, 0);
		CHECK(p[i] != NULL);
	}
	for (int i = 0; i < MANY; i++)
		CHECK(ph_shm_size(p[i]) >= PAGE * (size_t)(i % 7 + 1));
	for (int i = 0; i < MANY; i++)
		CHECK_OK(ph_shm_unmap(p[i * 7 % MANY == 0 || MANY % 7 ? i * 7 % MANY : i]));
	CHECK_OK(ph_shm_unlink(test_name()));
}

static void use_inherited(void *p)
{
	check_pattern(p, 0, PAGE, 7);
	CHECK_EQ(ph_shm_size(p), PAGE);
	CHECK_OK(ph_shm_grow(p, 3 * PAGE));
	fill_pattern(p, PAGE, 3 * PAGE, 8);
	CHECK_OK(ph_shm_unmap(p));
}

TEST(a_child_may_use_and_unmap_what_it_inherits)
{
	uint8_t *p = map(PAGE, FRESH, 4 * PAGE);
	fill_pattern(p, 0, PAGE, 7);
	test_join(test_fork(use_inherited, p));
	CHECK_EQ(ph_shm_size(p), 3 * PAGE);
	check_pattern(p, PAGE, 3 * PAGE, 8);
	drop(p);
}

static void *map_all_the_time(void *arg)
{
	const volatile int *stop = arg;
	while (!*stop) {
		uint8_t *p = ph_shm_map(NULL, PAGE, 0, 0, 0);
		CHECK(p != NULL);
		CHECK_OK(ph_shm_unmap(p));
	}
	return NULL;
}

static void map_once(void *arg)
{
	(void)arg;
	uint8_t *p = ph_shm_map(NULL, PAGE, 0, 0, 0);
	CHECK(p != NULL);
	CHECK_OK(ph_shm_unmap(p));
}

TEST(fork_beside_threads_that_map_leaves_no_lock_locked)
{
	volatile int stop = 0;
	pthread_t threads[2];
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, map_all_the_time, (void *)&stop), 0);
	for (int i = 0; i < 200; i++)
		test_join(test_fork(map_once, NULL));
	stop = 1;
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

TEST(huge_pages_are_used_as_far_as_there_are_any)
{
	enum { HUGE = 2 << 20 };
	struct ph_shm_info info;
	uint8_t *p = map(2 * HUGE + PAGE, FRESH | PH_SHM_HUGE, 4 * HUGE);
	CHECK_EQ((uintptr_t)p % HUGE, 0);
	CHECK_EQ(ph_shm_size(p), 2 * HUGE + PAGE);
	check_zeros(p, 0, 2 * HUGE + PAGE);
	CHECK_OK(ph_shm_info(p, &info));
	CHECK_EQ(info.huge % HUGE, 0);
	CHECK(info.huge <= 2 * HUGE);
	fill_pattern(p, 0, HUGE, 1);
	uint8_t *q = map(0, PH_SHM_HUGE, 0);
	check_pattern(q, 0, HUGE, 1);
	CHECK_OK(ph_shm_grow(p, 4 * HUGE));
	check_zeros(p, 2 * HUGE, 4 * HUGE);
	CHECK_OK(ph_shm_unmap(q));
	drop(p);
}

TEST(a_small_object_with_huge_pages_is_just_aligned)
{
	uint8_t *p = map(100, FRESH | PH_SHM_HUGE, 0);
	CHECK_EQ((uintptr_t)p % (2 << 20), 0);
	fill_pattern(p, 0, 100, 1);
	drop(p);
}

TEST(a_view_with_huge_pages_is_a_view)
{
	uint8_t *p = map(2 << 20, FRESH | PH_SHM_HUGE | PH_SHM_RDONLY, 0);
	check_zeros(p, 0, 2 << 20);
	check_fault_on_write(p);
	drop(p);
}

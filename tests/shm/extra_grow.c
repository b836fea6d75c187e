// SPDX-License-Identifier: MIT
//
// tests/shm/extra_grow.c - growth: seen by peers at once, never undone, the largest wins; and memory that is short.
#include <posthaste/posthaste.h>

#include "object.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/time.h>

enum { FRESH = PH_SHM_CREATE | PH_SHM_EXCL, REACH = 256 * PAGE };

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

TEST(new_bytes_are_zeros_and_old_ones_stay)
{
	uint8_t *p = map(PAGE, FRESH, REACH);
	struct stat st;
	fill_pattern(p, 0, PAGE, 1);
	CHECK_OK(ph_shm_grow(p, 10 * PAGE + 7));
	CHECK_EQ(ph_shm_size(p), 10 * PAGE + 7);
	check_pattern(p, 0, PAGE, 1);
	check_zeros(p, PAGE, 10 * PAGE + 7);
	CHECK_OK(fstat(ph_shm_fd(p), &st));
	CHECK_EQ(st.st_size, 10 * PAGE + 7);
	CHECK(st.st_blocks * 512 >= 10 * PAGE + 7);
	drop(p);
}

TEST(a_smaller_size_changes_nothing)
{
	uint8_t *p = map(5 * PAGE, FRESH, REACH);
	fill_pattern(p, 0, 5 * PAGE, 1);
	CHECK_OK(ph_shm_grow(p, PAGE));
	CHECK_OK(ph_shm_grow(p, 0));
	CHECK_OK(ph_shm_grow(p, 5 * PAGE));
	CHECK_EQ(ph_shm_size(p), 5 * PAGE);
	check_pattern(p, 0, 5 * PAGE, 1);
	drop(p);
}

TEST(growth_beyond_the_reach_is_einval)
{
	uint8_t *p = map(PAGE, FRESH, 4 * PAGE);
	CHECK_ERR(ph_shm_grow(p, 4 * PAGE + 1), EINVAL);
	CHECK_EQ(ph_shm_size(p), PAGE);
	CHECK_OK(ph_shm_grow(p, 4 * PAGE));
	uint8_t *fixed = map(0, 0, 0);
	CHECK_ERR(ph_shm_grow(fixed, 5 * PAGE), EINVAL);
	CHECK_OK(ph_shm_unmap(fixed));
	drop(p);
}

TEST(the_size_told_is_what_the_mapping_reaches)
{
	uint8_t *fixed = map(PAGE, FRESH, 0);
	uint8_t *p = map(0, 0, REACH);
	CHECK_OK(ph_shm_grow(p, 8 * PAGE));
	CHECK_EQ(ph_shm_size(p), 8 * PAGE);
	CHECK_EQ(ph_shm_size(fixed), PAGE);
	CHECK_OK(ph_shm_unmap(fixed));
	drop(p);
}

static void touch_behind(void *p)
{
	((volatile uint8_t *)p)[ph_shm_size(p)] = 1;
}

TEST(access_beyond_the_size_is_a_bus_error)
{
	uint8_t *p = map(PAGE, FRESH, REACH);
	check_bus_error(touch_behind, p);
	CHECK_OK(ph_shm_grow(p, 3 * PAGE));
	check_bus_error(touch_behind, p);
	((volatile uint8_t *)p)[3 * PAGE - 1] = 1;
	drop(p);
}

// One grows page by page and writes, the others access what is there as soon as it is told, without any call.
struct told {
	uint32_t pages;
	uint32_t followers;
};

static void follow(void *arg)
{
	volatile struct told *told = arg;
	uint8_t *p = map(0, 0, REACH);
	__atomic_fetch_add(&told->followers, 1, __ATOMIC_SEQ_CST);
	for (uint32_t seen = 1; seen < REACH / PAGE;) {
		uint32_t pages = __atomic_load_n(&told->pages, __ATOMIC_ACQUIRE);
		for (; seen < pages; seen++)
			check_pattern(p, seen * PAGE, (seen + 1) * PAGE, 3);
		sched_yield();
	}
	CHECK_EQ(ph_shm_size(p), REACH);
	CHECK_OK(ph_shm_unmap(p));
}

static bool both_follow(void *arg)
{
	return __atomic_load_n(&((struct told *)arg)->followers, __ATOMIC_SEQ_CST) == 2;
}

TEST(peers_access_what_is_added_while_it_is_added)
{
	uint8_t *p = map(PAGE, FRESH, REACH);
	struct told *told = (struct told *)p;
	pid_t peers[] = {test_fork(follow, told), test_fork(follow, told)};
	test_wait_until(both_follow, told);
	for (uint32_t pages = 2; pages <= REACH / PAGE; pages++) {
		CHECK_OK(ph_shm_grow(p, pages * PAGE));
		fill_pattern(p, (pages - 1) * PAGE, pages * PAGE, 3);
		__atomic_store_n(&told->pages, pages, __ATOMIC_RELEASE);
	}
	test_join(peers[0]);
	test_join(peers[1]);
	drop(p);
}

static void grow_in_steps(void *arg)
{
	size_t step = *(size_t *)arg;
	uint8_t *p = map(0, 0, REACH);
	for (size_t size = step; size <= REACH; size += step) {
		CHECK_OK(ph_shm_grow(p, size));
		size_t now = ph_shm_size(p);
		CHECK(now >= size);
		((volatile uint8_t *)p)[size - 1] = 1;
	}
	CHECK_OK(ph_shm_unmap(p));
}

TEST(of_many_growers_the_largest_wins)
{
	size_t steps[] = {PAGE, 3 * PAGE, 7 * PAGE, 100};
	uint8_t *p = map(100, FRESH, REACH);
	pid_t pids[4];
	for (int i = 0; i < 4; i++)
		pids[i] = test_fork(grow_in_steps, &steps[i]);
	for (int i = 0; i < 4; i++)
		test_join(pids[i]);
	CHECK_EQ(ph_shm_size(p), REACH);
	drop(p);
}

// ---- memory that is short ----

// A file system of `pages` pages, for this process and its children alone, and for what it makes there itself.
static void mount_small(size_t pages)
{
	char options[64];
	setenv("POSTHASTE_TRACE", "0", 1);
	snprintf(options, sizeof(options), "size=%zu", pages * PAGE);
	if (unshare(CLONE_NEWNS) != 0)
		SKIP("needs root to mount a small file system");
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		SKIP("the root of a chroot is no mount of its own");
	CHECK_OK(mount("tmpfs", getenv("POSTHASTE_DIR"), "tmpfs", 0, options));
}

static void unmount_small(void)
{
	CHECK_OK(umount(getenv("POSTHASTE_DIR")));
}

TEST(a_full_file_system_is_enospc_and_makes_nothing)
{
	mount_small(16);
	CHECK(ph_shm_map(test_name(), 64 * PAGE, FRESH, 0600, 0) == NULL);
	CHECK_EQ(errno, ENOSPC);
	CHECK(ph_shm_map(test_name(), 64 * PAGE, FRESH | PH_SHM_HUGE, 0600, 0) == NULL);
	CHECK_EQ(errno, ENOSPC);
	CHECK_EQ(count_names(), 0);
	uint8_t *p = map(8 * PAGE, FRESH, 0);
	fill_pattern(p, 0, 8 * PAGE, 1);
	drop(p);
	unmount_small();
}

TEST(growth_into_a_full_file_system_is_enospc_and_leaves_the_old_size)
{
	mount_small(16);
	uint8_t *p = map(8 * PAGE, FRESH, 64 * PAGE);
	struct stat before, after;
	fill_pattern(p, 0, 8 * PAGE, 1);
	CHECK_OK(fstat(ph_shm_fd(p), &before));
	CHECK_ERR(ph_shm_grow(p, 64 * PAGE), ENOSPC);
	CHECK(ph_shm_map(test_name(), 64 * PAGE, 0, 0, 0) == NULL);
	CHECK_EQ(errno, ENOSPC);
	CHECK_OK(fstat(ph_shm_fd(p), &after));
	CHECK_EQ(ph_shm_size(p), 8 * PAGE);
	CHECK_EQ(after.st_blocks, before.st_blocks);
	check_pattern(p, 0, 8 * PAGE, 1);
	CHECK_OK(ph_shm_grow(p, 12 * PAGE));
	fill_pattern(p, 0, 12 * PAGE, 2);
	drop(p);
	unmount_small();
}

TEST(a_sparse_object_that_finds_no_memory_is_enospc)
{
	mount_small(16);
	int fd = ph_shm_open(test_name(), O_RDWR | O_CREAT, 0600);
	CHECK_OK(fd);
	CHECK_OK(ftruncate(fd, 64 * PAGE));
	CHECK(ph_shm_map(test_name(), 0, 0, 0, 0) == NULL);
	CHECK_EQ(errno, ENOSPC);
	close(fd);
	CHECK_OK(ph_shm_unlink(test_name()));
	unmount_small();
}

TEST(zeroing_needs_no_memory)
{
	mount_small(16);
	uint8_t *p = map(8 * PAGE, FRESH, 0);
	fill_pattern(p, 0, 8 * PAGE, 1);
	int fd = open(path_of("/filler"), O_RDWR | O_CREAT, 0600);
	CHECK_OK(fd);
	while (write(fd, p, PAGE) == PAGE)
		;
	uint8_t *q = map(0, PH_SHM_TRUNC, 0);
	check_zeros(p, 0, 8 * PAGE);
	CHECK_OK(ph_shm_unmap(q));
	close(fd);
	CHECK_OK(ph_shm_unlink("/filler"));
	drop(p);
	unmount_small();
}

TEST(the_size_limit_of_files_is_enospc_and_no_signal)
{
	struct rlimit old, small;
	uint8_t *p = map(PAGE, FRESH, 64 * PAGE);
	CHECK_OK(getrlimit(RLIMIT_FSIZE, &old));
	small = (struct rlimit){16 * PAGE, old.rlim_max};
	CHECK_OK(setrlimit(RLIMIT_FSIZE, &small));
	CHECK_ERR(ph_shm_grow(p, 32 * PAGE), ENOSPC);
	CHECK(ph_shm_map("/other", 32 * PAGE, FRESH, 0600, 0) == NULL);
	CHECK_EQ(errno, ENOSPC);
	CHECK_OK(ph_shm_grow(p, 16 * PAGE));
	CHECK_OK(setrlimit(RLIMIT_FSIZE, &old));
	drop(p);
}

TEST(what_no_memory_can_hold_is_refused)
{
	uint8_t *p = map(PAGE, FRESH, (size_t)1 << 32);
	CHECK(ph_shm_map("/other", SIZE_MAX, FRESH, 0600, 0) == NULL);
	CHECK_EQ(errno, ENOSPC);
	CHECK(ph_shm_map("/other", (size_t)1 << 62, FRESH, 0600, 0) == NULL);
	CHECK(errno == ENOSPC || errno == ENOMEM);
	CHECK(ph_shm_map(test_name(), 0, 0, 0, (size_t)1 << 62) == NULL);
	CHECK_EQ(errno, ENOMEM);
	CHECK(ph_shm_map(test_name(), 0, 0, 0, SIZE_MAX) == NULL);
	CHECK_EQ(errno, ENOMEM);
	CHECK_EQ(count_names(), 1);
	drop(p);
}

static volatile sig_atomic_t ticks;

static void tick(int sig)
{
	(void)sig;
	ticks++;
}

TEST(a_fast_timer_does_not_keep_a_large_object_from_being_made)
{
	struct sigaction action = {.sa_handler = tick};
	struct itimerval fast = {{0, 500}, {0, 500}}, none = {{0, 0}, {0, 0}};
	CHECK_OK(sigaction(SIGALRM, &action, NULL));
	CHECK_OK(setitimer(ITIMER_REAL, &fast, NULL));
	uint8_t *p = map((size_t)64 << 20, FRESH, 0);
	CHECK_OK(setitimer(ITIMER_REAL, &none, NULL));
	CHECK_EQ(ph_shm_size(p), (size_t)64 << 20);
	CHECK(ticks > 0);
	drop(p);
}

// SPDX-License-Identifier: MIT
//
// tests/hostile/shm_cut.c - a peer with write permission cuts, punches, locks and replaces what others have mapped. He
// can spoil his own objects: no crash, no hang, nothing beyond the object, and the damage is told.
#include <posthaste/posthaste.h>

#include "../shm/object.h"

#include <time.h>

enum { FRESH = PH_SHM_CREATE | PH_SHM_EXCL, PAGES = 16, BYTES = PAGES * PAGE };

static uint8_t *map(int flags, size_t reach)
{
	uint8_t *p = ph_shm_map(test_name(), BYTES, flags, 0600, reach);
	CHECK(p != NULL);
	return p;
}

static void drop(void *p)
{
	CHECK_OK(ph_shm_unmap(p));
	CHECK_OK(ph_shm_unlink(test_name()));
}

static int open_raw(void)
{
	int fd = open(path_of(test_name()), O_RDWR | O_CLOEXEC);
	CHECK_OK(fd);
	return fd;
}

static void cut_to(off_t size)
{
	int fd = open_raw();
	CHECK_OK(ftruncate(fd, size));
	close(fd);
}

static int damage_of(const void *p)
{
	struct ph_shm_info info;
	CHECK_OK(ph_shm_info(p, &info));
	return info.damaged;
}

TEST(what_is_cut_off_reads_as_zeros_and_is_told)
{
	uint8_t *p = map(FRESH, 0);
	fill_pattern(p, 0, BYTES, 1);
	CHECK_EQ(damage_of(p), 0);
	cut_to(5 * PAGE);
	check_pattern(p, 0, 5 * PAGE, 1);
	check_zeros(p, 5 * PAGE, BYTES);
	CHECK_EQ(damage_of(p), 1);
	fill_pattern(p, 0, BYTES, 2);
	check_pattern(p, 0, BYTES, 2);
	CHECK_EQ(ph_shm_size(p), 5 * PAGE);
	drop(p);
}

TEST(a_view_survives_as_well)
{
	uint8_t *p = map(FRESH, 0);
	uint8_t *view = map(PH_SHM_RDONLY, 0);
	fill_pattern(p, 0, BYTES, 1);
	cut_to(0);
	check_zeros(view, 0, BYTES);
	check_zeros(p, 0, BYTES);
	CHECK_EQ(damage_of(view), 1);
	CHECK_OK(ph_shm_unmap(view));
	drop(p);
}

TEST(growth_that_is_known_is_guarded_too)
{
	uint8_t *p = map(FRESH, 2 * BYTES);
	uint8_t *q = map(0, 2 * BYTES);
	CHECK_OK(ph_shm_grow(p, 2 * BYTES));
	CHECK_EQ(ph_shm_size(q), 2 * BYTES);
	cut_to(PAGE);
	check_zeros(p, PAGE, 2 * BYTES);
	check_zeros(q, PAGE, 2 * BYTES);
	CHECK_OK(ph_shm_unmap(q));
	drop(p);
}

static void touch_beyond(void *p)
{
	((volatile uint8_t *)p)[2 * BYTES - 1] = 1;
}

TEST(beyond_what_was_known_the_fault_stays_a_fault)
{
	uint8_t *p = map(FRESH, 2 * BYTES);
	check_bus_error(touch_beyond, p);
	CHECK_EQ(damage_of(p), 0);
	drop(p);
}

TEST(one_mapping_of_two_is_damaged_and_the_other_goes_on)
{
	uint8_t *p = map(FRESH, 0);
	uint8_t *q = ph_shm_map(test_name_of("other"), BYTES, FRESH, 0600, 0);
	CHECK(q != NULL);
	fill_pattern(q, 0, BYTES, 3);
	cut_to(0);
	check_zeros(p, 0, BYTES);
	CHECK_EQ(damage_of(q), 0);
	check_pattern(q, 0, BYTES, 3);
	drop(p);
	CHECK_OK(ph_shm_unmap(q));
	ph_shm_sweep();
	CHECK_EQ(count_names(), 1);
	CHECK_OK(unlink(path_of(test_name_of("other"))));
}

TEST(a_punched_hole_reads_as_zeros_and_is_filled_by_the_next_map)
{
	struct stat st;
	uint8_t *p = map(FRESH, 0);
	fill_pattern(p, 0, BYTES, 1);
	int fd = open_raw();
	CHECK_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, 4 * PAGE));
	close(fd);
	check_zeros(p, PAGE, 5 * PAGE);
	check_pattern(p, 5 * PAGE, BYTES, 1);
	fd = open_raw();
	CHECK_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, 4 * PAGE));
	close(fd);
	uint8_t *q = map(0, 0);
	CHECK_OK(fstat(ph_shm_fd(q), &st));
	CHECK_EQ(st.st_blocks * 512, BYTES);
	CHECK_OK(ph_shm_unmap(q));
	drop(p);
}

TEST(a_mode_taken_away_does_not_hinder_who_has_it)
{
	uint8_t *p = map(FRESH, 2 * BYTES);
	CHECK_OK(chmod(path_of(test_name()), 0));
	fill_pattern(p, 0, BYTES, 1);
	CHECK_OK(ph_shm_grow(p, 2 * BYTES));
	fill_pattern(p, 0, 2 * BYTES, 2);
	drop(p);
}

TEST(an_absurd_size_is_refused)
{
	uint8_t *p = map(FRESH, 0);
	int fd = open_raw();
	CHECK_OK(ftruncate(fd, (off_t)1 << 61));
	close(fd);
	CHECK(ph_shm_map(test_name(), 0, 0, 0, 0) == NULL);
	CHECK(errno == ENOSPC || errno == ENOMEM);
	CHECK(ph_shm_map(test_name(), 0, PH_SHM_RDONLY, 0, 0) == NULL);
	CHECK_EQ(errno, ENOMEM);
	CHECK_EQ(ph_shm_size(p), BYTES);
	drop(p);
}

// ---- locks ----

static void lock_for_ever(void *arg)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open_raw();
	CHECK_OK(fcntl(fd, F_OFD_SETLK, &whole));
	report_and_wait(arg);
}

TEST(who_denies_everybody_by_a_lock_is_waited_for_a_second_at_most)
{
	struct post post;
	make_post(&post);
	int fd = ph_shm_open(test_name(), O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK_OK(fd);
	CHECK_OK(ftruncate(fd, PAGE));
	close(fd);
	pid_t villain = test_fork(lock_for_ever, &post);
	await(&post);
	CHECK(ph_shm_map(test_name(), 0, 0, 0, 0) == NULL);
	CHECK_EQ(errno, EBADMSG);
	CHECK(ph_shm_map(test_name(), PAGE, PH_SHM_CREATE, 0600, 0) == NULL);
	CHECK_EQ(errno, EBADMSG);
	CHECK_EQ(ph_shm_open(test_name(), O_RDONLY, 0), -1);
	kill_and_reap(villain);
	uint8_t *p = ph_shm_map(test_name(), 0, 0, 0, 0);
	CHECK(p != NULL);
	drop(p);
	drop_post(&post);
}

// The name can be unlinked all the same.
TEST(who_denies_everybody_cannot_keep_the_name)
{
	struct post post;
	make_post(&post);
	uint8_t *p = map(FRESH | PH_SHM_RECLAIM, 0);
	CHECK_OK(ph_shm_unmap(p));
	int fd = ph_shm_open(test_name(), O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK_OK(fd);
	CHECK_OK(fchmod(fd, 01600));
	close(fd);
	pid_t villain = test_fork(lock_for_ever, &post);
	await(&post);
	CHECK_OK(ph_shm_unlink(test_name()));
	p = map(FRESH, 0);
	check_zeros(p, 0, BYTES);
	kill_and_reap(villain);
	drop(p);
	drop_post(&post);
}

// ---- a storm ----

static void cut_and_extend(void *arg)
{
	unsigned dice = *(unsigned *)arg;
	for (;;) {
		int fd = open(path_of(test_name()), O_RDWR | O_CLOEXEC);
		dice = dice * 1103515245 + 12345;
		if (fd < 0)
			continue;
		int r = dice >> 28 & 1
		            ? ftruncate(fd, (off_t)(dice >> 8) % (3 * BYTES))
		            : fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		                        (off_t)(dice >> 8) % BYTES, (off_t)(dice >> 4) % BYTES + 1);
		(void)r;
		fchmod(fd, dice >> 16 & 1 ? 01600 : 0600);
		if ((dice >> 20) % 61 == 0)
			unlink(path_of(test_name()));
		close(fd);
	}
}

static void use_in_storm(void *arg)
{
	unsigned dice = *(unsigned *)arg;
	uint8_t sum = 0;
	for (int i = 0; i < 1500; i++) {
		dice = dice * 1103515245 + 12345;
		int view = dice >> 28 & 1;
		uint8_t *p = view ? ph_shm_map(test_name(), 0, PH_SHM_RDONLY, 0, 2 * BYTES)
		                  : ph_shm_map(test_name(), BYTES, PH_SHM_CREATE, 0600, 2 * BYTES);
		if (p == NULL) {
			CHECK(errno == ENOENT || errno == EINVAL);
			continue;
		}
		size_t size = ph_shm_size(p);
		for (size_t at = dice % PAGE; at < size; at += PAGE)
			sum += ((volatile uint8_t *)p)[at];
		if (!view) {
			CHECK(ph_shm_grow(p, dice % (2 * BYTES)) == 0);
			size = ph_shm_size(p);
			for (size_t at = dice % PAGE; at < size; at += PAGE)
				((volatile uint8_t *)p)[at] = sum;
			uint8_t *q = ph_shm_map(test_name(), BYTES, PH_SHM_CREATE | PH_SHM_TRUNC, 0600, 0);
			if (q != NULL)
				CHECK_OK(ph_shm_unmap(q));
		}
		CHECK_OK(ph_shm_unmap(p));
	}
}

TEST(users_survive_a_storm_of_cuts)
{
	unsigned seeds[] = {1, 2, 3, 4};
	uint8_t *p = map(FRESH, 0);
	pid_t villains[] = {test_fork(cut_and_extend, &seeds[0]), test_fork(cut_and_extend, &seeds[1])};
	pid_t users[] = {test_fork(use_in_storm, &seeds[2]), test_fork(use_in_storm, &seeds[3])};
	for (int i = 0; i < 2; i++)
		test_join(users[i]);
	for (int i = 0; i < 2; i++)
		kill_and_reap(villains[i]);
	CHECK_OK(ph_shm_unmap(p));
	ph_shm_sweep();
	ph_shm_unlink(test_name());
}

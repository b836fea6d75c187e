// SPDX-License-Identifier: MIT
//
// tests/shm/extra_reclaim.c - PH_SHM_RECLAIM: the name goes with the last user, however he goes, and not before.
#include <posthaste/posthaste.h>

#include "object.h"

enum { MAKE = PH_SHM_CREATE | PH_SHM_RECLAIM };

static uint8_t *map(const char *name, int flags)
{
	uint8_t *p = ph_shm_map(name, PAGE, flags, 0600, 4 * PAGE);
	CHECK(p != NULL);
	return p;
}

static bool is_there(const char *name)
{
	struct ph_shm_info info;
	int r = ph_shm_look(name, &info);
	CHECK(r == 0 || errno == ENOENT);
	return r == 0;
}

// A process that has just been killed lets go of its memory a moment later.
static bool sweeps_one(void *arg)
{
	(void)arg;
	return ph_shm_sweep() == 1;
}

TEST(the_last_unmap_removes_the_name)
{
	uint8_t *p = map(test_name(), MAKE);
	uint8_t *q = map(test_name(), 0);
	CHECK_OK(ph_shm_unmap(p));
	CHECK(is_there(test_name()));
	CHECK_OK(ph_shm_unmap(q));
	CHECK(!is_there(test_name()));
	CHECK_EQ(count_names(), 0);
}

TEST(without_the_flag_the_name_stays)
{
	uint8_t *p = map(test_name(), PH_SHM_CREATE);
	CHECK_OK(ph_shm_unmap(p));
	CHECK_EQ(ph_shm_sweep(), 0);
	CHECK(is_there(test_name()));
	CHECK_OK(ph_shm_unlink(test_name()));
}

TEST(the_flag_is_its_creators)
{
	uint8_t *p = map(test_name(), PH_SHM_CREATE);
	uint8_t *q = map(test_name(), MAKE);
	CHECK_OK(ph_shm_unmap(p));
	CHECK_OK(ph_shm_unmap(q));
	CHECK(is_there(test_name()));
	CHECK_OK(ph_shm_unlink(test_name()));
}

TEST(a_view_is_a_user_and_may_be_the_last)
{
	uint8_t *p = map(test_name(), MAKE);
	uint8_t *view = map(test_name(), PH_SHM_RDONLY);
	CHECK_OK(ph_shm_unmap(p));
	CHECK_EQ(ph_shm_sweep(), 0);
	CHECK(is_there(test_name()));
	CHECK_OK(ph_shm_unmap(view));
	CHECK(!is_there(test_name()));
}

TEST(a_creators_view_is_a_user)
{
	uint8_t *view = map(test_name(), MAKE | PH_SHM_RDONLY);
	CHECK_EQ(ph_shm_sweep(), 0);
	CHECK_OK(ph_shm_unmap(view));
	CHECK(!is_there(test_name()));
}

TEST(a_descriptor_of_shm_open_is_a_user_and_so_is_what_is_mapped_from_it)
{
	uint8_t *p = map(test_name(), MAKE);
	int fd = ph_shm_open(test_name(), O_RDWR, 0);
	CHECK_OK(fd);
	CHECK_OK(ph_shm_unmap(p));
	CHECK_EQ(ph_shm_sweep(), 0);
	void *q = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(q != MAP_FAILED);
	CHECK_OK(close(fd));
	CHECK_EQ(ph_shm_sweep(), 0);
	CHECK(is_there(test_name()));
	CHECK_OK(munmap(q, PAGE));
	CHECK_EQ(ph_shm_sweep(), 1);
	CHECK(!is_there(test_name()));
}

TEST(a_mapping_by_descriptor_is_a_user_and_may_be_the_last)
{
	uint8_t *p = map(test_name(), MAKE);
	uint8_t *q = ph_shm_map_fd(ph_shm_fd(p), 0, 0, 0);
	CHECK(q != NULL);
	CHECK_OK(ph_shm_unmap(p));
	CHECK_EQ(ph_shm_sweep(), 0);
	CHECK(is_there(test_name()));
	CHECK_OK(ph_shm_unmap(q));
	CHECK(!is_there(test_name()));
}

static void use_and_wait(void *arg)
{
	map(test_name(), PH_SHM_CREATE | PH_SHM_RECLAIM);
	report_and_wait(arg);
}

TEST(what_killed_users_leave_is_swept)
{
	struct post post;
	make_post(&post);
	pid_t users[3];
	for (int i = 0; i < 3; i++) {
		users[i] = test_fork(use_and_wait, &post);
		await(&post);
	}
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(ph_shm_sweep(), 0);
		CHECK(is_there(test_name()));
		kill_and_reap(users[i]);
	}
	test_wait_until(sweeps_one, NULL);
	CHECK(!is_there(test_name()));
	drop_post(&post);
}

static void scribble_and_wait(void *arg)
{
	fill_pattern(map(test_name(), MAKE), 0, PAGE, 1);
	report_and_wait(arg);
}

static bool nobody_has_it(void *arg)
{
	(void)arg;
	struct ph_shm_info info;
	return ph_shm_look(test_name(), &info) == 0 && !info.mapped;
}

static void leave_one(void)
{
	struct post post;
	make_post(&post);
	pid_t user = test_fork(scribble_and_wait, &post);
	await(&post);
	kill_and_reap(user);
	test_wait_until(nobody_has_it, NULL);
	drop_post(&post);
}

TEST(the_next_create_of_the_name_makes_a_new_object)
{
	leave_one();
	uint8_t *p = map(test_name(), PH_SHM_CREATE);
	check_zeros(p, 0, PAGE);
	CHECK_OK(ph_shm_unmap(p));
	CHECK_OK(ph_shm_unlink(test_name()));
}

TEST(an_exclusive_create_of_the_name_finds_it_free)
{
	leave_one();
	uint8_t *p = map(test_name(), MAKE | PH_SHM_EXCL);
	check_zeros(p, 0, PAGE);
	CHECK_OK(ph_shm_unmap(p));
	CHECK_EQ(count_names(), 0);
}

TEST(shm_open_that_creates_finds_it_free)
{
	struct stat st;
	leave_one();
	int fd = ph_shm_open(test_name(), O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK_OK(fd);
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_size, 0);
	close(fd);
	CHECK_OK(ph_shm_unlink(test_name()));
}

TEST(who_only_opens_takes_up_what_the_dead_left)
{
	leave_one();
	uint8_t *p = map(test_name(), 0);
	check_pattern(p, 0, PAGE, 1);
	CHECK_EQ(ph_shm_sweep(), 0);
	CHECK_OK(ph_shm_unmap(p));
	CHECK_EQ(count_names(), 0);
}

TEST(other_creators_sweep_now_and_then)
{
	leave_one();
	for (int i = 0; i < 200 && is_there(test_name()); i++)
		CHECK_OK(ph_shm_unmap(map("/other", MAKE)));
	CHECK(!is_there(test_name()));
}

static void wait_with_inherited(void *arg)
{
	report_and_wait(arg);
}

TEST(a_child_with_the_mapping_is_a_user)
{
	struct post post;
	make_post(&post);
	uint8_t *p = map(test_name(), MAKE);
	pid_t child = test_fork(wait_with_inherited, &post);
	await(&post);
	CHECK_OK(ph_shm_unmap(p));
	CHECK_EQ(ph_shm_sweep(), 0);
	CHECK(is_there(test_name()));
	kill_and_reap(child);
	test_wait_until(sweeps_one, NULL);
	drop_post(&post);
}

static void unmap_inherited(void *p)
{
	CHECK_OK(ph_shm_unmap(p));
}

TEST(a_childs_unmap_is_not_its_parents)
{
	uint8_t *p = map(test_name(), MAKE);
	test_join(test_fork(unmap_inherited, p));
	CHECK(is_there(test_name()));
	CHECK_EQ(ph_shm_sweep(), 0);
	CHECK_OK(ph_shm_unmap(p));
	CHECK_EQ(count_names(), 0);
}

static void exec_with_mapping(void *arg)
{
	(void)arg;
	map(test_name(), MAKE);
	execl("/bin/true", "true", (char *)NULL);
	_exit(1);
}

TEST(who_execs_is_no_user_any_more)
{
	test_join(test_fork(exec_with_mapping, NULL));
	test_wait_until(sweeps_one, NULL);
	CHECK(!is_there(test_name()));
}

TEST(unlink_while_mapped_leaves_nothing_to_reclaim)
{
	uint8_t *p = map(test_name(), MAKE);
	CHECK_OK(ph_shm_unlink(test_name()));
	uint8_t *other = map(test_name(), PH_SHM_CREATE);
	CHECK_OK(ph_shm_unmap(p));
	CHECK(is_there(test_name()));
	CHECK_EQ(ph_shm_sweep(), 0);
	CHECK_OK(ph_shm_unmap(other));
	CHECK_OK(ph_shm_unlink(test_name()));
}

static void watch_as_nobody(void *arg)
{
	(void)arg;
	become_nobody();
	uint8_t *view = ph_shm_map(test_name(), 0, PH_SHM_RDONLY, 0, 0);
	CHECK(view != NULL);
	CHECK_EQ(ph_shm_sweep(), 0);
	CHECK_OK(ph_shm_unmap(view));
}

TEST(who_may_not_remove_it_leaves_it_to_others)
{
	if (geteuid() != 0)
		SKIP("needs root to act as a second user");
	CHECK_OK(chmod(getenv("POSTHASTE_DIR"), 01777));
	uint8_t *p = ph_shm_map(test_name(), PAGE, MAKE, 0644, 0);
	CHECK(p != NULL);
	test_join(test_fork(watch_as_nobody, NULL));
	CHECK(is_there(test_name()));
	CHECK_OK(ph_shm_unmap(p));
	CHECK_EQ(count_names(), 0);
}

TEST(looking_tells_whether_it_is_used)
{
	struct ph_shm_info info;
	uint8_t *p = map(test_name(), MAKE);
	CHECK_OK(ph_shm_look(test_name(), &info));
	CHECK(info.mapped);
	CHECK(info.reclaim);
	CHECK_EQ(info.bytes, PAGE);
	CHECK_EQ(info.allocated, PAGE);
	CHECK_EQ(info.mode, 0600);
	CHECK_EQ(info.uid, geteuid());
	CHECK_EQ(info.gid, getegid());
	CHECK_EQ(info.seals, 0);
	CHECK_EQ(info.damaged, 0);
	CHECK_OK(ph_shm_info(p, &info));
	CHECK(info.mapped);
	CHECK(info.reclaim);
	CHECK_OK(ph_shm_unmap(p));
	int fd = ph_shm_open(test_name(), O_RDWR | O_CREAT, 0640);
	CHECK_OK(fd);
	close(fd);
	CHECK_OK(ph_shm_look(test_name(), &info));
	CHECK(!info.mapped);
	CHECK(!info.reclaim);
	CHECK_EQ(info.bytes, 0);
	CHECK_ERR(ph_shm_look("/a/b", &info), EINVAL);
	CHECK_OK(ph_shm_unlink(test_name()));
	CHECK_ERR(ph_shm_look(test_name(), &info), ENOENT);
}

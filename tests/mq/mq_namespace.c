// SPDX-License-Identifier: MIT
//
// tests/mq/mq_namespace.c - the directory that POSTHASTE_DIR names: asked for, missing, and two of them.
//
// Children set the variable before their first use of the library, as a shell would.
#include <posthaste/posix.h>

#include "queue.h"

TEST(namespace_is_the_directory_of_the_environment)
{
	const char *dir = getenv("POSTHASTE_DIR");
	char buf[512];

	CHECK_EQ(ph_namespace(buf, sizeof(buf)), strlen(dir));
	CHECK(strcmp(buf, dir) == 0);
}

TEST(namespace_that_does_not_fit_the_buffer_is_erange)
{
	const char *dir = getenv("POSTHASTE_DIR");
	char buf[512];

	CHECK_ERR(ph_namespace(buf, strlen(dir)), ERANGE);
	CHECK_EQ(ph_namespace(buf, strlen(dir) + 1), strlen(dir));
	CHECK_ERR(ph_namespace(buf, 1), ERANGE);
}

static void look_for_a_missing_directory(void *arg)
{
	char path[512];

	(void)arg;
	snprintf(path, sizeof(path), "%s/missing", getenv("POSTHASTE_DIR"));
	CHECK_OK(setenv("POSTHASTE_DIR", path, 1));
	CHECK_ERR(ph_namespace(path, sizeof(path)), ENOENT);
	CHECK_ERR(mq_open(test_name(), O_RDWR), ENOENT);
	CHECK_EQ(mq_open(test_name(), O_RDWR | O_CREAT, 0600, NULL), -1);
}

TEST(directory_of_the_environment_is_not_made)
{
	test_join(test_fork(look_for_a_missing_directory, NULL));
}

static void use_another_directory(void *arg)
{
	CHECK_OK(setenv("POSTHASTE_DIR", arg, 1));
	mqd_t q = make_queue(1, SMALL);
	CHECK_EQ(current(q), 0);
	drop_queue(q);
}

TEST(one_name_in_two_directories_is_two_queues)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/inner", getenv("POSTHASTE_DIR"));
	CHECK_OK(mkdir(path, 0700));
	pid_t pid = test_fork(use_another_directory, path);
	mqd_t q = make_queue(1, SMALL);
	put(q, "outer", 0);
	test_join(pid);
	expect(q, "outer", 0);
	CHECK_OK(rmdir(path));
	drop_queue(q);
}

static void be_refused(void *arg)
{
	(void)arg;
	become_nobody();
	CHECK_ERR(mq_open(test_name(), O_RDWR | O_CREAT, 0600, NULL), EACCES);
	CHECK_ERR(mq_open(test_name(), O_RDWR), EACCES);
}

TEST(directory_that_is_closed_to_the_user_is_eacces)
{
	if (geteuid() != 0)
		SKIP("needs root to act as a second user");
	CHECK_OK(chmod(getenv("POSTHASTE_DIR"), 0700));
	test_join(test_fork(be_refused, NULL));
}

TEST(version_is_the_headers)
{
	CHECK(strcmp(ph_version(), PH_VERSION) == 0);
}

TEST(spinning_can_be_bounded_or_switched_off)
{
	const int64_t bounds[] = {0, 1000, 50000, -1};
	mqd_t q = make_queue(1, SMALL);

	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		struct worker w;
		ph_set_spin(bounds[i]);
		start_and_block(&w, work_receive, q);
		put(q, "x", 0);
		finish(&w);
		CHECK_EQ(w.result, 1);
	}
	drop_queue(q);
}

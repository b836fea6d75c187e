// SPDX-License-Identifier: MIT
//
// tests/self/bad.c - tests that must fail, one for each thing that the runner promises to notice, and
// two that must not. tests/self/runner.sh runs them and compares. Not part of the suite by itself.
#include "runner.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static int make_file(const char *name)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s", getenv("POSTHASTE_DIR"), name);
	return (int)CHECK_OK(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

static void remove_file(const char *name)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s", getenv("POSTHASTE_DIR"), name);
	CHECK_OK(unlink(path));
}

static void fail(void *arg)
{
	(void)arg;
	CHECK(1 == 2);
}

static void pause_for_ever(void *arg)
{
	(void)arg;
	pause();
}

TEST(good)
{
	CHECK(getenv("POSTHASTE_DIR"));
	CHECK_EQ(1, 1);
	CHECK_ERR(close(-1), EBADF);
	close(make_file("clean"));
	remove_file("clean");
	const pid_t child = test_fork(pause_for_ever, NULL);
	test_wait_asleep(child);
	test_kill(child);
}

TEST(skipped)
{
	SKIP("to see it skipped");
}

TEST(failing_check)
{
	CHECK(1 == 2);
}

TEST(failing_check_eq)
{
	CHECK_EQ(1, 2);
}

TEST(failing_check_err)
{
	CHECK_ERR(close(-1), EINTR);
}

TEST(failing_check_ok)
{
	CHECK_OK(close(-1));
}

TEST(failing_child)
{
	test_join(test_fork(fail, NULL));
}

TEST(leaked_descriptor)
{
	CHECK_OK(open("/dev/null", O_RDONLY));
}

TEST(leaked_name)
{
	close(make_file("left"));
}

TEST(leaked_mapping)
{
	const int fd = make_file("mapped");
	CHECK_OK(ftruncate(fd, 4096));
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED);
	close(fd);
	remove_file("mapped");
}

TEST(crash)
{
	signal(SIGSEGV, SIG_DFL);
	raise(SIGSEGV);
}

TEST(hang)
{
	pause_for_ever(NULL);
}

TEST(hang_with_a_child)
{
	test_join(test_fork(pause_for_ever, NULL));
}

// SPDX-License-Identifier: MIT
//
// tests/shm/object.h - what tests of shared memory have in common: bytes that tell who wrote them, the names that
// are there, a second user, a small file system.
#ifndef TESTS_SHM_OBJECT_H
#define TESTS_SHM_OBJECT_H

#include "runner.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
	__has_feature(undefined_behavior_sanitizer)
#define TEST_SANITIZED 1
#endif
#endif
#ifndef TEST_SANITIZED
#define TEST_SANITIZED 0
#endif

enum { PAGE = 4096, NOBODY = 65534 };

// A page-aligned sequence that differs from any other `seed`'s in every byte that is compared.
static inline uint8_t pattern_at(unsigned seed, size_t i)
{
	return (uint8_t)(seed * 37 + i * 7 + (i >> 12) + 1);
}

static inline void fill_pattern(void *at, size_t from, size_t to, unsigned seed)
{
	for (size_t i = from; i < to; i++)
		((volatile uint8_t *)at)[i] = pattern_at(seed, i);
}

static inline void check_pattern(const void *at, size_t from, size_t to, unsigned seed)
{
	for (size_t i = from; i < to; i++)
		if (((const volatile uint8_t *)at)[i] != pattern_at(seed, i))
			test_failed(__FILE__, __LINE__, "byte %zu is not of pattern %u", i, seed);
}

static inline void check_zeros(const void *at, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (((const volatile uint8_t *)at)[i] != 0)
			test_failed(__FILE__, __LINE__, "byte %zu is not 0", i);
}

// Names in the namespace directory.
static inline int count_names(void)
{
	DIR *dir = opendir(getenv("POSTHASTE_DIR"));
	int count = 0;
	CHECK(dir != NULL);
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		count += e->d_name[0] != '.';
	closedir(dir);
	return count;
}

static inline const char *path_of(const char *name)
{
	static char path[512];
	snprintf(path, sizeof(path), "%s/shm.%s", getenv("POSTHASTE_DIR"), name + (name[0] == '/'));
	return path;
}

// From here on this process is somebody else.
static inline void become_nobody(void)
{
	CHECK_OK(setgid(NOBODY));
	CHECK_OK(setuid(NOBODY));
}

// A child writes a byte when it is where it shall be, and waits there to be killed.
struct post {
	int fds[2];
};

static inline void make_post(struct post *p)
{
	CHECK_OK(pipe(p->fds));
}

static inline void report(struct post *p)
{
	CHECK_EQ(write(p->fds[1], "x", 1), 1);
}

static inline void report_and_wait(struct post *p)
{
	report(p);
	for (;;)
		pause();
}

static inline void await(struct post *p)
{
	char c;
	CHECK_EQ(read(p->fds[0], &c, 1), 1);
}

static inline void drop_post(struct post *p)
{
	close(p->fds[0]);
	close(p->fds[1]);
}

static inline void kill_and_reap(pid_t pid)
{
	int status;
	CHECK_OK(kill(pid, SIGKILL));
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
}

// A child ends by SIGBUS, or, under a sanitizer, with what that says of it.
static inline void check_bus_error(void (*fn)(void *), void *arg)
{
	fflush(NULL);
	pid_t pid = fork();
	CHECK_OK(pid);
	if (pid == 0) {
		CHECK_OK(dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 2));
		fn(arg);
		_exit(0);
	}
	int status;
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) ? WTERMSIG(status) == SIGBUS
	                          : TEST_SANITIZED && WEXITSTATUS(status) != 0);
}

#endif

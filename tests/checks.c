// SPDX-License-Identifier: MIT
//
// tests/checks.c - the checks and helpers of runner.h, as they run inside a test.
//
// A failed check uses _exit: it must end the whole process from any thread and any state, without
// running exit handlers that might wait for a lock which the failed code holds.
#include "runner.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#include "runner_private.h"

enum { WAIT_S = 60, NAMES_MAX = 64, NAME_SIZE = 96 };

const char *test_current = "";

static char own_name[48];

void test_begin(const char *name)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	test_current = name;
	snprintf(own_name, sizeof(own_name), "/posthaste-test-%d-%lx", (int)getpid(),
	         (unsigned long)ts.tv_nsec);
}

const char *test_name(void)
{
	return own_name;
}

const char *test_name_of(const char *suffix)
{
	static char names[NAMES_MAX][NAME_SIZE];
	static int used;
	const int slot = __atomic_fetch_add(&used, 1, __ATOMIC_RELAXED) % NAMES_MAX;
	snprintf(names[slot], NAME_SIZE, "%s-%.32s", own_name, suffix);
	return names[slot];
}

void test_failed(const char *file, int line, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "%s:%d: %s: check failed: %s\n", file, line, test_current, text);
	_exit(1);
}

void test_check_eq(long long a, long long b, const char *a_text, const char *b_text,
                   const char *file, int line)
{
	if (a != b)
		test_failed(file, line, "%s == %s (%lld, %lld)", a_text, b_text, a, b);
}

void test_check_err(long result, int err, const char *call, const char *err_text, const char *file,
                    int line)
{
	const int got = errno;
	if (result != -1)
		test_failed(file, line, "%s fails with %s (it returned %ld)", call, err_text, result);
	if (got != err)
		test_failed(file, line, "%s fails with %s (it failed with: %s)", call, err_text,
		            strerror(got));
}

long test_check_ok(long result, const char *call, const char *file, int line)
{
	if (result == -1)
		test_failed(file, line, "%s: %s", call, strerror(errno));
	return result;
}

void test_skip(const char *why)
{
	fprintf(stderr, "%s: skipped: %s\n", test_current, why);
	_exit(SKIPPED);
}

pid_t test_fork(void (*fn)(void *), void *arg)
{
	fflush(NULL);
	const pid_t pid = (pid_t)CHECK_OK(fork());
	if (pid == 0) {
		fn(arg);
		fflush(NULL);
		_exit(0);
	}
	return pid;
}

static int wait_for(pid_t pid)
{
	int status = 0;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			test_failed(__FILE__, __LINE__, "waitpid: %s", strerror(errno));
	return status;
}

void test_join(pid_t pid)
{
	const int status = wait_for(pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		_exit(SKIPPED);
	if (WIFSIGNALED(status))
		test_failed(__FILE__, __LINE__, "child %d ends well (signal %d)", (int)pid,
		            WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		test_failed(__FILE__, __LINE__, "child %d ends well (status %d)", (int)pid,
		            WEXITSTATUS(status));
}

void test_kill(pid_t pid)
{
	CHECK_OK(kill(pid, SIGKILL));
	wait_for(pid);
}

static double now_s(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

void test_wait_until(bool (*cond)(void *), void *arg)
{
	const double deadline = now_s() + WAIT_S;
	const struct timespec nap = {0, 200000}; // between two looks; nothing depends on its length
	while (!cond(arg)) {
		if (now_s() > deadline)
			test_failed(__FILE__, __LINE__, "the state is reached within %d s", WAIT_S);
		nanosleep(&nap, NULL);
	}
}

// The state is the first field after the command's name, which may itself hold anything but ends with
// the last parenthesis.
bool test_task_sleeps(pid_t tid)
{
	char path[64], text[512];
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)tid);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	const ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = 0;
	const char *end = strrchr(text, ')');
	return end && end[1] == ' ' && end[2] == 'S';
}

static bool sleeps(void *arg)
{
	return test_task_sleeps(*(const pid_t *)arg);
}

void test_wait_asleep(pid_t tid)
{
	test_wait_until(sleeps, &tid);
}

// SPDX-License-Identifier: MIT
//
// tests/fuzz/checks.c - the checks of tests/runner.h for a fuzz target: a failed one traps, so that the
// fuzzer sees it and keeps the input.
#include "runner.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

void test_failed(const char *file, int line, const char *format, ...)
{
	va_list args;
	fprintf(stderr, "%s:%d: check failed: ", file, line);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	__builtin_trap();
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
	if (result != -1 || errno != err)
		test_failed(file, line, "%s fails with %s (%ld, %s)", call, err_text, result,
		            strerror(errno));
}

long test_check_ok(long result, const char *call, const char *file, int line)
{
	if (result == -1)
		test_failed(file, line, "%s: %s", call, strerror(errno));
	return result;
}

pid_t test_fork(void (*fn)(void *), void *arg)
{
	const pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fn(arg);
		_exit(0);
	}
	return pid;
}

void test_join(pid_t pid)
{
	int status = 0;
	if (waitpid(pid, &status, 0) != pid || status != 0)
		test_failed(__FILE__, __LINE__, "a child ended with status %#x", status);
}

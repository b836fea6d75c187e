// SPDX-License-Identifier: MIT
//
// tests/runner_private.h - what runner.c and checks.c share, and no test needs.
#ifndef TESTS_RUNNER_PRIVATE_H
#define TESTS_RUNNER_PRIVATE_H

// The exit status with which a test says that it cannot be made here.
enum { SKIPPED = 77 };

enum verdict { VERDICT_PASS, VERDICT_FAIL, VERDICT_SKIP };

// The test of this process, for messages.
extern const char *test_current;

// Name the test and make its queue name. Called once, in the test's own process.
void test_begin(const char *name);

#endif

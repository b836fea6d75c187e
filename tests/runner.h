// SPDX-License-Identifier: MIT
//
// tests/runner.h - what a test file includes: TEST, the checks, and waiting for a state.
//
// Each test runs in a process of its own, in a process group of its own and with a fresh, empty
// POSTHASTE_DIR. It fails when a check fails, when it is killed, when it takes more than 180 seconds,
// and when it leaves something behind: an open descriptor, a mapping of a file of the namespace, a
// name in the namespace. So a test needs no clean-up code for the case that it fails.
//
// A failed check ends the process that made it (threads included) with status 1; in a child of the
// test it is test_join that passes the failure on.
#ifndef TESTS_RUNNER_H
#define TESTS_RUNNER_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

// What is a sanitizer's own in its builds: fault handlers, an alternate stack, _exit; the look for leaks, by ptrace.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define SANITIZED 1
#endif
#if __has_feature(address_sanitizer)
#define LOOKS_FOR_LEAKS 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif
#ifndef LOOKS_FOR_LEAKS
#define LOOKS_FOR_LEAKS 0
#endif

#ifdef __cplusplus
extern "C" {
#endif

struct test {
	const char *name;
	void (*run)(void);
	struct test *next;
};

void test_register(struct test *test);

// Define a test. Its name says the behaviour: TEST(mq_send_wakes_one_blocked_receiver) { ... }
#define TEST(ident)                                                            \
	static void test_body_##ident(void);                                       \
	static struct test test_entry_##ident = {#ident, test_body_##ident, NULL}; \
	__attribute__((constructor)) static void test_enter_##ident(void)          \
	{                                                                          \
		test_register(&test_entry_##ident);                                    \
	}                                                                          \
	static void test_body_##ident(void)

// The condition holds.
#define CHECK(cond) ((cond) ? (void)0 : test_failed(__FILE__, __LINE__, "%s", #cond))

// Two integers are equal; both are shown when not.
#define CHECK_EQ(a, b) test_check_eq((long long)(a), (long long)(b), #a, #b, __FILE__, __LINE__)

// The call returned -1 and set errno to `err`.
#define CHECK_ERR(call, err) test_check_err((long)(call), err, #call, #err, __FILE__, __LINE__)

// The call did not return -1. The value is the call's: int fd = (int)CHECK_OK(open(...));
#define CHECK_OK(call) test_check_ok((long)(call), #call, __FILE__, __LINE__)

// End the test (its children may say so too): it cannot be made here, and why.
#define SKIP(why) test_skip(why)

// A queue name, "/...", that belongs to this test: the same in all its processes, used by nobody else
// on this machine. The test unlinks what it makes. test_name_of adds a suffix (up to 32 bytes) for a
// test with several names, and keeps up to 64 of them.
const char *test_name(void);
const char *test_name_of(const char *suffix);

// Run fn(arg) in a child, which then ends with status 0.
pid_t test_fork(void (*fn)(void *), void *arg);

// Wait for a child and check that it ended with status 0.
void test_join(pid_t pid);

// Kill a child with SIGKILL and wait until it is gone.
void test_kill(pid_t pid);

// Look again and again until cond(arg) is true; fails after 60 seconds.
void test_wait_until(bool (*cond)(void *), void *arg);

// Is the thread or process `tid` asleep in the kernel (state S)? And the usual use of it: wait until
// it is.
bool test_task_sleeps(pid_t tid);
void test_wait_asleep(pid_t tid);

// What the macros call.
void test_failed(const char *file, int line, const char *format, ...)
	__attribute__((noreturn, format(printf, 3, 4)));
void test_check_eq(long long a, long long b, const char *a_text, const char *b_text,
                   const char *file, int line);
void test_check_err(long result, int err, const char *call, const char *err_text, const char *file,
                    int line);
long test_check_ok(long result, const char *call, const char *file, int line);
void test_skip(const char *why) __attribute__((noreturn));

#ifdef __cplusplus
}
#endif

#endif

// SPDX-License-Identifier: MIT
//
// tests/atfork.h - what the tests of a program's own fork handlers share: handlers that were there before the library was
// used, and use it, before a fork and after it on both sides.
#ifndef TESTS_ATFORK_H
#define TESTS_ATFORK_H

#include <pthread.h>

#include "runner.h"

static void (*atfork_use)(void);
static int atfork_uses;

static inline void atfork_handler(void)
{
	atfork_use();
	atfork_uses++;
}

static inline void atfork_expect_uses(void *arg)
{
	CHECK_EQ(atfork_uses, *(const int *)arg);
	atfork_use();
}

// `use` is what each handler does; the second fork finds the library in use.
static inline void use_in_fork_handlers(void (*use)(void))
{
	int uses = 2; // before the fork, and after it here or in the child

	atfork_use = use;
	CHECK_EQ(pthread_atfork(atfork_handler, atfork_handler, atfork_handler), 0);
	test_join(test_fork(atfork_expect_uses, &uses));
	use();
	uses = 4;
	test_join(test_fork(atfork_expect_uses, &uses));
	CHECK_EQ(atfork_uses, 4);
}

#endif

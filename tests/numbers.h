// SPDX-License-Identifier: MIT
//
// tests/numbers.h - which descriptor numbers are free: those that a program counts on.
#ifndef TESTS_NUMBERS_H
#define TESTS_NUMBERS_H

#include "runner.h"

static inline int next_number(void)
{
	const int fd = (int)CHECK_OK(dup(STDERR_FILENO));

	CHECK_OK(close(fd));
	return fd;
}

static inline void expect_free_from(int number)
{
	int fds[4];

	for (int i = 0; i < 4; i++)
		CHECK_EQ(fds[i] = dup(STDERR_FILENO), number + i);
	for (int i = 0; i < 4; i++)
		CHECK_OK(close(fds[i]));
}

#endif

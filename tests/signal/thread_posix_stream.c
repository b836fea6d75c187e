// SPDX-License-Identifier: MIT
//
// tests/signal/thread_posix_stream.c - threads that signal their own process and take: the data that a signal tells of
// is plain memory, so ThreadSanitizer sees whether a signal orders what was written before it was sent.
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runner.h"

enum { SENDERS = 3, TAKERS = 3, EACH = 2000 };

#define SIG (SIGRTMIN + 3)

static long item[SENDERS * EACH];
static atomic_int taken;

static void *send_items(void *arg)
{
	const int me = (int)(long)arg;

	for (int i = 0; i < EACH; i++) {
		const int n = me * EACH + i;
		item[n] = n + 1;
		while (sigqueue(getpid(), SIG, (union sigval){.sival_int = n}) != 0) {
			CHECK_EQ(errno, EAGAIN);
			sched_yield();
		}
	}
	return NULL;
}

static void *take_items(void *arg)
{
	sigset_t set;
	siginfo_t info;
	const struct timespec soon = {0, 20000000};

	(void)arg;
	sigemptyset(&set);
	sigaddset(&set, SIG);
	while (atomic_load(&taken) < SENDERS * EACH) {
		if (sigtimedwait(&set, &info, &soon) == -1) {
			CHECK(errno == EAGAIN || errno == EINTR);
			continue;
		}
		const int n = info.si_value.sival_int;
		CHECK(n >= 0 && n < SENDERS * EACH);
		CHECK_EQ(item[n], n + 1);
		item[n] = 0;
		atomic_fetch_add(&taken, 1);
	}
	return NULL;
}

TEST(threads_take_what_threads_send_each_once)
{
	pthread_t threads[SENDERS + TAKERS];
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIG);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	// From here on it is known that the process looks for them. What only the kernel carries is in order as well, but
	// ThreadSanitizer does not know.
	CHECK_ERR(sigtimedwait(&set, NULL, &(struct timespec){0, 0}), EAGAIN);
	for (long i = 0; i < SENDERS + TAKERS; i++)
		CHECK_EQ(
			pthread_create(&threads[i], NULL, i < SENDERS ? send_items : take_items, (void *)i), 0);
	for (int i = 0; i < SENDERS + TAKERS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(atomic_load(&taken), SENDERS * EACH);
}

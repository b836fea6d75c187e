// SPDX-License-Identifier: MIT
//
// tests/sem/holders.h - what the tests of semaphores with holders share: making one, children that hold units
// and end in the way that the test asks for, and a look from outside.
#ifndef TESTS_SEM_HOLDERS_H
#define TESTS_SEM_HOLDERS_H

#include <posthaste/posix.h>

#include "sem.h"

// Memory that is zeroed, so that it can be large: struct ph_sem_info does not fit every stack.
static struct ph_sem_info seen;

static inline sem_t *make_holders(unsigned units)
{
	return make_named_of(test_name(), PH_SEM_HOLDERS, units);
}

static inline sem_t *open_flags(int oflag)
{
	sem_t *sem = sem_open(test_name(), oflag);

	if (sem == SEM_FAILED)
		test_failed(__FILE__, __LINE__, "it can be opened: %s", strerror(errno));
	return sem;
}

static inline void take_units(sem_t *sem, unsigned units)
{
	CHECK_OK(ph_sem_take(sem, units, CLOCK_MONOTONIC, NULL));
}

static inline int try_units(sem_t *sem, unsigned units)
{
	const struct timespec past = {0, 0};

	return ph_sem_take(sem, units, CLOCK_MONOTONIC, &past);
}

// There are exactly so many: all of them can be taken at once, and one more cannot. Units that the dead
// held are waited for.
static inline void expect_units(sem_t *sem, unsigned units)
{
	if (units > 0)
		take_units(sem, units);
	CHECK_ERR(sem_trywait(sem), EAGAIN);
	CHECK_EQ(ph_sem_held(sem), units);
	if (units > 0)
		CHECK_OK(ph_sem_give(sem, units));
}

static inline const struct ph_sem_info *look(void)
{
	memset(&seen, 0x5a, sizeof(seen));
	CHECK_OK(ph_sem_info(test_name(), &seen));
	return &seen;
}

// ---- holders: children that take units and wait for a signal ----

enum ending {
	BY_KILL,
	BY_EXIT,
	BY_CLOSE,
	BY_EXEC,
	BY_ABORT,
	ENDINGS,
};

struct holder {
	sem_t *inherited; // NULL: the child opens the name itself
	unsigned units;
	enum ending ending;
	atomic_int ready;
};

static inline void end_as(struct holder *h, sem_t *sem)
{
	static char *const argv[] = {(char *)"sleep", (char *)"1000", NULL};

	switch (h->ending) {
	case BY_CLOSE:
		CHECK_OK(sem_close(sem));
		while (sem_close(sem) == 0)
			; // what was open in the parent is open here, too
		CHECK_EQ(errno, EINVAL);
		for (;;)
			pause();
	case BY_EXEC: execv("/bin/sleep", argv); break;
	case BY_ABORT: abort();
	case BY_EXIT: exit(0);
	case BY_KILL:
	case ENDINGS: raise(SIGKILL);
	}
	CHECK(!"the holder ends");
}

static inline void be_holder(void *arg)
{
	struct holder *h = arg;
	sem_t *sem = h->inherited ? h->inherited : open_named();
	sigset_t set;
	int sig;

	take_units(sem, h->units);
	CHECK_EQ(ph_sem_held(sem), h->units);
	atomic_store(&h->ready, 1);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK_EQ(sigwait(&set, &sig), 0);
	end_as(h, sem);
}

// The child has its units when this returns. `h` stands in shared memory.
static inline pid_t start_holder(struct holder *h, unsigned units, enum ending ending)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	h->units = units;
	h->ending = ending;
	atomic_store(&h->ready, 0);
	pid_t pid = test_fork(be_holder, h);
	wait_count(&h->ready, 1);
	return pid;
}

// Tell it to end, and do not wait for that.
static inline void tell_to_end(pid_t pid, const struct holder *h)
{
	CHECK_OK(kill(pid, h->ending == BY_KILL ? SIGKILL : SIGUSR1));
}

// Get rid of the process, however it was told to end.
static inline void reap(pid_t pid)
{
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

// A child that takes units, and ends well with them.
struct taker {
	sem_t *inherited;
	unsigned units;
	int outcome; // errno of the take: 0, EOWNERDEAD
};

static inline void be_taker(void *arg)
{
	struct taker *t = arg;
	sem_t *sem = t->inherited ? t->inherited : open_named();

	const int r = ph_sem_take(sem, t->units, CLOCK_MONOTONIC, NULL);
	CHECK_EQ(r == -1 ? errno : 0, t->outcome);
	CHECK_EQ(ph_sem_held(sem), t->units);
}

static inline pid_t start_taker(struct taker *t)
{
	pid_t pid = test_fork(be_taker, t);

	test_wait_asleep(pid);
	return pid;
}

#endif

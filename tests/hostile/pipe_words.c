// SPDX-License-Identifier: MIT
//
// tests/hostile/pipe_words.c - words of a ring that name threads, or that threads sleep on, set to lies:
// how long do calls take that wait? Blocking calls run in a child that the test watches.
#include <posthaste/posthaste.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>

#include "pipe/pipe.h"
#include "pipe_ring.h"
#include "pipe_victim.h"
#include "runner.h"

enum { R, W };

#define WAITERS UINT32_C(0x80000000)
#define DIED UINT32_C(0x40000000)

static double seconds(clockid_t clock)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void make(int fds[2], struct ring *r)
{
	CHECK_OK(ph_pipe2(fds, O_CLOEXEC));
	pipe_lease(fds[R]);
	ring_open(r, fds[R]);
}

static void drop(const int fds[2], struct ring *r)
{
	CHECK_OK(ph_close(fds[R]));
	CHECK_OK(ph_close(fds[W]));
	ring_close(r);
	pipe_works();
}

static void set_locks(struct ring *r, uint32_t value)
{
	for (int i = 0; i < RING_LOCKS; i++)
		__atomic_store_n(r->locks[i], value, __ATOMIC_RELAXED);
}

TEST(a_lock_that_names_nobody_alive_is_taken_over)
{
	const uint32_t values[] = {NO_THREAD, NO_THREAD | WAITERS, DIED,       DIED | WAITERS,
	                           WAITERS,   DIED | NO_THREAD,    UINT32_MAX, UINT32_MAX & ~DIED};
	int fds[2];
	char buf[8];
	struct ring r;
	make(fds, &r);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		const double begin = seconds(CLOCK_MONOTONIC);
		set_locks(&r, values[i]);
		CHECK_EQ(ph_write(fds[W], "message", 7), 7);
		CHECK_EQ(ph_read(fds[R], buf, sizeof(buf)), 7);
		CHECK(memcmp(buf, "message", 7) == 0);
		CHECK(seconds(CLOCK_MONOTONIC) - begin < STEP_LIMIT_S);
	}
	drop(fds, &r);
}

// The writer goes round the ring; the reader says what is the matter.
TEST(a_lock_that_names_the_caller_is_a_deadlock)
{
	int fds[2];
	char buf[8];
	struct ring r;
	make(fds, &r);
	set_locks(&r, (uint32_t)getpid());
	CHECK_ERR(ph_read(fds[R], buf, 1), EDEADLK);
	CHECK_EQ(ph_write(fds[W], "a", 1), 1);
	set_locks(&r, 0);
	CHECK_EQ(ph_read(fds[R], buf, sizeof(buf)), 1);
	CHECK_EQ(buf[0], 'a');
	drop(fds, &r);
}

// ---- calls that wait ----

struct waiter {
	int fds[2];
	struct diary *diary;
	ssize_t (*call)(int fds[2]);
	const char *name;
	bool may_spin;
};

static void begin_call(struct diary *d, const char *name)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	atomic_store(&d->call, name);
	atomic_store(&d->since_ns, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
}

static void on_alarm(int signo)
{
	(void)signo;
}

// What signals do not end, nobody can end.
static void call_with_alarms(void *arg)
{
	struct waiter *w = arg;
	const struct sigaction action = {.sa_handler = on_alarm};
	const struct itimerval often = {{0, 20000}, {0, 20000}};
	CHECK_OK(sigaction(SIGALRM, &action, NULL));
	CHECK_OK(setitimer(ITIMER_REAL, &often, NULL));
	begin_call(w->diary, w->name);
	const double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	const ssize_t n = w->call(w->fds);
	if (n < 0 && errno != EINTR && errno != EBADMSG)
		test_failed(__FILE__, __LINE__, "%s: %s", w->name, strerror(errno));
	CHECK(w->may_spin || seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu < 0.5);
	setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
}

static ssize_t write_one(int fds[2])
{
	return ph_write(fds[W], "x", 1);
}

static ssize_t read_one(int fds[2])
{
	char c;
	return ph_read(fds[R], &c, 1);
}

static ssize_t write_much(int fds[2])
{
	static const char much[4 << 20];
	return ph_write(fds[W], much, sizeof(much));
}

static void watch_call(struct waiter *w)
{
	w->diary = diaries_new(1);
	snprintf(w->diary->note, sizeof(w->diary->note), "%s", test_name());
	pid_t pid = test_fork(call_with_alarms, w);
	victims_join(w->diary, &pid, 1);
}

static void expect_to_end(int fds[2], ssize_t (*call)(int[2]), const char *name)
{
	struct waiter w = {.fds = {fds[R], fds[W]}, .call = call, .name = name};
	watch_call(&w);
}

static void lock_names(uint32_t tid)
{
	int fds[2];
	struct ring r;
	make(fds, &r);
	set_locks(&r, tid);
	expect_to_end(fds, write_one, "a write");
	set_locks(&r, tid);
	expect_to_end(fds, read_one, "a read");
	set_locks(&r, 0);
	drop(fds, &r);
}

TEST(a_lock_that_names_a_stranger_does_not_block_for_ever)
{
	lock_names((uint32_t)getppid());
}

// Of the first process nobody may ask much.
TEST(a_lock_that_names_one_who_cannot_be_asked_does_not_block_for_ever)
{
	lock_names(1);
}

TEST(a_loan_that_names_a_stranger_does_not_block_for_ever)
{
	int fds[2];
	struct ring r;
	make(fds, &r);
	CHECK_EQ(ph_write(fds[W], "abc", 3), 3);
	r.c->reserved = r.c->held = (uint32_t)getppid();
	expect_to_end(fds, write_one, "a write");
	expect_to_end(fds, read_one, "a read");
	ring_restore(&r);
	drop(fds, &r);
}

TEST(loans_that_name_the_dead_are_cleared)
{
	int fds[2];
	char buf[8];
	struct ring r;
	make(fds, &r);
	CHECK_EQ(ph_write(fds[W], "abc", 3), 3);
	r.c->reserved = r.c->held = NO_THREAD;
	CHECK_EQ(ph_write(fds[W], "def", 3), 3);
	CHECK_EQ(ph_read(fds[R], buf, sizeof(buf)), 6);
	CHECK(memcmp(buf, "abcdef", 6) == 0);
	drop(fds, &r);
}

static ssize_t export_it(int fds[2])
{
	return ph_export(fds[W]);
}

// A flush waits for those who are on their way to the kernel's pipe.
TEST(a_list_of_goers_that_lies_does_not_hold_up_a_flush_for_ever)
{
	const uint32_t names[] = {NO_THREAD, UINT32_MAX, (uint32_t)getppid(), 0};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int fds[2];
		char buf[8];
		struct ring r;
		make(fds, &r);
		CHECK_EQ(ph_write(fds[W], "abc", 3), 3);
		r.c->goers[i] = names[i];
		r.c->goers_beyond = names[i] == 0;
		struct waiter w = {{fds[R], fds[W]}, NULL, export_it, "an export", .may_spin = true};
		watch_call(&w);
		CHECK_EQ(ph_read(fds[R], buf, sizeof(buf)), 3);
		CHECK(memcmp(buf, "abc", 3) == 0);
		drop(fds, &r);
	}
}

// A write larger than both places, with nobody to read: it sleeps, and signals end it.
TEST(lies_in_the_words_of_sleepers_do_not_make_a_writer_spin)
{
	const size_t words[] = {
		offsetof(struct pipe_control, room_event),   offsetof(struct pipe_control, tx_asleep),
		offsetof(struct pipe_control, lease),        offsetof(struct pipe_control, seal_wanted),
		offsetof(struct pipe_control, goers_beyond), offsetof(struct pipe_control, sleepers_beyond),
		offsetof(struct pipe_control, writers),      offsetof(struct pipe_control, flags),
	};
	const uint32_t values[] = {0, 1, UINT32_MAX, NO_THREAD, (uint32_t)getppid(), DIED};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		for (size_t k = 0; k < sizeof(values) / sizeof(values[0]); k++) {
			int fds[2];
			struct ring r;
			make(fds, &r);
			*(uint32_t *)((uint8_t *)r.c + words[i]) = values[k];
			expect_to_end(fds, write_much, "a large write");
			CHECK_OK(ph_close(fds[R]));
			CHECK_OK(ph_close(fds[W]));
			ring_close(&r);
		}
	pipe_works();
}

// ---- a reader asleep in the kernel's pipe ----

struct sleeper {
	int fds[2];
	atomic_int *got;
};

static void read_to_the_end(void *arg)
{
	const struct sleeper *s = arg;
	char buf[64];
	ssize_t n;
	CHECK_OK(ph_close(s->fds[W]));
	while ((n = ph_read(s->fds[R], buf, sizeof(buf))) > 0)
		atomic_fetch_add(s->got, (int)n);
	CHECK_EQ(n, 0);
	CHECK_OK(ph_close(s->fds[R]));
}

// A lease that lies keeps bytes from a sleeping reader, as one who read them would; but not the end.
TEST(a_lease_that_lies_does_not_keep_the_end_of_file_from_a_sleeping_reader)
{
	const uint32_t values[] = {NO_THREAD,          DIED,    DIED | WAITERS, (uint32_t)getppid(),
	                           (uint32_t)getpid(), WAITERS, UINT32_MAX};
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct sleeper s = {.got = (atomic_int *)diaries_new(1)};
		struct ring r;
		make(s.fds, &r);
		const pid_t pid = test_fork(read_to_the_end, &s);
		test_wait_asleep(pid);
		__atomic_store_n(&r.c->lease, values[i], __ATOMIC_RELAXED);
		const ssize_t n = ph_write(s.fds[W], "abc", 3);
		CHECK(n == 3);
		CHECK_OK(ph_close(s.fds[R]));
		CHECK_OK(ph_close(s.fds[W]));
		test_join(pid);
		CHECK(atomic_load(s.got) == 3 || atomic_load(s.got) == 0);
		ring_close(&r);
	}
	pipe_works();
}

// SPDX-License-Identifier: MIT
//
// tests/core/record.c - a process's recording, as it stands in its file: whole and in order whatever came in between,
// signal handlers and kills included; one for each process, a ring for each thread.
#include "core/record.h"
#include "posthaste/semaphore.h"
#include "runner.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

enum { DEPTH = 256 };

static sem_t lamp, bell;

static const char *file_of(pid_t pid)
{
	static char path[512];
	snprintf(path, sizeof path, "%s/" RECORD_PREFIX "%d", getenv("POSTHASTE_DIR"), (int)pid);
	return path;
}

struct recording {
	uint8_t *base;
	size_t bytes;
};

static struct recording open_recording(pid_t pid)
{
	struct stat st;
	int fd = (int)CHECK_OK(open(file_of(pid), O_RDONLY | O_CLOEXEC));
	CHECK_OK(fstat(fd, &st));
	struct recording r = {NULL, (size_t)st.st_size};
	CHECK_EQ(r.bytes, RECORD_BYTES(DEPTH));
	r.base = mmap(NULL, r.bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	CHECK(r.base != MAP_FAILED);
	close(fd);
	return r;
}

static void close_recording(struct recording *r)
{
	CHECK_OK(munmap(r->base, r->bytes));
}

static const struct record_thread *thread_of(const struct recording *r, int i)
{
	return (const struct record_thread *)(r->base + RECORD_THREADS_AT) + i;
}

static const struct record_entry *entry_of(const struct recording *r, int thread, uint64_t n)
{
	const uint8_t *ring =
		r->base + RECORD_RINGS_AT + (size_t)thread * DEPTH * sizeof(struct record_entry);
	return (const struct record_entry *)ring + n % DEPTH;
}

static bool is_whole(const struct record_entry *e, uint64_t n)
{
	return (uint16_t)e->object == (uint16_t)n && (uint16_t)e->outcome == (uint16_t)n;
}

static enum record_op op_of(const struct record_entry *e)
{
	return (enum record_op)(e->outcome >> 16 & 0x7f);
}

// The number behind the newest whole entry.
static uint64_t end_of(const struct recording *r, int thread)
{
	uint64_t n = thread_of(r, thread)->next;
	uint64_t end = n;
	for (uint64_t i = n; i < n + RECORD_AHEAD; i++)
		if (is_whole(entry_of(r, thread, i), i))
			end = i + 1;
	return end;
}

TEST(the_last_operations_are_there_in_order_with_their_results)
{
	CHECK_OK(ph_sem_init(&lamp, 0, 0));
	for (int i = 0; i < 1000; i++) {
		CHECK_OK(ph_sem_post(&lamp));
		CHECK_OK(ph_sem_wait(&lamp));
		CHECK_ERR(ph_sem_trywait(&lamp), EAGAIN);
	}
	struct recording r = open_recording(getpid());
	const enum record_op ops[3] = {RECORD_sem_post, RECORD_sem_wait, RECORD_sem_trywait};
	CHECK_EQ(thread_of(&r, 0)->tid, getpid());
	CHECK_EQ(end_of(&r, 0), 3001);
	for (uint64_t n = 3001 - DEPTH; n < 3001; n++) {
		const struct record_entry *e = entry_of(&r, 0, n);
		CHECK(is_whole(e, n));
		CHECK_EQ(op_of(e), ops[(n - 1) % 3]);
		CHECK_EQ(e->object >> 16, (uintptr_t)&lamp & RECORD_KEY_MASK);
		CHECK_EQ((int64_t)e->outcome >> 24, (n - 1) % 3 == 2 ? -EAGAIN : 0);
	}
	close_recording(&r);
}

static int64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

TEST(times_rise_and_lie_within_the_test)
{
	int64_t begin = now_ns();
	CHECK_OK(ph_sem_init(&lamp, 0, 0));
	for (int i = 0; i < 100000; i++) {
		CHECK_OK(ph_sem_post(&lamp));
		CHECK_OK(ph_sem_wait(&lamp));
	}
	struct recording r = open_recording(getpid());
	uint64_t end = end_of(&r, 0);
	int timed = 0;
	for (uint64_t n = end - DEPTH; n < end; n++) {
		const struct record_entry *e = entry_of(&r, 0, n);
		if (!(e->outcome & RECORD_TIMED))
			continue;
		CHECK(e->when_ns >= begin && e->when_ns <= now_ns());
		CHECK_EQ(e->waited_ns, 0);
		begin = e->when_ns;
		timed++;
	}
	CHECK(timed >= 1);
	close_recording(&r);
}

TEST(a_wait_is_timed_and_seen_while_it_lasts)
{
	CHECK_OK(ph_sem_init(&lamp, 1, 0));
	struct timespec soon;
	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_nsec += 50000000;
	soon.tv_sec += soon.tv_nsec / 1000000000;
	soon.tv_nsec %= 1000000000;
	CHECK_ERR(ph_sem_timedwait(&lamp, &soon), ETIMEDOUT);
	struct recording r = open_recording(getpid());
	uint64_t end = end_of(&r, 0);
	const struct record_entry *e = entry_of(&r, 0, end - 1);
	CHECK_EQ(op_of(e), RECORD_sem_wait);
	CHECK_EQ((int64_t)e->outcome >> 24, -ETIMEDOUT);
	CHECK(e->outcome & RECORD_TIMED);
	CHECK(e->waited_ns > 0 && e->waited_ns < 60 * UINT64_C(1000000000));
	CHECK_EQ(thread_of(&r, 0)->since_ns, 0);
	close_recording(&r);
}

// ---- with handlers, and until a kill ----

static void ring_bell(int sig)
{
	(void)sig;
	ph_sem_post(&bell);
	ph_sem_trywait(&bell);
}

static void work_for_ever(void *arg)
{
	const struct itimerval often = {{0, 60}, {0, 60}};
	struct sigaction sa = {.sa_handler = ring_bell, .sa_flags = SA_RESTART};
	(void)arg;
	CHECK_OK(ph_sem_init(&bell, 0, 0));
	CHECK_OK(ph_sem_init(&lamp, 0, 0));
	CHECK_OK(sigaction(SIGALRM, &sa, NULL));
	CHECK_OK(setitimer(ITIMER_REAL, &often, NULL));
	for (;;) {
		ph_sem_post(&lamp);
		ph_sem_wait(&lamp);
	}
}

static bool works(void *arg)
{
	struct stat st;
	pid_t pid = *(pid_t *)arg;
	if (stat(file_of(pid), &st) != 0)
		return false;
	struct recording r = open_recording(pid);
	bool far = thread_of(&r, 0)->next > 4 * DEPTH;
	close_recording(&r);
	return far;
}

// Two of each object follow each other; what a handler did in between is two of its own. At most a few are lost, of a
// handler that came between two instructions, and of the one that was being written.
static void judge(pid_t pid)
{
	struct recording r = open_recording(pid);
	uint64_t end = end_of(&r, 0);
	int lost = 0;
	for (uint64_t n = end - DEPTH + RECORD_AHEAD; n < end; n++) {
		const struct record_entry *e = entry_of(&r, 0, n);
		if (!is_whole(e, n)) {
			lost++;
			continue;
		}
		uint64_t key = e->object >> 16;
		bool of_lamp = key == ((uintptr_t)&lamp & RECORD_KEY_MASK);
		CHECK(of_lamp || key == ((uintptr_t)&bell & RECORD_KEY_MASK));
		CHECK(op_of(e) == RECORD_sem_post ||
		      op_of(e) == (of_lamp ? RECORD_sem_wait : RECORD_sem_trywait));
		CHECK_EQ((int64_t)e->outcome >> 24, 0);
	}
	CHECK(lost <= 3);
	close_recording(&r);
}

TEST(a_kill_at_any_moment_leaves_whole_entries)
{
	for (int round = 0; round < 40; round++) {
		pid_t pid = test_fork(work_for_ever, NULL);
		test_wait_until(works, &pid);
		test_kill(pid);
		judge(pid);
		CHECK_OK(unlink(file_of(pid)));
	}
}

// ---- one for each process, a ring for each thread ----

static void post_in_child(void *arg)
{
	(void)arg;
	CHECK_OK(ph_sem_post(&lamp));
	struct recording r = open_recording(getpid());
	CHECK_EQ(end_of(&r, 0), 1);
	CHECK_EQ(op_of(entry_of(&r, 0, 0)), RECORD_sem_post);
	close_recording(&r);
}

TEST(a_child_has_a_recording_of_its_own_which_goes_with_it)
{
	CHECK_OK(ph_sem_init(&lamp, 1, 0));
	pid_t pid = test_fork(post_in_child, NULL);
	test_join(pid);
	if (!SANITIZED) // whose _exit does not come by the library's
		CHECK_ERR(access(file_of(pid), F_OK), ENOENT);
	CHECK_OK(ph_sem_post(&lamp));
	struct recording r = open_recording(getpid());
	CHECK_EQ(end_of(&r, 0), 2); // none of the child's
	close_recording(&r);
}

// Without any of the C library's preparations.
TEST(a_child_of_a_raw_fork_has_one_as_well)
{
	CHECK_OK(ph_sem_init(&lamp, 1, 0));
	pid_t pid = (pid_t)CHECK_OK(syscall(SYS_fork));
	if (pid == 0) {
		bool posted = ph_sem_post(&lamp) == 0;
		struct recording r = open_recording((pid_t)syscall(SYS_getpid));
		syscall(SYS_exit_group, posted && end_of(&r, 0) == 1 ? 0 : 1);
	}
	test_join(pid);
	CHECK_OK(unlink(file_of(pid)));
	struct recording r = open_recording(getpid());
	CHECK_EQ(end_of(&r, 0), 1);
	close_recording(&r);
}

static pthread_barrier_t together;

static void *post_once(void *arg)
{
	ph_sem_post(&lamp);
	pthread_barrier_wait(&together);
	pthread_barrier_wait(&together);
	return arg;
}

TEST(threads_beyond_the_room_are_counted_and_the_dead_make_room)
{
	enum { THREADS = RECORD_THREADS + 3 };
	pthread_t thread[THREADS];
	CHECK_OK(ph_sem_init(&lamp, 0, 0)); // this thread has one, too
	pthread_barrier_init(&together, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&thread[i], NULL, post_once, NULL), 0);
	pthread_barrier_wait(&together);
	struct recording r = open_recording(getpid());
	const struct record_process *p = (const struct record_process *)(r.base + PHI_REGION_BODY);
	CHECK_EQ(p->unrecorded, 4);
	for (int i = 1; i < RECORD_THREADS; i++)
		CHECK_EQ(op_of(entry_of(&r, i, 0)), RECORD_sem_post);
	close_recording(&r);
	pthread_barrier_wait(&together);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_join(thread[i], NULL), 0);
	pthread_barrier_destroy(&together);
	pthread_barrier_init(&together, NULL, 1);
	CHECK_EQ(pthread_create(&thread[0], NULL, post_once, NULL), 0);
	CHECK_EQ(pthread_join(thread[0], NULL), 0);
	r = open_recording(getpid());
	CHECK_EQ(((const struct record_process *)(r.base + PHI_REGION_BODY))->unrecorded, 4);
	close_recording(&r);
}

TEST(a_recording_that_is_cut_harms_nobody)
{
	CHECK_OK(ph_sem_init(&lamp, 0, 0));
	CHECK_OK(truncate(file_of(getpid()), 0));
	for (int i = 0; i < 1000; i++) {
		CHECK_OK(ph_sem_post(&lamp));
		CHECK_OK(ph_sem_wait(&lamp));
	}
}

TEST(nothing_is_recorded_where_that_is_switched_off)
{
	CHECK_OK(setenv("POSTHASTE_TRACE", "0", 1));
	CHECK_OK(ph_sem_init(&lamp, 0, 0));
	CHECK_OK(ph_sem_post(&lamp));
	CHECK_ERR(access(file_of(getpid()), F_OK), ENOENT);
}

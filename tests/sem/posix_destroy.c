// SPDX-License-Identifier: MIT
//
// tests/sem/posix_destroy.c - who has come through a wait may end the semaphore and free its memory at once,
// although the post that let it through has not returned (POSIX, sem_destroy, rationale; the classic use: wait
// for the answer to a request whose semaphore is on the stack).
//
// A post that looked once more would touch memory that is unmapped, or has become something else: the test
// unmaps it, or writes a pattern there and looks at it afterwards.
#include "sem.h"

#include <sched.h>

enum { ROUNDS = 20000 / SLOWER };

// The request: a place for the address of the semaphore to post to.
static _Atomic(sem_t *) request;
static atomic_int over;

static void *answer_requests(void *arg)
{
	while (!atomic_load(&over)) {
		sem_t *sem = atomic_exchange(&request, NULL);
		if (sem)
			CHECK_OK(sem_post(sem));
		else
			sched_yield();
	}
	return arg;
}

static void ask(sem_t *sem)
{
	CHECK_OK(sem_init(sem, 0, 0));
	atomic_store(&request, sem);
	take(sem);
	CHECK_OK(sem_destroy(sem));
}

static void with_answering_threads(void (*fn)(void))
{
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, answer_requests, NULL), 0);
	fn();
	atomic_store(&over, 1);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

static void ask_and_free(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		sem_t *sem = malloc(sizeof(*sem));
		CHECK(sem != NULL);
		ask(sem);
		free(sem);
	}
}

TEST(semaphore_may_be_freed_by_who_came_through)
{
	with_answering_threads(ask_and_free);
}

static void ask_and_unmap(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		sem_t *sem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(sem != MAP_FAILED);
		ask(sem);
		CHECK_OK(munmap(sem, 4096));
	}
}

TEST(memory_of_a_semaphore_may_be_unmapped_by_who_came_through)
{
	with_answering_threads(ask_and_unmap);
}

// The same bytes are something else at once, and nobody changes them.
static void ask_and_write_over(void)
{
	union {
		sem_t sem;
		unsigned char bytes[sizeof(sem_t)];
	} u;

	for (int i = 0; i < ROUNDS; i++) {
		ask(&u.sem);
		memset(u.bytes, i & 0xff, sizeof(u.bytes));
		if (i % 4 == 0)
			sched_yield();
		for (size_t k = 0; k < sizeof(u.bytes); k++)
			CHECK_EQ(u.bytes[k], i & 0xff);
	}
}

TEST(memory_of_a_semaphore_is_the_callers_after_the_wait)
{
	with_answering_threads(ask_and_write_over);
}

/* ---- processes ---- */

// A page of a file at an address of each process; the two go through many pages together.
struct meeting {
	atomic_int asked;
	int fd;
};

static sem_t *map_at(int fd, int page)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)page * 4096);

	CHECK(p != MAP_FAILED);
	return p;
}

enum { PAGES = 16, MEETINGS = 5000 / SLOWER };

static void answer_in_a_process(void *arg)
{
	struct meeting *m = arg;
	sem_t *sems[PAGES];

	for (int i = 0; i < PAGES; i++)
		sems[i] = map_at(m->fd, i);
	for (int i = 0; i < MEETINGS; i++) {
		while (atomic_load(&m->asked) <= i)
			sched_yield();
		CHECK_OK(sem_post(sems[i % PAGES]));
	}
}

TEST(other_process_may_unmap_and_use_the_page_for_something_else)
{
	char path[] = "/dev/shm/posthaste-test-page-XXXXXX";
	struct meeting *m = share(sizeof(*m));

	m->fd = (int)CHECK_OK(mkstemp(path));
	CHECK_OK(unlink(path));
	CHECK_OK(ftruncate(m->fd, PAGES * 4096));
	pid_t pid = test_fork(answer_in_a_process, m);
	for (int i = 0; i < MEETINGS; i++) {
		sem_t *sem = map_at(m->fd, i % PAGES);
		CHECK_OK(sem_init(sem, 1, 0));
		atomic_store(&m->asked, i + 1);
		take(sem);
		CHECK_OK(sem_destroy(sem));
		memset(sem, 0x5a, sizeof(*sem));
		for (size_t k = 0; k < sizeof(*sem); k++)
			CHECK_EQ(((volatile unsigned char *)sem)[k], 0x5a);
		CHECK_OK(munmap(sem, 4096));
	}
	test_join(pid);
	CHECK_OK(close(m->fd));
}

// Whether it is the last of several that came through who frees it: the units say who.
struct shared_end {
	sem_t *sem;
	atomic_int left;
};

static void *come_through_and_free(void *arg)
{
	struct shared_end *end = arg;

	take(end->sem);
	if (atomic_fetch_sub(&end->left, 1) == 1) {
		CHECK_OK(sem_destroy(end->sem));
		CHECK_OK(munmap(end->sem, 4096));
	}
	return NULL;
}

TEST(last_of_several_sleepers_may_unmap_it)
{
	for (int round = 0; round < 500 / SLOWER; round++) {
		struct shared_end end = {.left = 3};
		pthread_t threads[3];
		end.sem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(end.sem != MAP_FAILED);
		CHECK_OK(sem_init(end.sem, 0, 0));
		for (int i = 0; i < 3; i++)
			CHECK_EQ(pthread_create(&threads[i], NULL, come_through_and_free, &end), 0);
		for (int i = 0; i < 3; i++)
			CHECK_OK(sem_post(end.sem));
		for (int i = 0; i < 3; i++)
			CHECK_EQ(pthread_join(threads[i], NULL), 0);
	}
}

#ifndef TEST_KERNEL
TEST(calls_on_a_destroyed_one_are_einval)
{
	const struct timespec past = {0, 0};
	sem_t sem;
	int value = 42;

	CHECK_OK(sem_init(&sem, 0, 3));
	CHECK_OK(sem_destroy(&sem));
	CHECK_ERR(sem_destroy(&sem), EINVAL);
	CHECK_ERR(sem_wait(&sem), EINVAL);
	CHECK_ERR(sem_trywait(&sem), EINVAL);
	CHECK_ERR(sem_timedwait(&sem, &past), EINVAL);
	CHECK_ERR(sem_clockwait(&sem, CLOCK_MONOTONIC, &past), EINVAL);
	CHECK_ERR(sem_post(&sem), EINVAL);
	CHECK_ERR(sem_getvalue(&sem, &value), EINVAL);
	CHECK_EQ(value, 42);
}

TEST(memory_that_is_no_semaphore_is_einval)
{
	sem_t sem;

	for (int byte = 0; byte < 256; byte += 15) {
		memset(&sem, byte, sizeof(sem));
		CHECK_ERR(sem_post(&sem), EINVAL);
		CHECK_ERR(sem_trywait(&sem), EINVAL);
		CHECK_ERR(sem_wait(&sem), EINVAL);
		CHECK_ERR(sem_destroy(&sem), EINVAL);
		CHECK_ERR(sem_close(&sem), EINVAL);
	}
}

TEST(destroy_of_a_named_one_is_einval)
{
	sem_t *sem = make_named(1);

	CHECK_ERR(sem_destroy(sem), EINVAL);
	CHECK_EQ(units_of(sem), 1);
	drop_named(sem);
}
#endif

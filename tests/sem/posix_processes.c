// SPDX-License-Identifier: MIT
//
// tests/sem/posix_processes.c - what semaphores are used for, between processes: a lock, turns, a bounded buffer
// in shared memory, more users than CPUs, users that come and go; and that what was written before a post
// is seen after the wait.
#include "sem.h"

#include <sched.h>

enum { CROWD = 8 };

// The shared memory of a test. The counters are plain: only the semaphores order them.
struct place {
	sem_t lock, ping, pong, room, items, head, tail;
	long count, mirrored;
	long lines[64];
	long item[4];
	unsigned put, got;
	_Atomic long sum;
};

static void with_children(void (*fn)(void *), struct place *p, int count)
{
	pid_t pid[CROWD];

	for (int i = 0; i < count; i++)
		pid[i] = test_fork(fn, p);
	for (int i = 0; i < count; i++)
		test_join(pid[i]);
}

/* ---- a lock ---- */

enum { TURNS = 20000 / SLOWER };

static void count_under(sem_t *sem, struct place *p)
{
	for (int i = 0; i < TURNS; i++) {
		take(sem);
		CHECK_EQ(p->count, -p->mirrored);
		p->count++;
		if (i % 1000 == 0)
			sched_yield(); // the others find it taken
		p->mirrored--;
		give(sem, 1);
	}
}

static void count_under_the_lock(void *arg)
{
	struct place *p = arg;

	count_under(&p->lock, p);
}

static void count_under_the_name(void *arg)
{
	count_under(open_named(), arg);
}

TEST(eight_processes_contend_for_one_unit)
{
	struct place *p = share(sizeof(*p));

	CHECK_OK(sem_init(&p->lock, 1, 1));
	with_children(count_under_the_lock, p, CROWD);
	CHECK_EQ(p->count, (long)CROWD * TURNS);
	CHECK_EQ(units_of(&p->lock), 1);
	CHECK_OK(sem_destroy(&p->lock));
}

TEST(eight_processes_contend_for_one_unit_of_a_name)
{
	struct place *p = share(sizeof(*p));

	CHECK_OK(sem_close(make_named(1)));
	with_children(count_under_the_name, p, CROWD);
	CHECK_EQ(p->count, (long)CROWD * TURNS);
	sem_t *sem = open_named();
	CHECK_EQ(units_of(sem), 1);
	drop_named(sem);
}

static void count_in_short_visits(void *arg)
{
	struct place *p = arg;

	for (int i = 0; i < 300; i++) {
		sem_t *sem = open_named();
		take(sem);
		p->count++;
		give(sem, 1);
		CHECK_OK(sem_close(sem));
	}
}

TEST(unrelated_processes_open_take_give_and_close_at_once)
{
	struct place *p = share(sizeof(*p));

	CHECK_OK(sem_close(make_named(1)));
	with_children(count_in_short_visits, p, CROWD);
	CHECK_EQ(p->count, CROWD * 300L);
	CHECK_OK(sem_unlink(test_name()));
}

static void be_among_three(void *arg)
{
	struct place *p = arg;

	for (int i = 0; i < TURNS / 10; i++) {
		take(&p->lock);
		const long inside = __atomic_add_fetch(&p->count, 1, __ATOMIC_RELAXED);
		CHECK(inside >= 1 && inside <= 3);
		sched_yield();
		__atomic_sub_fetch(&p->count, 1, __ATOMIC_RELAXED);
		give(&p->lock, 1);
	}
}

TEST(three_units_let_three_in_and_no_more)
{
	struct place *p = share(sizeof(*p));

	CHECK_OK(sem_init(&p->lock, 1, 3));
	with_children(be_among_three, p, CROWD);
	CHECK_EQ(p->count, 0);
	CHECK_EQ(units_of(&p->lock), 3);
}

/* ---- turns, and what is seen after a wait ---- */

// Every line is read and written by both, in turns, without any other order between them.
static void answer(void *arg)
{
	struct place *p = arg;

	for (long turn = 0; turn < TURNS; turn++) {
		take(&p->ping);
		for (int i = 0; i < 64; i++) {
			CHECK_EQ(p->lines[i], 2 * turn + 1);
			p->lines[i]++;
		}
		give(&p->pong, 1);
	}
}

TEST(what_was_written_before_a_post_is_seen_after_the_wait)
{
	struct place *p = share(sizeof(*p));

	CHECK_OK(sem_init(&p->ping, 1, 0));
	CHECK_OK(sem_init(&p->pong, 1, 0));
	pid_t pid = test_fork(answer, p);
	for (long turn = 0; turn < TURNS; turn++) {
		for (int i = 0; i < 64; i++)
			p->lines[i]++;
		give(&p->ping, 1);
		take(&p->pong);
		for (int i = 0; i < 64; i++)
			CHECK_EQ(p->lines[i], 2 * turn + 2);
	}
	test_join(pid);
}

static void answer_tries(void *arg)
{
	struct place *p = arg;

	for (long turn = 0; turn < TURNS; turn++) {
		while (sem_trywait(&p->ping) == -1)
			sched_yield();
		CHECK_EQ(p->count, turn + 1);
		give(&p->pong, 1);
	}
}

TEST(what_was_written_before_a_post_is_seen_after_a_try)
{
	struct place *p = share(sizeof(*p));

	CHECK_OK(sem_init(&p->ping, 1, 0));
	CHECK_OK(sem_init(&p->pong, 1, 0));
	pid_t pid = test_fork(answer_tries, p);
	for (long turn = 0; turn < TURNS; turn++) {
		p->count++;
		give(&p->ping, 1);
		while (sem_trywait(&p->pong) == -1)
			sched_yield();
	}
	test_join(pid);
}

/* ---- a bounded buffer ---- */

enum { ITEMS = 10000 / SLOWER, SIDES = 3 };

static void produce(void *arg)
{
	struct place *p = arg;

	for (long i = 1; i <= ITEMS; i++) {
		take(&p->room);
		take(&p->tail);
		CHECK_EQ(p->item[p->put % 4], 0);
		p->item[p->put++ % 4] = i;
		give(&p->tail, 1);
		give(&p->items, 1);
	}
}

static void consume(void *arg)
{
	struct place *p = arg;

	for (long i = 1; i <= ITEMS; i++) {
		take(&p->items);
		take(&p->head);
		CHECK(p->item[p->got % 4] != 0);
		atomic_fetch_add(&p->sum, p->item[p->got % 4]);
		p->item[p->got++ % 4] = 0;
		give(&p->head, 1);
		give(&p->room, 1);
	}
}

TEST(bounded_buffer_between_processes_keeps_every_item)
{
	struct place *p = share(sizeof(*p));
	pid_t pid[2 * SIDES];

	CHECK_OK(sem_init(&p->room, 1, 4));
	CHECK_OK(sem_init(&p->items, 1, 0));
	CHECK_OK(sem_init(&p->head, 1, 1));
	CHECK_OK(sem_init(&p->tail, 1, 1));
	for (int i = 0; i < 2 * SIDES; i++)
		pid[i] = test_fork(i & 1 ? consume : produce, p);
	for (int i = 0; i < 2 * SIDES; i++)
		test_join(pid[i]);
	CHECK_EQ(p->sum, (long)SIDES * ITEMS * (ITEMS + 1) / 2);
	CHECK_EQ(units_of(&p->room), 4);
	CHECK_EQ(units_of(&p->items), 0);
}

/* ---- many ---- */

static void take_in_a_crowd(void *arg)
{
	struct place *p = arg;

	take(&p->lock);
	atomic_fetch_add(&p->sum, 1);
}

TEST(two_hundred_sleepers_all_get_their_unit)
{
	enum { MANY = 200 };
	struct place *p = share(sizeof(*p));
	static pid_t pid[MANY];

	CHECK_OK(sem_init(&p->lock, 1, 0));
	for (int i = 0; i < MANY; i++)
		pid[i] = test_fork(take_in_a_crowd, p);
	for (int i = 0; i < MANY; i++)
		test_wait_asleep(pid[i]);
	CHECK_EQ(atomic_load(&p->sum), 0);
	give(&p->lock, MANY);
	for (int i = 0; i < MANY; i++)
		test_join(pid[i]);
	CHECK_EQ(atomic_load(&p->sum), MANY);
	CHECK_EQ(units_of(&p->lock), 0);
}

static void *take_as_a_thread(void *arg)
{
	take_in_a_crowd(arg);
	return NULL;
}

static void wait_with_threads(void *arg)
{
	pthread_t threads[10];

	for (int i = 0; i < 10; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, take_as_a_thread, arg), 0);
	for (int i = 0; i < 10; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

TEST(threads_of_several_processes_wait_at_once)
{
	struct place *p = share(sizeof(*p));
	pid_t pid[5];

	CHECK_OK(sem_init(&p->lock, 1, 0));
	for (int i = 0; i < 5; i++)
		pid[i] = test_fork(wait_with_threads, p);
	for (int i = 0; i < 50; i++) {
		give(&p->lock, 1);
		sched_yield();
	}
	for (int i = 0; i < 5; i++)
		test_join(pid[i]);
	CHECK_EQ(atomic_load(&p->sum), 50);
	CHECK_EQ(units_of(&p->lock), 0);
}

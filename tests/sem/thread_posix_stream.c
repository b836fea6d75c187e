// SPDX-License-Identifier: MIT
//
// tests/sem/thread_posix_stream.c - what semaphores are used for, with threads: a lock, a bounded buffer, taking
// turns, philosophers. The data between them is plain memory, so ThreadSanitizer sees whether a unit orders
// what was written before it was posted.
#include "sem.h"

#include <sched.h>

enum { THREADS_MAX = 8 };

struct party {
	void (*act)(int number);
	int number;
	pthread_t thread;
};

static void *run_party(void *arg)
{
	struct party *party = arg;

	party->act(party->number);
	return NULL;
}

static void run(void (*act)(int number), int count)
{
	struct party party[THREADS_MAX];

	for (int i = 0; i < count; i++) {
		party[i] = (struct party){.act = act, .number = i};
		CHECK_EQ(pthread_create(&party[i].thread, NULL, run_party, &party[i]), 0);
	}
	for (int i = 0; i < count; i++)
		CHECK_EQ(pthread_join(party[i].thread, NULL), 0);
}

/* ---- a lock ---- */

enum { LOCKED_EACH = 100000 / SLOWER };

static sem_t lock;
static sem_t *named_lock;
static long counter, mirrored;

static void count_under(sem_t *sem)
{
	for (int i = 0; i < LOCKED_EACH; i++) {
		take(sem);
		counter++;
		mirrored--;
		CHECK_EQ(counter, -mirrored);
		give(sem, 1);
	}
}

static void count_under_the_lock(int number)
{
	(void)number;
	count_under(&lock);
}

static void count_under_the_named_lock(int number)
{
	(void)number;
	count_under(named_lock);
}

TEST(one_unit_excludes_threads)
{
	for (int shared = 0; shared < 2; shared++) {
		counter = mirrored = 0;
		CHECK_OK(sem_init(&lock, shared, 1));
		run(count_under_the_lock, 4);
		CHECK_EQ(counter, 4L * LOCKED_EACH);
		CHECK_EQ(units_of(&lock), 1);
		CHECK_OK(sem_destroy(&lock));
	}
}

TEST(one_unit_of_a_named_one_excludes_threads)
{
	named_lock = make_named(1);
	run(count_under_the_named_lock, 4);
	CHECK_EQ(counter, 4L * LOCKED_EACH);
	drop_named(named_lock);
}

static void count_by_tries(int number)
{
	for (int i = 0; i < LOCKED_EACH / 10;) {
		const struct timespec soon = on_clock(CLOCK_MONOTONIC, 1);
		if ((number & 1 ? sem_trywait(&lock) : sem_clockwait(&lock, CLOCK_MONOTONIC, &soon)) ==
		    -1) {
			CHECK(errno == EAGAIN || errno == ETIMEDOUT);
			sched_yield();
			continue;
		}
		counter++;
		give(&lock, 1);
		i++;
	}
}

TEST(tries_and_timed_waits_order_memory_as_waits_do)
{
	CHECK_OK(sem_init(&lock, 0, 1));
	run(count_by_tries, 4);
	CHECK_EQ(counter, 4L * (LOCKED_EACH / 10));
	CHECK_OK(sem_destroy(&lock));
}

/* ---- a bounded buffer ---- */

enum { ROOM = 4, ITEMS = 50000 / SLOWER };

static struct {
	sem_t room, items, head, tail;
	long item[ROOM];
	unsigned put, got;
} buffer;

static _Atomic long sum;

static void produce(int number)
{
	for (long i = 1; i <= ITEMS; i++) {
		take(&buffer.room);
		take(&buffer.tail);
		buffer.item[buffer.put++ % ROOM] = i * (number + 1);
		give(&buffer.tail, 1);
		give(&buffer.items, 1);
	}
}

static void consume(void)
{
	for (long i = 1; i <= ITEMS; i++) {
		take(&buffer.items);
		take(&buffer.head);
		long *item = &buffer.item[buffer.got++ % ROOM];
		CHECK(*item != 0);
		atomic_fetch_add(&sum, *item);
		*item = 0;
		give(&buffer.head, 1);
		give(&buffer.room, 1);
	}
}

static void produce_or_consume(int number)
{
	if (number & 1)
		consume();
	else
		produce(number / 2);
}

TEST(bounded_buffer_of_several_producers_and_consumers_keeps_every_item)
{
	CHECK_OK(sem_init(&buffer.room, 0, ROOM));
	CHECK_OK(sem_init(&buffer.items, 0, 0));
	CHECK_OK(sem_init(&buffer.head, 0, 1));
	CHECK_OK(sem_init(&buffer.tail, 0, 1));
	run(produce_or_consume, 6);
	CHECK_EQ(sum, (1L + 2 + 3) * ITEMS * (ITEMS + 1) / 2);
	CHECK_EQ(units_of(&buffer.room), ROOM);
	CHECK_EQ(units_of(&buffer.items), 0);
	sem_t *const all[] = {&buffer.room, &buffer.items, &buffer.head, &buffer.tail};
	for (int i = 0; i < 4; i++)
		CHECK_OK(sem_destroy(all[i]));
}

/* ---- turns ---- */

enum { TURNS = 20000 / SLOWER, RING = 4 };

static sem_t turn[RING];
static long ball;

static void pass_the_ball(int number)
{
	for (long i = 0; i < TURNS; i++) {
		take(&turn[number]);
		CHECK_EQ(ball, i * RING + number);
		ball++;
		give(&turn[(number + 1) % RING], 1);
	}
}

TEST(turns_go_round_in_their_order)
{
	for (int i = 0; i < RING; i++)
		CHECK_OK(sem_init(&turn[i], i & 1, i == 0));
	run(pass_the_ball, RING);
	CHECK_EQ(ball, (long)TURNS * RING);
	for (int i = 0; i < RING; i++) {
		CHECK_EQ(units_of(&turn[i]), i == 0);
		CHECK_OK(sem_destroy(&turn[i]));
	}
}

/* ---- philosophers ---- */

enum { SEATS = 5, MEALS = 5000 / SLOWER };

static sem_t forks[SEATS], seats;
static long plates[SEATS]; // one for each fork: whoever holds it writes there

static void dine(int number)
{
	const int right = (number + 1) % SEATS;

	for (int i = 0; i < MEALS; i++) {
		take(&seats);
		take(&forks[number]);
		take(&forks[right]);
		plates[number]++;
		plates[right]++;
		if (i % 16 == 0)
			sched_yield();
		give(&forks[right], 1);
		give(&forks[number], 1);
		give(&seats, 1);
	}
}

TEST(philosophers_all_eat)
{
	CHECK_OK(sem_init(&seats, 0, SEATS - 1));
	for (int i = 0; i < SEATS; i++)
		CHECK_OK(sem_init(&forks[i], 0, 1));
	run(dine, SEATS);
	for (int i = 0; i < SEATS; i++) {
		CHECK_EQ(plates[i], 2 * MEALS);
		CHECK_EQ(units_of(&forks[i]), 1);
		CHECK_OK(sem_destroy(&forks[i]));
	}
	CHECK_EQ(units_of(&seats), SEATS - 1);
	CHECK_OK(sem_destroy(&seats));
}

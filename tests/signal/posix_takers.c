// SPDX-License-Identifier: MIT
//
// tests/signal/posix_takers.c - several threads, and several processes, that take signals: each signal goes to one of
// them, what was sent to a thread to that thread alone.
#include "signals.h"

enum { TAKERS = 4, MANY = 3000 / SLOWER };

static atomic_int taken[MANY];
static atomic_int takes;

struct taker {
	pthread_t thread;
	atomic_int tid, got;
	int last; // value of the last one
	bool ordered;
};

// Take values until one below 0 comes.
static void *take_many(void *arg)
{
	struct taker *t = arg;

	atomic_store(&t->tid, gettid());
	t->last = -1;
	t->ordered = true;
	for (;;) {
		const int value = take(SET(RT0)).si_value.sival_int;
		if (value < 0)
			return NULL;
		t->ordered = t->ordered && value > t->last;
		t->last = value;
		atomic_fetch_add(&taken[value], 1);
		atomic_fetch_add(&t->got, 1);
		atomic_fetch_add(&takes, 1);
	}
}

static void start_takers(struct taker t[TAKERS], int count)
{
	memset(t, 0, TAKERS * sizeof(*t));
	for (int i = 0; i < count; i++)
		CHECK_EQ(pthread_create(&t[i].thread, NULL, take_many, &t[i]), 0);
	for (int i = 0; i < count; i++)
		wait_count(&t[i].tid, 1);
}

static void push(pid_t pid, int value)
{
	while (sigqueue(pid, RT0, value_of(value)) == -1) {
		CHECK_EQ(errno, EAGAIN);
		sched_yield();
	}
}

static void end_takers(struct taker t[TAKERS], int count)
{
	for (int i = 0; i < count; i++)
		push(getpid(), -1);
	for (int i = 0; i < count; i++)
		CHECK_EQ(pthread_join(t[i].thread, NULL), 0);
}

static void expect_all_once(void)
{
	for (int i = 0; i < MANY; i++)
		CHECK_EQ(atomic_load(&taken[i]), 1);
	CHECK_EQ(atomic_load(&takes), MANY);
}

TEST(each_signal_is_taken_by_one_thread)
{
	struct taker t[TAKERS];

	block(SET(RT0));
	start_takers(t, TAKERS);
	for (int i = 0; i < MANY; i++)
		push(getpid(), i);
	wait_count(&takes, MANY);
	end_takers(t, TAKERS);
	expect_all_once();
	for (int i = 0; i < TAKERS; i++)
		CHECK(t[i].ordered);
}

static void send_all(void *arg)
{
	for (int i = 0; i < MANY; i++)
		push(*(pid_t *)arg, i);
}

TEST(each_signal_of_another_process_is_taken_by_one_thread)
{
	struct taker t[TAKERS];
	pid_t self = getpid();

	block(SET(RT0));
	start_takers(t, TAKERS);
	const pid_t pid = test_fork(send_all, &self);
	wait_count(&takes, MANY);
	test_join(pid);
	end_takers(t, TAKERS);
	expect_all_once();
	for (int i = 0; i < TAKERS; i++)
		CHECK(t[i].ordered);
}

TEST(sleeping_threads_all_come_to_take)
{
	struct taker t[TAKERS];

	block(SET(RT0));
	start_takers(t, TAKERS);
	for (int i = 0; i < 100; i++) {
		for (int n = 0; n < TAKERS; n++)
			test_wait_asleep(atomic_load(&t[n].tid));
		for (int n = 0; n < TAKERS; n++)
			push(getpid(), i * TAKERS + n);
		wait_count(&takes, (i + 1) * TAKERS);
	}
	end_takers(t, TAKERS);
	for (int i = 0; i < 100 * TAKERS; i++)
		CHECK_EQ(atomic_load(&taken[i]), 1);
}

/* ---- to a thread ---- */

TEST(signal_to_a_thread_is_taken_by_that_thread)
{
	struct taker t[TAKERS];

	block(SET(RT0));
	start_takers(t, TAKERS);
	for (int i = 0; i < 200; i++) {
		send_to_thread(t[i % TAKERS].thread, RT0, i);
		if (i % 50 == 0)
			test_wait_asleep(atomic_load(&t[(i + 1) % TAKERS].tid));
	}
	for (int n = 0; n < TAKERS; n++) {
		wait_count(&t[n].got, 50);
		CHECK_EQ(t[n].last % TAKERS, n);
		CHECK(t[n].ordered);
	}
	end_takers(t, TAKERS);
	CHECK_EQ(atomic_load(&takes), 200);
}

struct half {
	pthread_t thread;
	atomic_int go;
	bool mine, of_process;
};

static void *look_at_pending(void *arg)
{
	struct half *h = arg;

	wait_count(&h->go, 1);
	h->mine = is_pending(RT0);
	h->of_process = is_pending(RT1);
	if (h->mine)
		take_value(SET(RT0), RT0, 5);
	expect_none(SET(RT0));
	return NULL;
}

TEST(signal_to_a_thread_is_pending_for_that_thread_alone)
{
	struct half h[2] = {0};

	block(SET(RT0, RT1));
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&h[i].thread, NULL, look_at_pending, &h[i]), 0);
	send_to_thread(h[1].thread, RT0, 5);
	send_self(RT1, 6);
	CHECK(!is_pending(RT0));
	CHECK(is_pending(RT1));
	expect_none(SET(RT0));
	for (int i = 0; i < 2; i++)
		atomic_store(&h[i].go, 1);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(pthread_join(h[i].thread, NULL), 0);
		CHECK_EQ(h[i].mine, i == 1);
		CHECK(h[i].of_process);
	}
	take_value(SET(RT1), RT1, 6);
}

TEST(threads_own_signals_and_those_of_the_process_are_both_taken)
{
	int own = 0;

	block(SET(RT0));
	for (int i = 0; i < 10; i++) {
		send_to_thread(pthread_self(), RT0, 100 + i);
		send_self(RT0, i);
	}
	for (int i = 0, process = 0; i < 20; i++) { // each kind in its order
		const int value = take(SET(RT0)).si_value.sival_int;
		if (value >= 100)
			CHECK_EQ(value, 100 + own++);
		else
			CHECK_EQ(value, process++);
	}
	CHECK_EQ(own, 10);
	expect_none(SET(RT0));
}

/* ---- processes ---- */

struct herd {
	struct stage stage;
	pid_t to;
};

// Take until the end, and answer each to the parent.
static void take_and_answer(void *arg)
{
	struct herd *h = arg;

	arrive(&h->stage);
	for (;;) {
		const int value = take(SET(RT0)).si_value.sival_int;
		if (value < 0)
			return;
		while (sigqueue(h->to, RT1, value_of(value)) == -1) {
			CHECK_EQ(errno, EAGAIN);
			sched_yield();
		}
	}
}

TEST(many_processes_take_and_answer)
{
	enum { HERD = 6, TURNS = 300 };
	struct herd *h = share(sizeof(*h));
	pid_t pid[HERD];
	int next[HERD] = {0};

	block(SET(RT0, RT1));
	h->to = getpid();
	for (int i = 0; i < HERD; i++)
		pid[i] = fork_ready(take_and_answer, &h->stage);
	for (int n = 0; n < TURNS; n++) {
		for (int i = 0; i < HERD; i++)
			push(pid[i], n * HERD + i);
		for (int i = 0; i < HERD; i++) {
			const siginfo_t info = take(SET(RT1));
			const int who = info.si_value.sival_int % HERD;
			CHECK_EQ(info.si_value.sival_int, next[who] * HERD + who);
			CHECK_EQ(info.si_pid, pid[who]);
			next[who]++;
		}
	}
	for (int i = 0; i < HERD; i++) {
		push(pid[i], -1);
		test_join(pid[i]);
	}
	expect_none(SET(RT1));
}

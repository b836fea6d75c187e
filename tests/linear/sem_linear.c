// SPDX-License-Identifier: MIT
//
// tests/linear/sem_linear.c - many short concurrent histories of one semaphore, each checked for
// linearizability (sem_history.h). Processes, and threads of them, post, wait, try and look at random; each
// round ends with a look at the value, so that a lost or doubled unit shows as well.
//
// How the actors of a round meet: a process-shared barrier, then a spin on a counter, so that they start
// together although a barrier wakes them one after the other. Each is bound to a CPU: left to the scheduler,
// short rounds end up one after the other on the same.
#include <posthaste/posthaste.h>

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>

#include "runner.h"
#include "sem_history.h"

enum {
	ACTORS_MAX = 4,
	OPS_MAX = 12,
	ROUNDS_MAX = 20000,
	RUN_MS = 2000, // of each test
	ROUNDS_MIN = 200,
};

enum kind { UNNAMED, NAMED, HOLDERS };

// What differs between the tests.
struct setup {
	enum kind kind;
	int processes, threads; // threads of each process
	int ops;                // of each actor in a round
	int units;              // most at once
	int64_t begin;
	int patience_us; // longest deadline; 0 = nobody waits
};

struct shared {
	sem_t unnamed;
	pthread_barrier_t meet;
	atomic_int ready;
	atomic_bool over;
	unsigned seed;
	unsigned n[ACTORS_MAX];
	struct sem_op ops[ACTORS_MAX][OPS_MAX];
};

struct actor {
	const struct setup *setup;
	struct shared *shared;
	sem_t *sem;
	int number;
	int held; // by this process, if this is its only thread
	unsigned random;
	pthread_t thread;
};

static int64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static unsigned draw(struct actor *a, unsigned below)
{
	a->random = a->random * 1664525 + 1013904223;
	return (a->random >> 10) % below;
}

static struct sem_op *begin(struct actor *a, enum sem_op_kind kind, int64_t units)
{
	struct sem_op *op = &a->shared->ops[a->number][a->shared->n[a->number]++];
	*op = (struct sem_op){.kind = kind, .actor = a->number, .units = units, .called_ns = now_ns()};
	return op;
}

// What came of it: success as called, or an observation.
static bool end(struct sem_op *op, int result, enum sem_op_kind failed)
{
	op->returned_ns = now_ns();
	if (result == 0)
		return true;
	if (errno != EAGAIN && errno != ETIMEDOUT && errno != EOVERFLOW)
		test_failed(__FILE__, __LINE__, "operation %d fails: %s", (int)op->kind, strerror(errno));
	op->kind = failed;
	return false;
}

// With holders mostly what is held. What is posted beyond is new, and all the units that came into being in a
// run have to fit what one process can hold, when the judge takes them between the rounds.
static int units_to_post(struct actor *a)
{
	if (a->setup->kind != HOLDERS)
		return 1;
	const int units = 1 + (int)draw(a, (unsigned)a->setup->units);
	return units <= a->held || draw(a, 16) == 0 ? units : a->held;
}

static void post_some(struct actor *a)
{
	const int units = units_to_post(a);
	if (units == 0)
		return;
	struct sem_op *op = begin(a, OP_POST, units);
	const int r = units > 1 ? ph_sem_give(a->sem, (unsigned)units) : ph_sem_post(a->sem);
	if (end(op, r, OP_POST_FULL))
		a->held = a->held > units ? a->held - units : 0;
}

static int take_with_patience(struct actor *a, int units)
{
	const int us = a->setup->patience_us;
	const int64_t at = now_ns() + (us ? (int64_t)draw(a, (unsigned)us) * 1000 : -1);
	const struct timespec until = {at / 1000000000, at % 1000000000};
	return units > 1 ? ph_sem_take(a->sem, (unsigned)units, CLOCK_MONOTONIC, &until)
	                 : ph_sem_clockwait(a->sem, CLOCK_MONOTONIC, &until);
}

static void take_some(struct actor *a)
{
	const int units = a->setup->kind == HOLDERS ? 1 + (int)draw(a, (unsigned)a->setup->units) : 1;
	const bool try = units == 1 && draw(a, 2);
	struct sem_op *op = begin(a, OP_TAKE, units);
	const int r = try ? ph_sem_trywait(a->sem) : take_with_patience(a, units);
	if (end(op, r, OP_TAKE_EMPTY))
		a->held += units;
}

static void look(struct actor *a)
{
	int value = -1;
	struct sem_op *op = begin(a, OP_VALUE, 0);
	CHECK(end(op, ph_sem_getvalue(a->sem, &value), OP_VALUE));
	op->units = value;
}

// Let the actors drift against each other by fractions of an operation.
static void idle(struct actor *a)
{
	if (draw(a, 4) == 0)
		sched_yield();
	for (volatile unsigned i = draw(a, 200); i > 0; i--)
		;
}

static void act(struct actor *a)
{
	const struct setup *setup = a->setup;
	for (int i = 0; i < setup->ops; i++) {
		const unsigned what = draw(a, 10);
		if (what < 4)
			post_some(a);
		else if (what < 6)
			look(a);
		else
			take_some(a);
		if (setup->kind == HOLDERS && setup->threads == 1)
			CHECK_EQ(ph_sem_held(a->sem), a->held);
		idle(a);
	}
}

/* ---- the actors ---- */

static void meet(struct shared *s)
{
	pthread_barrier_wait(&s->meet);
}

static void bind_to_cpu(int number)
{
	cpu_set_t all, one;
	if (sched_getaffinity(0, sizeof(all), &all) != 0)
		return;
	int nth = number % CPU_COUNT(&all);
	int cpu = 0;
	while (!CPU_ISSET(cpu, &all) || nth-- > 0)
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static void await_others(struct shared *s, int actors)
{
	atomic_fetch_add(&s->ready, 1);
	for (unsigned i = 0; atomic_load(&s->ready) < actors; i++)
		if (i > 1000)
			sched_yield();
}

static void *play(void *arg)
{
	struct actor *a = arg;
	struct shared *s = a->shared;
	const int actors = a->setup->processes * a->setup->threads;
	bind_to_cpu(a->number);
	for (;;) {
		meet(s);
		if (atomic_load(&s->over))
			return NULL;
		a->random = s->seed + (unsigned)a->number * 7919;
		s->n[a->number] = 0;
		await_others(s, actors);
		act(a);
		meet(s);
	}
}

static sem_t *open_it(const struct setup *setup, struct shared *s)
{
	if (setup->kind == UNNAMED)
		return &s->unnamed;
	sem_t *sem = ph_sem_open(test_name(), 0);
	CHECK(sem != SEM_FAILED);
	return sem;
}

struct process {
	const struct setup *setup;
	struct shared *shared;
	int number;
};

static void run_process(void *arg)
{
	const struct process *p = arg;
	struct actor actors[ACTORS_MAX];
	sem_t *sem = open_it(p->setup, p->shared);
	for (int i = 0; i < p->setup->threads; i++) {
		actors[i] = (struct actor){.setup = p->setup, .shared = p->shared, .sem = sem};
		actors[i].number = p->number * p->setup->threads + i;
		CHECK_EQ(pthread_create(&actors[i].thread, NULL, play, &actors[i]), 0);
	}
	for (int i = 0; i < p->setup->threads; i++)
		CHECK_EQ(pthread_join(actors[i].thread, NULL), 0);
}

/* ---- the judge ---- */

static int value_of(sem_t *sem)
{
	int value = -1;
	CHECK_OK(ph_sem_getvalue(sem, &value));
	return value;
}

// As many units as a round begins with.
static void refill(sem_t *sem, int64_t begin)
{
	while (value_of(sem) < begin)
		CHECK_OK(ph_sem_post(sem));
	while (value_of(sem) > begin)
		CHECK_OK(ph_sem_trywait(sem));
}

// How many pairs of operations overlapped: without any, a history proves little.
static unsigned overlaps(const struct sem_history *h)
{
	unsigned n = 0;
	for (unsigned i = 0; i < h->n; i++)
		for (unsigned j = 0; j < i; j++)
			n += h->ops[i].called_ns <= h->ops[j].returned_ns &&
			     h->ops[j].called_ns <= h->ops[i].returned_ns;
	return n;
}

// The result is the number of overlapping pairs.
static unsigned judge_round(const struct setup *setup, struct shared *s, sem_t *sem)
{
	static struct sem_history h;
	h.begin = setup->begin;
	h.most = setup->kind == HOLDERS ? (int64_t)PH_SEM_HOLDERS_VALUE_MAX : SEM_VALUE_MAX;
	h.n = 0;
	for (int i = 0; i < setup->processes * setup->threads; i++) {
		memcpy(&h.ops[h.n], s->ops[i], s->n[i] * sizeof(s->ops[i][0]));
		h.n += s->n[i];
	}
	h.ops[h.n++] = (struct sem_op){OP_VALUE, ACTORS_MAX, value_of(sem), now_ns(), now_ns()};
	const enum sem_verdict verdict = sem_history_check(&h);
	if (verdict == SEM_LINEARIZABLE)
		return overlaps(&h);
	sem_history_print(&h);
	test_failed(__FILE__, __LINE__, "the history of seed %u is linearizable (%s)", s->seed,
	            verdict == SEM_UNDECIDED ? "undecided" : "no order explains it");
}

static struct shared *make_shared(int actors)
{
	pthread_barrierattr_t attr;
	struct shared *s =
		mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(s != MAP_FAILED);
	pthread_barrierattr_init(&attr);
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	CHECK_EQ(pthread_barrier_init(&s->meet, &attr, (unsigned)actors + 1), 0);
	return s;
}

static void run_rounds(const struct setup *setup, struct shared *s, sem_t *sem)
{
	const int64_t until = now_ns() + (int64_t)RUN_MS * 1000000;
	unsigned long overlapping = 0;
	int rounds = 0;
	for (; rounds < ROUNDS_MIN || (rounds < ROUNDS_MAX && now_ns() < until); rounds++) {
		s->seed = (unsigned)now_ns();
		atomic_store(&s->ready, 0);
		refill(sem, setup->begin);
		meet(s);
		meet(s);
		overlapping += judge_round(setup, s, sem);
	}
	printf("%d histories of %d operations, %.1f pairs overlap in each\n", rounds,
	       setup->processes * setup->threads * setup->ops, (double)overlapping / rounds);
	atomic_store(&s->over, true);
	meet(s);
}

static void make_it(const struct setup *setup, struct shared *s)
{
	const int flags = O_CREAT | O_EXCL | (setup->kind == HOLDERS ? PH_SEM_HOLDERS : 0);
	if (setup->kind == UNNAMED) {
		CHECK_OK(ph_sem_init(&s->unnamed, 1, (unsigned)setup->begin));
		return;
	}
	sem_t *sem = ph_sem_open(test_name(), flags, 0600, (unsigned)setup->begin);
	CHECK(sem != SEM_FAILED);
	CHECK_OK(ph_sem_close(sem));
}

static void run(const struct setup *setup)
{
	struct process processes[ACTORS_MAX];
	pid_t pids[ACTORS_MAX];
	struct shared *s = make_shared(setup->processes * setup->threads);
	make_it(setup, s);
	for (int i = 0; i < setup->processes; i++) {
		processes[i] = (struct process){setup, s, i};
		pids[i] = test_fork(run_process, &processes[i]);
	}
	sem_t *sem = open_it(setup, s);
	run_rounds(setup, s, sem);
	for (int i = 0; i < setup->processes; i++)
		test_join(pids[i]);
	if (setup->kind != UNNAMED) {
		CHECK_OK(ph_sem_close(sem));
		CHECK_OK(ph_sem_unlink(test_name()));
	}
	munmap(s, sizeof(*s));
}

TEST(histories_of_an_unnamed_semaphore_in_processes_are_linearizable)
{
	run(&(struct setup){.kind = UNNAMED, .processes = 4, .threads = 1, .ops = 8, .begin = 1});
}

TEST(histories_of_a_named_semaphore_in_processes_are_linearizable)
{
	run(&(struct setup){.kind = NAMED, .processes = 2, .threads = 1, .ops = 12, .begin = 2});
}

TEST(histories_with_sleepers_are_linearizable)
{
	run(&(struct setup){
		.kind = NAMED, .processes = 4, .threads = 1, .ops = 6, .begin = 0, .patience_us = 200});
}

TEST(histories_of_threads_in_two_processes_are_linearizable)
{
	run(&(struct setup){
		.kind = UNNAMED, .processes = 2, .threads = 2, .ops = 7, .begin = 1, .patience_us = 100});
}

TEST(histories_at_the_largest_value_are_linearizable)
{
	run(&(struct setup){
		.kind = UNNAMED, .processes = 3, .threads = 1, .ops = 8, .begin = SEM_VALUE_MAX - 1});
}

TEST(histories_with_holders_are_linearizable)
{
	run(&(struct setup){
		.kind = HOLDERS, .processes = 4, .threads = 1, .ops = 7, .units = 3, .begin = 3});
}

TEST(histories_with_holders_asleep_are_linearizable)
{
	run(&(struct setup){.kind = HOLDERS,
	                    .processes = 4,
	                    .threads = 1,
	                    .ops = 6,
	                    .units = 3,
	                    .begin = 1,
	                    .patience_us = 200});
}

TEST(histories_with_holders_in_threads_are_linearizable)
{
	run(&(struct setup){.kind = HOLDERS,
	                    .processes = 2,
	                    .threads = 2,
	                    .ops = 7,
	                    .units = 2,
	                    .begin = 2,
	                    .patience_us = 100});
}

TEST(histories_with_holders_at_the_largest_value_are_linearizable)
{
	run(&(struct setup){.kind = HOLDERS,
	                    .processes = 3,
	                    .threads = 1,
	                    .ops = 8,
	                    .units = 2,
	                    .begin = PH_SEM_HOLDERS_VALUE_MAX - 2});
}

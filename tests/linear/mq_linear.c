// SPDX-License-Identifier: MIT
//
// tests/linear/mq_linear.c - many short concurrent histories of one queue, each checked for
// linearizability (history.h). Processes, and threads of them, send, receive and peek at random, with
// short deadlines or none to wait at all; the round's last operations empty the queue one by one, so
// that a lost or doubled message shows as well.
//
// How the actors of a round meet: a process-shared barrier, then a spin on a counter, so that they
// start together although a barrier wakes them one after the other. Each is bound to a CPU: left to
// the scheduler, short rounds end up one after the other on the same.
#include <posthaste/posthaste.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "history.h"
#include "runner.h"

enum {
	ACTORS_MAX = 4,
	OPS_MAX = 10,
	SIZE = 64,
	ROUNDS_MAX = 20000,
	RUN_MS = 2500, // of each test
	ROUNDS_MIN = 200,
};

// What differs between the tests.
struct setup {
	int processes, threads; // threads of each process
	int ops;                // of each actor in a round
	unsigned depth;
	unsigned priorities;
	int patience_us; // longest deadline; 0 = everything is nonblocking
	bool loans;      // send by reserve and commit, receive by borrow and release, too
	bool polled;
};

struct shared {
	pthread_barrier_t meet;
	atomic_int ready;
	atomic_bool over;
	unsigned seed;
	unsigned n[ACTORS_MAX];
	struct op ops[ACTORS_MAX][OPS_MAX * 2]; // a borrow brings a release with it
};

struct actor {
	const struct setup *setup;
	struct shared *shared;
	mqd_t q;
	int number;
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

// Most waits are short; a deadline in the past makes the call nonblocking.
static struct timespec deadline(struct actor *a)
{
	const int us = a->setup->patience_us;
	const int64_t at = now_ns() + (us ? (int64_t)draw(a, (unsigned)us) * 1000 : -1);
	return (struct timespec){at / 1000000000, at % 1000000000};
}

static struct op *begin(struct actor *a, enum op_kind kind)
{
	struct op *op = &a->shared->ops[a->number][a->shared->n[a->number]++];
	*op = (struct op){.kind = kind, .actor = a->number, .called_ns = now_ns()};
	return op;
}

// What came of it: success as called, or the observation that it failed for want of something.
static bool end(struct op *op, long result, enum op_kind failed)
{
	op->returned_ns = now_ns();
	if (result >= 0)
		return true;
	if (errno != EAGAIN && errno != ETIMEDOUT)
		test_failed(__FILE__, __LINE__, "operation %d fails: %s", (int)op->kind, strerror(errno));
	op->kind = failed;
	return false;
}

static void fill(char buf[SIZE], uint32_t value)
{
	for (int i = 0; i < SIZE / 4; i++)
		memcpy(buf + 4 * i, &value, 4);
}

// All copies of the value agree: the message is not torn.
static uint32_t value_of(const char *buf, size_t len)
{
	uint32_t first, value;
	memcpy(&first, buf, 4);
	CHECK_EQ(len, SIZE);
	for (int i = 1; i < SIZE / 4; i++) {
		memcpy(&value, buf + 4 * i, 4);
		CHECK_EQ(value, first);
	}
	return first;
}

static void send_one(struct actor *a, uint32_t value)
{
	char buf[SIZE];
	struct ph_mq_loan loan;
	const unsigned prio = draw(a, a->setup->priorities);
	const struct timespec until = deadline(a);
	const bool lend = a->setup->loans && draw(a, 2) && ph_mq_reserve(a->q, &loan) == 0;
	fill(lend ? loan.data : buf, value);
	struct op *op = begin(a, OP_SEND);
	op->value = value;
	op->prio = prio;
	const int r = lend ? ph_mq_clockcommit(a->q, &loan, SIZE, prio, CLOCK_MONOTONIC, &until)
	                   : ph_mq_clocksend(a->q, buf, SIZE, prio, CLOCK_MONOTONIC, &until);
	if (!end(op, r, OP_SEND_FULL) && lend)
		CHECK_OK(ph_mq_cancel(a->q, &loan));
}

static void receive_one(struct actor *a)
{
	char buf[SIZE];
	const struct timespec until = deadline(a);
	struct op *op = begin(a, OP_RECEIVE);
	const long r = ph_mq_clockreceive(a->q, buf, SIZE, &op->prio, CLOCK_MONOTONIC, &until);
	if (end(op, r, OP_RECEIVE_EMPTY))
		op->value = value_of(buf, (size_t)r);
}

static void peek_one(struct actor *a)
{
	char buf[SIZE];
	struct op *op = begin(a, OP_PEEK);
	const long r = ph_mq_peek(a->q, buf, SIZE, &op->prio);
	if (end(op, r, OP_RECEIVE_EMPTY))
		op->value = value_of(buf, (size_t)r);
}

// Let the actors drift against each other by fractions of an operation.
static void idle(struct actor *a)
{
	if (draw(a, 4) == 0)
		sched_yield();
	for (volatile unsigned i = draw(a, 200); i > 0; i--)
		;
}

static void borrow_one(struct actor *a)
{
	struct ph_mq_loan loan;
	const struct timespec until = deadline(a);
	struct op *op = begin(a, OP_BORROW);
	if (!end(op, ph_mq_clockborrow(a->q, &loan, CLOCK_MONOTONIC, &until), OP_RECEIVE_EMPTY))
		return;
	op->value = value_of(loan.data, loan.size);
	op->prio = loan.prio;
	idle(a);
	op = begin(a, OP_RELEASE);
	end(op, CHECK_OK(ph_mq_release(a->q, &loan)), OP_RELEASE);
}

static void act(struct actor *a)
{
	const struct setup *setup = a->setup;
	for (int i = 0; i < setup->ops; i++) {
		const unsigned what = draw(a, 10);
		if (what < 5)
			send_one(a, (uint32_t)(a->number * OPS_MAX + i + 1));
		else if (what < 6)
			peek_one(a);
		else if (setup->loans && what < 8)
			borrow_one(a);
		else
			receive_one(a);
		idle(a);
	}
}

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

// Nobody is far: spin a little before leaving the CPU to those who share it.
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

struct process {
	const struct setup *setup;
	struct shared *shared;
	int number;
};

static void run_process(void *arg)
{
	const struct process *p = arg;
	struct actor actors[ACTORS_MAX];
	const mqd_t q = (mqd_t)CHECK_OK(ph_mq_open(test_name(), O_RDWR));
	for (int i = 0; i < p->setup->threads; i++) {
		actors[i] = (struct actor){.setup = p->setup, .shared = p->shared, .q = q};
		actors[i].number = p->number * p->setup->threads + i;
		CHECK_EQ(pthread_create(&actors[i].thread, NULL, play, &actors[i]), 0);
	}
	for (int i = 0; i < p->setup->threads; i++)
		CHECK_EQ(pthread_join(actors[i].thread, NULL), 0);
	CHECK_OK(ph_mq_close(q));
}

// Empty the queue one by one, as further operations of the history.
static void drain(struct history *h, mqd_t q)
{
	char buf[SIZE];
	for (;;) {
		struct op *op = &h->ops[h->n++];
		CHECK(h->n < HISTORY_MAX);
		*op = (struct op){.kind = OP_RECEIVE, .actor = ACTORS_MAX, .called_ns = now_ns()};
		const long r = ph_mq_receive(q, buf, SIZE, &op->prio);
		if (!end(op, r, OP_RECEIVE_EMPTY))
			return;
		op->value = value_of(buf, (size_t)r);
	}
}

// How many pairs of operations overlapped: without any, a history proves little.
static unsigned overlaps(const struct history *h)
{
	unsigned n = 0;
	for (unsigned i = 0; i < h->n; i++)
		for (unsigned j = 0; j < i; j++)
			n += h->ops[i].called_ns <= h->ops[j].returned_ns &&
			     h->ops[j].called_ns <= h->ops[i].returned_ns;
	return n;
}

// The result is the number of overlapping pairs.
static unsigned judge_round(const struct setup *setup, struct shared *s, mqd_t q)
{
	static struct history h;
	h.depth = setup->depth;
	h.strict = setup->polled;
	h.n = 0;
	for (int i = 0; i < setup->processes * setup->threads; i++) {
		memcpy(&h.ops[h.n], s->ops[i], s->n[i] * sizeof(s->ops[i][0]));
		h.n += s->n[i];
	}
	drain(&h, q);
	const enum verdict verdict = history_check(&h);
	if (verdict == LINEARIZABLE)
		return overlaps(&h);
	history_print(&h);
	test_failed(__FILE__, __LINE__, "the history of seed %u is linearizable (%s)", s->seed,
	            verdict == UNDECIDED ? "undecided" : "no order explains it");
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

static void run_rounds(const struct setup *setup, struct shared *s, mqd_t q)
{
	const int64_t until = now_ns() + (int64_t)RUN_MS * 1000000;
	unsigned long overlapping = 0;
	int rounds = 0;
	for (; rounds < ROUNDS_MIN || (rounds < ROUNDS_MAX && now_ns() < until); rounds++) {
		s->seed = (unsigned)now_ns();
		atomic_store(&s->ready, 0);
		meet(s);
		meet(s);
		overlapping += judge_round(setup, s, q);
	}
	printf("%d histories of %d operations, %.1f pairs overlap in each\n", rounds,
	       setup->processes * setup->threads * setup->ops, (double)overlapping / rounds);
	atomic_store(&s->over, true);
	meet(s);
}

static void run(const struct setup *setup)
{
	struct mq_attr attr = {.mq_maxmsg = (long)setup->depth, .mq_msgsize = SIZE};
	struct process processes[ACTORS_MAX];
	pid_t pids[ACTORS_MAX];
	struct shared *s = make_shared(setup->processes * setup->threads);
	const mqd_t q = (mqd_t)CHECK_OK(
		ph_mq_open(test_name(), O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0600, &attr));
	if (setup->polled)
		CHECK_OK(ph_mq_setpoll(q, 1));
	for (int i = 0; i < setup->processes; i++) {
		processes[i] = (struct process){setup, s, i};
		pids[i] = test_fork(run_process, &processes[i]);
	}
	run_rounds(setup, s, q);
	for (int i = 0; i < setup->processes; i++)
		test_join(pids[i]);
	CHECK_OK(ph_mq_close(q));
	CHECK_OK(ph_mq_unlink(test_name()));
	munmap(s, sizeof(*s));
}

TEST(nonblocking_histories_of_four_processes_are_linearizable)
{
	run(&(struct setup){.processes = 4, .threads = 1, .ops = 6, .depth = 2, .priorities = 3});
}

TEST(nonblocking_histories_of_two_processes_are_linearizable)
{
	run(&(struct setup){.processes = 2, .threads = 1, .ops = 10, .depth = 2, .priorities = 2});
}

TEST(timed_histories_of_four_processes_are_linearizable)
{
	run(&(struct setup){
		.processes = 4, .threads = 1, .ops = 5, .depth = 1, .priorities = 2, .patience_us = 300});
}

TEST(timed_histories_of_threads_in_two_processes_are_linearizable)
{
	run(&(struct setup){
		.processes = 2, .threads = 2, .ops = 6, .depth = 3, .priorities = 3, .patience_us = 200});
}

TEST(histories_of_a_polled_queue_are_linearizable)
{
	run(&(struct setup){.processes = 3,
	                    .threads = 1,
	                    .ops = 6,
	                    .depth = 2,
	                    .priorities = 2,
	                    .patience_us = 100,
	                    .polled = true});
}

TEST(histories_with_loans_are_linearizable)
{
	run(&(struct setup){.processes = 3,
	                    .threads = 1,
	                    .ops = 6,
	                    .depth = 3,
	                    .priorities = 2,
	                    .patience_us = 100,
	                    .loans = true});
}

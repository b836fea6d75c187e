// SPDX-License-Identifier: MIT
//
// tests/pipe/posix_pool.c - a prefork pool: several readers wait on one pipe for jobs. A job that comes while
// one of them is busy is served by an idle one, however fast that one has read before; each job is served
// once; when workers are killed, the others serve.
#include "ends.h"

enum { WORKERS_MAX = 8 };

enum job_kind { QUICK, LONG };

struct job {
	uint32_t kind, number;
};

struct pool {
	int jobs[2];
	int workers;
	pid_t pid[WORKERS_MAX];
	atomic_int served;          // jobs, by all
	atomic_int by[WORKERS_MAX]; // by each
	atomic_int busy;            // long jobs begun
	atomic_int holder;          // number of the worker that has begun the last one
	atomic_int release;         // long jobs that may end
	atomic_int once[1 << 16];   // times that the job of this number was served
};

struct member {
	struct pool *pool;
	int number;
};

static void serve(struct pool *pool, int number, const struct job *job)
{
	if (job->kind == LONG) {
		atomic_store(&pool->holder, number);
		const int turn = atomic_fetch_add(&pool->busy, 1) + 1;
		wait_count(&pool->release, turn);
	}
	atomic_fetch_add(&pool->once[job->number % (1 << 16)], 1);
	atomic_fetch_add(&pool->served, 1);
}

static void work(void *arg)
{
	struct member *m = arg;
	int fd = only(m->pool->jobs, R);
	struct job job;
	ssize_t n;

	while ((n = read(fd, &job, sizeof(job))) != 0) {
		CHECK_EQ(n, sizeof(job));
		serve(m->pool, m->number, &job);
		atomic_fetch_add(&m->pool->by[m->number], 1);
	}
}

static void hire(struct pool *pool, int number)
{
	struct member m = {pool, number};

	pool->pid[number] = test_fork(work, &m);
}

static struct pool *make_pool(int workers)
{
	struct pool *pool = share(sizeof(*pool));

	make_pipe(pool->jobs);
	pool->workers = workers;
	for (int i = 0; i < workers; i++)
		hire(pool, i);
	return pool;
}

static void close_pool(struct pool *pool)
{
	CHECK_OK(close(pool->jobs[R]));
	CHECK_OK(close(pool->jobs[W]));
	for (int i = 0; i < pool->workers; i++)
		test_join(pool->pid[i]);
}

static void post(struct pool *pool, enum job_kind kind, int number)
{
	struct job job = {kind, (uint32_t)number};

	CHECK_EQ(write(pool->jobs[W], &job, sizeof(job)), sizeof(job));
}

static void post_many(struct pool *pool, int first, int count)
{
	for (int i = 0; i < count; i++)
		post(pool, QUICK, first + i);
}

static void check_once(struct pool *pool, int first, int count)
{
	for (int i = 0; i < count; i++)
		CHECK_EQ(atomic_load(&pool->once[(first + i) % (1 << 16)]), 1);
}

TEST(each_job_is_served_once)
{
	struct pool *pool = make_pool(WORKERS_MAX);

	post_many(pool, 0, 60000);
	wait_count(&pool->served, 60000);
	check_once(pool, 0, 60000);
	close_pool(pool);
	CHECK_EQ(atomic_load(&pool->served), 60000);
}

TEST(idle_worker_serves_while_the_other_is_busy)
{
	struct pool *pool = make_pool(2);

	for (int round = 1; round <= 50; round++) {
		const int before = atomic_load(&pool->served);
		post(pool, LONG, 0);
		wait_count(&pool->busy, round);
		for (int i = 0; i < 5; i++) {
			post(pool, QUICK, 0);
			wait_count(&pool->served, before + i + 1);
		}
		atomic_store(&pool->release, round);
		wait_count(&pool->served, before + 6);
	}
	close_pool(pool);
}

// One worker alone has read fast, job after job; then he is busy, and a second one, who has slept all
// the time or comes only now, must get the rest.
TEST(idle_worker_serves_after_full_flow_to_the_busy_one)
{
	struct pool *pool = make_pool(2);
	int sent = 0;

	for (int round = 1; round <= 50; round++) {
		post_many(pool, sent, SHORT_FLOW);
		post(pool, LONG, 0);
		post_many(pool, 0, 20);
		sent += SHORT_FLOW;
		wait_count(&pool->busy, round);
		wait_count(&pool->served, round * SHORT_FLOW + (round - 1) * 21 + 20);
		atomic_store(&pool->release, round);
		wait_count(&pool->served, round * (SHORT_FLOW + 21));
	}
	close_pool(pool);
}

TEST(worker_hired_later_serves_while_the_first_is_busy)
{
	for (int round = 0; round < 20; round++) {
		struct pool *pool = make_pool(1);
		post_many(pool, 0, SHORT_FLOW);
		wait_count(&pool->served, SHORT_FLOW);
		post(pool, LONG, 0);
		wait_count(&pool->busy, 1);
		post_many(pool, 0, 10);
		hire(pool, 1);
		pool->workers = 2;
		wait_count(&pool->served, SHORT_FLOW + 10);
		post_many(pool, 0, 10);
		wait_count(&pool->served, SHORT_FLOW + 20);
		atomic_store(&pool->release, 1);
		close_pool(pool);
		CHECK_EQ(atomic_load(&pool->served), SHORT_FLOW + 21);
		CHECK_OK(munmap(pool, sizeof(*pool)));
	}
}

TEST(all_workers_may_be_busy_but_one)
{
	struct pool *pool = make_pool(WORKERS_MAX);

	for (int i = 1; i < WORKERS_MAX; i++) {
		post_many(pool, 0, 1000);
		post(pool, LONG, 0);
		wait_count(&pool->busy, i);
	}
	const int before = (WORKERS_MAX - 1) * 1000;
	wait_count(&pool->served, before);
	post_many(pool, 0, 1000);
	wait_count(&pool->served, before + 1000);
	atomic_store(&pool->release, WORKERS_MAX);
	close_pool(pool);
	CHECK_EQ(atomic_load(&pool->served), before + 1000 + WORKERS_MAX - 1);
}

// One job at a time, the next when it has been served: nobody may starve the dispatcher.
TEST(jobs_one_by_one)
{
	struct pool *pool = make_pool(4);

	for (int i = 1; i <= 2000; i++) {
		post(pool, QUICK, i);
		wait_count(&pool->served, i);
	}
	check_once(pool, 1, 2000);
	close_pool(pool);
}

// Killed while they are busy: their jobs are theirs, all others' are served by who is left.
TEST(killed_busy_workers_leave_the_jobs_to_the_others)
{
	struct pool *pool = make_pool(4);
	int served = 0;

	for (int round = 1; round <= 20; round++) {
		post_many(pool, 0, 1000);
		served += 1000;
		wait_count(&pool->served, served);
		post(pool, LONG, 0);
		wait_count(&pool->busy, round);
		post_many(pool, 0, 100);
		const int holder = atomic_load(&pool->holder);
		test_kill(pool->pid[holder]);
		post_many(pool, 0, 100);
		served += 200;
		wait_count(&pool->served, served);
		hire(pool, holder);
	}
	close_pool(pool);
}

TEST(killed_idle_workers_take_no_job_with_them)
{
	struct pool *pool = make_pool(4);
	int served = 0;

	for (int round = 0; round < 30; round++) {
		post_many(pool, served, 1000);
		served += 1000;
		wait_count(&pool->served, served);
		test_wait_asleep(pool->pid[round % 4]);
		test_kill(pool->pid[round % 4]);
		post_many(pool, served, 100);
		served += 100;
		wait_count(&pool->served, served);
		hire(pool, round % 4);
	}
	check_once(pool, 0, served);
	close_pool(pool);
}

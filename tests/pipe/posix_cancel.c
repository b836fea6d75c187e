// SPDX-License-Identifier: MIT
//
// tests/pipe/posix_cancel.c - cancellation: a thread that sleeps in a read or a write can be cancelled, and
// then has taken and put in nothing; which calls are cancellation points; the pipe works afterwards.
#include "ends.h"

static void expect_cancelled(struct worker *w)
{
	CHECK(finish(w) == PTHREAD_CANCELED);
	CHECK_EQ(atomic_load(&w->done), 0);
}

TEST(sleeping_reader_can_be_cancelled_and_takes_nothing)
{
	int p[2];
	struct worker w;

	make_pipe(p);
	for (int i = 0; i < 20; i++) {
		start_and_block(&w, work_read, p[R], 10);
		CHECK_EQ(pthread_cancel(w.thread), 0);
		expect_cancelled(&w);
		put(p[W], "after");
		CHECK_EQ(available(p[R]), 5);
		expect(p[R], "after");
		flow_from_child(p, SHORT_FLOW);
	}
	drop_pipe(p);
}

TEST(sleeping_writer_can_be_cancelled_and_puts_in_nothing)
{
	int p[2];
	struct worker w = {0};

	make_pipe(p);
	for (int i = 0; i < 20; i++) {
		const size_t full = fill_up(p[W], 4096, 0);
		start_and_block(&w, work_write, p[W], i % 2 ? 10 : 10000);
		CHECK_EQ(pthread_cancel(w.thread), 0);
		expect_cancelled(&w);
		take_chunk(p[R], full, 0);
		expect_empty(p[R]);
		flow_to_child(p, SHORT_FLOW);
	}
	drop_pipe(p);
}

// Whether a write that has put in a part of its bytes may still be cancelled, or returns their number, is
// the C library's choice.
TEST(large_write_that_is_cancelled_leaves_its_beginning)
{
	int p[2];
	struct worker w = {0};

	make_pipe(p);
	start_and_block(&w, work_write, p[W], 1 << 20);
	take_chunk(p[R], 100000, 0);
	wait_thread_asleep(&w);
	CHECK_EQ(pthread_cancel(w.thread), 0);
	if (finish(&w) != PTHREAD_CANCELED)
		CHECK_EQ(w.result, 100000 + available(p[R]));
	take_chunk(p[R], (size_t)available(p[R]), 100000);
	put(p[W], "after");
	expect(p[R], "after");
	expect_empty(p[R]);
	drop_pipe(p);
}

TEST(cancelled_readers_leave_the_bytes_to_the_others)
{
	int p[2];
	struct worker w[3];

	make_pipe(p);
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 3; i++)
			start_and_block(&w[i], work_read, p[R], 10);
		CHECK_EQ(pthread_cancel(w[0].thread), 0);
		CHECK_EQ(pthread_cancel(w[1].thread), 0);
		expect_cancelled(&w[0]);
		expect_cancelled(&w[1]);
		put(p[W], "yours");
		CHECK(finish_with(&w[2], "yours") == NULL);
	}
	drop_pipe(p);
}

TEST(cancelled_writers_leave_the_room_to_the_others)
{
	int p[2];
	struct worker w[3] = {0};

	make_pipe(p);
	for (int round = 0; round < 50; round++) {
		const size_t full = fill_up(p[W], 4096, 0);
		for (int i = 0; i < 3; i++) {
			w[i].position = full;
			start_and_block(&w[i], work_write, p[W], 4096);
		}
		CHECK_EQ(pthread_cancel(w[0].thread), 0);
		CHECK_EQ(pthread_cancel(w[1].thread), 0);
		expect_cancelled(&w[0]);
		expect_cancelled(&w[1]);
		take_chunk(p[R], 4096, 0);
		CHECK(finish(&w[2]) == NULL);
		CHECK_EQ(w[2].result, 4096);
		take_chunk(p[R], full, 4096);
		expect_empty(p[R]);
	}
	drop_pipe(p);
}

/* ---- in the middle of traffic ---- */

static int busy[2];

static void *read_for_ever(void *arg)
{
	uint64_t number;

	for (;;)
		CHECK_EQ(read(busy[R], &number, 8), 8);
	return arg;
}

static void *write_for_ever(void *arg)
{
	for (uint64_t i = 0;; i++)
		put_number(busy[W], i);
	return arg;
}

static void cancel_after_a_moment(pthread_t victim, int i)
{
	void *value;

	for (int k = 0; k < i % 5; k++)
		sched_yield();
	CHECK_EQ(pthread_cancel(victim), 0);
	CHECK_EQ(pthread_join(victim, &value), 0);
	CHECK(value == PTHREAD_CANCELED);
}

static void write_until_over(void *arg)
{
	(void)arg;
	ignore_sigpipe();
	CHECK_OK(close(busy[R]));
	for (uint64_t i = 0; write(busy[W], &i, 8) == 8; i++)
		;
	CHECK_EQ(errno, EPIPE);
}

TEST(cancelling_busy_readers_leaves_a_working_pipe)
{
	make_pipe(busy);
	pid_t pid = test_fork(write_until_over, NULL);
	for (int i = 0; i < 200; i++) {
		pthread_t victim;
		CHECK_EQ(pthread_create(&victim, NULL, read_for_ever, NULL), 0);
		cancel_after_a_moment(victim, i);
	}
	uint64_t last = take_number(busy[R]);
	for (int i = 0; i < SHORT_FLOW; i++)
		CHECK_EQ(take_number(busy[R]), ++last);
	drop_pipe(busy);
	test_join(pid);
}

static void read_until_over(void *arg)
{
	uint64_t number;
	ssize_t n;

	(void)arg;
	CHECK_OK(close(busy[W]));
	while ((n = read(busy[R], &number, 8)) != 0)
		CHECK_EQ(n, 8);
}

TEST(cancelling_busy_writers_leaves_a_working_pipe)
{
	make_pipe(busy);
	pid_t pid = test_fork(read_until_over, NULL);
	CHECK_OK(close(busy[R]));
	for (int i = 0; i < 200; i++) {
		pthread_t victim;
		CHECK_EQ(pthread_create(&victim, NULL, write_for_ever, NULL), 0);
		cancel_after_a_moment(victim, i);
	}
	send_flow(busy[W], 0, SHORT_FLOW);
	CHECK_OK(close(busy[W]));
	test_join(pid);
}

/* ---- a cancellation that is pending ---- */

static atomic_int passed;

static void cancel_oneself(void)
{
	CHECK_EQ(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL), 0);
	CHECK_EQ(pthread_cancel(pthread_self()), 0);
	CHECK_EQ(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL), 0);
}

static void *cancelled_before_write(void *arg)
{
	const int *p = arg;

	cancel_oneself();
	write(p[W], "never", 5);
	atomic_store(&passed, 1);
	return NULL;
}

static void *cancelled_before_writev(void *arg)
{
	const int *p = arg;
	struct iovec iov = {"never", 5};

	cancel_oneself();
	writev(p[W], &iov, 1);
	atomic_store(&passed, 1);
	return NULL;
}

static void *cancelled_before_read(void *arg)
{
	const int *p = arg;
	char buf[10];

	cancel_oneself();
	read(p[R], buf, sizeof(buf));
	atomic_store(&passed, 1);
	return NULL;
}

static void *cancelled_before_readv(void *arg)
{
	const int *p = arg;
	char buf[10];
	struct iovec iov = {buf, sizeof(buf)};

	cancel_oneself();
	readv(p[R], &iov, 1);
	atomic_store(&passed, 1);
	return NULL;
}

static void run_to_its_cancellation(void *(*fn)(void *), int *p)
{
	pthread_t thread;
	void *value;

	CHECK_EQ(pthread_create(&thread, NULL, fn, p), 0);
	CHECK_EQ(pthread_join(thread, &value), 0);
	CHECK(value == PTHREAD_CANCELED);
	CHECK_EQ(atomic_load(&passed), 0);
}

TEST(pending_cancellation_acts_in_write_though_there_is_room)
{
	int p[2];

	make_pipe(p);
	for (int round = 0; round < 2; round++) {
		run_to_its_cancellation(cancelled_before_write, p);
		run_to_its_cancellation(cancelled_before_writev, p);
		expect_empty(p[R]);
		flow_to_child(p, FLOW);
	}
	drop_pipe(p);
}

TEST(pending_cancellation_acts_in_read_though_there_are_bytes)
{
	int p[2];

	make_pipe(p);
	for (int round = 0; round < 2; round++) {
		put(p[W], "kept");
		run_to_its_cancellation(cancelled_before_read, p);
		run_to_its_cancellation(cancelled_before_readv, p);
		CHECK_EQ(available(p[R]), 4);
		expect(p[R], "kept");
		flow_from_child(p, FLOW);
	}
	drop_pipe(p);
}

static void *use_what_is_no_cancellation_point(void *arg)
{
	int p[2];
	struct stat st;

	CHECK_EQ(pthread_cancel(pthread_self()), 0);
	pipe(p);
	fcntl(p[R], F_GETFL);
	fcntl(p[R], F_GETPIPE_SZ);
	available(p[R]);
	fstat(p[R], &st);
	dup2(p[R], 200);
	dup2(p[W], 201);
	atomic_store((atomic_int *)arg, dup(p[R]));
	pthread_testcancel();
	return NULL;
}

TEST(pending_cancellation_does_not_act_in_the_other_calls)
{
	atomic_int last = -1;
	pthread_t thread;
	void *value;

	CHECK_EQ(pthread_create(&thread, NULL, use_what_is_no_cancellation_point, &last), 0);
	CHECK_EQ(pthread_join(thread, &value), 0);
	CHECK(value == PTHREAD_CANCELED);
	CHECK(atomic_load(&last) >= 0);
	CHECK_OK(close(atomic_load(&last)));
	CHECK_OK(close(atomic_load(&last) - 1));
	CHECK_OK(close(atomic_load(&last) - 2));
	CHECK_OK(close(200));
	CHECK_OK(close(201));
}

/* ---- cancellation disabled, and what runs in a cleanup handler ---- */

static void *read_uncancellably(void *arg)
{
	CHECK_EQ(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL), 0);
	work_read(arg);
	CHECK_EQ(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL), 0);
	pthread_testcancel();
	return NULL;
}

TEST(disabled_cancellation_waits_until_it_is_enabled)
{
	int p[2];
	struct worker w;

	make_pipe(p);
	start_and_block(&w, read_uncancellably, p[R], 10);
	CHECK_EQ(pthread_cancel(w.thread), 0);
	wait_thread_asleep(&w);
	put(p[W], "still here");
	CHECK(finish_with(&w, "still here") == PTHREAD_CANCELED);
	drop_pipe(p);
}

static void *write_uncancellably(void *arg)
{
	CHECK_EQ(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL), 0);
	work_write(arg);
	return NULL;
}

TEST(disabled_cancellation_lets_a_sleeping_writer_finish)
{
	int p[2];
	struct worker w = {0};

	make_pipe(p);
	const size_t full = fill_up(p[W], 4096, 0);
	w.position = full;
	start_and_block(&w, write_uncancellably, p[W], 4096);
	CHECK_EQ(pthread_cancel(w.thread), 0);
	wait_thread_asleep(&w);
	take_chunk(p[R], 4096, 0);
	CHECK(finish(&w) == NULL);
	CHECK_EQ(w.result, 4096);
	take_chunk(p[R], full, 4096);
	drop_pipe(p);
}

static int cleaned[2];

static void leave_a_note(void *arg)
{
	(void)arg;
	put(cleaned[W], "cleaned up");
	expect(cleaned[R], "cleaned up");
	put(cleaned[W], "note");
}

static void *read_with_cleanup(void *arg)
{
	pthread_cleanup_push(leave_a_note, arg);
	work_read(arg);
	pthread_cleanup_pop(0);
	return NULL;
}

TEST(cleanup_handler_may_use_the_same_pipe)
{
	struct worker w;

	if (LOOKS_FOR_LEAKS) // it stumbles over the marks of frames that are gone
		SKIP("AddressSanitizer does not follow a cancellation");
	make_pipe(cleaned);
	flow_from_child(cleaned, FLOW);
	start_and_block(&w, read_with_cleanup, cleaned[R], 10);
	CHECK_EQ(pthread_cancel(w.thread), 0);
	expect_cancelled(&w);
	expect(cleaned[R], "note");
	drop_pipe(cleaned);
}

// SPDX-License-Identifier: MIT
//
// tests/mq/posix_notify_thread.c - mq_notify with SIGEV_THREAD, and draining a queue by notifications.
//
// The C library's thread for the kernel's queues keeps a socket open for ever, so the tests with threads
// run in a child, whose descriptors nobody counts.
#include "notify.h"

struct call {
	mqd_t q;
	atomic_int runs;
	atomic_int total;
	int expected;
	pthread_t caller;
	size_t stack;
};

static void note_call(union sigval value)
{
	struct call *call = value.sival_ptr;

	call->caller = pthread_self();
	atomic_fetch_add(&call->runs, 1);
}

static int register_thread(struct call *call, void (*fn)(union sigval), pthread_attr_t *attr)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD};

	event.sigev_notify_function = fn;
	event.sigev_notify_attributes = attr;
	event.sigev_value.sival_ptr = call;
	return mq_notify(call->q, &event);
}

static void be_called_in_a_thread(void *arg)
{
	struct call *call = arg;

	call->q = make_queue(2, SMALL);
	for (int i = 1; i <= 5; i++) {
		CHECK_OK(register_thread(call, note_call, NULL));
		CHECK(is_registered());
		test_join(test_fork(send_hello, NULL));
		wait_count(&call->runs, i);
		CHECK(!pthread_equal(call->caller, pthread_self()));
		CHECK(!is_registered());
		expect(call->q, "hello", 1);
	}
	drop_queue(call->q);
}

TEST(sigev_thread_runs_the_function_in_a_thread_with_the_value)
{
	test_join(test_fork(be_called_in_a_thread, share(sizeof(struct call))));
}

static void register_as_soon_as_it_fired(void *arg)
{
	struct call *call = arg;

	call->q = make_queue(2, SMALL);
	for (int i = 1; i <= 100; i++) {
		CHECK_OK(register_thread(call, note_call, NULL));
		put(call->q, "fires", 0);
		CHECK_OK(register_none(call->q));
		CHECK_OK(mq_notify(call->q, NULL));
		wait_count(&call->runs, i);
		expect(call->q, "fires", 0);
	}
	drop_queue(call->q);
}

TEST(registration_is_free_though_the_thread_has_not_run_yet)
{
	test_join(test_fork(register_as_soon_as_it_fired, share(sizeof(struct call))));
}

static void note_stack(union sigval value)
{
	struct call *call = value.sival_ptr;
	pthread_attr_t attr;

	CHECK_EQ(pthread_getattr_np(pthread_self(), &attr), 0);
	CHECK_EQ(pthread_attr_getstacksize(&attr, &call->stack), 0);
	CHECK_EQ(pthread_attr_destroy(&attr), 0);
	atomic_fetch_add(&call->runs, 1);
}

static void be_called_with_attributes(void *arg)
{
	enum { STACK = 3 << 20 };
	struct call *call = arg;
	pthread_attr_t attr;

	call->q = make_queue(2, SMALL);
	CHECK_EQ(pthread_attr_init(&attr), 0);
	CHECK_EQ(pthread_attr_setstacksize(&attr, STACK), 0);
	CHECK_EQ(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED), 0);
	CHECK_OK(register_thread(call, note_stack, &attr));
	put(call->q, "x", 0);
	wait_count(&call->runs, 1);
	// Within a page or two: what the thread's own data takes is accounted differently.
	CHECK(call->stack > STACK - (64 << 10) && call->stack < STACK + (64 << 10));
	CHECK_EQ(pthread_attr_destroy(&attr), 0);
	drop_queue(call->q);
}

TEST(sigev_thread_honours_the_attributes)
{
	test_join(test_fork(be_called_with_attributes, share(sizeof(struct call))));
}

// The pattern of the manual: register again first, then drain.
static void register_again_and_drain(union sigval value)
{
	struct call *call = value.sival_ptr;
	char buf[SMALL];

	if (register_thread(call, register_again_and_drain, NULL) == -1)
		CHECK_EQ(errno, EBUSY);
	while (mq_receive(call->q, buf, sizeof(buf), NULL) != -1)
		atomic_fetch_add(&call->total, 1);
	CHECK_EQ(errno, EAGAIN);
}

static void send_many(void *arg)
{
	struct call *call = arg;
	mqd_t q = open_queue(O_WRONLY);

	for (int i = 0; i < call->expected; i++)
		put(q, "m", 0);
}

static void drain_by_threads(void *arg)
{
	struct call *call = arg;

	call->q = make_queue(4, SMALL);
	set_nonblock(call->q, true);
	call->expected = 500;
	CHECK_OK(register_thread(call, register_again_and_drain, NULL));
	pid_t pid = test_fork(send_many, call);
	wait_count(&call->total, call->expected);
	test_join(pid);
	CHECK_EQ(call->total, call->expected);
	CHECK_OK(mq_unlink(test_name()));
}

TEST(sigev_thread_that_registers_again_and_drains_misses_nothing)
{
	test_join(test_fork(drain_by_threads, share(sizeof(struct call))));
}

TEST(signals_with_registering_again_and_draining_miss_nothing)
{
	struct call *call = share(sizeof(*call));
	char buf[SMALL];
	int total = 0;

	call->expected = 2000;
	mqd_t q = make_queue(4, SMALL);
	set_nonblock(q, true);
	CHECK_OK(register_signal(q, SIGRTMIN, 0));
	pid_t pid = test_fork(send_many, call);
	while (total < call->expected) {
		await_signal(SIGRTMIN);
		if (register_signal(q, SIGRTMIN, 0) == -1)
			CHECK_EQ(errno, EBUSY);
		while (mq_receive(q, buf, sizeof(buf), NULL) != -1)
			total++;
		CHECK_EQ(errno, EAGAIN);
	}
	CHECK_EQ(total, call->expected);
	test_join(pid);
	CHECK_OK(mq_close(q));
	CHECK_OK(mq_unlink(test_name()));
}

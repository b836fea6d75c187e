// SPDX-License-Identifier: MIT
//
// tests/mq/posix_signal.c - a signal handler runs while a call sleeps: EINTR without SA_RESTART, going on
// with it, and the queue as if nothing had happened. Stopping and continuing disturbs nobody.
#include "queue.h"

#include <sched.h>

static atomic_int handled;

static void count_signal(int sig)
{
	(void)sig;
	atomic_fetch_add(&handled, 1);
}

static void handle(int flags)
{
	struct sigaction sa = {.sa_handler = count_signal, .sa_flags = flags};

	CHECK_OK(sigaction(SIGUSR1, &sa, NULL));
}

// Signal the sleeping worker and wait until its handler has run.
static void interrupt(struct worker *w)
{
	int before = atomic_load(&handled);

	CHECK_EQ(pthread_kill(w->thread, SIGUSR1), 0);
	wait_count(&handled, before + 1);
}

static void expect_eintr(struct worker *w)
{
	finish(w);
	CHECK_EQ(w->result, -1);
	CHECK_EQ(w->error, EINTR);
}

TEST(receive_interrupted_by_a_handler_is_eintr)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w = {.prio = 42};

	handle(0);
	start_and_block(&w, work_receive, q);
	interrupt(&w);
	expect_eintr(&w);
	CHECK_EQ(w.prio, 42);
	put(q, "after", 1);
	CHECK_EQ(current(q), 1);
	expect(q, "after", 1);
	drop_queue(q);
}

TEST(send_interrupted_by_a_handler_is_eintr_and_sends_nothing)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w = {.buf = "never"};

	handle(0);
	put(q, "full", 0);
	start_and_block(&w, work_send, q);
	interrupt(&w);
	expect_eintr(&w);
	expect(q, "full", 0);
	expect_empty(q);
	drop_queue(q);
}

TEST(timed_calls_interrupted_by_a_handler_are_eintr)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w = {.buf = "never", .deadline = in_ms(50000)};

	handle(0);
	start_and_block(&w, work_timedreceive, q);
	interrupt(&w);
	expect_eintr(&w);
	put(q, "full", 0);
	strcpy(w.buf, "never");
	w.prio = 0;
	start_and_block(&w, work_timedsend, q);
	interrupt(&w);
	expect_eintr(&w);
	CHECK_EQ(current(q), 1);
	drop_queue(q);
}

TEST(receive_goes_on_after_a_handler_with_sa_restart)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w;

	handle(SA_RESTART);
	start_and_block(&w, work_receive, q);
	for (int i = 0; i < 5; i++) {
		interrupt(&w);
		wait_thread_asleep(&w);
	}
	put(q, "finally", 3);
	finish(&w);
	CHECK_EQ(w.result, 7);
	CHECK_EQ(w.prio, 3);
	drop_queue(q);
}

TEST(send_goes_on_after_a_handler_with_sa_restart)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w = {.buf = "finally", .prio = 3};

	handle(SA_RESTART);
	put(q, "full", 0);
	start_and_block(&w, work_send, q);
	for (int i = 0; i < 5; i++) {
		interrupt(&w);
		wait_thread_asleep(&w);
	}
	expect(q, "full", 0);
	finish(&w);
	CHECK_EQ(w.result, 0);
	expect(q, "finally", 3);
	drop_queue(q);
}

TEST(timed_receive_goes_on_after_sa_restart_and_gets_its_message)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w = {.deadline = in_ms(50000)};

	handle(SA_RESTART);
	start_and_block(&w, work_timedreceive, q);
	interrupt(&w);
	wait_thread_asleep(&w);
	put(q, "in time", 0);
	finish(&w);
	CHECK_EQ(w.result, 7);
	drop_queue(q);
}

TEST(timed_calls_keep_their_deadline_over_sa_restart)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w = {.deadline = in_ms(300)};

	handle(SA_RESTART);
	start_and_block(&w, work_timedreceive, q);
	interrupt(&w);
	finish(&w);
	CHECK_EQ(w.result, -1);
	CHECK_EQ(w.error, ETIMEDOUT);
	CHECK(has_passed(CLOCK_REALTIME, &w.deadline));

	put(q, "full", 0);
	w.deadline = in_ms(300);
	strcpy(w.buf, "never");
	w.prio = 0;
	start_and_block(&w, work_timedsend, q);
	interrupt(&w);
	finish(&w);
	CHECK_EQ(w.result, -1);
	CHECK_EQ(w.error, ETIMEDOUT);
	CHECK(has_passed(CLOCK_REALTIME, &w.deadline));
	expect(q, "full", 0);
	drop_queue(q);
}

TEST(blocked_signal_does_not_interrupt)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w;
	sigset_t set;

	handle(0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	start_and_block(&w, work_receive, q);
	CHECK_EQ(pthread_kill(w.thread, SIGUSR1), 0);
	wait_thread_asleep(&w);
	put(q, "undisturbed", 0);
	finish(&w);
	CHECK_EQ(w.result, 11);
	CHECK_EQ(atomic_load(&handled), 0);
	drop_queue(q);
}

TEST(ignored_signal_does_not_interrupt)
{
	mqd_t q = make_queue(1, SMALL);
	struct worker w;

	signal(SIGUSR1, SIG_IGN);
	start_and_block(&w, work_receive, q);
	CHECK_EQ(pthread_kill(w.thread, SIGUSR1), 0);
	wait_thread_asleep(&w);
	put(q, "undisturbed", 0);
	finish(&w);
	CHECK_EQ(w.result, 11);
	drop_queue(q);
}

TEST(signal_to_one_sleeper_leaves_the_others_asleep)
{
	mqd_t q = make_queue(2, SMALL);
	struct worker w[2];

	handle(0);
	start_and_block(&w[0], work_receive, q);
	start_and_block(&w[1], work_receive, q);
	interrupt(&w[0]);
	expect_eintr(&w[0]);
	CHECK_EQ(atomic_load(&w[1].done), 0);
	put(q, "yours", 0);
	finish(&w[1]);
	CHECK_EQ(w[1].result, 5);
	drop_queue(q);
}

static void receive_one(void *arg)
{
	mqd_t q = *(mqd_t *)arg;

	expect(q, "hello", 0);
}

static bool is_stopped(void *arg)
{
	char path[64];
	char line[256] = "";
	bool stopped = false;

	snprintf(path, sizeof(path), "/proc/%d/status", *(pid_t *)arg);
	FILE *f = fopen(path, "re");
	CHECK(f != NULL);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, "State:", 6) == 0)
			stopped = strchr(line, 'T') != NULL;
	fclose(f);
	return stopped;
}

TEST(stop_and_continue_leave_a_sleeping_receiver_asleep)
{
	mqd_t q = make_queue(1, SMALL);
	pid_t pid = test_fork(receive_one, &q);

	test_wait_asleep(pid);
	CHECK_OK(kill(pid, SIGSTOP));
	test_wait_until(is_stopped, &pid);
	CHECK_OK(kill(pid, SIGCONT));
	test_wait_asleep(pid);
	put(q, "hello", 0);
	test_join(pid);
	drop_queue(q);
}

TEST(message_sent_to_a_stopped_receiver_is_there_when_it_continues)
{
	mqd_t q = make_queue(1, SMALL);
	pid_t pid = test_fork(receive_one, &q);

	test_wait_asleep(pid);
	CHECK_OK(kill(pid, SIGSTOP));
	test_wait_until(is_stopped, &pid);
	put(q, "hello", 0);
	CHECK_OK(kill(pid, SIGCONT));
	test_join(pid);
	drop_queue(q);
}

// A storm of signals against a busy pair: every call either moves its message or fails with EINTR.
struct storm {
	mqd_t q;
	atomic_int over;
	int count;
};

static void *send_through_storm(void *arg)
{
	struct storm *storm = arg;

	for (uint64_t i = 0; i < (uint64_t)storm->count; i++)
		while (mq_send(storm->q, (const char *)&i, sizeof(i), 0) == -1)
			CHECK_EQ(errno, EINTR);
	return NULL;
}

static void *receive_through_storm(void *arg)
{
	struct storm *storm = arg;
	union {
		char bytes[SMALL];
		uint64_t number;
	} buf;

	for (uint64_t i = 0; i < (uint64_t)storm->count; i++) {
		while (mq_receive(storm->q, buf.bytes, sizeof(buf), NULL) == -1)
			CHECK_EQ(errno, EINTR);
		CHECK_EQ(buf.number, i);
	}
	atomic_store(&storm->over, 1);
	return NULL;
}

TEST(storm_of_signals_loses_and_doubles_nothing)
{
	struct storm storm = {.q = make_queue(2, SMALL), .count = 20000};
	pthread_t sender;
	pthread_t receiver;

	handle(0);
	CHECK_EQ(pthread_create(&sender, NULL, send_through_storm, &storm), 0);
	CHECK_EQ(pthread_create(&receiver, NULL, receive_through_storm, &storm), 0);
	while (!atomic_load(&storm.over)) {
		int before = atomic_load(&handled);
		CHECK_EQ(pthread_kill(sender, SIGUSR1), 0);
		CHECK_EQ(pthread_kill(receiver, SIGUSR1), 0);
		while (atomic_load(&handled) == before && !atomic_load(&storm.over))
			sched_yield();
	}
	CHECK_EQ(pthread_join(sender, NULL), 0);
	CHECK_EQ(pthread_join(receiver, NULL), 0);
	expect_empty(storm.q);
	drop_queue(storm.q);
}

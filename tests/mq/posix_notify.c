// SPDX-License-Identifier: MIT
//
// tests/mq/posix_notify.c - mq_notify: what the signal says, what fires and what does not. Who may register
// and until when is in posix_notify_owner.c, SIGEV_THREAD in posix_notify_thread.c.
#include "notify.h"

#include <poll.h>
#include <sched.h>

/* ---- what the signal says ---- */

TEST(signal_from_another_process_says_who_sent_and_carries_the_value)
{
	mqd_t q = make_queue(2, SMALL);

	CHECK_OK(register_signal(q, SIGUSR1, 4711));
	pid_t pid = test_fork(send_hello, NULL);
	siginfo_t info = await_signal(SIGUSR1);
	CHECK_EQ(info.si_code, SI_MESGQ);
	CHECK_EQ(info.si_pid, pid);
	CHECK_EQ(info.si_uid, getuid());
	CHECK_EQ(info.si_value.sival_int, 4711);
	test_join(pid);
	expect(q, "hello", 1);
	drop_queue(q);
}

TEST(signal_from_the_own_process_says_so)
{
	mqd_t q = make_queue(2, SMALL);

	CHECK_OK(register_signal(q, SIGRTMIN, -1));
	put(q, "hello", 1);
	siginfo_t info = await_signal(SIGRTMIN);
	CHECK_EQ(info.si_code, SI_MESGQ);
	CHECK_EQ(info.si_pid, getpid());
	CHECK_EQ(info.si_uid, getuid());
	CHECK_EQ(info.si_value.sival_int, -1);
	drop_queue(q);
}

TEST(signal_carries_a_pointer)
{
	mqd_t q = make_queue(2, SMALL);
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};

	block_signals();
	event.sigev_value.sival_ptr = &event;
	CHECK_OK(mq_notify(q, &event));
	put(q, "hello", 1);
	CHECK(await_signal(SIGUSR1).si_value.sival_ptr == &event);
	drop_queue(q);
}

static void send_hello_as_nobody(void *arg)
{
	become_nobody();
	send_hello(arg);
}

TEST(signal_from_another_user_says_which)
{
	if (geteuid() != 0)
		SKIP("needs root to act as a second user");
	open_namespace_to_all();
	umask(0);
	mqd_t q = mq_open(test_name(), O_RDWR | O_CREAT, 0666, NULL);
	CHECK_OK(q);
	CHECK_OK(register_signal(q, SIGUSR1, 1));
	pid_t pid = test_fork(send_hello_as_nobody, NULL);
	siginfo_t info = await_signal(SIGUSR1);
	CHECK_EQ(info.si_pid, pid);
	CHECK_EQ(info.si_uid, NOBODY);
	test_join(pid);
	drop_queue(q);
}

static atomic_int handled_value;

static void note_value(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	atomic_store(&handled_value, info->si_value.sival_int);
}

TEST(signal_runs_a_handler)
{
	mqd_t q = make_queue(2, SMALL);
	struct sigaction sa = {.sa_sigaction = note_value, .sa_flags = SA_SIGINFO | SA_RESTART};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};

	CHECK_OK(sigaction(SIGUSR2, &sa, NULL));
	event.sigev_value.sival_int = 99;
	CHECK_OK(mq_notify(q, &event));
	test_join(test_fork(send_hello, NULL));
	wait_count(&handled_value, 99);
	drop_queue(q);
}

static void *receive_with_the_signal_open(void *arg)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	CHECK_EQ(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
	return work_receive(arg);
}

// The signal is the process's; the one thread that has it open sleeps in a call.
TEST(signal_of_the_registrant_interrupts_its_sleeping_call)
{
	mqd_t q = make_queue(1, SMALL);
	mqd_t other = make_named(test_name_of("other"), 1, SMALL);
	struct sigaction sa = {.sa_sigaction = note_value, .sa_flags = SA_SIGINFO};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
	struct worker w;
	sigset_t set;

	CHECK_OK(sigaction(SIGUSR2, &sa, NULL));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	event.sigev_value.sival_int = 7;
	CHECK_OK(mq_notify(q, &event));
	start_and_block(&w, receive_with_the_signal_open, other);
	test_join(test_fork(send_hello, NULL));
	finish(&w);
	CHECK_EQ(w.result, -1);
	CHECK_EQ(w.error, EINTR);
	CHECK_EQ(handled_value, 7);
	CHECK_OK(mq_close(other));
	CHECK_OK(mq_unlink(test_name_of("other")));
	drop_queue(q);
}

TEST(two_queues_notify_one_process_each_with_its_value)
{
	mqd_t q = make_queue(1, SMALL);
	mqd_t other = make_named(test_name_of("other"), 1, SMALL);

	CHECK_OK(register_signal(q, SIGRTMIN, 1));
	CHECK_OK(register_signal(other, SIGRTMIN, 2));
	put(other, "x", 0);
	CHECK_EQ(await_signal(SIGRTMIN).si_value.sival_int, 2);
	put(q, "x", 0);
	CHECK_EQ(await_signal(SIGRTMIN).si_value.sival_int, 1);
	CHECK_OK(mq_close(other));
	CHECK_OK(mq_unlink(test_name_of("other")));
	drop_queue(q);
}

/* ---- what fires ---- */

TEST(notification_is_used_up_by_firing_once)
{
	mqd_t q = make_queue(4, SMALL);

	CHECK_OK(register_signal(q, SIGUSR1, 1));
	CHECK(is_registered());
	put(q, "fires", 0);
	await_signal(SIGUSR1);
	CHECK(!is_registered());
	expect(q, "fires", 0);
	put(q, "does not", 0);
	expect(q, "does not", 0);
	CHECK_OK(register_signal(q, SIGUSR1, 2));
	put(q, "fires again", 0);
	CHECK_EQ(await_signal(SIGUSR1).si_value.sival_int, 2);
	CHECK(!is_pending(SIGUSR1));
	drop_queue(q);
}

TEST(registration_is_free_as_soon_as_the_send_that_fires_has_returned)
{
	mqd_t q = make_queue(4, SMALL);

	for (int i = 0; i < 100; i++) {
		CHECK_OK(register_signal(q, SIGRTMIN, i));
		put(q, "fires", 0);
		CHECK_OK(register_none(q));
		CHECK_OK(mq_notify(q, NULL));
		CHECK_EQ(await_signal(SIGRTMIN).si_value.sival_int, i);
		expect(q, "fires", 0);
	}
	drop_queue(q);
}

TEST(message_at_a_queue_that_is_not_empty_does_not_fire)
{
	mqd_t q = make_queue(4, SMALL);

	put(q, "first", 5);
	CHECK_OK(register_signal(q, SIGUSR1, 1));
	put(q, "second", 4);
	CHECK(is_registered());
	expect(q, "first", 5);
	put(q, "third", 3);
	CHECK(is_registered());
	expect(q, "second", 4);
	expect(q, "third", 3);
	CHECK(is_registered());
	CHECK(!is_pending(SIGUSR1));
	pid_t pid = test_fork(send_hello, NULL);
	CHECK_EQ(await_signal(SIGUSR1).si_pid, pid);
	test_join(pid);
	drop_queue(q);
}

TEST(send_that_fails_does_not_fire)
{
	mqd_t q = make_queue(1, 16);
	char big[17] = {0};

	CHECK_OK(register_signal(q, SIGUSR1, 1));
	CHECK_ERR(mq_send(q, big, sizeof(big), 0), EMSGSIZE);
	CHECK_ERR(mq_send(q, big, 1, 32768), EINVAL);
	CHECK(is_registered());
	CHECK_OK(mq_notify(q, NULL));
	drop_queue(q);
}

TEST(message_of_length_zero_fires)
{
	mqd_t q = make_queue(1, SMALL);

	CHECK_OK(register_signal(q, SIGUSR1, 5));
	CHECK_OK(mq_send(q, "", 0, 0));
	CHECK_EQ(await_signal(SIGUSR1).si_value.sival_int, 5);
	drop_queue(q);
}

TEST(notification_does_not_fire_while_a_receiver_is_blocked)
{
	mqd_t q = make_queue(2, SMALL);
	struct worker w;

	CHECK_OK(register_signal(q, SIGUSR1, 1));
	for (int i = 0; i < 20; i++) {
		start_and_block(&w, work_receive, q);
		put(q, "for the receiver", 0);
		finish(&w);
		CHECK_EQ(w.result, 16);
		CHECK(is_registered());
	}
	pid_t pid = test_fork(send_hello, NULL);
	CHECK_EQ(await_signal(SIGUSR1).si_pid, pid);
	test_join(pid);
	drop_queue(q);
}

static void receive_hello(void *arg)
{
	(void)arg;
	mqd_t q = open_queue(O_RDONLY);
	expect(q, "hello", 1);
}

TEST(notification_does_not_fire_while_another_process_is_blocked)
{
	mqd_t q = make_queue(2, SMALL);

	CHECK_OK(register_signal(q, SIGUSR1, 1));
	pid_t receiver = test_fork(receive_hello, NULL);
	test_wait_asleep(receiver);
	test_join(test_fork(send_hello, NULL));
	test_join(receiver);
	CHECK(is_registered());
	put(q, "now", 0);
	CHECK_EQ(await_signal(SIGUSR1).si_pid, getpid());
	drop_queue(q);
}

TEST(notification_fires_after_the_blocked_receiver_has_gone)
{
	mqd_t q = make_queue(2, SMALL);
	struct worker w = {.deadline = in_ms(100)};

	CHECK_OK(register_signal(q, SIGUSR1, 1));
	start_and_block(&w, work_timedreceive, q);
	finish(&w);
	CHECK_EQ(w.error, ETIMEDOUT);
	start_and_block(&w, work_receive, q);
	CHECK_EQ(pthread_cancel(w.thread), 0);
	finish(&w);
	pid_t receiver = test_fork(receive_hello, NULL);
	test_wait_asleep(receiver);
	test_kill(receiver);
	put(q, "nobody waits", 0);
	CHECK_EQ(await_signal(SIGUSR1).si_pid, getpid());
	drop_queue(q);
}

static void poll_for_hello(void *arg)
{
	(void)arg;
	mqd_t q = open_queue(O_RDWR);
	struct pollfd p = {.fd = q, .events = POLLIN};
	CHECK_EQ(poll(&p, 1, -1), 1);
}

TEST(notification_fires_though_somebody_sleeps_in_poll)
{
	mqd_t q = make_queue(2, SMALL);

	CHECK_OK(register_signal(q, SIGUSR1, 1));
	pid_t poller = test_fork(poll_for_hello, NULL);
	test_wait_asleep(poller);
	put(q, "hello", 1);
	CHECK_EQ(await_signal(SIGUSR1).si_pid, getpid());
	test_join(poller);
	drop_queue(q);
}

enum { RACES = 300 };

static void send_two_each_round(void *arg)
{
	atomic_int *round = arg;
	mqd_t q = open_queue(O_WRONLY);

	for (int i = 1; i <= RACES; i++) {
		while (atomic_load(round) != i)
			sched_yield();
		put(q, "first", 0);
		put(q, "second", 0);
	}
	CHECK_OK(mq_close(q));
}

static void ignore_it(int sig)
{
	(void)sig;
}

// The receiver is awake when the first message comes, takes it at once and waits for the second: a signal that
// came then would interrupt it.
TEST(notification_of_a_message_does_not_interrupt_the_wait_for_the_next)
{
	struct sigaction action = {.sa_handler = ignore_it};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
	atomic_int *round = share(sizeof(*round));
	mqd_t q = make_queue(1, SMALL), awake = open_queue(O_RDONLY | O_NONBLOCK);
	char buf[SMALL];

	CHECK_OK(sigaction(SIGUSR2, &action, NULL));
	pid_t sender = test_fork(send_two_each_round, round);
	for (int i = 1; i <= RACES; i++) {
		CHECK_OK(mq_notify(q, &event));
		atomic_store(round, i);
		while (mq_receive(awake, buf, sizeof(buf), NULL) < 0)
			CHECK_EQ(errno, EAGAIN);
		CHECK_EQ(CHECK_OK(mq_receive(q, buf, sizeof(buf), NULL)), strlen("second"));
		mq_notify(q, NULL);
	}
	test_join(sender);
	CHECK_OK(mq_close(awake));
	drop_queue(q);
}

TEST(sigev_none_sends_nothing_and_is_used_up)
{
	mqd_t q = make_queue(2, SMALL);

	CHECK_OK(register_none(q));
	CHECK(is_registered());
	put(q, "quiet", 0);
	CHECK(!is_registered());
	CHECK_OK(register_none(q));
	CHECK_OK(mq_notify(q, NULL));
	drop_queue(q);
}

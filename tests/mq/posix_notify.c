// SPDX-License-Identifier: MIT
//
// tests/mq/posix_notify.c - mq_notify: who may register and until when, what fires and what does not,
// and what the signal or the thread is told.
//
// Delivery may lag behind the send that causes it, so "did not fire" is never shown by waiting. It is
// shown by the registration, which firing uses up at once: another process asks for it and gets EBUSY.
#include "queue.h"

#include <poll.h>

enum { SIGNAL_WAIT_S = 20 };

static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
}

static int register_signal(mqd_t q, int sig, int value)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = sig};

	block_signals();
	event.sigev_value.sival_int = value;
	return mq_notify(q, &event);
}

static int register_none(mqd_t q)
{
	struct sigevent event = {.sigev_notify = SIGEV_NONE};

	return mq_notify(q, &event);
}

static siginfo_t await_signal(int sig)
{
	const struct timespec limit = {.tv_sec = SIGNAL_WAIT_S};
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	CHECK_EQ(sigtimedwait(&set, &info, &limit), sig);
	return info;
}

static bool is_pending(int sig)
{
	sigset_t set;

	CHECK_OK(sigpending(&set));
	return sigismember(&set, sig);
}

static void try_to_register(void *arg)
{
	atomic_int *free_to_take = arg;
	mqd_t q = open_queue(O_RDWR);

	if (register_none(q) == 0)
		atomic_store(free_to_take, 1);
	else
		CHECK_EQ(errno, EBUSY);
	CHECK_OK(mq_notify(q, NULL));
	CHECK_OK(mq_close(q));
}

// Is any process registered? Asked from a child, which leaves the answer as it was.
static bool is_registered(void)
{
	atomic_int *free_to_take = share(sizeof(*free_to_take));

	test_join(test_fork(try_to_register, free_to_take));
	bool answer = !atomic_load(free_to_take);
	CHECK_OK(munmap(free_to_take, sizeof(*free_to_take)));
	return answer;
}

static void send_hello(void *arg)
{
	(void)arg;
	mqd_t q = open_queue(O_WRONLY);
	put(q, "hello", 1);
	CHECK_OK(mq_close(q));
}

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

TEST(signal_of_the_registrant_interrupts_its_sleeping_call)
{
	mqd_t q = make_queue(1, SMALL);
	mqd_t other = make_named(test_name_of("other"), 1, SMALL);
	struct sigaction sa = {.sa_sigaction = note_value, .sa_flags = SA_SIGINFO};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
	char buf[SMALL];

	CHECK_OK(sigaction(SIGUSR2, &sa, NULL));
	event.sigev_value.sival_int = 7;
	CHECK_OK(mq_notify(q, &event));
	pid_t pid = test_fork(send_hello, NULL);
	// Whether the handler runs before or inside the call, only it can end this.
	struct timespec limit = in_ms(20000);
	while (!atomic_load(&handled_value))
		CHECK_ERR(mq_timedreceive(other, buf, sizeof(buf), NULL, &limit), EINTR);
	test_join(pid);
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

/* ---- who is registered, and until when ---- */

TEST(second_registration_is_ebusy_in_the_same_process_too)
{
	mqd_t q = make_queue(1, SMALL);
	mqd_t other = open_queue(O_RDWR);

	CHECK_OK(register_none(q));
	CHECK_ERR(register_none(q), EBUSY);
	CHECK_ERR(register_none(other), EBUSY);
	CHECK(is_registered());
	CHECK_OK(mq_notify(q, NULL));
	CHECK_OK(register_none(other));
	CHECK_OK(mq_close(other));
	drop_queue(q);
}

TEST(null_takes_the_registration_back)
{
	mqd_t q = make_queue(1, SMALL);

	CHECK_OK(register_signal(q, SIGUSR1, 1));
	CHECK_OK(mq_notify(q, NULL));
	CHECK(!is_registered());
	put(q, "quiet", 0);
	CHECK(!is_pending(SIGUSR1));
	CHECK_OK(mq_notify(q, NULL));
	drop_queue(q);
}

TEST(registration_needs_no_access_mode)
{
	mqd_t q = make_queue(1, SMALL);
	mqd_t one[] = {open_queue(O_RDONLY), open_queue(O_WRONLY)};

	for (int i = 0; i < 2; i++) {
		CHECK_OK(register_signal(one[i], SIGUSR1, i));
		put(q, "x", 0);
		CHECK_EQ(await_signal(SIGUSR1).si_value.sival_int, i);
		expect(q, "x", 0);
		CHECK_OK(mq_close(one[i]));
	}
	drop_queue(q);
}

TEST(close_frees_the_registration)
{
	mqd_t q = make_queue(1, SMALL);
	mqd_t other = open_queue(O_RDWR);

	CHECK_OK(register_signal(q, SIGUSR1, 1));
	CHECK_OK(mq_close(q));
	CHECK(!is_registered());
	put(other, "quiet", 0);
	CHECK(!is_pending(SIGUSR1));
	drop_queue(other);
}

TEST(close_of_another_descriptor_of_the_queue_and_the_registration)
{
	mqd_t q = make_queue(1, SMALL);
	mqd_t other = open_queue(O_RDWR);

	CHECK_OK(register_none(q));
	CHECK_OK(mq_close(other));
#ifdef TEST_KERNEL
	// The kernel frees it when the process closes any of its descriptors of the queue; POSIX says
	// only "via this mqdes".
	CHECK(!is_registered());
#else
	CHECK(is_registered());
#endif
	drop_queue(q);
}

TEST(unlink_leaves_the_registration)
{
	mqd_t q = make_queue(1, SMALL);

	CHECK_OK(register_signal(q, SIGUSR1, 3));
	CHECK_OK(mq_unlink(test_name()));
	put(q, "x", 0);
	CHECK_EQ(await_signal(SIGUSR1).si_value.sival_int, 3);
	CHECK_OK(mq_close(q));
}

static void *register_and_end(void *arg)
{
	CHECK_OK(register_signal(*(mqd_t *)arg, SIGUSR1, 8));
	return NULL;
}

TEST(registration_outlives_the_thread_that_made_it)
{
	mqd_t q = make_queue(1, SMALL);
	pthread_t thread;

	block_signals();
	CHECK_EQ(pthread_create(&thread, NULL, register_and_end, &q), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK(is_registered());
	pid_t pid = test_fork(send_hello, NULL);
	CHECK_EQ(await_signal(SIGUSR1).si_value.sival_int, 8);
	test_join(pid);
	drop_queue(q);
}

struct registrant {
	atomic_int step;
	mqd_t inherited;
};

static void register_and_return(void *arg)
{
	(void)arg;
	CHECK_OK(register_signal(open_queue(O_RDWR), SIGUSR1, 1));
}

TEST(exit_frees_the_registration)
{
	mqd_t q = make_queue(1, SMALL);

	for (int i = 0; i < 20; i++) {
		test_join(test_fork(register_and_return, NULL));
		CHECK_OK(register_none(q));
		CHECK_OK(mq_notify(q, NULL));
	}
	drop_queue(q);
}

static void register_and_stay(void *arg)
{
	struct registrant *registrant = arg;

	CHECK_OK(register_signal(open_queue(O_RDWR), SIGUSR1, 1));
	atomic_store(&registrant->step, 1);
	for (;;)
		pause();
}

TEST(kill_frees_the_registration)
{
	mqd_t q = make_queue(1, SMALL);
	struct registrant *registrant = share(sizeof(*registrant));

	for (int i = 0; i < 20; i++) {
		atomic_store(&registrant->step, 0);
		pid_t pid = test_fork(register_and_stay, registrant);
		wait_count(&registrant->step, 1);
		CHECK_ERR(register_none(q), EBUSY);
		test_kill(pid);
		CHECK_OK(register_none(q));
		CHECK_OK(mq_notify(q, NULL));
	}
	drop_queue(q);
}

TEST(send_to_a_killed_registrant_just_sends)
{
	mqd_t q = make_queue(1, SMALL);
	struct registrant *registrant = share(sizeof(*registrant));

	pid_t pid = test_fork(register_and_stay, registrant);
	wait_count(&registrant->step, 1);
	test_kill(pid);
	put(q, "hello", 0);
	expect(q, "hello", 0);
	CHECK(!is_registered());
	drop_queue(q);
}

static void register_and_exec(void *arg)
{
	int *fds = arg;

	CHECK_OK(register_signal(open_queue(O_RDWR), SIGUSR1, 1));
	CHECK_OK(dup2(fds[0], 0));
	CHECK_OK(dup2(fds[3], 1));
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	execlp("sh", "sh", "-c", "echo started; read line; exit 0", (char *)NULL);
	_exit(2);
}

TEST(exec_frees_the_registration)
{
	mqd_t q = make_queue(1, SMALL);
	int fds[4];
	char buf[8];

	CHECK_OK(pipe(fds));
	CHECK_OK(pipe(fds + 2));
	pid_t pid = test_fork(register_and_exec, fds);
	CHECK_EQ(read(fds[2], buf, 8), 8);
	CHECK(!is_registered());
	CHECK_EQ(write(fds[1], "\n", 1), 1);
	test_join(pid);
	for (int i = 0; i < 4; i++)
		CHECK_OK(close(fds[i]));
	drop_queue(q);
}

static void meddle_with_the_parents(void *arg)
{
	mqd_t q = *(mqd_t *)arg;

	CHECK_OK(mq_notify(q, NULL));
	CHECK_ERR(register_none(q), EBUSY);
	CHECK_OK(mq_close(q));
}

TEST(child_neither_inherits_nor_removes_the_parents_registration)
{
	mqd_t q = make_queue(1, SMALL);

	CHECK_OK(register_signal(q, SIGUSR1, 6));
	test_join(test_fork(meddle_with_the_parents, &q));
	CHECK(is_registered());
	put(q, "x", 0);
	CHECK_EQ(await_signal(SIGUSR1).si_value.sival_int, 6);
	CHECK(!is_pending(SIGUSR1));
	drop_queue(q);
}

static void register_on_inherited(void *arg)
{
	struct registrant *registrant = arg;

	CHECK_OK(register_signal(registrant->inherited, SIGUSR1, 12));
	atomic_store(&registrant->step, 1);
	CHECK_EQ(await_signal(SIGUSR1).si_pid, getppid());
}

TEST(child_may_register_with_the_descriptor_it_inherits)
{
	struct registrant *registrant = share(sizeof(*registrant));
	mqd_t q = make_queue(1, SMALL);

	block_signals();
	CHECK_OK(register_none(q));
	CHECK_OK(mq_notify(q, NULL));
	registrant->inherited = q;
	pid_t pid = test_fork(register_on_inherited, registrant);
	wait_count(&registrant->step, 1);
	CHECK_ERR(register_none(q), EBUSY);
	put(q, "for the child", 0);
	test_join(pid);
	CHECK(!is_pending(SIGUSR1));
	drop_queue(q);
}

TEST(event_that_is_not_valid_is_einval_and_registers_nothing)
{
	mqd_t q = make_queue(1, SMALL);
	struct sigevent event = {.sigev_notify = 99, .sigev_signo = SIGUSR1};

	CHECK_ERR(mq_notify(q, &event), EINVAL);
	event.sigev_notify = SIGEV_SIGNAL;
	event.sigev_signo = -1;
	CHECK_ERR(mq_notify(q, &event), EINVAL);
	event.sigev_signo = 65;
	CHECK_ERR(mq_notify(q, &event), EINVAL);
	event.sigev_signo = 1 << 20;
	CHECK_ERR(mq_notify(q, &event), EINVAL);
	CHECK(!is_registered());
	drop_queue(q);
}

/* ---- a thread ---- */

// The C library's thread for the kernel's queues keeps a socket open for ever, so these tests run in a
// child, whose descriptors nobody counts.

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

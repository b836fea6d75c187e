// SPDX-License-Identifier: MIT
//
// tests/mq/posix_notify_owner.c - mq_notify: one registration per queue, who holds it, and everything that
// frees it: taking it back, closing, ending, exec, being killed.
#include "notify.h"

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

static void register_and_have_a_child(void *arg)
{
	struct registrant *registrant = arg;

	CHECK_OK(register_signal(open_queue(O_RDWR), SIGUSR1, 1));
	if (CHECK_OK(fork()) == 0)
		atomic_store(&registrant->step, getpid());
	for (;;)
		pause();
}

TEST(kill_frees_the_registration_though_a_child_lives_on)
{
	mqd_t q = make_queue(1, SMALL);
	struct registrant *registrant = share(sizeof(*registrant));

	pid_t pid = test_fork(register_and_have_a_child, registrant);
	wait_count(&registrant->step, 1);
	CHECK_ERR(register_none(q), EBUSY);
	test_kill(pid);
	CHECK_OK(register_none(q));
	CHECK_OK(kill(registrant->step, SIGKILL));
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

static void register_after_the_drop(void *arg)
{
	mqd_t q = *(mqd_t *)arg;

	CHECK_OK(register_none(q));
	put(q, "works", 0);
	expect(q, "works", 0);
}

static void drop_privileges_and_fork(void *arg)
{
	become_nobody();
	test_join(test_fork(register_after_the_drop, arg));
}

// A daemon opens its queue as root, gives root up, and forks workers: they could not open it again.
TEST(child_of_a_process_that_gave_up_privileges_may_register)
{
	if (geteuid() != 0)
		SKIP("needs root to act as a second user");
	mqd_t q = make_queue(1, SMALL);
	test_join(test_fork(drop_privileges_and_fork, &q));
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

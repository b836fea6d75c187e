// SPDX-License-Identifier: MIT
//
// tests/mq/mq_info.c - what ph_mq_info shows from outside, and ph_mq_setpoll for those who enter the
// kernel by themselves.
#include <posthaste/posix.h>

#include "readiness.h"

#include <sys/syscall.h>

static struct ph_mq_info info(void)
{
	struct ph_mq_info i;

	memset(&i, 0x5a, sizeof(i));
	CHECK_OK(ph_mq_info(test_name(), &i));
	return i;
}

TEST(info_of_a_fresh_queue)
{
	time_t before = time(NULL);
	umask(022);
	struct mq_attr attr = {.mq_maxmsg = 7, .mq_msgsize = 100};
	mqd_t q = mq_open(test_name(), O_RDWR | O_CREAT, 0664, &attr);
	CHECK_OK(q);
	struct ph_mq_info i = info();

	CHECK(strcmp(i.name, test_name()) == 0);
	CHECK_EQ(i.maxmsg, 7);
	CHECK_EQ(i.msgsize, 100);
	CHECK_EQ(i.curmsgs, 0);
	CHECK_EQ(i.borrowed, 0);
	CHECK_EQ(i.reserved, 0);
	CHECK(i.spares >= 2 && i.spares <= 16);
	CHECK_EQ(i.sent, 0);
	CHECK_EQ(i.received, 0);
	CHECK(i.bytes >= 7 * 100);
	CHECK_EQ(i.receivers_asleep, 0);
	CHECK_EQ(i.senders_asleep, 0);
	CHECK_EQ(i.last_sender, 0);
	CHECK_EQ(i.last_receiver, 0);
	CHECK_EQ(i.last_send_age_ms, -1);
	CHECK_EQ(i.last_receive_age_ms, -1);
	CHECK(i.created_s >= before && i.created_s <= time(NULL));
	CHECK_EQ(i.creator, getpid());
	CHECK_EQ(i.notify_pid, 0);
	CHECK_EQ(i.subscribers, 0);
	CHECK_EQ(i.polled, 0);
	CHECK_EQ(i.attached, 1);
	CHECK_EQ(i.damaged, 0);
	CHECK_EQ(i.uid, geteuid());
	CHECK_EQ(i.gid, getegid());
	CHECK_EQ(i.mode & 0777, 0644);
	drop_queue(q);
}

static void send_three_receive_one(void *arg)
{
	(void)arg;
	mqd_t q = open_queue(O_RDWR);
	for (int i = 0; i < 3; i++)
		put(q, "x", 0);
	expect(q, "x", 0);
}

TEST(info_counts_messages_and_names_the_last_peers)
{
	mqd_t q = make_queue(7, SMALL);
	pid_t pid = test_fork(send_three_receive_one, NULL);

	test_join(pid);
	struct ph_mq_info i = info();
	CHECK_EQ(i.curmsgs, 2);
	CHECK_EQ(i.sent, 3);
	CHECK_EQ(i.received, 1);
	CHECK_EQ(i.last_sender, pid);
	CHECK_EQ(i.last_receiver, pid);
	CHECK(i.last_send_age_ms >= 0 && i.last_send_age_ms < 60000);
	CHECK(i.last_receive_age_ms >= 0 && i.last_receive_age_ms < 60000);
	expect(q, "x", 0);
	i = info();
	CHECK_EQ(i.last_sender, pid);
	CHECK_EQ(i.last_receiver, getpid());
	CHECK_EQ(i.received, 2);
	drop_queue(q);
}

static void receive_one(void *arg)
{
	(void)arg;
	expect(open_queue(O_RDONLY), "x", 0);
}

TEST(info_counts_sleeping_receivers)
{
	mqd_t q = make_queue(3, SMALL);
	pid_t pid[3];

	for (int i = 0; i < 3; i++) {
		pid[i] = test_fork(receive_one, NULL);
		test_wait_asleep(pid[i]);
		CHECK_EQ(info().receivers_asleep, i + 1);
	}
	test_kill(pid[0]);
	for (int i = 1; i < 3; i++)
		put(q, "x", 0);
	for (int i = 1; i < 3; i++)
		test_join(pid[i]);
	put(q, "x", 0);
	expect(q, "x", 0);
	CHECK_EQ(info().senders_asleep, 0);
	drop_queue(q);
}

static void send_one(void *arg)
{
	(void)arg;
	put(open_queue(O_WRONLY), "x", 0);
}

TEST(info_counts_sleeping_senders)
{
	mqd_t q = make_queue(1, SMALL);
	pid_t pid[3];

	put(q, "x", 0);
	for (int i = 0; i < 3; i++) {
		pid[i] = test_fork(send_one, NULL);
		test_wait_asleep(pid[i]);
		CHECK_EQ(info().senders_asleep, i + 1);
	}
	for (int i = 0; i < 4; i++)
		expect(q, "x", 0);
	for (int i = 0; i < 3; i++)
		test_join(pid[i]);
	CHECK_EQ(info().senders_asleep, 0);
	CHECK_EQ(info().receivers_asleep, 0);
	drop_queue(q);
}

TEST(info_counts_loans)
{
	mqd_t q = make_queue(3, SMALL);
	struct ph_mq_loan message;
	struct ph_mq_loan room;

	put(q, "x", 0);
	put(q, "y", 0);
	CHECK_OK(ph_mq_borrow(q, &message));
	CHECK_OK(ph_mq_reserve(q, &room));
	struct ph_mq_info i = info();
	CHECK_EQ(i.borrowed, 1);
	CHECK_EQ(i.reserved, 1);
	CHECK_EQ(i.curmsgs, 1);
	CHECK_OK(ph_mq_release(q, &message));
	CHECK_OK(ph_mq_cancel(q, &room));
	i = info();
	CHECK_EQ(i.borrowed, 0);
	CHECK_EQ(i.reserved, 0);
	CHECK_EQ(i.received, 1);
	drop_queue(q);
}

TEST(info_shows_who_is_registered_and_whether_somebody_subscribed_or_polls)
{
	mqd_t q = make_queue(3, SMALL);
	struct sigevent none = {.sigev_notify = SIGEV_NONE};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};

	CHECK_OK(mq_notify(q, &none));
	CHECK_EQ(info().notify_pid, getpid());
	CHECK_OK(mq_notify(q, NULL));
	CHECK_EQ(info().notify_pid, 0);
	int number = ph_mq_subscribe(q, &event);
	CHECK_OK(number);
	CHECK_EQ(info().subscribers, 1);
	CHECK_OK(ph_mq_unsubscribe(q, number));
	CHECK_EQ(info().polled, 0);
	expect_ready(q, POLLOUT);
	CHECK_EQ(info().polled, 1);
	drop_queue(q);
}

TEST(info_shows_whether_some_process_has_the_queue_open)
{
	mqd_t q = make_queue(3, SMALL);

	CHECK_EQ(info().attached, 1);
	CHECK_OK(mq_close(q));
	CHECK_EQ(info().attached, 0);
	pid_t pid = test_fork(receive_one, NULL);
	test_wait_asleep(pid);
	CHECK_EQ(info().attached, 1);
	test_kill(pid);
	CHECK_EQ(info().attached, 0);
	CHECK_OK(mq_unlink(test_name()));
}

TEST(info_judges_names_as_open_does)
{
	struct ph_mq_info i = {.maxmsg = 77};

	CHECK_ERR(ph_mq_info(test_name(), &i), ENOENT);
	CHECK_ERR(ph_mq_info("/", &i), ENOENT);
	CHECK_ERR(ph_mq_info("x", &i), EINVAL);
	CHECK_ERR(ph_mq_info("/a/b", &i), EACCES);
	CHECK_EQ(i.maxmsg, 77);
}

static void look_as_nobody(void *arg)
{
	struct ph_mq_info i;

	become_nobody();
	if (*(bool *)arg)
		CHECK_EQ(info().maxmsg, 2);
	else
		CHECK_ERR(ph_mq_info(test_name(), &i), EACCES);
}

TEST(info_needs_read_permission_and_no_more)
{
	bool may = true;

	if (geteuid() != 0)
		SKIP("needs root to act as a second user");
	open_namespace_to_all();
	umask(0);
	struct mq_attr attr = {.mq_maxmsg = 2, .mq_msgsize = 8};
	mqd_t q = mq_open(test_name(), O_RDWR | O_CREAT, 0644, &attr);
	CHECK_OK(q);
	test_join(test_fork(look_as_nobody, &may));
	drop_queue(q);
	q = mq_open(test_name(), O_RDWR | O_CREAT, 0600, &attr);
	CHECK_OK(q);
	may = false;
	test_join(test_fork(look_as_nobody, &may));
	drop_queue(q);
}

static void keep_moving(void *arg)
{
	atomic_int *over = arg;
	mqd_t q = open_queue(O_RDWR);

	while (!atomic_load(over)) {
		put(q, "x", 1);
		expect(q, "x", 1);
	}
}

TEST(info_of_a_busy_queue_is_never_absurd)
{
	atomic_int *over = share(sizeof(*over));
	mqd_t q = make_queue(2, SMALL);
	struct ph_mq_info last = info();

	pid_t pid = test_fork(keep_moving, over);
	while (last.received < 1000) {
		struct ph_mq_info i = info();
		CHECK(i.curmsgs <= 2);
		CHECK(i.sent >= last.sent && i.received >= last.received);
		CHECK(i.borrowed <= 1);
		CHECK_EQ(i.damaged, 0);
		CHECK_EQ(i.maxmsg, 2);
		last = i;
	}
	atomic_store(over, 1);
	test_join(pid);
	drop_queue(q);
}

/* ---- ph_mq_setpoll ---- */

// poll as a program does it that enters the kernel without the C library.
static short poll_raw(mqd_t q, short events, const struct timespec *limit)
{
	struct pollfd p = {.fd = q, .events = events};
	struct timespec copy = limit ? *limit : (struct timespec){0, 0};

	CHECK_OK(syscall(SYS_ppoll, &p, 1UL, limit ? &copy : NULL, NULL, 8UL));
	return p.revents;
}

TEST(setpoll_makes_the_descriptor_right_for_raw_system_calls)
{
	const struct timespec now = {0, 0};
	mqd_t q = make_queue(2, SMALL);

	put(q, "x", 0);
	CHECK_OK(ph_mq_setpoll(q, 1));
	CHECK_EQ(info().polled, 1);
	for (int i = 0; i < 10; i++) {
		CHECK_EQ(poll_raw(q, POLLIN | POLLOUT, &now), POLLIN | POLLOUT);
		put(q, "y", 0);
		CHECK_EQ(poll_raw(q, POLLIN | POLLOUT, &now), POLLIN);
		expect(q, "x", 0);
		expect(q, "y", 0);
		CHECK_EQ(poll_raw(q, POLLIN | POLLOUT, &now), POLLOUT);
		put(q, "x", 0);
	}
	CHECK_OK(ph_mq_setpoll(q, 0));
	drop_queue(q);
}

static void sleep_in_raw_poll(void *arg)
{
	(void)arg;
	mqd_t q = open_queue(O_RDONLY);
	CHECK_OK(ph_mq_setpoll(q, 1));
	CHECK_EQ(poll_raw(q, POLLIN, NULL), POLLIN);
	expect(q, "x", 0);
}

TEST(setpoll_lets_a_raw_system_call_be_woken)
{
	mqd_t q = make_queue(2, SMALL);

	for (int i = 0; i < 20; i++) {
		pid_t pid = test_fork(sleep_in_raw_poll, NULL);
		test_wait_asleep(pid);
		put(q, "x", 0);
		test_join(pid);
	}
	drop_queue(q);
}

TEST(setpoll_of_what_is_no_queue_is_ebadf)
{
	CHECK_ERR(ph_mq_setpoll(-1, 1), EBADF);
	CHECK_ERR(ph_mq_setpoll(0, 1), EBADF);
}

TEST(setpoll_may_be_repeated_and_taken_back)
{
	mqd_t q = make_queue(2, SMALL);

	for (int i = 0; i < 3; i++) {
		CHECK_OK(ph_mq_setpoll(q, 1));
		CHECK_OK(ph_mq_setpoll(q, 1));
		CHECK_OK(ph_mq_setpoll(q, 0));
		CHECK_OK(ph_mq_setpoll(q, 0));
		put(q, "x", 0);
		expect_ready(q, POLLIN | POLLOUT);
		expect(q, "x", 0);
		expect_ready(q, POLLOUT);
	}
	drop_queue(q);
}

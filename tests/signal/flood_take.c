// SPDX-License-Identifier: MIT
//
// tests/signal/flood_take.c - many senders, and who takes by sigwaitinfo: each signal exactly once, those of a sender
// in their order, EAGAIN when the queue is full and not before.
#include "crowd.h"

static struct crowd *crowd;

static void take_all(struct crowd *c, int n)
{
	const sigset_t set = set_of(c->signo);

	for (int i = 0; i < n; i++) {
		siginfo_t info;
		int sig;
		while ((sig = ph_sigwaitinfo(&set, &info)) == -1)
			CHECK_EQ(errno, EINTR);
		CHECK_EQ(sig, c->signo);
		enter_in_book(c, &info);
	}
}

static void flood_taker(int signo, int senders, int each)
{
	pid_t pids[SENDERS_MAX];

	block(signo);
	crowd = new_crowd(signo, each);
	start_senders(crowd, pids, senders);
	take_all(crowd, senders * crowd->each);
	join_all(pids, senders);
	expect_no_more(crowd);
}

TEST(taker_gets_all_of_six_senders_in_order)
{
	flood_taker(SIGRTMIN + 3, 6, 5000);
}

TEST(taker_gets_all_of_one_sender_in_order)
{
	flood_taker(SIGRTMIN, 1, 50000);
}

TEST(taker_with_a_small_queue_gets_all)
{
	CHECK_OK(ph_sigqueue_depth(3));
	flood_taker(SIGRTMAX, 4, 3000);
	CHECK(atomic_load(&crowd->full) > 0);
}

TEST(taker_loses_nothing_to_kernel_senders_between)
{
	pid_t pids[4];

	block(SIGRTMIN + 1);
	crowd = new_crowd(SIGRTMIN + 1, 3000);
	start_senders(crowd, pids, 2);
	pids[2] = test_fork(send_all_by_kernel, crowd);
	take_all(crowd, 3 * crowd->each);
	join_all(pids, 3);
	expect_no_more(crowd);
}

// ---- several takers in one process ----

enum { TAKERS = 4 };

static atomic_int *seen; // by number
static int total;

static void *take_with_others(void *arg)
{
	struct crowd *c = arg;
	const sigset_t set = set_of(c->signo);
	const struct timespec soon = {0, 20000000};

	while (atomic_load(&c->received) < total) {
		siginfo_t info;
		if (ph_sigtimedwait(&set, &info, &soon) == -1) {
			CHECK(errno == EAGAIN || errno == EINTR);
			continue;
		}
		const int sender = info.si_value.sival_int >> NUMBER_BITS;
		const int number = info.si_value.sival_int & ((1 << NUMBER_BITS) - 1);
		CHECK(sender >= 0 && sender < SENDERS_MAX && number < c->each);
		CHECK_EQ(atomic_fetch_add(&seen[sender * c->each + number], 1), 0);
		atomic_fetch_add(&c->received, 1);
	}
	return NULL;
}

TEST(takers_in_several_threads_get_each_signal_once)
{
	pthread_t threads[TAKERS];
	pid_t pids[3];

	block(SIGRTMIN + 2);
	crowd = new_crowd(SIGRTMIN + 2, 6000);
	total = 3 * crowd->each;
	seen = share(sizeof *seen * (size_t)total);
	for (int i = 0; i < TAKERS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, take_with_others, crowd), 0);
	start_senders(crowd, pids, 3);
	for (int i = 0; i < TAKERS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	join_all(pids, 3);
	CHECK_EQ(atomic_load(&crowd->received), total);
	expect_no_more(crowd);
}

struct lone_taker {
	atomic_int tid, got;
};

static void *take_one(void *arg)
{
	struct lone_taker *t = arg;
	const sigset_t set = set_of(SIGRTMIN + 2);
	int sig;

	atomic_store(&t->tid, (int)gettid());
	CHECK_EQ(ph_sigwait(&set, &sig), 0);
	atomic_store(&t->got, sig);
	return NULL;
}

static void send_a_few(void *arg)
{
	const pid_t target = *(const pid_t *)arg;

	for (int i = 0; i < TAKERS; i++)
		CHECK_OK(send_by_library(target, SIGRTMIN + 2, i));
}

// On one processor the sender is through before the first of them runs: one bell wakes one, who finds signals for all.
TEST(no_taker_stays_asleep_beside_signals_that_another_has_fetched)
{
	struct lone_taker takers[TAKERS];
	pthread_t threads[TAKERS];
	pid_t me = getpid();
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof one, &one);
	block(SIGRTMIN + 2);
	for (int round = 0; round < 30; round++) {
		memset(takers, 0, sizeof takers);
		for (int i = 0; i < TAKERS; i++)
			CHECK_EQ(pthread_create(&threads[i], NULL, take_one, &takers[i]), 0);
		for (int i = 0; i < TAKERS; i++) {
			while (atomic_load(&takers[i].tid) == 0)
				sched_yield();
			test_wait_asleep(atomic_load(&takers[i].tid));
		}
		const pid_t pid = test_fork(send_a_few, &me);
		for (int i = 0; i < TAKERS; i++)
			CHECK_EQ(pthread_join(threads[i], NULL), 0);
		test_join(pid);
	}
}

// ---- sender threads ----

static void *send_in_thread(void *arg)
{
	send_all(arg);
	return NULL;
}

static void send_in_threads(void *arg)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, send_in_thread, arg), 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

TEST(taker_gets_all_of_four_sender_threads_in_order)
{
	block(SIGRTMIN);
	crowd = new_crowd(SIGRTMIN, 5000);
	const pid_t pid = test_fork(send_in_threads, crowd);
	take_all(crowd, 4 * crowd->each);
	test_join(pid);
	expect_no_more(crowd);
}

// ---- the queue's depth ----

static void expect_room_for(int depth, int signo)
{
	const sigset_t set = set_of(signo);
	const pid_t me = getpid();

	for (int i = 0; i < depth; i++)
		CHECK_OK(send_by_library(me, signo, i));
	CHECK_ERR(send_by_library(me, signo, depth), EAGAIN);
	CHECK_OK(ph_kill(me, SIGUSR1)); // standard signals are never refused
	CHECK_OK(ph_kill(me, SIGUSR1));
	siginfo_t info;
	CHECK_EQ(ph_sigwaitinfo(&set, &info), signo);
	CHECK_EQ(info.si_value.sival_int, 0);
	CHECK_OK(send_by_library(me, signo, depth));
	CHECK_ERR(send_by_library(me, signo, depth), EAGAIN);
	for (int i = 1; i <= depth; i++) {
		CHECK_EQ(ph_sigwaitinfo(&set, &info), signo);
		CHECK_EQ(info.si_value.sival_int, i);
	}
	const sigset_t usr1 = set_of(SIGUSR1);
	const struct timespec none = {0, 0};
	CHECK_EQ(ph_sigtimedwait(&usr1, NULL, &none), SIGUSR1);
	CHECK_ERR(ph_sigtimedwait(&usr1, NULL, &none), EAGAIN);
}

TEST(depth_is_exact_and_a_full_queue_is_eagain)
{
	static const int depths[] = {1, 2, 63, 64, 65, 1000, 4097, 1, 20000};
	const sigset_t set = set_of(SIGRTMIN + 4);
	const sigset_t usr1 = set_of(SIGUSR1);
	const struct timespec none = {0, 0};

	block(SIGRTMIN + 4);
	block(SIGUSR1);
	CHECK_ERR(ph_sigtimedwait(&set, NULL, &none), EAGAIN); // from now on it is looked for here
	CHECK_ERR(ph_sigtimedwait(&usr1, NULL, &none), EAGAIN);
	for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		CHECK_OK(ph_sigqueue_depth(depths[i]));
		CHECK_EQ(ph_sigqueue_depth(0), depths[i]);
		expect_room_for(depths[i], SIGRTMIN + 4);
	}
	CHECK_ERR(ph_sigqueue_depth(-1), EINVAL);
	CHECK_ERR(ph_sigqueue_depth(PH_SIGQUEUE_DEPTH_MAX + 1), EINVAL);
}

TEST(depth_cannot_be_less_than_what_is_pending)
{
	const sigset_t set = set_of(SIGRTMIN + 4);
	const struct timespec none = {0, 0};
	siginfo_t info;

	block(SIGRTMIN + 4);
	CHECK_ERR(ph_sigtimedwait(&set, NULL, &none), EAGAIN);
	for (int i = 0; i < 100; i++)
		CHECK_OK(send_by_library(getpid(), SIGRTMIN + 4, i));
	CHECK_ERR(ph_sigqueue_depth(99), EBUSY);
	CHECK_OK(ph_sigqueue_depth(100));
	CHECK_ERR(send_by_library(getpid(), SIGRTMIN + 4, 100), EAGAIN);
	CHECK_OK(ph_sigqueue_depth(101));
	CHECK_OK(send_by_library(getpid(), SIGRTMIN + 4, 100));
	for (int i = 0; i <= 100; i++) {
		CHECK_EQ(ph_sigwaitinfo(&set, &info), SIGRTMIN + 4);
		CHECK_EQ(info.si_value.sival_int, i);
	}
}

// ---- more from the kernel than there is room for ----

TEST(more_kernel_signals_than_room_lose_neither_order_nor_a_standard_signal)
{
	enum { MANY = 900 };
	struct rlimit limit;
	const sigset_t set = set_of(SIGRTMIN + 5);
	const sigset_t usr1 = set_of(SIGUSR1);
	const struct timespec none = {0, 0};
	siginfo_t info;

	CHECK_OK(getrlimit(RLIMIT_SIGPENDING, &limit));
	if (limit.rlim_cur < 3 * MANY)
		SKIP("the kernel's own queue is too short");
	block(SIGRTMIN + 5);
	block(SIGUSR1);
	CHECK_OK(ph_sigqueue_depth(1));
	CHECK_ERR(ph_sigtimedwait(&usr1, NULL, &none), EAGAIN);
	for (int i = 0; i < MANY; i++)
		CHECK_OK(send_by_kernel(getpid(), SIGRTMIN + 5, i));
	CHECK_EQ(ph_sigtimedwait(&set, &info, &none), SIGRTMIN + 5);
	CHECK_EQ(info.si_value.sival_int, 0);
	CHECK_OK(ph_kill(getpid(), SIGUSR1));
	for (int i = 1; i < MANY; i++) {
		CHECK_EQ(ph_sigtimedwait(&set, &info, &none), SIGRTMIN + 5);
		CHECK_EQ(info.si_value.sival_int, i);
	}
	CHECK_ERR(ph_sigtimedwait(&set, NULL, &none), EAGAIN);
	CHECK_EQ(ph_sigtimedwait(&usr1, NULL, &none), SIGUSR1);
}

// ---- senders that are stopped in the middle of a send ----

static void stop_at_random(void *arg)
{
	const pid_t *pids = arg;

	for (int i = 0; i < 12; i++) {
		const pid_t pid = pids[i % 2];
		const struct timespec patience = {.tv_nsec = 60000000}, pause = {.tv_nsec = 300000L * i};
		nanosleep(&pause, NULL);
		if (kill(pid, SIGSTOP) != 0)
			return;
		nanosleep(&patience, NULL);
		kill(pid, SIGCONT);
	}
}

static bool has_one(struct crowd *c, siginfo_t *info)
{
	const int sender = info->si_value.sival_int >> NUMBER_BITS;
	const int number = info->si_value.sival_int & ((1 << NUMBER_BITS) - 1);

	// Who waited for the stopped one in vain went by the kernel: the order is not kept then.
	CHECK(sender >= 0 && sender < SENDERS_MAX && number < c->each);
	return atomic_fetch_add(&seen[sender * c->each + number], 1) == 0;
}

TEST(stopped_senders_keep_no_signal_from_a_taker_that_sleeps_and_wakes)
{
	pid_t pids[2];
	pid_t *shown = share(sizeof pids);
	const sigset_t set = set_of(SIGRTMIN + 2);
	siginfo_t info;

	setenv("POSTHASTE_SPIN_NS", "0", 1);
	block(SIGRTMIN + 2);
	crowd = new_crowd(SIGRTMIN + 2, 100000);
	seen = share(sizeof *seen * (size_t)crowd->each * 2);
	start_senders(crowd, pids, 2);
	memcpy(shown, pids, sizeof pids);
	const pid_t stopper = test_fork(stop_at_random, shown);
	for (int i = 0; i < 2 * crowd->each; i++) {
		CHECK_EQ(ph_sigwaitinfo(&set, &info), SIGRTMIN + 2);
		CHECK(has_one(crowd, &info));
	}
	test_join(stopper); // before the numbers of the senders may be others'
	join_all(pids, 2);
	expect_no_more(crowd);
}

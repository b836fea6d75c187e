// SPDX-License-Identifier: MIT
//
// tests/signal/extra_port.c - named ports: members, who gets what, payloads, errors, all or none, the death of members,
// the name's end. And what ph_signal_info tells.
#include "crowd.h"

#include <sys/stat.h>

#define SIG (SIGRTMIN + 4)

static int send_name(const char *name, int sig, int value, const void *payload, size_t bytes)
{
	return ph_sigport_send(name, sig, (union sigval){.sival_int = value}, payload, bytes);
}

static void join(int sig)
{
	const sigset_t set = set_of(sig);

	CHECK_OK(ph_sigport_join(test_name(), &set, 0600));
}

static void look_for(int sig)
{
	const sigset_t set = set_of(sig);
	const struct timespec none = {0, 0};

	block(sig);
	CHECK_ERR(ph_sigtimedwait(&set, NULL, &none), EAGAIN);
}

static siginfo_t take(int sig)
{
	const sigset_t set = set_of(sig);
	siginfo_t info;

	CHECK_EQ(ph_sigwaitinfo(&set, &info), sig);
	return info;
}

static bool is_in_namespace(const char *name)
{
	char path[512];
	struct stat st;

	snprintf(path, sizeof path, "%s/%s", getenv("POSTHASTE_DIR"), name);
	return stat(path, &st) == 0;
}

static bool file_is_there(void)
{
	char name[256];

	snprintf(name, sizeof name, "port.%s", test_name() + 1);
	return is_in_namespace(name);
}

TEST(member_gets_value_and_payload)
{
	char payload[PH_SIGPORT_PAYLOAD_MAX];
	size_t bytes = 0;

	for (size_t i = 0; i < sizeof payload; i++)
		payload[i] = (char)(i * 3);
	look_for(SIG);
	join(SIG);
	for (size_t n = 0; n <= sizeof payload; n += 16) {
		CHECK_EQ(send_name(test_name(), SIG, (int)n, payload, n), 1);
		const siginfo_t info = take(SIG);
		CHECK_EQ(info.si_value.sival_int, (int)n);
		CHECK_EQ(info.si_code, SI_QUEUE);
		CHECK_EQ(info.si_pid, getpid());
		const void *got = ph_siginfo_payload(&info, &bytes);
		CHECK((got != NULL) == (n > 0));
		CHECK(n == 0 || (bytes == n && memcmp(got, payload, n) == 0));
	}
	CHECK_OK(ph_sigport_leave(test_name()));
}

static char handled_payload[PH_SIGPORT_PAYLOAD_MAX];
static atomic_int handled;

static void handle_payload(int sig, siginfo_t *info, void *context)
{
	size_t bytes = 0;
	const void *p = ph_siginfo_payload(info, &bytes);

	(void)sig, (void)context;
	if (p != NULL)
		memcpy(handled_payload, p, bytes);
	atomic_fetch_add(&handled, 1);
}

TEST(handler_gets_the_payload)
{
	struct sigaction sa = {.sa_sigaction = handle_payload, .sa_flags = SA_SIGINFO};

	sigemptyset(&sa.sa_mask);
	CHECK_OK(ph_sigaction(SIG, &sa, NULL));
	join(SIG);
	CHECK_EQ(send_name(test_name(), SIG, 1, "news", 5), 1);
	CHECK_EQ(atomic_load(&handled), 1);
	CHECK_EQ(strcmp(handled_payload, "news"), 0);
	CHECK_OK(ph_sigport_leave(test_name()));
}

// ---- many members ----

enum { MEMBERS = 5 };

static void be_member(void *arg)
{
	atomic_int *ready = arg;

	look_for(SIG);
	join(SIG);
	atomic_fetch_add(ready, 1);
	for (int i = 0; i < 100; i++) {
		siginfo_t info = take(SIG);
		size_t bytes = 0;
		const int *copy = ph_siginfo_payload(&info, &bytes);
		CHECK(copy != NULL && bytes == sizeof *copy && *copy == info.si_value.sival_int);
		CHECK_EQ(info.si_value.sival_int, i);
	}
}

static void start_members(pid_t *pids, void (*fn)(void *), atomic_int *ready, int n)
{
	for (int i = 0; i < n; i++)
		pids[i] = test_fork(fn, ready);
	while (atomic_load(ready) < n)
		sched_yield();
}

TEST(all_members_get_all_in_order)
{
	pid_t pids[MEMBERS];
	atomic_int *ready = share(sizeof *ready);

	start_members(pids, be_member, ready, MEMBERS);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(send_name(test_name(), SIG, i, &i, sizeof i), MEMBERS);
	join_all(pids, MEMBERS);
	CHECK_EQ(send_name(test_name(), SIG, 0, NULL, 0), -1);
	CHECK_EQ(errno, ESRCH);
	CHECK(!file_is_there());
}

static void be_quiet_member(void *arg)
{
	look_for(SIG);
	join(SIG);
	atomic_fetch_add((atomic_int *)arg, 1);
	for (;;)
		pause();
}

TEST(dead_members_have_left)
{
	pid_t pids[MEMBERS];
	atomic_int *ready = share(sizeof *ready);
	static struct ph_sigport_info info;

	start_members(pids, be_quiet_member, ready, MEMBERS);
	CHECK_EQ(send_name(test_name(), SIG, 1, "x", 1), MEMBERS);
	for (int i = 0; i < MEMBERS; i++) {
		test_kill(pids[i]);
		const int left = send_name(test_name(), SIG, 1, "x", 1);
		if (i < MEMBERS - 1)
			CHECK_EQ(left, MEMBERS - 1 - i);
		else
			CHECK(left == -1 && errno == ESRCH);
	}
	CHECK(!file_is_there());
	CHECK_ERR(ph_sigport_info(test_name(), &info), ENOENT);
}

TEST(look_at_a_port_leaves_its_dead_as_they_are)
{
	pid_t pids[2];
	atomic_int *ready = share(sizeof *ready);
	static struct ph_sigport_info info;
	char own[32];

	start_members(pids, be_quiet_member, ready, 2);
	test_kill(pids[0]);
	snprintf(own, sizeof own, "sig.%d", (int)pids[0]);
	for (int look = 0; look < 3; look++) {
		CHECK_OK(ph_sigport_info(test_name(), &info));
		CHECK_EQ(info.members, 2);
		for (int i = 0; i < 2; i++)
			CHECK_EQ(info.member[i].alive, info.member[i].pid == pids[1]);
		CHECK(is_in_namespace(own));
	}
	CHECK_EQ(send_name(test_name(), SIG, 1, "x", 1), 1); // who sends clears away
	CHECK(!is_in_namespace(own));
	test_kill(pids[1]);
	CHECK(send_name(test_name(), SIG, 1, "x", 1) == -1 && errno == ESRCH);
}

// One is full: nobody gets it.
static void be_small_member(void *arg)
{
	CHECK_OK(ph_sigqueue_depth(1));
	be_quiet_member(arg);
}

TEST(all_get_it_or_none)
{
	pid_t small;
	atomic_int *ready = share(sizeof *ready);
	const sigset_t set = set_of(SIG);
	const struct timespec none = {0, 0};

	look_for(SIG);
	join(SIG);
	start_members(&small, be_small_member, ready, 1);
	CHECK_EQ(send_name(test_name(), SIG, 1, "x", 1), 2);
	for (int i = 0; i < 3; i++)
		CHECK_ERR(send_name(test_name(), SIG, 2, "x", 1), EAGAIN);
	take(SIG);
	CHECK_ERR(ph_sigtimedwait(&set, NULL, &none), EAGAIN);
	test_kill(small);
	CHECK_EQ(send_name(test_name(), SIG, 3, "x", 1), 1);
	CHECK_EQ(take(SIG).si_value.sival_int, 3);
	CHECK_OK(ph_sigport_leave(test_name()));
}

// ---- who takes what ----

TEST(only_who_takes_it_now_is_sent_to)
{
	sigset_t both = set_of(SIG);

	join(SIG); // neither caught nor looked for yet
	CHECK_ERR(send_name(test_name(), SIG, 1, NULL, 0), ESRCH);
	look_for(SIG);
	CHECK_EQ(send_name(test_name(), SIG, 1, NULL, 0), 1);
	CHECK_ERR(send_name(test_name(), SIG + 1, 1, NULL, 0), ESRCH);
	look_for(SIG + 1);
	CHECK_ERR(send_name(test_name(), SIG + 1, 1, NULL, 0), ESRCH);
	sigaddset(&both, SIG + 1);
	CHECK_OK(ph_sigport_join(test_name(), &both, 0600)); // instead of the set before
	CHECK_EQ(send_name(test_name(), SIG + 1, 1, NULL, 0), 1);
	take(SIG);
	take(SIG + 1);
	CHECK_OK(ph_sigport_leave(test_name()));
	CHECK_ERR(ph_sigport_leave(test_name()), ENOENT);
	CHECK(!file_is_there());
}

TEST(standard_signals_reach_members)
{
	look_for(SIGUSR1);
	join(SIGUSR1);
	CHECK_EQ(send_name(test_name(), SIGUSR1, 7, NULL, 0), 1);
	take(SIGUSR1);
	CHECK_OK(ph_sigport_leave(test_name()));
}

TEST(bad_arguments_are_refused)
{
	sigset_t set = set_of(SIG);
	sigset_t empty, bad = set_of(SIGKILL);
	char big[PH_SIGPORT_PAYLOAD_MAX + 1] = {0};

	sigemptyset(&empty);
	CHECK_ERR(ph_sigport_join(test_name(), &empty, 0600), EINVAL);
	CHECK_ERR(ph_sigport_join(test_name(), &bad, 0600), EINVAL);
	CHECK_ERR(ph_sigport_join("/a/b", &set, 0600), EACCES);
	CHECK_ERR(ph_sigport_leave(test_name()), ENOENT);
	join(SIG);
	CHECK_ERR(send_name(test_name(), SIG, 1, big, sizeof big), EINVAL);
	CHECK_ERR(send_name(test_name(), SIGUSR1, 1, big, 1), EINVAL);
	CHECK_ERR(send_name(test_name(), 0, 1, NULL, 0), EINVAL);
	CHECK_ERR(send_name(test_name(), 65, 1, NULL, 0), EINVAL);
	CHECK_ERR(send_name(test_name_of("-none"), SIG, 1, NULL, 0), ESRCH);
	CHECK_OK(ph_sigport_leave(test_name()));
}

static void child_is_no_member(void *arg)
{
	(void)arg;
	CHECK_ERR(ph_sigport_leave(test_name()), ENOENT);
	CHECK_EQ(send_name(test_name(), SIG, 5, "abc", 3), 1); // the parent
}

TEST(forked_child_is_no_member)
{
	look_for(SIG);
	join(SIG);
	test_join(test_fork(child_is_no_member, NULL));
	CHECK_EQ(take(SIG).si_value.sival_int, 5);
	CHECK_OK(ph_sigport_leave(test_name()));
}

// ---- ph_signal_info ----

static void nothing(int sig)
{
	(void)sig;
}

TEST(info_tells_what_a_process_does_with_its_signals)
{
	static struct ph_signal_info info;
	struct sigaction sa = {
		.sa_handler = nothing, .sa_flags = SA_RESTART, .sa_mask = set_of(SIGHUP)};

	CHECK_ERR(ph_signal_info(getpid(), &info), ENOENT);
	CHECK_OK(ph_sigaction(SIG, &sa, NULL));
	sa.sa_handler = SIG_IGN;
	CHECK_OK(ph_sigaction(SIGUSR2, &sa, NULL));
	look_for(SIG + 1);
	CHECK_OK(ph_sigqueue_depth(100));
	for (int i = 0; i < 3; i++)
		CHECK_OK(send_by_library(getpid(), SIG + 1, i));
	CHECK_OK(ph_signal_info(getpid(), &info));
	CHECK_EQ(info.pid, getpid());
	CHECK_EQ(info.uid, getuid());
	CHECK_EQ(info.depth, 100);
	CHECK_EQ(info.queued, 3);
	CHECK_EQ(info.sent, 3);
	CHECK_EQ(info.last_pid, getpid());
	CHECK_EQ(info.last_signo, SIG + 1);
	CHECK(info.caught & UINT64_C(1) << (SIG - 1));
	CHECK(info.ignored & UINT64_C(1) << (SIGUSR2 - 1));
	CHECK(info.taken_here & UINT64_C(1) << SIG);
	CHECK_EQ(info.action[SIG].kind, 2);
	CHECK_EQ(info.action[SIGUSR2].kind, 1);
	CHECK_EQ(info.action[SIGTERM].kind, 0);
	CHECK_EQ(info.action[SIG].mask, UINT64_C(1) << (SIGHUP - 1));
	CHECK_EQ(info.action[SIG].flags & SA_RESTART, SA_RESTART);
}

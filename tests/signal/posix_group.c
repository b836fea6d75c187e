// SPDX-License-Identifier: MIT
//
// tests/signal/posix_group.c - whom a signal reaches: a group, the caller's own, everybody (inside a pid
// namespace of the test's own, for the machine's sake); and who may signal whom.
#include "signals.h"

#include <sys/prctl.h>

/* ---- groups ---- */

struct crowd {
	struct stage stage;
	pid_t group; // to join; 0: one of its own
	int sig;
};

static void be_member(void *arg)
{
	struct crowd *c = arg;

	CHECK_OK(setpgid(0, c->group));
	block(SET(SIGUSR1, RT0));
	arrive(&c->stage);
	const siginfo_t info = take(SET(c->sig));
	CHECK_EQ(info.si_code, SI_USER);
	CHECK_EQ(info.si_pid, c->stage.pid);
	CHECK_EQ(info.si_uid, getuid());
	expect_none(SET(SIGUSR1, RT0));
}

static pid_t fork_member(struct crowd *c, pid_t group)
{
	c->group = group;
	return fork_ready(be_member, &c->stage);
}

static struct crowd *make_crowd(int sig)
{
	struct crowd *c = share(sizeof(*c));

	block(SET(SIGUSR1, RT0));
	c->stage.pid = getpid();
	c->sig = sig;
	return c;
}

TEST(signal_to_a_group_reaches_all_of_it_and_nobody_else)
{
	for (int i = 0; i < KINDS; i++) {
		struct crowd *c = make_crowd(one_of_kind(i));
		const pid_t leader = fork_member(c, 0);
		const pid_t second = fork_member(c, leader);
		const pid_t third = fork_member(c, leader);
		const pid_t other = fork_member(c, 0);
		CHECK_OK(kill(-leader, one_of_kind(i)));
		test_join(leader);
		test_join(second);
		test_join(third);
		expect_none(SET(SIGUSR1, RT0));
		CHECK_OK(killpg(other, one_of_kind(i)));
		test_join(other);
		expect_none(SET(SIGUSR1, RT0));
		CHECK_ERR(kill(-leader, one_of_kind(i)), ESRCH);
	}
}

static void signal_own_group(int sig, int (*send)(int sig))
{
	struct crowd *c = make_crowd(sig);
	const pid_t outside = fork_member(c, 0);
	const pid_t first = fork_member(c, getpgrp());
	const pid_t second = fork_member(c, getpgrp());

	CHECK_OK(send(sig));
	test_join(first);
	test_join(second);
	const siginfo_t info = take(SET(sig));
	CHECK_EQ(info.si_pid, getpid());
	CHECK_OK(kill(outside, sig));
	test_join(outside);
}

static int kill_group_0(int sig)
{
	return kill(0, sig);
}

static int killpg_0(int sig)
{
	return killpg(0, sig);
}

TEST(signal_to_group_0_reaches_the_own_one_with_the_sender)
{
	for (int i = 0; i < KINDS; i++) {
		signal_own_group(one_of_kind(i), kill_group_0);
		signal_own_group(one_of_kind(i), killpg_0);
	}
}

/* ---- everybody ---- */

static void expect_broadcast(struct crowd *c)
{
	const pid_t first = fork_member(c, 0);
	const pid_t second = fork_member(c, 0);

	CHECK_OK(kill(-1, c->sig));
	test_join(first);
	test_join(second);
	expect_none(SET(c->sig)); // the sender is left out
	CHECK_ERR(kill(-1, c->sig), ESRCH);
	CHECK_ERR(kill(-1, 0), ESRCH);
}

// The first process of a pid namespace, in which nobody else is.
static void be_first(void *arg)
{
	struct crowd *c = arg;

	CHECK_EQ(getpid(), 1);
	CHECK_OK(prctl(PR_SET_PDEATHSIG, SIGKILL));
	for (int i = 0; i < KINDS; i++) {
		c->stage.pid = getpid();
		c->sig = one_of_kind(i);
		expect_broadcast(c);
	}
}

TEST(signal_to_everybody_reaches_all_but_the_sender)
{
	struct crowd *c = make_crowd(SIGUSR1);

	if (LOOKS_FOR_LEAKS)
		SKIP("LeakSanitizer cannot look into another pid namespace");
	need_root();
	if (unshare(CLONE_NEWPID) < 0)
		SKIP("needs a pid namespace of its own");
	test_join(test_fork(be_first, c));
}

static void be_second(void *arg)
{
	struct crowd *c = arg;
	const pid_t peer = fork_member(c, 0);

	c->stage.pid = getpid();
	CHECK_OK(kill(-1, c->sig));
	test_join(peer);
}

static void be_spared(void *arg)
{
	CHECK_EQ(getpid(), 1);
	for (int i = 0; i < KINDS; i++) {
		((struct crowd *)arg)->sig = one_of_kind(i);
		test_join(test_fork(be_second, arg));
		expect_none(SET(one_of_kind(i)));
	}
}

TEST(signal_to_everybody_spares_the_first_process)
{
	struct crowd *c = make_crowd(SIGUSR1);

	if (LOOKS_FOR_LEAKS)
		SKIP("LeakSanitizer cannot look into another pid namespace");
	need_root();
	if (unshare(CLONE_NEWPID) < 0)
		SKIP("needs a pid namespace of its own");
	test_join(test_fork(be_spared, c));
}

/* ---- permission ---- */

// A process with these user ids, which takes a signal if it may get one.
struct target {
	struct stage stage;
	uid_t real, effective, saved;
	int expected; // how many signals
};

enum { OTHER = 65533 };

static void be_target(void *arg)
{
	struct target *t = arg;

	block(SET(SIGUSR1, RT0));
	if (t->expected > 1) { // it has used the library as the user that it was
		send_self(RT0, 0);
		take_value(SET(RT0), RT0, 0);
	}
	become(t->real, t->effective, t->saved);
	arrive(&t->stage);
	wait_count(&t->stage.go, 1);
	for (int i = 0; i < t->expected; i++)
		take(i == 0 ? SET(SIGUSR1) : SET(RT0));
	expect_none(SET(SIGUSR1, RT0));
}

// The sender: real user `real`, acting as `effective`. All its attempts come to `err` (0: they are done).
struct attempt {
	uid_t real, effective;
	pid_t pid;
	int err;
};

static void attempt(void *arg)
{
	const struct attempt *a = arg;

	become(a->real, a->effective, a->effective);
	if (a->err) {
		CHECK_ERR(kill(a->pid, 0), a->err);
		CHECK_ERR(kill(a->pid, SIGUSR1), a->err);
		CHECK_ERR(kill(a->pid, RT0), a->err);
		CHECK_ERR(kill(a->pid, SIGKILL), a->err);
		CHECK_ERR(sigqueue(a->pid, RT0, value_of(1)), a->err);
		CHECK_ERR(sigqueue(a->pid, SIGUSR1, value_of(1)), a->err);
	} else {
		CHECK_OK(kill(a->pid, 0));
		CHECK_OK(kill(a->pid, SIGUSR1));
		CHECK_OK(sigqueue(a->pid, RT0, value_of(1)));
	}
}

static void try_to_signal(struct target t, uid_t real, uid_t effective, int err)
{
	struct target *shared = share(sizeof(*shared));

	*shared = t;
	shared->expected = err ? 0 : 2;
	struct attempt a = {real, effective, fork_ready(be_target, &shared->stage), err};
	test_join(test_fork(attempt, &a));
	atomic_store(&shared->stage.go, 1);
	test_join(a.pid);
}

static struct target user(uid_t real, uid_t effective, uid_t saved)
{
	return (struct target){.real = real, .effective = effective, .saved = saved};
}

TEST(who_may_signal_whom)
{
	need_root();
	open_namespace_to_all();
	try_to_signal(user(NOBODY, NOBODY, NOBODY), 0, 0, 0); // root: everybody
	try_to_signal(user(NOBODY, NOBODY, NOBODY), NOBODY, NOBODY, 0);
	try_to_signal(user(0, 0, 0), NOBODY, NOBODY, EPERM);
	try_to_signal(user(OTHER, OTHER, OTHER), NOBODY, NOBODY, EPERM);
	// The sender's real or effective user against the target's real or saved one.
	try_to_signal(user(NOBODY, 0, 0), NOBODY, NOBODY, 0);
	try_to_signal(user(0, 0, NOBODY), NOBODY, NOBODY, 0);
	try_to_signal(user(0, NOBODY, 0), NOBODY, NOBODY, EPERM);
	try_to_signal(user(NOBODY, NOBODY, NOBODY), NOBODY, OTHER, 0);
	try_to_signal(user(OTHER, OTHER, OTHER), NOBODY, OTHER, 0);
}

static void continue_it(void *arg)
{
	const pid_t pid = *(pid_t *)arg;

	become(NOBODY, NOBODY, NOBODY);
	CHECK_ERR(kill(pid, SIGUSR1), EPERM);
	CHECK_OK(kill(pid, SIGCONT)); // allowed in one session
	CHECK_OK(sigqueue(pid, SIGCONT, value_of(1)));
	setsid();
	CHECK_ERR(kill(pid, SIGCONT), EPERM);
}

TEST(any_user_may_continue_a_process_of_his_session)
{
	const pid_t pid = getpid();

	need_root();
	open_namespace_to_all();
	test_join(test_fork(continue_it, (void *)&pid));
}

static void be_mixed_group(void *arg)
{
	struct stage *s = arg;

	become(NOBODY, NOBODY, NOBODY);
	block(SET(SIGUSR1, RT0));
	CHECK_OK(setpgid(0, 0));
	CHECK_ERR(killpg(s->pid, SIGUSR1), EPERM); // nobody of them
	CHECK_OK(setpgid(0, s->pid));
	CHECK_OK(killpg(s->pid, SIGUSR1)); // oneself
	take(SET(SIGUSR1));
	CHECK_OK(kill(0, RT0));
	take(SET(RT0));
}

TEST(group_is_signalled_as_far_as_the_sender_may)
{
	struct stage *s = share(sizeof(*s));

	need_root();
	open_namespace_to_all();
	block(SET(SIGUSR1, RT0));
	s->pid = getpgrp();
	test_join(test_fork(be_mixed_group, s));
	expect_none(SET(SIGUSR1, RT0));
}

static void send_as_nobody(void *arg)
{
	become(NOBODY, OTHER, OTHER);
	send_value(*(pid_t *)arg, RT0, 3);
	CHECK_OK(kill(*(pid_t *)arg, SIGUSR1));
}

TEST(sender_is_told_by_his_real_user)
{
	const pid_t pid = getpid();
	siginfo_t info;

	need_root();
	open_namespace_to_all();
	block(SET(SIGUSR1, RT0));
	become(OTHER, 0, 0);
	test_join(test_fork(send_as_nobody, (void *)&pid));
	info = take(SET(RT0));
	CHECK_EQ(info.si_uid, NOBODY);
	info = take(SET(SIGUSR1));
	CHECK_EQ(info.si_uid, NOBODY);
	send_self(RT0, 3);
	info = take(SET(RT0));
	CHECK_EQ(info.si_uid, OTHER);
}

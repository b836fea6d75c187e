// SPDX-License-Identifier: MIT
//
// tests/signal/posix_queue.c - streams of queued signals between processes: to a process that takes them, that
// handles them while it computes or sleeps, from one sender and from many; nothing lost, nothing doubled, the
// order of each sender kept. And what a full queue refuses.
#include "numbers.h"
#include "signals.h"

#include <sys/resource.h>

enum { STREAM = 20000 / SLOWER, SENDERS = 4 };

struct flow {
	struct stage stage;
	pid_t to;
	int sig, first, count;
};

// Send, again where the queue is full.
static void push(pid_t pid, int sig, int value)
{
	while (sigqueue(pid, sig, value_of(value)) == -1) {
		CHECK_EQ(errno, EAGAIN);
		sched_yield();
	}
}

static void send_stream(void *arg)
{
	const struct flow *f = arg;

	for (int i = 0; i < f->count; i++)
		push(f->to, f->sig, f->first + i);
}

static pid_t fork_sender(struct flow *f, int first, int count)
{
	f->to = getpid();
	f->sig = RT0;
	f->first = first;
	f->count = count;
	return test_fork(send_stream, f);
}

TEST(stream_to_a_process_that_takes_keeps_order_and_sender)
{
	struct flow f;

	block(SET(RT0));
	const pid_t pid = fork_sender(&f, 0, STREAM);
	for (int i = 0; i < STREAM; i++) {
		const siginfo_t info = take(SET(RT0));
		CHECK_EQ(info.si_value.sival_int, i);
		CHECK_EQ(info.si_pid, pid);
		CHECK_EQ(info.si_uid, getuid());
		CHECK_EQ(info.si_code, SI_QUEUE);
	}
	test_join(pid);
	expect_none(SET(RT0));
}

TEST(stream_to_a_computing_process_runs_its_handler_for_each)
{
	struct flow f;

	note_signal(RT0);
	const pid_t pid = fork_sender(&f, 0, STREAM);
	compute_until(&noted, STREAM);
	test_join(pid);
	for (int i = 0; i < STREAM; i++) {
		expect_note(i, RT0, i);
		CHECK_EQ(notes[i].pid, pid);
	}
	CHECK_EQ(atomic_load(&noted), STREAM);
}

TEST(stream_to_a_sleeping_process_runs_its_handler_for_each)
{
	struct flow f;

	note_signal(RT0);
	block(SET(RT0));
	const pid_t pid = fork_sender(&f, 0, STREAM);
	while (atomic_load(&noted) < STREAM) {
		const sigset_t none = NO_SIGNALS;
		CHECK_ERR(sigsuspend(&none), EINTR);
	}
	test_join(pid);
	for (int i = 0; i < STREAM; i++)
		expect_note(i, RT0, i);
	CHECK_EQ(atomic_load(&noted), STREAM);
}

TEST(stream_to_a_process_that_blocks_and_unblocks_all_the_time)
{
	struct flow f;

	note_signal(RT0);
	const pid_t pid = fork_sender(&f, 0, STREAM);
	while (atomic_load(&noted) < STREAM) {
		block(SET(RT0));
		const int before = atomic_load(&noted);
		is_pending(RT0);
		CHECK_EQ(atomic_load(&noted), before);
		unblock(SET(RT0));
	}
	test_join(pid);
	for (int i = 0; i < STREAM; i++)
		expect_note(i, RT0, i);
}

// Values tell the sender and its count; each sender's come in order.
struct tally {
	int next[SENDERS];
	int total;
};

static void count_in(struct tally *t, int value)
{
	const int sender = value / 1000000;

	CHECK(sender >= 0 && sender < SENDERS);
	CHECK_EQ(value % 1000000, t->next[sender]);
	t->next[sender]++;
	t->total++;
}

static void fork_senders(struct flow f[SENDERS], pid_t pid[SENDERS], int count)
{
	for (int i = 0; i < SENDERS; i++)
		pid[i] = fork_sender(&f[i], i * 1000000, count);
}

static void join_senders(const pid_t pid[SENDERS])
{
	for (int i = 0; i < SENDERS; i++)
		test_join(pid[i]);
}

TEST(many_senders_to_a_process_that_takes)
{
	struct flow f[SENDERS];
	pid_t pid[SENDERS];
	struct tally tally = {0};

	block(SET(RT0));
	fork_senders(f, pid, STREAM / SENDERS);
	while (tally.total < STREAM / SENDERS * SENDERS)
		count_in(&tally, take(SET(RT0)).si_value.sival_int);
	join_senders(pid);
	expect_none(SET(RT0));
}

TEST(many_senders_to_a_process_that_handles)
{
	struct flow f[SENDERS];
	pid_t pid[SENDERS];
	struct tally tally = {0};

	note_signal(RT0);
	fork_senders(f, pid, STREAM / SENDERS);
	compute_until(&noted, STREAM / SENDERS * SENDERS);
	join_senders(pid);
	for (int i = 0; i < atomic_load(&noted); i++)
		count_in(&tally, notes[i].value);
	CHECK_EQ(tally.total, STREAM / SENDERS * SENDERS);
}

static void send_three_kinds(void *arg)
{
	const struct flow *f = arg;

	for (int i = 0; i < f->count; i++) {
		push(f->to, RT0 + i % 3, i);
		CHECK(kill(f->to, SIGUSR1) == 0); // merges, never refused
	}
}

TEST(several_signals_at_once_each_in_its_own_order)
{
	struct flow f = {.to = getpid(), .count = STREAM / 3 * 3};
	int next[3] = {0, 1, 2};

	note_one_by_one(SET(RT0, RT1, RT2));
	handle_masked(SIGUSR1, note, 0, all_signals());
	const pid_t pid = test_fork(send_three_kinds, &f);
	test_join(pid);
	block(SET(RT0, RT1, RT2)); // what is still queued has been delivered before this
	int real_time = 0;
	int standard = 0;
	for (int i = 0; i < atomic_load(&noted); i++) {
		if (notes[i].sig == SIGUSR1) {
			standard++;
			continue;
		}
		int *expected = &next[notes[i].sig - RT0];
		CHECK_EQ(notes[i].value, *expected);
		*expected += 3;
		real_time++;
	}
	CHECK_EQ(real_time, f.count);
	CHECK(standard > 0 && standard <= f.count);
}

// A receiver stopped meanwhile finds everything when it goes on.
static void take_after_stop(void *arg)
{
	struct flow *f = arg;

	block(SET(RT0));
	arrive(&f->stage);
	for (int i = 0; i < f->count; i++)
		take_value(SET(RT0), RT0, i);
	expect_none(SET(RT0));
}

static void handle_after_stop(void *arg)
{
	struct flow *f = arg;

	note_signal(RT0);
	arrive(&f->stage);
	compute_until(&noted, f->count);
	for (int i = 0; i < f->count; i++)
		expect_note(i, RT0, i);
}

static void flood_the_stopped(void (*fn)(void *))
{
	struct flow *f = share(sizeof(*f));

	f->count = 3000;
	const pid_t pid = fork_ready(fn, &f->stage);
	CHECK_OK(kill(pid, SIGSTOP));
	expect_stopped(pid, SIGSTOP);
	for (int i = 0; i < f->count; i++)
		send_value(pid, RT0, i);
	CHECK_OK(kill(pid, SIGCONT));
	test_join(pid);
}

TEST(stopped_process_gets_all_when_it_goes_on)
{
	flood_the_stopped(take_after_stop);
	flood_the_stopped(handle_after_stop);
}

/* ---- a round trip ---- */

static void answer(void *arg)
{
	struct flow *f = arg;

	arrive(&f->stage);
	for (int i = 0; i < f->count; i++) {
		take_value(SET(RT0), RT0, i);
		send_value(f->to, RT1, i);
	}
}

TEST(ping_pong_by_taking)
{
	struct flow *f = share(sizeof(*f));

	block(SET(RT0, RT1));
	f->to = getpid();
	f->count = 5000 / SLOWER;
	const pid_t pid = fork_ready(answer, &f->stage);
	for (int i = 0; i < f->count; i++) {
		send_value(pid, RT0, i);
		take_value(SET(RT1), RT1, i);
	}
	test_join(pid);
}

/* ---- full ---- */

#ifdef TEST_KERNEL
// The limit counts all signals of a user: it needs one that nobody else is.
static void limit_queue(int depth)
{
	const struct rlimit limit = {(rlim_t)depth, (rlim_t)depth};

	need_root();
	CHECK_OK(setrlimit(RLIMIT_SIGPENDING, &limit));
	become(70000 + (uid_t)getpid(), 70000 + (uid_t)getpid(), 0);
}
#else
static void limit_queue(int depth)
{
	CHECK_OK(ph_sigqueue_depth(depth));
}
#endif

TEST(full_queue_is_eagain_and_standard_signals_get_through)
{
	enum { DEPTH = 64 };

	limit_queue(DEPTH);
	note_signal(RT0);
	note_signal(RT1);
	block(all_signals());
	for (int i = 0; i < DEPTH; i++)
		send_self(RT0, i);
	CHECK_ERR(sigqueue(getpid(), RT0, value_of(DEPTH)), EAGAIN);
	CHECK_ERR(sigqueue(getpid(), RT1, value_of(DEPTH)), EAGAIN);
	CHECK_OK(kill(getpid(), SIGUSR1));
	CHECK_OK(kill(getpid(), SIGUSR1));
	CHECK_OK(raise(SIGUSR2));
	CHECK_OK(kill(getpid(), RT2)); // nor is a kill of any
	CHECK(is_pending(SIGUSR1) && is_pending(SIGUSR2) && is_pending(RT2));
	take(SET(SIGUSR1));
	take(SET(SIGUSR2));
	take(SET(RT2));
	take_value(SET(RT0), RT0, 0);
	send_self(RT1, DEPTH);
	CHECK_ERR(sigqueue(getpid(), RT0, value_of(DEPTH)), EAGAIN);
	for (int i = 1; i < DEPTH; i++)
		take_value(SET(RT0), RT0, i);
	take_value(SET(RT1), RT1, DEPTH);
	CHECK(nothing_is_pending());
}

static void send_from_afar(void *arg)
{
	const int next = next_number();

	send_value(*(const int *)arg, RT0, 5);
	expect_free_from(next);
}

TEST(signals_have_no_number_that_a_program_counts_on)
{
	const int next = next_number();
	int self = getpid();

	block(SET(RT0));
	note_signal(RT1);
	send_self(RT0, 4);
	send_self(RT1, 6);
	take_value(SET(RT0), RT0, 4);
	test_join(test_fork(send_from_afar, &self));
	take_value(SET(RT0), RT0, 5);
	expect_free_from(next);
}

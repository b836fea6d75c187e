// SPDX-License-Identifier: MIT
//
// tests/signal/posix_thread.c - threads: a mask for each, dispositions for all; a signal to a thread is handled by it,
// one to the process by a thread that does not block it.
#include "signals.h"

struct worker {
	pthread_t thread;
	atomic_int tid, go;
	sigset_t mask;
};

// A thread with a mask of its own, which computes or sleeps until it may end.
static void *compute(void *arg)
{
	struct worker *w = arg;

	CHECK_EQ(pthread_sigmask(SIG_SETMASK, &w->mask, NULL), 0);
	atomic_store(&w->tid, gettid());
	compute_until(&w->go, 1);
	return NULL;
}

static void *sleep_until_go(void *arg)
{
	struct worker *w = arg;
	const struct timespec tick = {0, 1000000};

	CHECK_EQ(pthread_sigmask(SIG_SETMASK, &w->mask, NULL), 0);
	atomic_store(&w->tid, gettid());
	while (atomic_load(&w->go) == 0)
		nanosleep(&tick, NULL);
	return NULL;
}

static void start(struct worker *w, void *(*fn)(void *), sigset_t mask)
{
	memset(w, 0, sizeof(*w));
	w->mask = mask;
	CHECK_EQ(pthread_create(&w->thread, NULL, fn, w), 0);
	wait_count(&w->tid, 1);
}

static void finish(struct worker *w)
{
	atomic_store(&w->go, 1);
	CHECK_EQ(pthread_join(w->thread, NULL), 0);
}

TEST(signal_to_a_thread_is_handled_by_that_thread)
{
	struct worker w[3];

	for (int i = 0; i < 3; i++)
		start(&w[i], compute, NO_SIGNALS);
	for (int n = 0; n < 30; n++) {
		const int sig = one_of_kind(n % KINDS);
		note_signal(sig);
		if (n % 2 == 0 || sig == SIGUSR1)
			CHECK_EQ(pthread_kill(w[n % 3].thread, sig), 0);
		else
			send_to_thread(w[n % 3].thread, sig, n);
		wait_count(&noted, n + 1);
		CHECK_EQ(notes[n].tid, atomic_load(&w[n % 3].tid));
		CHECK_EQ(notes[n].sig, sig);
	}
	for (int i = 0; i < 3; i++)
		finish(&w[i]);
}

TEST(queued_signals_to_a_thread_keep_order_and_values)
{
	struct worker w;

	note_signal(RT0);
	start(&w, compute, NO_SIGNALS);
	for (int i = 0; i < 500; i++)
		send_to_thread(w.thread, RT0, i);
	wait_count(&noted, 500);
	for (int i = 0; i < 500; i++) {
		expect_note(i, RT0, i);
		CHECK_EQ(notes[i].tid, atomic_load(&w.tid));
		CHECK_EQ(notes[i].code, SI_QUEUE);
	}
	finish(&w);
}

TEST(signal_to_the_process_is_handled_by_the_thread_that_does_not_block_it)
{
	struct worker w[3];

	block(SET(SIGUSR1, RT0));
	note_signal(SIGUSR1);
	note_signal(RT0);
	for (int n = 0; n < 3; n++) {
		for (int i = 0; i < 3; i++)
			start(&w[i], compute, i == n ? NO_SIGNALS : SET(SIGUSR1, RT0));
		forget_notes();
		for (int i = 0; i < 20; i++) {
			send_self(one_of_kind(i % KINDS), i);
			wait_count(&noted, i + 1);
			expect_note(i, one_of_kind(i % KINDS), i);
			CHECK_EQ(notes[i].tid, atomic_load(&w[n].tid));
		}
		for (int i = 0; i < 3; i++)
			finish(&w[i]);
	}
}

TEST(signal_that_all_threads_block_waits_for_the_first_that_unblocks_it)
{
	struct worker w;

	for (int i = 0; i < KINDS; i++) {
		const int sig = one_of_kind(i);
		forget_notes();
		note_signal(sig);
		block(SET(sig));
		start(&w, compute, SET(sig));
		send_self(sig, 1);
		CHECK(is_pending(sig));
		CHECK_EQ(atomic_load(&noted), 0);
		unblock(SET(sig));
		CHECK_EQ(atomic_load(&noted), 1);
		CHECK_EQ(notes[0].tid, gettid());
		finish(&w);
	}
}

static void *unblock_in_thread(void *arg)
{
	const int sig = *(int *)arg;

	CHECK(is_blocked(sig)); // inherited
	CHECK(is_pending(sig));
	unblock(SET(sig));
	CHECK_EQ(atomic_load(&noted), 1);
	CHECK_EQ(notes[0].tid, gettid());
	CHECK(!is_blocked(sig));
	return NULL;
}

TEST(thread_inherits_the_mask_and_changes_only_its_own)
{
	for (int i = 0; i < KINDS; i++) {
		int sig = one_of_kind(i);
		pthread_t thread;
		forget_notes();
		note_signal(sig);
		block(SET(sig));
		send_self(sig, 1);
		CHECK_EQ(pthread_create(&thread, NULL, unblock_in_thread, &sig), 0);
		CHECK_EQ(pthread_join(thread, NULL), 0);
		CHECK(is_blocked(sig));
		CHECK(!is_pending(sig));
	}
}

static void *have_nothing_pending(void *arg)
{
	(void)arg;
	CHECK(!is_pending(RT0));
	return NULL;
}

TEST(new_thread_does_not_inherit_what_is_pending_for_its_creator)
{
	pthread_t thread;

	block(SET(RT0));
	CHECK_EQ(pthread_kill(pthread_self(), RT0), 0);
	CHECK_EQ(pthread_create(&thread, NULL, have_nothing_pending, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK(is_pending(RT0));
}

static void *leave_with_something_pending(void *arg)
{
	(void)arg;
	CHECK_OK(raise(RT0));
	CHECK(is_pending(RT0));
	return NULL;
}

TEST(what_is_pending_for_a_thread_goes_with_it)
{
	pthread_t thread;

	note_signal(RT0);
	block(SET(RT0));
	for (int i = 0; i < 10; i++) {
		CHECK_EQ(pthread_create(&thread, NULL, leave_with_something_pending, NULL), 0);
		CHECK_EQ(pthread_join(thread, NULL), 0);
	}
	CHECK(!is_pending(RT0));
	unblock(SET(RT0));
	CHECK_EQ(atomic_load(&noted), 0);
}

static void *set_a_handler(void *arg)
{
	note_signal(*(int *)arg);
	return NULL;
}

TEST(dispositions_are_the_whole_process_s)
{
	for (int i = 0; i < KINDS; i++) {
		int sig = one_of_kind(i);
		pthread_t thread;
		forget_notes();
		dispose(sig, SIG_IGN);
		CHECK_EQ(pthread_create(&thread, NULL, set_a_handler, &sig), 0);
		CHECK_EQ(pthread_join(thread, NULL), 0);
		send_self(sig, 2);
		expect_note(0, sig, 2);
	}
}

TEST(burst_to_the_process_is_handled_once_each_by_whichever_threads)
{
	enum { MANY = 3000 / SLOWER };
	static int seen[MANY];
	struct worker w[3];

	note_signal(RT0);
	block(SET(RT0));
	for (int i = 0; i < 3; i++)
		start(&w[i], i == 1 ? sleep_until_go : compute, NO_SIGNALS);
	for (int i = 0; i < MANY; i++)
		send_self(RT0, i);
	wait_count(&noted, MANY);
	for (int i = 0; i < 3; i++)
		finish(&w[i]);
	CHECK_EQ(atomic_load(&noted), MANY);
	for (int i = 0; i < MANY; i++)
		seen[notes[i].value]++;
	for (int i = 0; i < MANY; i++)
		CHECK_EQ(seen[i], 1);
}

/* ---- the first thread ends ---- */

static struct stage *stage;

static void *carry_on(void *arg)
{
	(void)arg;
	unblock(SET(RT0, SIGUSR1));
	arrive(stage);
	compute_until(&noted, 20);
	for (int i = 0; i < 20; i++)
		expect_note(i, RT0, i);
	CHECK_OK(kill(getpid(), SIGUSR1));
	compute_until(&noted, 21);
	exit(0);
}

static void leave_it_to_a_thread(void *arg)
{
	pthread_t thread;

	stage = arg;
	note_signal(RT0);
	note_signal(SIGUSR1);
	block(SET(RT0, SIGUSR1));
	CHECK_EQ(pthread_create(&thread, NULL, carry_on, NULL), 0);
	pthread_exit(NULL);
}

static bool has_no_first_thread(void *arg)
{
	char path[64], text[512] = "";

	snprintf(path, sizeof(path), "/proc/%d/stat", *(pid_t *)arg);
	const int fd = (int)CHECK_OK(open(path, O_RDONLY | O_CLOEXEC));
	CHECK(read(fd, text, sizeof(text) - 1) > 0);
	CHECK_OK(close(fd));
	return strstr(strrchr(text, ')'), ") Z") != NULL;
}

TEST(process_whose_first_thread_has_ended_gets_signals)
{
	struct stage *s = share(sizeof(*s));
	pid_t pid = fork_ready(leave_it_to_a_thread, s);

	test_wait_until(has_no_first_thread, &pid);
	for (int i = 0; i < 20; i++)
		send_value(pid, RT0, i);
	const int status = end_of(pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

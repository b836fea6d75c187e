// SPDX-License-Identifier: MIT
//
// tests/signal/extra_queue.c - PH_SA_QUEUE: standard signals do not merge, and no child's end is lost, whoever forked it, how
// many end at once, and wherever the handler runs.
#include "crowd.h"

static atomic_int values[8], value_count;

static void note_value(int sig, siginfo_t *info, void *context)
{
	const int n = atomic_fetch_add(&value_count, 1);

	(void)sig, (void)context;
	if (n < 8)
		atomic_store(&values[n], info->si_value.sival_int);
}

TEST(standard_signals_queue_on_request)
{
	struct sigaction sa = {.sa_sigaction = note_value, .sa_flags = SA_SIGINFO | PH_SA_QUEUE};

	sigemptyset(&sa.sa_mask);
	CHECK_OK(ph_sigaction(SIGUSR1, &sa, NULL));
	block(SIGUSR1);
	for (int i = 0; i < 5; i++)
		CHECK_OK(ph_sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 10 + i}));
	CHECK_EQ(atomic_load(&value_count), 0);
	unblock(SIGUSR1);
	CHECK_EQ(atomic_load(&value_count), 5);
	for (int i = 0; i < 5; i++)
		CHECK_EQ(atomic_load(&values[i]), 10 + i);
}

// Who kills knows nothing of the receiver's flags: it is the sender of values who learns that there is no room. The kill
// merges with what is pending of its number.
TEST(kill_of_a_standard_signal_is_never_refused)
{
	struct sigaction sa = {.sa_sigaction = note_value, .sa_flags = SA_SIGINFO | PH_SA_QUEUE};
	const int depth = 64;

	CHECK_OK(ph_sigqueue_depth(depth));
	sigemptyset(&sa.sa_mask);
	CHECK_OK(ph_sigaction(SIGUSR1, &sa, NULL));
	CHECK_OK(ph_sigaction(SIGUSR2, &sa, NULL));
	block(SIGUSR1);
	for (int i = 0; i < depth; i++)
		CHECK_OK(ph_sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = i}));
	CHECK_ERR(ph_sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = depth}), EAGAIN);
	CHECK_OK(ph_kill(getpid(), SIGUSR1));
	CHECK_EQ(atomic_load(&value_count), 0);
	CHECK_OK(ph_kill(getpid(), SIGUSR2)); // nothing is pending of this one
	CHECK_EQ(atomic_load(&value_count), 1);
	unblock(SIGUSR1);
	CHECK(atomic_load(&value_count) >= 1 + depth);
}

TEST(flags_beyond_posix_need_a_handler)
{
	struct sigaction sa = {.sa_handler = SIG_IGN, .sa_flags = PH_SA_QUEUE};

	CHECK_ERR(ph_sigaction(SIGUSR1, &sa, NULL), EINVAL);
	sa.sa_flags = PH_SA_SAFEPOINT;
	CHECK_ERR(ph_sigaction(SIGUSR1, &sa, NULL), EINVAL);
}

// ---- children ----

enum { CHILDREN = 200 };
static pid_t children[CHILDREN];
static atomic_int told[CHILDREN], told_all;

static void bury_child(int sig, siginfo_t *info, void *context)
{
	int status;

	(void)sig, (void)context;
	for (int i = 0; i < CHILDREN; i++)
		if (children[i] == info->si_pid) {
			if (waitpid(info->si_pid, &status, WNOHANG) != info->si_pid ||
			    WEXITSTATUS(status) != i % 100 || info->si_code != CLD_EXITED ||
			    info->si_status != i % 100)
				_exit(77);
			atomic_fetch_add(&told[i], 1);
			atomic_fetch_add(&told_all, 1);
		}
}

static bool all_told(void *arg)
{
	(void)arg;
	ph_sigdispatch();
	return atomic_load(&told_all) >= CHILDREN;
}

static int gate[2];

static void fork_children(int from, int to)
{
	char byte;

	for (int i = from; i < to; i++) {
		const pid_t pid = fork();
		CHECK(pid != -1);
		if (pid == 0) { // they all die at once
			close(gate[1]);
			while (read(gate[0], &byte, 1) == -1 && errno == EINTR)
				;
			_exit(i % 100);
		}
		children[i] = pid;
	}
}

// Some threads end before their children do, some live.
enum { PARENTS = 4 };
static atomic_int parents_ready, parents_end;

static void *fork_a_part(void *arg)
{
	const int n = *(const int *)arg;
	const sigset_t child = set_of(SIGCHLD);

	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &child, NULL), 0);
	fork_children(n * CHILDREN / PARENTS, (n + 1) * CHILDREN / PARENTS);
	atomic_fetch_add(&parents_ready, 1);
	while (n % 2 == 0 && atomic_load(&parents_end) == 0)
		sched_yield();
	return NULL;
}

static void lose_no_child(int flags, bool by_threads)
{
	struct sigaction sa = {.sa_sigaction = bury_child,
	                       .sa_flags = SA_SIGINFO | SA_RESTART | PH_SA_QUEUE | flags};
	pthread_t threads[PARENTS];
	int numbers[PARENTS] = {0, 1, 2, 3};

	sigemptyset(&sa.sa_mask);
	CHECK_OK(ph_sigaction(SIGCHLD, &sa, NULL));
	CHECK_OK(pipe(gate));
	for (int i = 0; by_threads && i < PARENTS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, fork_a_part, &numbers[i]), 0);
	while (by_threads && atomic_load(&parents_ready) < PARENTS)
		sched_yield();
	if (!by_threads)
		fork_children(0, CHILDREN);
	close(gate[0]);
	close(gate[1]);
	test_wait_until(all_told, NULL);
	atomic_store(&parents_end, 1);
	for (int i = 0; by_threads && i < PARENTS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	for (int i = 0; i < CHILDREN; i++)
		CHECK_EQ(atomic_load(&told[i]), 1);
	CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

TEST(no_childs_end_is_lost)
{
	lose_no_child(0, false);
}

TEST(no_end_of_a_child_of_another_thread_is_lost)
{
	lose_no_child(0, true);
}

TEST(no_childs_end_is_lost_at_safe_points)
{
	lose_no_child(PH_SA_SAFEPOINT, false);
}
